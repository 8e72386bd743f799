//! How sessions end when it is not the client who ends them.

use e2e_tests::clips::named;
use e2e_tests::rss::Footprint;
use serde_json::{json, Value};

use crate::support::client::{f32le, Client};
use crate::support::http::{metric, metric_becomes, request, Response};
use crate::support::server::Server;
use crate::support::verdict::words_are_right;
use crate::support::within;

#[tokio::test]
async fn a_signal_lets_everybody_finish_and_nobody_in() {
    let server = Server::start(&[]);
    let clip = named("librivox-sense-0920");
    let end = (clip.speech.end * 16_000.0) as usize;
    let mut speaking = Client::connect(&server, "").await;
    let mut silent = Client::connect(&server, "").await;
    speaking.sender.audio(&clip.samples[..end]).await;
    // All of it is in, and nothing of it has its final.
    let audio = "pipeline_server_audio_seconds_total{source=\"websocket\"}";
    metric_becomes(&server, audio, end as f64 / 16_000.0).await;
    server.signal(libc::SIGTERM);
    let messages = silent.receiver.rest().await;
    assert_eq!(messages.last().unwrap()["reason"], "shutdown");
    let messages = speaking.receiver.rest().await;
    words_are_right(&clip.text, &messages, 0.0);
    assert_eq!(messages.last().unwrap()["reason"], "shutdown");
    assert_eq!(messages.last().unwrap()["complete"], true);
    assert_eq!(speaking.receiver.close_code(), 1001);
    drop((speaking, silent));
    let ended = server.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("ERROR") && !ended.stderr.contains("WARN"), "{}", ended.stderr);
}

#[tokio::test]
async fn while_it_drains_the_server_says_so() {
    let server = Server::start(&["--drain-timeout", "60"]);
    let mut client = Client::connect(&server, "").await;
    // Enough to keep the engine busy while it is asked.
    let samples = named("jfk-inaugural").samples.repeat(4);
    client.sender.audio(&samples).await;
    let audio = "pipeline_server_audio_seconds_total{source=\"websocket\"}";
    metric_becomes(&server, audio, samples.len() as f64 / 16_000.0).await;
    server.signal(libc::SIGTERM);
    loop {
        let response = request(&server, "GET", "/readyz").await;
        if response.status != 200 {
            response.problem("shutting-down", 503);
            break;
        }
    }
    let Err(error) = Client::request(&server, "").await else { panic!("somebody was let in") };
    Response::refusal(error).problem("shutting-down", 503);
    assert_eq!(request(&server, "GET", "/healthz").await.status, 200);
    assert_eq!(client.receiver.rest().await.last().unwrap()["reason"], "shutdown");
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let server = Server::start(&["--drain-timeout", "3600"]);
    let mut client = Client::connect(&server, "").await;
    for _ in 0..10 {
        client.sender.audio(&named("jfk-inaugural").samples).await;
    }
    server.signal(libc::SIGTERM);
    server.signal(libc::SIGINT);
    let mut last = Value::Null;
    while let Some(message) = client.receiver.poll().await {
        last = message;
    }
    let ended = server.finish();
    match ended.code {
        Some(0) => assert_eq!(last["reason"], "shutdown"),
        // It was in time, and nobody was told.
        code => assert_eq!(code, Some(130), "{ended:?}"),
    }
}

#[tokio::test]
async fn a_client_that_vanishes_leaves_nothing_behind() {
    let server = Server::start(&["--max-sessions", "2"]);
    let clip = named("librivox-sense-0920");
    for _ in 0..5 {
        let mut client = Client::connect(&server, "").await;
        client.sender.audio(&clip.samples[..40_000]).await;
        client.receiver.next_of("speech_start").await;
        drop(client);
    }
    let gone = "pipeline_server_sessions_closed_total{source=\"websocket\",reason=\"client_gone\"}";
    metric_becomes(&server, gone, 5.0).await;
    metric_becomes(&server, "pipeline_server_sessions{source=\"websocket\"}", 0.0).await;
    let messages = Client::connect(&server, "").await.transcribe(f32le(&clip.samples)).await;
    words_are_right(&clip.text, &messages, 0.0);
}

#[tokio::test]
async fn a_client_from_which_nothing_comes_is_told_and_closed() {
    let server = Server::start(&["--idle-timeout", "1"]);
    let clip = named("librivox-sense-0920");
    let mut client = Client::connect(&server, "").await;
    client.sender.audio(&clip.samples).await;
    let messages = client.receiver.rest().await;
    words_are_right(&clip.text, &messages, 0.0);
    let error = messages.iter().find(|m| m["type"] == "error").unwrap();
    assert_eq!(error["problem"]["type"], "urn:pipeline-server:problem:idle-timeout");
    let closed = messages.last().unwrap();
    assert_eq!((&closed["reason"], &closed["complete"]), (&json!("idle_timeout"), &json!(true)));
    assert_eq!(client.receiver.close_code(), 1008);
}

#[tokio::test]
async fn signs_of_life_keep_a_session() {
    let server = Server::start(&["--idle-timeout", "1"]);
    let mut client = Client::connect(&server, "").await;
    for _ in 0..20 {
        client.sender.control(json!({ "type": "keepalive" })).await;
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    }
    let messages = client.transcribe(Vec::new()).await;
    assert_eq!(messages.last().unwrap()["reason"], "client_closed");
}

#[tokio::test]
async fn a_session_lasts_as_long_as_it_may() {
    let server = Server::start(&["--max-duration", "1"]);
    let clip = named("librivox-sense-0920");
    let mut client = Client::connect(&server, "").await;
    client.sender.audio(&clip.samples).await;
    let messages = client.receiver.rest().await;
    assert_eq!(messages.last().unwrap()["reason"], "max_duration");
}

#[tokio::test]
async fn logs_can_be_json_and_hold_no_transcripts() {
    let server = Server::start(&["--log-format", "json", "-vv"]);
    let clip = named("librivox-sense-0920");
    let messages = Client::connect(&server, "").await.transcribe(f32le(&clip.samples)).await;
    words_are_right(&clip.text, &messages, 5.0);
    server.signal(libc::SIGTERM);
    let ended = server.finish();
    assert!(!ended.stderr.contains("amiable"), "{}", ended.stderr);
    let lines: Vec<Value> = ended.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let closed = lines.iter().find(|line| line["fields"]["message"] == "session closed").unwrap();
    assert_eq!(closed["fields"]["reason"], "client_closed");
    assert_eq!(closed["fields"]["session"].as_str().unwrap().len(), 36, "{closed}");
}

/// What a server has when it has no clients.
#[derive(Debug, Clone, Copy)]
struct Left {
    threads: u64,
    descriptors: usize,
    rss: u64,
}

impl Left {
    fn of(server: &Server) -> Self {
        let Footprint { threads, rss, .. } = Footprint::of(server.id()).unwrap();
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", server.id())).unwrap().count();
        Self { threads, descriptors, rss }
    }

    /// What stays after a session: once that is as little as before, but for the few threads that GLib keeps.
    async fn settled(server: &Server, before: Self) -> Self {
        metric_becomes(server, "pipeline_server_sessions{source=\"websocket\"}", 0.0).await;
        within("threads and files that end", async {
            loop {
                let now = Self::of(server);
                // The runtime keeps threads for blocking work for some seconds.
                if now.threads <= before.threads + 4 && now.descriptors <= before.descriptors + 4 {
                    return now;
                }
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        })
        .await
    }
}

/// Clients come, twenty at a time, and go in different ways.
async fn storm(server: &Server, clients: usize) {
    for batch in 0..clients / 20 {
        let storm = (0..20).map(async |i| {
            // Some are refused, because others are still leaving.
            let Ok(mut client) = Client::request(server, "partials=none").await else { return };
            if i % 2 == 0 {
                let _ = client.sender.try_binary(vec![0; 6_400 * (batch % 7 + 1)]).await;
            }
            if i % 5 == 0 {
                let _ = client.sender.try_text(r#"{"type":"close"}"#).await;
            }
        });
        futures_util::future::join_all(storm).await;
    }
}

/// Rounds of so many clients; memory may grow by so many MiB from the end of the first round to that of the last.
async fn storms(rounds: usize, clients: usize, tolerance: u64) {
    let server = Server::start(&["--max-sessions-per-address", "32", "--max-rate", "1000000"]);
    let clip = named("librivox-sense-0920");
    // The first session brings what stays: threads of the detector and of the runtime, memory.
    let messages = Client::connect(&server, "").await.transcribe(f32le(&clip.samples)).await;
    words_are_right(&clip.text, &messages, 10.0);
    metric_becomes(&server, "pipeline_server_sessions{source=\"websocket\"}", 0.0).await;
    let before = Left::of(&server);
    let mut after = Vec::new();
    for _ in 0..rounds {
        storm(&server, clients).await;
        let left = Left::settled(&server, before).await;
        println!("{clients} clients more: {left:?}, {before:?} before the first");
        after.push(left.rss);
    }
    let grown = after[rounds - 1].saturating_sub(after[0]) >> 20;
    assert!(grown <= tolerance, "{grown} MiB more than after the first round");
    let messages = Client::connect(&server, "").await.transcribe(f32le(&clip.samples)).await;
    words_are_right(&clip.text, &messages, 10.0);
    let opened = "pipeline_server_sessions_opened_total{source=\"websocket\"}";
    println!("{} sessions", metric(&server, opened).await);
}

#[tokio::test]
async fn a_storm_of_clients_leaves_nothing_behind() {
    storms(2, 100, 16).await;
}

#[tokio::test]
#[ignore = "takes minutes: make soak"]
async fn a_long_storm_of_clients_leaves_nothing_behind() {
    storms(5, 500, 16).await;
}
