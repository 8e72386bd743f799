//! A job before its first attempt: options are checked against the model, silence is answered at once, audio is made
//! long enough, the prompt becomes tokens, and the language is found out if nobody named it.

pub(super) mod alignment;
mod attempts;
pub(super) mod call;
mod pauses;
mod words;

use std::borrow::Cow;

use self::attempts::Work;
use self::call::{Decoder, Lender, MOST_BEAMS};
use super::languages::{self, LANGUAGES};
use super::{DecodeOptions, EngineError, Hypothesis, Job, ModelInfo, Search, Task, Timestamps};
use crate::SAMPLE_RATE;

/// Longest audio of a job, samples: Whisper's 30 s.
const LONGEST: usize = 30 * SAMPLE_RATE as usize;
/// Shorter audio is padded with silence to this many samples: of less there is nothing to be heard, and whisper.cpp
/// would not look at it.
const SHORTEST: usize = SAMPLE_RATE as usize;
/// Audio without a sample over this (−80 dBFS) is digital silence.
const SILENCE: f32 = 1e-4;
/// Tokens of a prompt that Whisper can take.
const PROMPT_TOKENS: usize = 223;
/// Bytes of a prompt's end that hold as many tokens for sure.
const PROMPT_BYTES: usize = 2048;

/// What a model can be asked for.
pub(crate) struct Scope {
    /// What was loaded.
    pub(crate) info: ModelInfo,
    /// Codes of the languages that it has tokens for.
    pub(crate) languages: Vec<&'static str>,
    /// Whether the engine decodes with timestamps.
    pub(crate) timestamps: bool,
}

impl Scope {
    /// Decodes a job on `threads` threads with a decoder of `lender`'s.
    pub(crate) fn run(&self, job: &Job, threads: usize, lender: &impl Lender) -> Result<Hypothesis, EngineError> {
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
        let prompt = prompt(options, lender)?;
        let mut decoder = lender.lend(threads, &job.cancel)?;
        let mut work = Work {
            audio: &audio,
            samples: job.audio.len(),
            options,
            language: language.filter(|_| self.info.multilingual),
            prompt: &prompt,
            full_context: self.info.full_context,
            timestamps: if self.timestamps { options.timestamps } else { Timestamps::Never },
            threads,
            cancel: &job.cancel,
        };
        if self.info.multilingual && language.is_none() {
            let (index, probability) = decoder.detect(&work.call(work.first_context(), 0.0, false))?;
            let code = LANGUAGES.get(index).map_or("en", |(code, _)| *code);
            tracing::debug!(language = code, probability, "language detected");
            work.language = Some(code);
        }
        attempts::run(&mut decoder, &work)
    }

    /// Whether the model can do what `options` ask for.
    pub(crate) fn check(&self, options: &DecodeOptions) -> Result<(), EngineError> {
        self.language(options)?;
        if options.task == Task::Translate && !self.info.multilingual {
            let reason = "the model knows English only and can't translate; use a multilingual one (base, small, …)";
            return Err(EngineError::Options(reason.to_owned()));
        }
        if options.timestamps == Timestamps::Always && !self.timestamps {
            return Err(EngineError::Options(
                "this engine decodes without timestamps; the one on ONNX Runtime has them".to_owned(),
            ));
        }
        match options.search {
            Search::Beam(width) if !(2..=MOST_BEAMS).contains(&width) => {
                Err(EngineError::Options(format!("a beam of {width}: the width must be from 2 to {MOST_BEAMS}")))
            }
            _ => Ok(()),
        }
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
        if self.info.multilingual && !self.languages.contains(&code) {
            return Err(EngineError::Options(format!(
                "the model doesn't know '{code}'; use another, for Cantonese large-v3 or later"
            )));
        }
        Ok(Some(code))
    }
}

/// The last tokens of the prompt, and behind them those of what was said before, as many as Whisper can take.
fn prompt(options: &DecodeOptions, lender: &impl Lender) -> Result<Vec<i32>, EngineError> {
    let mut tokens = last_tokens(options.prompt.as_deref().unwrap_or_default(), PROMPT_TOKENS, lender)?;
    let left = PROMPT_TOKENS - tokens.len();
    tokens.extend(last_tokens(options.previous.as_deref().unwrap_or_default(), left, lender)?);
    Ok(tokens)
}

/// The last tokens of a text.
fn last_tokens(text: &str, most: usize, lender: &impl Lender) -> Result<Vec<i32>, EngineError> {
    let text = text.replace('\0', " ");
    let text = tail(text.trim(), PROMPT_BYTES);
    if text.is_empty() || most == 0 {
        return Ok(Vec::new());
    }
    let mut tokens = lender.tokenize(&format!(" {text}"))?; // with a space, as the reference does
    tokens.drain(..tokens.len().saturating_sub(most));
    Ok(tokens)
}

/// Audio as Whisper needs it: long enough, and numbers only.
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
