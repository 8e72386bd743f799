//! What the tests share: processes with a time limit, media to feed them, readers for what they write, and the truth.

pub(crate) mod frames;
pub(crate) mod media;
pub(crate) mod packets;
pub(crate) mod program;
pub(crate) mod subtitles;
pub(crate) mod truth;

use std::path::{Path, PathBuf};

/// The root of the workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// One of the bundled recordings as a file.
pub(crate) fn recording(name: &str) -> PathBuf {
    e2e_tests::data_dir().join("speech").join(format!("{name}.flac"))
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
