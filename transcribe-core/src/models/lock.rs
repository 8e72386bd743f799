//! One download of a file at a time, across threads and processes: a lock on `<file>.lock` beside it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::error::ModelError;
use crate::engine::CancelToken;

/// Between two looks at a lock that someone else holds.
const LOOK: Duration = Duration::from_millis(50);

/// The right to download a file into a folder, until dropped.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Makes `folder` if need be, and a lock file in it; fails where downloads could not be written either.
    pub(super) fn prepare(folder: &Path, file: &str) -> io::Result<(PathBuf, File)> {
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("{file}.lock"));
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
        Ok((path, file))
    }

    /// Waits until nobody else downloads the file.
    pub(super) fn acquire((path, file): (PathBuf, File), cancel: &CancelToken) -> Result<Self, ModelError> {
        let mut waiting = false;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    if cancel.is_cancelled() {
                        return Err(ModelError::Cancelled);
                    }
                    if !waiting {
                        tracing::info!(lock = %path.display(), "waiting for another download of the same model");
                        waiting = true;
                    }
                    thread::sleep(LOOK);
                }
                // Two downloads at once may spoil each other there, which the digest would bring to light.
                Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {
                    tracing::warn!(lock = %path.display(), "this file system has no locks; going on without");
                    break;
                }
                Err(TryLockError::Error(source)) => return Err(ModelError::Disk { path, source }),
            }
        }
        Ok(Self { path, _file: file })
    }

    /// Removes the lock file, which is safe once the model is in its place: whoever still waits finds it there.
    pub(super) fn finish(self) {
        let _ = fs::remove_file(&self.path);
    }
}
