//! Settings of a stream.

use crate::engine::{ContextPolicy, DecodeOptions};
use crate::partials::PartialPolicy;
use crate::segmenter::SegmenterConfig;
use crate::vad::gate::DEFAULT_NOISE_FLOOR_DBFS;

/// Settings of a stream; may be changed between any two calls with [`Stream::configure`](super::Stream::configure), but for the segmenter's.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamConfig {
    /// How speech is cut into utterances.
    pub segmenter: SegmenterConfig,
    /// Frames under this level (dBFS, RMS) are not looked at by the detector while nobody speaks.
    pub noise_floor_dbfs: f32,
    /// When there are partial results.
    pub partials: PartialPolicy,
    /// How utterances are decoded.
    pub decode: DecodeOptions,
    /// How much of the encoder's context is computed for partials; `None`: as much as for finals.
    pub partial_context: Option<ContextPolicy>,
    /// Samples of pause, fewer than the segmenter's silence, that end an utterance which ends a sentence by then.
    pub sentence_silence: Option<u64>,
    /// Whether a final may change words that partials have committed.
    pub may_revise: bool,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            segmenter: SegmenterConfig::default(),
            noise_floor_dbfs: DEFAULT_NOISE_FLOOR_DBFS,
            partials: PartialPolicy::default(),
            decode: DecodeOptions::default(),
            partial_context: None,
            sentence_silence: None,
            may_revise: false,
        }
    }
}
