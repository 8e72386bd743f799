//! Words and times, against the truth that the signal was composed with.

use e2e_tests::audio::{self, Room, SAMPLE_RATE};
use e2e_tests::clips::{all, Composition};
use e2e_tests::wer::{word_errors, WordErrors};

use crate::common::{transcribe, Feed, Format, Heard};

fn errors(signal: &Composition, heard: &Heard) -> WordErrors {
    word_errors(&signal.text(), &heard.text())
}

/// Word error rate at most `percent` through the whole element.
fn assert_words(signal: &Composition, heard: &Heard, percent: f64, what: &str) {
    let errors = errors(signal, heard);
    println!("{what}: {errors}");
    assert!(errors.percent() <= percent, "{what}: {errors}");
}

/// Every clip's first utterance begins, and its last ends, where the speech does.
fn assert_times(signal: &Composition, heard: &Heard, tolerance: f64) {
    for spoken in &signal.spoken {
        let middle = |t: &&crate::common::Text| {
            let middle = (t.start + t.end) / 2.0;
            middle > spoken.start - 0.3 && middle < spoken.end + 0.3
        };
        let of_clip: Vec<_> = heard.texts.iter().filter(middle).collect();
        let (first, last) = (of_clip.first().expect(&spoken.name), of_clip.last().unwrap());
        let (early, late) = (first.start - spoken.start, last.end - spoken.end);
        assert!(early.abs() <= tolerance, "{} starts {early:+.3} s off", spoken.name);
        assert!(late.abs() <= tolerance, "{} ends {late:+.3} s off", spoken.name);
    }
}

#[test]
fn clips_as_s16_48_khz_stereo() {
    let signal = Composition::long();
    let feed = Feed { format: Format::S16, rate: 48_000, channels: 2, ..Feed::default() };
    let heard = transcribe(&signal.samples, &feed, "");
    assert_words(&signal, &heard, 5.0, "S16 48 kHz stereo");
    assert_times(&signal, &heard, 0.2);
}

#[test]
fn clips_as_f32_16_khz() {
    let signal = Composition::long();
    let heard = transcribe(&signal.samples, &Feed::default(), "");
    assert_words(&signal, &heard, 5.0, "F32 16 kHz");
    assert_times(&signal, &heard, 0.2);
}

#[test]
fn clips_through_onnx_runtime() {
    let signal = Composition::long();
    let heard = transcribe(&signal.samples, &Feed::default(), "engine=onnx");
    assert_words(&signal, &heard, 5.0, "engine=onnx");
    assert_times(&signal, &heard, 0.2);
}

#[test]
fn clips_as_mu_law_8_khz() {
    let signal = Composition::long();
    let telephone = audio::through_mulaw(&audio::resample(&signal.samples, SAMPLE_RATE, 8_000), 8_000);
    // `through_mulaw` gives the telephone's samples at its own rate.
    let signal = Composition { samples: audio::resample(&telephone, 8_000, SAMPLE_RATE), ..signal };
    let feed = Feed { format: Format::S16, rate: 8_000, ..Feed::default() };
    let heard = transcribe(&signal.samples, &feed, "");
    assert_words(&signal, &heard, 12.0, "mu-law 8 kHz");
}

#[test]
fn word_times_lie_in_their_clips() {
    let signal = Composition::long();
    let heard = transcribe(&signal.samples, &Feed::default(), "granularity=word");
    assert_words(&signal, &heard, 5.0, "word by word");
    for pair in heard.texts.windows(2) {
        assert!(pair[0].end <= pair[1].start + 1e-6, "{pair:?}");
        assert!(!pair[0].text.contains(' ') && pair[0].end > pair[0].start, "{pair:?}");
    }
    let inside =
        |t: &&crate::common::Text| signal.spoken.iter().any(|s| t.start > s.start - 0.25 && t.end < s.end + 0.35);
    let outside: Vec<_> = heard.texts.iter().filter(|t| !inside(t)).collect();
    assert!(outside.is_empty(), "words outside of the speech: {outside:?}");
}

/// Noise, music, babble and a room: never more than 2 points worse than with the full 30 s context.
mod spoiled {
    use super::*;

    /// Errors over all of `signals`, which are one kind of spoiling: with 128 words each, three errors by chance would
    /// be more than the 2 points.
    fn compare(what: &str, signals: &[Composition]) {
        let (mut short, mut full) = (WordErrors::default(), WordErrors::default());
        for signal in signals {
            let of = |properties: &str| errors(signal, &transcribe(&signal.samples, &Feed::default(), properties));
            let (here, there) = (of("partials=none"), of("partials=none context-floor=30000"));
            println!("{what}: {:.1} % at the default context, {:.1} % at 30 s", here.percent(), there.percent());
            short += here;
            full += there;
        }
        assert!(short.percent() <= full.percent() + 2.0, "{what}\ndefault context: {short}\nfull context: {full}");
    }

    fn noisy(what: &str, noise: impl Fn(f64) -> Vec<f32>) {
        let signal = Composition::long();
        let spoiled = [10.0, 5.0].map(|snr| signal.clone().with_noise(&noise(signal.seconds()), snr));
        compare(what, &spoiled);
    }

    #[test]
    fn by_noise() {
        noisy("pink noise", |seconds| audio::pink_noise(-30.0, seconds, 1));
    }

    #[test]
    fn by_music() {
        noisy("music", |seconds| audio::music(-30.0, seconds, 2));
    }

    #[test]
    fn by_babble() {
        let recordings: Vec<&[f32]> = all().iter().map(|c| c.samples.as_slice()).collect();
        noisy("babble", |seconds| audio::babble(&recordings, 8, -30.0, seconds, 3));
    }

    #[test]
    fn by_a_room() {
        compare("rooms with 0.6 s", &[4, 5].map(|seed| Composition::long().in_room(&Room::new(0.6, seed))));
    }
}
