//! How a client is reached, and that it may change.

use e2e_tests::clips::named;
use serde_json::json;
use tokio::net::UdpSocket;

use crate::support::http::{metric_becomes, send_text};
use crate::support::publisher::{Publisher, FRAGMENT};
use crate::support::server::Server;
use crate::support::verdict::words_are_right;
use crate::transcripts::two_sentences;
use crate::whip::SESSIONS;

#[tokio::test]
async fn more_candidates_may_come_and_those_with_hidden_names_do_no_harm() {
    let server = Server::start(&[]);
    let mut publisher = Publisher::publish(&server, true).await;
    let tag = format!("If-Match: {}\r\n", publisher.answer.headers["etag"]);
    let candidates = "a=ice-ufrag:x\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n\
                      a=candidate:1 1 udp 2113937151 0b2f3c1e-aaaa.local 50000 typ host\r\n\
                      a=candidate:2 1 udp 2113937150 192.0.2.77 50000 typ host\r\na=end-of-candidates\r\n";
    assert_eq!(send_text(&server, "PATCH", publisher.location(), FRAGMENT, &tag, candidates).await.status, 204);
    publisher.connect().await;
    publisher.control(json!({ "type": "close" })).await;
    publisher.next_of("closed").await;
    metric_becomes(&server, SESSIONS, 0.0).await;
}

#[tokio::test]
async fn a_client_goes_on_from_another_address_after_an_ice_restart() {
    let server = Server::start(&[]);
    let said = two_sentences();
    let mut publisher = Publisher::publish(&server, true).await;
    publisher.connect().await;
    let (first, second) = said.samples.split_at(said.samples.len() / 2);
    publisher.speak(first).await;
    let restarted = publisher.move_on(&server).await;
    assert_eq!(restarted.status, 200, "{restarted:?}");
    assert_eq!(restarted.headers["content-type"], FRAGMENT);
    assert_ne!(restarted.headers["etag"], publisher.answer.headers["etag"]);
    assert!(restarted.body.contains("a=ice-ufrag:") && restarted.body.contains("a=candidate:"), "{restarted:?}");
    publisher.speak(second).await;
    let messages = publisher.finish().await;
    words_are_right(&said.text(), &messages, 40.0);
    let last = said.spoken.last().unwrap();
    assert!(messages.iter().any(|m| m["type"] == "final" && m["end"].as_f64().unwrap() > last.start), "{messages:?}");
    metric_becomes(&server, SESSIONS, 0.0).await;
}

#[tokio::test]
async fn datagrams_from_anybody_harm_nobody() {
    let server = Server::start(&[]);
    let clip = named("librivox-sense-0920");
    let mut publisher = Publisher::publish(&server, true).await;
    let candidate = publisher.answer.body.lines().find(|line| line.starts_with("a=candidate:")).unwrap();
    let fields: Vec<&str> = candidate.split(' ').collect();
    let target = format!("{}:{}", fields[4], fields[5]);
    publisher.connect().await;
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let flood = tokio::spawn(async move {
        for first in (0..=255_u8).cycle() {
            let junk: Vec<u8> = (0..200_u8).map(|i| i.wrapping_mul(first)).chain([first]).rev().collect();
            let _ = stranger.send_to(&junk, &target).await;
            tokio::time::sleep(std::time::Duration::from_micros(500)).await;
        }
    });
    publisher.speak(&clip.samples).await;
    let messages = publisher.finish().await;
    flood.abort();
    words_are_right(&clip.text, &messages, 15.0);
}
