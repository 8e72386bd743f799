//! Streaming transcription without I/O.
//!
//! Audio of any number of speakers goes in as 16 kHz mono samples, timed results come out:
//!
//! ```text
//! samples → stream (frames) → vad → segmenter → scheduler → engine → guards → partials → stream → Output
//! ```
//!
//! Time is a position in samples ([`Position`]) that the caller's audio defines; nothing here reads a clock to
//! decide what the words are. VAD, segmenter, stream and the scheduler's decisions have no threads and no I/O.
//! Three modules are the thin shell around that core: [`runtime`] (the threads that drive it), [`scheduler::run`]
//! (the engine's workers) and [`models`] (files and, for a named model that is not there, one download).

pub mod engine;
pub mod guards;
pub mod models;
#[cfg_attr(not(feature = "onnx-engine"), allow(dead_code))]
mod onnx_graph;
pub mod onnxruntime;
pub mod partials;
pub mod runtime;
pub mod scheduler;
pub mod segmenter;
pub mod stream;
pub mod transcript;
pub mod vad;

/// Samples per second of all audio inside this crate; Whisper and Silero VAD were trained at this rate.
pub const SAMPLE_RATE: u32 = 16_000;

/// A position on a stream's time line: samples at [`SAMPLE_RATE`] since the stream was opened.
pub type Position = u64;

/// Samples in `ms` milliseconds.
pub const fn samples_from_ms(ms: u64) -> u64 {
    ms * SAMPLE_RATE as u64 / 1000
}

/// Seconds in `samples`.
pub fn seconds(samples: u64) -> f64 {
    samples as f64 / f64::from(SAMPLE_RATE)
}
