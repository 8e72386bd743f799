//! The executor: worker threads that take tasks from the [`Queue`](super::decide::Queue) and run them on the engine.
//!
//! Workers share a budget of cores. A task that runs alone gets as many as the engine says it gains from, tasks that
//! queue up get one each, so the sum of their threads never exceeds the cores.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::decide::{Queue, StreamId, Task, Urgency};
use super::Stats;
use crate::engine::{Engine, EngineError, Hypothesis, Job};

/// Called once with a task's result, on a worker's thread, without any lock of the scheduler's held.
pub type Reply = Box<dyn FnOnce(Result<Hypothesis, EngineError>) + Send>;

/// What a task carries.
struct Payload {
    job: Job,
    /// Threads the stream's settings ask for; `None`: as many as are free.
    threads: Option<usize>,
    reply: Reply,
}

struct Inner {
    queue: Queue<Payload>,
    free_cores: usize,
    stats: Stats,
    stopping: bool,
}

struct Shared {
    engine: Arc<dyn Engine>,
    inner: Mutex<Inner>,
    work: Condvar,
    epoch: Instant,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }
}

/// Runs the jobs of all streams on one engine. Dropping it stops the workers once their current job has ended.
pub struct Executor {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

impl Executor {
    /// Starts one worker a core for `engine`.
    pub fn new(engine: Arc<dyn Engine>, cores: usize) -> Result<Self, EngineError> {
        let cores = cores.max(1);
        let shared = Arc::new(Shared {
            engine,
            inner: Mutex::new(Inner {
                queue: Queue::default(),
                free_cores: cores,
                stats: Stats::default(),
                stopping: false,
            }),
            work: Condvar::new(),
            epoch: Instant::now(),
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

    /// Queues a final that is due `due_in` from now.
    pub fn submit_final(&self, stream: StreamId, job: Job, threads: Option<usize>, due_in: Duration, reply: Reply) {
        let deadline = self.shared.now() + due_in;
        self.submit(stream, Urgency::Final { deadline }, job, threads, reply);
    }

    /// Queues a partial in place of the stream's waiting one.
    pub fn submit_partial(&self, stream: StreamId, job: Job, threads: Option<usize>, reply: Reply) {
        self.submit(stream, Urgency::Partial, job, threads, reply);
    }

    /// Drops the stream's waiting partial; one that runs is stopped by its cancel token.
    pub fn drop_partial(&self, stream: StreamId) {
        let mut inner = self.shared.lock();
        if inner.queue.drop_partial(stream).is_some() {
            inner.stats.partials_dropped += 1;
        }
    }

    /// Drops everything of the stream that waits; what runs is stopped by its cancel token.
    pub fn forget(&self, stream: StreamId) {
        let gone = self.shared.lock().queue.forget(stream);
        drop(gone); // Replies may own what takes other locks to drop.
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        let inner = self.shared.lock();
        Stats { queued: inner.queue.len(), queued_seconds: inner.queue.final_seconds(), ..inner.stats.clone() }
    }

    fn submit(&self, stream: StreamId, urgency: Urgency, job: Job, threads: Option<usize>, reply: Reply) {
        let task = Task {
            stream,
            urgency,
            since: self.shared.now(),
            audio_seconds: crate::seconds(job.audio.len() as u64),
            payload: Payload { job, threads, reply },
        };
        let mut inner = self.shared.lock();
        let replaced = inner.queue.submit(task);
        if replaced.is_some() {
            inner.stats.partials_dropped += 1;
        }
        drop(inner);
        self.shared.work.notify_one();
    }
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
    loop {
        while !inner.stopping && (inner.queue.is_empty() || inner.free_cores == 0) {
            inner = shared.work.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        if inner.stopping {
            return;
        }
        let tasks = inner.queue.take_batch(shared.now(), shared.engine.batch_size().max(1));
        let asked = tasks.iter().filter_map(|t| t.payload.threads).max();
        let fair = (inner.free_cores / (1 + inner.queue.len())).min(shared.engine.threads_per_job());
        let threads = asked.unwrap_or(fair).clamp(1, inner.free_cores);
        inner.free_cores -= threads;
        drop(inner);
        run(shared, tasks, threads);
        inner = shared.lock();
        inner.free_cores += threads;
        shared.work.notify_one();
    }
}

fn run(shared: &Shared, tasks: Vec<Task<Payload>>, threads: usize) {
    let started = shared.now();
    let jobs: Vec<Job> = tasks.iter().map(|t| t.payload.job.clone()).collect();
    let results = shared.engine.transcribe(&jobs, threads);
    let busy = (shared.now() - started).as_secs_f64();

    let mut inner = shared.lock();
    inner.stats.busy_seconds += busy;
    for (task, result) in tasks.iter().zip(&results) {
        match (result, task.urgency) {
            (Err(EngineError::Cancelled), _) => inner.stats.aborted += 1,
            (Err(_), _) => inner.stats.failed += 1,
            (Ok(_), Urgency::Partial) => inner.stats.partials += 1,
            (Ok(_), Urgency::Final { .. }) => {
                inner.stats.finals += 1;
                inner.stats.longest_final_wait = inner.stats.longest_final_wait.max(started.saturating_sub(task.since));
            }
        }
        inner.stats.audio_seconds += task.audio_seconds;
    }
    drop(inner);
    for (task, result) in tasks.into_iter().zip(results) {
        (task.payload.reply)(result);
    }
}
