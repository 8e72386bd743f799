//! `pipeline-server serve` from outside: the program is started, and real clients speak to it over WebSockets and HTTP.
//!
//! Audio is sent as fast as the server takes it. Every message that comes back is checked against the committed JSON
//! Schema; words are compared with what was said. No outcome depends on how fast the machine is.

// A broken fixture should stop the test where it is found.
#![allow(clippy::unwrap_used)]

mod access;
mod audio;
mod browser;
mod calls;
mod channels;
mod config;
mod containers;
mod control;
mod ends;
mod examples;
mod faults;
mod http;
mod pressure;
mod proxy;
mod refusals;
mod resume;
mod sources;
mod support;
mod tls;
mod traces;
mod transcripts;
mod twilio;
mod whip;
