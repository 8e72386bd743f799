//! What a client heard against what was said to the server.

use std::collections::HashMap;

use e2e_tests::clips::{Composition, Spoken};
use e2e_tests::wer::{word_errors, Edit, WordErrors};
use serde_json::Value;

use super::client::Heard;

/// The first right word is one of so many at the beginning of what is said: a later one can't have been heard yet.
const BEGINNING: usize = 5;
/// Seconds by which the detector's start may be before the truth.
const EARLY: f64 = 0.5;

/// Figures of one client, or of several together.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// For each clip that was said: from its start to the first result with a right word, seconds; infinite if none came.
    pub(super) first: Vec<f64>,
    /// From its end to the final that has the last of it, seconds; infinite if none came.
    pub(super) committed: Vec<f64>,
    /// Words that were shown as stable and that a later result did not have in their place.
    pub(super) changed: usize,
    /// Partials.
    pub(super) partials: usize,
    /// Finals.
    pub(super) finals: usize,
    /// What was said and what was written.
    pub(super) errors: WordErrors,
    /// What should not be: finals that are missing, double or out of order, an end that was not orderly.
    pub(super) faults: Vec<String>,
}

impl Figures {
    /// Of a client that spoke `signal`.
    pub(super) fn of(signal: &Composition, heard: &[Heard]) -> Self {
        let finals: Vec<&Heard> = heard.iter().filter(|h| is(h, "final")).collect();
        let text: Vec<&str> = finals.iter().map(|h| text(h, "text")).collect();
        Self {
            first: signal.spoken.iter().map(|spoken| first(spoken, heard) - spoken.start).collect(),
            committed: signal.spoken.iter().map(|spoken| last(spoken, &finals) - spoken.end).collect(),
            changed: changed(heard),
            partials: heard.iter().filter(|h| is(h, "partial")).count(),
            finals: finals.len(),
            errors: word_errors(&signal.text(), &text.join(" ")),
            faults: faults(heard, &finals),
        }
    }

    /// Those of another client, too.
    pub(super) fn add(&mut self, other: Self) {
        self.first.extend(other.first);
        self.committed.extend(other.committed);
        self.changed += other.changed;
        self.partials += other.partials;
        self.finals += other.finals;
        self.errors += other.errors;
        self.faults.extend(other.faults);
    }
}

/// When the first right word of a clip came.
fn first(spoken: &Spoken, heard: &[Heard]) -> f64 {
    let beginning: Vec<&str> = spoken.text.split(' ').take(BEGINNING).collect();
    let beginning = beginning.join(" ");
    let right = |h: &&Heard| {
        let start = number(h, "start");
        (is(h, "partial") || is(h, "final"))
            && (spoken.start - EARLY..spoken.end).contains(&start)
            && word_errors(&beginning, text(h, "text")).alignment.iter().any(|edit| matches!(edit, Edit::Match(_)))
    };
    heard.iter().find(right).map_or(f64::INFINITY, |h| h.at)
}

/// When the last final of a clip came.
fn last(spoken: &Spoken, finals: &[&Heard]) -> f64 {
    let of_it = |h: &&&Heard| number(h, "start") < spoken.end && number(h, "end") > spoken.start;
    finals.iter().rfind(of_it).map_or(f64::INFINITY, |h| h.at)
}

/// Stable words that did not stay.
fn changed(heard: &[Heard]) -> usize {
    let mut changed = 0;
    let mut before: HashMap<u64, &str> = HashMap::new();
    for h in heard.iter().filter(|h| is(h, "partial") || is(h, "final")) {
        let now = text(h, if is(h, "final") { "text" } else { "stable" });
        let stable = before.insert(h.message["utterance"].as_u64().unwrap_or_default(), now).unwrap_or_default();
        let mut words = now.split_whitespace();
        changed += stable.split_whitespace().filter(|word| words.next() != Some(word)).count();
    }
    changed
}

fn faults(heard: &[Heard], finals: &[&Heard]) -> Vec<String> {
    let mut faults = Vec::new();
    let started = heard.iter().filter(|h| is(h, "speech_start")).count() as u64;
    let numbers: Vec<u64> = finals.iter().filter_map(|h| h.message["utterance"].as_u64()).collect();
    if !numbers.iter().copied().eq(0..started) {
        faults.push(format!("{started} utterances began, and finals came for {numbers:?}"));
    }
    if !heard.is_sorted_by(|a, b| a.message["seq"].as_u64() < b.message["seq"].as_u64()) {
        faults.push("numbers of messages do not rise".to_owned());
    }
    let ended = heard.last().map(|h| &h.message);
    let orderly = |m: &&Value| m["type"] == "closed" && m["reason"] == "client_closed" && m["complete"] == true;
    if ended.filter(orderly).is_none() {
        faults.push(format!("the last message was {}", ended.unwrap_or(&Value::Null)));
    }
    faults
}

fn is(heard: &Heard, kind: &str) -> bool {
    heard.message["type"] == kind
}

fn text<'a>(heard: &'a Heard, field: &str) -> &'a str {
    heard.message[field].as_str().unwrap_or_default()
}

fn number(heard: &Heard, field: &str) -> f64 {
    heard.message[field].as_f64().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spoken(text: &str, start: f64, end: f64) -> Spoken {
        Spoken { name: "x".into(), text: text.into(), start, end }
    }

    fn messages() -> Vec<Heard> {
        let all = [
            (1.2, json!({ "type": "speech_start", "seq": 2, "utterance": 0, "start": 1.0 })),
            (1.5, json!({ "type": "partial", "seq": 3, "utterance": 0, "start": 1.0, "text": "hum", "stable": "" })),
            (
                2.0,
                json!({ "type": "partial", "seq": 5, "utterance": 0, "start": 1.0, "text": "ask not", "stable": "ask" }),
            ),
            (3.1, json!({ "type": "speech_end", "seq": 6, "utterance": 0, "start": 1.0, "end": 2.5 })),
            (
                3.2,
                json!({ "type": "final", "seq": 7, "utterance": 0, "start": 1.0, "end": 2.5, "text": "ask not what" }),
            ),
            (4.0, json!({ "type": "closed", "seq": 8, "reason": "client_closed", "complete": true })),
        ];
        all.into_iter().map(|(at, message)| Heard { at, message }).collect()
    }

    fn figures(heard: &[Heard]) -> Figures {
        let signal = Composition { samples: Vec::new(), spoken: vec![spoken("ask not what", 1.0, 2.5)] };
        Figures::of(&signal, heard)
    }

    #[test]
    fn what_is_as_it_should_be_is_measured_and_has_no_faults() {
        let figures = figures(&messages());
        assert_eq!(figures.first, [1.0], "the first partial had no right word");
        assert!((figures.committed[0] - 0.7).abs() < 1e-9);
        assert_eq!((figures.changed, figures.partials, figures.finals), (0, 2, 1));
        assert_eq!(figures.errors.errors(), 0);
        assert!(figures.faults.is_empty(), "{:?}", figures.faults);
    }

    #[test]
    fn what_is_missing_or_double_is_a_fault() {
        let without = |i: usize| {
            let mut messages = messages();
            messages.remove(i);
            messages
        };
        let missing = figures(&without(4));
        assert_eq!(missing.committed, [f64::INFINITY]);
        assert_eq!(missing.faults.len(), 1);
        assert_eq!(figures(&without(5)).faults.len(), 1);
        let mut double = messages();
        double.insert(4, double[4].clone());
        assert_eq!(figures(&double).faults.len(), 2, "by utterance and by number");
    }

    #[test]
    fn stable_words_that_did_not_stay_are_counted() {
        let mut messages = messages();
        messages[4].message["text"] = json!("and not what");
        assert_eq!(figures(&messages).changed, 1);
    }
}
