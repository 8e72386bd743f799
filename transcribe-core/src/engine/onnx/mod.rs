//! The engine on ONNX Runtime: graphs are [built](graph) from the weights of a [`Checkpoint`] when it is loaded, the
//! decoder's [loop](decode) runs here.
//!
//! It is made for short contexts on a CPU: 8-bit products, an encoder that is run once for all attempts at the same
//! context, and a decoder whose caches go from step to step without being copied.

mod decode;
mod dtw;
mod embedding;
mod graph;
mod logits;
mod mel;
mod provider;
mod rows;
mod search;
mod session;
mod timestamps;
mod tokens;
mod work;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use self::decode::Worker;
pub use self::graph::Precision;
use self::provider::Placement;
use self::session::{Model, Pool};
pub use self::work::multiplications_a_second;
use super::device::Device;
use super::job::call::Lender;
use super::job::Scope;
use super::languages::LANGUAGES;
use super::{CancelToken, DecodeOptions, Engine, EngineError, Hypothesis, Job, ModelInfo};
use crate::models::checkpoint::Checkpoint;

/// Width of the base model; of larger models the products are large enough to be shared among threads.
const SMALL_STATE: usize = 512;

/// Where CPU time went since an engine was loaded: that of the threads which called it, and so all of it where a job has
/// one thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Spectrograms.
    pub mel: Duration,
    /// Runs of the encoder.
    pub encoder: Duration,
    /// How many.
    pub runs: u64,
    /// The decoder's steps, the choice of tokens not among them.
    pub decoder: Duration,
    /// How many.
    pub steps: u64,
    /// Multiplications in 8 bits that the encoder's linear layers took.
    pub encoder_products: u64,
    /// The decoder's.
    pub decoder_products: u64,
}

impl Spent {
    /// What was spent after `before`.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            mel: self.mel - before.mel,
            encoder: self.encoder - before.encoder,
            runs: self.runs - before.runs,
            decoder: self.decoder - before.decoder,
            steps: self.steps - before.steps,
            encoder_products: self.encoder_products - before.encoder_products,
            decoder_products: self.decoder_products - before.decoder_products,
        }
    }
}

impl std::ops::AddAssign for Spent {
    fn add_assign(&mut self, more: Self) {
        self.mel += more.mel;
        self.encoder += more.encoder;
        self.runs += more.runs;
        self.decoder += more.decoder;
        self.steps += more.steps;
        self.encoder_products += more.encoder_products;
        self.decoder_products += more.decoder_products;
    }
}

/// Adds up the time and number of calls of one kind.
#[derive(Default)]
struct Meter {
    nanoseconds: AtomicU64,
    calls: AtomicU64,
}

impl Meter {
    fn measure<T>(&self, call: impl FnOnce() -> T) -> T {
        let start = thread_nanoseconds();
        let result = call();
        self.nanoseconds.fetch_add(thread_nanoseconds().saturating_sub(start), Ordering::Relaxed);
        self.calls.fetch_add(1, Ordering::Relaxed);
        result
    }

    fn read(&self) -> (Duration, u64) {
        let time = Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed));
        (time, self.calls.load(Ordering::Relaxed))
    }
}

/// CPU time of this thread.
#[cfg(unix)]
fn thread_nanoseconds() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes to the struct it is given and to nothing else.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// CPU time of this thread; not to be had here.
#[cfg(not(unix))]
fn thread_nanoseconds() -> u64 {
    0
}

/// A meter for each part of the work.
#[derive(Default)]
struct Meters {
    mel: Meter,
    encoder: Meter,
    decoder: Meter,
    encoder_products: AtomicU64,
    decoder_products: AtomicU64,
}

/// A Whisper model run by ONNX Runtime.
pub struct Onnx {
    pool: Pool,
    scope: Scope,
    threads_per_job: usize,
}

impl Onnx {
    /// Loads a ggml file, or a folder of a Hugging Face or CTranslate2 model. At most `max_states` jobs run at once; the
    /// first state is made here, the others when they are needed. `library` is the ONNX Runtime library's path if the user
    /// set one. `precision` is of use on a CPU; elsewhere it is single.
    pub fn load(
        path: &Path,
        device: &Device,
        precision: Precision,
        library: Option<&Path>,
        max_states: usize,
    ) -> Result<Self, EngineError> {
        let error = |reason: String| EngineError::Load { path: path.to_owned(), reason };
        let library = crate::onnxruntime::load(library).map_err(|e| error(e.to_string()))?;
        let placement = Placement::new(device, library)?;
        let checkpoint = Checkpoint::open(path).map_err(|e| error(e.to_string()))?;
        let shape = *checkpoint.shape();
        let info = ModelInfo {
            kind: shape.kind().to_owned(),
            multilingual: shape.multilingual,
            full_context: shape.audio_context,
        };
        let languages = checkpoint.vocabulary().languages();
        let languages =
            languages.iter().filter_map(|(place, _)| LANGUAGES.get(*place)).map(|(code, _)| *code).collect();
        let max_states = placement.states(max_states);
        let refusal = placement.refusal(device);
        let model =
            Model::new(checkpoint, precision, library.environment(), placement).map_err(|e| error(e.to_string()))?;
        let threads_per_job = if shape.state <= SMALL_STATE { 1 } else { usize::MAX };
        let scope = Scope { info, languages, timestamps: true };
        let pool = Pool::new(model, max_states);
        pool.lend(1, &CancelToken::new()).map_err(|e| match (refusal, e) {
            (Some(refusal), EngineError::Inference(said)) => refusal(said),
            (_, e) => error(e.to_string()),
        })?;
        Ok(Self { pool, scope, threads_per_job })
    }

    /// Where the time went so far.
    pub fn spent(&self) -> Spent {
        let meters = &self.pool.model().meters;
        let ((encoder, runs), (decoder, steps)) = (meters.encoder.read(), meters.decoder.read());
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Spent {
            mel: meters.mel.read().0,
            encoder,
            runs,
            decoder,
            steps,
            encoder_products: count(&meters.encoder_products),
            decoder_products: count(&meters.decoder_products),
        }
    }
}

impl Lender for Onnx {
    type Decoder<'a> = Worker<'a>;

    fn lend(&self, threads: usize, cancel: &CancelToken) -> Result<Worker<'_>, EngineError> {
        Ok(Worker::new(self.pool.lend(threads, cancel)?))
    }

    fn tokenize(&self, text: &str) -> Result<Vec<i32>, EngineError> {
        Ok(self.pool.model().tokens.tokenize(text))
    }
}

impl Engine for Onnx {
    fn info(&self) -> &ModelInfo {
        &self.scope.info
    }

    /// 1: a batch on one core is slower than one utterance after the other.
    fn batch_size(&self) -> usize {
        1
    }

    fn threads_per_job(&self) -> usize {
        self.threads_per_job
    }

    fn tells_attention(&self) -> bool {
        true
    }

    fn check(&self, options: &DecodeOptions) -> Result<(), EngineError> {
        self.scope.check(options)
    }

    fn transcribe(&self, jobs: &[Job], threads: usize) -> Vec<Result<Hypothesis, EngineError>> {
        jobs.iter().map(|job| self.scope.run(job, threads, self)).collect()
    }
}
