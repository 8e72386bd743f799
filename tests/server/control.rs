//! Control messages.

use e2e_tests::clips::named;
use serde_json::json;

use crate::support::client::{f32le, Client};
use crate::support::server::Server;
use crate::support::verdict::words_are_right;
use crate::transcripts::two_sentences;

#[tokio::test]
async fn finalize_ends_the_utterance_without_any_silence() {
    let server = Server::start(&[]);
    let clip = named("librivox-sense-0920");
    let end = (clip.speech.end * 16_000.0) as usize;
    let mut client = Client::connect(&server, "").await;
    client.sender.audio(&clip.samples[..end]).await;
    client.sender.control(json!({ "type": "finalize" })).await;
    let last = client.receiver.next_of("final").await;
    words_are_right(&clip.text, &[last], 0.0);
    // The session goes on.
    let messages = client.transcribe(f32le(&clip.samples)).await;
    words_are_right(&clip.text, &messages, 0.0);
}

#[tokio::test]
async fn a_sign_of_life_is_answered_with_how_much_audio_there_is() {
    let server = Server::start(&[]);
    let mut client = Client::connect(&server, "").await;
    client.sender.control(json!({ "type": "keepalive" })).await;
    assert_eq!(client.receiver.next_of("alive").await["audio_bytes"], 0);
    let clip = named("librivox-sense-0920");
    client.sender.audio(&clip.samples).await;
    client.sender.control(json!({ "type": "keepalive" })).await;
    assert_eq!(client.receiver.next_of("alive").await["audio_bytes"], 4 * clip.samples.len());
}

#[tokio::test]
async fn a_session_is_configured_before_and_while_audio_comes() {
    let server = Server::start(&[]);
    let signal = two_sentences();
    let mut client = Client::connect(&server, "").await;
    client.sender.control(json!({ "type": "configure", "partials": "none", "min_silence_ms": 800 })).await;
    client.sender.audio(&signal.samples).await;
    let last = loop {
        let message = client.receiver.next().await;
        assert_ne!(message["type"], "partial", "{message}");
        if message["type"] == "final" {
            break message;
        }
    };
    assert_eq!(last["revision"], 1);

    // End-pointing is settled once there is audio; the session goes on all the same.
    client.sender.control(json!({ "type": "configure", "min_silence_ms": 300 })).await;
    let error = client.receiver.next_of("error").await;
    assert_eq!(error["problem"]["type"], "urn:pipeline-server:problem:invalid-setting");
    assert_eq!(error["fatal"], false);
    assert!(error["problem"]["detail"].as_str().unwrap().contains("min-silence"), "{error}");

    client.sender.control(json!({ "type": "configure", "partials": "interval" })).await;
    client.speak_until(&signal.samples, "partial").await;
}

#[tokio::test]
async fn words_stay_that_the_decoder_chose_without_a_look_at_the_end() {
    let server = Server::start(&[]);
    let clip = named("librivox-sense-0920");
    // With all of the audio as margin the decoder has looked into it for every word.
    let mut careful = Client::connect(&server, "partials=align_att&attention_margin_ms=10000").await;
    // The client checks that what is stable stays, up to and in the final.
    loop {
        let message = careful.speak_until(&clip.samples, "partial").await;
        assert_eq!(message["stable"], "", "{message}");
        if message["text"].as_str().unwrap().split(' ').count() > 4 {
            break;
        }
    }
    careful.sender.control(json!({ "type": "configure", "attention_margin_ms": 300 })).await;
    loop {
        let message = careful.speak_until(&clip.samples, "partial").await;
        if message["stable"] != "" {
            break;
        }
    }
    careful.speak_until(&clip.samples, "final").await;
}

/// Nobody makes a pause here, so that utterances are cut at their greatest length, some before words that are stable:
/// the client checks that the next ones begin with those.
#[tokio::test]
async fn what_is_stable_behind_a_cut_begins_the_next_utterance() {
    let server = Server::start(&[]);
    let clip = named("librivox-sense-0920");
    let speech = (clip.speech.start * 16_000.0) as usize..(clip.speech.end * 16_000.0) as usize;
    let unbroken = clip.samples[speech].repeat(12);
    let mut client = Client::connect(&server, "partials=align_att&max_utterance_ms=5000").await;
    loop {
        // With stable words only: those behind the cut, shown before anything is decoded.
        let message = client.speak_until(&unbroken, "partial").await;
        if message["revision"] == 1 && message["text"] == message["stable"] {
            break;
        }
    }
    // That of the utterance which was cut.
    let last = client.speak_until(&unbroken, "final").await;
    assert_eq!(last["forced"], true, "{last}");
}

#[tokio::test]
async fn an_engine_that_cannot_tell_where_the_decoder_looks_says_so() {
    let server = Server::start(&["--engine", "whisper-cpp"]);
    let clip = named("librivox-sense-0920");
    let mut client = Client::connect(&server, "partials=none").await;
    client.sender.audio(&clip.samples).await;
    client.receiver.next_of("speech_start").await;
    client.sender.control(json!({ "type": "configure", "partials": "align_att" })).await;
    let error = client.receiver.next_of("error").await;
    assert_eq!(error["problem"]["type"], "urn:pipeline-server:problem:invalid-setting", "{error}");
    assert_eq!(error["fatal"], false);
    assert!(error["problem"]["detail"].as_str().unwrap().contains("engine=onnx"), "{error}");
}

#[tokio::test]
async fn a_setting_that_is_not_possible_is_said_to_be_so() {
    let server = Server::start(&[]);
    let mut client = Client::connect(&server, "").await;
    client.sender.text(r#"{"type":"configure","min_silence_ms":5}"#).await;
    let error = client.receiver.next().await;
    assert_eq!(error["problem"]["status"], 422);
    assert!(error["problem"]["detail"].as_str().unwrap().contains("5 is not from 32"), "{error}");

    // The bundled model knows English only; that is known when the model meets the language.
    client.sender.control(json!({ "type": "configure", "language": "de" })).await;
    client.sender.audio(&named("librivox-sense-0920").samples).await;
    let messages = client.receiver.rest().await;
    let error = messages.iter().find(|m| m["type"] == "error").unwrap();
    assert_eq!(error["problem"]["type"], "urn:pipeline-server:problem:invalid-setting", "{error}");
    assert_eq!(error["fatal"], true);
    assert!(error["problem"]["detail"].as_str().unwrap().contains("multilingual"), "{error}");
    assert_eq!(messages.last().unwrap()["reason"], "invalid_input");
}

#[tokio::test]
async fn a_language_that_the_model_does_not_know_changes_nothing_while_audio_comes() {
    let server = Server::start(&[]);
    let clip = named("librivox-sense-0920");
    let mut client = Client::connect(&server, "").await;
    client.sender.audio(&clip.samples).await;
    client.receiver.next_of("speech_start").await;
    for (language, named) in [("de", "multilingual"), ("klingon", "klingon")] {
        client.sender.control(json!({ "type": "configure", "language": language })).await;
        let error = client.receiver.next_of("error").await;
        assert_eq!(error["problem"]["type"], "urn:pipeline-server:problem:invalid-setting", "{error}");
        assert_eq!(error["fatal"], false);
        assert!(error["problem"]["detail"].as_str().unwrap().contains(named), "{error}");
    }
    let messages = client.transcribe(f32le(&clip.samples)).await;
    words_are_right(&clip.text, &messages[messages.len() - 2..], 5.0);
    assert_eq!(messages.last().unwrap()["reason"], "client_closed");
}

#[tokio::test]
async fn settings_may_come_with_the_address() {
    let server = Server::start(&[]);
    let clip = named("librivox-sense-0920");
    let client = Client::connect(&server, "partials=none&full_transcript=false&language=en").await;
    let messages = client.transcribe(f32le(&clip.samples)).await;
    words_are_right(&clip.text, &messages, 0.0);
    assert!(messages.iter().all(|m| m["type"] != "partial" && m["full_transcript"].is_null()));
}
