//! This project's element, as many of it as there are voices, in this process.

use std::path::PathBuf;

use anyhow::Result;

use super::Contender;
use crate::crowd::Crowd;
use crate::outcome::{Goal, Outcome, LATE, PROMPT};
use crate::voices::{signals, Voice};

/// See the module.
pub(crate) struct Ours {
    /// The model's file.
    pub(crate) model: PathBuf,
}

impl Contender for Ours {
    fn run(&self, voices: &[Voice], partials: Option<f64>, goal: Goal) -> Result<Outcome> {
        let model = self.model.to_string_lossy();
        let interval = partials.map(|seconds| format!("{}", (1000.0 * seconds).round()));
        // The latency lets utterances be as long as the clips: all contenders decode the same ones.
        let mut properties = vec![("model", model.as_ref()), ("language", "en"), ("latency", "30000")];
        match &interval {
            Some(interval) => properties.push(("partial-interval", interval)),
            None => properties.push(("partials", "none")),
        }
        let mut crowd = Crowd::start(voices.len(), &properties)?;
        let cost = crowd.play(&signals(voices), |crowd| goal == Goal::Prompt && too_late(crowd, voices))?;
        Ok(crowd.outcome(voices, partials, &cost))
    }
}

/// Whether so many finals are late already that the rest can't make up for it.
fn too_late(crowd: &Crowd, voices: &[Voice]) -> bool {
    let all: usize = voices.iter().map(|voice| voice.utterances.len()).sum();
    let late: usize = crowd
        .settled(voices)
        .iter()
        .zip(&crowd.drivers)
        .zip(voices)
        .map(|((settled, driver), voice)| {
            let now = driver.started().elapsed().as_secs_f64();
            let delays = settled.iter().zip(&voice.utterances).map(|(at, u)| at.unwrap_or(now) - u.decided);
            delays.filter(|delay| *delay >= PROMPT).count()
        })
        .sum();
    late as f64 > LATE * all as f64 + 1.0
}
