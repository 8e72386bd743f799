//! Whether a model on disk is whole, and the one that its name says.

use std::path::Path;

use super::checksum::sha256;
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
