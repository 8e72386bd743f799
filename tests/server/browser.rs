//! The page and `<live-captions>` in a browser. The scripts in `browser/` do what a person does, and print what is shown.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use e2e_tests::audio::{write_wav, SAMPLE_RATE};
use e2e_tests::clips::{named, Composition};
use e2e_tests::wer::word_errors;
use serde_json::{json, Value};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::access::key;
use crate::support::client::{assert_is_of_the_protocol, f32le, Client};
use crate::support::http::{metric, metric_becomes, request, request_with};
use crate::support::server::Server;
use crate::support::{within, workspace};
use crate::transcripts::two_sentences;

const SESSIONS: &str = "pipeline_server_sessions{source=\"websocket\"}";

pub(crate) fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn no_errors(said: &str, shown: &Value) {
    let errors = word_errors(said, &texts(shown).join(" "));
    assert_eq!(errors.errors(), 0, "{errors}");
}

/// A script, about to be run.
pub(crate) fn script<A: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = A>) -> Command {
    let python = workspace().join(".deps/python/bin/python3");
    for peer in [&python, Path::new("/usr/bin/chromium")] {
        assert!(peer.exists(), "{} is not there: make setup-tests", peer.display());
    }
    let mut command = Command::new(python);
    command
        .arg(workspace().join("tests/server/browser").join(name))
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(workspace())
        .kill_on_drop(true);
    command
}

/// What a script prints.
pub(crate) async fn shown<A: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = A>) -> Value {
    let output = within("the browser", script(name, arguments).output()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A file for the browser's microphone.
pub(crate) fn microphone(said: &Composition) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("microphone.wav");
    write_wav(&path, &said.samples, SAMPLE_RATE, 1).unwrap();
    (folder, path)
}

/// Where pictures of the pages go, for whoever wants to look at them.
pub(crate) fn pictures() -> PathBuf {
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    std::fs::create_dir_all(&pictures).unwrap();
    pictures
}

/// Arguments for `page.py`.
fn of_page(server: &Server, microphone: &Path) -> Vec<PathBuf> {
    let clip = |name: &str| PathBuf::from(format!("tests/data/speech/{name}.flac"));
    let url = format!("http://{}/", server.address).into();
    vec![url, microphone.into(), clip("librivox-sense-0930"), clip("librivox-sense-0920"), pictures()]
}

/// Start and end of each cue in seconds, and its text.
fn cues(subtitles: &str) -> Vec<(f64, f64, &str)> {
    let seconds = |stamp: &str| {
        let parts = stamp.split(':').map(|part| part.replace(',', ".").parse::<f64>().unwrap());
        parts.fold(0.0, |sum, part| sum * 60.0 + part)
    };
    let cue = |block: &'_ str| block.split_once(" --> ").map(|(head, _)| head.len());
    let blocks = subtitles.split("\n\n").filter(|block| cue(block).is_some());
    blocks
        .map(|block| {
            let (head, rest) = block.split_once(" --> ").unwrap();
            let (end, text) = rest.split_once('\n').unwrap();
            (seconds(head.lines().last().unwrap()), seconds(end), text)
        })
        .collect()
}

#[tokio::test]
async fn the_page_asks_for_a_key_where_the_server_wants_one() {
    let (secret, setting) = key("page");
    let server = Server::start(&["--keys", &setting]);
    let (_folder, said) = microphone(&Composition::new().silence(1.0).clip(named("librivox-sense-0920")).silence(1.5));
    let shown = shown("page.py", of_page(&server, &said).into_iter().chain([secret.into()])).await;
    assert!(!texts(&shown["microphone"]).is_empty(), "{shown}");
    assert_eq!(shown["asked"], false);
}

#[tokio::test]
async fn the_page_shows_what_is_said_into_the_microphone_and_what_is_in_a_file() {
    let server = Server::start(&[]);
    let said = two_sentences();
    let (_folder, microphone) = microphone(&said);
    let shown = shown("page.py", of_page(&server, &microphone)).await;

    no_errors(&said.text(), &shown["microphone"]);
    assert!(!shown["partial"].as_str().unwrap().is_empty());
    assert!(shown["latency"].as_str().unwrap().ends_with(" s") && shown["latency"] != "– s", "{shown}");
    assert!(shown["level"].as_f64().unwrap() > 0.0, "{shown}");
    no_errors(&named("librivox-sense-0930").text, &shown["file"]);
    no_errors(&named("librivox-sense-0920").text, &shown["dropped"]);
    assert_eq!(shown["cleared"], json!([]));

    // By the Tab key, in the order in which they are seen; what can't be used is passed over.
    assert_eq!(texts(&shown["tabs"]), ["transcript", "start", "websocket", "language", "file", "copy"]);
    assert_eq!(shown["live-region"], "polite");
    assert_eq!(shown["overflow"], false, "the page is wider than a phone");
    assert_eq!(shown["foreign"], json!([]), "something came from elsewhere");
    assert_eq!(shown["console"], json!([]));
    metric_becomes(&server, SESSIONS, 0.0).await;

    // What the page says is what the documents say that may be said.
    let sent: Vec<Value> = texts(&shown["sent"]).iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    assert!(sent.iter().any(|message| message["type"] == "close"), "{sent:?}");
    sent.iter().for_each(assert_is_of_the_protocol);
    let document = request(&server, "GET", "/protocol/v1.asyncapi.json").await.body;
    let document: Value = serde_json::from_str(&document).unwrap();
    let sockets = texts(&shown["sockets"]);
    assert_eq!(sockets.len(), 3);
    for parameter in sockets.iter().flat_map(|url| url.split_once('?').unwrap().1.split('&')) {
        let (name, _) = parameter.split_once('=').unwrap();
        assert!(document["components"]["schemas"]["Query"]["properties"][name].is_object(), "{name}");
    }

    let heard = texts(&shown["microphone"]);
    let text = heard.iter().map(|line| format!("{line}\n")).collect::<String>();
    assert_eq!((&shown["copied"], &shown["downloads"]["txt"]), (&json!(text), &json!(text)));
    let [srt, vtt] = ["srt", "vtt"].map(|name| shown["downloads"][name].as_str().unwrap());
    assert!(srt.starts_with("1\n00:00:0") && vtt.starts_with("WEBVTT\n\n00:00:0"), "{shown}");
    assert_eq!(cues(srt), cues(vtt));
    for ((start, end, line), (spoken, text)) in cues(srt).into_iter().zip(said.spoken.iter().zip(heard)) {
        assert_eq!(line, text);
        assert!((start - spoken.start).abs() < 0.5 && (end - spoken.end).abs() < 0.5, "{start} {end} {spoken:?}");
    }
    let both = cues(shown["both"].as_str().unwrap());
    assert!(both[0].0 < 2.0, "what was cleared does not count: {both:?}");
    assert!(both.len() >= 2 && both.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{both:?}");
}

/// What the page shows when the network is cut for `away` seconds in the midst of a sentence. It has to be all that is
/// said, once and at the right times.
async fn through_a_cut(server: &Server, away: &str, more: &[&str]) -> Value {
    let said = two_sentences();
    let (_folder, microphone) = microphone(&said);
    let (host, port) = (server.address.ip().to_string(), server.address.port().to_string());
    let arguments = [&host, &port, microphone.to_str().unwrap(), away];
    let shown = shown("cut.py", arguments.into_iter().chain(more.iter().copied())).await;
    no_errors(&said.text(), &shown["finals"]);
    for ((start, end, _), spoken) in cues(shown["srt"].as_str().unwrap()).into_iter().zip(&said.spoken) {
        assert!((start - spoken.start).abs() < 0.5 && (end - spoken.end).abs() < 0.5, "{start} {end} {spoken:?}");
    }
    for back in texts(&shown["told"]).chunks(2) {
        assert!(back[0].starts_with("Connecting again"), "{back:?}");
        assert!(back[1].starts_with("Listening") && back[1].ends_with("nothing is lost"), "{back:?}");
    }
    metric_becomes(server, SESSIONS, 0.0).await;
    shown
}

async fn closed(server: &Server, reason: &str) -> f64 {
    let line = format!("pipeline_server_sessions_closed_total{{source=\"websocket\",reason=\"{reason}\"}}");
    metric(server, &line).await
}

#[tokio::test]
async fn the_page_comes_back_to_its_session_when_the_network_was_away() {
    let server = Server::start(&["--resume-grace", "120"]);
    let shown = through_a_cut(&server, "1.5", &["freeze"]).await;
    assert_eq!(texts(&shown["told"]).len(), 4);
    assert_eq!((closed(&server, "client_closed").await, closed(&server, "client_gone").await), (1.0, 0.0));
}

#[tokio::test]
async fn where_the_session_is_gone_a_new_one_gets_what_has_no_text_yet() {
    let server = Server::start(&["--resume-grace", "1"]);
    through_a_cut(&server, "3", &[]).await;
    assert_eq!((closed(&server, "client_closed").await, closed(&server, "client_gone").await), (1.0, 1.0));
}

#[tokio::test]
async fn live_captions_work_on_a_page_of_another_origin() {
    let (secret, setting) = key("site");
    // A port that is free now; the site is there before anybody else can want it.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Server::start(&["--keys", &setting, "--allow-origins", &format!("http://127.0.0.1:{port}")]);
    let said = two_sentences();
    let (_folder, microphone) = microphone(&said);
    let (address, port, pictures) = (server.address.to_string(), port.to_string(), pictures());
    let arguments = [&address, &port, microphone.to_str().unwrap(), pictures.to_str().unwrap(), &secret];
    let shown = shown("captions.py", arguments).await;
    no_errors(&said.text(), &shown["captions"]);
    assert_eq!((&shown["live-region"], &shown["lang"]), (&json!("polite"), &json!("en")));
    assert_eq!(shown["accent"], "rgb(255, 209, 102)", "the page's own colour");
    // Nothing was against the page's strict policy.
    assert_eq!(shown["console"], json!([]));
    let told = &shown["told"];
    assert!(told["partial"].as_u64().unwrap() > 1, "{told}");
    let finals: Vec<Value> = told["final"].as_array().unwrap().iter().map(|last| last["text"].clone()).collect();
    assert_eq!(Value::from(finals), shown["captions"]);
    assert_eq!(told["state"], json!(["starting", "live", "ended"]));
}

#[tokio::test]
async fn live_captions_show_a_session_in_which_somebody_else_speaks() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Server::start(&["--allow-origins", &format!("http://127.0.0.1:{port}")]);
    let mut speaker = Client::request(&server, "").await.unwrap();
    let ready = speaker.receiver.next().await;
    let arguments = [server.address.to_string(), port.to_string(), ready["session_id"].as_str().unwrap().to_owned()];
    let mut page = script("subscribed.py", arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(page.stdout.take().unwrap()).lines();
    assert_eq!(within("the page", lines.next_line()).await.unwrap().as_deref(), Some("listening"));

    let said = two_sentences();
    speaker.transcribe(f32le(&said.samples)).await;
    let shown = within("the captions", lines.next_line()).await.unwrap().unwrap();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    no_errors(&said.text(), &shown["captions"]);
    assert_eq!((&shown["buttons"], &shown["console"]), (&json!(0), &json!([])));
}

#[tokio::test]
async fn the_pages_headers_let_nothing_else_in() {
    let server = Server::start(&[]);
    let own = ["/", "/page.css", "/page.js", "/subtitles.js", "/webrtc.js", "/icon.svg"];
    let modules = ["/live-captions.js", "/session.js", "/subscription.js", "/feed.js", "/microphone.js", "/worklet.js"];
    for path in own.iter().chain(&modules) {
        let response = request(&server, "GET", path).await;
        assert_eq!(response.status, 200, "{path}");
        let policy = &response.headers["content-security-policy"];
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(response.headers["x-content-type-options"], "nosniff");
        let open = response.headers.get("access-control-allow-origin").map(String::as_str);
        assert_eq!(open, modules.contains(path).then_some("*"), "{path}");
        for elsewhere in ["src=\"http", "href=\"http", "//cdn", "<style", " style=", "onclick=\""] {
            // The component's documentation shows how a page loads it.
            assert!(*path == "/live-captions.js" || !response.body.contains(elsewhere), "{path} has {elsewhere}");
        }
    }
    // A page from elsewhere that asks for a token gets nothing that it may read.
    let token = request_with(&server, "POST", "/v1/tokens", "Origin: http://evil.example\r\n").await;
    assert!(!token.headers.contains_key("access-control-allow-origin"), "{token:?}");
}
