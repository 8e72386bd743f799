//! Downloads a [`Repository`]: its files one after the other into `<name>.part`, each verified, and the folder in its
//! place once it is a model that can be loaded.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::checkpoint;
use super::download::{folder, pause, watched, Fetch, LONGEST_WAIT, TRIES_UNREACHED};
use super::error::{ModelError, Wanted};
use super::http::{Client, Failure};
use super::hub::Hub;
use super::locate::Places;
use super::lock::Lock;
use super::repository::{Entry, Listing, Repository};
use super::Progress;
use crate::engine::CancelToken;

/// Longest list of files that is believed.
const LONGEST_LIST: u64 = 8 << 20;

/// Downloads the model, and tells its folder.
pub(super) fn pull(
    hub: &Hub,
    places: &Places,
    repository: &Repository,
    cancel: &CancelToken,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, ModelError> {
    let wanted = Wanted {
        name: repository.to_string(),
        url: hub.page(repository),
        file: repository.to_string(),
        folders: places.folders.clone(),
    };
    if hub.offline {
        return Err(ModelError::Offline { wanted: Box::new(wanted) });
    }
    let client = Client::new(hub)?;
    let below = |models: &Path| repository.owner_below(models);
    let (models, lock) = folder(places, &wanted, &below, repository.folder())?;
    let lock = Lock::acquire(lock, cancel)?;
    let path = repository.below(models);
    if !path.is_dir() {
        tracing::info!(model = wanted.name, path = %path.display(), "downloading a model");
        let pull = Pull { hub, client: &client, repository, wanted: &wanted, cancel };
        watched(cancel, &client, || pull.run(&path, progress))?;
        tracing::info!(model = wanted.name, path = %path.display(), "model downloaded");
    }
    lock.finish();
    Ok(path)
}

struct Pull<'a> {
    hub: &'a Hub,
    client: &'a Client<'a>,
    repository: &'a Repository,
    wanted: &'a Wanted,
    cancel: &'a CancelToken,
}

impl Pull<'_> {
    fn run(&self, path: &Path, progress: &mut dyn FnMut(Progress)) -> Result<(), ModelError> {
        let listing = self.list()?;
        let files = listing.files().map_err(|reason| self.unusable(reason))?;
        let part = path.with_file_name(format!("{}.part", self.repository.folder()));
        let disk = |path: &Path| {
            let path = path.to_owned();
            move |source| ModelError::Disk { path, source }
        };
        fs::create_dir_all(&part).map_err(disk(&part))?;
        self.tidy(&part, &files).map_err(disk(&part))?;
        let total = files.iter().map(|file| file.size).sum();
        let (mut before, mut resumed) = (0, 0);
        for file in &files {
            let url = self.hub.file_of(self.repository, &listing.sha, &file.name);
            let wanted = Wanted { url, file: format!("{}/{}", self.repository, file.name), ..self.wanted.clone() };
            let mut tell = |of_file: Progress| {
                let resumed_from = resumed + of_file.resumed_from;
                progress(Progress { downloaded: before + of_file.downloaded, total: Some(total), resumed_from });
            };
            let fetch = Fetch { hub: self.hub, client: self.client, wanted: &wanted, cancel: self.cancel };
            resumed += fetch.file(&part, file, &mut tell)?;
            before += file.size;
        }
        // A folder that can't be loaded is of no use whole.
        checkpoint::inspect(&part).map_err(|error| error.at(path))?;
        fs::rename(&part, path).map_err(disk(path))?;
        // The folder is whole either way; one that can't be synced only makes the rename less durable.
        #[cfg(unix)]
        if let Some(owner) = path.parent() {
            let _ = fs::File::open(owner).and_then(|owner| owner.sync_all());
        }
        Ok(())
    }

    /// Removes what an earlier run has left of files that the model doesn't have any more.
    fn tidy(&self, part: &Path, files: &[Entry]) -> io::Result<()> {
        for entry in fs::read_dir(part)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let of = name.trim_end_matches(".json").trim_end_matches(".part");
            if !files.iter().any(|file| file.name == name || file.name == of) && entry.file_type()?.is_file() {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// What the hub has, with tries as for a file.
    fn list(&self) -> Result<Listing, ModelError> {
        let (mut failed, mut reached) = (0, false);
        loop {
            let url = self.hub.list_of(self.repository);
            let (reason, wait) = match self.client.get(&url, 0, None) {
                Err(Failure::Lasting(reason)) => return Err(self.unusable(reason)),
                Err(Failure::Passing(reason)) => (reason, None),
                Ok(mut answer) => {
                    reached = true;
                    match answer.status {
                        200 => {
                            let mut json = Vec::new();
                            match answer.body.as_reader().take(LONGEST_LIST).read_to_end(&mut json) {
                                Ok(_) => {
                                    return serde_json::from_slice(&json)
                                        .map_err(|error| self.unusable(format!("its list of files: {error}")))
                                }
                                Err(error) => (format!("the connection broke: {error}"), None),
                            }
                        }
                        // The hub doesn't tell strangers whether there is a private one.
                        status @ (401 | 403 | 404 | 410) => {
                            let token_sent = self.client.has_token();
                            return Err(ModelError::NoRepository { wanted: self.wanted(), status, token_sent });
                        }
                        status @ (408 | 429 | 500..) => {
                            let wait = answer.retry_after().map(Duration::from_secs);
                            (format!("the hub answers with status {status}"), wait)
                        }
                        status => return Err(self.unusable(format!("status {status}"))),
                    }
                }
            };
            if self.cancel.is_cancelled() {
                return Err(ModelError::Cancelled);
            }
            failed += 1;
            let tries = self.hub.patience.tries;
            if failed >= if reached { tries } else { tries.min(TRIES_UNREACHED) } {
                return Err(ModelError::Network { wanted: self.wanted(), reason });
            }
            let least = self.hub.patience.pause_after(failed);
            pause(self.cancel, wait.map_or(least, |wait| wait.min(LONGEST_WAIT).max(least)))?;
        }
    }

    fn unusable(&self, reason: String) -> ModelError {
        ModelError::Answer { wanted: self.wanted(), reason }
    }

    fn wanted(&self) -> Box<Wanted> {
        Box::new(self.wanted.clone())
    }
}
