//! What was said before, for a decoder that goes on from it (`condition_on_previous_text` in `whisper/transcribe.py`).

use std::ops::Range;

use crate::engine::Hypothesis;
use crate::{samples_from_ms, Position};

/// A final that was sampled at a higher temperature than this is a guess that nothing is to build on, as in the
/// reference.
const MOST_TEMPERATURE: f32 = 0.5;
/// Whisper was taught with the text of the 30 s before; what lies behind a longer silence is no such text.
const LONGEST_SILENCE: u64 = samples_from_ms(30_000);
/// Bytes of text that have more tokens than the decoder takes.
const MOST: usize = 2048;

/// The text of finals.
#[derive(Default)]
pub(super) struct Previous {
    text: String,
    /// Where the speech of the last one ended.
    end: Position,
}

impl Previous {
    /// Adds a final of speech from … to; one without text is silence and changes nothing.
    pub(super) fn add(&mut self, hypothesis: &Hypothesis, speech: &Range<Position>) {
        if hypothesis.temperature > MOST_TEMPERATURE {
            self.text.clear();
        } else if !hypothesis.is_empty() {
            if self.is_over(speech.start) {
                self.text.clear();
            }
            self.text = format!("{} {}", self.text, hypothesis.text());
            let surplus = self.text.len().saturating_sub(MOST);
            let from = (surplus..).find(|at| self.text.is_char_boundary(*at)).unwrap_or(0);
            self.text.drain(..from);
            self.end = speech.end;
        }
    }

    /// What speech that begins at `at` goes on from.
    pub(super) fn text(&self, at: Position) -> String {
        if self.is_over(at) {
            String::new()
        } else {
            self.text.trim().to_owned()
        }
    }

    /// Whether the silence up to `at` was too long.
    fn is_over(&self, at: Position) -> bool {
        at > self.end.saturating_add(LONGEST_SILENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Segment;

    fn heard(text: &str, temperature: f32) -> Hypothesis {
        let segment = Segment { text: text.into(), span: 0..1, words: Vec::new() };
        Hypothesis { segments: vec![segment], temperature, ..Hypothesis::default() }
    }

    const SECOND: u64 = 16_000;

    #[test]
    fn finals_add_up_to_a_limit() {
        let mut previous = Previous::default();
        assert_eq!(previous.text(0), "");
        previous.add(&heard("And so", 0.0), &(0..SECOND));
        previous.add(&Hypothesis::default(), &(SECOND..2 * SECOND));
        previous.add(&heard("my fellow", 0.4), &(2 * SECOND..3 * SECOND));
        assert_eq!(previous.text(4 * SECOND), "And so my fellow");
        for _ in 0..1_000 {
            previous.add(&heard("漢字", 0.0), &(3 * SECOND..4 * SECOND));
        }
        let text = previous.text(4 * SECOND);
        assert!(text.len() <= MOST && text.ends_with("字 漢字"));
    }

    #[test]
    fn guesses_and_long_silence_wipe_it() {
        let mut previous = Previous::default();
        previous.add(&heard("And so", 0.0), &(0..SECOND));
        previous.add(&heard("mumble", 0.6), &(SECOND..2 * SECOND));
        assert_eq!(previous.text(3 * SECOND), "");
        previous.add(&heard("Ask not", 0.0), &(3 * SECOND..4 * SECOND));
        assert_eq!(previous.text(34 * SECOND), "Ask not");
        assert_eq!(previous.text(34 * SECOND + 1), "");
        previous.add(&heard("what", 0.0), &(40 * SECOND..41 * SECOND));
        assert_eq!(previous.text(41 * SECOND), "what");
    }
}
