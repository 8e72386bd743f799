//! What the engines cost on the same pieces of audio, one thread each, with faster-whisper beside them.
//!
//! Only decoding is counted: nobody pays for finding the utterances, and models are loaded before the clock starts.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result};
use e2e_tests::audio::{samples, write_wav, SAMPLE_RATE};
use e2e_tests::rss::CpuTime;
use e2e_tests::wer::word_errors;
use transcribe_core::engine::device::Device;
use transcribe_core::engine::onnx::{multiplications_a_second, Onnx, Precision, Spent};
use transcribe_core::engine::whisper_cpp::WhisperCpp;
use transcribe_core::engine::{CancelToken, DecodeOptions, Engine, Job};

use crate::driver::workspace;
use crate::lines::Lines;
use crate::measure::{candidates, Candidate};
use crate::peers::Python;
use crate::table::{head, heading, number, row};
use crate::voices::{listening, voices, Voice};

/// Seconds between partials.
const INTERVAL: f64 = 0.5;
/// Seconds of audio in front of an utterance that are decoded with it.
const LEAD: f64 = 0.2;
/// The aims: at most these shares of faster-whisper's time, of whisper.cpp's, and of faster-whisper's with partials.
const AIMS: [(&str, f64); 3] = [
    ("faster-whisper's, finals only", 5.0),
    ("whisper.cpp's, finals only", 3.0),
    ("faster-whisper's, with partials", 6.0),
];

/// A piece of audio to decode, seconds.
#[derive(Clone, Copy)]
struct Piece {
    start: f64,
    end: f64,
    last: bool,
}

/// What an engine needed.
#[derive(Default)]
struct Cost {
    finals: f64,
    partials: f64,
    errors: f64,
    /// Where the time of finals went, and that of partials.
    split: [Spent; 2],
}

pub(crate) fn measure(peers: &Path) -> Result<()> {
    let voice = voices(1, 7)?.pop().context("there is no voice")?;
    let seconds = voice.signal.seconds();
    heading(&format!("Engines: the utterances of {seconds:.1} s of audio, one thread"));
    println!(
        "Finals: each utterance once, greedy, in one attempt. With partials: also what there is of it every {INTERVAL} s.\n"
    );
    let python = Python::set_up(peers);
    if let Err(error) = &python {
        println!("**faster-whisper: NOT MEASURED: {error:#}.**\n");
    }
    head(&["model", "engine", "finals: CPU s per minute of audio", "with partials", "word errors of finals %"]);
    let mut verdict = Vec::new();
    let mut splits = Vec::new();
    for candidate in candidates() {
        let show = |name: &str, cost: &Cost| {
            let a_minute = |cpu: f64| number(cpu * 60.0 / seconds, 2);
            let (finals, all) = (a_minute(cost.finals), a_minute(cost.finals + cost.partials));
            row(&[candidate.name.to_owned(), name.to_owned(), finals, all, number(cost.errors, 1)]);
        };
        let onnx = Onnx::load(&candidate.path, &Device::Cpu, Precision::Int8, None, 1)?;
        let ours = of_engine(&onnx, &voice, &|| onnx.spent());
        show("ONNX Runtime, 8 bits", &ours);
        let whisper_cpp = of_engine(&WhisperCpp::load(&candidate.path, &Device::Cpu, 1)?, &voice, &Spent::default);
        show("whisper.cpp", &whisper_cpp);
        let mut others = [None, Some(whisper_cpp.finals / ours.finals), None];
        if let Ok(python) = &python {
            let theirs = of_faster_whisper(peers, python, &candidate, &voice)?;
            show("faster-whisper, int8", &theirs);
            others[0] = Some(theirs.finals / ours.finals);
            others[2] = Some((theirs.finals + theirs.partials) / (ours.finals + ours.partials));
        }
        for ((what, least), ratio) in AIMS.iter().zip(others) {
            let Some(ratio) = ratio else { continue };
            let word = if ratio >= *least { "met" } else { "**missed**" };
            verdict.push(format!("- {}: 1/{ratio:.1} of {what}; the aim of 1/{least:.0} is {word}.", candidate.name));
        }
        splits.push((candidate.name, ours));
    }
    println!();
    verdict.iter().for_each(|line| println!("{line}"));
    show_splits(&splits, &voice)
}

/// The pieces of an utterance, in order.
fn pieces(voice: &Voice) -> Vec<Vec<Piece>> {
    let of = |start: f64, end: f64| {
        let growing = (1..).map(|n| start + INTERVAL * f64::from(n)).take_while(|at| *at < end);
        let partials = growing.map(|end| Piece { start, end, last: false });
        partials.chain([Piece { start, end, last: true }]).collect()
    };
    voice.utterances.iter().map(|u| of((u.start - LEAD).max(0.0), u.end)).collect()
}

/// Decodes all pieces, a partial with the one before as its draft, as a stream does.
fn of_engine(engine: &dyn Engine, voice: &Voice, spent_so_far: &dyn Fn() -> Spent) -> Cost {
    let language = engine.info().multilingual.then(|| "en".to_owned());
    let options = DecodeOptions { language, fallback: false, ..DecodeOptions::default() };
    let mut cost = Cost::default();
    let mut text = String::new();
    // Sessions make themselves at home at the first call.
    let _ = engine.transcribe(&[job(voice, Piece { start: 0.0, end: 2.0, last: true }, &options, Vec::new())], 1);
    for utterance in pieces(voice) {
        let mut draft = Vec::new();
        for piece in utterance {
            let draft_here = if piece.last { Vec::new() } else { std::mem::take(&mut draft) };
            let job = job(voice, piece, &options, draft_here);
            let (start, before) = (CpuTime::own(), spent_so_far());
            let heard = engine.transcribe(&[job], 1).pop();
            let spent = CpuTime::own().since(&start).own.as_secs_f64();
            cost.split[usize::from(!piece.last)] += spent_so_far().since(&before);
            let Some(Ok(hypothesis)) = heard else { continue };
            if piece.last {
                cost.finals += spent;
                text = text + " " + &hypothesis.text();
            } else {
                cost.partials += spent;
                draft = hypothesis.tokens;
            }
        }
    }
    cost.errors = word_errors(&voice.signal.text(), &text).percent();
    cost
}

fn job(voice: &Voice, piece: Piece, options: &DecodeOptions, draft: Vec<i32>) -> Job {
    let end = samples(piece.end).min(voice.signal.samples.len());
    Job {
        audio: voice.signal.samples[samples(piece.start)..end].into(),
        options: Arc::new(DecodeOptions { draft, ..options.clone() }),
        cancel: CancelToken::new(),
    }
}

fn of_faster_whisper(peers: &Path, python: &Python, candidate: &Candidate, voice: &Voice) -> Result<Cost> {
    let model = if candidate.name.starts_with("tiny") { python.tiny_en()? } else { python.base()? };
    let folder = workspace().join("target/bench");
    let (wav, list) = (folder.join("engines.wav"), folder.join("engines.json"));
    std::fs::create_dir_all(&folder)?;
    write_wav(&wav, &voice.signal.samples, SAMPLE_RATE, 1)?;
    let run = |wanted: &dyn Fn(&Piece) -> bool| -> Result<(f64, String)> {
        let all = pieces(voice);
        let chosen: Vec<[f64; 2]> = all.iter().flatten().filter(|p| wanted(p)).map(|p| [p.start, p.end]).collect();
        std::fs::write(&list, serde_json::to_string(&chosen)?)?;
        let mut command = Command::new(&python.program);
        command.arg(peers.join("faster_whisper_peer.py")).arg(&wav).arg(&list).arg("--model").arg(&model);
        let lines = Lines::of(command.env("PYTHONDONTWRITEBYTECODE", "1"))?;
        Ok((lines.total("cpu_seconds")?, lines.summary["text"].as_str().unwrap_or_default().to_owned()))
    };
    let (finals, text) = run(&|piece| piece.last)?;
    let (partials, _) = run(&|piece| !piece.last)?;
    let errors = word_errors(&voice.signal.text(), &text).percent();
    Ok(Cost { finals, partials, errors, ..Cost::default() })
}

/// Where the time of the engine on ONNX Runtime goes, beside what the machine allows.
fn show_splits(splits: &[(&str, Cost)], voice: &Voice) -> Result<()> {
    let rate = multiplications_a_second(None)?;
    let listening = listening(&voice.signal)?;
    heading("Engines: where the time goes, CPU s per minute of audio");
    head(&[
        "model",
        "what",
        "mel",
        "encoder",
        "its bound",
        "decoder",
        "its bound",
        "choice of tokens, word times",
        "VAD",
        "all",
    ]);
    let a_minute = 60.0 / voice.signal.seconds();
    for (name, cost) in splits {
        let [finals, partials] = cost.split;
        let mut both = finals;
        both += partials;
        for (what, all, spent) in
            [("finals", cost.finals, finals), ("with partials", cost.finals + cost.partials, both)]
        {
            let [mel, encoder, decoder] = [spent.mel, spent.encoder, spent.decoder].map(|part| part.as_secs_f64());
            let bounds = [spent.encoder_products, spent.decoder_products].map(|products| products as f64 / rate);
            let rest = all - mel - encoder - decoder;
            let parts = [mel, encoder, bounds[0], decoder, bounds[1], rest, listening, all + listening];
            let parts = parts.map(|seconds| number(seconds * a_minute, 3));
            row(&[[(*name).to_owned(), what.to_owned()].as_slice(), parts.as_slice()].concat());
        }
    }
    println!(
        "\nA bound is the time that the 8-bit multiplications of the linear layers would take at the rate of ONNX Runtime's \
         own product of 1024 rows, inputs and outputs on one thread: {} thousand million a second, each with its \
         addition. Convolutions and attention are computed in single precision and not in it. VAD is all that listens: \
         noise gate, Silero alone in its batch, segmenter.",
        number(rate / 1e9, 0)
    );
    Ok(())
}
