//! The engine on whisper.cpp: one set of weights, a [pool](pool) of states, and for each job the
//! [attempts](attempts) that its guards ask for.

mod attempts;
mod decode;
mod gpu;
mod header;
mod logging;
mod pauses;
mod pool;
mod words;

use std::borrow::Cow;
use std::ffi::c_int;
use std::path::Path;

use whisper_rs::{WhisperContext, WhisperContextParameters};

use self::attempts::Work;
use self::decode::MOST_BEAMS;
use self::header::Header;
use self::pool::{Lease, Pool};
use super::device::Device;
use super::languages::{self, LANGUAGES};
use super::{DecodeOptions, Engine, EngineError, Hypothesis, Job, ModelInfo, Search, Task};
use crate::SAMPLE_RATE;

/// Longest audio of a job, samples: Whisper's 30 s.
const LONGEST: usize = 30 * SAMPLE_RATE as usize;
/// Shorter audio is padded with silence to this many samples, or whisper.cpp would not look at it.
const SHORTEST: usize = SAMPLE_RATE as usize;
/// Audio without a sample over this (−80 dBFS) is digital silence.
const SILENCE: f32 = 1e-4;
/// Width of the base model; of larger models the products are large enough to be shared among threads.
const SMALL_STATE: usize = 512;
/// Tokens of a prompt that Whisper can take.
const PROMPT_TOKENS: usize = 223;
/// Bytes of a prompt's end that hold as many tokens for sure.
const PROMPT_BYTES: usize = 2048;

/// A Whisper model run by whisper.cpp.
pub struct WhisperCpp {
    pool: Pool,
    info: ModelInfo,
    languages: usize,
    threads_per_job: usize,
}

impl WhisperCpp {
    /// Loads a ggml file, which should have been checked: whisper.cpp ends the process over some broken ones. At most
    /// `max_states` jobs run at once; the first state is made here, the others when they are needed.
    pub fn load(path: &Path, device: &Device, max_states: usize) -> Result<Self, EngineError> {
        let error = |reason: String| EngineError::Load { path: path.to_owned(), reason };
        logging::install();
        let gpu = gpu::resolve(device)?;
        let header = Header::read(path).map_err(error)?;
        let mut params = WhisperContextParameters::new();
        params.use_gpu(gpu.is_some()).gpu_device(gpu.unwrap_or(0)).flash_attn(false);
        params.dtw_parameters(header.alignment(path));
        let context = WhisperContext::new_with_params(path, params)
            .map_err(|_| error("whisper.cpp can't read it, or memory ran out; its log says why".to_owned()))?;
        let info = ModelInfo {
            kind: context.model_type_readable_str().unwrap_or("unknown").to_owned(),
            multilingual: context.is_multilingual(),
            full_context: header.audio_context,
        };
        let pool = Pool::new(context, max_states);
        pool.lend(&Default::default()).map_err(|e| error(e.to_string()))?;
        let threads_per_job = if header.text_state <= SMALL_STATE { 1 } else { usize::MAX };
        Ok(Self { pool, info, languages: header.languages().min(LANGUAGES.len()), threads_per_job })
    }

    fn run(&self, job: &Job, threads: usize) -> Result<Hypothesis, EngineError> {
        let _about = logging::About::job(&job.cancel);
        let options = job.options.as_ref();
        let language = self.language(options)?;
        self.check(options)?;
        if job.audio.len() > LONGEST {
            let seconds = job.audio.len() / SAMPLE_RATE as usize;
            return Err(EngineError::Options(format!("a job of {seconds} s: at most 30 s can be decoded at once")));
        }
        if job.audio.iter().all(|sample| sample.abs() < SILENCE) {
            let language = language.or((!self.info.multilingual).then_some("en")).unwrap_or_default().to_owned();
            return Ok(Hypothesis { no_speech_probability: 1.0, language, ..Hypothesis::default() });
        }
        let audio = padded(&job.audio);
        let prompt = self.prompt(options)?;
        let mut lease = self.pool.lend(&job.cancel)?;
        let mut work = Work {
            audio: &audio,
            samples: job.audio.len(),
            options,
            language: language.filter(|_| self.info.multilingual),
            prompt: &prompt,
            full_context: self.info.full_context,
            threads,
            cancel: &job.cancel,
        };
        if self.info.multilingual && language.is_none() {
            work.language = Some(self.detect(&mut lease, &work)?);
        }
        attempts::run(&mut lease, self.pool.context(), &work)
    }

    /// The language asked for; `None` to detect it.
    fn language(&self, options: &DecodeOptions) -> Result<Option<&'static str>, EngineError> {
        let Some(wanted) = &options.language else { return Ok(None) };
        let code = languages::parse(wanted).ok_or_else(|| {
            let codes: Vec<&str> = LANGUAGES.iter().map(|(code, _)| *code).collect();
            EngineError::Options(format!("Whisper knows no language '{wanted}'; it knows {}", codes.join(", ")))
        })?;
        if !self.info.multilingual && code != "en" {
            return Err(EngineError::Options(format!(
                "the model knows English only; for '{code}' use a multilingual one (base, small, …)"
            )));
        }
        if self.info.multilingual && languages::index(code).is_none_or(|index| index >= self.languages) {
            return Err(EngineError::Options(format!("the model doesn't know '{code}'; use large-v3 or later")));
        }
        Ok(Some(code))
    }

    fn detect(&self, lease: &mut Lease<'_>, work: &Work<'_>) -> Result<&'static str, EngineError> {
        let call = work.call(work.first_context(), 0.0);
        let (index, probability) = decode::detect(lease, &call, self.languages)?;
        let code = LANGUAGES.get(index).map_or("en", |(code, _)| *code);
        tracing::debug!(language = code, probability, "language detected");
        Ok(code)
    }

    fn prompt(&self, options: &DecodeOptions) -> Result<Vec<c_int>, EngineError> {
        let text = options.prompt.as_deref().unwrap_or_default().replace('\0', " ");
        let text = tail(text.trim(), PROMPT_BYTES);
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let text = format!(" {text}"); // as the reference does
                                       // A token has at least one byte. (With less room than needed, whisper-rs would make a broken vector.)
        let mut tokens = self
            .pool
            .context()
            .tokenize(&text, text.len() + 1)
            .map_err(|error| EngineError::Options(format!("the prompt can't be used: {error}")))?;
        tokens.drain(..tokens.len().saturating_sub(PROMPT_TOKENS));
        Ok(tokens)
    }
}

impl Engine for WhisperCpp {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// 1: whisper.cpp decodes one piece of audio at a time on GPUs, too; several states side by side use them better.
    fn batch_size(&self) -> usize {
        1
    }

    /// 1 for tiny and base: ggml's threads spin where they wait for each other, after every small product. On a machine
    /// with other work two of them were five times slower than one.
    fn threads_per_job(&self) -> usize {
        self.threads_per_job
    }

    fn check(&self, options: &DecodeOptions) -> Result<(), EngineError> {
        self.language(options)?;
        if options.task == Task::Translate && !self.info.multilingual {
            let reason = "the model knows English only and can't translate; use a multilingual one (base, small, …)";
            return Err(EngineError::Options(reason.to_owned()));
        }
        match options.search {
            Search::Beam(width) if !(2..=MOST_BEAMS).contains(&width) => {
                Err(EngineError::Options(format!("a beam of {width}: the width must be from 2 to {MOST_BEAMS}")))
            }
            _ => Ok(()),
        }
    }

    fn transcribe(&self, jobs: &[Job], threads: usize) -> Vec<Result<Hypothesis, EngineError>> {
        jobs.iter().map(|job| self.run(job, threads)).collect()
    }
}

/// Audio as whisper.cpp needs it: long enough, and numbers only.
fn padded(audio: &[f32]) -> Cow<'_, [f32]> {
    if audio.len() >= SHORTEST && audio.iter().all(|sample| sample.is_finite()) {
        return Cow::Borrowed(audio);
    }
    let mut audio: Vec<f32> = audio.iter().map(|sample| if sample.is_finite() { *sample } else { 0.0 }).collect();
    audio.resize(audio.len().max(SHORTEST), 0.0);
    Cow::Owned(audio)
}

/// At most the last `bytes` of `text`, from the start of a word where there is one.
fn tail(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let mut from = text.len() - bytes;
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let tail = &text[from..];
    tail.find(char::is_whitespace).map_or(tail, |space| tail[space..].trim_start())
}
