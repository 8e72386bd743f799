//! Cameras: words and times in each codec, and after the camera was gone.

use e2e_tests::clips::{named, Composition};
use e2e_tests::wer::word_errors;
use serde_json::{json, Value};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::{at, declare, unix};
use crate::support::camera::Camera;
use crate::support::client::Receiver;
use crate::support::events::subscribe;
use crate::support::http::{metric, request};
use crate::support::server::{built, Server};
use crate::support::verdict::{times_are_right, words_are_right};
use crate::support::{within, workspace};
use crate::transcripts::two_sentences;

/// Seconds by which the start of speech may be off.
const TOLERANCE: f64 = 0.3;

/// All messages up to the final that begins behind `until` (stream time); what begins there is left out.
async fn until(receiver: &mut Receiver, until: f64) -> Vec<Value> {
    let mut messages = Vec::new();
    loop {
        let message = receiver.next().await;
        if message["type"] == "speech_start" && message["start"].as_f64().unwrap() > until {
            return messages;
        }
        messages.push(message);
    }
}

#[tokio::test]
async fn a_camera_is_captioned_in_each_codec() {
    let said = two_sentences();
    let camera = Camera::start(&said.samples);
    let server = Server::start(&["--partials", "none"]);
    let check = async |stream: &str, transport: &str, percent: f64| {
        let source = json!({ "name": stream, "url": camera.url(stream), "transport": transport });
        let view = declare(&server, source).await;
        let mut receiver = subscribe(&server, view["session_id"].as_str().unwrap(), 0).await;
        // It says all of it once, and begins anew.
        let messages = until(&mut receiver, said.seconds()).await;
        words_are_right(&said.text(), &messages, percent);
        times_are_right(&said, &messages);
        let captured = camera.captured(stream).await;
        let finals = messages.iter().filter(|m| m["type"] == "final" && m["text"] != "");
        let first = finals.clone().next().unwrap();
        for last in finals {
            let start = unix(&last["captured_at"]) - captured;
            // Stream time begins with the first packet, what the camera captured before it has not been sent.
            assert!((start - last["start"].as_f64().unwrap()).abs() <= TOLERANCE, "{stream}: {start} {last}");
        }
        let start = unix(&first["captured_at"]) - captured;
        assert!((start - said.spoken[0].start).abs() <= TOLERANCE, "{stream}: {start}");
    };
    // Beside each other, so that it takes no longer than one.
    tokio::join!(
        check("aac", "tcp", 5.0),
        check("opus", "tcp", 5.0),
        check("pcmu", "udp", 10.0),
        check("pcma", "tcp", 10.0)
    );
    assert_eq!(metric(&server, "pipeline_server_source_connections_total{source=\"rtsp\"}").await, 4.0);
    assert_eq!(metric(&server, "pipeline_server_source_streaming{name=\"aac\"}").await, 1.0);
}

#[tokio::test]
async fn captions_go_on_when_a_camera_comes_back_twice() {
    let said = Composition::new().silence(0.5).clip(named("librivox-sense-0920")).silence(1.5);
    let mut camera = Camera::start(&said.samples);
    let server = Server::start(&["--partials", "none"]);
    let view = declare(&server, at("door", &camera.url("aac"))).await;
    let mut receiver = subscribe(&server, view["session_id"].as_str().unwrap(), 0).await;
    let mut first: Option<Value> = None;
    for round in 0..3 {
        if round > 0 {
            camera.kill();
            let lost = receiver.next_of("source_status").await;
            assert_eq!((lost["status"].as_str(), lost["fault"].as_str()), (Some("waiting"), Some("ended")), "{lost}");
            camera.restart();
        }
        let mut status = Value::Null;
        while status["status"] != "streaming" {
            status = receiver.next_of("source_status").await;
        }
        let last = receiver.next_of("final").await;
        words_are_right(&said.text(), std::slice::from_ref(&last), 5.0);
        // In times of day, by the camera's own word, and in the stream, which goes on as long as nobody listens.
        let spoken = camera.captured("aac").await + said.spoken[0].start;
        let captured = unix(&last["captured_at"]);
        assert!((captured - spoken).abs() <= TOLERANCE, "{round}: {captured} {spoken} {last}");
        let first = first.get_or_insert_with(|| last.clone());
        let passed = captured - unix(&first["captured_at"]);
        let passed_in_stream = last["start"].as_f64().unwrap() - first["start"].as_f64().unwrap();
        assert!((passed - passed_in_stream).abs() <= TOLERANCE, "{round}: {passed} {passed_in_stream}");
    }
    assert_eq!(metric(&server, "pipeline_server_source_connections_total{source=\"rtsp\"}").await, 3.0);
    let response = request(&server, "DELETE", "/v1/sources/door").await;
    assert_eq!(response.status, 204, "{response:?}");
    let rest = receiver.rest().await;
    assert_eq!(rest.last().unwrap()["complete"], true, "{rest:?}");
}

#[tokio::test]
async fn a_hiccup_tears_no_words_apart() {
    let said = two_sentences();
    let camera = Camera::start(&said.samples);
    let server = Server::start(&["--partials", "none"]);
    let view = declare(&server, at("door", &camera.url("aac"))).await;
    let mut receiver = subscribe(&server, view["session_id"].as_str().unwrap(), 0).await;
    let mut messages = Vec::new();
    for _ in 0..2 {
        receiver.next_of("speech_start").await;
        // In the midst of the sentence nothing comes for a while, and then all of it.
        camera.signal(libc::SIGSTOP);
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        camera.signal(libc::SIGCONT);
        messages.push(receiver.next_of("final").await);
    }
    words_are_right(&said.text(), &messages, 5.0);
    times_are_right(&said, &messages);
}

/// A program, and the lines that it writes; it is ended with them.
fn lines(program: &str, arguments: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("OPTIONS", "threads=1")
        .env("GST_PLUGIN_PATH", built("libgstwhispertranscribe.so").parent().unwrap())
        .env("GST_REGISTRY", std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("gstreamer-registry.bin"))
        .env("HF_HUB_OFFLINE", "1")
        .current_dir(workspace())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

/// The first line that a program writes.
async fn first_line(program: &str, arguments: &[&str]) -> String {
    let (_child, mut lines) = lines(program, arguments);
    let line = within("a line of text", lines.next_line()).await.unwrap();
    line.unwrap_or_else(|| panic!("{program} {arguments:?} says nothing"))
}

#[tokio::test]
async fn json_lines_on_the_command_line_have_the_time_of_day() {
    let said = two_sentences();
    let camera = Camera::start(&said.samples);
    let server = built("pipeline-server");
    let url = camera.url("pcma");
    let (_child, mut lines) = lines(server.to_str().unwrap(), &["transcribe", "--threads", "1", "-f", "jsonl", &url]);
    let last = within("a time of day", async {
        loop {
            let last: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
            if last.get("captured_at").is_some() {
                return last;
            }
        }
    })
    .await;
    let within = (unix(&last["captured_at"]) - camera.captured("pcma").await).rem_euclid(said.seconds());
    let spoken = said.spoken.iter().find(|spoken| (within - spoken.start).abs() <= TOLERANCE);
    let spoken = spoken.unwrap_or_else(|| panic!("nothing is said at {within} s: {last}"));
    assert!(word_errors(&spoken.text, last["text"].as_str().unwrap()).percent() <= 10.0, "{last}");
}

#[tokio::test]
async fn the_recipe_and_the_launch_line_hear_the_camera() {
    let said = Composition::new().silence(0.5).clip(named("librivox-sense-0930")).silence(1.5);
    let camera = Camera::start(&said.samples);
    let (url, other) = (camera.url("opus"), camera.url("pcmu"));
    let server = built("pipeline-server");
    let recipe = ["transcribe", "--threads", "1", &url];
    let script = [other.as_str()];
    let (told, script) = tokio::join!(
        first_line(server.to_str().unwrap(), &recipe),
        first_line("pipelines/camera-to-terminal.sh", &script),
    );
    let (_, text) = told.split_once(']').unwrap_or_else(|| panic!("{told}"));
    assert_eq!(word_errors(&said.text(), text).percent(), 0.0, "{told}");
    // It may have come in the midst of the sentence.
    assert!(!script.trim().is_empty() && word_errors(&said.text(), &script).percent() <= 50.0, "{script}");
}
