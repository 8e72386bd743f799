//! The scheduler: jobs of all streams in, batches for one engine out. One per loaded model.
//!
//! [`decide`] holds the rules and no clock; [`run`] is the thin shell that owns the workers.

pub mod decide;
pub mod run;

use std::time::Duration;

/// Counters since the model was loaded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// Finals decoded.
    pub finals: u64,
    /// Partials decoded.
    pub partials: u64,
    /// Partials dropped before they ran: replaced by a newer one, or their utterance ended.
    pub partials_dropped: u64,
    /// Jobs stopped while they ran.
    pub aborted: u64,
    /// Jobs that the engine failed on.
    pub failed: u64,
    /// Jobs waiting now.
    pub queued: usize,
    /// Seconds of audio in finals waiting now.
    pub queued_seconds: f64,
    /// Seconds of audio decoded.
    pub audio_seconds: f64,
    /// Seconds the engine was busy, over all workers.
    pub busy_seconds: f64,
    /// Longest wait of a final before it ran.
    pub longest_final_wait: Duration,
}

impl Stats {
    /// Engine seconds per second of decoded audio; 0 before the first job.
    pub fn real_time_factor(&self) -> f64 {
        if self.audio_seconds > 0.0 {
            self.busy_seconds / self.audio_seconds
        } else {
            0.0
        }
    }
}
