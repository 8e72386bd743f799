//! What goes wrong is told, and tried again only where that can help.

use serde_json::json;

use super::{at, becomes, declare};
use crate::support::camera::Camera;
use crate::support::events::subscribe;
use crate::support::http::{metric, request};
use crate::support::server::Server;
use crate::transcripts::two_sentences;

#[tokio::test]
async fn what_stays_wrong_is_given_up_and_a_camera_that_is_off_is_waited_for() {
    let speech = two_sentences().samples;
    let mut locked = Camera::start_with(&speech, &["viewer:s3cret-word"]);
    let server = Server::start(&["--partials", "none"]);
    let with = |login: &str, stream: &str| format!("rtsp://{login}127.0.0.1:{}/{stream}", locked.port);
    for (name, url, fault) in [
        ("no-password", with("", "aac"), "unauthorized"),
        ("wrong-password", with("viewer:wr0ng-word@", "aac"), "unauthorized"),
        ("wrong-stream", with("viewer:s3cret-word@", "garden"), "not_found"),
        ("silent", with("viewer:s3cret-word@", "silent-film"), "no_audio"),
    ] {
        let view = declare(&server, at(name, &url)).await;
        let failed = becomes(&server, name, "failed").await;
        assert_eq!(failed["state"]["fault"], fault, "{failed}");
        // Whoever comes too late is still told why.
        let mut receiver = subscribe(&server, view["session_id"].as_str().unwrap(), 0).await;
        let rest = receiver.rest().await;
        let error = rest.iter().find(|message| message["type"] == "error").unwrap();
        assert_eq!(error["problem"]["type"], "urn:pipeline-server:problem:source-failed");
        assert_eq!(rest.last().unwrap()["reason"], "source_failed");
    }
    let track = json!({ "name": "track", "url": with("viewer:s3cret-word@", "aac"), "audio_track": 1 });
    declare(&server, track).await;
    assert_eq!(becomes(&server, "track", "failed").await["state"]["fault"], "no_audio");

    let right = with("viewer:s3cret-word@", "aac");
    locked.kill();
    declare(&server, at("off", &right)).await;
    let waiting = becomes(&server, "off", "waiting").await;
    assert_eq!(waiting["state"]["fault"], "unreachable", "{waiting}");
    locked.restart();
    becomes(&server, "off", "streaming").await;
    assert!(
        metric(&server, "pipeline_server_source_faults_total{source=\"rtsp\",fault=\"unauthorized\"}").await >= 2.0
    );

    let list = request(&server, "GET", "/v1/sources").await.body;
    server.signal(libc::SIGTERM);
    let log = server.finish().stderr;
    for secret in ["s3cret-word", "wr0ng-word"] {
        assert!(!list.contains(secret) && !log.contains(secret), "{secret} in {list}\n{log}");
    }
    assert!(list.contains("rtsp://***@127.0.0.1") && log.contains("wrong-password"), "{list}\n{log}");
}

#[tokio::test]
async fn a_camera_that_hangs_is_noticed_and_comes_back() {
    let camera = Camera::start(&two_sentences().samples);
    let server = Server::start(&["--partials", "none"]);
    let source = json!({ "name": "door", "url": camera.url("opus"), "stall_timeout_seconds": 1 });
    declare(&server, source).await;
    becomes(&server, "door", "streaming").await;
    camera.signal(libc::SIGSTOP);
    let waiting = becomes(&server, "door", "waiting").await;
    assert_eq!(waiting["state"]["fault"], "stalled", "{waiting}");
    camera.signal(libc::SIGCONT);
    becomes(&server, "door", "streaming").await;
}
