//! Streams of other kinds, sent by ffmpeg.

use std::net::{TcpListener, UdpSocket};
use std::path::Path;

use e2e_tests::audio::{write_wav, SAMPLE_RATE};
use e2e_tests::clips::Composition;
use serde_json::json;
use tokio::process::{Child, Command};

use super::{becomes, declare};
use crate::support::events::subscribe;
use crate::support::server::Server;
use crate::support::verdict::words_are_right;
use crate::support::within;
use crate::transcripts::two_sentences;

/// ffmpeg, sending speech at its pace.
pub(super) fn ffmpeg(speech: &Path, output: &[&str]) -> Child {
    Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-re", "-i"])
        .arg(speech)
        .args(["-c:a", "aac", "-b:a", "64k"])
        .args(output)
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("ffmpeg does not start: {error}; make setup-tests"))
}

/// Two sentences, also as a file.
pub(super) fn speech(folder: &Path) -> (Composition, std::path::PathBuf) {
    let said = two_sentences();
    let path = folder.join("speech.wav");
    write_wav(&path, &said.samples, SAMPLE_RATE, 1).unwrap();
    (said, path)
}

/// Free a moment ago.
pub(super) fn free_port() -> u16 {
    let (tcp, udp) = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    drop(tcp);
    udp.local_addr().unwrap().port()
}

#[tokio::test]
async fn srt_is_taken_from_who_calls_and_from_who_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let (said, path) = speech(folder.path());
    let server = Server::start(&["--partials", "none"]);
    let (called, calling) = (free_port(), free_port());
    let peer_that_listens = format!("srt://127.0.0.1:{called}?mode=listener");
    let _first = ffmpeg(&path, &["-f", "mpegts", &peer_that_listens]);
    let caller =
        declare(&server, json!({ "name": "caller", "url": format!("srt://127.0.0.1:{called}?mode=caller") })).await;
    let listener =
        declare(&server, json!({ "name": "listener", "url": format!("srt://127.0.0.1:{calling}?mode=listener") }))
            .await;
    let peer_that_calls = format!("srt://127.0.0.1:{calling}?mode=caller");
    let _second = ffmpeg(&path, &["-f", "mpegts", &peer_that_calls]);
    for view in [caller, listener] {
        let mut receiver = subscribe(&server, view["session_id"].as_str().unwrap(), 0).await;
        let finals = [receiver.next_of("final").await, receiver.next_of("final").await];
        words_are_right(&said.text(), &finals, 5.0);
        // The film is over; whoever sends it may begin another.
        let name = view["name"].as_str().unwrap();
        within("the end of the stream", async {
            while super::look(&server, name).await["state"]["status"] == "streaming" {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn rtmp_is_pulled_and_a_file_over_http_has_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let (said, path) = speech(folder.path());
    let server = Server::start(&["--partials", "none"]);
    let rtmp = format!("rtmp://127.0.0.1:{}/live/speech", free_port());
    let _peer = ffmpeg(&path, &["-f", "flv", "-listen", "1", &rtmp]);
    let view = declare(&server, json!({ "name": "rtmp", "url": rtmp })).await;

    let web = free_port();
    let mut files = Command::new("/usr/bin/python3");
    files.args(["-m", "http.server", "--bind", "127.0.0.1", &web.to_string()]).current_dir(folder.path());
    let _files = files.stderr(std::process::Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let file = declare(&server, json!({ "name": "file", "url": format!("http://127.0.0.1:{web}/speech.wav") })).await;
    becomes(&server, "file", "finished").await;
    let mut receiver = subscribe(&server, file["session_id"].as_str().unwrap(), 0).await;
    let messages = receiver.rest().await;
    words_are_right(&said.text(), &messages, 5.0);
    assert_eq!(messages.last().unwrap()["reason"], "end_of_stream");

    let mut receiver = subscribe(&server, view["session_id"].as_str().unwrap(), 0).await;
    let finals = [receiver.next_of("final").await, receiver.next_of("final").await];
    words_are_right(&said.text(), &finals, 5.0);
}
