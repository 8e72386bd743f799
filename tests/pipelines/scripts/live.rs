//! Captions in the picture of a camera: test sources that are live in place of camera and microphone.

use std::time::Duration;

use e2e_tests::clips::named;

use crate::support::frames::frames;
use crate::support::media::{FRAME_RATE, HEIGHT, WIDTH};
use crate::support::program::Program;
use crate::support::{recording, text};

/// Seconds by which the picture is late.
const LATENCY: u64 = 8;

#[test]
fn captions_come_in_time_with_a_picture_that_is_as_late_as_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("live.webm");
    let clip = named("librivox-sense-0890");
    let camera = format!(
        "videotestsrc is-live=true pattern=blue ! video/x-raw,width={WIDTH},height={HEIGHT},framerate={FRAME_RATE}/1"
    );
    let microphone = format!(
        "filesrc location={} ! decodebin ! audioconvert ! audioresample ! clocksync ! interaudiosink \
         interaudiosrc ! audio/x-raw,format=S16LE,rate=16000,channels=1",
        text(&recording(&clip.name))
    );
    let screen = format!("videoconvert ! vp8enc deadline=1 cpu-used=8 ! webmmux ! filesink location={}", text(&output));
    let mut live = Program::script("live-captions.sh")
        .env("CAMERA", &camera)
        .env("MICROPHONE", &microphone)
        .env("SCREEN", &screen)
        .env("LATENCY", &(LATENCY * 1000).to_string())
        .start();
    let spoken = Duration::from_secs_f64(clip.seconds()) + Duration::from_secs(LATENCY + 3);
    live.wait_until(spoken);
    live.interrupt();
    let ended = live.finish();
    assert_eq!(ended.code, Some(0), "{ended:#?}");

    let frames = frames(&output);
    let seconds = |count: usize| count as f64 / f64::from(FRAME_RATE);
    assert!(seconds(frames.len()) > clip.seconds(), "{} pictures", frames.len());
    let captioned = frames.iter().filter(|frame| frame.has_caption(&frames[0])).count();
    let length = clip.speech.end - clip.speech.start;
    assert!(
        (seconds(captioned) - length).abs() < 1.5,
        "{} s with captions for {length} s of speech",
        seconds(captioned)
    );
}
