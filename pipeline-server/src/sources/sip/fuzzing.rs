//! What the fuzz target of calls runs.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use super::dtmf::Keys;
use super::front::judge;
use super::sdp::{Local, Remote};

/// A datagram, the session description in it, and the payload of keys. What is agreed on can be answered, and the answer is a
/// description with as many streams.
#[allow(clippy::expect_used)]
pub fn sip(input: &[u8]) {
    static READY: LazyLock<()> = LazyLock::new(|| gst::init().expect("GStreamer"));
    LazyLock::force(&READY);
    judge(input);
    Keys::default().pressed(1, input);
    let body = input.windows(4).position(|window| window == b"\r\n\r\n").map_or(input, |end| &input[end + 4..]);
    let Ok(remote) = Remote::read(body, |_| true) else { return };
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let local = Local { address, port: 20_000, id: 1, version: 1 };
    let answer = remote.answer(local);
    let streams = |text: &str| text.lines().filter(|line| line.starts_with("m=")).count();
    assert!(streams(&answer) >= 1 && answer.starts_with("v=0"));
}
