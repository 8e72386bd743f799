//! A download that isn't finished: `<file>.part`, and beside it in `<file>.part.json` what it is a part of.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::checksum::Checksum;
use super::error::ModelError;
use crate::engine::CancelToken;

/// What the hub said of the file when the part was begun; by this a later answer is known to be of the same file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Origin {
    /// Where it came from.
    pub(super) url: String,
    /// The last hop's strong ETag.
    pub(super) etag: Option<String>,
    /// SHA-256 by the hub's word.
    pub(super) digest: Option<String>,
    /// Length of the whole file.
    pub(super) total: Option<u64>,
}

/// A part on disk.
#[derive(Debug)]
pub(super) struct Part {
    path: PathBuf,
    note: PathBuf,
    len: u64,
    origin: Origin,
}

impl Part {
    /// The part of `file` in `folder` that an earlier run left, if it is one of `url`; else an empty one.
    pub(super) fn of(folder: &Path, file: &str, url: &str) -> Self {
        let path = folder.join(format!("{file}.part"));
        let note = folder.join(format!("{file}.part.json"));
        let origin: Option<Origin> = fs::read(&note).ok().and_then(|json| serde_json::from_slice(&json).ok());
        let len = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        match origin.filter(|origin| origin.url == url) {
            Some(origin) => Self { path, note, len, origin },
            None => Self { path, note, len: 0, origin: Origin { url: url.into(), ..Origin::default() } },
        }
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that are here.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// What it is a part of.
    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether what is here can be told to be of the same file as what the hub has by then.
    pub(super) fn resumable(&self) -> bool {
        self.len > 0 && (self.origin.etag.is_some() || self.origin.digest.is_some())
    }

    /// Whether all bytes are here.
    pub(super) fn complete(&self) -> bool {
        self.len > 0 && self.origin.total == Some(self.len)
    }

    /// Begins anew with a file of this origin.
    pub(super) fn begin(&mut self, origin: Origin) -> Result<File, ModelError> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&self.path);
        let file = file.map_err(|source| self.disk(source))?;
        self.len = 0;
        let json = serde_json::to_vec(&origin).map_err(io::Error::from);
        json.and_then(|json| fs::write(&self.note, json))
            .map_err(|source| ModelError::Disk { path: self.note.clone(), source })?;
        self.origin = origin;
        Ok(file)
    }

    /// Goes on behind what is here.
    pub(super) fn resume(&self) -> Result<File, ModelError> {
        OpenOptions::new().append(true).open(&self.path).map_err(|source| self.disk(source))
    }

    /// Adds `bytes` by way of `file`, which [`begin`](Self::begin) or [`resume`](Self::resume) gave.
    pub(super) fn append(&mut self, file: &mut File, bytes: &[u8]) -> Result<(), ModelError> {
        file.write_all(bytes).map_err(|source| self.disk(source))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// The digest of this kind of what is here, read back from the disk.
    pub(super) fn digest(&self, kind: &Checksum, cancel: &CancelToken) -> Result<String, ModelError> {
        kind.of(&self.path, cancel).map_err(|source| self.disk(source))?.ok_or(ModelError::Cancelled)
    }

    /// Gives the finished part its final name, so that it is there whole or not at all.
    pub(super) fn install(&self, path: &Path) -> Result<(), ModelError> {
        let synced = OpenOptions::new().append(true).open(&self.path).and_then(|file| file.sync_all());
        synced.map_err(|source| self.disk(source))?;
        fs::rename(&self.path, path).map_err(|source| ModelError::Disk { path: path.into(), source })?;
        // The file is whole either way; a folder that can't be synced only makes the rename less durable.
        #[cfg(unix)]
        if let Some(folder) = path.parent() {
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
        let _ = fs::remove_file(&self.note);
        Ok(())
    }

    /// Throws it away.
    pub(super) fn discard(&mut self) {
        self.len = 0;
        for path in [&self.path, &self.note] {
            if let Err(e) = fs::remove_file(path) {
                if e.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(path = %path.display(), error = %e, "cannot remove an unusable download");
                }
            }
        }
    }

    fn disk(&self, source: io::Error) -> ModelError {
        ModelError::Disk { path: self.path.clone(), source }
    }
}
