//! What the end-to-end tests stand on: audio in, a verdict out.
//!
//! Tests compose a signal whose words and times are known ([`clips`]), spoil it in a reproducible way ([`audio`]),
//! send it through the thing under test, and compare the words that come back ([`wer`], which looks at them
//! through Whisper's own text [`normalizer`]). [`rss`] watches what a process costs meanwhile.
//!
//! These modules don't know GStreamer or the transcriber, so that a fault there can't hide itself here; what drives the
//! element is in the programs `bench` and `soak`, which stand beside them. The exceptions are [`replay`], which drives the
//! speech core in virtual time, and [`sessions`], which open and drop it. Everything is deterministic: the same arguments give the same samples on every
//! machine.

// Helpers of tests: a broken fixture should stop the test where it is found.
#![allow(clippy::unwrap_used)]

pub mod audio;
pub mod clips;
pub mod normalizer;
pub mod replay;
pub mod rss;
pub mod sessions;
pub mod wer;

use std::path::PathBuf;

/// The folder of the test data that is kept under version control.
pub fn data_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data")
}
