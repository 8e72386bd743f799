//! The client examples, run as a user runs them.

use std::path::PathBuf;
use std::process::Stdio;

use e2e_tests::clips::{named, Composition};
use e2e_tests::wer::word_errors;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use crate::support::server::{built, Server};
use crate::support::{within, workspace};

/// What a client prints as finals of a clip that it gets on its standard input must be what is said in it.
async fn prints_what_is_said(client: Command) {
    let server = Server::start(&[]);
    prints_what_is_said_to(&format!("ws://{}/ws/transcribe", server.address), client).await;
}

/// The same with a server that is there.
pub(crate) async fn prints_what_is_said_to(url: &str, mut client: Command) {
    let mut child = client
        .arg(url)
        .current_dir(workspace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let clip = named("librivox-sense-0920");
    let audio: Vec<u8> = clip.samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    let mut stdin = child.stdin.take().unwrap();
    let writing = tokio::spawn(async move { stdin.write_all(&audio).await });
    let output = within("the client", child.wait_with_output()).await.unwrap();
    writing.await.unwrap().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let finals: Vec<&str> = lines.lines().filter_map(|line| line.strip_prefix("> ")).collect();
    let errors = word_errors(&clip.text, &finals.join(" "));
    assert_eq!(errors.errors(), 0, "{errors}");
}

/// A file that `make setup-tests` puts there.
pub(crate) fn set_up(path: &str) -> PathBuf {
    let path = workspace().join(path);
    assert!(path.exists(), "{} is not there: make setup-tests", path.display());
    path
}

#[tokio::test]
async fn the_python_client_prints_what_is_said() {
    let mut client = Command::new(set_up(".deps/python/bin/python3"));
    client.arg("examples/websocket_client.py");
    prints_what_is_said(client).await;
}

#[tokio::test]
async fn the_javascript_client_prints_what_is_said() {
    // The Node.js that Playwright brings along.
    let packages = std::fs::read_dir(set_up(".deps/python/lib")).unwrap().map(|entry| entry.unwrap().path());
    let node = packages.map(|python| python.join("site-packages/playwright/driver/node")).find(|node| node.is_file());
    let mut client = Command::new(node.expect("Playwright's Node.js is not there: make setup-tests"));
    client.arg("examples/websocket_client.mjs");
    prints_what_is_said(client).await;
}

#[tokio::test]
async fn the_shell_client_prints_what_is_said() {
    let websocat = set_up(".deps/python/bin/websocat");
    let path = format!("{}:{}", websocat.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut client = Command::new("examples/websocket_client.sh");
    client.env("PATH", path);
    prints_what_is_said(client).await;
}

/// A client that knows nothing of the protocol but that floats go up and text comes down. It never says that it is done, so
/// the silence behind the words has to bring the text.
#[tokio::test]
async fn the_plainest_client_works_unchanged() {
    let server = Server::start(&[]);
    let said = Composition::new().clip(named("librivox-sense-0920")).silence(1.5);
    let folder = tempfile::tempdir().unwrap();
    let audio = folder.path().join("audio.f32");
    std::fs::write(&audio, said.samples.iter().flat_map(|s| s.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
    let mut client = Command::new(set_up(".deps/python/bin/python3"))
        .arg("tests/server/plain_client.py")
        .arg(format!("ws://{}/ws/transcribe", server.address))
        .arg(&audio)
        .current_dir(workspace())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    // Partials come before; the last word is said once.
    within("the text", async {
        loop {
            let line = lines.next_line().await.unwrap().expect("the client goes on");
            if word_errors(&said.text(), &line).errors() == 0 {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_rust_client_prints_what_is_said() {
    prints_what_is_said(Command::new(built("examples/websocket_client"))).await;
}
