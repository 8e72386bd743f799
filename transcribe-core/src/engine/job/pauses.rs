//! Pauses out of words. Alignment gives all time to some token, so that a word behind a pause begins where the word
//! before it ended. Loudness tells where in a long word it is really said; and no word takes for ever.

use crate::engine::Word;

/// Samples in a frame: 20 ms.
const FRAME: usize = 320;
/// Words longer than this (0.5 s) may hold a pause.
const LONG: u64 = 8_000;
/// Frames under this share of the word's loudest frame (−20 dB) are a pause …
const QUIET: f32 = 0.1;
/// … if there are more than so many in a row (160 ms): stops between sounds are shorter.
const GAP: usize = 8;
/// Longest a word may take: 0.5 s and 0.12 s a letter, or twice the median.
const LONGEST: (u64, u64) = (8_000, 1_920);

/// Narrows the spans of `words` to where they are said in `audio`. Starts move forward and ends backward only.
pub(super) fn trim(words: &mut [Word], audio: &[f32]) {
    let mut durations: Vec<u64> = words.iter().map(|w| w.span.end - w.span.start).collect();
    durations.sort_unstable();
    let median = durations.get(durations.len() / 2).copied().unwrap_or(0);
    for (n, word) in words.iter_mut().enumerate() {
        if n == 0 || word.span.end - word.span.start > LONG {
            trim_word(word, audio);
        }
        let letters = word.text.chars().filter(|c| c.is_alphanumeric()).count() as u64;
        let longest = (LONGEST.0 + LONGEST.1 * letters).max(2 * median);
        word.span.start = word.span.start.max(word.span.end.saturating_sub(longest));
    }
}

/// Narrows a word to its loudest stretch between pauses.
fn trim_word(word: &mut Word, audio: &[f32]) {
    let from = word.span.start as usize / FRAME;
    let frames: Vec<f32> = audio[from * FRAME..(word.span.end as usize).min(audio.len())]
        .chunks(FRAME)
        .map(|frame| frame.iter().map(|s| s * s).sum::<f32>() / frame.len() as f32)
        .collect();
    let loudest = frames.iter().copied().fold(0.0, f32::max);
    let quiet = loudest * QUIET * QUIET;
    let mut best = (0.0, 0..frames.len());
    let mut stretch: Option<(f32, std::ops::Range<usize>)> = None;
    for (n, &energy) in frames.iter().enumerate().filter(|(_, energy)| **energy > quiet) {
        match &mut stretch {
            Some((sum, frames)) if n - frames.end <= GAP => {
                *sum += energy;
                frames.end = n + 1;
            }
            _ => stretch = Some((energy, n..n + 1)),
        }
        if let Some(stretch) = stretch.as_ref().filter(|stretch| stretch.0 > best.0) {
            best = stretch.clone();
        }
    }
    let position = |frame: usize| ((from + frame) * FRAME) as u64;
    let said = position(best.1.start.saturating_sub(1))..position(best.1.end + 1);
    word.span = word.span.start.max(said.start)..word.span.end.min(said.end);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str, span: std::ops::Range<u64>) -> Word {
        Word { text: text.to_owned(), space_before: true, span, probability: 1.0, attended: None }
    }

    /// A tone over each range, faint noise elsewhere.
    fn audio(seconds: usize, tones: &[std::ops::Range<u64>]) -> Vec<f32> {
        let loud = |n: u64| tones.iter().any(|tone| tone.contains(&n));
        (0..seconds as u64 * 16_000).map(|n| if loud(n) { (n as f32 * 0.3).sin() } else { 0.001 }).collect()
    }

    #[test]
    fn a_word_behind_a_pause_begins_when_it_is_said() {
        let audio = audio(4, &[8_000..20_000, 40_000..48_000]);
        let mut words = [word("one", 0..19_000), word("two", 19_000..48_000)];
        trim(&mut words, &audio);
        assert_eq!(words[0].span, 7_680..19_000, "and not with the first sample");
        assert_eq!(words[1].span, 39_680..48_000, "the tail of the word before it is not its own");
    }

    #[test]
    fn short_words_and_words_with_stops_in_them_stay() {
        let audio = audio(2, &[0..4_000, 6_000..16_000]);
        let mut words = [word("a", 0..2_000), word("stop", 2_000..16_000), word("is", 16_000..20_000)];
        trim(&mut words, &audio);
        assert_eq!([0..2_000, 2_000..16_000, 16_000..20_000], words.map(|w| w.span));
    }

    #[test]
    fn no_word_takes_for_ever() {
        let audio = audio(10, &[0..80_000, 80_000..160_000]);
        let mut words = [word("so", 0..3_000), word("a", 3_000..160_000), word("it", 160_000..160_000)];
        trim(&mut words, &audio);
        assert_eq!(words[1].span, 150_080..160_000);
    }

    #[test]
    fn silence_and_empty_spans_are_borne() {
        let mut words = [word("a", 0..0), word("b", 0..16_000), word("c", 16_000..16_000)];
        trim(&mut words, &[0.0; 16_000]);
        assert!(words.iter().all(|w| w.span.start <= w.span.end && w.span.end <= 16_000));
        trim(&mut [], &[]);
    }
}
