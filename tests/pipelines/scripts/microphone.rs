//! Microphone to terminal, with a recording played at the pace of speech in place of the microphone.

use std::time::Duration;

use e2e_tests::clips::named;

use crate::support::program::Program;
use crate::support::truth::words_are_right;
use crate::support::{recording, text};

#[test]
fn speech_becomes_lines_while_it_is_spoken() {
    let clip = named("librivox-sense-0890");
    let source = format!("filesrc location={} ! decodebin ! clocksync", text(&recording(&clip.name)));
    let ended = Program::script("microphone-to-terminal.sh").env("SOURCE", &source).succeed();
    words_are_right(&clip.text, &ended.stdout());
    assert!(ended.lines[0].after >= Duration::from_secs_f64(clip.speech.end - 0.5), "{ended:#?}");
}

#[test]
fn a_silent_microphone_gives_nothing_and_ends_with_control_c() {
    let source = "audiotestsrc is-live=true wave=pink-noise volume=0.002";
    let mut microphone = Program::script("microphone-to-terminal.sh").env("SOURCE", source).start();
    microphone.wait_until(Duration::from_secs(4));
    microphone.interrupt();
    let ended = microphone.finish();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let said = ended.lines.iter().filter(|line| !line.text.contains("nterrupt") && !line.text.contains("EOS"));
    assert_eq!(said.count(), 0, "{ended:#?}");
}
