//! What the decoder's options do to accuracy, cost and word times, on speech of all kinds: timestamps among the tokens,
//! previous text, beams.

use std::sync::Arc;

use anyhow::Result;
use e2e_tests::clips::Composition;
use e2e_tests::replay::{Pace, Replay};
use e2e_tests::wer::word_errors;
use transcribe_core::engine::{DecodeOptions, Engine, Search, Timestamps};
use transcribe_core::partials::PartialPolicy;
use transcribe_core::stream::StreamConfig;
use transcribe_core::vad::{self, VadKind};

use crate::driver::PACKET;
use crate::kinds::{kinds, KINDS};
use crate::measure::{candidates, quantile};
use crate::table::{head, heading, number, row};

/// How often noise and rooms are drawn anew for the first model; others, which take longer, hear the first.
const DRAWS: u64 = 3;

/// Name and options of each way to decode.
fn ways() -> [(&'static str, DecodeOptions); 6] {
    let plain =
        || DecodeOptions { language: Some("en".into()), timestamps: Timestamps::Never, ..DecodeOptions::default() };
    let previous = || Some(String::new());
    [
        ("without either", plain()),
        ("timestamps in retries, the default", DecodeOptions { timestamps: Timestamps::Retries, ..plain() }),
        ("timestamps", DecodeOptions { timestamps: Timestamps::Always, ..plain() }),
        ("previous text", DecodeOptions { previous: previous(), ..plain() }),
        (
            "timestamps, previous text",
            DecodeOptions { timestamps: Timestamps::Always, previous: previous(), ..plain() },
        ),
        ("beam of 5", DecodeOptions { search: Search::Beam(5), ..plain() }),
    ]
}

pub(crate) fn measure(quick: bool) -> Result<()> {
    heading("Decoding: word errors % by kind of speech, finals only, and what else changes");
    let candidates = candidates();
    let mut columns = vec!["model", "decoding"];
    columns.extend(KINDS);
    columns.extend([
        "mean but for clean",
        "CPU s per minute",
        "segments a final, unbroken",
        "word starts moved, clean: median / p90 ms",
    ]);
    head(&columns);
    for (n, candidate) in candidates.iter().enumerate().take(if quick { 1 } else { candidates.len() }) {
        let draws = if quick || n > 0 { 1 } else { DRAWS };
        let model = candidate.load()?;
        let mut plain: Option<Replay> = None;
        for (name, decode) in ways() {
            let mut tally = Tally::default();
            for seed in 1..=draws {
                for (kind, signal) in kinds(seed).iter().enumerate() {
                    // Only what a seed changes is heard again.
                    if seed == 1 || kind > 2 {
                        tally.add(kind, signal, play(signal, &decode, model.engine())?);
                    }
                }
            }
            let moved = plain.as_ref().map_or_else(|| "–".to_owned(), |plain| moved(plain, &tally.first[0]));
            row(&tally.cells(candidate.name, name, moved));
            plain.get_or_insert_with(|| tally.first.swap_remove(0));
        }
    }
    println!(
        "\nOne attempt and what guards ask for beyond it, one thread. \"Moved\" compares words that stand in both texts of \
         an utterance of as many words. \"Previous text\" hands the decoder the finals before, until a guess or 30 s of \
         silence."
    );
    Ok(())
}

fn play(signal: &Composition, decode: &DecodeOptions, engine: &Arc<dyn Engine>) -> Result<Replay> {
    let config = StreamConfig { partials: PartialPolicy::None, decode: decode.clone(), ..StreamConfig::default() };
    let mut detector = vad::load(VadKind::Silero, None)?;
    Ok(Replay::of(&signal.samples, PACKET, config, Pace::Audio, detector.as_mut(), engine)?)
}

/// What one way to decode gave.
#[derive(Default)]
struct Tally {
    /// Wrong words and all, by kind.
    errors: [(f64, usize); KINDS.len()],
    cpu: f64,
    seconds: f64,
    /// The first replay of each kind.
    first: Vec<Replay>,
}

impl Tally {
    fn add(&mut self, kind: usize, signal: &Composition, replay: Replay) {
        let errors = &mut self.errors[kind];
        *errors = (errors.0 + word_errors(&signal.text(), &replay.text()).percent(), errors.1 + 1);
        self.cpu += replay.cpu;
        self.seconds += signal.seconds();
        if self.first.len() == kind {
            self.first.push(replay);
        }
    }

    fn cells(&self, model: &str, name: &str, moved: String) -> Vec<String> {
        let rates: Vec<f64> = self.errors.iter().map(|(sum, count)| sum / *count as f64).collect();
        let mean = rates[1..].iter().sum::<f64>() / (rates.len() - 1) as f64;
        let finals = self.first[1].finals().count();
        let segments: usize = self.first[1].finals().map(|(_, f)| f.hypothesis.segments.len()).sum();
        let mut cells = vec![model.to_owned(), name.to_owned()];
        cells.extend(rates.iter().map(|rate| number(*rate, 1)));
        cells.extend([
            number(mean, 1),
            number(self.cpu * 60.0 / self.seconds, 2),
            number(segments as f64 / finals as f64, 1),
            moved,
        ]);
        cells
    }
}

/// By how much words begin elsewhere.
fn moved(plain: &Replay, other: &Replay) -> String {
    let mut distances = Vec::new();
    for ((_, a), (_, b)) in plain.finals().zip(other.finals()) {
        let (a, b): (Vec<_>, Vec<_>) = (a.hypothesis.words().collect(), b.hypothesis.words().collect());
        if a.len() == b.len() {
            let same = a.iter().zip(&b).filter(|(a, b)| a.text == b.text);
            distances.extend(same.map(|(a, b)| a.span.start.abs_diff(b.span.start) as f64 / 16.0));
        }
    }
    format!("{} / {}", number(quantile(&distances, 0.5), 0), number(quantile(&distances, 0.9), 0))
}
