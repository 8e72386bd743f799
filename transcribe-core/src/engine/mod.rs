//! Engines: a batch of jobs (audio and options) in, a hypothesis for each out.
//!
//! The trait knows nothing of whisper.cpp, so that an engine with another runtime fits beside it. An engine holds one
//! set of weights for all streams of the process ([`shared`](crate::runtime::shared) sees to that) and is called from
//! the scheduler's workers only.

pub mod device;
#[cfg(any(feature = "whisper-cpp", feature = "onnx-engine"))]
mod job;
pub mod languages;
pub mod log;
#[cfg(feature = "onnx-engine")]
pub mod onnx;
#[cfg(feature = "whisper-cpp")]
pub mod whisper_cpp;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use crate::guards::GuardOptions;

/// What to do with the speech.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Task {
    /// Write down what is said in the language it is said in.
    #[default]
    Transcribe,
    /// Translate into English; multilingual models only.
    Translate,
}

/// How the decoder searches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Search {
    /// The likeliest token at each step.
    #[default]
    Greedy,
    /// Beam search of this width, at least 2.
    Beam(usize),
}

/// Which attempts at a job have timestamps among the text, which set [segments](Hypothesis::segments) apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Timestamps {
    /// None.
    Never,
    /// All but the first, with engines that can.
    #[default]
    Retries,
    /// All; an error with engines that can't.
    Always,
}

/// How much of the encoder's 30 s context is computed, in encoder positions (50 a second).
///
/// The context is as long as the audio plus `margin`, at least `floor`, at most the model's own. Whisper loops where
/// speech fills the context to its end, hence the margin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextPolicy {
    /// Least context, positions.
    pub floor: usize,
    /// Silence kept behind the audio, positions.
    pub margin: usize,
}

impl ContextPolicy {
    /// Encoder positions per second of audio.
    pub const POSITIONS_PER_SECOND: usize = 50;
    /// The whole 30 s, as the reference implementation always encodes.
    pub const FULL: Self = Self { floor: usize::MAX, margin: 0 };

    /// Context in positions for `samples` of 16 kHz audio, for a model with `full` positions.
    pub fn positions(&self, samples: usize, full: usize) -> usize {
        let audio = samples.div_ceil(crate::SAMPLE_RATE as usize / Self::POSITIONS_PER_SECOND);
        audio.saturating_add(self.margin).max(self.floor).min(full)
    }
}

impl Default for ContextPolicy {
    /// 512 and 200: with the guards as accurate as the full context on clean, noisy and reverberant speech, for less
    /// than half of the CPU time (`examples/context_floor`). More of either gained nothing.
    fn default() -> Self {
        Self { floor: 512, margin: 200 }
    }
}

/// Everything about a job but its audio.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodeOptions {
    /// Whisper's language code (`en`, `de`, …); `None` detects it for each utterance.
    pub language: Option<String>,
    /// Transcribe or translate.
    pub task: Task,
    /// Greedy or beam search at temperature 0.
    pub search: Search,
    /// Text the decoder takes for what was said before: spelling of names, style. Only its last 223 tokens count.
    pub prompt: Option<String>,
    /// What was said before this audio, for the decoder to go on from; `None` to decode each audio by itself. A stream
    /// whose options have it fills it in. Of the tokens that count, it gets those that the prompt leaves.
    pub previous: Option<String>,
    /// Which attempts have timestamps among the text.
    pub timestamps: Timestamps,
    /// How much of the encoder's context is computed at the first attempt.
    pub context: ContextPolicy,
    /// What must not be believed, and what is tried again.
    pub guards: GuardOptions,
    /// Retry at the full context and then at rising temperatures when a guard trips. Partials do without.
    pub fallback: bool,
    /// [Tokens](Hypothesis::tokens) that the text probably begins with: those of the job before, on less of the same
    /// audio. An engine may check them in one pass where it would else take a step for each. The result is the same.
    pub draft: Vec<i32>,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self {
            language: None,
            task: Task::Transcribe,
            search: Search::Greedy,
            prompt: None,
            previous: None,
            timestamps: Timestamps::default(),
            context: ContextPolicy::default(),
            guards: GuardOptions::default(),
            fallback: true,
            draft: Vec::new(),
        }
    }
}

/// Set from any thread to make a job stop; the engine looks at it between its steps: after the encoder and after each
/// token of the decoder.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that nobody has cancelled yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the job to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether [`cancel`](Self::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// The flag itself, for engines whose abort callback wants a pointer that outlives the call.
    pub fn flag(&self) -> &Arc<AtomicBool> {
        &self.0
    }
}

/// One piece of audio to decode.
#[derive(Debug, Clone)]
pub struct Job {
    /// Mono 16 kHz samples in −1 … 1, at most 30 s.
    pub audio: Arc<[f32]>,
    /// How to decode it.
    pub options: Arc<DecodeOptions>,
    /// Stops the job.
    pub cancel: CancelToken,
}

/// A word with its place in the job's audio.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// The word with its punctuation, no surrounding space; for scripts without spaces, a token's worth of text.
    pub text: String,
    /// Whether a space stands before it in the running text (not so in scripts without spaces).
    pub space_before: bool,
    /// From … to, samples from the start of the job's audio.
    pub span: Range<u64>,
    /// Mean probability of its tokens, 0 … 1.
    pub probability: f32,
    /// Latest place where the decoder looked most when it chose one of its tokens, samples from the start of the job's
    /// audio; `None` from engines that can't tell.
    pub attended: Option<u64>,
}

/// Joins words to running text; `space_before` says where scripts have no spaces.
pub fn join_words(words: &[Word]) -> String {
    let mut text = String::new();
    for word in words {
        if word.space_before && !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&word.text);
    }
    text
}

/// A stretch of text that the model set apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// The text, trimmed.
    pub text: String,
    /// From … to, samples from the start of the job's audio.
    pub span: Range<u64>,
    /// Its words in order.
    pub words: Vec<Word>,
}

/// What an engine makes of a job.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Hypothesis {
    /// The text in order; empty when there is nothing to believe.
    pub segments: Vec<Segment>,
    /// Language decoded in: the one asked for, or the one detected.
    pub language: String,
    /// Probability that the audio holds no speech, 0 … 1.
    pub no_speech_probability: f32,
    /// Mean log-probability of the tokens, ≤ 0.
    pub avg_logprob: f32,
    /// Temperature of the attempt that was taken.
    pub temperature: f32,
    /// Encoder positions of the attempt that was taken.
    pub context: usize,
    /// Attempts made, 1 when no guard tripped.
    pub attempts: u32,
    /// Tokens of the attempt that was taken, before anything was dropped, as a [draft](DecodeOptions::draft) for the
    /// next job; none from engines that have no use for drafts.
    pub tokens: Vec<i32>,
}

impl Hypothesis {
    /// All text, segments joined by a space.
    pub fn text(&self) -> String {
        let texts: Vec<&str> = self.segments.iter().map(|s| s.text.as_str()).filter(|t| !t.is_empty()).collect();
        texts.join(" ")
    }

    /// All words in order.
    pub fn words(&self) -> impl Iterator<Item = &Word> {
        self.segments.iter().flat_map(|s| s.words.iter())
    }

    /// Whether there is no text in it.
    pub fn is_empty(&self) -> bool {
        self.segments.iter().all(|s| s.text.is_empty())
    }
}

/// Why a job, or loading an engine, failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// The job's [`CancelToken`] was set; not a failure.
    #[error("cancelled")]
    Cancelled,
    /// The model file can't be used.
    #[error("cannot load the model {path}: {reason}")]
    Load {
        /// The file.
        path: PathBuf,
        /// Cause and mend.
        reason: String,
    },
    /// The device asked for is not there or not built in.
    #[error("device '{device}' cannot be used: {reason}")]
    Device {
        /// As asked for.
        device: String,
        /// Cause and mend.
        reason: String,
    },
    /// A job's options don't fit the model.
    #[error("{0}")]
    Options(String),
    /// The runtime failed on a job.
    #[error("inference failed: {0}")]
    Inference(String),
}

/// What a loaded model can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// Size as whisper.cpp names it: `tiny`, `base`, …
    pub kind: String,
    /// Whether it knows languages other than English, and can translate.
    pub multilingual: bool,
    /// Encoder positions of the full context (1500).
    pub full_context: usize,
}

/// A loaded model that turns audio into text; shared by all streams of the process.
pub trait Engine: Send + Sync {
    /// What was loaded.
    fn info(&self) -> &ModelInfo;

    /// How many jobs one call of [`transcribe`](Self::transcribe) gains from: 1 on a CPU, many on a GPU.
    fn batch_size(&self) -> usize;

    /// How many CPU threads one job gains from when nobody set a number.
    fn threads_per_job(&self) -> usize;

    /// Whether its hypotheses say where the decoder [looked](Word::attended).
    fn tells_attention(&self) -> bool {
        false
    }

    /// Whether `options` fit the model; called before a stream is opened so that errors come early.
    fn check(&self, options: &DecodeOptions) -> Result<(), EngineError>;

    /// Decodes `jobs` on `threads` CPU threads (ignored by GPUs); one result for each job, in order. Blocks.
    fn transcribe(&self, jobs: &[Job], threads: usize) -> Vec<Result<Hypothesis, EngineError>>;
}
