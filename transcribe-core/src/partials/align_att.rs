//! AlignAtt: a word is committed when the decoder, choosing it, looked at audio that is clear of the end.
//!
//! Papi, Turchi and Negri 2023, "AlignAtt: Using Attention-based Audio-Translation Alignments as a Guide for
//! Simultaneous Speech Translation" (<https://arxiv.org/abs/2305.11408>). One hypothesis is enough, so words are stable
//! an interval sooner than by local agreement; but it sees only whether the audio of a word is complete, not whether
//! more of it would make the model change its mind. Unlike there, hypotheses are free, so that committed words are no
//! prefix of the next one, and words of low probability need more audio behind them.

use super::committed::Committed;
use super::{Policy, Split, View, SURE};
use crate::engine::Word;
use crate::samples_from_ms;

/// Audio that must have come, beyond the margin, before a doubtful word is committed.
const DOUBTFUL: u64 = samples_from_ms(1_000);

/// See the module.
pub struct AlignAtt {
    /// Samples before the audio's end that no word may have been chosen by.
    margin: u64,
    committed: Committed,
}

impl AlignAtt {
    /// For an utterance that begins.
    pub fn new(margin: u64) -> Self {
        Self { margin, committed: Committed::default() }
    }
}

impl Policy for AlignAtt {
    fn update(&mut self, view: View<'_>) -> Split {
        let tail = self.committed.behind(view);
        let doubt = |word: &Word| if word.probability < SURE { DOUBTFUL } else { 0 };
        let clear = |word: &&Word| word.attended.is_some_and(|at| at + self.margin + doubt(word) <= view.to);
        let (settled, unstable) = tail.split_at(tail.iter().take_while(clear).count());
        self.committed.extend(settled.iter().cloned());
        Split { committed: self.committed.words().to_vec(), unstable: unstable.to_vec() }
    }

    fn committed(&self) -> &[Word] {
        self.committed.words()
    }

    fn finish(&self, view: View<'_>, may_revise: bool) -> Vec<Word> {
        self.committed.finish(view, may_revise)
    }

    fn split_off(&mut self, at: u64) -> Vec<Word> {
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

    #[test]
    fn words_that_look_at_the_end_wait() {
        let mut policy = AlignAtt::new(samples_from_ms(300));
        // Words end, and are looked at, at 250, 550, 850 and 1150 ms.
        let heard = words("and so my fellow");
        let split = policy.update(view(&heard, 1_200));
        assert_eq!((text(&split.committed), text(&split.unstable)), ("and so my".into(), "fellow".into()));
        let split = policy.update(view(&words("and so my fellow American sask"), 1_800));
        assert_eq!(
            (text(&split.committed), text(&split.unstable)),
            ("and so my fellow American".into(), "sask".into())
        );
    }

    #[test]
    fn a_word_behind_one_that_waits_waits_too() {
        let mut policy = AlignAtt::new(samples_from_ms(300));
        let mut heard = words("and so my fellow");
        heard[1].attended = Some(samples_from_ms(1_190));
        assert_eq!(text(&policy.update(view(&heard, 1_200)).committed), "and");
    }

    #[test]
    fn a_doubtful_word_waits_for_a_second_more() {
        let mut policy = AlignAtt::new(samples_from_ms(300));
        let mut heard = words("how do you marry");
        heard[1].probability = 0.3;
        assert_eq!(text(&policy.update(view(&heard, 1_500)).committed), "how");
        assert_eq!(text(&policy.update(view(&heard, 1_900)).committed), "how do you marry");
    }

    #[test]
    fn nothing_is_committed_where_nobody_knows_where_the_decoder_looked() {
        let mut policy = AlignAtt::new(samples_from_ms(300));
        let mut heard = words("and so my fellow");
        heard.iter_mut().for_each(|word| word.attended = None);
        assert_eq!(text(&policy.update(view(&heard, 9_000)).committed), "");
    }

    proptest! {
        /// Whatever the hypotheses are: what is committed only grows, and the final begins with it.
        #[test]
        fn committed_words_never_change(
            hypotheses in prop::collection::vec(prop::collection::vec(("[abc]{1,2}", 0u64..6_000), 0..8), 1..12),
        ) {
            let mut policy = AlignAtt::new(samples_from_ms(300));
            let mut before = Vec::new();
            for (i, hypothesis) in hypotheses.iter().enumerate() {
                let texts: Vec<&str> = hypothesis.iter().map(|(text, _)| text.as_str()).collect();
                let mut heard = words(&texts.join(" "));
                heard.iter_mut().zip(hypothesis).for_each(|(w, (_, at))| w.attended = Some(samples_from_ms(*at)));
                let split = policy.update(view(&heard, 500 * (i as u64 + 1)));
                prop_assert!(split.committed.starts_with(&before));
                before = split.committed;
                prop_assert!(policy.finish(view(&heard, 9_000), false).starts_with(&before));
            }
        }
    }
}
