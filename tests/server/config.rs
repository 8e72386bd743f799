//! Settings from file, environment and command line.

use crate::support::client::Client;
use crate::support::http::Response;
use crate::support::server::{run, Server};

#[tokio::test]
async fn a_server_runs_by_its_file_and_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.toml");
    std::fs::write(&path, "# Few.\nmax-sessions = 1\nidle-timeout = 5\npartial-interval = 250\n").unwrap();
    let variables = [("PIPELINE_SERVER_CONFIG", path.to_str().unwrap()), ("PIPELINE_SERVER_IDLE_TIMEOUT", "7")];
    let server = Server::start_with(&["--max-duration", "9"], &variables);
    let mut client = Client::request(&server, "").await.unwrap();
    let limits = client.receiver.next().await["limits"].clone();
    assert_eq!(limits["idle_timeout_seconds"], 7);
    assert_eq!(limits["max_duration_seconds"], 9);
    let Err(error) = Client::request(&server, "").await else { panic!("two were let in") };
    Response::refusal(error).problem("too-many-sessions", 503);
}

#[test]
fn settings_are_checked_and_printed_before_they_are_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.toml");
    let config = |text: &str, command: &str, more: &[&str]| {
        std::fs::write(&path, text).unwrap();
        let arguments = [&["config", command, "--config", path.to_str().unwrap()], more].concat();
        run(&arguments, &[])
    };
    let (code, stdout, stderr) = config("max-sessions = 5", "check", &[]);
    assert_eq!((code, stdout.as_str()), (Some(0), "The settings are right.\n"), "{stderr}");
    for (text, named) in [
        ("max-sesions = 5", "max-sesions"),
        ("partials = \"always\"", "partials"),
        ("attention-margin = 10001", "attention-margin: 10001 is not from 0 to"),
        ("beam-size = 99", "beam-size: 99 is not from 1 to"),
        ("listen = \"0.0.0.0:8765\"", "--allow-anonymous"),
        ("keys = [\"a=b\"]", "new-key"),
    ] {
        let (code, _, stderr) = config(text, "check", &[]);
        assert_eq!(code, Some(2), "{text}: {stderr}");
        assert!(stderr.contains(named), "{text}: {stderr}");
    }
    let (code, printed, stderr) =
        config("max-sessions = 5\nlanguage = \"en\"\npartials = \"align-att\"", "print", &["--idle-timeout", "6"]);
    assert_eq!(code, Some(0), "{stderr}");
    for line in [
        "max-sessions = 5",
        "language = \"en\"",
        "partials = \"align-att\"",
        "idle-timeout = 6",
        "listen = \"127.0.0.1:8765\"",
    ] {
        assert!(printed.lines().any(|l| l == line), "no {line} in\n{printed}");
    }
    let (code, again, stderr) = config(&printed, "print", &[]);
    assert_eq!((code, again), (Some(0), printed), "{stderr}");
}
