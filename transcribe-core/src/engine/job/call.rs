//! What attempts and engines say to each other: a call (audio and settings) in, tokens with times out.

use std::ops::Range;

use crate::engine::{CancelToken, EngineError, Search};

/// Settings of one call.
pub(crate) struct Call<'a> {
    /// At least 1 s and at most as long as `positions` cover.
    pub(crate) audio: &'a [f32],
    /// Encoder context.
    pub(crate) positions: usize,
    /// Over 0, `search` is of no account: the likeliest of [`BEST_OF`] samplings is taken.
    pub(crate) temperature: f32,
    /// Search at temperature 0.
    pub(crate) search: Search,
    /// A code of [`languages`](crate::engine::languages), or `None` for English-only models.
    pub(crate) language: Option<&'static str>,
    /// Translate into English.
    pub(crate) translate: bool,
    /// Tokens of what was said before.
    pub(crate) prompt: &'a [i32],
    /// Tokens to be checked in one pass; for greedy search.
    pub(crate) draft: &'a [i32],
    /// Decoding stops behind this many tokens.
    pub(crate) max_tokens: usize,
    /// Never choose brackets, notes and other tokens that nobody says.
    pub(crate) suppress_annotations: bool,
    /// Timestamps among the text, for engines whose [`Scope`](super::Scope) has them.
    #[cfg_attr(not(feature = "onnx-engine"), allow(dead_code))]
    pub(crate) timestamps: bool,
    /// CPU threads, for engines that take their number with each call.
    #[cfg_attr(not(feature = "whisper-cpp"), allow(dead_code))]
    pub(crate) threads: usize,
    /// Looked at between steps.
    pub(crate) cancel: &'a CancelToken,
}

/// Samplings at a temperature over 0 of which the likeliest is taken, as in the reference.
pub(crate) const BEST_OF: usize = 5;
/// Widest beam.
pub(crate) const MOST_BEAMS: usize = 8;

/// A token of text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    /// Not always whole characters.
    pub(crate) bytes: Vec<u8>,
    /// 0 … 1.
    pub(crate) probability: f32,
    /// Where it ends, samples; `None` if it could not be placed.
    pub(crate) end: Option<u64>,
    /// Where the decoder looked most when it chose it, samples; `None` if the engine can't tell.
    pub(crate) attended: Option<u64>,
}

/// A stretch of text between two timestamps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Its first token, of those of text.
    pub(crate) first: usize,
    /// From … to by the timestamps, samples.
    pub(crate) span: Range<u64>,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decoded {
    /// Tokens of text only.
    pub(crate) tokens: Vec<Token>,
    /// Their numbers, with those of timestamps, if they are of use as a draft.
    pub(crate) numbers: Vec<i32>,
    /// What timestamps make of the text; none without them.
    pub(crate) stretches: Vec<Stretch>,
    /// Whether the decoder came to an end by itself.
    pub(crate) finished: bool,
    /// Mean over the tokens, the end token among them.
    pub(crate) avg_logprob: f32,
    /// Probability that there is no speech.
    pub(crate) no_speech: f32,
}

/// An engine at work on one job: one call at a time, and nothing is judged or tried again.
pub(crate) trait Decoder {
    /// Runs a call.
    fn decode(&mut self, call: &Call<'_>) -> Result<Decoded, EngineError>;

    /// The language of the call's audio as an index into [`LANGUAGES`](crate::engine::languages::LANGUAGES), and its
    /// probability: the likeliest of those that the model knows.
    fn detect(&mut self, call: &Call<'_>) -> Result<(usize, f32), EngineError>;

    /// Calls at temperatures over 0 follow. They must make the same of the same audio each time.
    fn begin_sampling(&mut self) -> Result<(), EngineError> {
        Ok(())
    }

    /// No more calls follow.
    fn end_sampling(&mut self) {}
}

/// Where a job finds its decoder.
pub(crate) trait Lender {
    /// A decoder on loan.
    type Decoder<'a>: Decoder
    where
        Self: 'a;

    /// Lends a decoder; waits while all are lent.
    fn lend(&self, threads: usize, cancel: &CancelToken) -> Result<Self::Decoder<'_>, EngineError>;

    /// The tokens of a text.
    fn tokenize(&self, text: &str) -> Result<Vec<i32>, EngineError>;
}
