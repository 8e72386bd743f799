//! A film into one with captions in its picture: they must be there while somebody speaks and only then.

use e2e_tests::clips::Composition;

use crate::support::frames::{frames, seconds_of_sound};
use crate::support::media::{film, two_sentences, wav, FRAME_RATE};
use crate::support::program::Program;
use crate::support::text;
use crate::support::truth::TOLERANCE;

#[test]
fn captions_are_in_the_picture_while_somebody_speaks() {
    let folder = tempfile::tempdir().unwrap();
    let signal = two_sentences();
    let captioned = burned_in(folder.path(), "spoken", &signal);
    let plain = burned_in(folder.path(), "silent", &Composition::new().silence(signal.seconds()));
    assert!((seconds_of_sound(&captioned) - signal.seconds()).abs() < 0.1);

    let (captioned, plain) = (frames(&captioned), frames(&plain));
    let expected = (signal.seconds() * f64::from(FRAME_RATE)).round() as usize;
    assert!(captioned.len().abs_diff(expected) <= 1, "{} of {expected} pictures are left", captioned.len());
    // A text stays from the picture at or behind its start to the one at its end.
    let unsure = TOLERANCE + 1.0 / f64::from(FRAME_RATE);
    for (number, (frame, plain)) in captioned.iter().zip(&plain).enumerate() {
        let time = number as f64 / f64::from(FRAME_RATE);
        assert!(!frame.differs_above(plain), "at {time} s there is something in the upper half");
        let near = |edge: f64| (time - edge).abs() <= unsure;
        if signal.spoken.iter().any(|said| near(said.start) || near(said.end)) {
            continue;
        }
        let spoken = signal.spoken.iter().any(|said| (said.start..said.end).contains(&time));
        assert_eq!(frame.has_caption(plain), spoken, "at {time} s of {:#?}", signal.spoken);
    }
}

fn burned_in(folder: &std::path::Path, name: &str, signal: &Composition) -> std::path::PathBuf {
    let sound = wav(folder, signal);
    let input = film(folder, &format!("{name}.mkv"), signal.seconds(), Some(&sound));
    let output = folder.join(format!("{name}.webm"));
    Program::script("burned-in-captions.sh").args(&[text(&input), text(&output)]).succeed();
    output
}
