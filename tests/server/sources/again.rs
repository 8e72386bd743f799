//! A source whose session ends by itself gets another one.

use serde_json::json;

use super::peers::{ffmpeg, free_port, speech};
use super::{becomes, declare};
use crate::support::camera::Camera;
use crate::support::events::subscribe;
use crate::support::http::{metric, request};
use crate::support::server::Server;
use crate::support::verdict::words_are_right;
use crate::transcripts::two_sentences;

#[tokio::test]
async fn a_source_whose_transcription_fails_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let (said, path) = speech(folder.path());
    let port = free_port();
    let peer = format!("srt://127.0.0.1:{port}?mode=listener");
    // It lacks the channel that is wanted, so that there is nothing to transcribe.
    let mono = ffmpeg(&path, &["-ac", "1", "-f", "mpegts", &peer]);
    let server = Server::start(&["--partials", "none"]);
    let url = format!("srt://127.0.0.1:{port}?mode=caller");
    let first = declare(&server, json!({ "name": "stage", "url": url, "channel": 1 })).await["session_id"].clone();
    let mut receiver = subscribe(&server, first.as_str().unwrap(), 0).await;
    let rest = receiver.rest().await;
    let [.., error, closed] = &rest[..] else { panic!("{rest:?}") };
    assert_eq!(error["problem"]["type"], "urn:pipeline-server:problem:transcription-failed", "{error}");
    assert_eq!(closed["reason"], "failed");
    assert_eq!(metric(&server, "pipeline_server_source_streaming{name=\"stage\"}").await, 0.0);
    drop(mono);

    // Somebody mends it.
    let _stereo = ffmpeg(&path, &["-ac", "2", "-f", "mpegts", &peer]);
    let view = becomes(&server, "stage", "streaming").await;
    let reopened = view["reopened"].as_u64().unwrap();
    assert!(reopened > 0 && view["session_id"] != first && view.get("problem").is_none(), "{view}");
    let counted = metric(&server, "pipeline_server_source_sessions_reopened_total{name=\"stage\"}").await;
    assert_eq!(counted as u64, reopened);
    let mut receiver = subscribe(&server, view["session_id"].as_str().unwrap(), 0).await;
    let finals = [receiver.next_of("final").await, receiver.next_of("final").await];
    words_are_right(&said.text(), &finals, 5.0);
}

#[tokio::test]
async fn a_source_that_found_no_place_gets_one_when_there_is_one() {
    let camera = Camera::start(&two_sentences().samples);
    let sources = json!([
        { "name": "first", "url": camera.url("radio") },
        { "name": "second", "url": camera.url("aac") },
    ]);
    let server = Server::start(&["--partials", "none", "--max-sessions", "1", "--sources", &sources.to_string()]);
    becomes(&server, "first", "streaming").await;
    let waiting = becomes(&server, "second", "waiting").await;
    assert_eq!(waiting["problem"]["type"], "urn:pipeline-server:problem:too-many-sessions", "{waiting}");
    assert!(waiting["state"]["retry_in_seconds"].as_f64().unwrap() <= 30.0 && waiting.get("session_id").is_none());
    assert_eq!(request(&server, "DELETE", "/v1/sources/first").await.status, 204);
    let view = becomes(&server, "second", "streaming").await;
    assert_eq!(view.get("problem"), None, "{view}");
}
