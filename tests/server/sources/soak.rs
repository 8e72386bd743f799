//! Cameras in numbers and for a long time. `make soak` runs what is long, one after the other: `SOAK_MINUTES` (60) says for
//! how long cameras are listened to, `SOAK_CAMERA_MINUTES` (4) the same of many at once, `SOAK_RECONNECTS` (100) how many
//! connections are lost.

use std::time::Duration;

use e2e_tests::clips::{named, Composition};
use futures_util::future::join_all;
use tokio::time::Instant;

use super::listener::Listener;
use super::{at, becomes, declare};
use crate::support::camera::Camera;
use crate::support::cost::Cost;
use crate::support::events::Events;
use crate::support::http::{metric, request};
use crate::support::server::Server;
use crate::support::verdict::words_are_right;
use crate::transcripts::two_sentences;

/// Keeps connections short in the log, so that it is full soon and memory is flat from then on.
const LOG: [&str; 2] = ["--max-unread", "64"];

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |value| value.parse().unwrap())
}

/// Listens with all of them, and looks at what the server costs every so often.
async fn listen(server: &Server, listeners: &mut [Listener], length: Duration) -> Vec<Cost> {
    let (start, every) = (Instant::now(), (length / 60).max(Duration::from_secs(5)));
    let end = start + length;
    let watching = async {
        let mut costs = Vec::new();
        while Instant::now() + every <= end {
            tokio::time::sleep(every).await;
            let cost = Cost::of(server.id());
            println!("{:5.1} min: {cost}", start.elapsed().as_secs_f64() / 60.0);
            costs.push(cost);
        }
        costs
    };
    let (costs, _) = tokio::join!(watching, join_all(listeners.iter_mut().map(|listener| listener.listen(end))));
    for listener in listeners.iter() {
        println!("{listener}");
        listener.missed_nothing();
    }
    costs
}

/// Fails if the server costs more in the end than after the first quarter, but for so much.
fn is_flat(costs: &[Cost], mebibytes: u64) {
    let (early, late) = (&costs[costs.len() / 4], &costs[costs.len() - 1]);
    println!("after a quarter {early}, in the end {late}");
    assert!(late.rss <= early.rss + (mebibytes << 20), "{early} {late}");
    assert!(late.threads <= early.threads + 2 && late.files <= early.files + 2, "{early} {late}");
}

#[tokio::test]
#[ignore = "make soak"]
async fn cameras_are_captioned_for_an_hour() {
    let said = two_sentences();
    let camera = Camera::start(&said.samples);
    let server = Server::start(&LOG);
    let mut listeners = Vec::new();
    for stream in ["aac", "pcmu"] {
        listeners.push(Listener::start(&server, &camera, stream, stream, 0, &said).await);
    }
    let length = Duration::from_secs(60 * setting("SOAK_MINUTES", 60));
    let costs = listen(&server, &mut listeners, length).await;
    is_flat(&costs, 8);
}

#[tokio::test]
#[ignore = "make soak"]
async fn twenty_cameras_are_captioned_at_once_and_one_that_goes_disturbs_nobody() {
    let said = Composition::new().silence(1.0).clip(named("librivox-sense-0930")).silence(11.0);
    let camera = Camera::start(&said.samples);
    // Two cores, and partials as usual.
    let server = Server::start(&[&LOG[..], &["--threads", "2", "--max-sessions", "20"]].concat());
    let mut listeners = Vec::new();
    for number in 0..20 {
        let stream = ["aac", "opus", "pcmu", "pcma"][number % 4];
        let name = format!("camera-{number}");
        listeners.push(Listener::start(&server, &camera, &name, stream, number / 4, &said).await);
    }
    assert_eq!(metric(&server, "pipeline_server_sessions{source=\"rtsp\"}").await, 20.0);
    let length = Duration::from_secs(60 * setting("SOAK_CAMERA_MINUTES", 4)) / 2;
    listen(&server, &mut listeners, length).await;
    // How many, is a matter of how fast the machine is; they are shared.
    assert!(listeners.iter().all(|listener| listener.partials > 0), "somebody had no partials");
    let one = listeners.remove(7);
    assert_eq!(request(&server, "DELETE", &format!("/v1/sources/{}", one.name)).await.status, 204);
    assert_eq!(one.rest().await["complete"], true);
    listen(&server, &mut listeners, length).await;
    assert_eq!(metric(&server, "pipeline_server_source_connections_total{source=\"rtsp\"}").await, 20.0);
}

/// So many connections are lost, four at a time; what is left over has leaked. Each lasts `at_least`.
async fn come_back(connections: u64, at_least: Duration) {
    const STREAMS: [&str; 4] = ["aac", "opus", "pcmu", "radio"];
    let said = Composition::new().silence(0.5).clip(named("librivox-sense-0930")).silence(1.0);
    let mut camera = Camera::start(&said.samples);
    let server = Server::start(&[&LOG[..], &["--partials", "none"]].concat());
    let mut sessions = Vec::new();
    for stream in STREAMS {
        let view = declare(&server, at(stream, &camera.url(stream))).await;
        sessions.push(view["session_id"].as_str().unwrap().to_owned());
    }
    let rounds = connections / STREAMS.len() as u64;
    let mut before = None;
    for round in 0..=rounds {
        for stream in STREAMS {
            becomes(&server, stream, "streaming").await;
        }
        // What is made once is there after some rounds.
        if round == (rounds / 5).max(1) {
            before = Some(Cost::of(server.id()));
        }
        if round % 5 == 0 {
            println!("{} connections lost: {}", round * STREAMS.len() as u64, Cost::of(server.id()));
        }
        if round < rounds {
            tokio::time::sleep(at_least).await;
            camera.kill();
            for stream in STREAMS {
                becomes(&server, stream, "waiting").await;
            }
            camera.restart();
        }
    }
    let made = metric(&server, "pipeline_server_source_connections_total{source=\"rtsp\"}").await;
    assert_eq!(made as u64, (rounds + 1) * STREAMS.len() as u64);
    let before = before.unwrap();
    let after = Cost::settles(server.id(), before.threads + 2, before.files + 2).await;
    println!("{made} connections made: {before} at first, {after} in the end");
    assert!(after.rss <= before.rss + (8 << 20), "{before} {after}");
    // What is said now is heard.
    for session in sessions {
        let mut events = Events::request(&server, &format!("/v1/sessions/{session}/events"), "").await;
        let last = events.next_of("final").await.data;
        words_are_right(&said.text(), std::slice::from_ref(&last), 10.0);
    }
}

#[tokio::test]
async fn cameras_that_come_back_leave_nothing_behind() {
    come_back(12, Duration::ZERO).await;
}

#[tokio::test]
#[ignore = "make soak"]
async fn a_hundred_lost_connections_leave_nothing_behind() {
    // So long that the pauses between attempts stay short.
    come_back(setting("SOAK_RECONNECTS", 100), Duration::from_secs(11)).await;
}
