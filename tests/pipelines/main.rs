//! The launch lines in `pipelines/` and the command line, as a user runs them: real speech goes in, what comes out is
//! compared with what was said and when.
//!
//! Nothing here links with GStreamer: everything is a process with a time limit ([`support::program`]), so that a
//! pipeline that stands still fails its test instead of stopping all.

// A broken fixture should stop the test where it is found.
#![allow(clippy::unwrap_used)]

mod cli;
mod inspect;
mod scripts;
mod support;
