//! What a stream gives out, and what it asks the scheduler for.

use std::ops::Range;

use crate::engine::{Hypothesis, Job, Word};
use crate::Position;

/// Text of a running utterance.
#[derive(Debug, Clone, PartialEq)]
pub struct PartialText {
    /// The utterance.
    pub utterance: u64,
    /// From 1, up by one with each partial of the utterance.
    pub revision: u32,
    /// Start of the speech and end of the audio this was made of.
    pub span: Range<Position>,
    /// Position of the audio's first sample; word times count from here.
    pub audio_start: Position,
    /// Text that stays.
    pub stable: String,
    /// Text behind it that may change.
    pub unstable: String,
    /// The last word, apart from the rest: it may be cut off by the end of the audio, and changes most.
    pub tail: String,
    /// Language code.
    pub language: String,
    /// All words so far.
    pub words: Vec<Word>,
}

/// Text of a finished utterance.
#[derive(Debug, Clone, PartialEq)]
pub struct FinalText {
    /// The utterance.
    pub utterance: u64,
    /// One more than the last partial's.
    pub revision: u32,
    /// When it was spoken.
    pub speech: Range<Position>,
    /// Position of the audio's first sample; word times count from here.
    pub audio_start: Position,
    /// Cut at the length limit: the speaker goes on in the next utterance.
    pub forced: bool,
    /// The engine's result.
    pub hypothesis: Hypothesis,
}

/// What a stream gives out, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Somebody began to speak at `at`, known a little later.
    SpeechStart {
        /// The utterance.
        utterance: u64,
        /// Where.
        at: Position,
    },
    /// The speech ended; the final follows.
    SpeechEnd {
        /// The utterance.
        utterance: u64,
        /// From where to where.
        speech: Range<Position>,
    },
    /// Text so far.
    Partial(PartialText),
    /// Text for good.
    Final(FinalText),
    /// The engine failed on the utterance; there will be no text for it.
    Failed {
        /// The utterance.
        utterance: u64,
        /// From where to where.
        speech: Range<Position>,
        /// The engine's words.
        error: String,
    },
    /// Everything before the marker has been given out.
    Marker(u64),
    /// Time went on without text.
    Progress(Progress),
}

/// How far a stream has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// No text will come that starts before this.
    pub settled: Position,
    /// Audio was looked at up to here.
    pub heard: Position,
}

/// Names a job of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct JobId {
    /// Counts the resets of the stream, so that results from before one are known as such.
    pub epoch: u64,
    /// The utterance.
    pub utterance: u64,
    /// Final or partial.
    pub kind: JobKind,
}

/// What a job's result is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobKind {
    /// The utterance's final.
    Final,
    /// The final of an utterance that a pause under way is about to end, and a partial if somebody goes on speaking.
    Early {
        /// Start of the audio.
        from: Position,
        /// End of the audio.
        end: Position,
    },
    /// A partial.
    Partial {
        /// Start of the audio.
        from: Position,
        /// End of the audio.
        end: Position,
    },
}

/// What a stream asks of the scheduler, in order.
#[derive(Debug)]
pub enum Request {
    /// Decode this; the result goes to [`Stream::push_result`](super::Stream::push_result).
    Decode {
        /// Names the job.
        id: JobId,
        /// What to decode.
        job: Job,
        /// Samples between the end of the speech and now, for a final's deadline.
        age: u64,
        /// Samples in it that no final or early job of the stream had before.
        new: u64,
    },
    /// The stream's partial is no longer wanted.
    DropPartial,
    /// None of the stream's jobs is wanted any more.
    DropAll,
}
