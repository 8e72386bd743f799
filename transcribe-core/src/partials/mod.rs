//! Partial results: when a running utterance is decoded, and what of each hypothesis is shown as stable.
//!
//! One file a policy, [`PartialPolicy`] chooses among them. A policy sees the free hypotheses of one utterance in
//! order; it never feeds committed text back as a forced prefix, since errors forced as a prefix stick. [`window`] says
//! which part of a long utterance is decoded at all.

mod align;
mod align_att;
mod committed;
mod interval;
mod local_agreement;
#[cfg(test)]
mod testing;
pub mod window;

pub use align_att::AlignAtt;
pub use interval::Interval;
pub use local_agreement::LocalAgreement;

use crate::engine::Word;
use crate::samples_from_ms;

/// A word that the model itself thinks less likely than this is doubtful.
const SURE: f32 = 0.5;

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
    /// The same, and a word that consecutive hypotheses agree on is committed: it stays.
    LocalAgreement {
        /// Samples between two partials.
        every: u64,
        /// How many hypotheses in a row must agree, at least 2.
        agree: usize,
    },
    /// The same, and a word that the decoder chose without looking at the audio's end is committed. Needs an engine
    /// that [tells](crate::engine::Engine::tells_attention) where the decoder looks.
    AlignAtt {
        /// Samples between two partials.
        every: u64,
        /// Samples before the end that count as the end.
        margin: u64,
    },
}

impl Default for PartialPolicy {
    fn default() -> Self {
        Self::LocalAgreement { every: samples_from_ms(500), agree: 2 }
    }
}

impl PartialPolicy {
    /// Samples of new audio after which the next partial is due; `None` when there are no partials.
    pub fn interval(&self) -> Option<u64> {
        match *self {
            Self::None => None,
            Self::Interval { every } | Self::LocalAgreement { every, .. } | Self::AlignAtt { every, .. } => {
                Some(every.max(1))
            }
        }
    }

    /// The policy's memory for a new utterance.
    pub fn start(&self) -> Box<dyn Policy> {
        match *self {
            Self::None | Self::Interval { .. } => Box::new(Interval),
            Self::LocalAgreement { agree, .. } => Box::new(LocalAgreement::new(agree)),
            Self::AlignAtt { margin, .. } => Box::new(AlignAtt::new(margin)),
        }
    }
}

/// What the engine heard in an utterance so far. Spans count from the utterance's first sample.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// All words of the hypothesis.
    pub words: &'a [Word],
    /// The hypothesis is of the audio from here, samples; over 0 once committed words have been trimmed.
    pub from: u64,
    /// … to here.
    pub to: u64,
}

/// A hypothesis split by what a viewer may rely on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Split {
    /// All words committed so far, from the utterance's beginning.
    pub committed: Vec<Word>,
    /// The words behind them, which may still change.
    pub unstable: Vec<Word>,
}

/// The memory of one utterance's partials.
pub trait Policy: Send {
    /// Takes the next hypothesis.
    fn update(&mut self, view: View<'_>) -> Split;

    /// All words committed so far.
    fn committed(&self) -> &[Word];

    /// The words of the final, made of its hypothesis. What was committed stays, unless `may_revise`; words that lie
    /// before `view.from` stay in any case.
    fn finish(&self, view: View<'_>, may_revise: bool) -> Vec<Word>;

    /// Gives up the committed words behind `at` (samples from the utterance's first): a forced cut leaves them to the
    /// next utterance.
    fn split_off(&mut self, at: u64) -> Vec<Word>;

    /// Begins with words that the utterance before has committed already.
    fn adopt(&mut self, words: Vec<Word>);
}
