//! Passwords of callers: digest authentication (RFC 2617, as RFC 3261 section 22 takes it over).
//!
//! Nonces are signed and carry their age, so that a caller who only asks leaves nothing behind. Each may be used with rising
//! counts only.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest as _, Md5};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::options::User;
use crate::access::hex;

/// How long a nonce is good for.
const LIFETIME: Duration = Duration::from_secs(300);
/// Nonces in use whose counts are kept at once.
const MOST: usize = 10_000;
/// What callers are told that they log in to.
const REALM: &str = "pipeline-server";

/// See the module.
pub(super) struct Digest {
    users: Vec<User>,
    secret: [u8; 32],
    /// The last count of each nonce that was used.
    counts: Mutex<HashMap<String, u32>>,
}

/// What is said of a caller's answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is this user.
    Known(String),
    /// The password may be right, but the nonce is too old or was used before.
    Stale,
    /// No.
    Wrong,
}

impl Digest {
    /// For these users.
    pub(super) fn new(users: Vec<User>) -> Result<Self, getrandom::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Self { users, secret, counts: Mutex::default() })
    }

    /// Whether there are any users.
    pub(super) fn has_users(&self) -> bool {
        !self.users.is_empty()
    }

    /// The value of `WWW-Authenticate`.
    pub(super) fn challenge(&self, stale: bool, now: SystemTime) -> Result<String, getrandom::Error> {
        let mut chance = [0; 8];
        getrandom::fill(&mut chance)?;
        let nonce = self.nonce(seconds(now), chance);
        let stale = if stale { ", stale=true" } else { "" };
        Ok(format!(r#"Digest realm="{REALM}", nonce="{nonce}", algorithm=MD5, qop="auth"{stale}"#))
    }

    /// Whether an `Authorization` header is right for a request of that method.
    pub(super) fn check(&self, header: &str, method: &str, now: SystemTime) -> Verdict {
        let Some(shown) = Shown::parse(header) else { return Verdict::Wrong };
        let Some(age) = self.age(&shown.nonce, now) else { return Verdict::Wrong };
        // Somebody unknown takes as long as somebody known.
        let user = self.users.iter().find(|user| user.name == shown.username);
        let password = user.map_or("", |user| &user.password);
        let expected = shown.expected(password, method);
        let right = bool::from(expected.as_bytes().ct_eq(shown.response.to_ascii_lowercase().as_bytes()));
        if user.is_none() || !right || shown.realm != REALM {
            return Verdict::Wrong;
        }
        if age > LIFETIME || !self.count(&shown, now) {
            return Verdict::Stale;
        }
        Verdict::Known(shown.username)
    }

    /// Whether the count of an answer is above all before.
    fn count(&self, shown: &Shown, now: SystemTime) -> bool {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MOST {
            counts.retain(|nonce, _| self.age(nonce, now).is_some_and(|age| age <= LIFETIME));
        }
        if counts.len() >= MOST {
            return false;
        }
        let last = counts.entry(shown.nonce.clone()).or_default();
        let rises = shown.count > *last;
        if rises {
            *last = shown.count;
        }
        rises
    }

    fn nonce(&self, seconds: u64, chance: [u8; 8]) -> String {
        let mut bytes = seconds.to_be_bytes().to_vec();
        bytes.extend(chance);
        let signature = self.signature(&bytes);
        bytes.extend(signature);
        hex(&bytes)
    }

    /// How old a nonce is, if it is one of ours.
    fn age(&self, nonce: &str, now: SystemTime) -> Option<Duration> {
        let bytes = unhex(nonce)?;
        let (said, signature) = bytes.split_at_checked(16)?;
        if !bool::from(self.signature(said).as_slice().ct_eq(signature)) {
            return None;
        }
        let made = u64::from_be_bytes(said.get(..8)?.try_into().ok()?);
        Some(Duration::from_secs(seconds(now).saturating_sub(made)))
    }

    fn signature(&self, bytes: &[u8]) -> Vec<u8> {
        // A key may have any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.secret) else { return Vec::new() };
        mac.update(bytes);
        mac.finalize().into_bytes().to_vec()
    }
}

/// What a caller shows.
#[derive(Debug)]
struct Shown {
    username: String,
    realm: String,
    nonce: String,
    uri: String,
    response: String,
    cnonce: String,
    /// As it was written, and the number it stands for.
    nc: String,
    count: u32,
}

impl Shown {
    fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("digest") {
            return None;
        }
        let mut fields = fields(rest);
        let mut take = |name: &str| fields.remove(name);
        if take("algorithm").is_some_and(|algorithm| !algorithm.eq_ignore_ascii_case("md5")) || take("qop")? != "auth" {
            return None;
        }
        let nc = take("nc")?;
        let count = (nc.len() == 8).then(|| u32::from_str_radix(&nc, 16).ok()).flatten()?;
        Some(Self {
            username: take("username")?,
            realm: take("realm")?,
            nonce: take("nonce")?,
            uri: take("uri")?,
            response: take("response")?,
            cnonce: take("cnonce")?,
            nc,
            count,
        })
    }

    fn expected(&self, password: &str, method: &str) -> String {
        let Self { username, realm, nonce, uri, cnonce, nc, .. } = self;
        let (who, what) = (hash(&format!("{username}:{realm}:{password}")), hash(&format!("{method}:{uri}")));
        hash(&format!("{who}:{nonce}:{nc}:{cnonce}:auth:{what}"))
    }
}

/// `name=value` with commas between, values in quotes or not; names in lower case.
fn fields(text: &str) -> HashMap<String, String> {
    let mut fields = HashMap::new();
    let mut rest = text;
    while let Some((name, behind)) = rest.split_once('=') {
        let behind = behind.trim_start();
        let (value, after) = match behind.strip_prefix('"') {
            Some(quoted) => {
                let Some((value, after)) = quoted.split_once('"') else { break };
                (value, after.split_once(',').map_or("", |(_, after)| after))
            }
            None => behind.split_once(',').unwrap_or((behind, "")),
        };
        fields.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
        rest = after;
    }
    fields
}

fn hash(text: &str) -> String {
    hex(&Md5::digest(text.as_bytes()))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> Digest {
        Digest::new(vec!["bob:zanzibar".parse().unwrap(), "alice:secret".parse().unwrap()]).unwrap()
    }

    fn nonce_of(challenge: &str) -> String {
        fields(challenge.strip_prefix("Digest ").unwrap())["nonce"].clone()
    }

    fn answer(nonce: &str, name: &str, password: &str, nc: &str) -> String {
        let shown = Shown {
            username: name.into(),
            realm: REALM.into(),
            nonce: nonce.into(),
            uri: "sip:x@192.0.2.1".into(),
            response: String::new(),
            cnonce: "0a4f113b".into(),
            nc: nc.into(),
            count: 0,
        };
        let response = shown.expected(password, "INVITE");
        format!(
            "Digest username=\"{name}\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"sip:x@192.0.2.1\", \
             response=\"{response}\", algorithm=MD5, cnonce=\"0a4f113b\", qop=auth, nc={nc}"
        )
    }

    #[test]
    fn the_example_of_the_rfc_comes_out() {
        // RFC 2617, 3.5.
        let header = "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", \
            nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/dir/index.html\", qop=auth, nc=00000001, \
            cnonce=\"0a4f113b\", response=\"6629fae49393a05397450978507c4ef1\"";
        let shown = Shown::parse(header).unwrap();
        assert_eq!(shown.expected("Circle Of Life", "GET"), shown.response);
    }

    #[test]
    fn the_right_password_is_known_as_often_as_the_count_rises() {
        let (digest, now) = (digest(), SystemTime::now());
        let nonce = nonce_of(&digest.challenge(false, now).unwrap());
        let check = |answer: &str| digest.check(answer, "INVITE", now);
        // The tenth is written in hexadecimal.
        for nc in ["00000001", "00000002", "00000009", "0000000a", "00000010"] {
            assert_eq!(check(&answer(&nonce, "alice", "secret", nc)), Verdict::Known("alice".into()), "{nc}");
        }
        assert_eq!(check(&answer(&nonce, "alice", "secret", "00000010")), Verdict::Stale, "played back");
        assert_eq!(check(&answer(&nonce, "alice", "Secret", "00000011")), Verdict::Wrong);
        assert_eq!(check(&answer(&nonce, "eve", "", "00000011")), Verdict::Wrong);
        assert_eq!(digest.check(&answer(&nonce, "alice", "secret", "00000012"), "BYE", now), Verdict::Wrong);
    }

    #[test]
    fn nonces_grow_old_and_can_not_be_made_up() {
        let (digest, now) = (digest(), SystemTime::now());
        let nonce = nonce_of(&digest.challenge(false, now).unwrap());
        let late = now + LIFETIME + Duration::from_secs(2);
        assert_eq!(digest.check(&answer(&nonce, "bob", "zanzibar", "00000001"), "INVITE", late), Verdict::Stale);
        assert_eq!(digest.check(&answer(&nonce, "bob", "wrong", "00000001"), "INVITE", late), Verdict::Wrong);
        for forged in ["", "00", &"0".repeat(96), &nonce[2..], "zz", "é"] {
            let answer = answer(forged, "bob", "zanzibar", "00000001");
            assert_eq!(digest.check(&answer, "INVITE", now), Verdict::Wrong, "{forged}");
        }
        assert!(digest.challenge(true, now).unwrap().ends_with("stale=true"));
    }

    #[test]
    fn broken_headers_are_wrong() {
        let digest = digest();
        for header in ["", "Digest", "Digest ", "Basic abc", "Digest username", "Digest username=\"a", "Digest =,=,="] {
            assert_eq!(digest.check(header, "INVITE", SystemTime::now()), Verdict::Wrong, "{header}");
        }
    }
}
