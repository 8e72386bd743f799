//! GStreamer's `webrtcbin` as the client, with Opus: an implementation that is neither the server's nor a browser's.

use std::path::PathBuf;

use e2e_tests::audio::to_i16;
use e2e_tests::clips::Composition;
use e2e_tests::wer::word_errors;
use serde_json::Value;
use tokio::process::Command;

use crate::support::client::assert_is_of_the_server;
use crate::support::http::metric_becomes;
use crate::support::relay::Relay;
use crate::support::server::Server;
use crate::support::verdict::text;
use crate::support::{within, workspace};
use crate::whip::{wrong_over_websocket, SESSIONS};

/// What comes back over the data channel.
async fn publish(server: &Server, said: &Composition, relay: Option<&Relay>) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("speech.raw");
    let raw: Vec<u8> = to_i16(&said.samples).iter().flat_map(|s| s.to_le_bytes()).collect();
    std::fs::write(&path, raw).unwrap();
    let mut command = Command::new("/usr/bin/python3");
    command
        .arg(workspace().join("tests/peers/whip.py"))
        .arg(format!("http://{}/whip", server.address))
        .args([path.as_os_str(), (said.seconds() + 0.5).to_string().as_ref()])
        .args(relay.map(|relay| relay.address.to_string()))
        .kill_on_drop(true);
    let output = within("webrtcbin", command.output()).await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let told = String::from_utf8(output.stdout).unwrap();
    let mut lines = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let headers = lines.next().unwrap_or_else(|| panic!("no answer: {errors}"));
    assert!(headers["location"].as_str().unwrap().starts_with("/whip/"), "{headers}");
    let messages: Vec<Value> = lines.collect();
    messages.iter().for_each(assert_is_of_the_server);
    let last = messages.last().unwrap_or_else(|| panic!("nothing came: {errors}"));
    assert_eq!(last["type"], "closed", "{errors}");
    messages
}

#[tokio::test]
async fn speech_from_webrtcbin_has_the_words_of_the_websocket_also_where_packets_are_lost() {
    let server = Server::start(&[]);
    let said = Composition::long();
    let plain = wrong_over_websocket(&server, &said).await;
    let relay = Relay::start(server.udp(), 50).await;
    let (clean, lossy) = tokio::join!(publish(&server, &said, None), publish(&server, &said, Some(&relay)));
    metric_becomes(&server, SESSIONS, 0.0).await;
    let percent = |messages: &[Value]| word_errors(&said.text(), &text(messages)).percent();
    let (clean, lossy, lost) = (percent(&clean), percent(&lossy), relay.lost());
    println!("word errors: WebSocket {plain:.1} %, WebRTC {clean:.1} %, with {lost:.1} % of packets lost {lossy:.1} %");
    assert!(lost > 3.0, "the relay lost {lost} %");
    assert!(clean <= plain + 3.0, "WebSocket {plain} %, WebRTC {clean} %");
    assert!(lossy <= plain + 12.0, "WebSocket {plain} %, with loss {lossy} %");
}
