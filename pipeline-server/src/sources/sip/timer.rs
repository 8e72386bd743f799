//! Session timers (RFC 4028): a call whose other end has vanished without a word is noticed because it is not refreshed.

use std::time::Duration;

use rsipstack::sip::{Header, Request};
use tokio::time::Instant;

/// The shortest interval that is agreed to, seconds (the RFC's own minimum).
const LEAST: u64 = 90;

/// What was agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timer {
    interval: Duration,
    /// Whether it is ours to refresh.
    ours: bool,
    since: Instant,
}

/// The caller asks for an interval that is too short.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooShort;

impl Timer {
    /// What the caller asks for, if anything.
    pub(super) fn of(request: &Request) -> Result<Option<Self>, TooShort> {
        let asked = request.headers.iter().find(|header| {
            header.name().eq_ignore_ascii_case("Session-Expires") || header.name().eq_ignore_ascii_case("x")
        });
        let Some(asked) = asked else { return Ok(None) };
        let mut parts = asked.value().split(';').map(str::trim);
        let Some(seconds) = parts.next().and_then(|seconds| seconds.parse::<u64>().ok()) else { return Ok(None) };
        if seconds < LEAST {
            return Err(TooShort);
        }
        let ours = parts.any(|part| part.eq_ignore_ascii_case("refresher=uas"));
        Ok(Some(Self { interval: Duration::from_secs(seconds), ours, since: Instant::now() }))
    }

    /// What the answer says of it.
    pub(super) fn headers(self) -> [Header; 2] {
        let refresher = if self.ours { "uas" } else { "uac" };
        let value = format!("{};refresher={refresher}", self.interval.as_secs());
        [Header::Other("Session-Expires".into(), value), Header::Other("Require".into(), "timer".into())]
    }

    /// What a refusal of a short interval says.
    pub(super) fn minimum() -> Header {
        Header::Other("Min-SE".into(), LEAST.to_string())
    }

    /// Whether it is ours to refresh.
    pub(super) fn is_ours(self) -> bool {
        self.ours
    }

    /// It was refreshed now.
    pub(super) fn refreshed(&mut self) {
        self.since = Instant::now();
    }

    /// When there is something to do: refresh, or give up (RFC 4028, 10).
    pub(super) fn due(self) -> Instant {
        let margin = (self.interval / 3).min(Duration::from_secs(32));
        self.since + if self.ours { self.interval / 2 } else { self.interval - margin }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(header: &str) -> Request {
        let text = format!(
            "INVITE sip:x@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:x@y>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n{header}Content-Length: 0\r\n\r\n"
        );
        text.as_str().try_into().unwrap()
    }

    #[tokio::test]
    async fn who_refreshes_and_when_is_the_callers_choice() {
        assert_eq!(Timer::of(&request("")), Ok(None));
        assert_eq!(Timer::of(&request("Session-Expires: 60\r\n")), Err(TooShort));
        let theirs = Timer::of(&request("Session-Expires: 1800;refresher=uac\r\n")).unwrap().unwrap();
        assert_eq!(theirs.due() - theirs.since, Duration::from_secs(1768));
        assert_eq!(theirs.headers()[0].value(), "1800;refresher=uac");
        let ours = Timer::of(&request("x: 90;refresher=uas\r\n")).unwrap().unwrap();
        assert!(ours.is_ours());
        assert_eq!(ours.due() - ours.since, Duration::from_secs(45));
    }
}
