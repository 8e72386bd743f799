//! A caller of whom each datagram is in the test's hand: SIP as text, RTP packet by packet.

use std::net::SocketAddr;
use std::time::Duration;

use e2e_tests::audio::{mulaw_encode, resample, SAMPLE_RATE};
use tokio::net::UdpSocket;

use super::within;

/// See the module.
pub(crate) struct Line {
    socket: UdpSocket,
    server: SocketAddr,
    local: SocketAddr,
    call_id: String,
    to_tag: String,
    sequence: u32,
    /// Where the server takes audio, once it has answered.
    pub(crate) media: Option<SocketAddr>,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Reply {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.text.lines().find_map(|line| {
            let (n, value) = line.split_once(':')?;
            n.trim().eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

impl Line {
    /// A line to the server.
    pub(crate) async fn open(server: SocketAddr) -> Self {
        let here = if server.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
        let socket = UdpSocket::bind(here).await.unwrap();
        let local = socket.local_addr().unwrap();
        let call_id = format!("line-{}-{}", std::process::id(), local.port());
        Self { socket, server, local, call_id, to_tag: String::new(), sequence: 0, media: None }
    }

    /// The name of its call.
    pub(crate) fn call_id(&self) -> &str {
        &self.call_id
    }

    /// A description of PCMU with keys, whose audio comes from `port`.
    pub(crate) fn offer(port: u16) -> String {
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
        )
    }

    /// The text of a request that is not sent yet; `more` are headers, each with its line end.
    pub(crate) fn request(&mut self, method: &str, more: &str, body: &str) -> String {
        // An ACK belongs to its INVITE.
        if method != "ACK" {
            self.sequence += 1;
        }
        let (sequence, local, tag) = (self.sequence, self.local, &self.to_tag);
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let hops = if more.contains("Max-Forwards") { "" } else { "Max-Forwards: 70\r\n" };
        format!(
            "{method} sip:transcribe@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch=z9hG4bK-{method}-{sequence}\r\n\
             From: \"Al\" <sip:al@127.0.0.1>;tag=al\r\nTo: <sip:transcribe@{server}>{tag}\r\nCall-ID: {id}\r\n\
             CSeq: {sequence} {method}\r\nContact: <sip:al@{local}>\r\n{hops}{more}{kind}Content-Length: {length}\r\n\r\n{body}",
            server = self.server,
            id = self.call_id,
            length = body.len(),
        )
    }

    /// Sends a text.
    pub(crate) async fn send(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), self.server).await.unwrap();
    }

    /// The next message from the server.
    pub(crate) async fn receive(&self) -> Reply {
        let mut buffer = vec![0; 65_536];
        let length = within("a message", self.socket.recv(&mut buffer)).await.unwrap();
        let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
        let status = text.strip_prefix("SIP/2.0 ").and_then(|rest| rest[..3].parse().ok()).unwrap_or_default();
        Reply { status, text }
    }

    /// The next final answer.
    pub(crate) async fn answer(&self) -> Reply {
        loop {
            let reply = self.receive().await;
            if reply.status >= 200 {
                return reply;
            }
        }
    }

    /// The final answer to a request; answers to others come again until they are acknowledged.
    pub(crate) async fn answer_to(&self, sequence: &str) -> Reply {
        loop {
            let reply = self.answer().await;
            if reply.header("CSeq") == Some(sequence) {
                return reply;
            }
        }
    }

    /// Sends a request and waits for the final answer; one of an INVITE is acknowledged.
    pub(crate) async fn ask(&mut self, method: &str, more: &str, body: &str) -> Reply {
        let request = self.request(method, more, body);
        self.send(&request).await;
        let reply = self.answer().await;
        if method == "INVITE" {
            self.acknowledge(&reply, "").await;
        }
        reply
    }

    /// Acknowledges an answer, with a body if there is one.
    pub(crate) async fn acknowledge(&mut self, reply: &Reply, body: &str) {
        let ack = self.acknowledgement(reply, body);
        self.send(&ack).await;
    }

    /// The text of an ACK that is not sent yet; what is said next belongs to the call that was answered.
    pub(crate) fn acknowledgement(&mut self, reply: &Reply, body: &str) -> String {
        let to = reply.header("To").unwrap();
        let tag = to.split_once(";tag=").map(|(_, tag)| format!(";tag={tag}")).unwrap_or_default();
        if reply.status == 200 {
            self.to_tag = tag;
            let port =
                reply.text.lines().find_map(|line| line.strip_prefix("m=audio ")?.split(' ').next()?.parse().ok());
            self.media = port.map(|port: u16| SocketAddr::new(self.server.ip(), port));
            self.request("ACK", "", body)
        } else {
            let before = std::mem::replace(&mut self.to_tag, tag);
            let ack = self.request("ACK", "", "");
            self.to_tag = before;
            // It has the branch of its INVITE (RFC 3261, 17.1.1.3).
            ack.replace("z9hG4bK-ACK-", "z9hG4bK-INVITE-")
        }
    }

    /// Answers a request of the server's with 200.
    pub(crate) async fn agree(&self, request: &Reply) {
        let kept = request.text.lines().filter(|line| {
            ["via:", "from:", "to:", "call-id:", "cseq:"].iter().any(|name| line.to_lowercase().starts_with(name))
        });
        let head: String = kept.map(|line| format!("{}\r\n", line.trim_end())).collect();
        self.send(&format!("SIP/2.0 200 OK\r\n{head}Content-Length: 0\r\n\r\n")).await;
    }
}

/// Sends audio and keys as RTP packets.
pub(crate) struct Talk {
    pub(crate) socket: UdpSocket,
    to: SocketAddr,
    sequence: u16,
    timestamp: u32,
}

impl Talk {
    /// From an address, with any port, to the server's.
    pub(crate) async fn open(from: &str, to: SocketAddr) -> Self {
        Self { socket: UdpSocket::bind(from).await.unwrap(), to, sequence: 7, timestamp: 1_000 }
    }

    /// Where its packets come from.
    pub(crate) fn port(&self) -> u16 {
        self.socket.local_addr().unwrap().port()
    }

    /// From now on to another address.
    pub(crate) fn redirect(&mut self, to: SocketAddr) {
        self.to = to;
    }

    /// Says it at the pace of speech, in packets of 20 ms.
    pub(crate) async fn say(&mut self, speech: &[f32]) {
        let octets = mulaw_encode(&resample(speech, SAMPLE_RATE, 8_000));
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        for payload in octets.chunks(160) {
            pace.tick().await;
            self.packet(0, self.timestamp, payload).await;
            self.timestamp += 160;
        }
    }

    /// Is silent without packets.
    pub(crate) async fn pause(&mut self, seconds: f64) {
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        self.timestamp += (seconds * 8_000.0) as u32;
    }

    /// Presses a key.
    pub(crate) async fn press(&mut self, event: u8) {
        for (round, end) in [0, 0, 0, 0x80, 0x80, 0x80].into_iter().enumerate() {
            let duration = 160 * u16::try_from(round + 1).unwrap();
            let [high, low] = duration.to_be_bytes();
            self.packet(101, self.timestamp, &[event, end | 10, high, low]).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.timestamp += 960;
    }

    /// One packet.
    pub(crate) async fn packet(&mut self, payload_type: u8, timestamp: u32, payload: &[u8]) {
        let mut packet = vec![0x80, payload_type];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend(0x0dec_0de5_u32.to_be_bytes());
        packet.extend(payload);
        self.sequence = self.sequence.wrapping_add(1);
        // Nobody listens any more once a call is over.
        let _ = self.socket.send_to(&packet, self.to).await;
    }
}
