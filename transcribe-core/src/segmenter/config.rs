//! The segmenter's knobs and which of them make sense together.

use crate::{samples_from_ms, Position};

use super::FRAME_LENGTH;

/// No duration may be longer than this: one hour.
const LONGEST: u64 = samples_from_ms(3_600_000);

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
    /// How far back from a forced cut the least speech-like point is looked for; at most half of `max_utterance` is.
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

/// Settings the segmenter can't work with.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// The threshold.
    #[error("the speech threshold is {0}, but has to be over 0 and at most 1")]
    Threshold(f32),
    /// The threshold at which speech ends.
    #[error(
        "the negative threshold is {negative}, but has to be over 0 and at most the speech threshold, {threshold}"
    )]
    NegativeThreshold {
        /// What it is.
        negative: f32,
        /// The threshold at which speech starts.
        threshold: f32,
    },
    /// A duration beyond any use.
    #[error("{name} is {} s, but may be an hour at most", crate::seconds(*samples))]
    Duration {
        /// The field.
        name: &'static str,
        /// What it is, samples.
        samples: u64,
    },
    /// A cut would leave pieces too short to be utterances.
    #[error(
        "the longest utterance is {} ms, but with this silence, shortest speech, padding and pre-roll it has to be at least {} ms",
        ms(*max_utterance), ms(*least)
    )]
    MaxUtterance {
        /// What it is, samples.
        max_utterance: u64,
        /// What it would have to be, samples.
        least: u64,
    },
}

/// Milliseconds, rounded up so that a value taken from a message is accepted.
fn ms(samples: u64) -> u64 {
    samples.div_ceil(samples_from_ms(1))
}

impl SegmenterConfig {
    /// Whether these settings can be worked with.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !(self.threshold > 0.0 && self.threshold <= 1.0) {
            return Err(ConfigError::Threshold(self.threshold));
        }
        let (negative, threshold) = (self.negative_threshold(), self.threshold);
        if !(negative > 0.0 && negative <= threshold) {
            return Err(ConfigError::NegativeThreshold { negative, threshold });
        }
        for (name, samples) in [
            ("min_speech", self.min_speech),
            ("min_silence", self.min_silence),
            ("speech_pad", self.speech_pad),
            ("pre_roll", self.pre_roll),
            ("max_utterance", self.max_utterance),
            ("cut_reach", self.cut_reach),
        ] {
            if samples > LONGEST {
                return Err(ConfigError::Duration { name, samples });
            }
        }
        let (max_utterance, least) = (self.max_utterance, self.least_max_utterance());
        if max_utterance < least {
            return Err(ConfigError::MaxUtterance { max_utterance, least });
        }
        Ok(())
    }

    /// The shortest `max_utterance` that these settings allow, samples: a cut at half of it leaves room for the
    /// shortest utterance on both sides, and for a pause that is waited out.
    pub fn least_max_utterance(&self) -> u64 {
        2 * (self.min_speech + self.min_silence + self.speech_pad + self.pre_roll + 4 * FRAME_LENGTH)
    }

    /// Samples between the end of the last frame of speech and the position at which
    /// [`SpeechEnd`](super::SegmentEvent::SpeechEnd) is known: `min_silence` in whole frames. Speech may end anywhere
    /// in its last frame, so its true end lies up to a frame further back; the reported end is `speech_pad` later.
    pub fn endpoint_delay(&self) -> u64 {
        self.min_silence.div_ceil(FRAME_LENGTH).max(1) * FRAME_LENGTH
    }

    /// The probability under which a pause begins.
    pub(super) fn negative_threshold(&self) -> f32 {
        self.negative_threshold.unwrap_or((self.threshold - 0.15).max(0.01).min(self.threshold))
    }

    /// Audio behind the reported end, samples: the pause is quiet, so it costs the decoder little to hear a word die away.
    pub(super) fn tail(&self) -> u64 {
        self.pre_roll.min(self.min_silence / 2)
    }

    /// How far back a cut may lie, samples.
    pub(super) fn reach(&self) -> Position {
        self.cut_reach.min(self.max_utterance / 2).max(2 * FRAME_LENGTH)
    }
}
