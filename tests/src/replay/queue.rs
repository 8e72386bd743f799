//! One worker in virtual time, fed through the scheduler's own queue.

use std::sync::Arc;
use std::time::Duration;

use transcribe_core::engine::{Engine, EngineError, Hypothesis, Job};
use transcribe_core::scheduler::decide::{About, Queue, Room, Urgency};
use transcribe_core::stream::{JobId, JobKind, Request};

use super::Pace;
use crate::rss::thread_cpu_time;

type Outcome = Result<Hypothesis, EngineError>;

/// A job that runs: its result is known, but comes out when its time has come.
struct Running {
    about: About,
    id: JobId,
    job: Job,
    result: Outcome,
    from: f64,
    until: f64,
}

pub(super) struct Worker {
    engine: Arc<dyn Engine>,
    pace: Pace,
    queue: Queue<(JobId, Job)>,
    running: Option<Running>,
    /// When it ended its last job.
    free: f64,
    busy: f64,
    cpu: f64,
    jobs: usize,
    longest: f64,
}

impl Worker {
    pub(super) fn new(engine: Arc<dyn Engine>, pace: Pace) -> Self {
        Self {
            engine,
            pace,
            queue: Queue::default(),
            running: None,
            free: 0.0,
            busy: 0.0,
            cpu: 0.0,
            jobs: 0,
            longest: 0.0,
        }
    }

    pub(super) fn busy(&self) -> f64 {
        self.busy
    }

    pub(super) fn cpu(&self) -> f64 {
        self.cpu
    }

    pub(super) fn jobs(&self) -> usize {
        self.jobs
    }

    pub(super) fn longest(&self) -> f64 {
        self.longest
    }

    pub(super) fn take(&mut self, now: f64, request: Request) {
        match request {
            Request::DropPartial => drop(self.queue.drop_partial(0)),
            Request::DropAll => drop(self.queue.forget(0)),
            Request::Decode { id, job, .. } => {
                let urgency = match id.kind {
                    JobKind::Partial { .. } => Urgency::Partial,
                    JobKind::Final | JobKind::Early { .. } => Urgency::Final { deadline: duration(now) },
                };
                let audio_seconds = transcribe_core::seconds(job.audio.len() as u64);
                let since = duration(now);
                let about =
                    About { stream: 0, urgency, since, audio_seconds, new_seconds: audio_seconds, threads: Some(1) };
                self.queue.submit(about, (id, job));
            }
        }
        // One that is cancelled while it runs ends there.
        if let Some(running) = &mut self.running {
            if running.job.cancel.is_cancelled() && now < running.until {
                running.until = now.max(running.from);
                running.result = Err(EngineError::Cancelled);
            }
        }
    }

    /// The next result that is there by `until`, with its time.
    pub(super) fn next(&mut self, until: f64) -> Option<(f64, JobId, Outcome)> {
        if self.running.is_none() {
            self.start(until);
        }
        let done = self.running.take_if(|running| running.until <= until)?;
        self.free = done.until;
        self.queue.ended(&done.about);
        self.busy += done.until - done.from;
        Some((done.until, done.id, done.result))
    }

    /// Takes the next job, if the worker is free by `until`.
    fn start(&mut self, until: f64) {
        if self.free > until {
            return;
        }
        let Some(task) = self.queue.take(duration(until.min(1e9)), Room::FREE) else { return };
        let (id, job) = task.payload;
        // A job of one thread runs on this one.
        let started = thread_cpu_time();
        let result = self.engine.transcribe(std::slice::from_ref(&job), 1).pop().unwrap_or(Err(EngineError::Cancelled));
        let cost = (thread_cpu_time() - started).as_secs_f64();
        self.jobs += 1;
        self.cpu += cost;
        self.longest = self.longest.max(task.about.audio_seconds);
        let from = task.about.since.as_secs_f64().max(self.free);
        let until = match self.pace {
            Pace::Audio => from,
            Pace::Computed => from + cost,
        };
        self.running = Some(Running { about: task.about, id, job, result, from, until });
    }
}

fn duration(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.max(0.0))
}
