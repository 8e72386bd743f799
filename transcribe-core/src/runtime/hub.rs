//! The hub: one thread that runs the voice activity detector for all streams of the process, a batch at a time.
//!
//! A stream with a whole frame queues up; the hub takes one frame of each queued stream, runs them together, and hands
//! the probabilities back. Streams that still have audio queue up again, so that one that is fed faster than real time
//! does not delay the others by more than a batch.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::handle::StreamShared;
use crate::vad::{self, Vad, VadError, VadKind, FRAME};

/// Most frames in a batch; the gain is flat from 32 on.
const BATCH: usize = 64;
/// With many live streams, this long is waited for more frames before a batch runs.
const GATHER: Duration = Duration::from_millis(8);
/// Waiting for more pays off from this many streams on.
const GATHER_FROM: usize = 8;

/// Counters of the detector since the hub was started.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct HubStats {
    /// Runs of the detector.
    pub batches: u64,
    /// Frames that the detector saw; those under the noise floor are not among them.
    pub frames: u64,
    /// Seconds spent in the detector.
    pub busy_seconds: f64,
}

impl HubStats {
    /// Seconds of audio that the detector saw.
    pub fn audio_seconds(&self) -> f64 {
        crate::seconds(self.frames * FRAME as u64)
    }
}

#[derive(Default)]
struct Inner {
    ready: VecDeque<Arc<StreamShared>>,
    stats: HubStats,
    sleeping: bool,
    stopping: bool,
}

#[derive(Default)]
struct Shared {
    inner: Mutex<Inner>,
    work: Condvar,
    streams: AtomicUsize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the module.
pub struct Hub {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Hub {
    /// The process's hub for this detector; started if nobody uses it yet. `library` is the ONNX Runtime library's
    /// path, if the user set one.
    pub fn shared(kind: VadKind, library: Option<&Path>) -> Result<Arc<Self>, VadError> {
        type Key = (VadKind, Option<PathBuf>);
        static HUBS: OnceLock<Mutex<HashMap<Key, Weak<Hub>>>> = OnceLock::new();

        let mut hubs = HUBS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        hubs.retain(|_, hub| hub.strong_count() > 0);
        let key = (kind, library.map(Path::to_owned));
        if let Some(hub) = hubs.get(&key).and_then(Weak::upgrade) {
            return Ok(hub);
        }
        let hub = Arc::new(Self::start(vad::load(kind, library)?)?);
        hubs.insert(key, Arc::downgrade(&hub));
        Ok(hub)
    }

    fn start(mut detector: Box<dyn Vad>) -> Result<Self, VadError> {
        let shared = Arc::new(Shared::default());
        let thread = std::thread::Builder::new()
            .name("vad".into())
            .spawn({
                let shared = shared.clone();
                move || run(&shared, detector.as_mut())
            })
            .map_err(|e| VadError::Runtime(format!("cannot start the detector's thread: {e}")))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Counters.
    pub fn stats(&self) -> HubStats {
        self.shared.lock().stats
    }

    /// Streams that are open.
    pub(super) fn opened(&self) {
        self.shared.streams.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn closed(&self) {
        self.shared.streams.fetch_sub(1, Ordering::Relaxed);
    }

    /// Queues a stream that has work. The caller made sure that it is not queued yet.
    pub(super) fn enqueue(&self, stream: Arc<StreamShared>) {
        let mut inner = self.shared.lock();
        inner.ready.push_back(stream);
        if inner.sleeping {
            self.shared.work.notify_one();
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.work.notify_one();
        if let Some(thread) = self.thread.take() {
            // The last stream may be dropped by the hub's own thread.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

fn run(shared: &Shared, detector: &mut dyn Vad) {
    let mut owners: Vec<(Arc<StreamShared>, u64)> = Vec::with_capacity(BATCH);
    let mut lanes = Vec::with_capacity(BATCH);
    let mut slept = false;
    loop {
        let Some(ready) = wait(shared, &mut slept) else { return };
        for stream in ready {
            // Everything but the detector itself happens here: gated frames, barriers, requests, outputs.
            if let Some((epoch, lane)) = stream.next_frame() {
                owners.push((stream, epoch));
                lanes.push(lane);
            }
        }
        if lanes.is_empty() {
            continue;
        }
        let started = Instant::now();
        let result = detector.run(&mut lanes);
        let busy = started.elapsed().as_secs_f64();

        let count = lanes.len() as u64;
        let mut again = Vec::new();
        for ((stream, epoch), lane) in owners.drain(..).zip(lanes.drain(..)) {
            match &result {
                Ok(()) if stream.push_lane(epoch, lane) => again.push(stream),
                Ok(()) => {}
                Err(error) => stream.fail(error.to_string()),
            }
        }
        let mut inner = shared.lock();
        inner.stats.batches += 1;
        inner.stats.frames += count;
        inner.stats.busy_seconds += busy;
        inner.ready.extend(again);
    }
}

/// Waits for streams with work; `None` when the hub stops.
fn wait(shared: &Shared, slept: &mut bool) -> Option<Vec<Arc<StreamShared>>> {
    let mut inner = shared.lock();
    loop {
        if inner.stopping {
            return None;
        }
        if inner.ready.is_empty() {
            inner.sleeping = true;
            inner = shared.work.wait(inner).unwrap_or_else(PoisonError::into_inner);
            inner.sleeping = false;
            *slept = true;
            continue;
        }
        let streams = shared.streams.load(Ordering::Relaxed);
        if *slept && streams >= GATHER_FROM && inner.ready.len() < (streams / 2).min(BATCH) {
            *slept = false;
            drop(inner);
            std::thread::sleep(GATHER);
            inner = shared.lock();
            continue;
        }
        *slept = false;
        let n = inner.ready.len().min(BATCH);
        return Some(inner.ready.drain(..n).collect());
    }
}
