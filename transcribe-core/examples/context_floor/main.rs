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

mod clock;
#[path = "../../tests/common/mod.rs"]
mod common;
mod conditions;
mod sound;

use clock::cpu_seconds;
use common::{errors, job, words, Clip};
use conditions::condition;
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
