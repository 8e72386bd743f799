//! The executor: worker threads that run on the engine what the [plan](super::plan) says is next.
//!
//! There is one worker a core, or one a job that a GPU runs at once. What a job gets of them is the plan's decision too,
//! so that the threads of all running jobs of a model are never more than the cores.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::decide::{About, StreamId, Urgency};
use super::plan::{Batch, Ended, Limits, Outcome, Plan};
use super::Stats;
use crate::engine::{Engine, EngineError, Hypothesis, Job};

/// What a final's place in the queue depends on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Due {
    /// It is due so long from now.
    pub within: Duration,
    /// Seconds of its audio that no final of the stream had before.
    pub new_seconds: f64,
}

/// Called once with a task's result, on a worker's thread, without any lock of the scheduler's held.
pub type Reply = Box<dyn FnOnce(Result<Hypothesis, EngineError>) + Send>;

/// What a task carries.
struct Payload {
    job: Job,
    reply: Reply,
}

struct Inner {
    plan: Plan<Payload>,
    stopping: bool,
}

struct Shared {
    engine: Arc<dyn Engine>,
    inner: Mutex<Inner>,
    work: Condvar,
    epoch: Instant,
    /// [`Plan::least_partial_interval`] in microseconds, as of the last change; streams look at it with each frame.
    least_partial_interval: AtomicU64,
    /// [`Plan::has_room`], likewise.
    has_room: AtomicBool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    fn changed(&self, inner: &Inner, now: Duration) {
        let least = inner.plan.least_partial_interval(now).as_micros();
        self.least_partial_interval.store(u64::try_from(least).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.has_room.store(inner.plan.has_room(now), Ordering::Relaxed);
    }
}

/// Runs the jobs of all streams on one engine. Dropping it stops the workers once their current job has ended.
pub struct Executor {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

impl Executor {
    /// Starts one worker for `engine` a core, or a job that a GPU is to run at once.
    pub fn new(engine: Arc<dyn Engine>, cores: usize) -> Result<Self, EngineError> {
        let cores = cores.max(1);
        let limits = Limits { cores, batch: engine.batch_size(), threads_per_job: engine.threads_per_job() };
        let shared = Arc::new(Shared {
            engine,
            inner: Mutex::new(Inner { plan: Plan::new(limits), stopping: false }),
            work: Condvar::new(),
            epoch: Instant::now(),
            least_partial_interval: AtomicU64::new(0),
            has_room: AtomicBool::new(true),
        });
        let workers = (0..cores)
            .map(|i| {
                let shared = shared.clone();
                std::thread::Builder::new()
                    .name(format!("whisper-{i}"))
                    .spawn(move || work(&shared))
                    .map_err(|e| EngineError::Inference(format!("cannot start a worker thread: {e}")))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { shared, workers })
    }

    /// The engine it runs.
    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.shared.engine
    }

    /// Queues a final.
    pub fn submit_final(&self, stream: StreamId, job: Job, threads: Option<usize>, due: Due, reply: Reply) {
        let now = self.shared.now();
        let about = about(stream, Urgency::Final { deadline: now + due.within }, now, &job, threads);
        let about = About { new_seconds: due.new_seconds, ..about };
        self.update(now, |plan| plan.submit_final(about, Payload { job, reply }));
        self.shared.work.notify_one();
    }

    /// Queues a partial in place of the stream's waiting one. The stream asks for one after each `every` of audio.
    pub fn submit_partial(&self, stream: StreamId, job: Job, threads: Option<usize>, every: Duration, reply: Reply) {
        let now = self.shared.now();
        let about = about(stream, Urgency::Partial, now, &job, threads);
        let replaced = self.update(now, |plan| plan.submit_partial(about, every, Payload { job, reply }));
        self.shared.work.notify_one();
        drop(replaced); // Replies may own what takes other locks to drop.
    }

    /// Drops the stream's waiting partial; one that runs is stopped by its cancel token.
    pub fn drop_partial(&self, stream: StreamId) {
        let dropped = self.update(self.shared.now(), |plan| plan.drop_partial(stream));
        drop(dropped);
    }

    /// Drops everything of the stream that waits; what runs is stopped by its cancel token.
    pub fn forget(&self, stream: StreamId) {
        let gone = self.update(self.shared.now(), |plan| plan.forget(stream));
        drop(gone);
    }

    /// The shortest interval at which a stream should ask for partials, so that finals keep their latency; zero while
    /// the engine is not busy. See [`pace`](super::pace).
    pub fn least_partial_interval(&self) -> Duration {
        Duration::from_micros(self.shared.least_partial_interval.load(Ordering::Relaxed))
    }

    /// Whether finals leave the engine time for one that is made in vain.
    pub fn has_room(&self) -> bool {
        self.shared.has_room.load(Ordering::Relaxed)
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.shared.lock().plan.stats(self.shared.now())
    }

    fn update<T>(&self, now: Duration, change: impl FnOnce(&mut Plan<Payload>) -> T) -> T {
        let mut inner = self.shared.lock();
        let result = change(&mut inner.plan);
        self.shared.changed(&inner, now);
        result
    }
}

fn about(stream: StreamId, urgency: Urgency, since: Duration, job: &Job, threads: Option<usize>) -> About {
    let audio_seconds = crate::seconds(job.audio.len() as u64);
    About { stream, urgency, since, audio_seconds, new_seconds: audio_seconds, threads }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.work.notify_all();
        let me = std::thread::current().id();
        for worker in self.workers.drain(..) {
            // The last owner may be a reply, which runs on a worker.
            if worker.thread().id() != me {
                let _ = worker.join();
            }
        }
    }
}

fn work(shared: &Shared) {
    let mut inner = shared.lock();
    while !inner.stopping {
        let Some(batch) = inner.plan.start(shared.now()) else {
            inner = shared.work.wait(inner).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        if inner.plan.has_more() {
            shared.work.notify_one();
        }
        drop(inner);
        let (started, threads) = (batch.started, batch.threads);
        let (jobs, replies) = run(shared.engine.as_ref(), batch);
        inner = shared.lock();
        let now = shared.now();
        inner.plan.finish(now, started, threads, &jobs);
        shared.changed(&inner, now);
        drop(inner);
        // Cores have become free, and this worker is not back yet.
        shared.work.notify_one();
        for (reply, result) in replies {
            reply(result);
        }
        inner = shared.lock();
    }
}

type Results = Vec<(Reply, Result<Hypothesis, EngineError>)>;

/// Runs a batch. Each job gets a result, whatever the engine does: a final must never be waited for in vain.
fn run(engine: &dyn Engine, batch: Batch<Payload>) -> (Vec<Ended>, Results) {
    // What was cancelled while it waited need not take a place in the batch.
    let wanted: Vec<bool> = batch.tasks.iter().map(|task| !task.payload.job.cancel.is_cancelled()).collect();
    let jobs = batch.tasks.iter().zip(&wanted).filter(|(_, wanted)| **wanted).map(|(task, _)| task.payload.job.clone());
    let jobs: Vec<Job> = jobs.collect();
    let results = if jobs.is_empty() {
        Ok(Vec::new())
    } else {
        // A panic is a bug in the engine, and the streams should hear of it; the worker goes on for the others.
        catch_unwind(AssertUnwindSafe(|| engine.transcribe(&jobs, batch.threads)))
    };
    let missing = match &results {
        Ok(results) => format!("the engine gave {} results for {} jobs", results.len(), jobs.len()),
        Err(_) => "the engine panicked".to_owned(),
    };
    let mut results = results.unwrap_or_default().into_iter();
    let results = batch.tasks.into_iter().zip(wanted).map(|(task, wanted)| {
        let result = if wanted {
            results.next().unwrap_or_else(|| Err(EngineError::Inference(missing.clone())))
        } else {
            Err(EngineError::Cancelled)
        };
        let outcome = match &result {
            Ok(_) => Outcome::Decoded,
            Err(EngineError::Cancelled) => Outcome::Stopped,
            Err(_) => Outcome::Failed,
        };
        (Ended::new(&task, outcome), (task.payload.reply, result))
    });
    results.unzip()
}

#[cfg(test)]
mod tests;
