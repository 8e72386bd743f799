//! The page in Chromium over WebRTC: a microphone that plays real speech.

use std::path::Path;
use std::time::Instant;

use e2e_tests::clips::{named, Composition};
use e2e_tests::wer::word_errors;
use serde_json::{json, Value};

use crate::browser::{microphone, pictures, script, shown, texts};
use crate::support::events::subscribe;
use crate::support::http::{metric, metric_becomes, request};
use crate::support::relay::Relay;
use crate::support::server::Server;
use crate::whip::{closed, wrong_over_websocket, SESSIONS};

/// Arguments for `webrtc.py`.
fn of_page(server: &Server, microphone: &Path, seconds: f64) -> [String; 4] {
    let url = format!("http://{}/", server.address);
    [url, microphone.to_str().unwrap().to_owned(), seconds.to_string(), pictures().to_str().unwrap().to_owned()]
}

async fn publish(server: &Server, said: &Composition, seconds: f64, relay: Option<&Relay>) -> Value {
    let (_folder, microphone) = microphone(said);
    let arguments = of_page(server, &microphone, seconds).into_iter();
    let shown = shown("webrtc.py", arguments.chain(relay.map(|relay| relay.address.to_string()))).await;
    assert_eq!((&shown["console"], &shown["foreign"], &shown["sockets"]), (&json!([]), &json!([]), &json!([])));
    assert!(shown["status"].as_str().unwrap().starts_with("Listening · tiny.en"), "{shown}");
    shown
}

#[tokio::test]
async fn the_page_has_the_words_over_webrtc_too_also_where_packets_are_lost() {
    let server = Server::start(&[]);
    let said = Composition::long();
    let plain = wrong_over_websocket(&server, &said).await;
    let relay = Relay::start(server.udp(), 50).await;
    // One after the other: two browsers at once are more than two cores can bear without a stutter.
    let clean = publish(&server, &said, said.seconds(), None).await;
    let lossy = publish(&server, &said, said.seconds(), Some(&relay)).await;
    let percent = |text: &str| word_errors(&said.text(), text).percent();
    let [clean_errors, lossy_errors] = [&clean, &lossy].map(|shown| percent(&texts(&shown["finals"]).join(" ")));
    let lost = relay.lost();
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

#[tokio::test]
async fn a_browser_that_is_killed_is_missed_and_leaves_its_words() {
    let server = Server::start(&[]);
    let said = Composition::new().silence(0.5).clip(named("librivox-sense-0930"));
    let (_folder, microphone) = microphone(&said);
    let mut browser = script("webrtc.py", of_page(&server, &microphone, 60.0)).spawn().unwrap();
    metric_becomes(&server, SESSIONS, 1.0).await;
    let views = request(&server, "GET", "/v1/sessions?source=whip").await;
    let views: Vec<Value> = serde_json::from_str(&views.body).unwrap();
    let mut receiver = subscribe(&server, views[0]["session_id"].as_str().unwrap(), 0).await;
    let first = receiver.next_of("final").await;
    kill(browser.id().unwrap());
    let since = Instant::now();
    browser.wait().await.unwrap();
    let rest = receiver.rest().await;
    let noticed = since.elapsed().as_secs_f64();
    assert!(noticed < 15.0, "it took {noticed} s");
    let last = rest.last().unwrap();
    assert_eq!(
        (&last["type"], &last["reason"], &last["complete"]),
        (&json!("closed"), &json!("client_gone"), &json!(true))
    );
    // The microphone says it again and again.
    assert!(word_errors(&said.text(), first["text"].as_str().unwrap()).percent() <= 15.0, "{first}");
    metric_becomes(&server, SESSIONS, 0.0).await;
}

/// Kills a process and all that it started, the browser among them.
fn kill(process: u32) {
    let parents: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let process = entry.unwrap().file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((process, parent))
        })
        .collect();
    let mut doomed = vec![process];
    for index in 0.. {
        let Some(&parent) = doomed.get(index) else { break };
        doomed.extend(parents.iter().filter(|(_, other)| *other == parent).map(|(process, _)| process));
    }
    for process in doomed {
        // SAFETY: a number goes in; a process that is gone already is an error, which says nothing.
        unsafe { libc::kill(process as libc::pid_t, libc::SIGKILL) };
    }
}
