//! What goes wrong between a model's name and a usable file: each message says the cause and what mends it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why there is no usable model file.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The name is not one of [`names`](super::names).
    #[error("no model is called '{name}'{}; known are: {}; or give the path of a ggml file or a folder, or a repository of the hub as openai/whisper-tiny", or_meant(close), super::names().collect::<Vec<_>>().join(", "))]
    UnknownName {
        /// As asked for.
        name: String,
        /// Known names that look like it.
        close: Vec<&'static str>,
    },
    /// A path was given and no file is there.
    #[error("there is no model file {path}: {hint}")]
    Missing {
        /// As given.
        path: PathBuf,
        /// What mends it.
        hint: String,
    },
    /// The file is there and is not a model that whisper.cpp can load.
    #[error("{path} is not a usable Whisper model: {reason}")]
    NotAModel {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is there and can't be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The model isn't here and downloads are switched off.
    #[error("the model '{}' is not on this machine and HF_HUB_OFFLINE forbids downloads: {wanted}", wanted.name)]
    Offline {
        /// What would have been downloaded.
        wanted: Box<Wanted>,
    },
    /// The hub can't be reached, or the connection breaks again and again.
    #[error("cannot download the model '{}': {reason}; mend the network and try again, or {wanted}", wanted.name)]
    Network {
        /// What was to be downloaded.
        wanted: Box<Wanted>,
        /// What failed.
        reason: String,
    },
    /// The hub answers that it has no such file.
    #[error("the hub has no model '{}' ({status} for {}): use another name, or check HF_ENDPOINT", wanted.name, wanted.url)]
    NoSuchFile {
        /// What was to be downloaded.
        wanted: Box<Wanted>,
        /// HTTP status.
        status: u16,
    },
    /// The hub has no such repository, or shows it to nobody who may not read it.
    #[error(
        "there is neither a path '{}' nor a model of that name on the hub ({status} for {}): check the name; if it is \
         private, {}", wanted.name, wanted.url, token_mend(*token_sent)
    )]
    NoRepository {
        /// What was to be downloaded.
        wanted: Box<Wanted>,
        /// HTTP status.
        status: u16,
        /// Whether a token went along.
        token_sent: bool,
    },
    /// The hub wants a (better) token.
    #[error("the hub refuses the model '{}' ({status} for {}): {}", wanted.name, wanted.url, token_mend(*token_sent))]
    Denied {
        /// What was to be downloaded.
        wanted: Box<Wanted>,
        /// HTTP status.
        status: u16,
        /// Whether a token went along.
        token_sent: bool,
    },
    /// The hub's answer makes no sense to us.
    #[error("the hub's answer for the model '{}' can't be used: {reason}; {wanted}", wanted.name)]
    Answer {
        /// What was to be downloaded.
        wanted: Box<Wanted>,
        /// What is wrong with it.
        reason: String,
    },
    /// Neither we nor the hub know the file's SHA-256.
    #[error(
        "the model '{}' was not downloaded because nothing tells its SHA-256: it is not in the built-in table and the \
         hub sent neither X-Linked-ETag nor ETag with one; {wanted}",
        wanted.name
    )]
    Unverifiable {
        /// What was to be downloaded.
        wanted: Box<Wanted>,
    },
    /// The hub announces another file than the one we know.
    #[error(
        "the model '{}' was not downloaded: its SHA-256 ought to be {expected} and the hub announces {got}; check \
         HF_ENDPOINT, or {wanted}",
        wanted.name
    )]
    WrongFile {
        /// What was to be downloaded.
        wanted: Box<Wanted>,
        /// From the built-in table.
        expected: String,
        /// From the hub's header.
        got: String,
    },
    /// The downloaded file is damaged or another one; it was removed.
    #[error(
        "the download {path} was damaged and is removed: its digest ought to be {expected} and is {got}; try again"
    )]
    WrongDigest {
        /// The file, removed.
        path: PathBuf,
        /// Digest the file ought to have: SHA-256, or SHA-1 as git computes it for small files.
        expected: String,
        /// Digest it had.
        got: String,
    },
    /// A file on disk has the name of an official one and other bytes.
    #[error(
        "{path} is not the official file of its name: its SHA-256 ought to be {expected} and is {got}; remove it and pull \
         the model anew, or rename it if it is of your own making"
    )]
    NotOfficial {
        /// The file.
        path: PathBuf,
        /// SHA-256 of the official file.
        expected: String,
        /// SHA-256 it has.
        got: String,
    },
    /// No folder takes the download.
    #[error("no folder takes the model '{}' ({}): make one of them writable, or name another in WHISPER_MODELS_DIR", wanted.name, tried.join("; "))]
    NoFolder {
        /// What was to be downloaded.
        wanted: Box<Wanted>,
        /// Each folder and the system's error.
        tried: Vec<String>,
    },
    /// Writing the download failed.
    #[error("cannot write {path}: {}", disk_mend(source))]
    Disk {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// An environment variable has a value that can't be used.
    #[error("{variable} can't be used: {reason}")]
    Setting {
        /// Its name.
        variable: &'static str,
        /// Cause and mend.
        reason: String,
    },
    /// The caller's token was set; not a failure.
    #[error("cancelled")]
    Cancelled,
}

impl ModelError {
    /// Names the file of an error that was found in a copy of it.
    pub(super) fn at(self, path: &Path) -> Self {
        match self {
            Self::NotAModel { reason, .. } => Self::NotAModel { path: path.into(), reason },
            other => other,
        }
    }
}

/// A file that is not here: its address, and where it may be put by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The model's name.
    pub name: String,
    /// Where the hub has it.
    pub url: String,
    /// What it is called on disk.
    pub file: String,
    /// The folders that are searched.
    pub folders: Vec<PathBuf>,
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fetch {} by other means and put it as {} into one of:", self.url, self.file)?;
        for (i, folder) in self.folders.iter().enumerate() {
            write!(f, "{} {}", if i == 0 { "" } else { "," }, folder.display())?;
        }
        Ok(())
    }
}

fn or_meant(close: &[&str]) -> String {
    if close.is_empty() {
        String::new()
    } else {
        format!(", did you mean {}?", close.join(" or "))
    }
}

fn token_mend(sent: bool) -> &'static str {
    if sent {
        "the token sent has no right to it; put one that has into HF_TOKEN"
    } else {
        "put a token that may read it into HF_TOKEN"
    }
}

fn disk_mend(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("{source}; free some space and try again, the download goes on where it stopped")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            format!("{source}; make the folder writable, or name another in WHISPER_MODELS_DIR")
        }
        _ => source.to_string(),
    }
}
