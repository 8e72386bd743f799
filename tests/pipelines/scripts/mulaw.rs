//! A telephone line to the terminal.

use e2e_tests::audio::{mulaw_encode, resample, SAMPLE_RATE};
use e2e_tests::clips::named;
use e2e_tests::wer::word_errors;

use crate::support::program::Program;

#[test]
fn a_telephone_line_becomes_lines() {
    let clip = named("librivox-sense-0920");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("call.ulaw");
    std::fs::write(&path, mulaw_encode(&resample(&clip.samples, SAMPLE_RATE, 8_000))).unwrap();
    let ended = Program::script("mulaw-to-terminal.sh").stdin(&path).succeed();
    let errors = word_errors(&clip.text, &ended.stdout());
    assert!(errors.percent() <= 15.0, "{errors}");
}
