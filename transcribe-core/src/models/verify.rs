//! Whether a model on disk is whole, and the one that its name says.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::error::ModelError;
use super::hub::Digests;
use super::{checkpoint, names};
use crate::engine::CancelToken;

/// SHA-256 of the default model's file that comes with this project, quantised by it.
const BUNDLED: &str = "c624085f3c1e81e04c4e77cdeaef5df370de6552e8b80abb44c15386e89c7e87";

/// What a model turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// The official file of its name, to the bit.
    Official,
    /// The file that comes with this project, to the bit.
    Bundled,
    /// A model that can be loaded; there is no digest to compare it with.
    Usable,
}

/// Checks structure and, where the name is an official one, the SHA-256 of the whole file.
pub(super) fn verify(path: &Path, digests: &Digests, cancel: &CancelToken) -> Result<Verified, ModelError> {
    checkpoint::inspect(path)?;
    let named = path.file_name().and_then(|file| file.to_str()).and_then(names::named_by_file);
    let Some(expected) = named.and_then(|name| digests.of(name)).filter(|_| path.is_file()) else {
        return Ok(Verified::Usable);
    };
    let unreadable = |source| ModelError::Unreadable { path: path.to_owned(), source };
    match sha256(path, cancel).map_err(unreadable)?.ok_or(ModelError::Cancelled)? {
        got if got == expected => Ok(Verified::Official),
        got if got == BUNDLED => Ok(Verified::Bundled),
        got => Err(ModelError::NotOfficial { path: path.to_owned(), expected: expected.to_owned(), got }),
    }
}

/// SHA-256 of a file in lower-case hex; nothing if it was cancelled.
pub(super) fn sha256(path: &Path, cancel: &CancelToken) -> io::Result<Option<String>> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 17];
    loop {
        if cancel.is_cancelled() {
            return Ok(None);
        }
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => hash.update(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}
