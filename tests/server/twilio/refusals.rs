//! What is not as Twilio sends it.

use e2e_tests::clips::{named, Composition};
use serde_json::{json, Value};

use super::peer::{frames, one, start, watch, Stream};
use crate::support::server::Server;
use crate::support::verdict::words_are_right;

const ERRORS: f64 = 15.0;

/// How the server closes a connection over which this comes first.
async fn first(server: &Server, say: impl AsyncFnOnce(&mut Stream)) -> (u16, String) {
    let mut stream = Stream::request(server, &[]).await.unwrap();
    say(&mut stream).await;
    let close = stream.end().await;
    (close.code.into(), close.reason.to_string())
}

#[tokio::test]
async fn streams_that_can_not_be_heard_are_closed_with_a_reason() {
    let server = Server::start(&[]);
    let media = json!({ "track": "inbound", "chunk": "1", "timestamp": "5", "payload": "////" });
    let (code, reason) = first(&server, async |stream| stream.send("media", media.clone()).await).await;
    assert!(code == 1002 && reason.contains("start"), "{code} {reason}");
    let (code, _) = first(&server, async |stream| stream.text("hello").await).await;
    assert_eq!(code, 1007);
    let (code, reason) = first(&server, async |stream| stream.text(r#"{"event":"start","start":{}}"#).await).await;
    assert!(code == 1007 && reason.contains("callSid"), "{code} {reason}");
    let (code, _) = first(&server, async |stream| stream.binary(vec![0; 160]).await).await;
    assert_eq!(code, 1003);
    let (code, _) = first(&server, async |stream| stream.text(&"x".repeat(100_000)).await).await;
    assert_eq!(code, 1009);
    for (field, value, named) in [
        ("mediaFormat", json!({ "encoding": "audio/x-l16", "sampleRate": 16000, "channels": 1 }), "audio/x-l16"),
        ("tracks", json!(["side"]), "tracks"),
        ("callSid", json!(""), "callSid"),
    ] {
        let mut wrong = start(&["inbound"], json!({}));
        wrong[field] = value;
        let (code, reason) = first(&server, async |stream| stream.hello(wrong.clone()).await).await;
        assert!(code == 1003 && reason.contains(named), "{code} {reason}");
    }
}

/// A call in the midst of which something comes that is not right; returns all that was told, and the code at the end.
async fn disturbed(server: &Server, disturb: impl AsyncFnOnce(&mut Stream), ends: bool) -> (Vec<Value>, u16) {
    let said = Composition::new().silence(0.3).clip(named("librivox-sense-0920")).silence(0.3);
    let mut stream = Stream::begin(server, &["inbound"], json!({})).await;
    let mut log = watch(server).await;
    stream.play(&frames("inbound", 0, &said)).await;
    disturb(&mut stream).await;
    let close = if ends { stream.end().await } else { stream.stop().await };
    let messages = log.rest().await;
    // What came before is heard, whatever comes then.
    words_are_right(&said.text(), &messages, ERRORS);
    assert_eq!(messages.last().unwrap()["complete"], true);
    (messages, close.code.into())
}

fn problem(messages: &[Value]) -> (&str, &str) {
    let problem = &one(messages, "error")["problem"];
    (problem["type"].as_str().unwrap().rsplit(':').next().unwrap(), problem["detail"].as_str().unwrap())
}

#[tokio::test]
async fn a_message_that_is_not_understood_is_told_and_no_more() {
    let server = Server::start(&[]);
    let (messages, code) =
        disturbed(&server, async |stream| stream.text(r#"{"event":"media","media":{"track":1}}"#).await, false).await;
    assert_eq!((problem(&messages).0, code), ("invalid-message", 1000));
    let side = json!({ "track": "side", "chunk": "1", "timestamp": "5", "payload": "////" });
    let twice = async |stream: &mut Stream| {
        stream.send("media", side.clone()).await;
        stream.send("media", side.clone()).await;
    };
    let (messages, code) = disturbed(&server, twice, false).await;
    let (kind, detail) = problem(&messages);
    assert!(kind == "invalid-message" && detail.contains("side") && code == 1000, "{detail}");
}

#[tokio::test]
async fn what_is_none_of_twilios_ends_the_call() {
    let server = Server::start(&[]);
    for (disturbance, kind, code) in
        [("hello", "invalid-message", 1007), (&*"x".repeat(100_000), "message-too-large", 1009)]
    {
        let (messages, closed) = disturbed(&server, async |stream| stream.text(disturbance).await, true).await;
        assert_eq!((problem(&messages).0, closed), (kind, code));
        assert_eq!(messages.last().unwrap()["reason"], "invalid_input");
        assert_eq!(one(&messages, "call_end")["reason"], "failed");
    }
    let (messages, closed) = disturbed(&server, async |stream| stream.binary(vec![0; 160]).await, true).await;
    assert_eq!((problem(&messages).0, closed), ("invalid-message", 1003));
}
