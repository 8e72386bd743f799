//! Clients that lose their connection and come back to their session.

use serde_json::{json, Value};

use crate::support::client::{f32le, Client};
use crate::support::http::{metric_becomes, Response};
use crate::support::server::{run, Server};
use crate::support::verdict::words_are_right;
use crate::transcripts::two_sentences;

const SESSIONS: &str = "pipeline_server_sessions{source=\"websocket\"}";
const GONE: &str = "pipeline_server_sessions_closed_total{source=\"websocket\",reason=\"client_gone\"}";

/// A client whose session waits for it, and the session's id.
async fn resumable(server: &Server) -> (Client, String) {
    let mut client = Client::request(server, "resumable=true").await.unwrap();
    let ready = client.receiver.next().await;
    assert!(ready["limits"]["resume_seconds"].as_u64().unwrap() > 0, "{ready}");
    (client, ready["session_id"].as_str().unwrap().to_owned())
}

/// What is left to say behind the audio that the server has.
fn rest<'a>(samples: &'a [f32], resumed: &Value) -> &'a [f32] {
    let bytes = resumed["audio_bytes"].as_u64().unwrap() as usize;
    assert_eq!(bytes % 4, 0, "{resumed}");
    &samples[bytes / 4..]
}

async fn refused(server: &Server, query: &str) -> Response {
    let Err(error) = Client::request(server, query).await else { panic!("{query} was let in") };
    Response::refusal(error)
}

#[tokio::test]
async fn after_a_cut_nothing_is_lost_and_nothing_is_said_twice() {
    let server = Server::start(&[]);
    let signal = two_sentences();
    let (mut client, id) = resumable(&server).await;
    let mut finals = Vec::new();
    // The connection breaks off in the first sentence, and again in the second.
    for (i, part) in [0.3, 0.8].into_iter().enumerate() {
        let said = if i == 0 { 0 } else { (signal.samples.len() as f64 * 0.3) as usize };
        let until = (signal.samples.len() as f64 * part) as usize;
        client.sender.audio(&signal.samples[said..until]).await;
        let audio = "pipeline_server_audio_seconds_total{source=\"websocket\"}";
        metric_becomes(&server, audio, until as f64 / 16_000.0).await;
        if i == 1 {
            finals.push(client.receiver.next_of("final").await);
        }
        let Client { sender, receiver } = client;
        drop(sender);
        let order = receiver.cut();
        let (next, resumed) = Client::resume(&server, &id, order).await;
        assert_eq!(rest(&signal.samples, &resumed).len(), signal.samples.len() - until);
        client = next;
    }
    let until = (signal.samples.len() as f64 * 0.8) as usize;
    // The client checks that numbers rise, and that each utterance goes on where it was and gets one final.
    let messages = client.transcribe(f32le(&signal.samples[until..])).await;
    let closed = messages.last().unwrap();
    assert_eq!((&closed["reason"], &closed["complete"]), (&json!("client_closed"), &json!(true)));
    assert!((closed["totals"]["audio_seconds"].as_f64().unwrap() - signal.seconds()).abs() < 0.001, "{closed}");
    finals.extend(messages);
    words_are_right(&signal.text(), &finals, 0.0);
    metric_becomes(&server, SESSIONS, 0.0).await;
}

#[tokio::test]
async fn a_connection_that_nobody_knows_to_be_dead_is_taken_over() {
    let server = Server::start(&[]);
    let signal = two_sentences();
    let (mut client, id) = resumable(&server).await;
    client.sender.audio(&signal.samples[..signal.samples.len() / 2]).await;
    client.receiver.next_of("speech_start").await;
    // It stays open, as after a network that went away, and some of what it sent may not have been taken.
    let Client { sender, receiver } = client;
    let order = receiver.order();
    let (client, resumed) = Client::resume(&server, &id, order).await;
    let messages = client.transcribe(f32le(rest(&signal.samples, &resumed))).await;
    words_are_right(&signal.text(), &messages, 0.0);
    let closed = messages.last().unwrap();
    assert!((closed["totals"]["audio_seconds"].as_f64().unwrap() - signal.seconds()).abs() < 0.001, "{closed}");
    drop((sender, receiver));
}

#[tokio::test]
async fn the_session_waits_for_the_grace_time_and_no_longer() {
    let server = Server::start(&["--resume-grace", "1", "--max-sessions", "1"]);
    let (client, id) = resumable(&server).await;
    drop(client);
    metric_becomes(&server, GONE, 1.0).await;
    metric_becomes(&server, SESSIONS, 0.0).await;
    refused(&server, &format!("resume={id}&after=1")).await.problem("not-resumable", 410);
    // Its place is free.
    Client::connect(&server, "").await;
}

#[tokio::test]
async fn only_sessions_that_asked_for_it_can_be_resumed() {
    let server = Server::start(&[]);
    let mut client = Client::request(&server, "").await.unwrap();
    let ready = client.receiver.next().await;
    assert_eq!(ready["limits"]["resume_seconds"], 0);
    let id = ready["session_id"].as_str().unwrap();
    refused(&server, &format!("resume={id}&after=1")).await.problem("not-resumable", 410);
    refused(&server, "resume=nonsense&after=1").await.problem("not-resumable", 410);

    let (_client, id) = resumable(&server).await;
    refused(&server, &format!("resume={id}&after=99")).await.problem("not-resumable", 410);
    let problem = refused(&server, &format!("resume={id}")).await.problem("invalid-parameter", 400);
    assert!(problem["detail"].as_str().unwrap().starts_with("after"), "{problem}");

    let server = Server::start(&["--resume-grace", "0"]);
    let mut client = Client::request(&server, "resumable=true").await.unwrap();
    assert_eq!(client.receiver.next().await["limits"]["resume_seconds"], 0);
}

#[tokio::test]
async fn somebody_elses_session_can_not_be_taken() {
    let make = |name: &str| {
        let (_, printed, _) = run(&["new-key", name], &[]);
        let lines: Vec<&str> = printed.lines().map(str::trim).collect();
        (lines[1].to_owned(), lines[3].split('"').nth(1).unwrap().to_owned())
    };
    let ((own, own_hash), (other, other_hash)) = (make("own"), make("other"));
    let server = Server::start(&["--keys", &format!("{own_hash},{other_hash}")]);
    let bearer = |secret: &str| format!("Bearer {secret}");
    let own = bearer(&own);
    let mut client = Client::request_with(&server, "resumable=true", &[("authorization", &own)]).await.unwrap();
    let ready = client.receiver.next().await;
    let query = format!("resume={}&after=1", ready["session_id"].as_str().unwrap());
    let theirs = Client::request_with(&server, &query, &[("authorization", &bearer(&other))]).await;
    let Err(error) = theirs else { panic!("it was taken") };
    Response::refusal(error).problem("not-resumable", 410);
    let mut client = Client::request_with(&server, &query, &[("authorization", &own)]).await.unwrap();
    client.receiver.expect_resumed().await;
}

#[tokio::test]
async fn a_server_that_ends_does_not_wait_for_clients_to_come_back() {
    let server = Server::start(&["--resume-grace", "3600"]);
    let (mut client, _) = resumable(&server).await;
    client.sender.audio(&two_sentences().samples).await;
    client.receiver.next_of("final").await;
    drop(client);
    server.signal(libc::SIGTERM);
    let ended = server.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}
