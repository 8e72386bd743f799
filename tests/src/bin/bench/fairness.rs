//! What one greedy stream does to fifteen normal ones on the same model.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{anyhow, Result};
use e2e_tests::clips::Composition;

use crate::crowd::Crowd;
use crate::driver::{tiny_en, Driver, PACKET};
use crate::machine::keep_to_cores;
use crate::outcome::{Outcome, LATE};
use crate::table::{head, heading, number, row};
use crate::voices::{signals, voices, Voice};

const NORMAL: usize = 15;
/// The limit: by so much may latency grow.
const GROWTH: f64 = 1.2;

pub(crate) fn measure(quick: bool) -> Result<()> {
    let cores = keep_to_cores(2)?;
    let voices = voices(NORMAL, if quick { 3 } else { 7 })?;
    heading(&format!("Fairness: {NORMAL} people in real time and one greedy stream, on {cores} cores"));
    head(&[
        "partials of the normal ones",
        "greedy stream",
        "end of speech → final: p50 / p95 s",
        "end-point decision → final: p50 / p95 s",
        "partials that came %",
        "greedy audio s per s",
        "cores busy",
    ]);
    let mut verdicts = Vec::new();
    for (name, partials) in [("none", None), ("0.5 s", Some(0.5))] {
        let mut latencies = Vec::new();
        for greedy in [false, true] {
            let (outcome, audio) = run(&voices, partials, greedy)?;
            row(&[
                name.to_owned(),
                if greedy { "yes" } else { "no" }.to_owned(),
                format!("{} / {}", number(outcome.latency(0.5), 2), number(outcome.latency(1.0 - LATE), 2)),
                format!("{} / {}", number(outcome.decoding(0.5), 2), number(outcome.decoding(1.0 - LATE), 2)),
                if partials.is_some() { number(100.0 * outcome.partial_share(), 0) } else { "–".to_owned() },
                if greedy { number(audio / outcome.wall, 1) } else { "–".to_owned() },
                number(outcome.cores(), 2),
            ]);
            latencies.push(outcome.latency(1.0 - LATE));
        }
        let ratio = latencies[1] / latencies[0];
        verdicts.push(format!(
            "- partials {name}: p95 with the greedy stream is {} of that without; the aim of {GROWTH} at most is {}.",
            number(ratio, 2),
            if ratio <= GROWTH { "met" } else { "**missed**" }
        ));
    }
    println!("\nThe greedy stream is pushed as fast as it is taken, round and round, with partials every 100 ms.\n");
    verdicts.iter().for_each(|verdict| println!("{verdict}"));
    Ok(())
}

/// One run; gives the seconds of audio that the greedy stream got rid of as well.
fn run(voices: &[Voice], partials: Option<f64>, greedy: bool) -> Result<(Outcome, f64)> {
    let model = tiny_en();
    let model = model.to_string_lossy();
    let mut properties = vec![("model", model.as_ref()), ("language", "en"), ("latency", "30000")];
    if partials.is_none() {
        properties.push(("partials", "none"));
    }
    let mut crowd = Crowd::start(voices.len(), &properties)?;
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let glutton = greedy.then(|| scope.spawn(|| devour(&model, &over)));
        let cost = crowd.play(&signals(voices), |_| false);
        over.store(true, Ordering::Relaxed);
        let audio = match glutton {
            Some(glutton) => glutton.join().map_err(|_| anyhow!("the greedy stream panicked"))??,
            None => 0.0,
        };
        Ok((crowd.outcome(voices, partials, &cost?), audio))
    })
}

/// Pushes speech until the others are done.
fn devour(model: &str, over: &AtomicBool) -> Result<f64> {
    let composition = Composition::long();
    let mut driver = Driver::start(&[("model", model), ("language", "en"), ("partial-interval", "100")], false)?;
    let mut seconds = 0.0;
    for piece in composition.samples.chunks(50 * PACKET).cycle() {
        if over.load(Ordering::Relaxed) {
            break;
        }
        driver.push(piece, PACKET)?;
        // What was said isn't needed.
        driver.take();
        let stats = driver.stats();
        seconds = driver.seconds() - stats.get::<f64>("backlog").unwrap_or_default();
    }
    Ok(seconds)
}
