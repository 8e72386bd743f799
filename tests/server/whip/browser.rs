//! The page in Chromium over WebRTC: a microphone that plays real speech.

use e2e_tests::clips::{named, Composition};
use e2e_tests::wer::word_errors;
use serde_json::{json, Value};

use crate::browser::{microphone, pictures, shown, texts};
use crate::support::client::{f32le, Client};
use crate::support::http::{metric, metric_becomes};
use crate::support::relay::Relay;
use crate::support::server::Server;
use crate::support::verdict::text;
use crate::whip::{closed, SESSIONS};

async fn publish(server: &Server, said: &Composition, seconds: f64, relay: Option<&Relay>) -> Value {
    let (_folder, microphone) = microphone(said);
    let url = format!("http://{}/", server.address);
    let (seconds, relay) = (seconds.to_string(), relay.map(|relay| relay.address.to_string()));
    let arguments = [&url, microphone.to_str().unwrap(), &seconds, pictures().to_str().unwrap()].map(str::to_owned);
    let shown = shown("webrtc.py", arguments.into_iter().chain(relay)).await;
    assert_eq!((&shown["console"], &shown["foreign"], &shown["sockets"]), (&json!([]), &json!([]), &json!([])));
    assert!(shown["status"].as_str().unwrap().starts_with("Listening · tiny.en"), "{shown}");
    shown
}

#[tokio::test]
async fn the_page_has_the_words_over_webrtc_too_also_where_packets_are_lost() {
    let server = Server::start(&[]);
    let said = Composition::long();
    let plain = Client::connect(&server, "").await.transcribe(f32le(&said.samples)).await;
    let relay = Relay::start(server.udp(), 50).await;
    // One after the other: two browsers at once are more than two cores can bear without a stutter.
    let clean = publish(&server, &said, said.seconds(), None).await;
    let lossy = publish(&server, &said, said.seconds(), Some(&relay)).await;
    let percent = |text: &str| word_errors(&said.text(), text).percent();
    let [clean_errors, lossy_errors] = [&clean, &lossy].map(|shown| percent(&texts(&shown["finals"]).join(" ")));
    let (plain, lost) = (percent(&text(&plain)), relay.lost());
    println!(
        "word errors: WebSocket {plain:.1} %, WebRTC {clean_errors:.1} %, with {lost:.1} % of packets lost \
         {lossy_errors:.1} %; {}",
        clean["latency"]
    );
    assert!(lost > 3.0, "the relay lost {lost} %");
    assert!(clean_errors <= plain + 3.0, "WebSocket {plain} %, WebRTC {clean_errors} %: {clean}");
    assert!(lossy_errors <= plain + 8.0, "WebSocket {plain} %, with loss {lossy_errors} %: {lossy}");
    assert_eq!(clean["publications"], json!(["POST"]));
    metric_becomes(&server, SESSIONS, 0.0).await;
    assert_eq!(metric(&server, &closed("client_closed")).await, 2.0);
}

#[tokio::test]
async fn a_page_that_is_left_ends_its_session_at_once() {
    let server = Server::start(&[]);
    let said = Composition::new().silence(1.0).clip(named("librivox-sense-0930"));
    let shown = publish(&server, &said, 0.0, None).await;
    assert!(!shown["partial"].as_str().unwrap().is_empty(), "{shown}");
    metric_becomes(&server, SESSIONS, 0.0).await;
    assert_eq!(metric(&server, &closed("client_closed")).await, 1.0);
}
