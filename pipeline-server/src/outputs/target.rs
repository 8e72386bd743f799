//! Where text goes: stdout, or a file that appears only when it is complete.

use std::fs::{File, Permissions};
use std::io::{self, Stdout, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Where text goes.
pub(crate) enum Target {
    /// The terminal, a pipe, a redirection.
    Stdout(Stdout),
    /// What exists and is no ordinary file, such as a named pipe: written as it comes.
    Special(File),
    /// A new file beside its final place.
    File {
        /// Holds the text until it is complete.
        draft: NamedTempFile,
        /// Where it will be.
        path: PathBuf,
    },
}

/// Why a file can't be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    /// It is a folder, or its name is none.
    #[error("cannot write to {0}: it is a folder")]
    NotAFile(PathBuf),
    /// The system refused.
    #[error("cannot write {path}: {reason}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: io::Error,
    },
}

impl Target {
    /// Stdout, or a draft of `path`: what can't be written is found out before the work begins.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, TargetError> {
        let Some(path) = path else { return Ok(Self::Stdout(io::stdout())) };
        let refused = |reason| TargetError::Io { path: path.to_owned(), reason };
        // Through a symbolic link, so that the link stays one.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        match path.metadata() {
            Ok(there) if there.is_dir() => return Err(TargetError::NotAFile(path)),
            Ok(there) if !there.is_file() => {
                return File::options().write(true).open(&path).map(Self::Special).map_err(refused)
            }
            _ => {}
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        folder.metadata().map_err(refused)?;
        let draft = tempfile::Builder::new()
            .prefix(".transcript-")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)
            .map_err(refused)?;
        Ok(Self::File { draft, path })
    }

    /// The text is complete: puts the file in its place.
    pub(crate) fn complete(mut self) -> Result<(), TargetError> {
        let path = match &self {
            Self::File { path, .. } => path.clone(),
            _ => PathBuf::from("stdout"),
        };
        self.flush().map_err(|reason| TargetError::Io { path, reason })?;
        if let Self::File { draft, path } = self {
            draft.persist(&path).map_err(|e| TargetError::Io { path, reason: e.error })?;
        }
        Ok(())
    }

    /// The text broke off: keeps what there is beside the place of the file, and gives that name if there is anything.
    pub(crate) fn incomplete(self) -> Option<PathBuf> {
        let Self::File { draft, path } = self else { return None };
        if draft.as_file().metadata().map_or(true, |m| m.len() == 0) {
            return None;
        }
        let mut name = path.into_os_string();
        name.push(".incomplete");
        let name = PathBuf::from(name);
        draft.persist(&name).ok().map(|_| name)
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::Special(file) => file.write(bytes),
            Self::File { draft, .. } => draft.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::Special(file) => file.flush(),
            Self::File { draft, .. } => draft.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_changes_only_when_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, "old").unwrap();
        let mut target = Target::open(Some(&path)).unwrap();
        target.write_all(b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        target.complete().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(names(folder.path()), ["a.txt"]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o600, 0o600);
    }

    #[test]
    fn what_broke_off_is_kept_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let mut target = Target::open(Some(&path)).unwrap();
        target.write_all(b"half").unwrap();
        let kept = target.incomplete().unwrap();
        assert_eq!(fs::read_to_string(kept).unwrap(), "half");
        assert_eq!(names(folder.path()), ["a.txt.incomplete"]);
        assert_eq!(Target::open(Some(&path)).unwrap().incomplete(), None);
    }

    #[test]
    fn folders_and_missing_folders_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Target::open(Some(folder.path())), Err(TargetError::NotAFile(_))));
        let nowhere = folder.path().join("no/a.txt");
        assert!(matches!(Target::open(Some(&nowhere)), Err(TargetError::Io { .. })));
    }

    #[test]
    fn a_symbolic_link_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("a.txt"), folder.path().join("link"));
        fs::write(&path, "old").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut target = Target::open(Some(&link)).unwrap();
        target.write_all(b"new").unwrap();
        target.complete().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
