//! Verdicts: what came out against what was said and when.

use e2e_tests::clips::Composition;
use e2e_tests::wer::word_errors;

use super::subtitles::{spoken, Cue};

/// Seconds by which a time may be wrong.
pub(crate) const TOLERANCE: f64 = 0.25;
/// Percent of words that may be wrong.
const WORD_ERRORS: f64 = 5.0;

/// Fails unless the words are those that were said.
pub(crate) fn words_are_right(said: &str, written: &str) {
    let errors = word_errors(said, written);
    assert!(errors.percent() <= WORD_ERRORS, "{errors}");
}

/// Fails unless the cues hold the words and stand while they were said.
pub(crate) fn cues_are_right(signal: &Composition, cues: &[Cue]) {
    words_are_right(&signal.text(), &spoken(cues));
    cues_are_in_order(cues);
    for said in &signal.spoken {
        let within = |cue: &&Cue| cue.start < said.end && cue.end > said.start;
        let (first, last) = (cues.iter().find(within), cues.iter().rfind(within));
        let (Some(first), Some(last)) = (first, last) else { panic!("nothing for {said:?} in {cues:#?}") };
        let (early, late) = (said.start - first.start, last.end - said.end);
        assert!(early.abs() <= TOLERANCE && late.abs() <= TOLERANCE, "{early} {late} {said:#?} {cues:#?}");
    }
}

/// Fails unless the cues hold a word each, at a time when somebody spoke.
pub(crate) fn words_are_cues(signal: &Composition, cues: &[Cue]) {
    words_are_right(&signal.text(), &spoken(cues));
    cues_are_in_order(cues);
    for cue in cues {
        assert_eq!(cue.text.split_whitespace().count(), 1, "{cue:?}");
        assert!(cue.end - cue.start < 2.0, "{cue:?}");
        let within = |start: f64, end: f64| cue.start >= start - TOLERANCE && cue.end <= end + TOLERANCE;
        assert!(signal.spoken.iter().any(|said| within(said.start, said.end)), "{cue:?} {:#?}", signal.spoken);
    }
}

fn cues_are_in_order(cues: &[Cue]) {
    assert!(cues.iter().all(|cue| cue.start < cue.end), "{cues:#?}");
    assert!(cues.windows(2).all(|pair| pair[0].end <= pair[1].start), "{cues:#?}");
}
