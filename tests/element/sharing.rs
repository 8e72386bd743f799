//! Many elements, one model.

use e2e_tests::audio::silence;
use e2e_tests::clips::all;
use e2e_tests::rss::Footprint;
use e2e_tests::wer::word_errors;

use crate::common::{Feed, Rig};

#[test]
fn two_hundred_elements_share_one_model() {
    let feed = Feed { buffer: 0.1, ..Feed::default() };
    let start = |n: usize| -> Vec<Rig> {
        let mut rigs: Vec<Rig> = (0..n).map(|_| Rig::new(&feed, "partials=none")).collect();
        for rig in &mut rigs {
            rig.wait("the model", |heard| heard.progress.iter().any(|p| p.contains("Complete")));
        }
        rigs
    };
    let first = start(2);
    let before = Footprint::own().unwrap().rss;
    let mut rest = start(198);
    let each = Footprint::own().unwrap().rss.saturating_sub(before) / 198;
    // A model of its own would be 40 MiB and more.
    assert!(each < 3 << 20, "{} KiB for each further element", each >> 10);
    for (i, rig) in rest.iter_mut().enumerate().step_by(12) {
        let clip = &all()[i % 5];
        rig.push(&feed, &[clip.samples.clone(), silence(0.7)].concat(), gst::ClockTime::ZERO);
    }
    for (i, rig) in rest.iter_mut().enumerate().step_by(12) {
        rig.finish();
        let errors = word_errors(&all()[i % 5].text, &rig.heard.text());
        assert!(errors.percent() <= 25.0, "element {i}: {errors}");
    }
    drop(first);
}

#[test]
fn streams_at_once_say_what_each_says_alone() {
    let feed = Feed { buffer: 0.1, ..Feed::default() };
    let clips = &all()[..4];
    let alone: Vec<String> =
        clips.iter().map(|c| crate::common::transcribe(&c.samples, &feed, "partials=none").text()).collect();
    let mut rigs: Vec<Rig> = clips.iter().map(|_| Rig::new(&feed, "partials=none")).collect();
    let buffers: Vec<Vec<gst::Buffer>> = clips.iter().map(|c| feed.buffers(&c.samples, gst::ClockTime::ZERO)).collect();
    for i in 0..buffers.iter().map(Vec::len).max().unwrap() {
        for (rig, buffers) in rigs.iter_mut().zip(&buffers) {
            if let Some(buffer) = buffers.get(i) {
                rig.harness.push(buffer.clone()).unwrap();
            }
        }
    }
    for (rig, alone) in rigs.iter_mut().zip(&alone) {
        rig.finish();
        assert_eq!(&rig.heard.text(), alone);
    }
}
