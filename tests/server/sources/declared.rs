//! Declaring sources: in settings, by clients, for good.

use serde_json::{json, Value};

use super::{at, becomes, declare, look};
use crate::support::camera::Camera;
use crate::support::events::subscribe;
use crate::support::http::{request, send};
use crate::support::server::{refuse, Server};
use crate::support::verdict::words_are_right;
use crate::support::within;
use crate::transcripts::two_sentences;

#[tokio::test]
async fn what_clients_declare_is_there_again_after_a_restart() {
    let said = two_sentences();
    let camera = Camera::start(&said.samples);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.toml");
    std::fs::create_dir(folder.path().join("captions")).unwrap();
    let settings = format!(
        "state-dir = {:?}\ncaptions-dir = {:?}\npartials = \"none\"\n[[sources]]\nname = \"of-settings\"\nurl = {:?}\n",
        folder.path().join("state"),
        folder.path().join("captions"),
        camera.url("pcma"),
    );
    std::fs::write(&file, settings).unwrap();
    let arguments = ["--config", file.to_str().unwrap()];

    let server = Server::start(&arguments);
    let door = json!({ "name": "door", "url": camera.url("aac"), "files": ["srt", "vtt", "jsonl"],
                       "settings": { "language": "en" } });
    declare(&server, door.clone()).await;
    declare(&server, at("gone", &camera.url("opus"))).await;
    send(&server, "POST", "/v1/sources", &door).await.problem("already-exists", 409);
    assert_eq!(request(&server, "DELETE", "/v1/sources/gone").await.status, 204);
    request(&server, "DELETE", "/v1/sources/gone").await.problem("not-found", 404);
    assert_eq!(look(&server, "of-settings").await["declared_by"], "settings");
    server.signal(libc::SIGTERM);
    assert_eq!(server.finish().code, Some(0));

    let server = Server::start(&arguments);
    let list: Value = serde_json::from_str(&request(&server, "GET", "/v1/sources").await.body).unwrap();
    let names: Vec<&str> = list.as_array().unwrap().iter().map(|view| view["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["door", "of-settings"]);
    let view = becomes(&server, "door", "streaming").await;
    assert_eq!(view["settings"]["language"], "en");

    // What is said there is written down, in order and with the time of day.
    let mut receiver = subscribe(&server, view["session_id"].as_str().unwrap(), 0).await;
    let last = receiver.next_of("final").await;
    let captions = folder.path().join("captions");
    let lines = within("captions", async {
        loop {
            let lines = std::fs::read_to_string(captions.join("door.jsonl")).unwrap_or_default();
            if lines.ends_with('\n') {
                return lines;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    let line: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!((&line["text"], &line["captured_at"]), (&last["text"], &last["captured_at"]), "{line}");
    words_are_right(&said.spoken[0].text, std::slice::from_ref(&last), 5.0);
    assert_eq!(request(&server, "DELETE", "/v1/sources/door").await.status, 204);
    let text = |ending: &str| std::fs::read_to_string(captions.join(format!("door.{ending}"))).unwrap();
    assert!(text("vtt").starts_with("WEBVTT\n\n00:00:") && text("srt").starts_with("1\n00:00:"), "{}", text("vtt"));
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let server = Server::start(&[]);
    for (body, named) in [
        (json!({}), "url"),
        (json!({ "url": "file:///etc/passwd" }), "url"),
        (json!({ "url": "rtsp://u:secret@" }), "url"),
        (json!({ "url": "rtsp://a", "name": "a/b" }), "name"),
        (json!({ "url": "rtsp://a", "files": ["srt"] }), "captions-dir"),
    ] {
        let problem = send(&server, "POST", "/v1/sources", &body).await.problem("invalid-parameter", 400);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(named) && !detail.contains("secret"), "{body}: {detail}");
    }
    let wrong = json!({ "url": "rtsp://a", "settings": { "min_silence_ms": 1 } });
    send(&server, "POST", "/v1/sources", &wrong).await.problem("invalid-setting", 422);
    assert_eq!(request(&server, "GET", "/v1/sources").await.body, "[]");
    for (arguments, named) in [
        (vec!["--sources", "camera"], "url"),
        (vec!["--captions-dir", "/no/such/folder"], "/no/such/folder"),
        (vec!["--sources", r#"[{"url":"rtsp://a","files":["srt"]}]"#], "--captions-dir"),
    ] {
        let refused = refuse(&arguments);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains(named), "{refused:?}");
    }
}

#[tokio::test]
async fn where_there_are_keys_sources_need_one() {
    let (secret, setting) = crate::access::key("door");
    let server = Server::start(&["--keys", &setting]);
    for (method, path) in [("GET", "/v1/sources"), ("DELETE", "/v1/sources/x")] {
        request(&server, method, path).await.problem("unauthorized", 401);
    }
    send(&server, "POST", "/v1/sources", &at("a", "rtsp://127.0.0.1:1/x")).await.problem("unauthorized", 401);
    let header = format!("Authorization: Bearer {secret}\r\n");
    let response = crate::support::http::request_with(&server, "GET", "/v1/sources", &header).await;
    assert_eq!((response.status, response.body.as_str()), (200, "[]"));
}
