//! faster-whisper int8 in a process of its own: with our utterances as a gift, or as the naive server of chunks.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use e2e_tests::audio::{write_wav, SAMPLE_RATE};

use super::Contender;
use crate::driver::workspace;
use crate::lines::{index, Lines};
use crate::outcome::{Goal, Outcome, LATE, PROMPT};
use crate::peers::Python;
use crate::voices::Voice;

/// See the module.
pub(crate) struct FasterWhisper<'a> {
    /// The folder of the peers' workspace.
    pub(crate) peers: &'a Path,
    /// What runs it.
    pub(crate) python: &'a Python,
    /// The model's folder.
    pub(crate) model: PathBuf,
    /// What it decodes: `utterances` or `chunks`.
    pub(crate) mode: &'static str,
}

impl Contender for FasterWhisper<'_> {
    fn run(&self, voices: &[Voice], partials: Option<f64>, goal: Goal) -> Result<Outcome> {
        let plan = plan(voices)?;
        let mut command = Command::new(&self.python.program);
        command.arg(self.peers.join("faster_whisper_live.py")).arg(plan).arg("--model").arg(&self.model);
        command.args(["--mode", self.mode]).env("PYTHONDONTWRITEBYTECODE", "1");
        command.args(["--workers", &std::thread::available_parallelism()?.to_string()]);
        if let Some(interval) = partials {
            command.args(["--partials", &interval.to_string()]);
        }
        if goal == Goal::Prompt {
            command.args(["--late", &PROMPT.to_string(), "--share", &LATE.to_string()]);
        }
        let lines = Lines::of(&mut command)?;

        let mut at: Vec<Vec<Option<f64>>> = voices.iter().map(|voice| vec![None; voice.utterances.len()]).collect();
        for line in lines.of_kind("final") {
            let utterance = at.get_mut(index(line, "stream")).and_then(|at| at.get_mut(index(line, "utterance")));
            if let Some(at) = utterance {
                *at = line["at"].as_f64();
            }
        }
        Ok(Outcome {
            partials: lines.of_kind("partial").count() as u64,
            asked: partials.map_or(0, |interval| voices.iter().map(|voice| voice.partials(interval)).sum()),
            cpu: lines.total("cpu_seconds")?,
            wall: lines.total("wall_seconds")?,
            finished: lines.end() == "done",
            ..Outcome::new(voices, &at, &lines.texts(voices.len()))
        })
    }
}

/// Writes what the peer is to hear.
fn plan(voices: &[Voice]) -> Result<PathBuf> {
    let folder = workspace().join("target/bench/capacity");
    std::fs::create_dir_all(&folder)?;
    let mut streams = Vec::new();
    for (i, voice) in voices.iter().enumerate() {
        let wav = folder.join(format!("voice-{i}.wav"));
        write_wav(&wav, &voice.signal.samples, SAMPLE_RATE, 1)?;
        let utterances: Vec<[f64; 3]> = voice.utterances.iter().map(|u| [u.start, u.end, u.decided]).collect();
        streams.push(serde_json::json!({ "recording": wav, "utterances": utterances }));
    }
    let path = folder.join("plan.json");
    std::fs::write(&path, serde_json::json!({ "streams": streams }).to_string())?;
    Ok(path)
}
