//! `encoding=auto`: files and streams in whatever format they are.

use std::path::Path;
use std::process::Command;

use e2e_tests::audio::{write_wav, SAMPLE_RATE};
use e2e_tests::clips::named;
use serde_json::json;

use crate::support::client::Client;
use crate::support::http::Response;
use crate::support::server::Server;
use crate::support::verdict::{finals, words_are_right};

const CLIP: &str = "librivox-sense-0920";

/// Runs a pipeline behind a WAV file with the samples; returns what it writes.
fn encoded(samples: &[f32], elements: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("a.wav"), folder.path().join("b"));
    write_wav(&from, samples, SAMPLE_RATE, 1).unwrap();
    let location = |path: &Path| format!("location={}", path.display());
    let status = Command::new("gst-launch-1.0")
        .args(["-q", "filesrc", &location(&from), "!", "wavparse", "!", "audioconvert", "!", "audioresample", "!"])
        .args(elements.split_whitespace())
        .args(["!", "filesink", &location(&to)])
        .status()
        .unwrap();
    assert!(status.success(), "{elements}");
    std::fs::read(to).unwrap()
}

/// As a network brings it.
fn pieces(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.chunks(3_001).map(<[u8]>::to_vec).collect()
}

#[tokio::test]
async fn all_common_formats_are_heard() {
    let server = Server::start(&[]);
    let clip = named(CLIP);
    for (elements, percent) in [
        // As MediaRecorder makes it: a stream without an index.
        ("opusenc ! webmmux streamable=true", 5.0),
        ("opusenc ! oggmux", 5.0),
        ("flacenc", 0.0),
        ("lamemp3enc", 5.0),
        ("wavenc", 0.0),
    ] {
        let client = Client::connect(&server, "encoding=auto&partials=none").await;
        let messages = client.transcribe(pieces(&encoded(&clip.samples, elements))).await;
        words_are_right(&clip.text, &messages, percent);
        let closed = messages.last().unwrap();
        assert_eq!((&closed["reason"], &closed["complete"]), (&json!("client_closed"), &json!(true)), "{elements}");
        let seconds = closed["totals"]["audio_seconds"].as_f64().unwrap();
        assert!((seconds - clip.seconds()).abs() < 0.2, "{elements}: {seconds} s");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_has_its_words_up_to_there() {
    let server = Server::start(&[]);
    let clip = named(CLIP);
    let webm = encoded(&[&clip.samples[..], &clip.samples].concat(), "opusenc ! webmmux streamable=true");
    let client = Client::connect(&server, "encoding=auto").await;
    let messages = client.transcribe(pieces(&webm[..webm.len() * 6 / 10])).await;
    let text = messages.iter().find(|m| m["type"] == "final").unwrap();
    words_are_right(&clip.text, std::slice::from_ref(text), 5.0);
    assert_eq!(messages.last().unwrap()["complete"], true);
}

#[tokio::test]
async fn an_utterance_in_a_stream_can_be_finalized() {
    let server = Server::start(&[]);
    let clip = named(CLIP);
    let webm = encoded(&clip.samples, "opusenc ! webmmux streamable=true");
    let (first, rest) = webm.split_at(webm.len() * 6 / 10);
    let mut client = Client::connect(&server, "encoding=auto").await;
    for piece in pieces(first) {
        client.sender.binary(piece).await;
    }
    client.sender.control(json!({ "type": "finalize" })).await;
    let messages = client.transcribe(pieces(rest)).await;
    // It is one utterance without; there is no pause in it.
    let finals = finals(&messages);
    assert!(finals.len() >= 2, "{finals:#?}");
    let end = finals[0]["end"].as_f64().unwrap();
    assert!(end > 1.0 && end < clip.speech.end - 1.0, "{end}");
}

#[tokio::test]
async fn what_is_no_audio_is_refused_with_what_it_is() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("silent.webm");
    let status = Command::new("gst-launch-1.0")
        .args(
            "-q videotestsrc num-buffers=20 ! video/x-raw,width=64,height=48 ! vp8enc ! webmmux ! filesink".split(' '),
        )
        .arg(format!("location={}", film.display()))
        .status()
        .unwrap();
    assert!(status.success());
    let text = "This is no audio at all, only some words in a row. ".repeat(400).into_bytes();
    for (bytes, named) in [(text, ""), (std::fs::read(&film).unwrap(), "no audio")] {
        let mut client = Client::connect(&server, "encoding=auto").await;
        for piece in pieces(&bytes) {
            if client.sender.try_binary(piece).await.is_err() {
                break;
            }
        }
        let _ = client.sender.try_text(r#"{"type":"close"}"#).await;
        let messages = client.receiver.rest().await;
        let error = messages.iter().find(|m| m["type"] == "error").unwrap();
        assert_eq!(error["problem"]["type"], "urn:pipeline-server:problem:invalid-audio", "{error}");
        assert!(error["problem"]["detail"].as_str().unwrap().contains(named), "{error}");
        assert_eq!(messages.last().unwrap()["reason"], "invalid_input");
    }
}

#[tokio::test]
async fn what_the_stream_says_itself_is_not_to_be_said_by_the_client() {
    let server = Server::start(&[]);
    for query in ["encoding=auto&sample_rate=16000", "encoding=auto&channels=2", "multichannel=true"] {
        let Err(error) = Client::request(&server, query).await else { panic!("{query} was taken") };
        Response::refusal(error).problem("invalid-parameter", 400);
    }
}
