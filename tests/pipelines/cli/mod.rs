//! `pipeline-server transcribe`, and what the program does beside transcribing and serving.

mod formats;
mod inputs;
mod interrupt;
mod live;
mod models;
mod refusals;
mod shell;
mod terminal;
