//! Timestamps among the tokens, as the reference allows them (`ApplyTimestampRules` in `whisper/decoding.py`): one of the
//! first second first; from there on in pairs, the end of a stretch of text and the start of the next; never back in
//! time; and one of them wherever all together are likelier than any single token of text.

use std::ops::Range;

use super::logits::{highest, log_sum, NEVER};
use super::search::Chosen;
use crate::engine::job::call::Stretch;

/// Samples from a timestamp to the next: 20 ms.
const STEP: u64 = 320;
/// Highest timestamp that may come first: 1 s.
const LATEST_FIRST: usize = 50;

/// Takes away what must not come behind `chosen`. `all`: the timestamps; `end`: the token that ends the text, behind
/// those of text.
pub(super) fn restrict(logits: &mut [f32], all: &Range<i32>, end: i32, chosen: &[Chosen]) {
    let (from, to) = (all.start as usize, all.end as usize);
    let is_one = |chosen: &Chosen| all.contains(&chosen.token);
    let Some(last) = chosen.last() else {
        logits[..from].fill(NEVER);
        logits[(from + LATEST_FIRST + 1).min(to)..].fill(NEVER);
        return;
    };
    let behind_one = is_one(last);
    let behind_two = behind_one && chosen.iter().rev().nth(1).is_none_or(is_one);
    if behind_two {
        logits[from..to].fill(NEVER);
    } else if behind_one {
        logits[..end as usize].fill(NEVER);
        logits[to..].fill(NEVER);
    }
    if let Some(latest) = chosen.iter().rfind(|chosen| is_one(chosen)) {
        // A stretch may begin where the one before ended, but has to last.
        let least = latest.token as usize + usize::from(!behind_one || behind_two);
        logits[from..least.min(to)].fill(NEVER);
    }
    let likeliest_text = highest(&logits[..from]).max(highest(&logits[to..]));
    if highest(&logits[from..to]) > NEVER && log_sum(&logits[from..to]) > likeliest_text {
        logits[..from].fill(NEVER);
        logits[to..].fill(NEVER);
    }
}

/// The stretches of text between timestamps in audio of `samples`; tokens are counted without the timestamps.
pub(super) fn stretches(all: &Range<i32>, chosen: &[Chosen], samples: u64) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    let (mut texts, mut first, mut start) = (0, 0, 0);
    for token in chosen.iter().map(|chosen| chosen.token) {
        if !all.contains(&token) {
            texts += 1;
            continue;
        }
        let at = ((token - all.start) as u64 * STEP).min(samples);
        if texts > first {
            stretches.push(Stretch { first, span: start..at.max(start) });
            first = texts;
        }
        start = at;
    }
    if texts > first {
        stretches.push(Stretch { first, span: start..samples.max(start) });
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens 0 … 9 are text, 10 ends it, 20 … 119 are timestamps.
    const ALL: Range<i32> = 20..120;
    const END: i32 = 10;

    fn chosen(tokens: &[i32]) -> Vec<Chosen> {
        tokens.iter().map(|token| Chosen { token: *token, logprob: -0.1 }).collect()
    }

    /// What may come behind these tokens, if all are as likely but text and end the likelier.
    fn allowed(tokens: &[i32]) -> Vec<i32> {
        let mut logits = vec![0.0; 120];
        logits[..=END as usize].fill(9.0);
        restrict(&mut logits, &ALL, END, &chosen(tokens));
        (0..120).filter(|token| logits[*token as usize] > NEVER).collect()
    }

    fn with(some: impl IntoIterator<Item = i32>, more: impl IntoIterator<Item = i32>) -> Vec<i32> {
        some.into_iter().chain(more).collect()
    }

    #[test]
    fn a_timestamp_of_the_first_second_comes_first() {
        assert_eq!(allowed(&[]), (20..=70).collect::<Vec<_>>());
    }

    #[test]
    fn text_or_the_end_follows_the_first_and_each_pair() {
        let no_timestamps: Vec<i32> = (0..20).collect();
        assert_eq!(allowed(&[25]), no_timestamps);
        assert_eq!(allowed(&[25, 3, 40, 40]), no_timestamps);
    }

    #[test]
    fn behind_a_stretch_comes_the_start_of_the_next_or_the_end() {
        assert_eq!(allowed(&[25, 3, 4, 40]), with(10..20, 40..120));
    }

    #[test]
    fn time_never_goes_back_and_a_stretch_lasts() {
        assert_eq!(allowed(&[25, 3]), with(0..20, 26..120));
        assert_eq!(allowed(&[25, 3, 40, 42, 5]), with(0..20, 43..120));
    }

    #[test]
    fn timestamps_that_are_likelier_together_than_any_text_win() {
        let rest = |text: f32| {
            let mut logits = vec![NEVER; 120];
            logits[3] = text;
            logits[60..80].fill(0.0);
            restrict(&mut logits, &ALL, END, &chosen(&[25, 3]));
            logits[3] > NEVER
        };
        let sum = 20f32.ln();
        assert!(rest(sum + 0.01) && !rest(sum - 0.01));
    }

    #[test]
    fn stretches_lie_between_timestamps_and_inside_the_audio() {
        let of = |tokens: &[i32], samples| stretches(&ALL, &chosen(tokens), samples);
        let stretch = |first, span| Stretch { first, span };
        assert_eq!(of(&[25, 1, 2, 40, 45, 3, 60], 100_000), [stretch(0, 1600..6400), stretch(2, 8000..12_800)]);
        assert_eq!(of(&[25, 1, 2, 40, 45, 3], 16_000), [stretch(0, 1600..6400), stretch(2, 8000..16_000)]);
        assert_eq!(of(&[25, 1, 119], 16_000), [stretch(0, 1600..16_000)]);
        assert_eq!(of(&[20], 16_000), []);
    }
}
