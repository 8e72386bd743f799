//! All decisions of a model's scheduler, without a clock or threads: jobs of all streams in, and when cores are free
//! the batches to run out. The caller says what time it is, runs what [`Plan::start`] gives, and reports by
//! [`Plan::finish`].

use std::time::Duration;

use super::cores::Cores;
use super::decide::{About, Queue, Room, StreamId, Task, Urgency};
use super::pace::Pace;
use super::stats::{Durations, Stats};

/// What the scheduler has to know of its engine.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Cores that its jobs may use together.
    pub cores: usize,
    /// Most jobs in a call, see [`Engine::batch_size`](crate::engine::Engine::batch_size).
    pub batch: usize,
    /// Threads that a job gains from, see [`Engine::threads_per_job`](crate::engine::Engine::threads_per_job).
    pub threads_per_job: usize,
}

/// A batch to run.
#[derive(Debug)]
pub struct Batch<P> {
    /// The jobs; at least one.
    pub tasks: Vec<Task<P>>,
    /// Threads to run them on.
    pub threads: usize,
    /// When it was started.
    pub started: Duration,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It has a result.
    Decoded,
    /// It was stopped by its cancel token.
    Stopped,
    /// The engine failed on it.
    Failed,
}

/// A job of a batch that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// As it was taken.
    pub about: About,
    /// As it was taken.
    pub in_advance: bool,
    /// How it ended.
    pub outcome: Outcome,
}

impl Ended {
    /// The job of `task` ended so.
    pub fn new<P>(task: &Task<P>, outcome: Outcome) -> Self {
        Self { about: task.about, in_advance: task.in_advance, outcome }
    }
}

/// See the module.
pub struct Plan<P> {
    limits: Limits,
    queue: Queue<P>,
    cores: Cores,
    /// Cores of batches that run in advance.
    advance_cores: usize,
    pace: Pace,
    stats: Stats,
    final_wait: Durations,
    final_time: Durations,
    partial_wait: Durations,
}

impl<P> Plan<P> {
    /// Nothing to do yet.
    pub fn new(limits: Limits) -> Self {
        let cores = Cores::new(limits.cores);
        Self {
            queue: Queue::default(),
            pace: Pace::new(cores.all()),
            stats: Stats { cores: cores.all(), ..Stats::default() },
            cores,
            advance_cores: 0,
            limits,
            final_wait: Durations::default(),
            final_time: Durations::default(),
            partial_wait: Durations::default(),
        }
    }

    /// Queues a final.
    pub fn submit_final(&mut self, about: About, payload: P) {
        debug_assert!(about.is_final());
        self.stats.finals_submitted += 1;
        self.pace.ends(about.stream);
        self.queue.submit(about, payload);
    }

    /// Queues a partial of an utterance that asks for one after each `every`. Gives back the one that it replaces.
    pub fn submit_partial(&mut self, about: About, every: Duration, payload: P) -> Option<P> {
        debug_assert!(!about.is_final());
        self.stats.partials_submitted += 1;
        self.pace.asks(about.stream, every);
        let replaced = self.queue.submit(about, payload)?;
        self.stats.partials_dropped += 1;
        Some(replaced.payload)
    }

    /// The stream's utterance has ended. Gives back its partial if it waits.
    pub fn drop_partial(&mut self, stream: StreamId) -> Option<P> {
        self.pace.ends(stream);
        let dropped = self.queue.drop_partial(stream)?;
        self.stats.partials_dropped += 1;
        Some(dropped.payload)
    }

    /// The stream is gone, or all that it asked for. Gives back all that waits of it.
    pub fn forget(&mut self, stream: StreamId) -> Vec<P> {
        self.pace.ends(stream);
        let stats = &mut self.stats;
        let gone = self.queue.forget(stream).map(|task| {
            match task.about.urgency {
                Urgency::Final { .. } => stats.finals_cancelled += 1,
                Urgency::Partial => stats.partials_dropped += 1,
            }
            task.payload
        });
        gone.collect()
    }

    /// The batch to run next, if there are a free core and a job that may have it.
    pub fn start(&mut self, now: Duration) -> Option<Batch<P>> {
        if self.cores.free() == 0 {
            return None;
        }
        let advance = self.room_in_advance();
        let last = self.cores.all() > 1 && self.cores.free() == 1;
        let room = Room { partials: !last || self.advance_cores == 0, advances: advance > 0 };
        let tasks = self.queue.take_batch(now, room, self.limits.batch.max(1));
        let first = tasks.first()?.about;
        let in_advance = tasks.iter().all(|task| task.in_advance);
        let most = if in_advance && self.queue.others_are_live(first.stream, now) { advance } else { usize::MAX };
        let asked = tasks.iter().filter_map(|task| task.about.threads).max().map(|threads| threads.min(most));
        let gain = self.limits.threads_per_job.min(most);
        let threads = self.cores.take(asked, gain, self.queue.len());
        if in_advance {
            self.advance_cores += threads;
        }
        self.stats.running += tasks.len();
        self.stats.batches += 1;
        self.stats.largest_batch = self.stats.largest_batch.max(tasks.len());
        for Task { about, .. } in &tasks {
            let waits = if about.is_final() { &mut self.final_wait } else { &mut self.partial_wait };
            waits.add(now.saturating_sub(about.since));
        }
        Some(Batch { tasks, threads, started: now })
    }

    /// Cores that finals in advance may take now while other streams are live: half of them together, and not the last
    /// one. (A single core is theirs when nothing else waits.)
    fn room_in_advance(&self) -> usize {
        match self.cores.all() {
            1 => 1,
            all => (all / 2).saturating_sub(self.advance_cores).min(self.cores.free() - 1),
        }
    }

    /// A batch that was started at `started` on so many threads has ended.
    pub fn finish(&mut self, now: Duration, started: Duration, threads: usize, jobs: &[Ended]) {
        let busy = now.saturating_sub(started).as_secs_f64();
        let cost = busy * threads as f64 / jobs.len().max(1) as f64;
        self.cores.give_back(threads);
        if jobs.iter().all(|job| job.in_advance) {
            self.advance_cores -= threads;
        }
        self.stats.running -= jobs.len();
        self.stats.busy_seconds += busy;
        self.stats.core_seconds += busy * threads as f64;
        for Ended { about, in_advance, outcome } in jobs {
            self.queue.ended(about);
            let stats = &mut self.stats;
            let counter = match (about.is_final(), outcome) {
                (true, Outcome::Decoded) => &mut stats.finals,
                (true, Outcome::Failed) => &mut stats.finals_failed,
                (true, Outcome::Stopped) => &mut stats.finals_cancelled,
                (false, Outcome::Decoded) => &mut stats.partials,
                (false, Outcome::Failed) => &mut stats.partials_failed,
                (false, Outcome::Stopped) => &mut stats.partials_aborted,
            };
            *counter += 1;
            match outcome {
                Outcome::Decoded => stats.audio_seconds += about.audio_seconds,
                Outcome::Stopped => stats.aborted += 1,
                Outcome::Failed => {}
            }
            if !about.is_final() {
                self.pace.partial_took(cost, *outcome != Outcome::Decoded);
                continue;
            }
            // What runs in advance uses what partials leave, and must not make them rarer.
            if !in_advance {
                self.pace.final_took(cost, now);
            }
            if *outcome == Outcome::Decoded {
                self.final_time.add(now.saturating_sub(about.since));
            }
        }
    }

    /// See [`Pace::has_room`].
    pub fn has_room(&self, now: Duration) -> bool {
        self.pace.has_room(now)
    }

    /// See [`Pace::least_interval`].
    pub fn least_partial_interval(&self, now: Duration) -> Duration {
        self.pace.least_interval(now)
    }

    /// Whether something waits that a free core might take.
    pub fn has_more(&self) -> bool {
        self.cores.free() > 0 && !self.queue.is_empty()
    }

    /// Counters, and what waits now.
    pub fn stats(&self, now: Duration) -> Stats {
        Stats {
            queued: self.queue.len(),
            queued_seconds: self.queue.final_seconds(),
            final_wait: self.final_wait.spread(),
            final_time: self.final_time.spread(),
            partial_wait: self.partial_wait.spread(),
            partial_cost: self.pace.partial_cost(),
            least_partial_interval: self.pace.least_interval(now),
            load: self.pace.load(now),
            ..self.stats.clone()
        }
    }
}
