//! `X-Twilio-Signature`: Twilio signs the address that it was told with the account's auth token, so that nobody else can open
//! a stream. The signature has no date in it: TLS is what keeps others from repeating it.

use axum::http::header::{HeaderMap, HOST};
use axum::http::uri::Authority;
use axum::http::Uri;
use base64::engine::general_purpose::STANDARD;
use base64::Engine;

use super::options::{PublicUrl, Token};

/// The header.
const HEADER: &str = "x-twilio-signature";
/// The port that `wss` has where none is named.
const PORT: u16 = 443;

/// Whether one of the tokens signed the request; the error says what is wrong.
pub(super) fn check(
    headers: &HeaderMap,
    uri: &Uri,
    tokens: &[Token],
    public: Option<&PublicUrl>,
) -> Result<(), &'static str> {
    let header = headers.get(HEADER).ok_or("no X-Twilio-Signature: this address is for Twilio's Media Streams")?;
    let signature = STANDARD.decode(header.as_bytes()).map_err(|_| "the X-Twilio-Signature is not base64")?;
    let addresses = addresses(headers, uri, public);
    let good = |address: &String| tokens.iter().any(|token| token.signed(address, &signature));
    if addresses.iter().any(good) {
        return Ok(());
    }
    Err("the X-Twilio-Signature is of another auth token or address; behind a proxy, --public-url says which address \
         Twilio was told")
}

/// What Twilio may have signed. Whether a port is part of it, and whether a slash stands at its end, depends on the kind of
/// request; each of these is the same place.
fn addresses(headers: &HeaderMap, uri: &Uri, public: Option<&PublicUrl>) -> Vec<String> {
    let (authority, prefix) = match public {
        Some(public) => (public.authority.as_str(), public.path.as_str()),
        None => (headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default(), ""),
    };
    let Ok(authority) = authority.parse::<Authority>() else { return Vec::new() };
    let host = authority.host();
    let mut places = vec![authority.to_string()];
    if authority.port().is_some() {
        places.push(host.to_owned());
    } else {
        places.push(format!("{host}:{PORT}"));
    }
    let path = uri.path();
    let ends = match uri.query() {
        Some(query) => vec![format!("?{query}")],
        None => vec![String::new(), "/".to_owned()],
    };
    let address = |place: &String, end: &String| format!("wss://{place}{prefix}{path}{end}");
    places.iter().flat_map(|place| ends.iter().map(move |end| address(place, end))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "12345";
    const PATH: &str = "/twilio/stream";

    fn token(text: &str) -> Token {
        text.parse().unwrap()
    }

    fn signature(token: &str, address: &str) -> String {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
        STANDARD.encode(ring::hmac::sign(&key, address.as_bytes()))
    }

    fn checked(host: &str, signature: Option<&str>, tokens: &[&str], public: Option<&str>) -> Result<(), &'static str> {
        let mut headers = HeaderMap::from_iter([(HOST, host.parse().unwrap())]);
        if let Some(signature) = signature {
            headers.insert(HEADER, signature.parse().unwrap());
        }
        let tokens: Vec<Token> = tokens.iter().map(|text| token(text)).collect();
        let public = public.map(|url| url.parse().unwrap());
        check(&headers, &PATH.parse().unwrap(), &tokens, public.as_ref())
    }

    /// The example in Twilio's documentation, whose libraries test themselves with it.
    #[test]
    fn signatures_are_those_of_twilio() {
        let signed = "https://mycompany.com/myapp.php?foo=1&bar=2CallSidCA1234567890ABCDECaller+14158675309\
                      Digits1234From+14158675309To+18005551212";
        let signature = STANDARD.decode("RSOYDt4T1cUTdK1PDd93/VVr8B8=").unwrap();
        assert!(token(TOKEN).signed(signed, &signature));
        assert!(!token("12346").signed(signed, &signature) && !token(TOKEN).signed(&signed[1..], &signature));
        assert!(!token(TOKEN).signed(signed, &signature[..19]) && !token(TOKEN).signed(signed, &[]));
    }

    #[test]
    fn the_address_is_that_which_twilio_was_told() {
        let good = signature(TOKEN, "wss://speech.example.org/twilio/stream");
        assert_eq!(checked("speech.example.org", Some(&good), &[TOKEN], None), Ok(()));
        assert_eq!(checked("speech.example.org:443", Some(&good), &[TOKEN], None), Ok(()));
        assert!(checked("elsewhere.example.org", Some(&good), &[TOKEN], None).is_err());
        assert!(checked("speech.example.org", Some(&good), &["54321"], None).is_err());
        assert!(checked("speech.example.org", None, &[TOKEN], None).is_err());
        for wrong in ["", "x", "AAAA", &good[1..]] {
            assert!(checked("speech.example.org", Some(wrong), &[TOKEN], None).is_err(), "{wrong}");
        }
        for told in ["wss://speech.example.org:8443/twilio/stream", "wss://speech.example.org/twilio/stream/"] {
            let signature = signature(TOKEN, told);
            assert_eq!(checked("speech.example.org:8443", Some(&signature), &[TOKEN], None), Ok(()), "{told}");
        }
    }

    #[test]
    fn a_proxy_may_stand_in_front_and_tokens_may_change() {
        let public = Some("https://example.org/speech");
        let new = signature("new", "wss://example.org/speech/twilio/stream");
        assert_eq!(checked("127.0.0.1:8765", Some(&new), &["old", "new"], public), Ok(()));
        assert!(checked("127.0.0.1:8765", Some(&new), &["old"], public).is_err());
        let of_the_host = signature("new", "wss://127.0.0.1:8765/twilio/stream");
        assert!(checked("127.0.0.1:8765", Some(&of_the_host), &["new"], public).is_err());
    }
}
