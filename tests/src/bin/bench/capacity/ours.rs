//! This project's element, as many of it as there are voices, in this process.

use std::path::PathBuf;

use anyhow::Result;

use super::outcome::{Goal, Outcome, LATE, PROMPT};
use super::Contender;
use crate::crowd::Crowd;
use crate::driver::{Kind, Said};
use crate::voices::{Utterance, Voice};

/// See the module.
pub(crate) struct Ours {
    /// The model's file.
    pub(crate) model: PathBuf,
}

impl Contender for Ours {
    fn run(&self, voices: &[Voice], partials: Option<f64>, goal: Goal) -> Result<Outcome> {
        let model = self.model.to_string_lossy();
        let interval = partials.map(|seconds| format!("{}", (1000.0 * seconds).round()));
        let mut properties = vec![("model", model.as_ref()), ("language", "en"), ("latency", "30000")];
        match &interval {
            Some(interval) => properties.push(("partial-interval", interval)),
            None => properties.push(("partials", "none")),
        }
        let mut crowd = Crowd::start(voices.len(), &properties)?;
        let signals: Vec<&[f32]> = voices.iter().map(|voice| voice.signal.samples.as_slice()).collect();
        let cost = crowd.play(&signals, |crowd| goal == Goal::Prompt && too_late(crowd, voices))?;

        let heard = crowd.drivers.iter().zip(&crowd.said).zip(voices);
        let at: Vec<Vec<Option<f64>>> = heard
            .map(|((driver, said), voice)| {
                let since = |said: &Said| (said.at - driver.started()).as_secs_f64();
                voice.utterances.iter().map(|utterance| final_of(utterance, said).map(since)).collect()
            })
            .collect();
        let of_kind = |kind| crowd.said.iter().flatten().filter(move |said| said.kind == kind);
        let texts: Vec<String> = crowd.said.iter().map(|said| text(said)).collect();
        Ok(Outcome {
            partials: of_kind(Kind::Partial).count() as u64,
            asked: partials.map_or(0, |interval| voices.iter().map(|voice| voice.partials(interval)).sum()),
            cpu: cost.cpu,
            wall: cost.wall,
            finished: cost.finished,
            ..Outcome::new(voices, &at, &texts)
        })
    }
}

/// The last final that has part in the utterance.
fn final_of<'a>(utterance: &Utterance, said: &'a [Said]) -> Option<&'a Said> {
    said.iter().rfind(|s| s.kind == Kind::Final && s.start < utterance.end && s.end > utterance.start)
}

fn text(said: &[Said]) -> String {
    let finals = said.iter().filter(|said| said.kind == Kind::Final);
    finals.map(|said| said.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// Whether so many finals are late already that the rest can't make up for it.
fn too_late(crowd: &Crowd, voices: &[Voice]) -> bool {
    let all: usize = voices.iter().map(|voice| voice.utterances.len()).sum();
    let heard = crowd.drivers.iter().zip(&crowd.said).zip(voices);
    let late: usize = heard
        .map(|((driver, said), voice)| {
            let now = driver.started().elapsed().as_secs_f64();
            let late = |utterance: &&Utterance| {
                let at = final_of(utterance, said).map_or(now, |said| (said.at - driver.started()).as_secs_f64());
                at - utterance.end >= PROMPT
            };
            voice.utterances.iter().filter(late).count()
        })
        .sum();
    late as f64 > LATE * all as f64 + 1.0
}
