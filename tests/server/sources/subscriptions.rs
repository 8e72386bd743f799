//! Reading along: server-sent events and WebSockets, from now on, from the start, and from where one was.

use super::{at, becomes, declare};
use crate::support::camera::Camera;
use crate::support::client::Client;
use crate::support::events::{subscribe, Events};
use crate::support::http::request;
use crate::support::server::Server;
use crate::transcripts::two_sentences;

#[tokio::test]
async fn a_browser_that_comes_back_gets_what_it_missed() {
    let camera = Camera::start(&two_sentences().samples);
    let server = Server::start(&["--partials", "none"]);
    let view = declare(&server, at("door", &camera.url("aac"))).await;
    let path = format!("/v1/sessions/{}/events", view["session_id"].as_str().unwrap());
    let mut events = Events::request(&server, &format!("{path}?after=0"), "").await;
    assert!(events.status == 200 && events.head.contains("text/event-stream"), "{}", events.head);
    let start = events.next_of("speech_start").await;
    assert_eq!(start.id, start.data["seq"].as_u64());
    drop(events);
    let mut back = Events::request(&server, &path, &format!("Last-Event-ID: {}\r\n", start.id.unwrap())).await;
    let next = back.next().await.unwrap();
    assert_eq!(next.id, start.id.map(|id| id + 1), "{next:?}");

    // Whoever does not say what he has hears what comes from now on.
    becomes(&server, "door", "streaming").await;
    let newcomer = Events::request(&server, &path, "").await;
    let mut all = vec![next];
    while all.last().unwrap().event != "final" {
        all.push(back.next().await.unwrap());
    }
    let deleted = request(&server, "DELETE", "/v1/sources/door").await;
    assert_eq!(deleted.status, 204);
    all.extend(back.rest().await);
    let heard = newcomer.rest().await;
    assert_eq!(heard.last().unwrap().event, "closed");
    assert!(all.ends_with(&heard), "both hear the same: {all:?} {heard:?}");
}

#[tokio::test]
async fn a_subscription_lasts_longer_than_requests_may() {
    let camera = Camera::start(&two_sentences().samples);
    // Other connections have six seconds.
    let server = Server::start(&["--partials", "none", "--request-timeout", "1"]);
    let view = declare(&server, at("door", &camera.url("pcmu"))).await;
    let path = format!("/v1/sessions/{}/events?after=0", view["session_id"].as_str().unwrap());
    let mut events = Events::request(&server, &path, "").await;
    for _ in 0..3 {
        events.next_of("final").await;
    }
}

#[tokio::test]
async fn sessions_of_clients_can_be_read_along_and_ends_are_ends() {
    let server = Server::start(&["--max-unread", "8"]);
    let mut client = Client::request(&server, "").await.unwrap();
    let ready = client.receiver.next().await;
    let id = ready["session_id"].as_str().unwrap();
    let mut reader = subscribe(&server, id, 0).await;
    assert_eq!(reader.next().await, ready);
    for wrong in ["x", "00000000-0000-0000-0000-000000000000"] {
        request(&server, "GET", &format!("/v1/sessions/{wrong}/events")).await.problem("not-found", 404);
    }
    let path = format!("/v1/sessions/{id}/events");
    request(&server, "GET", &format!("{path}?behind=1")).await.problem("invalid-parameter", 400);
    // A number that was never given: whoever has it has missed something.
    let mut lost = Events::request(&server, &path, "Last-Event-ID: 999\r\n").await;
    let told = lost.next().await.unwrap();
    assert_eq!((told.event.as_str(), told.id), ("error", None), "{told:?}");
    assert_eq!(lost.next().await.unwrap().data, ready);
    client.transcribe(Vec::new()).await;
    assert_eq!(reader.rest().await.last().unwrap()["reason"], "client_closed");
    // Who comes late is told of the end.
    let late = Events::request(&server, &path, "").await.rest().await;
    assert_eq!(late.iter().map(|sent| sent.event.as_str()).collect::<Vec<_>>(), ["closed"]);
}
