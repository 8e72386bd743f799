//! What a contender made of so many voices, and whether that is good enough.

use e2e_tests::wer::{word_errors, WordErrors};

use crate::measure::quantile;
use crate::voices::Voice;

/// Limit for the 95th percentile of the seconds from the end-point decision to the final. With the silence of 500 ms
/// that ends an utterance, that is a second from the end of speech as the detector hears it. (What it hears behind the
/// last word, like the applause in one of the clips, delays the decision whatever the load is.)
pub(crate) const PROMPT: f64 = 0.5;
/// So much later than those in its first third may texts be in a run's last third, in seconds, before the backlog
/// counts as growing: an overload by a twentieth makes more of it in a minute.
const GROWTH: f64 = 1.0;
/// Of the partials asked for, so many must come.
const PARTIALS: f64 = 0.5;
/// Share of the finals that may be late.
pub(crate) const LATE: f64 = 0.05;

/// What is asked of a contender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// 95 of 100 finals within [`PROMPT`] of the end-point decision, and no growing backlog.
    Prompt,
    /// No growing backlog, however late the texts are.
    KeepsUp,
}

/// The text of one utterance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    /// When its speech ended, in seconds since the start of its stream.
    pub(crate) end: f64,
    /// Seconds from there to its text; infinite if none came.
    pub(crate) latency: f64,
    /// The part of it behind the end-point decision.
    pub(crate) decoding: f64,
}

/// What a contender made of the voices.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// One for each utterance.
    pub(crate) arrivals: Vec<Arrival>,
    /// Partials that came.
    pub(crate) partials: u64,
    /// Partials that the interval asks for; 0 without partials.
    pub(crate) asked: u64,
    /// CPU seconds.
    pub(crate) cpu: f64,
    /// From the first packet to the last text.
    pub(crate) wall: f64,
    /// Whether it ran to its end; else it was given up, being far too late.
    pub(crate) finished: bool,
    /// What was said and what was written, over all voices.
    pub(crate) errors: WordErrors,
}

impl Outcome {
    /// From what came: for each voice the moments at which its utterances had their text, and all of the text.
    pub(crate) fn new(voices: &[Voice], at: &[Vec<Option<f64>>], texts: &[String]) -> Self {
        let arrivals = voices.iter().zip(at).flat_map(|(voice, at)| {
            voice.utterances.iter().zip(at).map(|(utterance, at)| {
                let at = at.unwrap_or(f64::INFINITY);
                Arrival { end: utterance.end, latency: at - utterance.end, decoding: at - utterance.decided }
            })
        });
        Self {
            arrivals: arrivals.collect(),
            partials: 0,
            asked: 0,
            cpu: 0.0,
            wall: 0.0,
            finished: true,
            errors: voices.iter().zip(texts).map(|(voice, text)| word_errors(&voice.signal.text(), text)).sum(),
        }
    }

    /// The latency that a share of the finals doesn't exceed.
    pub(crate) fn latency(&self, share: f64) -> f64 {
        quantile(&self.arrivals.iter().map(|arrival| arrival.latency).collect::<Vec<_>>(), share)
    }

    /// The same behind the end-point decision.
    pub(crate) fn decoding(&self, share: f64) -> f64 {
        quantile(&self.arrivals.iter().map(|arrival| arrival.decoding).collect::<Vec<_>>(), share)
    }

    /// Utterances without any text.
    pub(crate) fn missing(&self) -> usize {
        self.arrivals.iter().filter(|arrival| arrival.latency.is_infinite()).count()
    }

    /// By how much later the texts of the last third are than those of the first, in seconds.
    pub(crate) fn growth(&self) -> f64 {
        let mut sorted: Vec<Arrival> = self.arrivals.iter().filter(|a| a.latency.is_finite()).copied().collect();
        sorted.sort_by(|a, b| a.end.total_cmp(&b.end));
        let third = (sorted.len() / 3).max(1);
        let mean = |part: &[Arrival]| part.iter().map(|arrival| arrival.latency).sum::<f64>() / part.len() as f64;
        mean(&sorted[sorted.len().saturating_sub(third)..]) - mean(&sorted[..third.min(sorted.len())])
    }

    /// Share of the partials asked for that came; 1 if none were asked for.
    pub(crate) fn partial_share(&self) -> f64 {
        if self.asked == 0 {
            1.0
        } else {
            self.partials as f64 / self.asked as f64
        }
    }

    /// Cores that were busy.
    pub(crate) fn cores(&self) -> f64 {
        self.cpu / self.wall
    }

    /// Whether it is good enough.
    pub(crate) fn reaches(&self, goal: Goal) -> bool {
        let keeps_up = self.finished && self.growth() <= GROWTH;
        let prompt = self.decoding(1.0 - LATE) < PROMPT;
        keeps_up && self.partial_share() >= PARTIALS && (goal == Goal::KeepsUp || prompt)
    }
}
