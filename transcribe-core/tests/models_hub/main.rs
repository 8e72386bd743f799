//! Downloads from a hub that stands in for Hugging Face.
#![allow(clippy::unwrap_used, unreachable_pub)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/folders.rs"]
mod folders;
#[path = "../../src/models/ggml/sample.rs"]
mod sample;
mod server;
mod setup;

mod places;
mod refusals;
mod repositories;
mod resume;
mod routes;
mod sharing;
mod trust;
