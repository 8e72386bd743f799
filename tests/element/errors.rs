//! Bad input: a clear error that names cause and mend, or clean handling.

use std::path::PathBuf;

use e2e_tests::clips::named;
use gst::prelude::*;

use crate::common::{init, Feed, Rig};

/// The first error of an element with these properties.
fn error(properties: &str) -> String {
    // No network here, and none wanted: an unknown model must not be looked for on it.
    std::env::set_var("HF_HUB_OFFLINE", "1");
    let feed = Feed::default();
    let mut rig = Rig::new(&feed, properties);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while rig.heard.errors.is_empty() {
        rig.collect();
        assert!(std::time::Instant::now() < deadline, "no error for {properties}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    // What is pushed now is refused instead of waiting for ever.
    let refused =
        feed.buffers(&vec![0.0; 16_000 * 200], gst::ClockTime::ZERO).into_iter().any(|b| rig.harness.push(b).is_err());
    assert!(refused, "audio is still taken after: {:?}", rig.heard.errors);
    rig.heard.errors.remove(0)
}

fn assert_names(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.to_lowercase().contains(&word.to_lowercase()), "'{word}' is not in: {error}");
    }
}

fn file(name: &str, content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

fn bundled() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models/ggml-tiny.en-q8_0.bin")
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    assert_names(&error("model=tinny.en"), &["tinny.en", "tiny.en"]);
}

#[test]
fn a_missing_model_without_a_network_says_which_file_to_put_where() {
    assert_names(&error("model=medium.en"), &["ggml-medium.en.bin"]);
}

#[test]
fn a_missing_file_is_named() {
    assert_names(&error("model=/nowhere/ggml-x.bin"), &["/nowhere/ggml-x.bin"]);
}

#[test]
fn a_text_file_is_no_model() {
    let (_folder, path) = file("ggml-text.bin", b"This is a text, not a model.\n");
    assert_names(&error(&format!("model={}", path.display())), &["ggml-text.bin"]);
}

#[test]
fn a_truncated_model_is_refused() {
    let whole = std::fs::read(bundled()).unwrap();
    for part in [4, 1000, whole.len() / 2, whole.len() - 1] {
        let (_folder, path) = file("ggml-cut.bin", &whole[..part]);
        assert_names(&error(&format!("model={}", path.display())), &["ggml-cut.bin"]);
    }
}

#[test]
fn a_language_that_the_model_does_not_know_is_an_error() {
    assert_names(&error("language=de"), &["English"]);
    assert_names(&error("task=translate"), &["multilingual"]);
}

#[test]
fn a_gpu_that_is_not_built_in_is_an_error_not_the_cpu() {
    assert_names(&error("device=cuda:0"), &["cuda", "feature"]);
    assert_names(&error("device=quantum"), &["quantum"]);
}

#[test]
fn a_policy_that_the_engine_has_no_means_for_is_refused() {
    assert_names(&error("engine=whisper-cpp partials=align-att"), &["align-att", "engine=onnx"]);
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    init();
    let element = gst::parse::launch("whispertranscribe vad-threshold=0.3 vad-negative-threshold=0.6").unwrap();
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    assert!(element.set_state(gst::State::Paused).is_err());
    let error = bus.pop_filtered(&[gst::MessageType::Error]).unwrap();
    let gst::MessageView::Error(error) = error.view() else { unreachable!() };
    assert_names(&error.error().to_string(), &["threshold"]);
    element.set_state(gst::State::Null).unwrap();
}

#[test]
fn a_missing_onnx_runtime_says_how_to_get_it() {
    init();
    let element = gst::parse::launch("whispertranscribe onnxruntime=/nowhere/libonnxruntime.so").unwrap();
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    assert!(element.set_state(gst::State::Paused).is_err());
    let error = bus.pop_filtered(&[gst::MessageType::Error]).unwrap();
    let gst::MessageView::Error(error) = error.view() else { unreachable!() };
    assert_names(&error.error().to_string(), &["/nowhere/libonnxruntime.so"]);
    element.set_state(gst::State::Null).unwrap();
}

#[test]
fn caps_that_are_no_raw_audio_are_refused() {
    init();
    let pipeline = gst::parse::launch("videotestsrc num-buffers=1 ! whispertranscribe ! fakesink");
    assert!(pipeline.is_err(), "video must not link");
    let feed = Feed::default();
    let mut rig = Rig::new(&feed, "channel=5");
    rig.collect();
    assert!(rig.heard.errors.iter().any(|e| e.contains("channel 5")), "{:?}", rig.heard.errors);
}

#[test]
fn a_segment_in_bytes_is_refused_with_a_hint() {
    let feed = Feed::default();
    let mut rig = Rig::new(&feed, "");
    let segment = gst::FormattedSegment::<gst::format::Bytes>::new();
    rig.harness.push_event(gst::event::Segment::new(&segment));
    rig.collect();
    assert!(rig.heard.errors.iter().any(|e| e.contains("time")), "{:?}", rig.heard.errors);
}

#[test]
fn samples_that_are_no_numbers_do_no_harm() {
    let clip = named("librivox-sense-0930");
    let mut audio = clip.samples.clone();
    for (i, x) in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30].into_iter().enumerate() {
        audio[100 + i] = x;
        audio[20_000 + i] = x;
    }
    let broken = [vec![f32::NAN; 16_000], audio, vec![0.0; 16_000]].concat();
    let heard = crate::common::transcribe(&broken, &Feed::default(), "");
    let errors = e2e_tests::wer::word_errors(&clip.text, &heard.text());
    assert!(errors.percent() <= 30.0, "{errors}");
}

#[test]
fn torn_and_empty_buffers_do_no_harm() {
    let feed = Feed { channels: 2, ..Feed::default() };
    let mut rig = Rig::new(&feed, "partials=none");
    rig.harness.push(gst::Buffer::new()).unwrap();
    let mut torn = gst::Buffer::from_mut_slice(vec![0u8; 1601]);
    torn.get_mut().unwrap().set_pts(gst::ClockTime::ZERO);
    rig.harness.push(torn).unwrap();
    rig.push(&feed, &named("librivox-sense-0930").samples, gst::ClockTime::from_seconds(1));
    rig.finish();
    assert!(!rig.heard.texts.is_empty());
}
