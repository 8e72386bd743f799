//! How many people who speak at the same time two cores carry: this element against its peers, same audio and model.

mod faster_whisper;
mod ours;
mod search;
mod upstream;

use std::path::Path;

use anyhow::Result;

use crate::machine::keep_to_cores;
use crate::measure::{candidates, Candidate};
use crate::outcome::{Goal, Outcome, LATE};
use crate::peers::Python;
use crate::plot::{bars, Bars};
use crate::table::{head, heading, number, row};
use crate::voices::{voices, Voice};
use crate::ModelName;

use faster_whisper::FasterWhisper;
use ours::Ours;
use upstream::Upstream;

/// What the issue asks for: so many times the streams of upstream's element.
const LEAST_RATIO: f64 = 8.0;
/// Seconds between partials where there are any.
const INTERVAL: f64 = 0.5;
const CORES: usize = 2;

/// Somebody who can transcribe many voices at the speed of speech.
pub(crate) trait Contender {
    /// Plays the voices to it. `partials`: seconds between them, if any. It may give up what can't reach the goal.
    fn run(&self, voices: &[Voice], partials: Option<f64>, goal: Goal) -> Result<Outcome>;
}

/// A contender in one discipline.
struct Entry<'a> {
    name: &'static str,
    contender: Box<dyn Contender + 'a>,
    partials: Option<f64>,
    goal: Goal,
    /// Where the search begins; it ends at the same number wherever that is.
    first: usize,
}

/// What was found of an entry.
struct Found {
    name: &'static str,
    partials: bool,
    goal: Goal,
    /// Nothing if it couldn't be measured.
    streams: Option<usize>,
}

pub(crate) fn measure(peers: &Path, models: &[ModelName], quick: bool) -> Result<()> {
    let cores = keep_to_cores(CORES)?;
    heading(&format!("Capacity: people who speak at the same time, on {cores} cores"));
    let mut candidates = candidates();
    if !models.is_empty() {
        candidates.retain(|candidate| models.iter().any(|model| model.is(candidate)));
    } else if quick {
        candidates.truncate(1);
    }
    let clips = if quick { 3 } else { 7 };
    println!(
        "Each voice says {clips} of the clips with pauses of 1.5 s, none in step with another. A number of streams is \
         carried *in time* when of 100 finals 95 come within 0.5 s of the end-point decision, which is 1 s from the end of \
         speech as the detector hears it; *without falling behind* when texts at the end of the run come at most 1 s later \
         than at its start, however late they are. Either way at least half of the partials asked for must come. \
         Upstream's element and the naive server can't be in time by their design. What can't be reached any more is \
         given up.\n"
    );
    let python = Python::set_up(peers);
    if let Err(error) = &python {
        println!("**faster-whisper and the naive server: NOT MEASURED: {error:#}.**\n");
    }
    let mut found = Vec::new();
    head(&[
        "model",
        "contender",
        "partials",
        "goal",
        "streams",
        "end of speech → final: p50 / p95 s",
        "end-point decision → final: p50 / p95 s",
        "later at the end s",
        "partials that came %",
        "cores busy",
        "word errors %",
        "utterances without text",
        "good enough",
    ]);
    let mut complaints = Vec::new();
    for candidate in &candidates {
        // Ours find it loaded. The peers don't see it; it takes memory but no time.
        let _model = candidate.load()?;
        for entry in entries(candidate, peers, python.as_ref().ok()) {
            let fineness = if quick { 2 } else { 4 };
            let streams = search::largest(entry.first, fineness, |streams| {
                let voices = voices(streams, clips)?;
                let outcome = entry.contender.run(&voices, entry.partials, entry.goal)?;
                show(candidate, &entry, streams, &outcome);
                Ok(outcome.reaches(entry.goal))
            });
            if let Err(error) = &streams {
                complaints.push(format!("**{}, {}: NOT MEASURED: {error:#}.**", candidate.name, entry.name));
            }
            let partials = entry.partials.is_some();
            let found_here = Found { name: entry.name, partials, goal: entry.goal, streams: streams.ok() };
            found.push((candidate.name, found_here));
        }
    }
    println!();
    complaints.iter().for_each(|complaint| println!("{complaint}\n"));
    for candidate in &candidates {
        let of_model = |found: &&(&str, Found)| found.0 == candidate.name;
        let found: Vec<&Found> = found.iter().filter(of_model).map(|(_, found)| found).collect();
        judge(candidate.name, &found)?;
    }
    Ok(())
}

/// All contenders with a model.
fn entries<'a>(candidate: &Candidate, peers: &'a Path, python: Option<&'a Python>) -> Vec<Entry<'a>> {
    let tiny = candidate.name.starts_with("tiny");
    // Where the answers were on the machine that this was written on.
    let first = |with_tiny, with_base| if tiny { with_tiny } else { with_base };
    let ours = || Box::new(Ours { model: candidate.path.clone() });
    let upstream = Upstream { peers, model: candidate.path.clone(), preset: if tiny { "tiny-en" } else { "base" } };
    let mut entries = vec![
        Entry { name: "ours", contender: ours(), partials: None, goal: Goal::Prompt, first: first(48, 24) },
        Entry { name: "ours", contender: ours(), partials: Some(INTERVAL), goal: Goal::Prompt, first: first(16, 8) },
        Entry { name: "ours", contender: ours(), partials: None, goal: Goal::KeepsUp, first: first(64, 32) },
        Entry { name: "upstream", contender: Box::new(upstream), partials: None, goal: Goal::KeepsUp, first: 4 },
    ];
    let Some(python) = python else { return entries };
    let model = if tiny { python.tiny_en() } else { python.base() };
    match model {
        Ok(model) => {
            let peer = |mode| Box::new(FasterWhisper { peers, python, model: model.clone(), mode });
            let all = [
                ("faster-whisper", "utterances", None, Goal::Prompt, first(8, 4)),
                ("faster-whisper", "utterances", Some(INTERVAL), Goal::Prompt, first(4, 2)),
                ("faster-whisper", "utterances", None, Goal::KeepsUp, first(24, 12)),
                ("naive server", "chunks", None, Goal::KeepsUp, first(8, 4)),
            ];
            entries.extend(all.map(|(name, mode, partials, goal, first)| Entry {
                name,
                contender: peer(mode),
                partials,
                goal,
                first,
            }));
        }
        Err(error) => println!("\n**faster-whisper with {}: NOT MEASURED: {error:#}.**\n", candidate.name),
    }
    entries
}

/// A line for a run.
fn show(candidate: &Candidate, entry: &Entry, streams: usize, outcome: &Outcome) {
    let both =
        |quantile: &dyn Fn(f64) -> f64| format!("{} / {}", number(quantile(0.5), 2), number(quantile(1.0 - LATE), 2));
    let good = match (outcome.reaches(entry.goal), outcome.finished) {
        (true, _) => "yes",
        (false, true) => "no",
        (false, false) => "no, given up",
    };
    row(&[
        candidate.name.to_owned(),
        entry.name.to_owned(),
        entry.partials.map_or("none".to_owned(), |seconds| format!("{seconds} s")),
        if entry.goal == Goal::Prompt { "in time" } else { "not behind" }.to_owned(),
        streams.to_string(),
        both(&|share| outcome.latency(share)),
        both(&|share| outcome.decoding(share)),
        number(outcome.growth(), 2),
        if outcome.asked > 0 { number(100.0 * outcome.partial_share(), 0) } else { "–".to_owned() },
        number(outcome.cores(), 2),
        if outcome.finished { number(outcome.errors.percent(), 1) } else { "–".to_owned() },
        outcome.missing().to_string(),
        good.to_owned(),
    ]);
}

/// A column of the result.
const COLUMNS: [(&str, bool, Goal); 3] = [
    ("in time, finals only", false, Goal::Prompt),
    ("in time, partials every 0.5 s", true, Goal::Prompt),
    ("without falling behind, finals only", false, Goal::KeepsUp),
];

/// The result of a model: table, plot and verdict.
fn judge(model: &str, found: &[&Found]) -> Result<()> {
    let names = ["ours", "upstream", "faster-whisper", "naive server"];
    let streams = |name: &str, partials: bool, goal: Goal| {
        let this = |found: &&&Found| (found.name, found.partials, found.goal) == (name, partials, goal);
        found.iter().find(this).and_then(|found| found.streams)
    };
    let cells = |name: &str| COLUMNS.map(|(_, partials, goal)| streams(name, partials, goal));
    head(&["most streams"].into_iter().chain(COLUMNS.map(|(column, ..)| column)).collect::<Vec<_>>());
    for name in names {
        let cells = cells(name).map(|streams| streams.map_or("–".to_owned(), |streams| streams.to_string()));
        row(&[vec![format!("{model}, {name}")], cells.to_vec()].concat());
    }
    let groups = names.map(|name| Bars {
        name: name.to_owned(),
        values: cells(name).map(|streams| streams.map(|streams| streams as f64)).to_vec(),
    });
    let file = format!("capacity-{}.svg", model.split(' ').next().unwrap_or(model));
    let title = format!("Streams that two cores carry, {model}");
    bars(&file, &title, "streams", &COLUMNS.map(|(column, ..)| column), &groups)?;
    println!();
    let against = |what: &str, ours: Option<usize>, peer: &str, theirs: Option<usize>, least: f64| {
        let (Some(ours), Some(theirs)) = (ours, theirs) else { return };
        let ratio = ours as f64 / theirs as f64;
        let met = if ours > theirs && ratio >= least { "met" } else { "**missed**" };
        let aim = if least > 1.0 { format!("{least} times as many") } else { "more".to_owned() };
        println!(
            "- {model}, {what}: {ours} against {theirs} of {peer} ({} times); the aim of {aim} is {met}.",
            number(ratio, 1)
        );
    };
    let (prompt, keeps_up) = (streams("ours", false, Goal::Prompt), streams("ours", false, Goal::KeepsUp));
    for (peer, least) in [("upstream", LEAST_RATIO), ("naive server", 1.0)] {
        let theirs = streams(peer, false, Goal::KeepsUp);
        against("ours in time, theirs without falling behind", prompt, peer, theirs, least);
        against("both without falling behind", keeps_up, peer, theirs, least);
    }
    for (column, partials, goal) in COLUMNS {
        let (ours, theirs) = (streams("ours", partials, goal), streams("faster-whisper", partials, goal));
        against(column, ours, "faster-whisper", theirs, 1.0);
    }
    println!();
    Ok(())
}
