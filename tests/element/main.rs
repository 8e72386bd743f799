//! The element in a `GstHarness`, on real speech with real weights: words, times, and GStreamer's manners.

#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs, unreachable_pub)]

mod common;

mod accuracy;
mod errors;
mod flow;
#[path = "../../transcribe-core/tests/common/folders.rs"]
mod folders;
mod format;
mod live;
mod models;
mod nothing;
mod sharing;
mod states;
mod upstream;
