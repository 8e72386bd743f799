//! The segmenter: speech probabilities in, utterances out (a sans-IO state machine over frames).

use std::ops::Range;

use crate::{samples_from_ms, Position};

/// Knobs, as in Silero's `get_speech_timestamps` and `VADIterator`; durations in samples.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmenterConfig {
    /// Speech starts at this probability.
    pub threshold: f32,
    /// Speech goes on down to this probability; `None`: threshold − 0.15, at least 0.01.
    pub negative_threshold: Option<f32>,
    /// Shorter speech is dropped.
    pub min_speech: u64,
    /// Silence that ends an utterance.
    pub min_silence: u64,
    /// Added to both ends of the speech that is reported.
    pub speech_pad: u64,
    /// Audio before the reported start that is decoded with it, so that no first phoneme is lost.
    pub pre_roll: u64,
    /// An utterance of this length is cut.
    pub max_utterance: u64,
    /// How far back from a forced cut the least speech-like point is looked for.
    pub cut_reach: u64,
}

impl Default for SegmenterConfig {
    fn default() -> Self {
        Self {
            threshold: 0.5,
            negative_threshold: None,
            min_speech: samples_from_ms(250),
            min_silence: samples_from_ms(500),
            speech_pad: samples_from_ms(30),
            pre_roll: samples_from_ms(200),
            max_utterance: samples_from_ms(25_000),
            cut_reach: samples_from_ms(5_000),
        }
    }
}

/// What the segmenter found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SegmentEvent {
    /// Enough speech for an utterance to have begun.
    SpeechStart {
        /// Number of the utterance in its stream, from 0.
        utterance: u64,
        /// Where the speech began (padded); lies before the frame that proved it.
        at: Position,
        /// Where the audio to decode begins.
        audio_start: Position,
    },
    /// The utterance is over.
    SpeechEnd {
        /// The utterance.
        utterance: u64,
        /// Where speech was reported from and to (padded).
        speech: Range<Position>,
        /// The audio to decode; never overlaps that of another utterance.
        audio: Range<Position>,
        /// Cut at the length limit: speech goes on in the next utterance.
        forced: bool,
    },
}
