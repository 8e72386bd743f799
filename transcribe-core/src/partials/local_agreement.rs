//! LocalAgreement-n: a word is committed when the last n hypotheses agree on it and on all words before it.
//!
//! Macháček, Dabre and Bojar 2023, "Turning Whisper into Real-Time Transcription System"
//! (<https://aclanthology.org/2023.ijcnlp-demo.3>), after Liu et al. 2020, "Low-Latency Sequence-to-Sequence Speech
//! Recognition and Translation by Partial Hypothesis Selection". Hypotheses are free: each is aligned with what is
//! committed, and what lies behind is compared with what lay behind in the ones before. Beyond the paper, words of low
//! probability need more of them.

use std::collections::VecDeque;

use super::align::same;
use super::committed::Committed;
use super::{Policy, Split, View, SURE};
use crate::engine::Word;
use crate::samples_from_ms;

/// So many more hypotheses must agree on a doubtful word. Of little audio the model makes the same mistake again and
/// again ("How do you marry" for "Had he married") but without much confidence. On the test clips with tiny.en, two
/// hypotheses alone made committed text 2 to 9 points worse than finals, with this it is 0 to 1.5 points, for a delay
/// of 0.5 s more.
const DOUBTFUL: usize = 2;
/// Hypotheses that differ by less new audio than this are no two opinions: the later one takes the other's place.
const NEWS: u64 = samples_from_ms(160);

/// See the module.
pub struct LocalAgreement {
    /// Hypotheses that must agree.
    agree: usize,
    committed: Committed,
    /// What lay behind the committed words in the last hypotheses, at most `agree + DOUBTFUL − 1`, each with the end of its audio.
    tails: VecDeque<(u64, Vec<Word>)>,
}

impl LocalAgreement {
    /// For an utterance that begins; `agree` under 2 is taken as 2.
    pub fn new(agree: usize) -> Self {
        Self { agree: agree.max(2), committed: Committed::default(), tails: VecDeque::new() }
    }

    /// Whether enough hypotheses in a row, `tail` the latest, agree on its `i`th word.
    fn is_agreed(&self, i: usize, tail: &[Word]) -> bool {
        let others = self.tails.iter().rev().map_while(|(_, t)| t.get(i).filter(|w| same(w, &tail[i])));
        let votes: Vec<&Word> = std::iter::once(&tail[i]).chain(others).collect();
        let sure = |votes: &[&Word]| votes.iter().all(|w| w.probability >= SURE);
        votes.len() >= self.agree + DOUBTFUL || votes.len() >= self.agree && sure(&votes[..self.agree])
    }
}

impl Policy for LocalAgreement {
    fn update(&mut self, view: View<'_>) -> Split {
        let mut tail = self.committed.behind(view).to_vec();
        if self.tails.back().is_some_and(|(to, _)| view.to < to + NEWS) {
            self.tails.pop_back();
        }
        let n = (0..tail.len()).take_while(|i| self.is_agreed(*i, &tail)).count();
        self.committed.extend(tail.drain(..n));
        for (_, older) in &mut self.tails {
            older.drain(..n.min(older.len()));
        }
        self.tails.push_back((view.to, tail.clone()));
        if self.tails.len() >= self.agree + DOUBTFUL {
            self.tails.pop_front();
        }
        Split { committed: self.committed.words().to_vec(), unstable: tail }
    }

    fn committed(&self) -> &[Word] {
        self.committed.words()
    }

    fn finish(&self, view: View<'_>, may_revise: bool) -> Vec<Word> {
        self.committed.finish(view, may_revise)
    }

    fn split_off(&mut self, at: u64) -> Vec<Word> {
        self.tails.clear();
        self.committed.split_off(at)
    }

    fn adopt(&mut self, words: Vec<Word>) {
        self.committed.adopt(words);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{text, words};
    use super::*;

    fn view(words: &[Word], to_ms: u64) -> View<'_> {
        View { words, from: 0, to: samples_from_ms(to_ms) }
    }

    fn feed(policy: &mut LocalAgreement, hypotheses: &[&str]) -> Vec<(String, String)> {
        let split = |(i, h): (usize, &&str)| {
            let split = policy.update(view(&words(h), 500 * (i as u64 + 1)));
            (text(&split.committed), text(&split.unstable))
        };
        hypotheses.iter().enumerate().map(split).collect()
    }

    fn pair(committed: &str, unstable: &str) -> (String, String) {
        (committed.to_owned(), unstable.to_owned())
    }

    #[test]
    fn what_two_hypotheses_agree_on_is_committed() {
        let shown = feed(&mut LocalAgreement::new(2), &["And so", "and so my fell", "and so my fellow Americans"]);
        assert_eq!(shown, [pair("", "And so"), pair("and so", "my fell"), pair("and so my", "fellow Americans")]);
    }

    #[test]
    fn a_doubtful_word_holds_back_itself_and_what_follows() {
        let mut policy = LocalAgreement::new(2);
        let committed: Vec<usize> = (0..5)
            .map(|i| {
                let mut heard = words("how do you marry");
                heard[1].probability = 0.3;
                policy.update(view(&heard, 500 * (i + 1))).committed.len()
            })
            .collect();
        assert_eq!(committed, [0, 1, 1, 4, 4]);
    }

    #[test]
    fn three_hypotheses_are_asked_where_three_must_agree() {
        let shown = feed(&mut LocalAgreement::new(3), &["and so", "and so my", "and so my fellow", "and so my fellow"]);
        assert_eq!(shown[1], pair("", "and so my"));
        assert_eq!(shown[2], pair("and so", "my fellow"));
        assert_eq!(shown[3], pair("and so my", "fellow"));
    }

    #[test]
    fn a_committed_word_stays_when_later_hypotheses_disagree() {
        let mut policy = LocalAgreement::new(2);
        feed(&mut policy, &["and so am", "and so am I"]);
        let shown = policy.update(view(&words("and so my fellow Americans"), 1500));
        assert_eq!((text(&shown.committed), text(&shown.unstable)), ("and so am".into(), "fellow Americans".into()));
    }

    #[test]
    fn the_same_audio_twice_is_no_agreement() {
        let mut policy = LocalAgreement::new(2);
        policy.update(view(&words("and so my"), 1000));
        let split = policy.update(view(&words("and so my"), 1050));
        assert_eq!(text(&split.committed), "");
    }

    #[test]
    fn the_final_keeps_what_was_committed_unless_it_may_revise() {
        let mut policy = LocalAgreement::new(2);
        feed(&mut policy, &["and so am", "and so am I"]);
        let heard = words("and so my fellow Americans ask");
        assert_eq!(text(&policy.finish(view(&heard, 3000), false)), "and so am fellow Americans ask");
        assert_eq!(text(&policy.finish(view(&heard, 3000), true)), "and so my fellow Americans ask");
        assert_eq!(text(&policy.finish(view(&[], 3000), false)), "and so am");
    }

    #[test]
    fn words_before_the_window_stay_where_they_were_trimmed() {
        let mut policy = LocalAgreement::new(2);
        feed(&mut policy, &["one two three", "one two three four"]);
        let all = words("one two three four five six");
        let view = View { words: &all[2..], from: all[2].span.start, to: samples_from_ms(3000) };
        let split = policy.update(view);
        assert_eq!((text(&split.committed), text(&split.unstable)), ("one two three four".into(), "five six".into()));
        assert_eq!(text(&policy.finish(view, true)), "one two three four five six");
    }

    #[test]
    fn a_cut_hands_words_over() {
        let mut policy = LocalAgreement::new(2);
        feed(&mut policy, &["one two three", "one two three four"]);
        let cut = words("one two three")[2].span.start;
        assert_eq!(text(&policy.split_off(cut)), "three");
        assert_eq!(text(policy.committed()), "one two");
    }

    proptest! {
        /// Whatever the hypotheses are: what is committed only grows, and the final begins with it.
        #[test]
        fn committed_words_never_change(
            hypotheses in prop::collection::vec(prop::collection::vec("[abc]{1,2}", 0..8), 1..12),
            agree in 2usize..4,
        ) {
            let mut policy = LocalAgreement::new(agree);
            let mut before = Vec::new();
            for (i, hypothesis) in hypotheses.iter().enumerate() {
                let heard = words(&hypothesis.join(" "));
                let split = policy.update(view(&heard, 500 * (i as u64 + 1)));
                prop_assert!(split.committed.starts_with(&before));
                before = split.committed;
                prop_assert!(policy.finish(view(&heard, 9000), false).starts_with(&before));
            }
        }

        /// Hypotheses that only grow lose nothing: the final is the last of them.
        #[test]
        fn growing_hypotheses_lose_no_word(lengths in prop::collection::vec(1usize..4, 1..10)) {
            let all: Vec<String> = (0..40).map(|i| format!("w{i}")).collect();
            let mut policy = LocalAgreement::new(2);
            let mut n = 0;
            for (i, length) in lengths.iter().enumerate() {
                n += length;
                policy.update(view(&words(&all[..n].join(" ")), 500 * (i as u64 + 1)));
            }
            prop_assert_eq!(text(&policy.finish(view(&words(&all[..n].join(" ")), 9000), false)), all[..n].join(" "));
        }
    }
}
