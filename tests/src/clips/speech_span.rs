//! Where speech begins and ends in a clean recording, by its energy.

use std::ops::Range;

use crate::audio::{level, seconds};

/// A window, in samples (10 ms).
const WINDOW: usize = 160;
/// Windows this far below the loud ones hold no speech, in decibels: what is nearer than that to the loud windows of
/// a real recording is speech, not breath or the room.
const RANGE: f32 = 20.0;
/// So many loud windows in a row are speech, fewer may be a click.
const RUN: usize = 3;

/// The part of `samples` from its first to its last speech, in seconds; `None` if there is none.
///
/// What counts is measured from the recording's loud windows (its loudest twentieth), so that its level doesn't
/// matter. Faint consonants at the ends, such as an f, are missed: up to 0.2 s.
pub fn speech_span(samples: &[f32]) -> Option<Range<f64>> {
    let levels: Vec<f32> = samples.chunks(WINDOW).map(level).collect();
    let mut sorted = levels.clone();
    sorted.sort_by(f32::total_cmp);
    let threshold = sorted.get(sorted.len() * 19 / 20)? - RANGE;
    if !threshold.is_finite() {
        return None;
    }
    let is_speech = |run: &[f32]| run.iter().all(|level| *level >= threshold);
    let first = levels.windows(RUN).position(is_speech)?;
    let last = levels.windows(RUN).rposition(is_speech)?;
    Some(seconds(first * WINDOW)..seconds(samples.len().min((last + RUN) * WINDOW)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{gain, silence, sine};
    use crate::clips;

    #[test]
    fn the_span_is_that_of_the_sound_at_any_level() {
        let mut signal = silence(0.5);
        signal.extend(sine(300.0, -20.0, 1.0));
        signal.extend(silence(0.3));
        for db in [0.0, -40.0] {
            assert_eq!(speech_span(&gain(&signal, db)), Some(0.5..1.5));
        }
    }

    #[test]
    fn clicks_are_no_speech() {
        let mut signal = silence(0.2);
        signal.extend(sine(300.0, -10.0, 0.02));
        signal.extend(silence(0.3));
        signal.extend(sine(300.0, -10.0, 1.0));
        let span = speech_span(&signal).unwrap();
        assert!((span.start - 0.52).abs() < 0.011, "{span:?}");
    }

    #[test]
    fn silence_has_no_span() {
        assert_eq!(speech_span(&silence(1.0)), None);
        assert_eq!(speech_span(&[]), None);
    }

    #[test]
    fn the_measure_agrees_with_what_was_checked_by_hand() {
        for clip in clips::all() {
            let measured = speech_span(&clip.samples).unwrap();
            assert!((measured.start - clip.speech.start).abs() < 0.03, "{}: {measured:?}", clip.name);
            // Applause can't be told from speech by its energy.
            if clip.name != "jfk-inaugural" {
                assert!((measured.end - clip.speech.end).abs() < 0.2, "{}: {measured:?}", clip.name);
            }
        }
    }
}
