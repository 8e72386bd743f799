//! How soon a word appears and whether it stays, for each partial policy and several intervals.
//!
//! The core is driven in virtual time ([`e2e_tests::replay`]), so that the figures of a method depend on neither the
//! machine nor what else it does; only what decoding adds to them does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use e2e_tests::clips::Composition;
use e2e_tests::replay::{measure as delays, Delays, Memo, Pace, Replay};
use e2e_tests::wer::word_errors;
use transcribe_core::engine::{DecodeOptions, Engine};
use transcribe_core::partials::PartialPolicy;
use transcribe_core::samples_from_ms;
use transcribe_core::stream::StreamConfig;
use transcribe_core::vad::{self, VadKind};

use crate::driver::{tiny_en, PACKET};
use crate::measure::{quantile, Candidate};
use crate::plot::{curves, Curve};
use crate::table::{head, heading, number, row};

/// Milliseconds between partials.
const INTERVALS: [u64; 3] = [250, 500, 1000];
/// The policies, each with all intervals.
const KINDS: [Kind; 6] = [
    Kind::Interval,
    Kind::Agreement(2),
    Kind::Agreement(3),
    Kind::AlignAtt(100),
    Kind::AlignAtt(300),
    Kind::AlignAtt(600),
];
/// The policy that the aims are about.
const JUDGED: Method = (Kind::Agreement(2), 500);
/// No partials at all.
const FINALS: Method = (Kind::None, 500);
/// Samples in a buffer, beside those of all other replays.
const PACKETS: [usize; 2] = [1601, 16_000];
/// The aims: seconds, seconds, percent, points.
const COMMITTED: f64 = 1.0;
const FIRST: f64 = 0.7;
const FLICKER: f64 = 15.0;
const POINTS: f64 = 1.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    Interval,
    Agreement(usize),
    /// Milliseconds before the audio's end.
    AlignAtt(u64),
}

impl Kind {
    fn name(self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Interval => "interval".to_owned(),
            Self::Agreement(agree) => format!("local agreement, n = {agree}"),
            Self::AlignAtt(margin) => format!("AlignAtt, {margin} ms"),
        }
    }

    fn policy(self, interval: u64) -> PartialPolicy {
        let every = samples_from_ms(interval);
        match self {
            Self::None => PartialPolicy::None,
            Self::Interval => PartialPolicy::Interval { every },
            Self::Agreement(agree) => PartialPolicy::LocalAgreement { every, agree },
            Self::AlignAtt(margin) => PartialPolicy::AlignAtt { every, margin: samples_from_ms(margin) },
        }
    }
}

/// A policy and the milliseconds between its partials.
type Method = (Kind, u64);

/// What is needed for a replay.
struct Stage {
    signal: Composition,
    engine: Arc<dyn Engine>,
}

impl Stage {
    fn play(&self, (kind, interval): Method, pace: Pace, packet: usize, engine: &Arc<dyn Engine>) -> Result<Replay> {
        let decode = DecodeOptions { language: Some("en".into()), ..DecodeOptions::default() };
        let config = StreamConfig { partials: kind.policy(interval), decode, ..StreamConfig::default() };
        let mut detector = vad::load(VadKind::Silero, None)?;
        Ok(Replay::of(&self.signal.samples, packet, config, pace, detector.as_mut(), engine)?)
    }

    /// Replays in which decoding takes no time, on all cores.
    fn play_all(&self, methods: &[(Method, usize)]) -> Result<Vec<Replay>> {
        let next = AtomicUsize::new(0);
        // Policies ask for the same decodings.
        let engine: Arc<dyn Engine> = Arc::new(Memo::new(self.engine.clone()));
        let replays: Mutex<Vec<(usize, Result<Replay>)>> = Mutex::default();
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(|| loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some((method, packet)) = methods.get(i) else { break };
                    let replay = self.play(*method, Pace::Audio, *packet, &engine);
                    replays.lock().unwrap_or_else(PoisonError::into_inner).push((i, replay));
                });
            }
        });
        let mut replays = replays.into_inner().unwrap_or_else(PoisonError::into_inner);
        replays.sort_by_key(|(i, _)| *i);
        replays.into_iter().map(|(_, replay)| replay).collect()
    }

    fn errors(&self, replay: &Replay) -> f64 {
        word_errors(&self.signal.text(), &replay.text()).percent()
    }
}

/// A point of the plots.
struct Point {
    method: Method,
    shown: f64,
    committed: f64,
    with_tail: f64,
    unstable: f64,
}

pub(crate) fn measure(quick: bool) -> Result<()> {
    let model = Candidate { name: "tiny.en q8_0", path: tiny_en() }.load()?;
    let stage = Stage { signal: Composition::long(), engine: model.engine().clone() };
    heading(&format!("Delay: when words of {:.1} s of speech appear, tiny.en q8_0", stage.signal.seconds()));
    head(&[
        "partials",
        "interval ms",
        "word committed: mean / p90 s",
        "word first shown: mean / p90 s",
        "first partial: mean / max s",
        "final: mean / max s",
        "with decoding: committed mean, shown mean, first partial mean, final mean / max s",
        "changed, without the last word %",
        "changed, with it %",
        "committed and changed",
        "word errors %",
        "decodings",
        "CPU s per minute of audio",
    ]);
    let methods: Vec<Method> = match quick {
        true => vec![FINALS, JUDGED],
        false => {
            let all = KINDS.into_iter().flat_map(|kind| INTERVALS.map(|interval| (kind, interval)));
            std::iter::once(FINALS).chain(all).collect()
        }
    };
    let others: &[usize] = if quick { &PACKETS[..1] } else { &PACKETS };
    let mut wanted: Vec<(Method, usize)> = methods.iter().map(|method| (*method, PACKET)).collect();
    wanted.extend(others.iter().map(|packet| (JUDGED, *packet)));
    let replays = stage.play_all(&wanted)?;
    let (replays, others) = replays.split_at(methods.len());
    let whole = replays.first().context("there is no replay")?;
    let own = stage.errors(whole);
    let mut points = Vec::new();
    let mut verdict = Vec::new();
    for (method, replay) in methods.iter().zip(replays) {
        // One after another, since what decoding takes of a core is measured.
        let computed = stage.play(*method, Pace::Computed, PACKET, &stage.engine)?;
        let (aside, real) = (delays(replay, whole), delays(&computed, whole));
        let errors = stage.errors(replay);
        show(*method, &aside, &real, errors, replay, computed.busy * 60.0 / stage.signal.seconds());
        if *method != FINALS {
            points.push(Point {
                method: *method,
                shown: mean(&aside.shown),
                committed: mean(&aside.committed),
                with_tail: aside.with_tail.percent(),
                unstable: aside.unstable.percent(),
            });
        }
        if *method == JUDGED {
            verdict = judge(&aside, errors, own);
            let same = others.iter().all(|other| words(other) == words(replay));
            let figure = if same { "the same" } else { "other words" };
            verdict.push(aim("the same finals and partials for buffers of other sizes", figure, same));
        }
    }
    println!(
        "\n\"Word committed\" and \"first shown\" count from the end of each word to the result that has it as stable, or at \
         all; a final commits what is left. When a word was spoken is not in the transcripts: it is taken from the word \
         times of the final that was decoded in one piece, matched by the alignment that the word error rate rests on, so \
         that words that the model gets wrong are left out. \"First partial\" counts from the start of the utterance, \
         \"final\" from its end as the detector reports it. The first four columns take decoding as instantaneous \
         (computation-unaware); \"with decoding\" lets one worker take the CPU time that it needs here. \"Changed\" are \
         words that were shown, not as committed, and not there any more in a later result; the last word is reported \
         apart from the others.\n"
    );
    verdict.iter().for_each(|line| println!("{line}"));
    plot(&points)
}

/// All text in order.
fn words(replay: &Replay) -> Vec<String> {
    let partials = replay.partials().map(|(_, p)| format!("{}|{}|{}", p.stable, p.unstable, p.tail));
    partials.chain([replay.text()]).collect()
}

fn show((kind, interval): Method, aside: &Delays, real: &Delays, errors: f64, replay: &Replay, cpu: f64) {
    let pair =
        |values: &[f64], share: f64| format!("{} / {}", number(mean(values), 2), number(quantile(values, share), 2));
    let partials = kind != Kind::None;
    let only = |text: String| if partials { text } else { "–".to_owned() };
    row(&[
        kind.name(),
        only(interval.to_string()),
        pair(&aside.committed, 0.9),
        pair(&aside.shown, 0.9),
        only(pair(&aside.first_partial, 1.0)),
        pair(&aside.last, 1.0),
        format!(
            "{}, {}, {}, {}",
            number(mean(&real.committed), 2),
            number(mean(&real.shown), 2),
            only(number(mean(&real.first_partial), 2)),
            pair(&real.last, 1.0)
        ),
        only(number(aside.unstable.percent(), 1)),
        only(number(aside.with_tail.percent(), 1)),
        aside.broken.to_string(),
        number(errors, 1),
        replay.jobs.to_string(),
        number(cpu, 1),
    ]);
}

/// The aims.
fn judge(delays: &Delays, errors: f64, own: f64) -> Vec<String> {
    let committed = mean(&delays.committed);
    let first = mean(&delays.first_partial);
    let flicker = delays.unstable.percent();
    let (kind, interval) = JUDGED;
    vec![
        format!("With {}, every {interval} ms:\n", kind.name()),
        aim(
            &format!("word errors at most {POINTS} point more than the finals' {}", number(own, 1)),
            &number(errors, 1),
            errors - own <= POINTS,
        ),
        aim("no committed word changed", &delays.broken.to_string(), delays.broken == 0),
        aim(&format!("committed after {COMMITTED} s on average"), &number(committed, 2), committed <= COMMITTED),
        aim(&format!("first partial after {FIRST} s on average"), &number(first, 2), first <= FIRST),
        aim(&format!("at most {FLICKER} % of the unstable words changed"), &number(flicker, 1), flicker <= FLICKER),
    ]
}

fn aim(what: &str, figure: &str, met: bool) -> String {
    format!("- {what}: {figure}, {}.", if met { "met" } else { "**missed**" })
}

fn plot(points: &[Point]) -> Result<()> {
    let lines = |place: &dyn Fn(&Point) -> (f64, f64)| -> Vec<Curve> {
        let of = |kind: Kind| {
            let label = |point: &Point| format!("{} s", point.method.1 as f64 / 1000.0);
            let points = points.iter().filter(|point| point.method.0 == kind);
            let points = points.map(|point| (place(point).0, place(point).1, label(point))).collect();
            Curve { name: kind.name(), points }
        };
        KINDS.map(of).into_iter().filter(|curve| !curve.points.is_empty()).collect()
    };
    curves(
        "delay-shown.svg",
        "Words first shown: delay against flicker",
        ("mean delay of words first shown, s", "shown words later changed, %"),
        false,
        &lines(&|point| (point.shown, point.with_tail)),
    )?;
    curves(
        "delay-committed.svg",
        "Words committed: delay against flicker without the last word",
        ("mean delay of committed words, s", "unstable words later changed, %"),
        false,
        &lines(&|point| (point.committed, point.unstable)),
    )
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
