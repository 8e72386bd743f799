//! The scheduler's rules over virtual time: talkers of several kinds, cores that take a known time for each job, and
//! how long their finals take. Nothing here depends on the speed of the machine.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use super::decide::{About, StreamId, Urgency};
use super::plan::{Batch, Ended, Limits, Outcome, Plan};

/// End of speech to hand-in, as the silence that ends an utterance.
const SILENCE: f64 = 0.5;
/// A final is due so long after it is handed in.
const TARGET: f64 = 1.0;
/// Asked between two partials.
const EVERY: f64 = 0.5;

/// How a stream behaves.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Somebody in a conversation, live: 1 to 6 s of speech, pauses as long.
    Talker,
    /// A recording that is fed as fast as it goes: 60 s of audio may wait, cut into utterances of so many seconds.
    Recording { utterance: f64 },
    /// One who never pauses and asks for partials all the time.
    Nagger { every: f64 },
    /// One of several who speak at the same time: 3 s of each 15.
    Chorus,
}

/// What an engine takes for a job, core-seconds.
#[derive(Debug, Clone, Copy)]
struct Cost {
    partial: f64,
    r#final: f64,
    second: f64,
}

impl Cost {
    /// About what tiny takes on one core.
    const TINY: Self = Self { partial: 0.06, r#final: 0.1, second: 0.02 };

    fn times(self, factor: f64) -> Self {
        Self { partial: factor * self.partial, r#final: factor * self.r#final, second: factor * self.second }
    }

    fn of(&self, about: &About) -> f64 {
        self.second * about.audio_seconds + if about.is_final() { self.r#final } else { self.partial }
    }
}

/// What can happen, at nanoseconds.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The stream begins to speak.
    Speaks(StreamId),
    /// New audio of the utterance that began at nanoseconds `.1`; it ends at `.2`.
    GoesOn(StreamId, u64, u64),
    /// Its end is known.
    Ended(StreamId, u64, u64),
    /// The running batch of this number is done.
    Done(u64),
}

struct Running {
    batch: Batch<()>,
}

/// One run.
struct World {
    plan: Plan<()>,
    now: f64,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    kinds: Vec<Kind>,
    cost: Cost,
    running: BTreeMap<u64, Running>,
    batches: u64,
    random: u64,
    /// Seconds of audio that each recording has waiting.
    waiting: Vec<f64>,
    /// When each stream last asked for a partial.
    asked: Vec<f64>,
    report: Report,
}

/// What came of a run.
#[derive(Debug, Default)]
struct Report {
    /// Seconds from hand-in to result of each final, by stream.
    finals: Vec<Vec<f64>>,
    /// Partials decoded, by stream.
    partials: Vec<u64>,
    /// Seconds of audio in finals, by stream.
    audio: Vec<f64>,
    longest_interval: f64,
}

impl Report {
    fn p95(&self, streams: std::ops::Range<usize>) -> f64 {
        let mut all: Vec<f64> = self.finals[streams].concat();
        all.sort_by(f64::total_cmp);
        all[(all.len() * 95).div_ceil(100) - 1]
    }
}

fn ns(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

impl World {
    fn run(cores: usize, cost: Cost, kinds: &[Kind], seconds: f64) -> (Report, super::Stats) {
        let n = kinds.len();
        let mut world = Self {
            plan: Plan::new(Limits { cores, batch: 1, threads_per_job: 1 }),
            now: 0.0,
            events: BinaryHeap::new(),
            kinds: kinds.to_vec(),
            cost,
            running: BTreeMap::new(),
            batches: 0,
            random: 0x9e37_79b9_7f4a_7c15,
            waiting: vec![0.0; n],
            asked: vec![-60.0; n],
            report: Report {
                finals: vec![Vec::new(); n],
                partials: vec![0; n],
                audio: vec![0.0; n],
                longest_interval: 0.0,
            },
        };
        for stream in 0..n as u64 {
            let within = if matches!(kinds[stream as usize], Kind::Chorus) { 0.03 } else { 3.0 };
            let at = within * world.unit();
            world.at(at, Event::Speaks(stream));
        }
        while let Some(Reverse((at, event))) = world.events.pop() {
            world.now = at as f64 / 1e9;
            if world.now > seconds {
                break;
            }
            world.handle(event);
            world.start();
        }
        let stats = world.plan.stats(world.clock());
        (world.report, stats)
    }

    /// 0 … 1, the same in each run for the same questions (xorshift).
    fn unit(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1u64 << 53) as f64
    }

    fn at(&mut self, seconds: f64, event: Event) {
        self.events.push(Reverse((ns(seconds), event)));
    }

    fn clock(&self) -> Duration {
        Duration::from_secs_f64(self.now)
    }

    fn about(&self, stream: StreamId, urgency: Urgency, audio_seconds: f64) -> About {
        About { stream, urgency, since: self.clock(), audio_seconds, new_seconds: audio_seconds, threads: None }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Speaks(stream) => self.speak(stream),
            Event::GoesOn(stream, began, end) => {
                let every = self.interval(stream);
                let least = self.plan.least_partial_interval(self.clock()).as_secs_f64();
                self.report.longest_interval = self.report.longest_interval.max(least);
                let i = stream as usize;
                let due = (began as f64 / 1e9).max(self.asked[i]) + every;
                if self.now >= due.max(self.asked[i] + least) - 1e-9 {
                    self.asked[i] = self.now;
                    let about = self.about(stream, Urgency::Partial, (self.now - began as f64 / 1e9).min(29.0));
                    self.plan.submit_partial(about, Duration::from_secs_f64(every), ());
                }
                // Streams look each frame.
                if ns(self.now + 0.032) < end {
                    self.at(self.now + 0.032, Event::GoesOn(stream, began, end));
                }
            }
            Event::Ended(stream, began, end) => {
                self.plan.drop_partial(stream);
                self.stop_partials(stream);
                self.hand_in(stream, (end - began) as f64 / 1e9);
                let pause = match self.kinds[stream as usize] {
                    Kind::Talker => 0.5 + 5.0 * self.unit(),
                    Kind::Chorus => 12.0 - SILENCE,
                    _ => 0.0,
                };
                self.at(self.now + pause, Event::Speaks(stream));
            }
            Event::Done(number) => self.done(number),
        }
    }

    fn interval(&self, stream: StreamId) -> f64 {
        if let Kind::Nagger { every } = self.kinds[stream as usize] {
            every
        } else {
            EVERY
        }
    }

    fn speak(&mut self, stream: StreamId) {
        let length = match self.kinds[stream as usize] {
            Kind::Talker => 1.0 + 5.0 * self.unit(),
            Kind::Chorus => 3.0,
            Kind::Nagger { .. } => 28.0,
            Kind::Recording { utterance } => {
                while self.waiting[stream as usize] < 60.0 {
                    self.hand_in(stream, utterance);
                }
                return;
            }
        };
        let (began, end) = (ns(self.now), ns(self.now + length));
        self.at(self.now + 0.032, Event::GoesOn(stream, began, end));
        self.at(self.now + length + SILENCE, Event::Ended(stream, began, end));
    }

    fn hand_in(&mut self, stream: StreamId, audio: f64) {
        self.waiting[stream as usize] += audio;
        let deadline = self.clock() + Duration::from_secs_f64(TARGET);
        let about = self.about(stream, Urgency::Final { deadline }, audio);
        self.plan.submit_final(about, ());
    }

    /// Running partials of the stream stop at once, as by the abort callback.
    fn stop_partials(&mut self, stream: StreamId) {
        let of = |r: &Running| !r.batch.tasks[0].about.is_final() && r.batch.tasks[0].about.stream == stream;
        let numbers: Vec<u64> = self.running.iter().filter(|(_, r)| of(r)).map(|(n, _)| *n).collect();
        for number in numbers {
            let running = self.running.remove(&number).unwrap();
            self.finish(&running, Outcome::Stopped);
        }
    }

    fn start(&mut self) {
        while let Some(batch) = self.plan.start(self.clock()) {
            let took = self.cost.of(&batch.tasks[0].about);
            self.batches += 1;
            self.running.insert(self.batches, Running { batch });
            self.at(self.now + took, Event::Done(self.batches));
        }
    }

    fn done(&mut self, number: u64) {
        let Some(running) = self.running.remove(&number) else { return }; // It was stopped.
        self.finish(&running, Outcome::Decoded);
        let about = running.batch.tasks[0].about;
        let i = about.stream as usize;
        if !about.is_final() {
            self.report.partials[i] += 1;
            return;
        }
        self.report.finals[i].push(self.now - about.since.as_secs_f64());
        self.report.audio[i] += about.audio_seconds;
        self.waiting[i] -= about.audio_seconds;
        if let Kind::Recording { .. } = self.kinds[i] {
            self.speak(about.stream);
        }
    }

    fn finish(&mut self, running: &Running, outcome: Outcome) {
        let Batch { tasks, threads, started } = &running.batch;
        let ended: Vec<_> = tasks.iter().map(|task| Ended::new(task, outcome)).collect();
        self.plan.finish(self.clock(), *started, *threads, &ended);
    }
}

const TALKERS: [Kind; 15] = [Kind::Talker; 15];

#[test]
fn a_greedy_stream_adds_a_fifth_at_most_to_the_latency_of_the_others() {
    let greedy = [Kind::Recording { utterance: 3.0 }, Kind::Recording { utterance: 28.0 }, Kind::Nagger { every: 0.1 }];
    for (cores, factor) in [(2, 0.5), (2, 1.0), (4, 1.0), (4, 2.0), (8, 1.0)] {
        let cost = Cost::TINY.times(factor);
        let (alone, _) = World::run(cores, cost, &TALKERS, 1800.0);
        for greedy in greedy {
            let (with, _) = World::run(cores, cost, &[&TALKERS[..], &[greedy]].concat(), 1800.0);
            let (before, after) = (alone.p95(0..15), with.p95(0..15));
            println!("{cores} cores, cost x{factor}, {greedy:?}: p95 {before:.3} s -> {after:.3} s");
            assert!(
                after <= 1.2 * before,
                "{cores} cores, cost x{factor}, {greedy:?}: p95 {before:.3} -> {after:.3} s"
            );
        }
    }
}

#[test]
fn a_greedy_stream_uses_what_the_others_leave() {
    let recording = Kind::Recording { utterance: 10.0 };
    let (with, stats) = World::run(2, Cost::TINY, &[&TALKERS[..], &[recording]].concat(), 600.0);
    assert!(with.audio[15] > 5.0 * 600.0, "{} s of audio in 600 s", with.audio[15]);
    // Alone it has all cores.
    let (alone, stats_alone) = World::run(2, Cost::TINY, &[recording], 600.0);
    assert!(alone.audio[0] > 2.0 * with.audio[15] && stats_alone.core_seconds > 1.99 * 600.0);
    assert_eq!(stats.finals_submitted, stats.finals + (stats.queued + stats.running) as u64 - waiting_partials(&stats));
}

fn waiting_partials(stats: &super::Stats) -> u64 {
    stats.partials_submitted - stats.partials - stats.partials_dropped - stats.partials_aborted
}

#[test]
fn nobody_starves_when_the_engine_is_too_slow_for_all() {
    // Finals alone need more than the cores have.
    let recording = Kind::Recording { utterance: 10.0 };
    let (report, stats) = World::run(2, Cost::TINY.times(6.0), &[&TALKERS[..], &[recording]].concat(), 1800.0);
    assert!(stats.queued > 20);
    let done: Vec<usize> = report.finals[..15].iter().map(Vec::len).collect();
    let (least, most) = (done.iter().min().unwrap(), done.iter().max().unwrap());
    assert!(*least * 2 > *most, "{done:?}");
    assert!(report.audio[15] > 0.2 * 1800.0, "the recording got {} s", report.audio[15]);
}

#[test]
fn two_recordings_share_what_is_left_by_their_audio() {
    let kinds = [Kind::Recording { utterance: 28.0 }, Kind::Recording { utterance: 3.0 }];
    let (report, _) = World::run(1, Cost::TINY, &kinds, 600.0);
    let ratio = report.audio[0] / report.audio[1];
    assert!((0.8..1.25).contains(&ratio), "{:?}", report.audio);
}

#[test]
fn who_speaks_at_the_same_time_gets_partials_alike() {
    for factor in [1.0, 2.0, 3.0] {
        let cost = Cost::TINY.times(factor);
        let (report, stats) = World::run(2, cost, &[Kind::Chorus; 20], 150.0);
        let (least, most) = (report.partials.iter().min().unwrap(), report.partials.iter().max().unwrap());
        let utterances = report.finals[0].len() as u64;
        println!("cost x{factor}: {least} to {most} partials in {utterances} utterances, {:?}", stats.partial_wait);
        assert!(*least >= utterances, "cost x{factor}: {:?} partials in {utterances} utterances", report.partials);
        assert!(*most <= 2 * least, "cost x{factor}: {:?}", report.partials);
    }
}

#[test]
fn under_load_partials_get_rarer_and_finals_keep_their_latency() {
    let talkers = [Kind::Talker; 30];
    let mut before: Option<(f64, f64)> = None;
    for n in [4, 8, 15, 30] {
        let (report, stats) = World::run(2, Cost::TINY, &talkers[..n], 1800.0);
        let partials = report.partials.iter().sum::<u64>() as f64 / n as f64;
        let (p95, utilisation) = (report.p95(0..n), stats.core_seconds / 1800.0 / 2.0);
        assert!(p95 < 0.7, "{n} talkers: p95 of finals {p95:.2} s");
        assert!(utilisation < 0.8, "{n} talkers: {utilisation:.2} of the cores");
        assert_eq!(report.longest_interval > EVERY, n > 4, "{n} talkers: {:.2} s", report.longest_interval);
        if let Some((fewer, shorter)) = before {
            assert!(partials <= 1.02 * fewer && report.longest_interval >= shorter);
        }
        before = Some((partials, report.longest_interval));
    }
}
