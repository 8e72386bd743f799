//! `pipeline-server transcribe`.

mod formats;
mod inputs;
mod interrupt;
mod live;
mod refusals;
mod terminal;
