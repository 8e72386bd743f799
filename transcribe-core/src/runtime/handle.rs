//! A stream with its place in the hub and the scheduler: what the element and the server hold.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::backlog::{Backlog, Behind, Overload};
use super::hub::{Hub, HubStats};
use super::shared::Model;
use crate::engine::DecodeOptions;
use crate::partials::PartialPolicy;
use crate::scheduler;
use crate::scheduler::run::Due;
use crate::segmenter::ConfigError;
use crate::stream::{JobKind, Output, Request, Stream, StreamConfig};
use crate::vad::Lane;
use crate::{samples_from_ms, seconds, Position};

/// Outputs that may wait to be read before partials are left out and a caller that can wait is made to.
const UNREAD: usize = 256;

/// Counters of one stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StreamStats {
    /// Utterances that have their final.
    pub finals: u64,
    /// Partials given out.
    pub partials: u64,
    /// Jobs handed to the scheduler as finals; equals `finals` + `failed` + `flushed` once drained.
    pub submitted: u64,
    /// Finals that the engine failed on.
    pub failed: u64,
    /// Finals thrown away by a flush.
    pub flushed: u64,
    /// Seconds of audio pushed but without result yet.
    pub backlog_seconds: f64,
    /// Largest backlog so far.
    pub peak_backlog_seconds: f64,
    /// How often more than half of the allowed backlog waited, see [`StreamHandle::check_backlog`].
    pub backlog_warnings: u64,
    /// Outputs that wait to be read.
    pub unread: usize,
    /// Wall-clock time from the moment an utterance was known to be over to its final: of the last one, and the largest.
    pub final_latency: Duration,
    /// See `final_latency`.
    pub max_final_latency: Duration,
    /// The scheduler of the stream's model, if it is loaded.
    pub scheduler: Option<scheduler::Stats>,
    /// The process's detector.
    pub detector: HubStats,
}

/// What [`StreamHandle::next`] found.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// An output.
    Output(Output),
    /// The stream can't go on: the detector failed.
    Broken(String),
    /// [`StreamHandle::interrupt`] was called.
    Interrupted,
    /// Nothing came in time.
    TimedOut,
}

struct Inner {
    stream: Stream,
    outputs: VecDeque<Output>,
    /// When the utterances were over that have no final yet.
    ended: VecDeque<Instant>,
    /// Requests from before the model was loaded.
    waiting: Vec<Request>,
    model: Option<Arc<Model>>,
    threads: Option<usize>,
    latency_target: Duration,
    /// Whether somebody waits for finals who can't get audio faster.
    live: bool,
    /// Whether the hub has the stream in its queue or in a batch.
    queued: bool,
    interrupted: bool,
    broken: Option<String>,
    backlog: Backlog,
    stats: StreamStats,
}

impl Inner {
    /// Partials come as rarely as the model's load asks for, and early finals of live streams while it has room.
    fn follow_pace(&mut self) {
        if let Some(model) = &self.model {
            let executor = model.executor();
            let least = executor.least_partial_interval();
            self.stream.set_least_partial_interval(samples_from_ms(least.as_millis() as u64));
            self.stream.set_early_finals(self.live && executor.has_room());
        }
    }
}

/// What hub, workers and handle share of a stream.
pub(super) struct StreamShared {
    id: u64,
    hub: Weak<Hub>,
    me: Weak<StreamShared>,
    inner: Mutex<Inner>,
    /// Signalled with new outputs.
    news: Condvar,
    /// Signalled when the backlog has shrunk.
    room: Condvar,
}

impl StreamShared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next frame for the detector; `None` takes the stream out of the hub's queue.
    pub(super) fn next_frame(&self) -> Option<(u64, Lane)> {
        let mut inner = self.lock();
        inner.follow_pace();
        let frame = inner.stream.next_frame();
        inner.queued = frame.is_some();
        self.drain(&mut inner);
        frame
    }

    /// Takes a lane back; true if the stream has more work and stays queued.
    pub(super) fn push_lane(&self, epoch: u64, lane: Lane) -> bool {
        let mut inner = self.lock();
        inner.follow_pace();
        inner.stream.push_lane(epoch, lane);
        inner.queued = inner.stream.has_work();
        self.drain(&mut inner);
        inner.queued
    }

    /// The detector failed: tells whoever waits.
    pub(super) fn fail(&self, error: String) {
        let mut inner = self.lock();
        inner.queued = false;
        inner.broken.get_or_insert(error);
        drop(inner);
        self.news.notify_all();
        self.room.notify_all();
    }

    /// After any change of the stream: requests to the scheduler, outputs to the reader.
    fn drain(&self, inner: &mut Inner) {
        while let Some(request) = inner.stream.poll_request() {
            match inner.model.clone() {
                Some(model) => self.request(inner, &model, request),
                None => hold(&mut inner.waiting, request),
            }
        }
        inner.stats.submitted = inner.stream.ended();
        let before = inner.outputs.len();
        while let Some(output) = inner.stream.poll() {
            match &output {
                Output::SpeechEnd { .. } => inner.ended.push_back(Instant::now()),
                Output::Final(_) | Output::Failed { .. } => {
                    let latency = inner.ended.pop_front().map_or(Duration::ZERO, |ended| ended.elapsed());
                    inner.stats.final_latency = latency;
                    inner.stats.max_final_latency = inner.stats.max_final_latency.max(latency);
                }
                _ => {}
            }
            let unread = inner.outputs.len();
            match (&output, inner.outputs.back_mut()) {
                (Output::Progress(new), Some(Output::Progress(last))) => *last = *new,
                (Output::Partial(_), _) if unread >= UNREAD => {}
                _ => inner.outputs.push_back(output),
            }
        }
        inner.stats.backlog_seconds = seconds(inner.stream.backlog());
        inner.stats.peak_backlog_seconds = inner.stats.peak_backlog_seconds.max(inner.stats.backlog_seconds);
        if inner.outputs.len() > before {
            self.news.notify_one();
        }
        self.room.notify_one();
    }

    fn request(&self, inner: &mut Inner, model: &Arc<Model>, request: Request) {
        match request {
            Request::DropPartial => model.executor().drop_partial(self.id),
            Request::DropAll => model.executor().forget(self.id),
            Request::Decode { id, job, age, new } => {
                let me = self.me.clone();
                let reply: scheduler::run::Reply = Box::new(move |result| {
                    let Some(shared) = me.upgrade() else { return };
                    let mut inner = shared.lock();
                    inner.stream.push_result(id, result);
                    shared.drain(&mut inner);
                });
                match id.kind {
                    JobKind::Final | JobKind::Early { .. } => {
                        let age = Duration::from_secs_f64(seconds(age));
                        let due = Due { within: inner.latency_target.saturating_sub(age), new_seconds: seconds(new) };
                        model.executor().submit_final(self.id, job, inner.threads, due, reply);
                    }
                    JobKind::Partial { .. } => {
                        let every = inner.stream.config().partials.interval().unwrap_or_default();
                        let every = Duration::from_secs_f64(seconds(every));
                        model.executor().submit_partial(self.id, job, inner.threads, every, reply);
                    }
                }
            }
        }
    }
}

/// Keeps a request until there is a model: finals, those that may become one, and the latest partial.
fn hold(waiting: &mut Vec<Request>, request: Request) {
    let is_partial =
        |r: &Request| matches!(r, Request::Decode { id, .. } if matches!(id.kind, JobKind::Partial { .. }));
    waiting.retain(|r| !matches!(r, Request::Decode { job, .. } if job.cancel.is_cancelled()));
    match &request {
        Request::DropAll => return waiting.clear(),
        Request::DropPartial => return waiting.retain(|r| !is_partial(r)),
        Request::Decode { .. } if is_partial(&request) => waiting.retain(|r| !is_partial(r)),
        Request::Decode { .. } => {}
    }
    waiting.push(request);
}

/// One speaker's stream; closed when dropped.
pub struct StreamHandle {
    shared: Arc<StreamShared>,
    hub: Arc<Hub>,
}

impl StreamHandle {
    /// Opens a stream on the hub. Audio may be pushed at once; it is decoded when a model is [attached](Self::attach).
    ///
    /// `latency_target`: how long after the end of speech a final is due; orders the finals of different streams.
    /// `threads`: CPU threads for each of its jobs, `None` for as many as are free.
    pub fn open(
        hub: Arc<Hub>,
        config: StreamConfig,
        latency_target: Duration,
        threads: Option<usize>,
    ) -> Result<Self, ConfigError> {
        static IDS: AtomicU64 = AtomicU64::new(0);
        let stream = Stream::new(config)?;
        let shared = Arc::new_cyclic(|me| StreamShared {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            hub: Arc::downgrade(&hub),
            me: me.clone(),
            inner: Mutex::new(Inner {
                stream,
                outputs: VecDeque::new(),
                ended: VecDeque::new(),
                waiting: Vec::new(),
                model: None,
                threads,
                latency_target,
                live: false,
                queued: false,
                interrupted: false,
                broken: None,
                backlog: Backlog::default(),
                stats: StreamStats::default(),
            }),
            news: Condvar::new(),
            room: Condvar::new(),
        });
        hub.opened();
        Ok(Self { shared, hub })
    }

    /// Gives the stream its model; what it has asked for so far is submitted.
    pub fn attach(&self, model: Arc<Model>) {
        self.attach_or(model, None);
    }

    /// The same; what was asked for meanwhile, in a way that the model can't do, is decoded as `otherwise` says.
    pub fn attach_or(&self, model: Arc<Model>, otherwise: Option<DecodeOptions>) {
        let otherwise = otherwise.map(Arc::new);
        let mut inner = self.shared.lock();
        inner.model = Some(model.clone());
        for mut request in std::mem::take(&mut inner.waiting) {
            if let (Request::Decode { job, .. }, Some(otherwise)) = (&mut request, &otherwise) {
                if model.engine().check(&job.options).is_err() {
                    job.options = otherwise.clone();
                }
            }
            self.shared.request(&mut inner, &model, request);
        }
    }

    /// Adds mono 16 kHz audio. Never blocks on inference.
    pub fn push_audio(&self, samples: &[f32]) {
        self.mutate(|stream| stream.push_audio(samples));
    }

    /// Adds silence, see [`Stream::push_silence`].
    pub fn push_silence(&self, samples: u64) {
        self.mutate(|stream| stream.push_silence(samples));
    }

    /// Adds a barrier, see [`Stream::push_marker`].
    pub fn push_marker(&self, marker: u64) {
        self.mutate(|stream| stream.push_marker(marker));
    }

    /// Ends the running utterance, see [`Stream::finalize`].
    pub fn finalize(&self) {
        self.mutate(Stream::finalize);
    }

    /// Throws away everything that is pending, see [`Stream::reset`].
    pub fn reset(&self) {
        let mut inner = self.shared.lock();
        let unread = inner.outputs.iter().filter(|o| matches!(o, Output::Final(_) | Output::Failed { .. })).count();
        inner.stats.flushed += unread as u64 + inner.stream.unfinished();
        inner.outputs.clear();
        inner.ended.clear();
        inner.stream.reset();
        self.shared.drain(&mut inner);
    }

    /// Changes how utterances are decoded and shown from now on.
    pub fn configure(&self, decode: DecodeOptions, partials: PartialPolicy) {
        self.shared.lock().stream.configure(decode, partials);
    }

    /// The audio comes as it is spoken, so that finals are worth some work in advance: see
    /// [`Stream::set_early_finals`].
    pub fn set_live(&self) {
        self.shared.lock().live = true;
    }

    /// Changes the length limit of utterances, in samples.
    pub fn set_max_utterance(&self, samples: u64) -> Result<(), ConfigError> {
        self.shared.lock().stream.set_max_utterance(samples)
    }

    /// Position behind all audio that was pushed.
    pub fn end(&self) -> Position {
        self.shared.lock().stream.end()
    }

    /// Samples that were pushed and have no result yet.
    pub fn backlog(&self) -> u64 {
        self.shared.lock().stream.backlog()
    }

    /// For sources that cannot wait, after each push: an error when more than `limit` samples wait for a result, or more
    /// outputs than [`MOST_UNREAD`](super::MOST_UNREAD) to be read. On the way there, when more than half of `limit`
    /// waits, it is said once that the stream is behind.
    pub fn check_backlog(&self, limit: u64) -> Result<Option<Behind>, Overload> {
        let mut inner = self.shared.lock();
        let (waiting, unread) = (inner.stream.backlog(), inner.outputs.len());
        inner.backlog.check(waiting, unread, limit)
    }

    /// Waits until the backlog is at most `samples` and the reader keeps up. False: interrupted, broken or timed out first.
    pub fn wait_for_room(&self, samples: u64, timeout: Option<Duration>) -> bool {
        let deadline = timeout.map(|t| Instant::now() + t);
        let mut inner = self.shared.lock();
        loop {
            if inner.interrupted || inner.broken.is_some() {
                return false;
            }
            if inner.stream.backlog() <= samples && inner.outputs.len() < UNREAD {
                return true;
            }
            let left = deadline.map_or(Duration::from_secs(3600), |d| d.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            inner = self.shared.room.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The next output; waits for it up to `timeout`.
    pub fn next(&self, timeout: Duration) -> Next {
        let deadline = Instant::now() + timeout;
        let mut inner = self.shared.lock();
        loop {
            if inner.interrupted {
                return Next::Interrupted;
            }
            if let Some(output) = inner.outputs.pop_front() {
                match output {
                    Output::Final(_) => inner.stats.finals += 1,
                    Output::Failed { .. } => inner.stats.failed += 1,
                    Output::Partial(_) => inner.stats.partials += 1,
                    _ => {}
                }
                if inner.outputs.len() + 1 == UNREAD {
                    self.shared.room.notify_one();
                }
                return Next::Output(output);
            }
            if let Some(error) = &inner.broken {
                return Next::Broken(error.clone());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Next::TimedOut;
            }
            inner = self.shared.news.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Makes all calls that wait return, now and until [`resume`](Self::resume).
    pub fn interrupt(&self) {
        self.shared.lock().interrupted = true;
        self.shared.news.notify_all();
        self.shared.room.notify_all();
    }

    /// Ends an [`interrupt`](Self::interrupt).
    pub fn resume(&self) {
        self.shared.lock().interrupted = false;
    }

    /// Counters.
    pub fn stats(&self) -> StreamStats {
        let (stats, model) = {
            let inner = self.shared.lock();
            let now = (inner.backlog.warnings(), inner.outputs.len());
            (StreamStats { backlog_warnings: now.0, unread: now.1, ..inner.stats.clone() }, inner.model.clone())
        };
        StreamStats { scheduler: model.map(|m| m.executor().stats()), detector: self.hub.stats(), ..stats }
    }

    fn mutate(&self, change: impl FnOnce(&mut Stream)) {
        let mut inner = self.shared.lock();
        change(&mut inner.stream);
        inner.stats.peak_backlog_seconds = inner.stats.peak_backlog_seconds.max(seconds(inner.stream.backlog()));
        if !inner.queued && inner.stream.has_work() {
            inner.queued = true;
            drop(inner);
            if let Some(hub) = self.shared.hub.upgrade() {
                hub.enqueue(self.shared.clone());
            }
        }
    }
}

impl Drop for StreamHandle {
    fn drop(&mut self) {
        self.interrupt();
        self.reset();
        // The hub may hold on to the stream a little longer; the model's workers are waited for here and now.
        let model = self.shared.lock().model.take();
        drop(model);
        self.hub.closed();
    }
}
