//! What stands between the network and the SIP stack: datagrams that the stack would drop without a word are answered, and
//! junk doesn't get any further.

use std::net::SocketAddr;

use async_trait::async_trait;
use rsipstack::platform::net::UdpSocket as Socket;
use rsipstack::sip::Method;
use tokio::net::UdpSocket;

/// The door's UDP socket.
pub(super) struct Front(pub(super) UdpSocket);

#[async_trait]
impl Socket for Front {
    async fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), rsipstack::Error> {
        loop {
            // An error here is what came back of a datagram that could not be delivered, and concerns that one only.
            let Ok((length, from)) = self.0.recv_from(buffer).await else { continue };
            match judge(&buffer[..length]) {
                Judgement::Fine => return Ok((length, from)),
                Judgement::Junk => tracing::debug!(%from, length, "not SIP"),
                Judgement::Answer(answer) => {
                    let _ = self.0.send_to(answer.as_bytes(), from).await;
                }
            }
        }
    }

    async fn send_to(&self, buffer: &[u8], to: SocketAddr) -> Result<usize, rsipstack::Error> {
        Ok(self.0.send_to(buffer, to).await?)
    }

    fn local_addr(&self) -> Result<SocketAddr, rsipstack::Error> {
        Ok(self.0.local_addr()?)
    }
}

/// What becomes of a datagram.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It is for the stack.
    Fine,
    /// It is no request, or none that could be answered.
    Junk,
    /// It is answered here.
    Answer(String),
}

/// Looks at a datagram. Responses and signs of life pass.
pub(super) fn judge(datagram: &[u8]) -> Judgement {
    if datagram.iter().all(|byte| byte.is_ascii_whitespace()) {
        return Judgement::Fine;
    }
    let Ok(text) = std::str::from_utf8(datagram) else { return Judgement::Junk };
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let mut lines = head.split("\r\n");
    let start = lines.next().unwrap_or_default();
    if start.starts_with("SIP/2.0 ") {
        return Judgement::Fine;
    }
    let [method, _, version] = *start.split(' ').collect::<Vec<_>>() else { return Judgement::Junk };
    if !version.starts_with("SIP/") || method.is_empty() {
        return Judgement::Junk;
    }
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(':')).collect();
    // Nobody waits for an answer to an ACK.
    let refuse = |status: &str| match method {
        "ACK" => Judgement::Junk,
        _ => answer(status, &headers).map_or(Judgement::Junk, Judgement::Answer),
    };
    let value = |name, short| header(&headers, name, short);
    if version != "SIP/2.0" {
        return refuse("505 Version Not Supported");
    }
    if method.parse::<Method>().is_err() {
        return refuse("501 Not Implemented");
    }
    let Some(counted) = value("CSeq", "").and_then(|cseq| cseq.split_ascii_whitespace().nth(1)) else {
        return refuse("400 Missing CSeq");
    };
    if counted != method {
        return refuse("400 CSeq Does Not Match");
    }
    if value("Call-ID", "i").is_none() || value("To", "t").is_none() {
        return refuse("400 Missing Header");
    }
    if !value("From", "f").is_some_and(|from| from.contains("tag=")) {
        return refuse("400 Missing From Tag");
    }
    let announced = value("Content-Length", "l").map(str::parse::<usize>);
    if announced.is_some_and(|length| length.map_or(true, |length| length > body.len())) {
        return refuse("400 Wrong Content-Length");
    }
    Judgement::Fine
}

fn header<'a>(headers: &[(&str, &'a str)], name: &str, short: &str) -> Option<&'a str> {
    let is_it = |candidate: &str| {
        let candidate = candidate.trim_end();
        candidate.eq_ignore_ascii_case(name) || (!short.is_empty() && candidate.eq_ignore_ascii_case(short))
    };
    headers.iter().find(|(candidate, _)| is_it(candidate)).map(|(_, value)| value.trim())
}

/// A response (RFC 3261, 8.2.6), if the request says where responses go.
fn answer(status: &str, headers: &[(&str, &str)]) -> Option<String> {
    header(headers, "Via", "v")?;
    let mut answer = format!("SIP/2.0 {status}\r\n");
    for (name, value) in headers {
        let name = name.trim_end();
        let is = |long: &str, short: &str| name.eq_ignore_ascii_case(long) || name.eq_ignore_ascii_case(short);
        if is("To", "t") && !value.contains("tag=") {
            answer += &format!("{name}:{value};tag=refused\r\n");
        } else if is("Via", "v") || is("From", "f") || is("To", "t") || is("Call-ID", "i") || is("CSeq", "cseq") {
            answer += &format!("{name}:{value}\r\n");
        }
    }
    Some(answer + "Content-Length: 0\r\n\r\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(method: &str, headers: &str, body: &str) -> String {
        format!("{method} sip:x@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n{headers}\r\n{body}")
    }

    const USUAL: &str = "From: <sip:a@b>;tag=1\r\nTo: <sip:x@y>\r\nCall-ID: c1\r\n";

    #[test]
    fn proper_messages_pass() {
        for datagram in [
            request("INVITE", &format!("{USUAL}CSeq: 1 INVITE\r\nContent-Length: 5\r\n"), "v=0\r\n"),
            request("OPTIONS", "f:<sip:a@b>;tag=1\r\nt: <sip:x@y>\r\ni: c1\r\nCSeq : 7 OPTIONS\r\nl: 0\r\n", ""),
            "SIP/2.0 200 OK\r\n\r\n".to_owned(),
            "\r\n\r\n".to_owned(),
        ] {
            assert_eq!(judge(datagram.as_bytes()), Judgement::Fine, "{datagram}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (datagram, status) in [
            (request("DANCE", &format!("{USUAL}CSeq: 1 DANCE\r\n"), ""), "501"),
            (request("INVITE", &format!("{USUAL}CSeq: 1 BYE\r\n"), ""), "400"),
            (request("INVITE", USUAL, ""), "400"),
            (request("INVITE", &format!("{USUAL}CSeq: 1 INVITE\r\nContent-Length: 900\r\n"), "v=0"), "400"),
            (request("INVITE", &format!("{USUAL}CSeq: 1 INVITE\r\nContent-Length: x\r\n"), ""), "400"),
            (request("INVITE", "From: <sip:a@b>\r\nTo: <sip:x@y>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n", ""), "400"),
            (
                request("INVITE", &format!("{USUAL}CSeq: 1 INVITE\r\n"), "").replace("SIP/2.0\r\nV", "SIP/3.0\r\nV"),
                "505",
            ),
        ] {
            let Judgement::Answer(answer) = judge(datagram.as_bytes()) else { panic!("{datagram}") };
            assert!(answer.starts_with(&format!("SIP/2.0 {status} ")), "{answer}");
            assert!(answer.contains("branch=z9hG4bK1") && answer.ends_with("\r\n\r\n"), "{answer}");
        }
    }

    #[test]
    fn junk_gets_no_answer() {
        for datagram in [
            "hello",
            "GET / HTTP/1.1\r\n\r\n",
            "ACK sip:x SIP/2.0\r\nVia: x\r\n\r\n",
            "X y SIP/2.0\r\n\r\n",
            "\u{0}\u{1}",
        ] {
            assert_eq!(judge(datagram.as_bytes()), Judgement::Junk, "{datagram}");
        }
        assert_eq!(judge(&[0xff, 0xfe, 0x00]), Judgement::Junk);
    }

    proptest! {
        #[test]
        fn nothing_brings_it_down(datagram in proptest::collection::vec(any::<u8>(), 0..300)) {
            judge(&datagram);
        }
    }
}
