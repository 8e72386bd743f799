//! How cost grows: with the length of what somebody says without a pause, and with the number of streams.

use anyhow::Result;
use e2e_tests::clips::Composition;
use e2e_tests::wer::word_errors;
use gst::prelude::*;

use crate::crowd::Crowd;
use crate::driver::{tiny_en, Kind};
use crate::measure::{Candidate, Run};
use crate::plot::{curves, Curve};
use crate::table::{head, heading, number, row};
use crate::voices::{signals, voices};

/// Seconds between partials.
const INTERVAL: f64 = 0.5;
/// The limits: cost of a second in the longest utterance against one in ten, and word errors in points.
const COST: f64 = 1.3;
const POINTS: f64 = 2.0;
/// Longer than any utterance here, in ms; an element that cuts utterances earlier is asked for as much as it allows.
const LONGEST: u32 = 140_000;

pub(crate) fn measure(quick: bool) -> Result<()> {
    let candidate = Candidate { name: "tiny.en q8_0", path: tiny_en() };
    let _model = candidate.load()?;
    utterances(&candidate, quick)?;
    streams(&candidate, quick)
}

/// By the length of an utterance.
fn utterances(candidate: &Candidate, quick: bool) -> Result<()> {
    let limit = longest_utterance()?;
    heading("Growth: what a second costs when somebody speaks without a pause, in real time, partials every 0.5 s");
    head(&[
        "seconds without a pause",
        "CPU s per s of speech",
        "finals",
        "partials that came %",
        "longest wait: end of audio of a final → final s",
        "word errors %",
    ]);
    let rounds =
        |signal: Composition, rounds: usize| (1..rounds).fold(signal.clone(), |all, _| all.sound(&signal.samples));
    let mut lengths = vec![
        (2.0, rounds(Composition::unbroken_cut(2.0), if quick { 2 } else { 6 })),
        (10.0, Composition::unbroken(10.0)),
        (30.0, Composition::unbroken(30.0)),
    ];
    if !quick {
        lengths[1].1 = rounds(Composition::unbroken(10.0), 2);
        lengths.push((120.0, Composition::unbroken(120.0)));
    }
    let own = Run::of(&candidate.path, &Composition::long(), &[("partials", "none")], false)?;
    let own_errors = own.errors(&Composition::long());
    let mut points = Vec::new();
    let mut last_errors = f64::NAN;
    let model = candidate.path.to_string_lossy();
    let longest = LONGEST.min(limit).to_string();
    let interval = format!("{}", 1000.0 * INTERVAL);
    let properties = [
        ("model", model.as_ref()),
        ("language", "en"),
        ("latency", "120000"),
        ("max-utterance", &longest),
        ("partial-interval", &interval),
    ];
    for (asked, signal) in &lengths {
        let mut crowd = Crowd::start(1, &properties)?;
        let cost = crowd.play(&[&signal.samples], |_| false)?;
        let said = &crowd.said[0];
        let one = signal.spoken[0].end - signal.spoken[0].start;
        let rounds = (signal.seconds() / (one + 3.0)).round();
        let finals: Vec<_> = said.iter().filter(|said| said.kind == Kind::Final).collect();
        let partials = said.iter().filter(|said| said.kind == Kind::Partial).count() as f64;
        let text: Vec<&str> = finals.iter().map(|said| said.text.as_str()).collect();
        let truth = vec![signal.spoken[0].text.as_str(); rounds as usize].join(" ");
        let errors = if truth.trim().is_empty() { f64::NAN } else { word_errors(&truth, &text.join(" ")).percent() };
        let started = crowd.drivers[0].started();
        let waits = finals.iter().map(|said| (said.at - started).as_secs_f64() - said.end);
        let per_second = cost.cpu / (rounds * one);
        row(&[
            number(one, 1),
            number(per_second, 3),
            finals.len().to_string(),
            number(100.0 * partials / (rounds * one / INTERVAL).floor(), 0),
            number(waits.fold(f64::NAN, f64::max), 2),
            number(errors, 1),
        ]);
        points.push((*asked, one, per_second));
        last_errors = errors;
    }
    let at = |seconds: f64| points.iter().find(|(asked, ..)| *asked == seconds).map(|(_, _, cost)| *cost);
    println!("\nThe clips with their pauses, as finals: {} % word errors. `max-utterance` is {longest} ms, the most that the", number(own_errors, 1));
    println!("element takes up to {LONGEST}. CPU seconds are those of the whole process. The first line is the beginning of a clip, whose words are not known.");
    if let (Some(long), Some(ten)) = (at(120.0), at(10.0)) {
        println!(
            "\n- 120 s cost {} of what 10 s cost, per second; the aim of {COST} at most is {}.",
            number(long / ten, 2),
            if long / ten <= COST { "met" } else { "**missed**" }
        );
        let worse = last_errors - own_errors;
        println!(
            "- word errors of the 120 s are {} points from the clips' own; the aim of {POINTS} points at most is {}.",
            number(worse, 1),
            if worse <= POINTS { "met" } else { "**missed**" }
        );
    }
    let points = points.into_iter().map(|(_, seconds, cost)| (seconds, cost, number(cost, 2))).collect();
    let axes = ("seconds without a pause", "CPU s per s of speech");
    curves(
        "growth-utterance.svg",
        "Cost of a second of speech",
        axes,
        true,
        &[Curve { name: "partials every 0.5 s".into(), points }],
    )
}

/// By the number of streams.
fn streams(candidate: &Candidate, quick: bool) -> Result<()> {
    heading("Growth: what a second costs when many speak, in real time");
    head(&[
        "streams",
        "partials",
        "CPU s per s of audio",
        "cores busy",
        "end of speech → final: p50 / p95 s",
        "partials that came %",
    ]);
    let model = candidate.path.to_string_lossy();
    let mut lines = Vec::new();
    for (name, partials) in [("finals only", None), ("partials every 0.5 s", Some(INTERVAL))] {
        let mut properties = vec![("model", model.as_ref()), ("language", "en"), ("latency", "30000")];
        if partials.is_none() {
            properties.push(("partials", "none"));
        }
        let mut points = Vec::new();
        for count in if quick { vec![1, 16] } else { vec![1, 4, 16, 64] } {
            let voices = voices(count, 2)?;
            let mut crowd = Crowd::start(count, &properties)?;
            let cost = crowd.play(&signals(&voices), |_| false)?;
            let outcome = crowd.outcome(&voices, partials, &cost);
            let audio: f64 = voices.iter().map(|voice| voice.signal.seconds()).sum();
            row(&[
                count.to_string(),
                name.to_owned(),
                number(cost.cpu / audio, 4),
                number(outcome.cores(), 2),
                format!("{} / {}", number(outcome.latency(0.5), 2), number(outcome.latency(0.95), 2)),
                if partials.is_some() { number(100.0 * outcome.partial_share(), 0) } else { "–".to_owned() },
            ]);
            points.push((count as f64, cost.cpu / audio, number(cost.cpu / audio, 3)));
        }
        lines.push(Curve { name: name.to_owned(), points });
    }
    println!("\nWhere streams are more than the cores carry, partials get rarer, and so a second gets cheaper.");
    curves("growth-streams.svg", "Cost of a second of audio", ("streams", "CPU s per s of audio"), true, &lines)
}

/// The longest utterance that the element can be asked for, in ms.
fn longest_utterance() -> Result<u32> {
    let element = gst::ElementFactory::make("whispertranscribe").build()?;
    let limit = element
        .find_property("max-utterance")
        .and_then(|p| Some(p.downcast_ref::<gst::glib::ParamSpecUInt>()?.maximum()));
    Ok(limit.unwrap_or(u32::MAX))
}
