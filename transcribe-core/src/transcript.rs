//! The one event schema: element messages, JSON buffers and files are all made from [`Event`].
//!
//! Times are seconds of stream time. As JSON, every object has `type` (`speech_start`, `speech_end`, `partial`,
//! `final`) and `utterance`.

use serde::{Deserialize, Serialize};

use crate::engine;
use crate::stream::Output;
use crate::Position;

/// A word and when it was spoken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Word {
    /// The word with its punctuation.
    pub text: String,
    /// Seconds.
    pub start: f64,
    /// Seconds.
    pub end: f64,
    /// Mean probability of its tokens, 0 … 1.
    pub probability: f32,
}

/// Text for a running utterance; may change until the final.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Partial {
    /// Number of the utterance in its stream, from 0.
    pub utterance: u64,
    /// Counts up with each partial of the utterance, from 1.
    pub revision: u32,
    /// Start of the utterance, seconds.
    pub start: f64,
    /// End of the audio this was made of, seconds.
    pub end: f64,
    /// `stable`, `unstable` and `tail` together.
    pub text: String,
    /// Text that stays.
    pub stable: String,
    /// Text behind it that may still change.
    pub unstable: String,
    /// The last word, apart from the rest: it may be cut off by the end of the audio, and changes most.
    pub tail: String,
    /// Language code.
    pub language: String,
    /// The words so far.
    pub words: Vec<Word>,
}

/// The text of a finished utterance; never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Final {
    /// Number of the utterance in its stream, from 0.
    pub utterance: u64,
    /// One more than the last partial's.
    pub revision: u32,
    /// Start of the speech, seconds.
    pub start: f64,
    /// End of the speech, seconds.
    pub end: f64,
    /// The text; empty when the utterance turned out to hold no words.
    pub text: String,
    /// Language code.
    pub language: String,
    /// Geometric mean of the token probabilities, 0 … 1.
    pub probability: f32,
    /// Probability that there was no speech in it, 0 … 1.
    pub no_speech_probability: f32,
    /// Cut at the greatest length of an utterance: the speaker goes on in the next one, which begins with the stable
    /// words behind the cut.
    pub forced: bool,
    /// The words in order.
    pub words: Vec<Word>,
}

/// What happens on a stream, in order: per utterance one `SpeechStart`, partials, one `SpeechEnd`, one `Final`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// Somebody began to speak.
    SpeechStart {
        /// Number of the utterance in its stream, from 0.
        utterance: u64,
        /// When, seconds.
        start: f64,
    },
    /// The speech ended; its final follows.
    SpeechEnd {
        /// The utterance.
        utterance: u64,
        /// When it began, seconds.
        start: f64,
        /// When it ended, seconds.
        end: f64,
    },
    /// Text so far.
    Partial(Partial),
    /// Text for good.
    Final(Final),
}

impl Event {
    /// The event for a stream's output, or `None` for outputs that are not for users. `time` maps a position on the
    /// stream to seconds on the user's time line.
    pub fn from_output(output: &Output, time: impl Fn(Position) -> f64) -> Option<Self> {
        Some(match output {
            Output::SpeechStart { utterance, at } => Self::SpeechStart { utterance: *utterance, start: time(*at) },
            Output::SpeechEnd { utterance, speech } => {
                Self::SpeechEnd { utterance: *utterance, start: time(speech.start), end: time(speech.end) }
            }
            Output::Partial(p) => Self::Partial(Partial {
                utterance: p.utterance,
                revision: p.revision,
                start: time(p.span.start),
                end: time(p.span.end),
                text: engine::join_words(&p.words),
                stable: p.stable.clone(),
                unstable: p.unstable.clone(),
                tail: p.tail.clone(),
                language: p.language.clone(),
                words: words(&p.words, p.audio_start, &time),
            }),
            Output::Final(f) => Self::Final(Final {
                utterance: f.utterance,
                revision: f.revision,
                start: time(f.speech.start),
                end: time(f.speech.end),
                text: f.hypothesis.text(),
                language: f.hypothesis.language.clone(),
                probability: if f.hypothesis.is_empty() { 0.0 } else { f.hypothesis.avg_logprob.exp() },
                no_speech_probability: f.hypothesis.no_speech_probability,
                forced: f.forced,
                words: f.hypothesis.words().map(|w| word(w, f.audio_start, &time)).collect(),
            }),
            Output::Marker(_) | Output::Progress(_) | Output::Failed { .. } => return None,
        })
    }

    /// When its utterance began, seconds.
    pub fn start(&self) -> f64 {
        match self {
            Self::SpeechStart { start, .. } | Self::SpeechEnd { start, .. } => *start,
            Self::Partial(partial) => partial.start,
            Self::Final(last) => last.start,
        }
    }

    /// Number of the utterance it belongs to.
    pub fn utterance(&self) -> u64 {
        match self {
            Self::SpeechStart { utterance, .. } | Self::SpeechEnd { utterance, .. } => *utterance,
            Self::Partial(p) => p.utterance,
            Self::Final(f) => f.utterance,
        }
    }
}

fn words(words: &[engine::Word], audio_start: Position, time: impl Fn(Position) -> f64) -> Vec<Word> {
    words.iter().map(|w| word(w, audio_start, &time)).collect()
}

fn word(word: &engine::Word, audio_start: Position, time: impl Fn(Position) -> f64) -> Word {
    Word {
        text: word.text.clone(),
        start: time(audio_start + word.span.start),
        end: time(audio_start + word.span.end),
        probability: word.probability,
    }
}
