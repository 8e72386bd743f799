//! Models: from what the user asks for, a name or a path, to a file or folder on disk that an engine can load.
//!
//! A path has a separator, ends in `.bin`, or is a file or folder; anything else is one of [`names`]. A name stands for
//! the file `ggml-<name>.bin`, looked for in the folders of [`Places`] and otherwise downloaded once from the Hugging
//! Face [`Hub`]. `owner/name`, unless it is a path that exists, stands likewise for a folder of a repository there. Whatever is found is checked by [`checkpoint::inspect`] first. The default model is also satisfied by its
//! bundled quantised file, `ggml-tiny.en-q8_0.bin`, where no full `ggml-tiny.en.bin` lies.

pub mod checkpoint;
mod checksum;
mod ctranslate2;
mod download;
mod error;
mod folder;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod ggml;
mod http;
mod hub;
mod hugging_face;
mod locate;
mod lock;
mod names;
mod numbers;
mod part;
mod pull;
mod reader;
mod repository;
mod verify;

use std::path::PathBuf;

pub use self::error::{ModelError, Wanted};
pub use self::hub::{Digests, Hub, Patience, Proxies, Token};
use self::locate::Asked;
pub use self::locate::Places;
pub use self::names::names;
pub use self::verify::Verified;
use crate::engine::CancelToken;

/// The model taken where none is asked for.
pub const DEFAULT_MODEL: &str = "tiny.en";

/// How far a download is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that are here.
    pub downloaded: u64,
    /// Bytes of the whole file, if the hub tells.
    pub total: Option<u64>,
    /// Bytes that an earlier run had left and needn't come again.
    pub resumed_from: u64,
}

/// Finds models by name or path, and fetches those that aren't here.
#[derive(Debug, Clone)]
pub struct Registry {
    places: Places,
    hub: Hub,
}

impl Registry {
    /// A registry of these places that downloads from this hub.
    pub fn new(places: Places, hub: Hub) -> Self {
        Self { places, hub }
    }

    /// The registry that the process's environment variables describe; see [`Places::from_lookup`] and
    /// [`Hub::from_lookup`].
    pub fn from_env() -> Self {
        let env = |variable: &str| std::env::var_os(variable);
        Self::new(Places::from_lookup(&env), Hub::from_lookup(&env))
    }

    /// Where models are looked for.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// The file or folder of `model`, found or else downloaded, and valid. Blocks, for a download perhaps minutes; `progress` is
    /// told how far it is and `cancel` ends it, keeping what is here for the next time.
    pub fn resolve(
        &self,
        model: &str,
        cancel: &CancelToken,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<PathBuf, ModelError> {
        let asked = locate::asked(model)?;
        let path = match (self.places.find_asked(&asked), &asked) {
            (Some(path), _) => path,
            (None, Asked::Path(path)) => path.clone(),
            (None, Asked::Name(name)) => download::download(&self.hub, &self.places, name, cancel, progress)?,
            (None, Asked::Repository(name)) => pull::pull(&self.hub, &self.places, name, cancel, progress)?,
        };
        checkpoint::inspect(&path)?;
        Ok(path)
    }

    /// The file or folder of `model` if it is on this machine, not yet inspected. Never uses the network.
    pub fn locate(&self, model: &str) -> Result<Option<PathBuf>, ModelError> {
        Ok(self.places.find_asked(&locate::asked(model)?))
    }

    /// Checks all of the file or folder of `model`, if it is on this machine: its structure, and its SHA-256 where that is
    /// known. Never uses the network; reads the whole file unless `cancel` is set.
    pub fn verify(&self, model: &str, cancel: &CancelToken) -> Result<Option<(PathBuf, Verified)>, ModelError> {
        let Some(path) = self.locate(model)? else { return Ok(None) };
        let verified = verify::verify(&path, &self.hub.digests, cancel)?;
        Ok(Some((path, verified)))
    }
}
