//! What the segmenter makes of probabilities: single behaviours, then invariants over random ones.

use proptest::prelude::*;

use super::{SegmentEvent::*, *};

const F: u64 = FRAME_LENGTH;

/// Round numbers, in frames: speech from 4 frames on, a pause of 8 ends it, a cut at 100 or up to 20 before.
fn config() -> SegmenterConfig {
    SegmenterConfig {
        min_speech: 4 * F,
        min_silence: 8 * F,
        speech_pad: F / 2,
        pre_roll: 3 * F,
        max_utterance: 100 * F,
        cut_reach: 20 * F,
        ..SegmenterConfig::default()
    }
}

fn segmenter() -> Segmenter {
    Segmenter::new(config()).unwrap()
}

fn push(segmenter: &mut Segmenter, probability: f32, frames: u64) {
    (0..frames).for_each(|_| segmenter.push(probability));
}

fn events(segmenter: &mut Segmenter) -> Vec<SegmentEvent> {
    std::iter::from_fn(|| segmenter.poll()).collect()
}

#[test]
fn an_utterance_is_announced_late_but_dated_back_and_ends_where_its_pause_began() {
    let mut s = segmenter();
    push(&mut s, 0.1, 10);
    push(&mut s, 0.9, 3);
    assert_eq!(s.poll(), None, "not long enough yet");
    assert_eq!((s.is_idle(), s.speaking()), (false, None));
    s.push(0.9);
    let (at, audio_start) = (10 * F - F / 2, 7 * F - F / 2);
    assert_eq!(events(&mut s), [SpeechStart { utterance: 0, at, audio_start }]);
    assert_eq!(s.speaking(), Some(Running { utterance: 0, start: at, audio_start }));
    push(&mut s, 0.9, 6);
    push(&mut s, 0.1, 7);
    assert_eq!(s.poll(), None);
    s.push(0.1);
    assert_eq!(s.position(), 20 * F + s.config().endpoint_delay());
    let (speech, audio) = (at..20 * F + F / 2, audio_start..23 * F + F / 2);
    assert_eq!(events(&mut s), [SpeechEnd { utterance: 0, speech, audio, forced: false }]);
    assert!(s.is_idle());
}

#[test]
fn clicks_are_dropped_and_take_no_number() {
    let mut s = segmenter();
    push(&mut s, 0.9, 3);
    push(&mut s, 0.0, 20);
    assert!(events(&mut s).is_empty() && s.is_idle());
    push(&mut s, 0.9, 4);
    assert!(matches!(events(&mut s)[..], [SpeechStart { utterance: 0, .. }]));
}

#[test]
fn short_sounds_with_short_pauses_make_an_utterance_together() {
    let mut s = segmenter();
    for (probability, frames) in [(0.9, 2), (0.0, 6), (0.9, 2)] {
        push(&mut s, probability, frames);
    }
    assert_eq!(events(&mut s), [SpeechStart { utterance: 0, at: 0, audio_start: 0 }]);
}

#[test]
fn speech_goes_on_between_the_thresholds_but_a_pause_only_ends_over_the_upper_one() {
    let mut s = segmenter();
    push(&mut s, 0.9, 4);
    push(&mut s, 0.4, 50);
    assert!(matches!(events(&mut s)[..], [SpeechStart { .. }]));
    s.push(0.1);
    push(&mut s, 0.4, 7);
    assert!(matches!(&events(&mut s)[..], [SpeechEnd { speech, .. }] if *speech == (0..54 * F + F / 2)));
}

#[test]
fn what_is_no_number_is_silence() {
    let mut s = segmenter();
    push(&mut s, f32::NAN, 20);
    assert!(s.is_idle());
    push(&mut s, 0.9, 10);
    push(&mut s, f32::NAN, 8);
    assert_eq!(events(&mut s).len(), 2);
}

#[test]
fn a_long_utterance_is_cut_at_its_quietest_moment_and_goes_on_at_the_same_sample() {
    let mut s = segmenter();
    push(&mut s, 0.9, 90);
    push(&mut s, 0.45, 3);
    push(&mut s, 0.9, 8);
    let at = 91 * F + F / 2;
    assert_eq!(
        events(&mut s),
        [
            SpeechStart { utterance: 0, at: 0, audio_start: 0 },
            SpeechEnd { utterance: 0, speech: 0..at, audio: 0..at, forced: true },
            SpeechStart { utterance: 1, at, audio_start: at },
        ]
    );
    assert_eq!(s.speaking().map(|running| running.audio_start), Some(at));
    s.finish(101 * F);
    let whole = at..101 * F;
    assert_eq!(events(&mut s), [SpeechEnd { utterance: 1, speech: whole.clone(), audio: whole, forced: false }]);
}

#[test]
fn the_later_of_equally_quiet_moments_is_taken() {
    let mut s = segmenter();
    push(&mut s, 0.75, 100);
    assert!(matches!(events(&mut s)[1], SpeechEnd { ref audio, .. } if audio.end == 99 * F + F / 2));
}

#[test]
fn a_pause_at_the_length_limit_is_waited_out() {
    let speak_past_the_limit = || {
        let mut s = segmenter();
        push(&mut s, 0.9, 97);
        push(&mut s, 0.0, 7);
        assert_eq!(events(&mut s).len(), 1);
        s
    };
    let mut ends = speak_past_the_limit();
    ends.push(0.0);
    let audio = 0..100 * F;
    assert!(matches!(&events(&mut ends)[..], [SpeechEnd { audio: a, forced: false, .. }] if *a == audio));
    let mut goes_on = speak_past_the_limit();
    goes_on.push(0.9);
    let found = events(&mut goes_on);
    let at = 99 * F + F / 2;
    assert!(matches!(&found[0], SpeechEnd { audio: a, forced: true, .. } if a.end == at), "{found:?}");
    assert_eq!(found[1], SpeechStart { utterance: 1, at, audio_start: at });
}

#[test]
fn a_lowered_limit_cuts_the_utterance_that_is_longer_already() {
    let mut s = segmenter();
    push(&mut s, 0.9, 80);
    s.set_max_utterance(60 * F).unwrap();
    s.push(0.9);
    let found = events(&mut s);
    assert!(matches!(&found[1], SpeechEnd { audio, forced: true, .. } if audio.end > 61 * F), "{found:?}");
    assert_eq!(found.len(), 3);
    assert!(s.set_max_utterance(10 * F).is_err());
    assert_eq!(s.config().max_utterance, 60 * F);
}

#[test]
fn rare_sounds_do_not_add_up_for_ever() {
    let mut s = Segmenter::new(SegmenterConfig { min_speech: 20 * F, ..config() }).unwrap();
    for _ in 0..200 {
        s.push(0.9);
        push(&mut s, 0.0, 6);
        assert!(s.position() - s.earliest_start() <= 108 * F);
    }
    assert!(events(&mut s).is_empty());
    push(&mut s, 0.9, 20);
    assert_eq!(events(&mut s).len(), 1);
}

#[test]
fn the_end_of_the_audio_closes_an_utterance_inside_a_frame() {
    let mut s = segmenter();
    push(&mut s, 0.9, 10);
    s.finish(10 * F + 100);
    let whole = 0..10 * F + 100;
    assert_eq!(events(&mut s)[1], SpeechEnd { utterance: 0, speech: whole.clone(), audio: whole, forced: false });
    assert!(s.is_idle());
    s.finish(s.position());
    assert_eq!(s.poll(), None);
}

#[test]
fn the_end_of_the_audio_drops_speech_that_is_too_short() {
    let mut s = segmenter();
    push(&mut s, 0.9, 3);
    s.finish(3 * F + 100);
    assert!(events(&mut s).is_empty());
    push(&mut s, 0.9, 3);
    s.finish(7 * F + 100);
    assert_eq!(events(&mut s).len(), 2, "with the rest of a frame it is long enough");
}

#[test]
fn a_new_position_starts_afresh_but_numbers_go_on() {
    let mut s = segmenter();
    push(&mut s, 0.9, 10);
    s.finish(10 * F);
    s.resume(1_000_001);
    assert_eq!((s.position(), s.earliest_start()), (1_000_001, 1_000_001));
    push(&mut s, 0.9, 4);
    let start = SpeechStart { utterance: 1, at: 1_000_001, audio_start: 1_000_001 };
    assert_eq!(events(&mut s).pop(), Some(start));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let refused = |config: SegmenterConfig| Segmenter::new(config).unwrap_err();
    for threshold in [0.0, -1.0, 1.1, f32::NAN] {
        assert!(matches!(refused(SegmenterConfig { threshold, ..config() }), ConfigError::Threshold(_)));
    }
    for negative in [0.0, 0.6, f32::NAN] {
        let error = refused(SegmenterConfig { negative_threshold: Some(negative), ..config() });
        assert!(matches!(error, ConfigError::NegativeThreshold { .. }));
    }
    let error = refused(SegmenterConfig { min_silence: u64::MAX, ..config() });
    assert!(matches!(error, ConfigError::Duration { name: "min_silence", .. }));
    let error = refused(SegmenterConfig { max_utterance: 16_000, ..SegmenterConfig::default() });
    assert!(error.to_string().contains("1000 ms"), "{error}");
    let least = config().least_max_utterance();
    assert!(Segmenter::new(SegmenterConfig { max_utterance: least, ..config() }).is_ok());
    assert!(Segmenter::new(SegmenterConfig { max_utterance: least - 1, ..config() }).is_err());
    assert!(Segmenter::new(SegmenterConfig { threshold: 0.005, ..config() }).is_ok());
}

/// What happens to a stream.
#[derive(Debug, Clone)]
enum Step {
    /// Frames of one probability.
    Push(f32, u64),
    Skip(u64),
    /// A drain, the end this far behind the last frame.
    Finish(u64),
    /// A jump.
    Resume(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let probability = prop_oneof![0.0_f32..=1.0, Just(0.0), Just(0.95), Just(f32::NAN)];
    let step = prop_oneof![
        40 => (probability, 1_u64..25).prop_map(|(p, n)| Step::Push(p, n)),
        4 => (0_u64..40).prop_map(Step::Skip),
        1 => (0..F).prop_map(Step::Finish),
        1 => (0_u64..100_000).prop_map(Step::Resume),
    ];
    proptest::collection::vec(step, 1..80)
}

fn configs() -> impl Strategy<Value = SegmenterConfig> {
    let durations = (0_u64..6_000, 0_u64..9_000, 0_u64..3_000, 0_u64..6_000);
    (0.05_f32..0.95, 0.1_f32..=1.0, durations, 0_u64..40_000, 0_u64..60_000).prop_map(
        |(threshold, ratio, (min_speech, min_silence, speech_pad, pre_roll), cut_reach, longer)| {
            let mut config = SegmenterConfig {
                threshold,
                negative_threshold: Some(threshold * ratio),
                min_speech,
                min_silence,
                speech_pad,
                pre_roll,
                max_utterance: 0,
                cut_reach,
            };
            config.max_utterance = config.least_max_utterance() + longer;
            config
        },
    )
}

fn apply(s: &mut Segmenter, step: &Step) {
    match *step {
        Step::Push(probability, frames) => push(s, probability, frames),
        Step::Skip(frames) => s.skip(frames),
        Step::Finish(rest) => s.finish(s.position() + rest),
        Step::Resume(by) => s.resume(s.position() + by),
    }
}

/// Checks the order of events and the ranges in them; holds the audio of the utterances that are over.
#[derive(Default)]
struct Checker {
    running: Option<Running>,
    over: Vec<Range<Position>>,
    reported_to: Position,
    forced: bool,
}

impl Checker {
    fn take(&mut self, event: SegmentEvent, earliest: Position, position: Position, config: &SegmenterConfig) {
        let taken = self.over.last().map_or(0, |audio| audio.end);
        match event {
            SpeechStart { utterance, at, audio_start } => {
                assert_eq!((self.running, utterance), (None, self.over.len() as u64));
                assert!(taken <= audio_start && audio_start <= at && self.reported_to <= at && at < position);
                assert!(earliest <= audio_start || self.forced, "{earliest} {audio_start}");
                assert!(!self.forced || (at, audio_start) == (taken, taken));
                self.running = Some(Running { utterance, start: at, audio_start });
            }
            SpeechEnd { utterance, speech, audio, forced } => {
                let running = self.running.take().unwrap();
                assert_eq!((running.utterance, running.start), (utterance, speech.start));
                assert_eq!(running.audio_start, audio.start);
                assert!(speech.start < speech.end && speech.end <= audio.end && audio.end <= position);
                assert!(audio.end - audio.start <= config.max_utterance, "{audio:?}");
                (self.reported_to, self.forced) = (speech.end, forced);
                self.over.push(audio);
                return;
            }
        }
        self.forced = false;
    }
}

proptest! {
    #[test]
    fn utterances_are_ordered_apart_and_complete(config in configs(), steps in steps()) {
        let mut s = Segmenter::new(config.clone()).unwrap();
        let mut checker = Checker::default();
        let mut runs: Vec<Range<Position>> = Vec::new();
        for step in &steps {
            let frames = match step { Step::Push(_, n) => *n, _ => 1 };
            for _ in 0..frames {
                let (before, earliest) = (s.position(), s.earliest_start());
                let single = match step { Step::Push(p, _) => Step::Push(*p, 1), other => other.clone() };
                apply(&mut s, &single);
                if !matches!(single, Step::Push(..)) {
                    runs.push(s.position()..s.position());
                }
                if matches!(single, Step::Push(p, _) if p >= config.threshold) {
                    match runs.last_mut() {
                        Some(run) if run.end == before => run.end = s.position(),
                        _ => runs.push(before..s.position()),
                    }
                }
                while let Some(event) = s.poll() {
                    checker.take(event, earliest, s.position(), &config);
                }
                prop_assert_eq!(checker.running, s.speaking());
                prop_assert!(!checker.forced, "a forced end has the next start right behind it");
                prop_assert!(earliest <= s.earliest_start() && s.earliest_start() <= s.position());
            }
        }
        s.finish(s.position());
        while let Some(event) = s.poll() {
            checker.take(event, 0, s.position(), &config);
        }
        prop_assert!(s.is_idle() && checker.running.is_none());
        for run in runs.iter().filter(|run| run.end - run.start >= config.min_speech.max(1)) {
            let mut covered = run.start;
            for audio in checker.over.iter().filter(|audio| audio.start <= run.end) {
                if audio.start <= covered { covered = covered.max(audio.end); }
            }
            prop_assert!(covered >= run.end, "{run:?} not in {:?}", checker.over);
        }
    }

    #[test]
    fn skipping_is_the_same_as_pushing_silence(config in configs(), steps in steps()) {
        let (mut skips, mut pushes) = (Segmenter::new(config.clone()).unwrap(), Segmenter::new(config).unwrap());
        for step in &steps {
            apply(&mut skips, step);
            let same = match step { Step::Skip(frames) => Step::Push(0.0, *frames), other => other.clone() };
            apply(&mut pushes, &same);
            prop_assert_eq!(events(&mut skips), events(&mut pushes));
            prop_assert_eq!(skips.position(), pushes.position());
            prop_assert_eq!(skips.earliest_start(), pushes.earliest_start());
        }
    }
}
