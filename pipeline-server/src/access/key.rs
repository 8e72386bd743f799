//! API keys. The server knows their hashes only: a key has 256 random bits, so that a plain SHA-256 of it can't be turned
//! back, and needs no salt.

use std::fmt::Write;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What keys begin with, so that they are known for what they are where they should not be.
const PREFIX: &str = "psk_";

/// A key's name and hash, as `NAME=SHA256`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    name: Arc<str>,
    hash: [u8; 32],
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = "a key is NAME=SHA256, as `pipeline-server new-key NAME` prints it";
        let (name, hash) = text.split_once('=').ok_or(wrong)?;
        check_name(name)?;
        let (pairs, rest) = hash.as_bytes().as_chunks::<2>();
        let mut bytes = [0; 32];
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return Err(wrong.to_owned());
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let digits = std::str::from_utf8(pair).map_err(|_| wrong)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong)?;
        }
        Ok(Self { name: name.into(), hash: bytes })
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.name, hex(&self.hash))
    }
}

/// A new key: the secret, and what the server is to know.
pub(crate) fn generate(name: &str) -> Result<(String, Key), String> {
    check_name(name)?;
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| format!("the system gives no random numbers: {error}"))?;
    let secret = format!("{PREFIX}{}", hex(&random));
    let key = Key { name: name.into(), hash: Sha256::digest(secret.as_bytes()).into() };
    Ok((secret, key))
}

/// The name of the key that `shown` is. It takes as long whichever it is, and however wrong.
pub(super) fn find(keys: &[Key], shown: &str) -> Option<Arc<str>> {
    let hash: [u8; 32] = Sha256::digest(shown.as_bytes()).into();
    let mut found = None;
    for key in keys {
        if bool::from(key.hash.ct_eq(&hash)) {
            found = Some(key.name.clone());
        }
    }
    found
}

fn check_name(name: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(good) {
        return Err("a key's name has 1 to 64 letters, digits, - and _".to_owned());
    }
    Ok(())
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_its_secret_and_read_from_its_text() {
        let (secret, key) = generate("call-centre").unwrap();
        let read: Key = key.to_string().parse().unwrap();
        assert_eq!(read, key);
        assert!(!key.to_string().contains(&secret[PREFIX.len()..]));
        assert_eq!(find(&[generate("x").unwrap().1, read], &secret).as_deref(), Some("call-centre"));
        assert_eq!(find(&[key], "psk_"), None);
        assert_ne!(generate("a").unwrap().0, generate("a").unwrap().0);
    }

    #[test]
    fn the_hash_is_plain_sha_256() {
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let key: Key = format!("abc={hash}").parse().unwrap();
        assert_eq!(find(&[key], "abc").as_deref(), Some("abc"));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in
            ["", "a", "=00", "a=00", "a b=00", &format!("a={}", "g".repeat(64)), &format!("a={}", "0".repeat(66))]
        {
            assert!(text.parse::<Key>().is_err(), "{text}");
        }
    }
}
