//! A source whose session fails by itself gets another one.

use e2e_tests::clips::{named, Composition};

use super::{at, becomes, declare, look};
use crate::faults::limit_memory;
use crate::support::camera::Camera;
use crate::support::events::subscribe;
use crate::support::http::{metric, metric_becomes, request};
use crate::support::server::Server;
use crate::support::verdict::words_are_right;
use crate::transcripts::two_sentences;

#[tokio::test]
async fn a_source_whose_transcription_fails_is_opened_again() {
    let said = Composition::new().silence(0.5).clip(named("librivox-sense-0930")).silence(1.5);
    let camera = Camera::start(&said.samples);
    // Two threads: for a single one the model has all memory when it is loaded.
    let server = Server::start(&["--partials", "none", "--threads", "2"]);
    let first = declare(&server, at("door", &camera.url("radio"))).await["session_id"].clone();
    let mut receiver = subscribe(&server, first.as_str().unwrap(), 0).await;
    receiver.next_of("speech_start").await;
    // The engine finds no memory for what it needs to decode with.
    limit_memory(server.id(), Some(512 << 10));
    let rest = receiver.rest().await;
    limit_memory(server.id(), None);
    let [.., error, closed] = &rest[..] else { panic!("{rest:?}") };
    assert_eq!(error["problem"]["type"], "urn:pipeline-server:problem:transcription-failed", "{error}");
    assert_eq!(closed["reason"], "failed");
    let waiting = look(&server, "door").await;
    if waiting["reopened"] == 0 {
        assert_eq!((&waiting["state"]["status"], &waiting["session_id"]), (&"waiting".into(), &first), "{waiting}");
        assert_eq!(waiting["problem"], error["problem"], "{waiting}");
        assert_eq!(metric(&server, "pipeline_server_source_streaming{name=\"door\"}").await, 0.0);
    }

    metric_becomes(&server, "pipeline_server_source_sessions_reopened_total{name=\"door\"}", 1.0).await;
    let view = becomes(&server, "door", "streaming").await;
    assert_eq!((view["reopened"].as_u64(), view.get("problem")), (Some(1), None), "{view}");
    assert_ne!(view["session_id"], first);
    let mut receiver = subscribe(&server, view["session_id"].as_str().unwrap(), 0).await;
    // The first one may have begun before it was there.
    receiver.next_of("final").await;
    let last = receiver.next_of("final").await;
    words_are_right(&said.text(), std::slice::from_ref(&last), 5.0);
}

#[tokio::test]
async fn a_source_that_found_no_place_gets_one_when_there_is_one() {
    let camera = Camera::start(&two_sentences().samples);
    let sources = format!(
        r#"[{{"name":"first","url":"{}"}},{{"name":"second","url":"{}"}}]"#,
        camera.url("radio"),
        camera.url("aac")
    );
    let server = Server::start(&["--partials", "none", "--max-sessions", "1", "--sources", &sources]);
    becomes(&server, "first", "streaming").await;
    let waiting = becomes(&server, "second", "waiting").await;
    assert_eq!(waiting["problem"]["type"], "urn:pipeline-server:problem:too-many-sessions", "{waiting}");
    assert!(waiting["state"]["retry_in_seconds"].as_f64().unwrap() <= 30.0 && waiting.get("session_id").is_none());
    let gone = request(&server, "DELETE", "/v1/sources/first").await;
    assert_eq!(gone.status, 204);
    let view = becomes(&server, "second", "streaming").await;
    assert_eq!(view.get("problem"), None, "{view}");
}

#[tokio::test]
async fn what_no_session_can_mend_is_not_tried_again() {
    let camera = Camera::start(&two_sentences().samples);
    let server = Server::start(&["--partials", "none"]);
    let mono = serde_json::json!({ "name": "mono", "url": camera.url("opus"), "channel": 5 });
    declare(&server, mono).await;
    let failed = becomes(&server, "mono", "failed").await;
    assert_eq!((&failed["reopened"], failed["problem"]["type"].as_str()), (&0.into(), Some("")), "{failed}");
}
