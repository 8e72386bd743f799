//! Who is let in at `/twilio/stream`.

use serde_json::json;

use super::peer::{signature, start, Stream, CALL};
use crate::access::key;
use crate::support::http::{metric, request_with};
use crate::support::server::Server;
use crate::support::within;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const HEADER: &str = "x-twilio-signature";

#[tokio::test]
async fn only_who_signs_with_the_token_is_let_in() {
    let server = Server::start_with(&["--max-rate", "5"], &[("PIPELINE_SERVER_TWILIO_AUTH_TOKEN", TOKEN)]);
    let address = format!("wss://{}/twilio/stream", server.address);
    let good = signature(TOKEN, &address);
    for wrong in [None, Some(signature("another", &address)), Some(signature(TOKEN, "wss://elsewhere/twilio/stream"))] {
        let headers: Vec<_> = wrong.iter().map(|wrong| (HEADER, wrong.as_str())).collect();
        Stream::refusal(&server, &headers).await.problem("bad-signature", 403);
    }
    // Who tries again and again is kept out, and Twilio isn't.
    let mut refused = 0;
    while Stream::refusal(&server, &[]).await.status == 403 {
        refused += 1;
        assert!(refused < 10);
    }
    Stream::refusal(&server, &[]).await.problem("too-many-requests", 429);
    for _ in 0..10 {
        Stream::request(&server, &[(HEADER, &good)]).await.unwrap();
    }
    assert!(metric(&server, "pipeline_server_refused_total{kind=\"bad-signature\"}").await >= 3.0);
    server.signal(libc::SIGTERM);
    let ended = server.finish();
    assert!(!ended.stderr.contains(TOKEN) && !ended.stderr.contains(&good), "{}", ended.stderr);
}

#[tokio::test]
async fn behind_a_proxy_the_address_is_the_public_one() {
    let tokens = format!("0000,{TOKEN}");
    let server = Server::start(&["--twilio-auth-token", &tokens, "--public-url", "https://speech.example.org/voice"]);
    let public = "wss://speech.example.org/voice/twilio/stream";
    for token in ["0000", TOKEN] {
        Stream::request(&server, &[(HEADER, &signature(token, public))]).await.unwrap();
    }
    let own = signature(TOKEN, &format!("wss://{}/twilio/stream", server.address));
    Stream::refusal(&server, &[(HEADER, &own)]).await.problem("bad-signature", 403);
}

#[tokio::test]
async fn without_a_token_the_door_is_for_this_machine_alone() {
    let (secret, setting) = key("desk");
    let server = Server::start(&["--keys", &setting]);
    let problem = Stream::refusal(&server, &[]).await.problem("not-found", 404);
    assert!(problem["detail"].as_str().unwrap().contains("--twilio-auth-token"), "{problem}");
    Stream::refusal(&server, &[("authorization", &format!("Bearer {secret}"))]).await.problem("not-found", 404);
    let server = Server::start(&["--listen", "0.0.0.0:0", "--allow-anonymous"]);
    Stream::refusal(&server, &[]).await.problem("not-found", 404);
    let server = Server::start(&[]);
    Stream::request(&server, &[]).await.unwrap();
    Stream::refusal(&server, &[("x-forwarded-for", "198.51.100.1")]).await.problem("not-found", 404);
    Stream::refusal(&server, &[("origin", "https://evil.example")]).await.problem("foreign-origin", 403);
}

#[tokio::test]
async fn calls_are_for_all_who_have_a_key() {
    let (secret, setting) = key("desk");
    let server = Server::start(&["--keys", &setting, "--twilio-auth-token", TOKEN]);
    let good = signature(TOKEN, &format!("wss://{}/twilio/stream", server.address));
    let mut stream = Stream::request(&server, &[(HEADER, &good)]).await.unwrap();
    stream.hello(start(&["inbound"], json!({}))).await;
    let path = format!("/v1/sessions?call_id={CALL}");
    within("the call being listed", async {
        let authorization = format!("Authorization: Bearer {secret}\r\n");
        while request_with(&server, "GET", &path, &authorization).await.body == "[]" {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    request_with(&server, "GET", &path, "").await.problem("unauthorized", 401);
    stream.stop().await;
}
