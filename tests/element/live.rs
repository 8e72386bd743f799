//! Live pipelines: the latency answer, how long utterances may be, and what happens when inference is slow.

use e2e_tests::clips::{all, named, Composition};
use e2e_tests::wer::word_errors;
use gst::prelude::*;

use crate::common::heard::field;
use crate::common::{Feed, Rig};

fn latency(rig: &Rig) -> (bool, gst::ClockTime, Option<gst::ClockTime>) {
    let mut query = gst::query::Latency::new();
    assert!(rig.element().static_pad("src").unwrap().query(&mut query));
    query.result()
}

#[test]
fn the_latency_answer_is_upstreams_and_ours() {
    let feed = Feed { live: true, ..Feed::default() };
    let mut rig = Rig::new(&feed, "latency=4000");
    rig.harness.set_upstream_latency(gst::ClockTime::from_mseconds(30));
    assert_eq!(latency(&rig).1, gst::ClockTime::from_mseconds(4_030));
    assert!(latency(&rig).0);

    let rig = Rig::new(&Feed::default(), "latency=4000");
    let (live, min, _) = latency(&rig);
    assert!(!live && min.is_zero());
}

#[test]
fn paused_is_reached_at_once_without_caps_or_model() {
    crate::common::init();
    let pipeline = gst::parse::launch("fakesrc is-live=true ! whispertranscribe name=w latency=7000 ! fakesink")
        .unwrap()
        .downcast::<gst::Pipeline>()
        .unwrap();
    for _ in 0..5 {
        let started = std::time::Instant::now();
        pipeline.set_state(gst::State::Paused).unwrap();
        let mut query = gst::query::Latency::new();
        assert!(pipeline.by_name("w").unwrap().static_pad("src").unwrap().query(&mut query));
        assert_eq!(query.result().1, gst::ClockTime::from_seconds(7));
        pipeline.set_state(gst::State::Null).unwrap();
        assert!(started.elapsed().as_secs() < 5);
    }
}

#[test]
fn utterances_fit_into_the_latency_and_no_word_is_lost_at_the_cuts() {
    let feed = Feed { live: true, ..Feed::default() };
    let mut rig = Rig::new(&feed, "latency=6000 partials=none");
    let signal = Composition::new()
        .silence(0.5)
        .clip(named("librispeech-2412-153948-0000"))
        .clip(named("librivox-sense-0870"))
        .silence(1.0);
    rig.push(&feed, &signal.samples, gst::ClockTime::ZERO);
    rig.finish();
    for last in rig.heard.named("final") {
        let length = field(last, "end") - field(last, "start");
        assert!(length <= 4.6, "an utterance of {length} s in a budget of 6 s");
    }
    let errors = word_errors(&signal.text(), &rig.heard.text());
    assert!(errors.percent() <= 12.0, "{errors}");
}

#[test]
fn gaps_keep_within_the_latency_while_somebody_talks_on() {
    let feed = Feed { live: true, ..Feed::default() };
    let mut rig = Rig::new(&feed, "latency=4000 partials=none");
    let audio = &named("librispeech-2412-153948-0000").samples;
    let mut pushed = 0.0;
    for buffer in feed.buffers(audio, gst::ClockTime::ZERO) {
        rig.harness.push(buffer).unwrap();
        pushed += 0.02;
    }
    rig.wait("gaps up to the latency", |heard| {
        let texts = heard.texts.last().map_or(0.0, |t| t.end);
        heard.gaps.last().map_or(0.0, |g| g.1).max(texts) >= pushed - 4.0 - 0.2
    });
}

#[test]
fn a_live_source_is_never_held_up() {
    let feed = Feed { live: true, buffer: 0.1, ..Feed::default() };
    // Beam search over the whole context, on one thread: slower than the audio is pushed by far.
    let mut rig = Rig::new(&feed, "beam-size=5 context-floor=30000 threads=1 latency=2000");
    let clips: Vec<_> = all().iter().take(3).collect();
    let signal = Composition::new().clips(clips, 0.8);
    let started = std::time::Instant::now();
    rig.push(&feed, &signal.samples, gst::ClockTime::ZERO);
    let pushing = started.elapsed();
    rig.finish();
    let all = started.elapsed();
    assert!(pushing < all / 2, "pushing took {pushing:?} of {all:?}");
    // Queued, late, but all there.
    let errors = word_errors(&signal.text(), &rig.heard.text());
    assert!(errors.percent() <= 12.0, "{errors}");
}

#[test]
fn late_text_is_told_by_a_qos_message() {
    crate::common::init();
    let feed = Feed { live: true, ..Feed::default() };
    let mut rig =
        Rig::new(&feed, "latency=1000 min-silence=500 beam-size=5 context-floor=30000 threads=1 partials=none");
    rig.harness.use_systemclock();
    rig.push(&feed, &named("librivox-sense-0880").samples, gst::ClockTime::ZERO);
    // The pipeline's clock goes on although no more audio comes, until the least latency of 3.5 s is over.
    std::thread::sleep(std::time::Duration::from_secs(5));
    rig.finish();
    assert!(rig.heard.qos >= 1);
}

#[test]
fn a_backlog_past_the_limit_is_an_error_with_the_figure() {
    let feed = Feed { live: true, buffer: 1.0, ..Feed::default() };
    let mut rig = Rig::new(&feed, "beam-size=8 context-floor=30000 threads=1 max-backlog=20 partials=none");
    let audio = Composition::long().samples.repeat(4);
    let mut refused = false;
    for buffer in feed.buffers(&audio, gst::ClockTime::ZERO) {
        if rig.harness.push(buffer).is_err() {
            refused = true;
            break;
        }
    }
    assert!(refused);
    rig.collect();
    assert!(
        rig.heard.errors.iter().any(|e| e.contains("max-backlog") && e.contains("behind")),
        "{:?}",
        rig.heard.errors
    );
    // It was told beforehand, once.
    let warnings: Vec<_> = rig.heard.warnings.iter().filter(|w| w.contains("max-backlog")).collect();
    assert!(matches!(warnings[..], [w] if w.contains(" s behind") && w.contains("20 s")), "{:?}", rig.heard.warnings);
    let stats = rig.element().property::<gst::Structure>("stats");
    assert_eq!(stats.get::<u64>("backlog-warnings"), Ok(1));
    assert!(stats.get::<f64>("peak-backlog").unwrap() > 20.0);
}
