//! What a file on the hub is known by: the SHA-256 of its bytes, or for small ones git's name of them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::engine::CancelToken;

/// A digest in lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Checksum {
    /// Of the bytes. The hub has it of files that git doesn't keep itself, all weights among them.
    Sha256(String),
    /// Of a header and the bytes, with SHA-1: what git calls a blob. It is all that the hub says of small files.
    Blob(String),
}

impl Checksum {
    /// The digest.
    pub(super) fn hex(&self) -> &str {
        match self {
            Self::Sha256(hex) | Self::Blob(hex) => hex,
        }
    }

    /// The digest of this kind that the file has; nothing if it was cancelled.
    pub(super) fn of(&self, path: &Path, cancel: &CancelToken) -> io::Result<Option<String>> {
        match self {
            Self::Sha256(_) => sha256(path, cancel),
            Self::Blob(_) => blob(path, cancel),
        }
    }
}

/// SHA-256 of a file in lower-case hex; nothing if it was cancelled.
pub(super) fn sha256(path: &Path, cancel: &CancelToken) -> io::Result<Option<String>> {
    let mut hash = Sha256::new();
    let whole = read(path, cancel, |bytes| hash.update(bytes))?;
    Ok(whole.then(|| hex(&hash.finalize())))
}

/// Git's name of a file.
fn blob(path: &Path, cancel: &CancelToken) -> io::Result<Option<String>> {
    use sha1::Digest as _;
    let mut hash = Sha1::new();
    hash.update(format!("blob {}\0", path.metadata()?.len()));
    let whole = read(path, cancel, |bytes| hash.update(bytes))?;
    Ok(whole.then(|| hex(&hash.finalize())))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hands out a file piece by piece; says whether that was all of it.
fn read(path: &Path, cancel: &CancelToken, mut take: impl FnMut(&[u8])) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 17];
    loop {
        if cancel.is_cancelled() {
            return Ok(false);
        }
        match file.read(&mut buffer) {
            Ok(0) => return Ok(true),
            Ok(n) => take(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_sha256sum_and_of_git_hash_object() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hello");
        std::fs::write(&path, "hello\n").unwrap();
        let of = |kind: Checksum| kind.of(&path, &CancelToken::new()).unwrap().unwrap();
        assert_eq!(of(Checksum::Blob(String::new())), "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(
            of(Checksum::Sha256(String::new())),
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
        );
        let cancelled = CancelToken::new();
        cancelled.cancel();
        assert_eq!(sha256(&path, &cancelled).unwrap(), None);
    }
}
