//! What an operator settles.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use axum::http::Uri;
use ring::hmac;

use crate::config::List;

/// The settings of this door.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Twilio")]
pub(crate) struct Options {
    /// Auth token of the Twilio account whose Media Streams are let in at /twilio/stream; several while it is changed. It is a
    /// secret: in the file or the variable other users of this machine don't see it. Without one the door is closed, but for
    /// a server without keys that only this machine reaches.
    #[arg(long, value_name = "TOKEN,…", default_value = "", hide_default_value = true)]
    pub(crate) twilio_auth_token: List<Token>,

    /// Address under which Twilio reaches this server, such as wss://speech.example.org, where a proxy in front tells
    /// another in the header Host. Twilio signs the address of each stream.
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<PublicUrl>,
}

/// What an account signs its requests with. It is never shown.
#[derive(Clone)]
pub(crate) struct Token(hmac::Key);

impl Token {
    /// Whether this token made the signature of that text. Takes the same time however wrong it is.
    pub(super) fn signed(&self, text: &str, signature: &[u8]) -> bool {
        hmac::verify(&self.0, text.as_bytes(), signature).is_ok()
    }
}

impl FromStr for Token {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        // Twilio's choice; keyed hashes are not what SHA-1 is broken for.
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes())))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Where the server is for those outside: host, port and path before its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicUrl {
    /// `speech.example.org:8443`.
    pub(super) authority: String,
    /// Without a slash at its end.
    pub(super) path: String,
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|error| format!("{error}"))?;
        if !matches!(uri.scheme_str(), Some("wss" | "https")) {
            return Err("it has to begin with wss:// or https://, which is all that Twilio speaks".to_owned());
        }
        if uri.query().is_some() {
            return Err("it must not have a query".to_owned());
        }
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let authority = authority.ok_or("it has to name a host, and nobody before it")?;
        Ok(Self { authority: authority.to_string(), path: uri.path().trim_end_matches('/').to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_not_shown() {
        let tokens: List<Token> = "0123456789abcdef, fedcba9876543210".parse().unwrap();
        assert_eq!(format!("{tokens:?}"), "List([Token(…), Token(…)])");
    }

    #[test]
    fn addresses_are_of_hosts_that_twilio_can_reach() {
        let url = |text: &str| text.parse::<PublicUrl>().map(|url| (url.authority, url.path));
        assert_eq!(url("wss://speech.example.org"), Ok(("speech.example.org".into(), "".into())));
        assert_eq!(url("https://example.org:8443/speech/"), Ok(("example.org:8443".into(), "/speech".into())));
        for wrong in ["speech.example.org", "http://example.org", "wss://a@example.org", "wss://a/?b", "", "wss://"] {
            assert!(url(wrong).is_err(), "{wrong}");
        }
    }
}
