//! Many at a time, and many one after the other.

use std::time::Duration;

use e2e_tests::clips::named;
use e2e_tests::rss::Footprint;
use tokio::task::JoinSet;

use crate::support::http::metric_becomes;
use crate::support::publisher::Publisher;
use crate::support::server::Server;
use crate::support::verdict::words_are_right;
use crate::support::within;
use crate::whip::SESSIONS;

#[tokio::test]
async fn sixteen_at_a_time_all_get_their_words() {
    // Without partials, so that a small machine can follow.
    let server = std::sync::Arc::new(Server::start(&["--max-load", "1000", "--partials", "none"]));
    let clip = named("librivox-sense-0920");
    let mut clients = JoinSet::new();
    for number in 0..16_u32 {
        let server = server.clone();
        clients.spawn(async move {
            let clip = named("librivox-sense-0920");
            tokio::time::sleep(Duration::from_millis(100) * number).await;
            let mut publisher = Publisher::publish(&server, true).await;
            publisher.connect().await;
            publisher.speak(&clip.samples).await;
            publisher.finish().await
        });
    }
    while let Some(messages) = clients.join_next().await {
        words_are_right(&clip.text, &messages.unwrap(), 15.0);
    }
    metric_becomes(&server, SESSIONS, 0.0).await;
}

#[tokio::test]
async fn nothing_is_left_of_those_who_came_and_went() {
    cycles(10, 30).await;
}

#[tokio::test]
#[ignore = "make soak"]
async fn nothing_is_left_of_hundreds_who_came_and_went() {
    cycles(60, 300).await;
}

/// So many clients come, say a little, and go in one of three ways; memory, threads and descriptors stay, once
/// the `first` have been there.
async fn cycles(first: usize, count: usize) {
    // Who vanishes has a place for 12 s more.
    let places = ["--max-sessions", "200", "--max-sessions-per-address", "200"];
    let server = Server::start(&[&places[..], &["--max-rate", "100000"]].concat());
    let clip = named("librivox-sense-0920");
    let descriptors = || std::fs::read_dir(format!("/proc/{}/fd", server.id())).unwrap().count();
    let mut before = None;
    for number in 0..first + count {
        if number == first {
            metric_becomes(&server, SESSIONS, 0.0).await;
            before = Some((Footprint::of(server.id()).unwrap(), descriptors()));
        }
        let mut publisher = Publisher::publish(&server, number % 2 == 0).await;
        publisher.connect().await;
        publisher.speak(&clip.samples[16_000..][..3_200]).await;
        match number % 3 {
            0 => publisher.hang_up().await,
            1 => drop(publisher.delete(&server).await),
            // It is dropped before its connection is there.
            _ => assert_eq!(Publisher::publish(&server, true).await.delete(&server).await.status, 200),
        }
    }
    within("the last being noticed", metric_becomes(&server, SESSIONS, 0.0)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (before, held) = before.unwrap();
    let (after, holds) = (Footprint::of(server.id()).unwrap(), descriptors());
    println!(
        "{count} cycles: {} → {} MiB, {} → {} threads, {held} → {holds} descriptors",
        before.rss >> 20,
        after.rss >> 20,
        before.threads,
        after.threads
    );
    assert!(after.rss < before.rss + (24 << 20), "{before:?} {after:?}");
    assert!(after.threads <= before.threads + 8 && holds <= held + 8, "{before:?} {after:?}, {held} {holds}");
}
