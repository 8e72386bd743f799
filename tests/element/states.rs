//! State changes, properties while playing, and memory.

use e2e_tests::audio::silence;
use e2e_tests::clips::{named, Composition};
use e2e_tests::rss::Footprint;
use e2e_tests::wer::word_errors;
use gst::prelude::*;

use crate::common::{Feed, Rig};

#[test]
fn ready_and_playing_any_number_of_times() {
    let feed = Feed::default();
    let clip = named("librivox-sense-0930");
    let mut rig = Rig::new(&feed, "partials=none");
    let mut texts = Vec::new();
    for _ in 0..6 {
        rig.push(&feed, &clip.samples, gst::ClockTime::ZERO);
        rig.finish();
        let heard = std::mem::take(&mut rig.heard);
        texts.push(heard.text());
        rig.element().set_state(gst::State::Ready).unwrap();
        rig.element().set_state(gst::State::Playing).unwrap();
        for event in [
            gst::event::StreamStart::new("again"),
            gst::event::Caps::new(&feed.caps()),
            gst::event::Segment::new(&gst::FormattedSegment::<gst::ClockTime>::new()),
        ] {
            assert!(rig.harness.push_event(event));
        }
    }
    assert!(word_errors(&clip.text, &texts[0]).percent() <= 30.0, "{texts:?}");
    assert!(texts.iter().all(|t| t == &texts[0]), "audio of one run must not leak into the next: {texts:?}");
}

#[test]
fn stopped_in_the_middle_at_any_moment() {
    let feed = Feed { buffer: 0.1, ..Feed::default() };
    let audio = Composition::long().samples;
    for step in 0..12 {
        let mut rig = Rig::new(&feed, "");
        for buffer in feed.buffers(&audio, gst::ClockTime::ZERO).into_iter().take(10 + step * 17) {
            rig.harness.push(buffer).unwrap();
        }
        if step % 3 == 0 {
            std::thread::sleep(std::time::Duration::from_millis(40 * step as u64));
        }
        rig.element().set_state(gst::State::Null).unwrap();
        rig.collect();
        assert!(rig.heard.errors.is_empty(), "{:?}", rig.heard.errors);
    }
}

#[test]
fn partials_and_prompt_can_be_changed_while_playing() {
    let feed = Feed::default();
    let mut rig = Rig::new(&feed, "partials=none");
    rig.push(&feed, &named("librivox-sense-0930").samples, gst::ClockTime::ZERO);
    rig.element().set_property_from_str("partials", "interval");
    rig.element().set_property("initial-prompt", "Sense and Sensibility.");
    rig.element().set_property("language", "xx-nonsense");
    rig.collect();
    assert!(rig.heard.warnings.iter().any(|w| w.contains("xx-nonsense")), "{:?}", rig.heard.warnings);
    rig.finish();
    assert!(!rig.heard.texts.is_empty());
}

#[test]
fn a_language_that_the_model_does_not_know_changes_nothing_while_playing() {
    let feed = Feed::default();
    let mut rig = Rig::new(&feed, "partials=none");
    let signal = [&named("librivox-sense-0930").samples[..], &[0.0; 24_000]].concat();
    rig.push(&feed, &signal, gst::ClockTime::ZERO);
    // With the first text, the model is there to be asked.
    rig.wait("a text", |heard| !heard.texts.is_empty());
    rig.element().set_property("language", "de");
    rig.collect();
    assert!(rig.heard.warnings.iter().any(|w| w.contains("multilingual")), "{:?}", rig.heard.warnings);
    rig.push(&feed, &signal, gst::ClockTime::from_nseconds(signal.len() as u64 * 62_500));
    rig.finish();
    assert!(rig.heard.errors.is_empty() && rig.heard.texts.len() > 1, "{:?}", rig.heard);
}

#[test]
fn a_language_that_the_model_does_not_know_changes_nothing_while_it_is_loaded() {
    let feed = Feed::default();
    let mut rig = Rig::new(&feed, "");
    rig.element().set_property("language", "de");
    let clip = named("librivox-sense-0930");
    rig.push(&feed, &[&clip.samples[..], &[0.0; 24_000]].concat(), gst::ClockTime::ZERO);
    rig.finish();
    assert!(rig.heard.errors.is_empty(), "{:?}", rig.heard.errors);
    assert!(rig.heard.warnings.iter().any(|w| w.contains("multilingual")), "{:?}", rig.heard.warnings);
    let errors = e2e_tests::wer::word_errors(&clip.text, &rig.heard.text());
    assert!(errors.errors() <= 1, "{errors}");
}

#[test]
fn a_final_comes_on_request() {
    let feed = Feed::default();
    let requests: [fn(&mut Rig); 2] = [
        |rig| rig.element().emit_by_name::<()>("finalize", &[]),
        |rig| {
            let finalize = gst::Structure::new_empty("whispertranscribe/finalize");
            assert!(rig.harness.push_event(gst::event::CustomDownstream::new(finalize)));
        },
    ];
    for request in requests {
        let mut rig = Rig::new(&feed, "");
        // To the middle of a sentence, no pause behind it.
        let audio = &named("librispeech-2412-153948-0000").samples;
        rig.push(&feed, &audio[..4 * 16_000], gst::ClockTime::ZERO);
        request(&mut rig);
        rig.wait("the final", |heard| !heard.texts.is_empty());
        assert!(!rig.heard.eos && rig.heard.texts[0].text.contains("reader"), "{:?}", rig.heard.texts);
        rig.push(&feed, &audio[4 * 16_000..], gst::ClockTime::from_seconds(4));
        rig.finish();
        let text = rig.heard.text();
        let errors = e2e_tests::wer::word_errors(&named("librispeech-2412-153948-0000").text, &text);
        assert!(errors.errors() <= 3, "{errors}");
    }
}

#[test]
fn memory_is_flat_over_many_short_lives() {
    let feed = Feed { buffer: 0.1, ..Feed::default() };
    let audio = [named("librivox-sense-0880").samples.clone(), silence(0.7)].concat();
    let live = |n: usize| {
        for _ in 0..n {
            let mut rig = Rig::new(&feed, "partials=none");
            rig.push(&feed, &audio, gst::ClockTime::ZERO);
            rig.finish();
        }
    };
    // The model stays loaded, so that what grows is ours.
    let _keep = Rig::new(&feed, "partials=none");
    live(5);
    let before = Footprint::own().unwrap();
    live(25);
    let after = Footprint::own().unwrap();
    let grown = after.rss.saturating_sub(before.rss) >> 20;
    assert!(grown < 30, "{grown} MiB more after 25 lives");
    assert!(after.threads <= before.threads + 2, "{} threads, before {}", after.threads, before.threads);
}
