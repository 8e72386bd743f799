//! Both engines on the same speech, one thread each: word error rates clean and in noise, CPU time, and where the time
//! goes, as a Markdown table.
//!
//! ```sh
//! cargo run --release -p transcribe-core --example engines -- models/ggml-tiny.en-q8_0.bin
//! cargo run --release -p transcribe-core --example engines -- MODEL 512:200,1500:0 clean,babble5 whisper-cpp,int8,f32
//! ```
//!
//! Words after the model's path: context policies `floor:margin`, conditions as in `context_floor`, engines, and
//! `plain` to do without retries.

#[path = "../context_floor/clock.rs"]
mod clock;
#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../context_floor/conditions.rs"]
mod conditions;
#[path = "../context_floor/sound.rs"]
mod sound;

use clock::cpu_seconds;
use common::{errors, job, words, Clip};
use conditions::condition;
use transcribe_core::engine::device::Device;
use transcribe_core::engine::onnx::{Onnx, Precision};
use transcribe_core::engine::whisper_cpp::WhisperCpp;
use transcribe_core::engine::{ContextPolicy, DecodeOptions, Engine};

const CONDITIONS: &str = "clean,white10,white5,pink10,pink5,babble10,babble5,music10,music5,reverb";

fn main() {
    let mut args = std::env::args().skip(1);
    let model = args.next().unwrap_or_else(|| "models/ggml-tiny.en-q8_0.bin".to_owned());
    let policies = args.next().unwrap_or_else(|| "512:200".to_owned());
    let conditions = args.next().unwrap_or_else(|| CONDITIONS.to_owned());
    let engines = args.next().unwrap_or_else(|| "whisper-cpp,int8,f32".to_owned());
    let fallback = args.next().as_deref() != Some("plain");
    let clips = common::clips();
    let conditions: Vec<(&str, Vec<Clip>)> = conditions.split(',').map(|c| (c, condition(c, &clips))).collect();

    let heads: Vec<&str> = conditions.iter().map(|(name, _)| *name).collect();
    println!(
        "| engine | context | {} | again | sampled | CPU s | of the first condition | mel, encoder, decoder |",
        heads.join(" | ")
    );
    println!("|{}", " --- |".repeat(heads.len() + 7));
    for policy in policies.split(',') {
        let (floor, margin) = policy.split_once(':').expect("floor:margin");
        let context =
            ContextPolicy { floor: floor.parse().expect("positions"), margin: margin.parse().expect("positions") };
        for name in engines.split(',') {
            let engine = Loaded::new(name, &model);
            let language = engine.engine().info().multilingual.then(|| "en".to_owned());
            let options = DecodeOptions { context, language, fallback, ..DecodeOptions::default() };
            let start = cpu_seconds();
            let mut cells = Vec::new();
            let (mut again, mut sampled, mut first) = (0, 0, None);
            for (_, clips) in &conditions {
                let (mut wrong, mut total) = (0, 0);
                for clip in clips {
                    let heard = engine.engine().transcribe(&[job(&clip.audio, &options)], 1).remove(0);
                    let heard = heard.expect("the clip is decoded");
                    wrong += errors(&heard.text(), &clip.text);
                    total += words(&clip.text).len();
                    again += usize::from(heard.attempts > 1);
                    sampled += usize::from(heard.temperature > 0.0);
                    if std::env::var_os("SHOW").is_some() {
                        println!("{} ×{} {:.2}: {}", clip.name, heard.attempts, heard.avg_logprob, heard.text());
                    }
                }
                cells.push(format!("{:.1}", 100.0 * wrong as f32 / total.max(1) as f32));
                first.get_or_insert_with(|| (cpu_seconds() - start, engine.spent()));
            }
            let (first, spent) = first.unwrap_or_default();
            let cells = cells.join(" | ");
            let all = cpu_seconds() - start;
            println!("| {name} | {policy} | {cells} | {again} | {sampled} | {all:.2} | {first:.2} | {spent} |");
        }
    }
}

/// An engine of either kind.
enum Loaded {
    WhisperCpp(Box<WhisperCpp>),
    Onnx(Box<Onnx>),
}

impl Loaded {
    fn new(name: &str, model: &str) -> Self {
        let onnx = |precision| Onnx::load(model.as_ref(), &Device::Cpu, precision, None, 1).expect("the model loads");
        match name {
            "whisper-cpp" => {
                Self::WhisperCpp(WhisperCpp::load(model.as_ref(), &Device::Cpu, 1).expect("the model loads").into())
            }
            "int8" => Self::Onnx(onnx(Precision::Int8).into()),
            "f32" => Self::Onnx(onnx(Precision::F32).into()),
            _ => panic!("no engine '{name}': whisper-cpp, int8 or f32"),
        }
    }

    fn engine(&self) -> &dyn Engine {
        match self {
            Self::WhisperCpp(engine) => engine.as_ref(),
            Self::Onnx(engine) => engine.as_ref(),
        }
    }

    fn spent(&self) -> String {
        let Self::Onnx(engine) = self else { return String::new() };
        let spent = engine.spent();
        let [mel, encoder, decoder] = [spent.mel, spent.encoder, spent.decoder].map(|time| time.as_secs_f64());
        format!("{mel:.3}, {encoder:.2} ({} runs), {decoder:.2} ({} steps)", spent.runs, spent.steps)
    }
}
