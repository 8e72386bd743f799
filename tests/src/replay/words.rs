//! What a viewer sees of each word: when it is first shown, when it is committed, whether it changes.
//!
//! Emission delay as whisper_streaming measures it (Macháček et al. 2023): the moment a word is shown or committed minus
//! the moment its last sound was spoken. When that was is taken from finals that were decoded in one piece, whose word
//! times are to some 60 ms; the reference transcripts have no times.

use std::collections::BTreeMap;

use transcribe_core::engine::Word;
use transcribe_core::stream::{Output, PartialText};

use super::{Replay, Timed};
use crate::wer::{word_errors, Edit};

/// Delays in seconds, one for each word or utterance, and counts of words.
#[derive(Debug, Clone, Default)]
pub struct Delays {
    /// From the end of a word to the result that has it as stable, be it the final.
    pub committed: Vec<f64>,
    /// From the end of a word to the first result that shows it, right or unstable, tail included.
    pub shown: Vec<f64>,
    /// From the start of the speech to the utterance's first partial.
    pub first_partial: Vec<f64>,
    /// From the end of the speech to the final.
    pub last: Vec<f64>,
    /// Words shown as unstable, each counted when it appears, and how many of them another result changed or took back.
    pub unstable: Changes,
    /// The same, the tail counted too.
    pub with_tail: Changes,
    /// Stable words that a later result of the utterance did not have in their place.
    pub broken: usize,
}

/// Words that appeared, and words that did not stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// Words that appeared.
    pub shown: usize,
    /// Words that were changed or taken back.
    pub changed: usize,
}

impl Changes {
    /// Words that did not stay, in percent of those that appeared.
    pub fn percent(&self) -> f64 {
        100.0 * self.changed as f64 / self.shown.max(1) as f64
    }

    fn count(&mut self, before: &str, after: &str) {
        let edits = word_errors(before, after);
        self.shown += edits.insertions + edits.substitutions;
        self.changed += edits.deletions + edits.substitutions;
    }
}

/// One utterance's results.
#[derive(Default)]
struct Shown<'a> {
    start: f64,
    end: f64,
    partials: Vec<(f64, &'a PartialText)>,
    last: Option<(f64, String)>,
    /// Cut at the length limit.
    forced: bool,
}

/// Measures `replay` against the word times of `whole`, a replay of the same audio without partials.
pub fn measure(replay: &Replay, whole: &Replay) -> Delays {
    let mut delays = Delays::default();
    for (number, shown) in utterances(&replay.outputs) {
        let Some((at, last)) = &shown.last else { continue };
        delays.last.push(at - shown.end);
        delays.first_partial.extend(shown.partials.first().map(|(at, _)| at - shown.start));
        count(&mut delays, &shown, last);
        let truth = whole.finals().find(|(_, f)| f.utterance == number);
        if let Some((_, truth)) = truth {
            let words: Vec<Word> = truth.hypothesis.words().cloned().collect();
            time(&mut delays, &shown, (*at, last), &words, truth.audio_start);
        }
    }
    delays
}

fn utterances(outputs: &[Timed]) -> BTreeMap<u64, Shown<'_>> {
    let mut shown: BTreeMap<u64, Shown<'_>> = BTreeMap::new();
    let seconds = transcribe_core::seconds;
    for Timed { at, output } in outputs {
        match output {
            Output::SpeechStart { utterance, at } => shown.entry(*utterance).or_default().start = seconds(*at),
            Output::SpeechEnd { utterance, speech } => shown.entry(*utterance).or_default().end = seconds(speech.end),
            Output::Partial(p) => shown.entry(p.utterance).or_default().partials.push((*at, p)),
            Output::Final(f) => {
                let shown = shown.entry(f.utterance).or_default();
                (shown.last, shown.forced) = (Some((*at, f.hypothesis.text())), f.forced);
            }
            _ => {}
        }
    }
    shown
}

fn count(delays: &mut Delays, shown: &Shown<'_>, last: &str) {
    let (mut without, mut with, mut stable) = (String::new(), String::new(), String::new());
    for (_, p) in &shown.partials {
        let text = join(&p.stable, &p.unstable);
        delays.unstable.count(&without, &text);
        let all = join(&text, &p.tail);
        delays.with_tail.count(&with, &all);
        delays.broken += usize::from(!all.starts_with(&stable));
        (without, with, stable) = (text, all, p.stable.clone());
    }
    // A forced cut leaves stable words behind it to the next utterance.
    delays.broken += usize::from(!(last.starts_with(&stable) || shown.forced && stable.starts_with(last)));
    if !shown.partials.is_empty() {
        delays.unstable.count(&without, last);
        delays.with_tail.count(&with, last);
    }
}

/// For each word of the truth that is in the final: when it was committed and when it was first to be seen.
fn time(delays: &mut Delays, shown: &Shown<'_>, (at, last): (f64, &str), truth: &[Word], audio_start: u64) {
    // Words one by one, so that an alignment's words are the texts' words.
    for (i, word) in truth.iter().enumerate() {
        let end = transcribe_core::seconds(audio_start + word.span.end);
        let has = |text: &str| matched(truth, text).get(i).copied().unwrap_or(false);
        if !has(last) {
            continue;
        }
        let committed = shown.partials.iter().find(|(_, p)| has(&p.stable)).map_or(at, |(at, _)| *at);
        let seen = shown.partials.iter().find(|(_, p)| has(&join(&join(&p.stable, &p.unstable), &p.tail)));
        delays.committed.push(committed - end);
        delays.shown.push(seen.map_or(at, |(at, _)| *at) - end);
    }
}

/// Which words of the truth stand in `text`, in order.
fn matched(truth: &[Word], text: &str) -> Vec<bool> {
    let mut marks = Vec::new();
    // The normaliser may make one word of two or two of one: then its words are not the truth's, and count for nothing.
    let words: Vec<String> = truth.iter().map(|w| w.text.clone()).collect();
    for edit in word_errors(&words.join(" "), text).alignment {
        match edit {
            Edit::Match(_) => marks.push(true),
            Edit::Substitution { .. } | Edit::Deletion(_) => marks.push(false),
            Edit::Insertion(_) => {}
        }
    }
    if marks.len() != truth.len() {
        marks.clear();
    }
    marks
}

fn join(a: &str, b: &str) -> String {
    match (a.is_empty(), b.is_empty()) {
        (true, _) => b.to_owned(),
        (_, true) => a.to_owned(),
        _ => format!("{a} {b}"),
    }
}
