//! Upstream's element, as many of it as there are voices, in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{ensure, Result};
use e2e_tests::audio::{write_wav, SAMPLE_RATE};
use serde_json::Value;

use super::Contender;
use crate::driver::workspace;
use crate::lines::{index, Lines};
use crate::outcome::{Goal, Outcome};
use crate::peers;
use crate::voices::{Utterance, Voice};

/// Its text is given up so many seconds behind the end of the audio.
const GRACE: &str = "20";
/// Its word times are off by up to so many seconds.
const SLACK: f64 = 0.5;

/// See the module.
pub(crate) struct Upstream<'a> {
    /// The folder of the peers' workspace.
    pub(crate) peers: &'a Path,
    /// The model's file.
    pub(crate) model: PathBuf,
    /// What the element calls such a model.
    pub(crate) preset: &'static str,
}

impl Contender for Upstream<'_> {
    fn run(&self, voices: &[Voice], partials: Option<f64>, _goal: Goal) -> Result<Outcome> {
        ensure!(partials.is_none(), "upstream's element has no partials");
        let program = peers::upstream(self.peers)?;
        let folder = workspace().join("target/bench/capacity");
        std::fs::create_dir_all(&folder)?;
        let mut command = Command::new(program);
        command.args(["--live", "--grace", GRACE, "--preset", self.preset, "--model"]).arg(&self.model);
        for (i, voice) in voices.iter().enumerate() {
            let wav = folder.join(format!("voice-{i}.wav"));
            write_wav(&wav, &voice.signal.samples, SAMPLE_RATE, 1)?;
            command.arg(wav);
        }
        let lines = Lines::of(&mut command)?;
        ensure!(matches!(lines.end(), "eos" | "behind"), "upstream's element ended with {}", lines.end());

        let words: Vec<&Value> = lines.of_kind("text").collect();
        let at: Vec<Vec<Option<f64>>> = voices
            .iter()
            .enumerate()
            .map(|(stream, voice)| {
                let words: Vec<&Value> = words.iter().copied().filter(|line| index(line, "stream") == stream).collect();
                voice.utterances.iter().map(|utterance| last_word(utterance, &words)).collect()
            })
            .collect();
        Ok(Outcome {
            cpu: lines.total("cpu_seconds")?,
            wall: lines.total("wall_seconds")?,
            finished: lines.end() == "eos",
            ..Outcome::new(voices, &at, &lines.texts(voices.len()))
        })
    }
}

/// When the last of the words in the utterance arrived.
fn last_word(utterance: &Utterance, words: &[&Value]) -> Option<f64> {
    let inside = |line: &&&Value| {
        line["pts"].as_f64().is_some_and(|pts| (utterance.start - SLACK..utterance.end + SLACK).contains(&pts))
    };
    words.iter().filter(inside).filter_map(|line| line["arrived"].as_f64()).reduce(f64::max)
}
