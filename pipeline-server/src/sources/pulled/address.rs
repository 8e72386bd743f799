//! Addresses of streams. What must not be known (user names, passwords, everything behind a `?`) never gets out by being
//! printed.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

/// What stands in place of what must not be known.
const HIDDEN: &str = "***";

/// Where a stream comes from.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address {
    whole: String,
    protocol: Protocol,
    /// Without user name and password.
    bare: String,
    login: Option<Login>,
}

/// User name and password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

/// How a stream is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Cameras; also over TLS.
    Rtsp,
    /// Secure Reliable Transport.
    Srt,
    /// RTMP, also over TLS.
    Rtmp,
    /// HLS, Icecast, files; also over TLS.
    Http,
    /// A file of this machine.
    File,
}

impl Protocol {
    const SCHEMES: [(&'static str, Self); 8] = [
        ("rtsp", Self::Rtsp),
        ("rtsps", Self::Rtsp),
        ("srt", Self::Srt),
        ("rtmp", Self::Rtmp),
        ("rtmps", Self::Rtmp),
        ("http", Self::Http),
        ("https", Self::Http),
        ("file", Self::File),
    ];

    /// What a URI's beginning means.
    pub(crate) fn of_uri(uri: &str) -> Option<Self> {
        let (scheme, _) = uri.split_once("://")?;
        Self::SCHEMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(scheme)).map(|(_, protocol)| *protocol)
    }

    /// As in logs and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rtsp => "rtsp",
            Self::Srt => "srt",
            Self::Rtmp => "rtmp",
            Self::Http => "http",
            Self::File => "file",
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let schemes = || Protocol::SCHEMES.map(|(name, _)| name).join(", ");
        // The text itself stays out of errors: a password may stand in it.
        let (scheme, rest) = text.split_once("://").ok_or_else(|| format!("is no address: {}", schemes()))?;
        let scheme = scheme.to_ascii_lowercase();
        let protocol = Protocol::of_uri(text).ok_or_else(|| format!("{scheme}:// is none of {}", schemes()))?;
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("has a space or control character in it".to_owned());
        }
        let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (login, bare) = match rest[..authority].rfind('@') {
            None => (None, text.to_owned()),
            Some(at) => (Some(Login::read(&rest[..at])?), format!("{scheme}://{}", &rest[at + 1..])),
        };
        let host = &bare[scheme.len() + 3..];
        // A server that waits for callers has no name of its own to give.
        let may_be_nameless = matches!(protocol, Protocol::File | Protocol::Srt);
        if host.is_empty() || (!may_be_nameless && host.starts_with(['/', '?', '#', ':'])) {
            return Err("names no server".to_owned());
        }
        Ok(Self { whole: text.to_owned(), protocol, bare, login })
    }
}

impl Login {
    fn read(text: &str) -> Result<Self, String> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        let unescaped = |part: &str| {
            let plain = percent_decode_str(part).decode_utf8();
            plain.map(Into::into).map_err(|_| "has a user name or password that is not UTF-8".to_owned())
        };
        Ok(Self { user: unescaped(user)?, password: unescaped(password)? })
    }
}

impl Address {
    /// With all that is in it: to be kept, never to be shown.
    pub(crate) fn reveal(&self) -> &str {
        &self.whole
    }

    /// How it is pulled.
    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Without user name and password, but with what stands behind a `?`.
    pub(super) fn bare(&self) -> &str {
        &self.bare
    }

    pub(super) fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// Whether it looks like that of a playlist (HLS).
    pub(super) fn is_playlist(&self) -> bool {
        let path = self.bare.split(['?', '#']).next().unwrap_or_default();
        self.protocol == Protocol::Http && path.ends_with(".m3u8")
    }

    /// The value of a parameter behind the `?`.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let (_, query) = self.bare.split_once('?')?;
        let query = query.split('#').next().unwrap_or_default();
        query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// A text of somebody else's without what must not be known of this.
    pub(crate) fn scrub(&self, text: &str) -> String {
        let shown = self.to_string();
        let mut text = text.replace(&self.whole, &shown).replace(&self.bare, &shown);
        if let Some((_, query)) = self.bare.split_once('?') {
            if !query.is_empty() {
                text = text.replace(query, HIDDEN);
            }
        }
        if let Some(login) = &self.login {
            if !login.password.is_empty() {
                text = text.replace(&login.password, HIDDEN);
            }
        }
        text
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.bare.split_once('?').map_or(self.bare.as_str(), |(plain, _)| plain);
        let (scheme, rest) = plain.split_once("://").unwrap_or_default();
        let login = if self.login.is_some() { "***@" } else { "" };
        let query = if self.bare.contains('?') { "?***" } else { "" };
        write!(f, "{scheme}://{login}{rest}{query}")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_secret_is_never_shown() {
        let camera = address("rtsp://viewer:s%40cret@camera.example:554/live");
        assert_eq!(camera.to_string(), "rtsp://***@camera.example:554/live");
        assert_eq!(format!("{camera:?}"), camera.to_string());
        let login = camera.login().unwrap();
        assert_eq!((login.user.as_str(), login.password.as_str()), ("viewer", "s@cret"));
        assert_eq!(camera.bare(), "rtsp://camera.example:554/live");
        assert_eq!(address("srt://a:1?passphrase=x&mode=caller").to_string(), "srt://a:1?***");
        let told = camera.scrub("cannot open rtsp://viewer:s%40cret@camera.example:554/live with s@cret");
        assert_eq!(told, "cannot open rtsp://***@camera.example:554/live with ***");
        let told = address("https://a/b.m3u8?token=x").scrub("GET https://a/b.m3u8?token=x and /c.ts?token=x");
        assert_eq!(told, "GET https://a/b.m3u8?*** and /c.ts?***");
    }

    #[test]
    fn an_at_sign_in_the_path_parts_no_login() {
        let stream = address("http://radio.example/@home:1");
        assert!(stream.login().is_none());
        assert_eq!(stream.to_string(), "http://radio.example/@home:1");
        assert_eq!(address("rtsp://a:b@c@d/e").login().unwrap().password, "b@c");
    }

    #[test]
    fn parameters_are_found() {
        let caller = address("srt://:9000?mode=listener&latency=200");
        assert_eq!(caller.parameter("mode"), Some("listener"));
        assert_eq!(caller.parameter("mod"), None);
        assert_eq!(caller.protocol(), Protocol::Srt);
        assert_eq!(address("HTTPS://a/b").protocol().name(), "http");
        assert!(address("https://a/live.m3u8?key=x").is_playlist() && !address("https://a/x?of=b.m3u8").is_playlist());
    }

    #[test]
    fn what_is_no_address_is_told_without_being_repeated() {
        for text in
            ["camera", "ftp://u:secret@a/b", "rtsp://", "rtsp:///x", "http://u:secret@/x", "rtsp://u:secret@a b"]
        {
            let error = text.parse::<Address>().unwrap_err();
            assert!(!error.contains("secret"), "{text}: {error}");
        }
    }
}
