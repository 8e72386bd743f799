//! Which part of a long utterance is still decoded, so that a second of speech costs the same however long somebody
//! talks without a pause.
//!
//! When the decoded audio exceeds [`LONGEST`], what lies before a committed word is let go and its words stay as they
//! are. The cut is made between two committed words, behind the end of a sentence if there is one, in the quietest
//! moment between them.
//!
//! Macháček et al. 2023 make the text that was let go the decoder's prompt. Not so here: behind a prompt that ends a
//! sentence, tiny.en often stopped after one more, and ten seconds of speech had no words (two minutes without a pause:
//! 14.9 % word errors with the prompt, 4.2 % without, 1.7 % when decoded 25 s at a time).

use std::ops::Range;

use super::align::key;
use crate::engine::Word;
use crate::samples_from_ms;

/// Audio that is decoded at most before it is trimmed, samples.
pub const LONGEST: u64 = samples_from_ms(10_000);
/// Audio that is kept in front of the end, samples: what the decoder needs to hear well and to agree with itself.
pub const KEPT: u64 = samples_from_ms(4_000);
/// The energy of so many samples decides where the quietest moment is.
const MOMENT: usize = samples_from_ms(20) as usize;
/// Word times are true to about this much, samples.
const DOUBT: u64 = samples_from_ms(60);

/// Where to look for a cut: between these positions, samples from the utterance's first. `committed` are the words that
/// stay, `from..to` the audio decoded last. `None`: nothing to trim, or nowhere to do it.
pub fn gap(committed: &[Word], from: u64, to: u64) -> Option<Range<u64>> {
    if to.saturating_sub(from) <= LONGEST {
        return None;
    }
    let latest = to - KEPT;
    // A cut must gain something, too.
    let earliest = from + LONGEST / 4;
    let fits = |pair: &&[Word]| (earliest..=latest).contains(&pair[0].span.end) && !key(&pair[1]).is_empty();
    let pairs: Vec<&[Word]> = committed.windows(2).filter(fits).collect();
    let sentence = pairs.iter().rev().find(|pair| ends_sentence(&pair[0].text));
    let pair = sentence.or(pairs.last())?;
    let (end, start) = (pair[0].span.end, pair[1].span.start.max(pair[0].span.end));
    Some(end.saturating_sub(DOUBT)..start + DOUBT)
}

/// The quietest moment of `audio`, samples from its first.
pub fn quietest(audio: &[f32]) -> usize {
    let energy = |moment: &[f32]| moment.iter().map(|x| f64::from(x * x)).sum::<f64>();
    let moments = audio.windows(MOMENT.min(audio.len().max(1))).step_by(MOMENT / 4).enumerate();
    let least = moments.min_by(|a, b| energy(a.1).total_cmp(&energy(b.1)));
    least.map_or(0, |(i, moment)| i * (MOMENT / 4) + moment.len() / 2)
}

/// Whether a word ends a sentence by its punctuation.
pub fn ends_sentence(word: &str) -> bool {
    let word = word.trim_end_matches(['"', '\'', '”', '’', '»', ')', ']']);
    word.ends_with(['.', '?', '!', '…', '。', '？', '！', '।', '؟'])
}

#[cfg(test)]
mod tests {
    use super::super::testing::words;
    use super::*;

    fn many(n: usize) -> Vec<Word> {
        words(&(0..n).map(|i| format!("w{i}")).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn short_utterances_are_not_trimmed() {
        assert_eq!(gap(&many(30), 0, LONGEST), None);
        assert_eq!(gap(&[], 0, 2 * LONGEST), None);
    }

    #[test]
    fn the_cut_lies_between_committed_words_and_leaves_enough() {
        let committed = many(30);
        let gap = gap(&committed, 0, LONGEST + 1).unwrap();
        assert!(gap.end <= LONGEST + 1 - KEPT + 2 * DOUBT + samples_from_ms(50) && gap.start >= LONGEST / 4);
        let between = |pair: &[Word]| pair[0].span.end - DOUBT == gap.start && pair[1].span.start + DOUBT == gap.end;
        assert!(committed.windows(2).any(between));
    }

    #[test]
    fn the_end_of_a_sentence_is_preferred() {
        let mut committed = many(30);
        committed[12].text = "done.".into();
        let gap = gap(&committed, 0, LONGEST + 1).unwrap();
        assert_eq!(gap.start, committed[12].span.end - DOUBT);
    }

    #[test]
    fn the_quietest_moment_is_found() {
        let mut audio: Vec<f32> = (0..3200).map(|i| (i as f32 * 0.7).sin()).collect();
        audio[1500..2000].fill(0.0);
        assert!((1500..2000).contains(&quietest(&audio)));
        assert_eq!(quietest(&[]), 0);
    }

    #[test]
    fn sentences_end_with_their_punctuation() {
        assert!(ends_sentence("done.") && ends_sentence("“really?”") && ends_sentence("終わり。"));
        assert!(!ends_sentence("Mr") && !ends_sentence("done,"));
    }
}
