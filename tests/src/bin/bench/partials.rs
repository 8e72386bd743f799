//! What a shorter encoder context for partials, or fewer of them, does to delay, flicker, accuracy and cost, on speech
//! of all kinds, in virtual time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use e2e_tests::clips::Composition;
use e2e_tests::replay::{measure as delays, Pace, Replay};
use e2e_tests::wer::word_errors;
use transcribe_core::engine::device::Device;
use transcribe_core::engine::onnx::{Onnx, Precision};
use transcribe_core::engine::{ContextPolicy, DecodeOptions, Engine};
use transcribe_core::partials::PartialPolicy;
use transcribe_core::samples_from_ms;
use transcribe_core::stream::StreamConfig;
use transcribe_core::vad::{self, VadKind};

use crate::driver::{tiny_en, PACKET};
use crate::kinds::{kinds, KINDS};
use crate::plot::{curves, Curve};
use crate::table::{head, heading, number, row};

/// Floor and margin of partials' contexts, positions, and milliseconds between them. The first is that of finals.
const WAYS: [(usize, usize, u64); 9] = [
    (512, 200, 500),
    (512, 100, 500),
    (448, 150, 500),
    (384, 200, 500),
    (384, 100, 500),
    (320, 100, 500),
    (256, 100, 500),
    (512, 200, 700),
    (512, 200, 1000),
];

/// One way on all kinds of speech.
#[derive(Default, Clone)]
struct Tally {
    shown: Vec<f64>,
    committed: Vec<f64>,
    unstable: (usize, usize),
    with_tail: (usize, usize),
    errors: [f64; KINDS.len()],
    cpu: f64,
}

pub(crate) fn measure(quick: bool) -> Result<()> {
    heading("Partials: a shorter context, or fewer of them (tiny.en q8_0, local agreement, n = 2)");
    let ways = &WAYS[..if quick { 3 } else { WAYS.len() }];
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let engine: Arc<dyn Engine> = Arc::new(Onnx::load(&tiny_en(), &Device::Cpu, Precision::default(), None, cores)?);
    let signals = kinds(1);
    let kinds_count = signals.len();
    // The truth about times first, then all ways.
    let wholes = on_all_cores(kinds_count, |kind| play(&signals[kind], PartialPolicy::None, None, &engine))?;
    let replays = on_all_cores(kinds_count * ways.len(), |at| {
        let (floor, margin, interval) = ways[at / kinds_count];
        let policy = PartialPolicy::LocalAgreement { every: samples_from_ms(interval), agree: 2 };
        play(&signals[at % kinds_count], policy, Some(ContextPolicy { floor, margin }), &engine)
    })?;
    let seconds: f64 = signals.iter().map(Composition::seconds).sum();
    let mut columns = vec!["floor", "margin", "interval ms"];
    columns.extend(KINDS);
    columns.extend([
        "mean",
        "word first shown, s",
        "word committed, s",
        "changed, without the last word %",
        "with it %",
        "CPU s per minute",
    ]);
    head(&columns);
    let finals: Vec<f64> = (0..kinds_count).map(|kind| errors(&signals[kind], &wholes[kind])).collect();
    let cells = |errors: &[f64]| -> Vec<String> {
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        errors.iter().chain([&mean]).map(|rate| number(*rate, 1)).collect()
    };
    let dash = || "–".to_owned();
    let cpu: f64 = wholes.iter().map(|replay| replay.cpu).sum();
    let mut whole = vec![dash(), dash(), "finals only".to_owned()];
    whole.extend(cells(&finals));
    whole.extend([dash(), dash(), dash(), dash(), number(cpu * 60.0 / seconds, 2)]);
    row(&whole);
    let mut points = Vec::new();
    for ((floor, margin, interval), replays) in ways.iter().zip(replays.chunks(kinds_count)) {
        let mut tally = Tally::default();
        for (kind, replay) in replays.iter().enumerate() {
            let measured = delays(replay, &wholes[kind]);
            tally.shown.extend(&measured.shown);
            tally.committed.extend(&measured.committed);
            add(&mut tally.unstable, measured.unstable.shown, measured.unstable.changed);
            add(&mut tally.with_tail, measured.with_tail.shown, measured.with_tail.changed);
            tally.errors[kind] = errors(&signals[kind], replay);
            tally.cpu += replay.cpu;
        }
        let a_minute = tally.cpu * 60.0 / seconds;
        let mut all = vec![floor.to_string(), margin.to_string(), interval.to_string()];
        all.extend(cells(&tally.errors));
        all.extend([
            number(mean(&tally.shown), 2),
            number(mean(&tally.committed), 2),
            number(percent(tally.unstable), 1),
            number(percent(tally.with_tail), 1),
            number(a_minute, 2),
        ]);
        row(&all);
        points.push((a_minute, percent(tally.with_tail), format!("{floor}+{margin}, {interval} ms")));
    }
    println!(
        "\nWord errors are those of what was committed, which finals keep. Delays count from the end of a word and take \
         decoding as instantaneous; changed are words that were shown and didn't stay. Means are over all words of all \
         kinds."
    );
    let curve = |name: &str, of: &dyn Fn(&str) -> bool| Curve {
        name: name.to_owned(),
        points: points.iter().filter(|(_, _, label)| of(label)).cloned().collect(),
    };
    curves(
        "partials-cost.svg",
        "Partials: CPU time against flicker",
        ("CPU s per minute of audio", "shown words later changed, %"),
        false,
        &[
            curve("shorter contexts", &|label| label.ends_with(" 500 ms")),
            curve("fewer partials", &|label| label.starts_with("512+200")),
        ],
    )
}

/// What `of` makes of each number up to `count`, in order.
fn on_all_cores(count: usize, of: impl Fn(usize) -> Result<Replay> + Sync) -> Result<Vec<Replay>> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<Result<Replay>>>> = Mutex::new((0..count).map(|_| None).collect());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= count {
                    break;
                }
                let replay = of(at);
                done.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(replay);
            });
        }
    });
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.into_iter().map(|replay| replay.context("a replay is missing")?).collect()
}

fn play(
    signal: &Composition,
    partials: PartialPolicy,
    partial_context: Option<ContextPolicy>,
    engine: &Arc<dyn Engine>,
) -> Result<Replay> {
    let decode = DecodeOptions { language: Some("en".into()), ..DecodeOptions::default() };
    let config = StreamConfig { partials, decode, partial_context, ..StreamConfig::default() };
    let mut detector = vad::load(VadKind::Silero, None)?;
    Ok(Replay::of(&signal.samples, PACKET, config, Pace::Audio, detector.as_mut(), engine)?)
}

fn errors(signal: &Composition, replay: &Replay) -> f64 {
    word_errors(&signal.text(), &replay.text()).percent()
}

fn add(sum: &mut (usize, usize), shown: usize, changed: usize) {
    *sum = (sum.0 + shown, sum.1 + changed);
}

fn percent((shown, changed): (usize, usize)) -> f64 {
    100.0 * changed as f64 / shown.max(1) as f64
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
