//! Cameras for a long time; `make soak` runs these. SOAK_MINUTES (60) and SOAK_RECONNECTS (100, some 40 minutes, since the
//! pauses grow) make them shorter.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use e2e_tests::clips::{named, Composition};
use e2e_tests::rss::Footprint;
use serde_json::Value;

use super::{at, becomes, declare, unix};
use crate::support::camera::Camera;
use crate::support::events::{subscribe, Events};
use crate::support::http::request;
use crate::support::server::Server;
use crate::support::verdict::words_are_right;

const MIB: u64 = 1 << 20;

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |value| value.parse().unwrap())
}

/// Files and sockets that a process has open.
fn descriptors(process: u32) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count()
}

#[tokio::test]
#[ignore = "takes an hour: make soak"]
async fn twenty_cameras_are_captioned_for_an_hour() {
    let said = Composition::new().silence(1.0).clip(named("librivox-sense-0930")).silence(11.0);
    let camera = Camera::start(&said.samples);
    let server = Server::start(&["--max-sessions", "64"]);
    let mut readers = Vec::new();
    for number in 0..20 {
        let view = declare(&server, at(&format!("camera-{number}"), &camera.url("radio"))).await;
        readers.push(subscribe(&server, view["session_id"].as_str().unwrap(), 0).await);
    }
    let begun = camera.captured("radio").await;
    let (start, length) = (Instant::now(), Duration::from_secs(60 * setting("SOAK_MINUTES", 60)));
    let (mut finals, mut wrong, mut early) = (0_u64, 0_u64, None);
    let mut offsets: HashMap<usize, f64> = HashMap::new();
    while start.elapsed() < length {
        if finals == 40 {
            // One that goes does not disturb the others.
            assert_eq!(request(&server, "DELETE", "/v1/sources/camera-19").await.status, 204);
            readers.pop();
        }
        for (number, reader) in readers.iter_mut().enumerate() {
            let last = loop {
                let message = reader.next().await;
                assert!(message["type"] != "error" && message["status"] != "waiting", "camera {number}: {message}");
                if message["type"] == "final" && message["text"] != "" {
                    break message;
                }
            };
            finals += 1;
            wrong +=
                u64::from(e2e_tests::wer::word_errors(&said.text(), last["text"].as_str().unwrap()).percent() > 0.0);
            drift(begun, &said, number, &last, &mut offsets);
        }
        if early.is_none() && start.elapsed() > length / 4 {
            early = Some(Footprint::of(server.id()).unwrap());
        }
    }
    let (early, late) = (early.unwrap(), Footprint::of(server.id()).unwrap());
    println!("{finals} finals, {wrong} with another word than the rest; {} to {} MiB", early.rss / MIB, late.rss / MIB);
    assert!(wrong * 20 <= finals, "{wrong} of {finals}");
    assert!(late.rss <= early.rss + 16 * MIB, "{early:?} {late:?}");
    assert!(late.threads <= early.threads, "{early:?} {late:?}");
}

/// Fails if a result is not where it was said, or moves against the time of day.
fn drift(begun: f64, said: &Composition, number: usize, last: &Value, offsets: &mut HashMap<usize, f64>) {
    let Some(captured) = last.get("captured_at").map(unix) else { return };
    let within = (captured - begun - said.spoken[0].start).rem_euclid(said.seconds());
    let late = within.min(said.seconds() - within);
    assert!(late <= 0.3, "camera {number} is {late} s off: {last}");
    let offset = captured - last["start"].as_f64().unwrap();
    let first = *offsets.entry(number).or_insert(offset);
    assert!((offset - first).abs() <= 0.3, "camera {number} drifts: {first} {offset}");
}

#[tokio::test]
#[ignore = "takes minutes: make soak"]
async fn a_hundred_reconnections_leave_nothing_behind() {
    let said = Composition::new().silence(0.2).clip(named("librivox-sense-0930")).silence(1.0);
    let mut camera = Camera::start(&said.samples);
    let server = Server::start(&["--partials", "none"]);
    let view = declare(&server, at("door", &camera.url("aac"))).await;
    let mut before = None;
    let rounds = setting("SOAK_RECONNECTS", 100);
    for round in 0..rounds {
        becomes(&server, "door", "streaming").await;
        if round == rounds / 5 {
            before = Some((Footprint::of(server.id()).unwrap(), descriptors(server.id())));
        }
        camera.kill();
        becomes(&server, "door", "waiting").await;
        camera.restart();
    }
    becomes(&server, "door", "streaming").await;
    let path = format!("/v1/sessions/{}/events", view["session_id"].as_str().unwrap());
    // Its first number is that of the last message.
    let newest = Events::request(&server, &path, "").await.next_of("speech_start").await.id.unwrap();
    let ((early, files), late) = (before.unwrap(), Footprint::of(server.id()).unwrap());
    println!("{} to {} MiB, {files} to {} files", early.rss / MIB, late.rss / MIB, descriptors(server.id()));
    assert!(late.rss <= early.rss + 8 * MIB, "{early:?} {late:?}");
    assert!(late.threads <= early.threads + 2, "{early:?} {late:?}");
    assert!(descriptors(server.id()) <= files + 2, "{files} {}", descriptors(server.id()));
    // What is said now is heard.
    let mut receiver = subscribe(&server, view["session_id"].as_str().unwrap(), newest - 1).await;
    let last = receiver.next_of("final").await;
    words_are_right(&said.text(), &[last], 5.0);
}
