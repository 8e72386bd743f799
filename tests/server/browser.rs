//! The page in a browser.

use e2e_tests::audio::{write_wav, SAMPLE_RATE};
use e2e_tests::clips::{named, Composition};
use e2e_tests::wer::word_errors;
use serde_json::{json, Value};
use tokio::process::Command;

use crate::access::key;
use crate::support::http::{metric_becomes, request};
use crate::support::server::Server;
use crate::support::{within, workspace};

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// What the page shows when `tests/server/browser.py` uses it.
async fn shown(server: &Server, said: &Composition, key: Option<&str>) -> Value {
    let python = workspace().join(".deps/python/bin/python3");
    let chromium = std::path::Path::new("/usr/bin/chromium");
    for peer in [&python, chromium] {
        assert!(peer.exists(), "{} is not there: make setup-tests", peer.display());
    }
    let folder = tempfile::tempdir().unwrap();
    let microphone = folder.path().join("microphone.wav");
    write_wav(&microphone, &said.samples, SAMPLE_RATE, 1).unwrap();
    let pictures = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    std::fs::create_dir_all(&pictures).unwrap();
    let output = Command::new(python)
        .arg("tests/server/browser.py")
        .arg(format!("http://{}/", server.address))
        .arg(&microphone)
        .arg("tests/data/speech/librivox-sense-0930.flac")
        .arg(&pictures)
        .args(key)
        .current_dir(workspace())
        .kill_on_drop(true)
        .output();
    let output = within("the browser", output).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn the_page_asks_for_a_key_where_the_server_wants_one() {
    let (secret, setting) = key("page");
    let server = Server::start(&["--keys", &setting]);
    let said = Composition::new().silence(1.0).clip(named("librivox-sense-0920")).silence(1.5);
    let shown = shown(&server, &said, Some(&secret)).await;
    assert!(!texts(&shown["microphone"]).is_empty(), "{shown}");
    assert_eq!(shown["asked"], false);
}

#[tokio::test]
async fn the_page_shows_what_is_said_into_the_microphone_and_what_is_in_a_file() {
    let server = Server::start(&[]);
    let said = Composition::new().silence(1.0).clip(named("librivox-sense-0920")).silence(1.5);
    let shown = shown(&server, &said, None).await;

    // The microphone repeats itself; one whole round has to be right.
    let heard = texts(&shown["microphone"]);
    let best = heard.iter().map(|text| word_errors(&said.text(), text).percent()).fold(f64::INFINITY, f64::min);
    assert!(best <= 12.0, "{best} %: {heard:?}");
    assert!(!shown["partial"].as_str().unwrap().is_empty());
    assert!(shown["latency"].as_str().unwrap().ends_with(" s") && shown["latency"] != "– s", "{shown}");
    assert!(shown["level"].as_f64().unwrap() > 0.0, "{shown}");
    let file = texts(&shown["file"]).join(" ");
    assert_eq!(word_errors(&named("librivox-sense-0930").text, &file).errors(), 0, "{file}");

    assert!(shown["srt"].as_str().unwrap().starts_with("1\n00:00:0"), "{shown}");
    assert!(shown["vtt"].as_str().unwrap().starts_with("WEBVTT\n\n00:00:0"), "{shown}");
    assert_eq!(shown["cleared"], json!([]));
    assert_eq!(shown["live-region"], "polite");
    assert_eq!(shown["overflow"], false, "the page is wider than a phone");
    assert_eq!(shown["foreign"], json!([]), "something came from elsewhere");
    assert_eq!(shown["console"], json!([]));
    metric_becomes(&server, "pipeline_server_sessions{source=\"websocket\"}", 0.0).await;
}

#[tokio::test]
async fn the_pages_headers_let_nothing_else_in() {
    let server = Server::start(&[]);
    for path in ["/", "/page.css", "/page.js", "/session.js", "/subtitles.js", "/worklet.js", "/icon.svg"] {
        let response = request(&server, "GET", path).await;
        assert_eq!(response.status, 200, "{path}");
        let policy = &response.headers["content-security-policy"];
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(response.headers["x-content-type-options"], "nosniff");
        for elsewhere in ["https://", "//cdn", "<style", " style=", "onclick=\""] {
            assert!(!response.body.contains(elsewhere), "{path} has {elsewhere}");
        }
    }
}
