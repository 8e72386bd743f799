//! What a client gets that sends what it should not.

use e2e_tests::clips::named;
use serde_json::json;

use crate::support::client::{f32le, Client};
use crate::support::server::Server;
use crate::support::verdict::words_are_right;

/// The last messages must be a fatal error of that kind and `closed` for that reason; returns the error's detail.
async fn refused(mut client: Client, kind: &str, reason: &str, code: u16) -> String {
    let messages = client.receiver.rest().await;
    let [.., error, closed] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!(error["problem"]["type"], format!("urn:pipeline-server:problem:{kind}"), "{error}");
    assert_eq!(error["fatal"], true);
    assert_eq!(closed["reason"], reason);
    assert_eq!(client.receiver.close_code(), code);
    error["problem"]["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn frames_of_odd_length_are_refused() {
    let server = Server::start(&[]);
    let mut client = Client::connect(&server, "").await;
    client.sender.binary(vec![0; 4_001]).await;
    let detail = refused(client, "invalid-audio", "invalid_input", 1007).await;
    assert!(detail.contains("4001 bytes") && detail.contains("4 bytes"), "{detail}");
}

#[tokio::test]
async fn integers_where_floats_are_due_are_refused() {
    let server = Server::start(&[]);
    let mut client = Client::connect(&server, "").await;
    let samples = &named("jfk-inaugural").samples;
    let integers = samples.iter().flat_map(|s| ((s * 32_767.0) as i16).to_le_bytes());
    client.sender.binary(integers.take(400_000).collect::<Vec<u8>>()).await;
    let detail = refused(client, "invalid-audio", "invalid_input", 1007).await;
    assert!(detail.contains("encoding=s16le"), "{detail}");
}

#[tokio::test]
async fn text_where_audio_is_due_is_refused() {
    let server = Server::start(&[]);
    let mut client = Client::connect(&server, "").await;
    client.sender.text("AAAAAAAA").await;
    let detail = refused(client, "invalid-message", "invalid_input", 1007).await;
    assert!(detail.contains("binary"), "{detail}");
}

#[tokio::test]
async fn messages_over_the_limit_are_refused_whatever_their_size() {
    let server = Server::start(&["--max-message", "65536"]);
    for size in [65_540, 100_000_000] {
        let client = Client::connect(&server, "").await;
        let Client { mut sender, receiver } = client;
        // It may break off while it is being sent.
        let sending = tokio::spawn(async move {
            let _ = sender.try_binary(vec![0; size]).await;
            sender
        });
        let client = Client { sender: Client::connect(&server, "").await.sender, receiver };
        let detail = refused(client, "message-too-large", "invalid_input", 1007).await;
        assert!(detail.contains("65536"), "{detail}");
        drop(sending);
    }
    // Nobody else is the worse for it.
    let clip = named("librivox-sense-0920");
    let messages = Client::connect(&server, "").await.transcribe(f32le(&clip.samples)).await;
    words_are_right(&clip.text, &messages, 0.0);
}

#[tokio::test]
async fn a_message_that_is_not_understood_is_told_and_the_session_goes_on() {
    let server = Server::start(&[]);
    let mut client = Client::connect(&server, "").await;
    for (text, named) in [
        (r#"{"type":"reset"}"#, "reset"),
        (r#"{"type":"configure","model":"large-v3"}"#, "model"),
        (r#"{"type":"close","soon":1}"#, "soon"),
        (r#"{"type":"#, "EOF"),
    ] {
        client.sender.text(text).await;
        let error = client.receiver.next().await;
        assert_eq!(error["problem"]["type"], "urn:pipeline-server:problem:invalid-message", "{error}");
        assert_eq!(error["fatal"], false);
        assert!(error["problem"]["detail"].as_str().unwrap().contains(named), "{error}");
    }
    let clip = named("librivox-sense-0920");
    let messages = client.transcribe(f32le(&clip.samples)).await;
    words_are_right(&clip.text, &messages, 0.0);
}

#[tokio::test]
async fn patience_with_what_is_not_understood_has_an_end() {
    let server = Server::start(&[]);
    let mut client = Client::connect(&server, "").await;
    for _ in 0..16 {
        client.sender.text(r#"{"type":"?"}"#).await;
    }
    refused(client, "invalid-message", "invalid_input", 1007).await;
}

#[tokio::test]
async fn only_the_messages_of_the_protocol_are_in_the_schema() {
    use crate::support::client::assert_is_of_the_protocol;
    for message in [
        json!({ "type": "configure", "language": "de", "prompt": "GStreamer", "task": "translate" }),
        json!({ "type": "configure", "partials": "local_agreement", "partial_interval_ms": 250 }),
        json!({ "type": "configure", "partials": "align_att", "attention_margin_ms": 0 }),
        json!({ "type": "configure", "min_silence_ms": 300, "sentence_silence_ms": 0, "max_utterance_ms": 5_000 }),
        json!({ "type": "finalize" }),
        json!({ "type": "keepalive" }),
        json!({ "type": "close" }),
    ] {
        assert_is_of_the_protocol(&message);
    }
    let others = [json!({ "type": "configure", "model": "x" }), json!({ "type": "close", "x": 1 }), json!({})];
    for message in others {
        assert!(std::panic::catch_unwind(|| assert_is_of_the_protocol(&message)).is_err(), "{message}");
    }
}
