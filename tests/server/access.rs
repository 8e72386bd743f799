//! Keys, tokens, origins and limits, as somebody from outside meets them.

use e2e_tests::clips::named;
use serde_json::{json, Value};

use crate::support::client::{f32le, Client};
use crate::support::http::{metric, request, request_with, Response};
use crate::support::server::{run, Server};
use crate::support::verdict::words_are_right;

/// A new key: the secret, and the server's setting.
pub(crate) fn key(name: &str) -> (String, String) {
    let (code, stdout, stderr) = run(&["new-key", name], &[]);
    assert_eq!(code, Some(0), "{stderr}");
    let secret = stdout.split_whitespace().find(|word| word.starts_with("psk_")).unwrap().to_owned();
    let setting = stdout.split('"').nth(1).unwrap().to_owned();
    assert!(setting.starts_with(&format!("{name}=")) && !setting.contains(&secret[4..]));
    (secret, setting)
}

async fn refused(server: &Server, query: &str, headers: &[(&'static str, &str)]) -> Response {
    match Client::request_with(server, query, headers).await {
        Ok(_) => panic!("{query} {headers:?} was let in"),
        Err(error) => Response::refusal(error),
    }
}

async fn admitted(server: &Server, query: &str, headers: &[(&'static str, &str)]) -> Client {
    let mut client = Client::request_with(server, query, headers).await.unwrap();
    assert_eq!(client.receiver.next().await["type"], "ready");
    client
}

#[tokio::test]
async fn with_keys_only_their_owners_are_let_in() {
    let ((secret, setting), (other, _)) = (key("door"), key("door"));
    let server = Server::start(&["--keys", &setting]);
    let response = refused(&server, "", &[]).await;
    response.problem("unauthorized", 401);
    assert_eq!(response.headers["www-authenticate"], "Bearer");
    for wrong in [format!("Bearer {other}"), format!("Bearer {secret}0"), format!("Basic {secret}"), "Bearer".into()] {
        refused(&server, "", &[("authorization", &wrong)]).await.problem("unauthorized", 401);
    }
    let header = format!("Bearer {secret}");
    let client = admitted(&server, "", &[("authorization", &header)]).await;
    let clip = named("librivox-sense-0920");
    words_are_right(&clip.text, &client.transcribe(f32le(&clip.samples)).await, 0.0);

    // Health is for everybody, figures are not.
    assert_eq!(request(&server, "GET", "/readyz").await.status, 200);
    request(&server, "GET", "/metrics").await.problem("unauthorized", 401);
    let authorization = format!("Authorization: {header}\r\n");
    let metrics = request_with(&server, "GET", "/metrics", &authorization).await;
    let line = "pipeline_server_refused_total{kind=\"unauthorized\"} 5";
    assert!(metrics.body.lines().any(|l| l == line), "{}", metrics.body);
    server.signal(libc::SIGTERM);
    let ended = server.finish();
    assert!(!ended.stderr.contains(&secret) && ended.stderr.contains("door"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_browser_is_let_in_by_a_token_for_a_short_time() {
    let (secret, setting) = key("page");
    let server = Server::start(&["--keys", &setting, "--token-lifetime", "2"]);
    request(&server, "POST", "/v1/tokens").await.problem("unauthorized", 401);
    let response = request_with(&server, "POST", "/v1/tokens", &format!("Authorization: Bearer {secret}\r\n")).await;
    assert_eq!((response.status, response.headers["cache-control"].as_str()), (201, "no-store"), "{response:?}");
    let answer: Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(answer["expires_in_seconds"], 2);
    let token = answer["token"].as_str().unwrap();
    // A session that began in time goes on beyond the token's end.
    let mut client = admitted(&server, &format!("token={token}"), &[]).await;
    refused(&server, &format!("token={token}0"), &[]).await.problem("unauthorized", 401);
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let problem = refused(&server, &format!("token={token}"), &[]).await.problem("unauthorized", 401);
    assert!(problem["detail"].as_str().unwrap().contains("expired"), "{problem}");
    client.sender.control(json!({ "type": "keepalive" })).await;
    assert_eq!(client.transcribe(Vec::new()).await.last().unwrap()["reason"], "client_closed");
}

#[tokio::test]
async fn without_keys_no_token_is_needed() {
    let server = Server::start(&[]);
    assert_eq!(request(&server, "POST", "/v1/tokens").await.status, 204);
}

#[tokio::test]
async fn pages_from_elsewhere_are_not_let_in_unless_they_are_allowed() {
    let server = Server::start(&["--allow-origins", "https://good.example,https://other.example"]);
    refused(&server, "", &[("origin", "https://evil.example")]).await.problem("foreign-origin", 403);
    refused(&server, "", &[("origin", "null")]).await.problem("foreign-origin", 403);
    let own = format!("http://{}", server.address);
    for origin in ["https://good.example", "https://other.example", &own] {
        admitted(&server, "", &[("origin", origin)]).await;
    }
}

#[tokio::test]
async fn an_address_has_so_many_sessions_and_nobody_else_is_the_worse_for_it() {
    let server = Server::start(&["--max-sessions-per-address", "2", "--trusted-proxies", "127.0.0.0/8"]);
    let first = admitted(&server, "", &[("x-forwarded-for", "198.51.100.1")]).await;
    let second = admitted(&server, "", &[("x-forwarded-for", "198.51.100.1")]).await;
    // What the client itself writes in front of what the proxy appends counts for nothing.
    for forwarded in ["198.51.100.1", "203.0.113.9, 198.51.100.1"] {
        let response = refused(&server, "", &[("x-forwarded-for", forwarded)]).await;
        response.problem("too-many-of-client", 429);
        assert!(response.headers.contains_key("retry-after"));
    }
    let other = admitted(&server, "", &[("x-forwarded-for", "198.51.100.2")]).await;
    drop((first, second, other));
}

#[tokio::test]
async fn a_client_can_not_name_its_own_address() {
    let server = Server::start(&["--max-sessions-per-address", "1"]);
    let first = admitted(&server, "", &[("x-forwarded-for", "198.51.100.1")]).await;
    let response = refused(&server, "", &[("x-forwarded-for", "198.51.100.2")]).await;
    response.problem("too-many-of-client", 429);
    drop(first);
}

#[tokio::test]
async fn a_key_has_so_many_sessions() {
    let ((one, first), (two, second)) = (key("one"), key("two"));
    let server = Server::start(&["--keys", &format!("{first},{second}"), "--max-sessions-per-key", "1"]);
    let (one, two) = (format!("Bearer {one}"), format!("Bearer {two}"));
    let held = admitted(&server, "", &[("authorization", &one)]).await;
    refused(&server, "", &[("authorization", &one)]).await.problem("too-many-of-client", 429);
    let other = admitted(&server, "", &[("authorization", &two)]).await;
    drop((held, other));
}

#[tokio::test]
async fn whoever_connects_too_often_is_turned_away() {
    let server = Server::start(&["--max-rate", "5", "--trusted-proxies", "127.0.0.1/32"]);
    let mut turned_away = 0;
    for _ in 0..20 {
        match Client::request_with(&server, "", &[("x-forwarded-for", "198.51.100.1")]).await {
            Ok(_) => {}
            Err(error) => {
                Response::refusal(error).problem("too-many-requests", 429);
                turned_away += 1;
            }
        }
    }
    assert!((10..=15).contains(&turned_away), "{turned_away}");
    admitted(&server, "", &[("x-forwarded-for", "198.51.100.2")]).await;
    let counted = metric(&server, "pipeline_server_refused_total{kind=\"too-many-requests\"}").await;
    assert_eq!(counted, f64::from(turned_away));
}
