//! Partial results: when a running utterance is decoded, and what of each hypothesis is shown as stable.
//!
//! One file a policy, [`PartialPolicy`] chooses among them. A policy sees the free hypotheses of one utterance in
//! order; it never feeds text back to the decoder, since errors forced as a prefix stick.

mod interval;

pub use interval::Interval;

use crate::engine::Hypothesis;
use crate::samples_from_ms;

/// Which partial results a stream gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartialPolicy {
    /// None: finals only.
    None,
    /// The whole utterance so far, decoded again whenever this much new audio (samples) has come.
    Interval {
        /// Samples between two partials.
        every: u64,
    },
}

impl Default for PartialPolicy {
    fn default() -> Self {
        Self::Interval { every: samples_from_ms(500) }
    }
}

impl PartialPolicy {
    /// Samples of new audio after which the next partial is due; `None` when there are no partials.
    pub fn interval(&self) -> Option<u64> {
        match *self {
            Self::None => None,
            Self::Interval { every } => Some(every.max(1)),
        }
    }

    /// The policy's memory for a new utterance.
    pub fn start(&self) -> Box<dyn Policy> {
        match self {
            Self::None | Self::Interval { .. } => Box::new(Interval),
        }
    }
}

/// A hypothesis split by what a viewer may rely on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Split {
    /// How many of the hypothesis' words are stable.
    pub stable: usize,
}

/// The memory of one utterance's partials.
pub trait Policy: Send {
    /// Takes the next hypothesis and says how many of its first words are stable.
    fn update(&mut self, hypothesis: &Hypothesis) -> Split;
}
