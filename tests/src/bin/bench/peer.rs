//! Upstream's element on the same audio in the same run.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{ensure, Context, Result};
use e2e_tests::audio::{write_wav, SAMPLE_RATE};
use e2e_tests::clips::Composition;
use e2e_tests::wer::word_errors;

use crate::driver::{tiny_en, workspace};
use crate::measure::Run;
use crate::peers;
use crate::table::{head, heading, number, row};

/// What the issue asks for.
const LEAST_RATIO: f64 = 10.0;

/// What upstream's element made of the audio.
struct Outcome {
    cpu: f64,
    wall: f64,
    text: String,
}

pub(crate) fn measure(peers: &Path) -> Result<()> {
    let composition = Composition::long();
    heading("Upstream's whispertranscriber 0.15.2 on the same audio, tiny.en q8_0");
    let theirs = match run_peer(peers, &composition) {
        Ok(outcome) => outcome,
        Err(error) => {
            println!("**NOT MEASURED: {error:#}.**\n");
            return Err(error);
        }
    };
    head(&["element", "CPU s", "of upstream's", "real-time factor", "word errors %"]);
    let errors = |text: &str| number(word_errors(&composition.text(), text).percent(), 1);
    row(&[
        "upstream, 1 thread".to_owned(),
        number(theirs.cpu, 1),
        "1".to_owned(),
        number(theirs.wall / composition.seconds(), 2),
        errors(&theirs.text),
    ]);
    let variants: [(&str, &[(&str, &str)]); 3] = [
        ("ours, finals only, 1 thread", &[("partials", "none"), ("threads", "1")]),
        ("ours, finals only", &[("partials", "none")]),
        ("ours, defaults", &[]),
    ];
    let mut like_for_like = None;
    for (name, properties) in variants {
        // Loads the model anew, as the peer does.
        let run = Run::of(&tiny_en(), &composition, properties, false)?;
        let ratio = theirs.cpu / run.cpu.as_secs_f64();
        // The first has the peer's number of threads.
        like_for_like.get_or_insert(ratio);
        row(&[
            name.to_owned(),
            number(run.cpu.as_secs_f64(), 1),
            format!("1/{}", number(ratio, 1)),
            number(run.real_time_factor(), 2),
            errors(&run.text()),
        ]);
    }
    let verdict = if like_for_like.is_some_and(|ratio| ratio >= LEAST_RATIO) { "met" } else { "**missed**" };
    println!("\nBoth load the model within the time that is counted. Upstream's element has no partials; the aim of a tenth of");
    println!("its CPU seconds is {verdict}.");
    Ok(())
}

/// Builds the peer if it isn't built yet, and runs it.
fn run_peer(peers: &Path, composition: &Composition) -> Result<Outcome> {
    let program = peers::upstream(peers)?;
    let wav = workspace().join("target/bench/long.wav");
    std::fs::create_dir_all(workspace().join("target/bench"))?;
    write_wav(&wav, &composition.samples, SAMPLE_RATE, 1)?;
    let output = Command::new(program)
        .arg("--model")
        .arg(tiny_en())
        .arg(&wav)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("upstream-peer can't be run")?;
    let lines = String::from_utf8_lossy(&output.stdout);
    let summary = lines.lines().last().unwrap_or_default();
    ensure!(output.status.success(), "upstream-peer ended with {}: {summary}", output.status);
    let summary: serde_json::Value = serde_json::from_str(summary).context("upstream-peer gave no summary")?;
    let number = |name: &str| summary[name].as_f64().with_context(|| format!("upstream-peer's summary has no {name}"));
    Ok(Outcome {
        cpu: number("cpu_seconds")?,
        wall: number("wall_seconds")?,
        text: summary["text"].as_str().unwrap_or_default().to_owned(),
    })
}
