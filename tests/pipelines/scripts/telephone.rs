//! Telephone lines to the terminal.

use e2e_tests::audio::{mulaw_encode, resample, SAMPLE_RATE};
use e2e_tests::clips::named;
use e2e_tests::wer::word_errors;

use crate::support::packets::hear;
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

#[test]
fn packets_of_a_call_become_lines_in_each_codec() {
    for (codec, limit, coder) in [
        ("PCMU", 15.0, "mulawenc ! rtppcmupay"),
        ("PCMA", 15.0, "alawenc ! rtppcmapay"),
        ("G722", 8.0, "avenc_g722 ! rtpg722pay"),
        ("OPUS", 8.0, "opusenc ! rtpopuspay pt=96"),
    ] {
        let script = Program::script("phone-to-terminal.sh").env("CODEC", codec);
        let (said, heard) = hear(script, coder);
        let errors = word_errors(&said, &heard);
        assert!(errors.percent() <= limit, "{codec}: {errors}");
    }
}

#[test]
fn an_unknown_codec_is_an_error() {
    let ended = Program::script("phone-to-terminal.sh").env("CODEC", "GSM").args(&["5004"]).run();
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert!(ended.stderr.contains("CODEC=GSM: it is PCMU, PCMA, G722 or OPUS"), "{ended:#?}");
}
