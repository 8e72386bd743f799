//! Files of a model folder: opened only if they are files, read only up to a length that is believed.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::error::ModelError;

/// Longest text file believed; the longest known, a tokenizer's, has some 4 MB.
const LONGEST_TEXT: u64 = 32 << 20;

/// The file at `path` and its length. A named pipe would block, so it is asked before it is opened.
pub(super) fn open(path: &Path) -> Result<(File, u64), ModelError> {
    let unreadable = |source| ModelError::Unreadable { path: path.into(), source };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        let reason =
            if metadata.is_dir() { "it is a folder; give the file itself" } else { "it is not a regular file" };
        return Err(ModelError::NotAModel { path: path.into(), reason: reason.into() });
    }
    let file = File::open(path).map_err(unreadable)?;
    // The opened file's own length: another may have taken its place since.
    let len = file.metadata().map_err(unreadable)?.len();
    Ok((file, len))
}

/// The bytes of a text file.
pub(super) fn text(path: &Path) -> Result<Vec<u8>, ModelError> {
    let (file, len) = open(path)?;
    if len > LONGEST_TEXT {
        let reason = format!("it has {len} bytes; at most {LONGEST_TEXT} are believed of such a file");
        return Err(ModelError::NotAModel { path: path.into(), reason });
    }
    let mut bytes = Vec::new();
    let read = file.take(LONGEST_TEXT).read_to_end(&mut bytes);
    read.map_err(|source| ModelError::Unreadable { path: path.into(), source })?;
    Ok(bytes)
}

/// A JSON file.
pub(super) fn json<T: DeserializeOwned>(path: &Path) -> Result<T, ModelError> {
    // Nesting deeper than 128 is an error of serde_json's.
    serde_json::from_slice(&text(path)?)
        .map_err(|error| ModelError::NotAModel { path: path.into(), reason: format!("{error}; download it again") })
}

/// A JSON file that need not be there.
pub(super) fn json_if_any<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ModelError> {
    // A link to nowhere is an error, not the lack of a file.
    if fs::symlink_metadata(path).is_ok() {
        json(path).map(Some)
    } else {
        Ok(None)
    }
}

/// The first of these files that the folder has.
pub(super) fn first(folder: &Path, files: &[&str]) -> Option<PathBuf> {
    files.iter().map(|file| folder.join(file)).find(|path| fs::symlink_metadata(path).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(content: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, content).unwrap();
        json::<serde_json::Value>(&path).unwrap_err().to_string()
    }

    #[test]
    fn broken_texts_are_errors() {
        for (content, complaint) in [
            (&b"{\"a\": "[..], "EOF"),
            (b"", "EOF"),
            (b"\xff\xfe", "expected value"),
            (&b"[".repeat(1_000_000), "recursion limit"),
            (&b"{\"a\":".repeat(1_000_000), "recursion limit"),
        ] {
            let message = message(content);
            assert!(message.contains(complaint) && message.contains("config.json"), "{message}");
        }
    }

    #[test]
    fn what_is_too_long_or_no_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(text(&path).unwrap_err().to_string().contains("1099511627776 bytes"));
        assert!(text(folder.path()).unwrap_err().to_string().contains("it is a folder"));
        assert!(matches!(text(&folder.path().join("none")), Err(ModelError::Unreadable { .. })));
        assert!(json_if_any::<u8>(&folder.path().join("none")).unwrap().is_none());
        #[cfg(unix)]
        {
            let loops = folder.path().join("loop.json");
            std::os::unix::fs::symlink(&loops, &loops).unwrap();
            assert!(matches!(text(&loops), Err(ModelError::Unreadable { .. })));
            assert!(text(Path::new("/dev/zero")).unwrap_err().to_string().contains("not a regular file"));
        }
    }
}
