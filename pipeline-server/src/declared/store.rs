//! The file in which sources are kept that clients declared. Passwords are in it: nobody else may read it. It is replaced as
//! a whole, so that it is always a whole one.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::spec::SourceSpec;

/// Its name in the state folder.
const NAME: &str = "sources.json";
/// Of the format.
const VERSION: u32 = 1;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    path: PathBuf,
}

/// Why sources can't be read or kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The system refused.
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    /// It holds something else.
    #[error("{}: {reason}; mend it or move it away", path.display())]
    Broken { path: PathBuf, reason: String },
}

#[derive(Serialize, Deserialize)]
struct Contents {
    version: u32,
    sources: Vec<SourceSpec>,
}

impl Store {
    /// In that folder, which is made if it is not there.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(folder).map_err(|error| StoreError::Io { path: folder.to_owned(), error })?;
        Ok(Self { path: folder.join(NAME) })
    }

    /// What was kept; nothing if there is no file.
    pub(crate) fn load(&self) -> Result<Vec<SourceSpec>, StoreError> {
        let broken = |reason: String| StoreError::Broken { path: self.path.clone(), reason };
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.io(error)),
        };
        let contents: Contents = serde_json::from_str(&text).map_err(|error| broken(error.to_string()))?;
        if contents.version != VERSION {
            return Err(broken(format!("it is of version {}, and this program writes {VERSION}", contents.version)));
        }
        Ok(contents.sources)
    }

    /// Keeps these and no others.
    pub(crate) fn save(&self, sources: &[SourceSpec]) -> Result<(), StoreError> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let draft = tempfile::Builder::new()
            .prefix(".sources-")
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(folder)
            .map_err(|error| self.io(error))?;
        let contents = Contents { version: VERSION, sources: sources.to_vec() };
        let mut file: &File = draft.as_file();
        serde_json::to_writer_pretty(file, &contents).map_err(|error| self.io(error.into()))?;
        writeln!(file).map_err(|error| self.io(error))?;
        file.sync_all().map_err(|error| self.io(error))?;
        draft.persist(&self.path).map_err(|error| self.io(error.error))?;
        // The name is in the folder for good only when the folder is.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| self.io(error))
    }

    fn io(&self, error: io::Error) -> StoreError {
        StoreError::Io { path: self.path.clone(), error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str) -> SourceSpec {
        serde_json::from_str(&format!(r#"{{"name":"{name}","url":"rtsp://u:p@camera/{name}"}}"#)).unwrap()
    }

    #[test]
    fn what_is_kept_comes_back_and_nobody_else_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state")).unwrap();
        assert_eq!(store.load().unwrap(), []);
        store.save(&[spec("a"), spec("b")]).unwrap();
        store.save(&[spec("b")]).unwrap();
        assert_eq!(store.load().unwrap(), [spec("b")]);
        assert_eq!(fs::metadata(&store.path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path().join("state")).unwrap().count(), 1, "no drafts are left");
    }

    #[test]
    fn a_broken_file_is_told_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for text in ["", "{\"version\":2,\"sources\":[]}", "{\"version\":1,\"sources\":[{}]}"] {
            fs::write(&store.path, text).unwrap();
            assert!(store.load().unwrap_err().to_string().contains("sources.json"), "{text}");
            assert_eq!(fs::read_to_string(&store.path).unwrap(), text);
        }
    }
}
