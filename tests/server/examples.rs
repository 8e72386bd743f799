//! The client examples, run as a user runs them.

use std::process::Stdio;

use e2e_tests::clips::named;
use e2e_tests::wer::word_errors;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::support::server::Server;
use crate::support::{within, workspace};

#[tokio::test]
async fn the_python_client_prints_what_is_said() {
    let python = workspace().join(".deps/python/bin/python3");
    assert!(python.exists(), "{} is not there: make setup-tests", python.display());
    let server = Server::start(&[]);
    let mut child = Command::new(python)
        .arg("examples/websocket_client.py")
        .arg(format!("ws://{}/ws/transcribe", server.address))
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
    let output = within("the Python client", child.wait_with_output()).await.unwrap();
    writing.await.unwrap().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let finals: Vec<&str> = lines.lines().filter_map(|line| line.strip_prefix("> ")).collect();
    let errors = word_errors(&clip.text, &finals.join(" "));
    assert_eq!(errors.errors(), 0, "{errors}");
}
