//! Tokens for browsers, which can't send a header with a WebSocket: short-lived, signed, and good for what their key is
//! good for. As text: `EXPIRY.NAME.SIGNATURE`.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::key::hex;

/// Makes and checks tokens.
pub(super) struct Tokens {
    mac: Hmac<Sha256>,
}

/// Why a token is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Wrong {
    /// Not made here.
    #[error("the token is not one of this server's; get one from POST /v1/tokens")]
    Forged,
    /// Too old.
    #[error("the token has expired; get a new one from POST /v1/tokens")]
    Expired,
}

impl Tokens {
    /// With a new secret.
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        // A whole block of the hash.
        let mut secret = [0; 64];
        getrandom::fill(&mut secret)?;
        Ok(Self { mac: Hmac::new(&secret.into()) })
    }

    /// A token for the key of that name.
    pub(super) fn sign(&self, name: &str, expiry: SystemTime) -> String {
        let claim = format!("{}.{name}", seconds(expiry));
        let signature = self.mac(&claim).finalize().into_bytes();
        format!("{claim}.{}", hex(&signature))
    }

    /// The name of its key.
    pub(super) fn check(&self, token: &str, now: SystemTime) -> Result<Arc<str>, Wrong> {
        let (claim, signature) = token.rsplit_once('.').ok_or(Wrong::Forged)?;
        let (expiry, name) = claim.split_once('.').ok_or(Wrong::Forged)?;
        let expected = hex(&self.mac(claim).finalize().into_bytes());
        // In constant time, like all comparison of secrets.
        if !bool::from(subtle::ConstantTimeEq::ct_eq(expected.as_bytes(), signature.as_bytes())) {
            return Err(Wrong::Forged);
        }
        let expiry: u64 = expiry.parse().map_err(|_| Wrong::Forged)?;
        if expiry <= seconds(now) {
            return Err(Wrong::Expired);
        }
        Ok(name.into())
    }

    fn mac(&self, claim: &str) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(claim.as_bytes());
        mac
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_until_it_expires() {
        let tokens = Tokens::new().unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let token = tokens.sign("door-1", now + Duration::from_secs(60));
        assert_eq!(tokens.check(&token, now).as_deref(), Ok("door-1"));
        assert_eq!(tokens.check(&token, now + Duration::from_secs(59)).as_deref(), Ok("door-1"));
        assert_eq!(tokens.check(&token, now + Duration::from_secs(60)), Err(Wrong::Expired));
    }

    #[test]
    fn nothing_in_it_can_be_changed() {
        let tokens = Tokens::new().unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let token = tokens.sign("door", now + Duration::from_secs(60));
        for (from, to) in [("1000060", "9000060"), ("door", "safe"), (".door.", ".door")] {
            assert_eq!(tokens.check(&token.replace(from, to), now), Err(Wrong::Forged), "{to}");
        }
        for token in ["", ".", "..", "x.y.z", &token[..token.len() - 1], &format!("{token}0")] {
            assert_eq!(tokens.check(token, now), Err(Wrong::Forged), "{token}");
        }
        assert_eq!(Tokens::new().unwrap().check(&token, now), Err(Wrong::Forged));
    }
}
