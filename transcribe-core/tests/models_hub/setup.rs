//! A folder to download into, and the model that is downloaded.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use sha2::{Digest, Sha256};
use transcribe_core::engine::CancelToken;
use transcribe_core::models::{Digests, Hub, ModelError, Patience, Places, Proxies, Registry};

use crate::sample;

/// The model.
pub static MODEL: LazyLock<Vec<u8>> = LazyLock::new(|| sample::model(0));
/// Another one.
pub static OTHER: LazyLock<Vec<u8>> = LazyLock::new(|| sample::model(7));

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// A folder for downloads, and a registry that knows no other.
pub struct Setup {
    pub folder: tempfile::TempDir,
    pub hub: Hub,
}

impl Setup {
    pub fn new(endpoint: &str) -> Self {
        let digests = BTreeMap::from([("tiny".to_string(), sha256(&MODEL))]);
        let hub = Hub {
            endpoint: endpoint.into(),
            token: None,
            offline: false,
            proxies: Proxies::default(),
            authorities: None,
            digests: Digests::Given(digests),
            patience: Patience {
                connect: Duration::from_secs(5),
                read: Duration::from_secs(5),
                tries: 6,
                pause: Duration::from_millis(5),
            },
        };
        Self { folder: tempfile::tempdir().unwrap(), hub }
    }

    /// One that knows no digests of its own.
    pub fn unpinned(endpoint: &str) -> Self {
        let mut setup = Self::new(endpoint);
        setup.hub.digests = Digests::Given(BTreeMap::new());
        setup
    }

    pub fn places(&self) -> Places {
        let folders = vec![self.models()];
        Places { folders: folders.clone(), hub_caches: Vec::new(), install: folders }
    }

    pub fn registry(&self) -> Registry {
        Registry::new(self.places(), self.hub.clone())
    }

    pub fn resolve(&self) -> Result<PathBuf, ModelError> {
        self.resolve_until(&CancelToken::new())
    }

    pub fn resolve_until(&self, cancel: &CancelToken) -> Result<PathBuf, ModelError> {
        self.registry().resolve("tiny", cancel, &mut |_| {})
    }

    /// Why the model can't be had.
    pub fn refusal(&self) -> ModelError {
        self.resolve().unwrap_err()
    }

    pub fn models(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    pub fn part(&self) -> PathBuf {
        self.models().join("ggml-tiny.bin.part")
    }

    /// Names in the folder, sorted.
    pub fn listing(&self) -> Vec<String> {
        let entries = fs::read_dir(self.models()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = entries.collect();
        names.sort();
        names
    }

    /// That `path` is the model, whole, and that nothing else is left.
    pub fn assert_installed(&self, path: &Path) {
        assert_eq!(path, self.models().join("ggml-tiny.bin"));
        assert!(fs::read(path).unwrap() == *MODEL, "the installed file is another");
        assert_eq!(self.listing(), ["ggml-tiny.bin"]);
    }

    /// That the model can be had, and nothing else is left behind.
    pub fn assert_downloads(&self) {
        self.assert_installed(&self.resolve().unwrap());
    }
}
