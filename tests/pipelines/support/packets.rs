//! Speech as RTP packets to a launch line that waits for them.

use std::net::UdpSocket;
use std::time::Duration;

use e2e_tests::clips::named;

use super::program::Program;
use super::{recording, text};

/// What is said, and what a script writes that is given the port: `coder` makes packets of raw audio.
pub(crate) fn hear(script: Program, coder: &str) -> (String, String) {
    let clip = named("librivox-sense-0930");
    // Nobody else takes it so soon.
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut listening = script.args(&[&port.to_string()]).start();
    // Until it plays, packets would be for nobody, or come all at once: it is given one that is none, and takes it.
    while UdpSocket::bind(("0.0.0.0", port)).is_ok() {
        listening.wait_a_moment();
    }
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"?", ("127.0.0.1", port)).unwrap();
    while !is_read(port) {
        listening.wait_a_moment();
    }
    let path = recording(&clip.name);
    let pipeline = format!(
        "filesrc location={} ! decodebin ! audioconvert ! audioresample ! clocksync ! {coder} ! udpsink host=127.0.0.1 port={port}",
        text(&path)
    );
    Program::launch(&pipeline.split(' ').collect::<Vec<_>>()).succeed();
    // The last words are on their way; Ctrl-C has the rest written.
    std::thread::sleep(Duration::from_millis(500));
    listening.interrupt();
    let ended = listening.finish();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let lines = ended.lines.iter().map(|line| line.text.as_str());
    let said: Vec<&str> = lines.filter(|line| !line.contains("nterrupt") && !line.contains("EOS")).collect();
    (clip.text.clone(), said.join(" "))
}

/// Whether nothing waits at a port.
fn is_read(port: u16) -> bool {
    let sockets = std::fs::read_to_string("/proc/net/udp").unwrap();
    let of_port = format!(":{port:04X}");
    let mut sockets = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let socket = sockets.find(|socket| socket[1].ends_with(&of_port)).unwrap();
    // Bytes to be sent, and to be read.
    socket[4].ends_with(":00000000")
}
