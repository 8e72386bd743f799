//! The engine on whisper.cpp: one set of weights and a [pool](pool) of states.

mod alignment;
mod decode;
mod gpu;
mod logging;
mod pool;

use std::path::Path;

use whisper_rs::{WhisperContext, WhisperContextParameters};

pub use self::gpu::GpuInfo;
use self::pool::{Lease, Pool};
use super::device::Device;
use super::job::call::{Call, Decoded, Decoder, Lender};
use super::job::Scope;
use super::languages::LANGUAGES;
use super::{CancelToken, DecodeOptions, Engine, EngineError, Hypothesis, Job, ModelInfo};
use crate::models::checkpoint::tokenizer::Tokenizer;
use crate::models::checkpoint::Vocabulary;
use crate::models::ggml::GgmlFile;

/// Most jobs that run on a GPU at once, each on a state of its own. A job keeps the thread busy that starts its kernels:
/// the GPU does more the more jobs there are, up to one a core, and less beyond. Measured on 16 cores only (tiny.en on an
/// H200: 68 times real time with one job, 699 with 16, 395 with 24).
const GPU_JOBS: usize = 16;
/// Width of the base model; of larger models the products are large enough to be shared among threads.
const SMALL_STATE: usize = 512;

/// The GPUs that this build can use, in the order of `gpu:0`, `gpu:1`, …; none in a build without GPU support. Asking an
/// NVIDIA GPU takes some of its memory for the process.
pub fn gpus() -> Vec<GpuInfo> {
    logging::install();
    gpu::infos()
}

/// How many jobs a model on this device should run at once on a machine with so many cores.
pub fn jobs_at_once(device: &Device, cores: usize) -> Result<usize, EngineError> {
    Ok(if is_gpu(device)? { cores.min(GPU_JOBS) } else { cores })
}

/// Whether a model on this device runs on a GPU; [`Device::Auto`] does if there is one. An error if a GPU that was asked
/// for can't be had.
pub fn is_gpu(device: &Device) -> Result<bool, EngineError> {
    logging::install();
    Ok(gpu::resolve(device)?.is_some())
}

/// A Whisper model run by whisper.cpp.
pub struct WhisperCpp {
    pool: Pool,
    scope: Scope,
    tokenizer: Tokenizer,
    threads_per_job: usize,
}

impl WhisperCpp {
    /// Loads a ggml file, which should have been checked: whisper.cpp ends the process over some broken ones. At most
    /// `max_states` jobs run at once, fewer if a GPU has no memory for so many; the first state is made here, the others
    /// when they are needed.
    pub fn load(path: &Path, device: &Device, max_states: usize) -> Result<Self, EngineError> {
        let error = |reason: String| EngineError::Load { path: path.to_owned(), reason };
        logging::install();
        let gpu = gpu::resolve(device)?;
        let mut file = GgmlFile::open(path).map_err(|e| error(e.to_string()))?;
        let shape = file.header().shape;
        let tokenizer =
            Tokenizer::new(&Vocabulary::numbered(&shape, file.take_vocabulary())).map_err(|e| error(e.to_string()))?;
        let mut params = WhisperContextParameters::new();
        params.use_gpu(gpu.is_some()).gpu_device(gpu.unwrap_or(0)).flash_attn(false);
        params.dtw_parameters(alignment::parameters(&shape, path));
        let context = WhisperContext::new_with_params(path, params)
            .map_err(|_| error("whisper.cpp can't read it, or memory ran out; its log says why".to_owned()))?;
        let info = ModelInfo {
            kind: context.model_type_readable_str().unwrap_or("unknown").to_owned(),
            multilingual: context.is_multilingual(),
            full_context: shape.audio_context,
        };
        let free = || gpu.map(gpu::free);
        let before = free();
        let pool = Pool::new(context, max_states);
        pool.lend(&Default::default()).map_err(|e| error(e.to_string()))?;
        let fit = gpu::states_that_fit(before, free());
        if fit < max_states {
            tracing::warn!(states = fit, "the GPU has no memory for more jobs at once");
        }
        let pool = pool.limited_to(fit);
        let threads_per_job = match gpu {
            Some(_) => 1,
            None if shape.state <= SMALL_STATE => 1,
            None => usize::MAX,
        };
        let languages = LANGUAGES.iter().take(shape.languages()).map(|(code, _)| *code).collect();
        let scope = Scope { info, languages, timestamps: false };
        Ok(Self { pool, scope, tokenizer, threads_per_job })
    }
}

impl WhisperCpp {
    /// Most jobs that run at once: as many as asked for, fewer where a GPU hasn't the memory.
    pub fn states(&self) -> usize {
        self.pool.limit()
    }
}

/// A state on loan with the weights it works on.
pub(crate) struct Borrowed<'a> {
    lease: Lease<'a>,
    context: &'a WhisperContext,
    languages: usize,
    _about: logging::About,
}

impl Decoder for Borrowed<'_> {
    fn decode(&mut self, call: &Call<'_>) -> Result<Decoded, EngineError> {
        decode::decode(&mut self.lease, self.context, call)
    }

    fn detect(&mut self, call: &Call<'_>) -> Result<(usize, f32), EngineError> {
        decode::detect(&mut self.lease, call, self.languages)
    }

    /// whisper.cpp draws random numbers from the state: a fresh one draws the same each time.
    fn begin_sampling(&mut self) -> Result<(), EngineError> {
        self.lease.renew()
    }

    /// The memory of five decoders goes with the state.
    fn end_sampling(&mut self) {
        self.lease.discard();
    }
}

impl Lender for WhisperCpp {
    type Decoder<'a> = Borrowed<'a>;

    fn lend(&self, _threads: usize, cancel: &CancelToken) -> Result<Borrowed<'_>, EngineError> {
        let lease = self.pool.lend(cancel)?;
        let about = logging::About::job(cancel);
        Ok(Borrowed { lease, context: self.pool.context(), languages: self.scope.languages.len(), _about: about })
    }

    fn tokenize(&self, text: &str) -> Result<Vec<i32>, EngineError> {
        Ok(self.tokenizer.encode(text)) // whisper.cpp's own has other tokens than the model was trained with
    }
}

impl Engine for WhisperCpp {
    fn info(&self) -> &ModelInfo {
        &self.scope.info
    }

    /// 1: whisper.cpp decodes one piece of audio at a time on GPUs, too; several states side by side use them better.
    fn batch_size(&self) -> usize {
        1
    }

    /// 1 on a GPU: spectrogram and word times are the CPU's part and gain from more (68 ms a job with four, 92 with one),
    /// but many streams together lose. On the CPU 1 for tiny and base: ggml's threads spin where they wait for each
    /// other, after every small product. On a machine with other work two of them were five times slower than one.
    fn threads_per_job(&self) -> usize {
        self.threads_per_job
    }

    fn check(&self, options: &DecodeOptions) -> Result<(), EngineError> {
        self.scope.check(options)
    }

    fn transcribe(&self, jobs: &[Job], threads: usize) -> Vec<Result<Hypothesis, EngineError>> {
        jobs.iter().map(|job| self.scope.run(job, threads, self)).collect()
    }
}
