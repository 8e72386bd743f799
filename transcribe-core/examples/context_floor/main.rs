//! How short may the encoder's context be? Word error rates and CPU time of clean and of hard speech for floors and
//! margins of the [`ContextPolicy`], as a Markdown table.
//!
//! ```sh
//! cargo run --release -p transcribe-core --example context_floor -- models/ggml-tiny.en-q8_0.bin
//! cargo run --release -p transcribe-core --example context_floor -- MODEL 512:200,1500:0 clean,babble5
//! ```
//!
//! Words after the model's path: policies `floor:margin`, conditions, and `plain` to do without retries. Speech
//! by `flite` is left out where that program isn't installed.

#[path = "../../tests/common/mod.rs"]
mod common;
mod sound;

use std::process::Command;

use common::{errors, job, words, Clip};
use transcribe_core::engine::device::Device;
use transcribe_core::engine::whisper_cpp::WhisperCpp;
use transcribe_core::engine::{ContextPolicy, DecodeOptions, Engine};

const CONDITIONS: &str =
    "clean,white10,white5,pink10,pink5,babble10,babble5,music10,music5,reverb,flite-slt,flite-rms,\
                          flite-awb";
const POLICIES: &str = "1500:0,1024:0,1024:200,768:0,768:100,768:200,768:350,512:0,512:100,512:200,512:350,384:0,\
                        384:100,384:200,384:350";

fn main() {
    let mut args = std::env::args().skip(1);
    let model = args.next().unwrap_or_else(|| "models/ggml-tiny.en-q8_0.bin".to_owned());
    let policies = args.next().unwrap_or_else(|| POLICIES.to_owned());
    let conditions = args.next().unwrap_or_else(|| CONDITIONS.to_owned());
    let fallback = args.next().as_deref() != Some("plain");
    let engine = WhisperCpp::load(model.as_ref(), &Device::Auto, 1).expect("the model loads");
    let clips = common::clips();
    let conditions: Vec<(&str, Vec<Clip>)> =
        conditions.split(',').map(|c| (c, condition(c, &clips))).filter(|(_, clips)| !clips.is_empty()).collect();

    let heads: Vec<String> = conditions.iter().map(|(name, _)| format!("{name} |")).collect();
    println!("| floor | margin | {} hard, mean | again | sampled | CPU s |", heads.join(" "));
    println!("|{}", " --- |".repeat(conditions.len() + 6));
    for policy in policies.split(',') {
        let (floor, margin) = policy.split_once(':').expect("floor:margin");
        let context =
            ContextPolicy { floor: floor.parse().expect("positions"), margin: margin.parse().expect("positions") };
        let language = engine.info().multilingual.then(|| "en".to_owned());
        let options = DecodeOptions { context, language, fallback, ..DecodeOptions::default() };
        let start = cpu_seconds();
        let runs: Vec<Run> = conditions.iter().map(|(_, clips)| run(&engine, clips, &options)).collect();
        let rates: Vec<String> = runs.iter().map(|run| format!("{:.1} |", run.rate())).collect();
        let hard: Vec<f32> =
            runs.iter().zip(&conditions).filter(|(_, (name, _))| *name != "clean").map(|(run, _)| run.rate()).collect();
        println!(
            "| {floor} | {margin} | {} {:.1} | {} | {} | {:.1} |",
            rates.join(" "),
            hard.iter().sum::<f32>() / hard.len().max(1) as f32,
            runs.iter().map(|run| run.again).sum::<usize>(),
            runs.iter().map(|run| run.sampled).sum::<usize>(),
            cpu_seconds() - start,
        );
    }
}

/// What came of a condition.
#[derive(Default)]
struct Run {
    errors: usize,
    words: usize,
    /// Utterances that were decoded more than once.
    again: usize,
    /// Utterances that were sampled at a temperature in the end.
    sampled: usize,
}

impl Run {
    fn rate(&self) -> f32 {
        100.0 * self.errors as f32 / self.words.max(1) as f32
    }
}

fn run(engine: &WhisperCpp, clips: &[Clip], options: &DecodeOptions) -> Run {
    let mut run = Run::default();
    for clip in clips {
        let hypothesis = engine.transcribe(&[job(&clip.audio, options)], 1).remove(0).expect("the clip is decoded");
        let heard = hypothesis.text();
        run.errors += errors(&heard, &clip.text);
        run.words += words(&clip.text).len();
        run.again += usize::from(hypothesis.attempts > 1);
        run.sampled += usize::from(hypothesis.temperature > 0.0);
        if std::env::var_os("SHOW").is_some() {
            println!(
                "{} ({} attempts, T {}, logprob {:.2}, no speech {:.2}): {heard}",
                clip.name,
                hypothesis.attempts,
                hypothesis.temperature,
                hypothesis.avg_logprob,
                hypothesis.no_speech_probability
            );
        }
    }
    run
}

/// The clips as they are heard under `name`; none if they can't be made here.
fn condition(name: &str, clips: &[Clip]) -> Vec<Clip> {
    if let Some(voice) = name.strip_prefix("flite-") {
        return clips.iter().filter_map(|clip| flite(voice, clip)).collect();
    }
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    let decibels: f32 = digits.parse().unwrap_or(0.0);
    let degrade = |(n, clip): (usize, &Clip)| {
        let (seed, samples) = (n as u64 + 1, clip.audio.len());
        let others: Vec<&[f32]> = clips.iter().filter(|c| c.name != clip.name).map(|c| &c.audio[..]).collect();
        let noise = match name.trim_end_matches(digits) {
            "white" => sound::white(samples, seed),
            "pink" => sound::pink(samples, seed),
            "babble" => sound::babble(samples, &others, seed),
            "music" => sound::music(samples, seed),
            "reverb" => return Clip { audio: sound::reverberant(&clip.audio, seed), ..clip.clone() },
            _ => return clip.clone(),
        };
        Clip { audio: sound::mixed(&clip.audio, &noise, decibels), ..clip.clone() }
    };
    clips.iter().enumerate().map(degrade).collect()
}

/// The clip's text in the voice of `flite`, whose RIFF files hold 16-bit samples behind a header of 44 bytes.
fn flite(voice: &str, clip: &Clip) -> Option<Clip> {
    let file = std::env::temp_dir().join(format!("context-floor-{}.wav", std::process::id()));
    let status = Command::new("flite").args(["-voice", voice, "-t", &clip.text, "-o"]).arg(&file).status().ok()?;
    let bytes = status.success().then(|| std::fs::read(&file).ok()).flatten()?;
    std::fs::remove_file(&file).ok()?;
    let rate = u32::from_le_bytes(bytes.get(24..28)?.try_into().ok()?) as f64;
    let samples: Vec<f32> =
        bytes.get(44..)?.chunks_exact(2).map(|s| f32::from(i16::from_le_bytes([s[0], s[1]])) / 32_768.0).collect();
    let length = (samples.len() as f64 * 16_000.0 / rate) as usize;
    let audio: Vec<f32> =
        (0..length).filter_map(|n| samples.get((n as f64 * rate / 16_000.0) as usize)).copied().collect();
    (!audio.is_empty()).then(|| Clip { audio, ..clip.clone() })
}

/// User and system time of this process.
fn cpu_seconds() -> f64 {
    // SAFETY: getrusage writes to the struct it is given, for which all zeros is a value.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
