//! Segments, gaps, discontinuities, flushes and the end of the stream.

use e2e_tests::audio::silence;
use e2e_tests::clips::{named, Clip, Composition};
use e2e_tests::wer::word_errors;
use gst::prelude::*;

use crate::common::heard::{field, seconds};
use crate::common::{transcribe, Feed, Rig};

const SECOND: gst::ClockTime = gst::ClockTime::SECOND;

fn clip() -> &'static Clip {
    named("librivox-sense-0930")
}

fn assert_says(clip: &Clip, text: &str) {
    let errors = word_errors(&clip.text, text);
    assert!(errors.percent() <= 30.0, "{errors}");
}

#[test]
fn eos_comes_after_the_last_word_even_without_a_pause() {
    let feed = Feed::default();
    let mut rig = Rig::new(&feed, "");
    let speech = &clip().samples[..(clip().speech.end * 16_000.0) as usize];
    rig.push(&feed, speech, gst::ClockTime::ZERO);
    rig.finish();
    assert_says(clip(), &rig.heard.text());
    let at = |name: &str| rig.heard.order.iter().rposition(|e| e.starts_with(name)).unwrap();
    assert!(at("CustomDownstream") < at("Eos"), "{:?}", rig.heard.order);
}

#[test]
fn the_output_starts_as_it_should() {
    let heard = transcribe(&clip().samples, &Feed::default(), "language=en");
    let first: Vec<&str> = heard.order.iter().map(String::as_str).take(4).collect();
    assert_eq!(first, ["StreamStart", "Caps", "Segment", "Tag"], "{:?}", heard.order);
    assert_eq!(heard.segments.len(), 1);
}

#[test]
fn timestamps_are_those_of_the_audio() {
    let feed = Feed::default();
    let mut rig = Rig::new(&feed, "partials=none");
    rig.push(&feed, &clip().samples, 3600 * SECOND);
    rig.finish();
    let (first, last) = (&rig.heard.texts[0], rig.heard.texts.last().unwrap());
    assert!((first.start - 3600.0 - clip().speech.start).abs() < 0.2, "{first:?}");
    assert!((last.end - 3600.0 - clip().speech.end).abs() < 0.25, "{last:?}");
}

#[test]
fn lateness_moves_the_segment_and_nothing_else() {
    let feed = Feed::default();
    let mut rig = Rig::new(&feed, "partials=none lateness=2500");
    rig.push(&feed, &clip().samples, gst::ClockTime::ZERO);
    rig.finish();
    assert_eq!(rig.heard.segments[0].base(), Some(gst::ClockTime::from_mseconds(2_500)));
    assert!((rig.heard.texts[0].start - clip().speech.start).abs() < 0.2);
}

#[test]
fn a_new_segment_drains_the_old_one_and_counts_in_its_own_time() {
    let feed = Feed::default();
    let mut rig = Rig::new(&feed, "partials=none");
    rig.push(&feed, &clip().samples, gst::ClockTime::ZERO);
    let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
    segment.set_start(100 * SECOND);
    segment.set_base(5 * SECOND);
    segment.set_time(200 * SECOND);
    assert!(rig.harness.push_event(gst::event::Segment::new(&segment)));
    rig.push(&feed, &clip().samples, 100 * SECOND);
    rig.finish();
    let heard = &rig.heard;
    assert_eq!(heard.segments.len(), 2);
    assert_eq!(heard.texts.len() % 2, 0, "{:?}", heard.texts);
    let (first, second) = heard.texts.split_at(heard.texts.len() / 2);
    assert_eq!(first[0].text, second[0].text);
    assert!((second[0].start - first[0].start - 100.0).abs() < 0.05, "{:?}", heard.texts);
    let finals: Vec<_> = heard.named("final").collect();
    let (one, two) = (finals[0], finals[finals.len() / 2]);
    assert!((field(two, "start") - field(one, "start") - 200.0).abs() < 0.05);
    assert!((field(two, "running-time") - field(one, "running-time") - 5.0).abs() < 0.05);
}

#[test]
fn audio_outside_the_segment_is_clipped() {
    let feed = Feed::default();
    let mut rig = Rig::new(&feed, "partials=none");
    let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
    segment.set_start(10 * SECOND);
    assert!(rig.harness.push_event(gst::event::Segment::new(&segment)));
    rig.push(&feed, &clip().samples, gst::ClockTime::ZERO);
    rig.finish();
    assert!(rig.heard.texts.is_empty(), "{:?}", rig.heard.texts);
}

#[test]
fn a_jump_in_time_drains_and_marks_the_next_buffer() {
    let feed = Feed::default();
    let mut rig = Rig::new(&feed, "partials=none");
    let speech = &clip().samples[..(clip().speech.end * 16_000.0) as usize];
    rig.push(&feed, speech, gst::ClockTime::ZERO);
    rig.push(&feed, &clip().samples, 60 * SECOND);
    // Back in time, too.
    rig.push(&feed, &clip().samples, 30 * SECOND);
    rig.finish();
    let heard = &rig.heard;
    let starts: Vec<f64> = heard.texts.iter().filter(|t| t.discont).map(|t| t.start - clip().speech.start).collect();
    assert_eq!(starts.len(), 2, "{:?}", heard.texts);
    assert!((starts[0] - 60.0).abs() < 0.2 && (starts[1] - 30.0).abs() < 0.2, "{starts:?}");
    assert_says(
        clip(),
        &heard.texts.iter().filter(|t| t.start < 20.0).map(|t| t.text.clone()).collect::<Vec<_>>().join(" "),
    );
}

#[test]
fn lost_packets_are_silence_not_the_end_of_an_utterance() {
    let feed = Feed::default();
    let mut rig = Rig::new(&feed, "partials=none");
    let end = (clip().speech.end * 16_000.0) as usize;
    let mut buffers = feed.buffers(&clip().samples, gst::ClockTime::ZERO);
    // Three packets of 20 ms are lost; the next one says so.
    let at = end / 320 / 2;
    buffers.drain(at..at + 3);
    buffers[at].get_mut().unwrap().set_flags(gst::BufferFlags::DISCONT);
    for buffer in buffers {
        rig.harness.push(buffer).unwrap();
    }
    rig.finish();
    assert_eq!(rig.heard.named("final").count(), 1, "{:?}", rig.heard.texts);
    assert!((rig.heard.texts[0].end - clip().speech.end).abs() < 0.25);
    assert_says(clip(), &rig.heard.text());
}

#[test]
fn gap_events_are_silence_and_no_inference_of_their_own() {
    let feed = Feed::default();
    let mut rig = Rig::new(&feed, "partials=none");
    // Speech with discontinuous transmission: of each second of pause, only GAP events of 20 ms.
    rig.push(&feed, &clip().samples, gst::ClockTime::ZERO);
    let mut at = gst::ClockTime::from_nseconds(clip().samples.len() as u64 * 62_500);
    for _ in 0..100 {
        let length = gst::ClockTime::from_mseconds(20);
        assert!(rig.harness.push_event(gst::event::Gap::builder(at).duration(length).build()));
        at += length;
    }
    rig.push(&feed, &clip().samples, at);
    rig.finish();
    let starts: Vec<f64> = rig.heard.named("final").map(|f| field(f, "start")).collect();
    assert_eq!(starts.len(), 2, "{:?}", rig.heard.texts);
    assert!((starts[1] - seconds(at) - clip().speech.start).abs() < 0.2, "{starts:?}");
    let stats = rig.element().property::<gst::Structure>("stats");
    assert_eq!(stats.get::<u64>("finals-submitted").unwrap(), 2);
}

#[test]
fn a_gap_of_hours_costs_nothing_and_keeps_time() {
    let feed = Feed::default();
    let mut rig = Rig::new(&feed, "partials=none");
    rig.push(&feed, &clip().samples, gst::ClockTime::ZERO);
    let at = gst::ClockTime::from_nseconds(clip().samples.len() as u64 * 62_500);
    let day = 24 * 3600 * SECOND;
    assert!(rig.harness.push_event(gst::event::Gap::builder(at).duration(day).build()));
    rig.push(&feed, &clip().samples, at + day);
    rig.finish();
    let finals: Vec<f64> = rig.heard.named("final").map(|f| field(f, "start")).collect();
    assert_eq!(finals.len(), 2);
    assert!((finals[1] - seconds(at + day) - clip().speech.start).abs() < 0.2, "{finals:?}");
}

#[test]
fn a_flush_discards_and_the_model_stays() {
    let feed = Feed::default();
    let mut rig = Rig::new(&feed, "partials=none");
    rig.push(&feed, &clip().samples, gst::ClockTime::ZERO);
    assert!(rig.harness.push_event(gst::event::FlushStart::new()));
    assert!(rig.harness.push_event(gst::event::FlushStop::new(true)));
    rig.collect();
    let (before, loads) = (rig.heard.texts.len(), rig.heard.progress.len());
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    assert!(rig.harness.push_event(gst::event::Segment::new(&segment)));
    let other = named("librivox-sense-0890");
    rig.push(&feed, &other.samples, gst::ClockTime::ZERO);
    rig.finish();
    let after: Vec<String> = rig.heard.texts[before..].iter().map(|t| t.text.clone()).collect();
    assert_says(other, &after.join(" "));
    assert!(rig.heard.progress.len() <= loads + 1, "the model was loaded again: {:?}", rig.heard.progress);
    let stats = rig.element().property::<gst::Structure>("stats");
    let count = |name: &str| stats.get::<u64>(name).unwrap();
    assert_eq!(count("finals-submitted"), count("finals") + count("finals-flushed") + count("finals-failed"));
}

#[test]
fn a_flush_while_upstream_waits_for_room_frees_it() {
    let feed = Feed { buffer: 1.0, ..Feed::default() };
    let mut rig = Rig::new(&feed, "partials=none");
    let audio = Composition::long().samples.repeat(3);
    let pad = rig.harness.srcpad().unwrap();
    let pushed = std::thread::spawn({
        let buffers = feed.buffers(&audio, gst::ClockTime::ZERO);
        move || buffers.into_iter().map(|b| pad.push(b)).find_map(Result::err)
    });
    rig.wait("the first text", |heard| !heard.texts.is_empty());
    assert!(rig.harness.push_event(gst::event::FlushStart::new()));
    assert_eq!(pushed.join().unwrap(), Some(gst::FlowError::Flushing));
    assert!(rig.harness.push_event(gst::event::FlushStop::new(true)));
}

#[test]
fn pushed_faster_than_real_time_nothing_is_lost() {
    let signal = Composition::long();
    let audio = signal.samples.repeat(2);
    let heard = transcribe(&audio, &Feed { buffer: 0.5, ..Feed::default() }, "");
    let twice = format!("{} {}", signal.text(), signal.text());
    let errors = word_errors(&twice, &heard.text());
    assert!(errors.percent() <= 5.0, "{errors}");
    assert_eq!(heard.named("speech-start").count(), heard.named("final").count());
    assert_eq!(heard.named("speech-end").count(), heard.named("final").count());
}

#[test]
fn caps_may_change_on_the_way() {
    let feed = Feed::default();
    let mut rig = Rig::new(&feed, "partials=none");
    rig.push(&feed, &clip().samples, gst::ClockTime::ZERO);
    let at = gst::ClockTime::from_nseconds(clip().samples.len() as u64 * 62_500);
    let other = Feed { format: crate::common::Format::S16, rate: 48_000, channels: 2, ..Feed::default() };
    assert!(rig.harness.push_event(gst::event::Caps::new(&other.caps())));
    rig.push(&other, &clip().samples, at);
    rig.finish();
    let texts = &rig.heard.texts;
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!((texts[1].start - seconds(at) - clip().speech.start).abs() < 0.2, "{texts:?}");
}

#[test]
fn nothing_but_silence_then_eos_is_fine() {
    let heard = transcribe(&silence(0.01), &Feed::default(), "");
    assert!(heard.eos && heard.texts.is_empty());
}
