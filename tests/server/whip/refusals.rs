//! Offers that can't be taken, and who may make some.

use crate::access::key;
use crate::support::http::{metric, request, request_with, send_text};
use crate::support::publisher::{Offer, Publisher, FRAGMENT, SDP};
use crate::support::server::Server;
use crate::whip::SESSIONS;

/// A description that `str0m` did not write, without media.
const HEAD: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=ice-ufrag:abcd\r\n\
                    a=ice-pwd:0123456789012345678901\r\na=setup:actpass\r\na=fingerprint:sha-256 \
                    AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA\r\n";

fn media(line: &str, direction: &str, map: &str) -> String {
    format!("m={line}\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na={direction}\r\na=rtcp-mux\r\n{map}\r\n")
}

#[tokio::test]
async fn offers_that_make_no_sense_or_have_no_audio_are_refused() {
    let server = Server::start(&[]);
    let post = async |kind: &str, body: &str| send_text(&server, "POST", "/whip", kind, "", body).await;
    let offer = Offer::new(false).await.sdp;
    post("application/json", &offer).await.problem("unsupported-media-type", 415);
    for malformed in ["", "v=0", "nonsense\r\n", HEAD, &offer[..offer.len() / 2], &offer.replace("a=ice-ufrag", "a=x")]
    {
        post(SDP, malformed).await.problem("invalid-offer", 400);
    }
    post(SDP, &"a=x\r\n".repeat(20_000)).await.problem("message-too-large", 413);
    let opus = "a=rtpmap:111 opus/48000/2";
    let audio = |direction| HEAD.to_owned() + &media("audio 9 UDP/TLS/RTP/SAVPF 111", direction, opus);
    assert_eq!(post(SDP, &audio("sendonly")).await.status, 201);
    for without in [
        audio("recvonly"),
        audio("inactive"),
        HEAD.to_owned() + &media("audio 9 UDP/TLS/RTP/SAVPF 111", "sendonly", "a=rtpmap:111 speex/16000"),
        HEAD.to_owned() + &media("video 9 UDP/TLS/RTP/SAVPF 96", "sendonly", "a=rtpmap:96 VP8/90000"),
    ] {
        post(SDP, &without).await.problem("unacceptable-offer", 422);
    }
    assert_eq!(metric(&server, SESSIONS).await, 1.0, "what was refused has no session");
}

#[tokio::test]
async fn video_is_declined_and_audio_taken() {
    let server = Server::start(&[]);
    let video = media("video 9 UDP/TLS/RTP/SAVPF 96", "sendonly", "a=rtpmap:96 VP8/90000").replace("mid:0", "mid:1");
    let audio = media("audio 9 UDP/TLS/RTP/SAVPF 111", "sendonly", "a=rtpmap:111 opus/48000/2");
    for (order, offer) in [("0 1", audio.clone() + &video), ("1 0", video.clone() + &audio)] {
        let offer = HEAD.replace("BUNDLE 0", &format!("BUNDLE {order}")) + &offer;
        let answer = send_text(&server, "POST", "/whip", SDP, "", &offer).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let part = |kind: &str| answer.body.split("m=").find(|part| part.starts_with(kind)).unwrap();
        assert!(part("video 0 ").contains("a=inactive") || part("video 0 ").starts_with("video 0 "), "{answer:?}");
        assert!(part("audio 9 ").contains("a=recvonly") && part("audio 9 ").contains("candidate:"), "{answer:?}");
        assert!(part("audio 9 ").contains("useinbandfec=1"), "{answer:?}");
    }
}

#[tokio::test]
async fn whoever_has_a_key_or_a_token_may_publish() {
    let (secret, setting) = key("studio");
    let server = Server::start(&["--keys", &setting, "--max-sessions", "1"]);
    let offer = Offer::new(false).await;
    offer.post(&server, "", "").await.problem("unauthorized", 401);
    offer.post(&server, "token=x", "").await.problem("unauthorized", 401);
    let bearer = format!("Authorization: Bearer {secret}\r\n");
    let token = request_with(&server, "POST", "/v1/tokens", &bearer).await.body;
    let token: serde_json::Value = serde_json::from_str(&token).unwrap();
    let publisher = offer.post(&server, &format!("token={}", token["token"].as_str().unwrap()), "").await;
    Offer::new(false).await.post(&server, "", &bearer).await.problem("too-many-sessions", 503);
    let events = format!("/v1/sessions/{}/events?after=0", publisher.headers["x-session-id"]);
    request(&server, "GET", &events).await.problem("unauthorized", 401);
    // Its address is a secret of whoever got it.
    request(&server, "DELETE", "/whip/00000000-0000-4000-8000-000000000000").await.problem("not-found", 404);
    request(&server, "DELETE", "/whip/x").await.problem("not-found", 404);
    assert_eq!(request(&server, "DELETE", &publisher.headers["location"]).await.status, 200);
}

#[tokio::test]
async fn pages_from_elsewhere_may_publish_where_they_are_let() {
    let server = Server::start(&["--allow-origins", "https://studio.example"]);
    let (studio, evil) = ("Origin: https://studio.example\r\n", "Origin: https://evil.example\r\n");
    let asked = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n";
    let preflight = request_with(&server, "OPTIONS", "/whip", &format!("{studio}{asked}")).await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.headers["access-control-allow-origin"], "https://studio.example");
    assert!(preflight.headers["access-control-allow-methods"].contains("DELETE"), "{preflight:?}");
    assert!(preflight.headers["access-control-allow-headers"].contains("content-type"), "{preflight:?}");
    assert_eq!(preflight.headers["accept-post"], SDP);
    let preflight = request_with(&server, "OPTIONS", "/whip/x", &format!("{evil}{asked}")).await;
    assert!(!preflight.headers.contains_key("access-control-allow-origin"), "{preflight:?}");

    let offer = Offer::new(false).await;
    let refused = offer.post(&server, "", evil).await;
    refused.problem("foreign-origin", 403);
    assert!(!refused.headers.contains_key("access-control-allow-origin"), "{refused:?}");
    let answer = offer.post(&server, "", studio).await;
    assert_eq!((answer.status, &*answer.headers["access-control-allow-origin"]), (201, "https://studio.example"));
    for header in ["location", "etag", "link", "x-session-id"] {
        assert!(answer.headers["access-control-expose-headers"].contains(header), "{answer:?}");
        assert!(answer.headers.contains_key(header), "{answer:?}");
    }
    let gone = request_with(&server, "DELETE", "/whip/x", studio).await;
    assert_eq!(gone.headers["access-control-allow-origin"], "https://studio.example");
}

#[tokio::test]
async fn settings_stand_in_the_address_and_changes_say_of_what() {
    let server = Server::start(&[]);
    let offer = Offer::new(false).await;
    offer.post(&server, "langage=en", "").await.problem("invalid-parameter", 400);
    offer.post(&server, "min_silence_ms=1", "").await.problem("invalid-setting", 422);
    let publisher = Publisher::publish(&server, false).await;
    let patch = async |kind: &str, headers: &str| {
        send_text(&server, "PATCH", publisher.location(), kind, headers, "a=end-of-candidates\r\n").await
    };
    patch(SDP, "If-Match: *\r\n").await.problem("unsupported-media-type", 415);
    patch(FRAGMENT, "").await.problem("no-condition", 428);
    patch(FRAGMENT, "If-Match: \"other\"\r\n").await.problem("other-state", 412);
    assert_eq!(patch(FRAGMENT, &format!("If-Match: {}\r\n", publisher.answer.headers["etag"])).await.status, 204);
    request(&server, "GET", "/whip").await.problem("method-not-allowed", 405);
    let off = Server::start(&["--whip-udp", "off"]);
    offer.post(&off, "", "").await.problem("not-found", 404);
}
