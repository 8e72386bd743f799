//! What is not speech gives no text.

use e2e_tests::audio::{chirp, clicks, dtmf, music, pink_noise, silence, sine, white_noise};
use e2e_tests::clips::{all, Composition};
use e2e_tests::wer::word_errors;

use crate::common::{transcribe, Feed};

/// About ten minutes that hold no word.
fn no_speech() -> Vec<Vec<f32>> {
    vec![
        silence(120.0),
        white_noise(-30.0, 60.0, 1),
        pink_noise(-25.0, 60.0, 2),
        pink_noise(-60.0, 60.0, 3),
        sine(440.0, -12.0, 30.0),
        sine(1000.0, -20.0, 30.0),
        chirp(100.0, 7_000.0, -15.0, 60.0),
        dtmf("0123456789*#", -15.0),
        clicks(0.4, -6.0, 30.0),
        music(-18.0, 90.0, 4),
        music(-25.0, 60.0, 5),
    ]
}

#[test]
fn ten_minutes_without_speech_give_not_one_word() {
    let sounds = no_speech();
    assert!(sounds.iter().map(Vec::len).sum::<usize>() >= 600 * 16_000);
    let heard = transcribe(&sounds.concat(), &Feed { buffer: 0.1, ..Feed::default() }, "");
    assert!(heard.texts.is_empty(), "{:?}", heard.texts);
    assert_eq!(heard.named("partial").count(), 0);
}

#[test]
fn speech_between_other_sounds_is_all_that_is_written() {
    let mut signal = Composition::new().silence(1.0);
    for (clip, sound) in all().iter().zip(no_speech()) {
        signal = signal.clip(clip).silence(1.0).sound(&sound[..sound.len().min(30 * 16_000)]).silence(1.0);
    }
    let heard = transcribe(&signal.samples, &Feed::default(), "partials=none");
    let errors = word_errors(&signal.text(), &heard.text());
    // In the speech itself the model hears up to 5.5 % of the words wrong, depending on where frames begin in it.
    assert!(errors.percent() <= 6.0 && errors.insertions <= 2, "{errors}");
    for text in &heard.texts {
        let spoken = signal.spoken.iter().any(|s| text.start > s.start - 0.4 && text.end < s.end + 0.4);
        assert!(spoken, "text where nobody speaks: {text:?}");
    }
}

#[test]
fn silence_becomes_gaps_without_holes() {
    let heard = transcribe(&silence(5.0), &Feed::default(), "");
    assert_eq!(heard.gaps.first().map(|g| g.0), Some(0.0));
    for pair in heard.gaps.windows(2) {
        assert_eq!(pair[0].1, pair[1].0);
    }
    let end = heard.gaps.last().unwrap().1;
    assert!(end > 4.5, "gaps end at {end}");
}
