//! Speech without pauses, of any length: what somebody sounds like who never stops to breathe.

use super::{all, Clip, Composition, Spoken};
use crate::audio::{level, samples, seconds};

/// A window, in samples (10 ms).
const WINDOW: usize = 160;
/// Windows this far below the loud ones are a pause, in decibels.
const RANGE: f32 = 25.0;
/// So many quiet windows in a row stay (100 ms); what is longer is cut down to this. Stops within words are shorter.
const KEPT: usize = 10;

impl Composition {
    /// The clips one after another without their pauses, each round beginning with another clip; 1 s of silence before
    /// it and 2 s after. All of it is one utterance in `spoken`.
    ///
    /// Clips are whole, so that the words are known: as many as come nearest to `length` seconds.
    pub fn unbroken(length: f64) -> Self {
        Self::of_clips(rounds(), |before, after| length - before < after - length)
    }

    /// The beginning of one clip, without pauses, of exactly so many seconds; which words are in it is not known.
    pub fn unbroken_cut(length: f64) -> Self {
        let mut signal = Self::of_clips(rounds(), |before, _| before >= length);
        signal.samples.truncate(samples(1.0 + length));
        signal.spoken[0].text.clear();
        signal.spoken[0].end = signal.seconds();
        signal.silence(2.0)
    }

    /// Clips until it is `enough`, which sees the seconds so far and with the next clip.
    fn of_clips<'a>(clips: impl Iterator<Item = &'a Clip>, enough: impl Fn(f64, f64) -> bool) -> Self {
        let mut signal = Self::new().silence(1.0);
        let mut texts = Vec::new();
        for clip in clips {
            let spoken = &clip.samples[samples(clip.speech.start)..samples(clip.speech.end)];
            let spoken = without_pauses(spoken);
            let before = signal.seconds() - 1.0;
            if !texts.is_empty() && enough(before, before + seconds(spoken.len())) {
                break;
            }
            signal.samples.extend(spoken);
            texts.push(clip.text.as_str());
        }
        let end = signal.seconds();
        let whole = Spoken { name: "unbroken".into(), text: texts.join(" "), start: 1.0, end };
        let mut signal = signal.silence(2.0);
        signal.spoken.push(whole);
        signal
    }
}

/// All clips in order, then all again from the second on, and so on.
fn rounds() -> impl Iterator<Item = &'static Clip> {
    let clips = all();
    (0..).flat_map(move |round| (0..clips.len()).map(move |i| &clips[(round + i) % clips.len()]))
}

/// The signal with its long quiet parts cut down.
fn without_pauses(signal: &[f32]) -> Vec<f32> {
    let windows: Vec<&[f32]> = signal.chunks(WINDOW).collect();
    let levels: Vec<f32> = windows.iter().map(|window| level(window)).collect();
    let mut sorted = levels.clone();
    sorted.sort_by(f32::total_cmp);
    let threshold = sorted.get(sorted.len() * 19 / 20).copied().unwrap_or_default() - RANGE;
    let mut out = Vec::with_capacity(signal.len());
    let mut quiet = 0;
    for (window, level) in windows.iter().zip(&levels) {
        quiet = if *level < threshold { quiet + 1 } else { 0 };
        if quiet <= KEPT {
            out.extend_from_slice(window);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{silence, sine};

    #[test]
    fn pauses_are_cut_down_and_sounds_stay() {
        let signal = [sine(300.0, -20.0, 0.5), silence(0.8), sine(300.0, -20.0, 0.5), silence(0.05)].concat();
        let cut = without_pauses(&signal);
        assert!((seconds(cut.len()) - 1.15).abs() < 0.011, "{}", seconds(cut.len()));
        assert_eq!(without_pauses(&cut), cut);
    }

    #[test]
    fn the_length_is_what_was_asked_for_and_the_words_are_those_of_the_clips() {
        let long = Composition::unbroken(120.0);
        let speech = long.spoken[0].end - long.spoken[0].start;
        assert!((speech - 120.0).abs() < 6.0, "{speech}");
        let short = Composition::unbroken(10.0);
        assert!((short.spoken[0].end - 11.0).abs() < 2.0, "{:?}", short.spoken);
        assert!(long.spoken[0].text.split_whitespace().count() > 300);
        let short = Composition::unbroken_cut(2.0);
        assert!((short.seconds() - 5.0).abs() < 0.01);
    }
}
