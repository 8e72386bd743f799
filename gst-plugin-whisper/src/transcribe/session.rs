//! What lives from READY → PAUSED to PAUSED → READY, shared by the chain function, the source pad's task and the loader.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;

use transcribe_core::engine::CancelToken;
use transcribe_core::runtime::{Model, StreamHandle};
use transcribe_core::Position;

use super::timeline::{Anchor, Timeline};

/// Something that the source pad's task does once all text from before it is out.
#[derive(Debug)]
pub(super) enum Marker {
    /// Start the output stream.
    StreamStart { flags: gst::StreamFlags, group: Option<gst::GroupId>, seqnum: gst::Seqnum },
    /// Agree on caps with downstream.
    Negotiate,
    /// Go on in a new segment.
    Segment { segment: gst::FormattedSegment<gst::ClockTime>, seqnum: gst::Seqnum },
    /// Time jumps here: the next buffer is marked DISCONT.
    Discont,
    /// Push this and be done.
    Eos(gst::Event),
}

impl Marker {
    /// Whether a flush must not throw it away.
    fn survives_flush(&self) -> bool {
        matches!(self, Self::StreamStart { .. } | Self::Negotiate)
    }
}

#[derive(Debug, Default)]
struct Shared {
    timeline: Timeline,
    markers: VecDeque<(u64, Marker)>,
    next_marker: u64,
}

/// What upstream answered to the LATENCY query.
#[derive(Debug, Clone, Copy)]
pub(super) struct Upstream {
    /// Whether it is live.
    pub(super) live: bool,
    /// Its least latency.
    pub(super) min: gst::ClockTime,
}

/// See the module. Lock order: `shared`, then the stream's own lock.
pub(super) struct Session {
    /// The speaker.
    pub(super) stream: StreamHandle,
    /// Asked once, with the first audio.
    pub(super) upstream: OnceLock<Upstream>,
    /// Once it is loaded.
    pub(super) model: OnceLock<Arc<Model>>,
    /// Stops the loader.
    pub(super) cancel: CancelToken,
    /// An error message was posted; nothing will work any more.
    failed: AtomicBool,
    loader: Mutex<Option<JoinHandle<()>>>,
    flow: Mutex<Result<gst::FlowSuccess, gst::FlowError>>,
    shared: Mutex<Shared>,
}

impl Session {
    pub(super) fn new(stream: StreamHandle) -> Arc<Self> {
        Arc::new(Self {
            stream,
            upstream: OnceLock::new(),
            model: OnceLock::new(),
            cancel: CancelToken::new(),
            failed: AtomicBool::new(false),
            loader: Mutex::default(),
            flow: Mutex::new(Ok(gst::FlowSuccess::Ok)),
            shared: Mutex::default(),
        })
    }

    /// Keeps the loader's thread, to be waited for.
    pub(super) fn set_loader(&self, loader: JoinHandle<()>) {
        *self.loader.lock().unwrap_or_else(PoisonError::into_inner) = Some(loader);
    }

    /// Waits until the loader is done: a process must not end while a model is being loaded.
    pub(super) fn join_loader(&self) {
        let loader = self.loader.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A handler of one of the loader's own messages may have stopped the element.
        if let Some(loader) = loader.filter(|l| l.thread().id() != std::thread::current().id()) {
            let _ = loader.join();
        }
    }

    /// Marks the session as broken after an error message, and wakes whoever waits.
    pub(super) fn fail(&self) {
        self.failed.store(true, Ordering::Release);
        self.stream.interrupt();
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// What downstream answered to the last push.
    pub(super) fn flow(&self) -> Result<gst::FlowSuccess, gst::FlowError> {
        if self.has_failed() {
            return Err(gst::FlowError::Error);
        }
        *self.flow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_flow(&self, flow: Result<gst::FlowSuccess, gst::FlowError>) {
        *self.flow.lock().unwrap_or_else(PoisonError::into_inner) = flow;
    }

    /// Queues a marker behind all audio so far.
    pub(super) fn mark(&self, marker: Marker) {
        let mut shared = self.shared();
        let id = shared.next_marker;
        shared.next_marker += 1;
        shared.markers.push_back((id, marker));
        self.stream.push_marker(id);
    }

    /// Takes the marker that the stream reported; `None` if a flush took it.
    pub(super) fn take_marker(&self, id: u64) -> Option<Marker> {
        let mut shared = self.shared();
        let index = shared.markers.iter().position(|(other, _)| *other == id)?;
        shared.markers.remove(index).map(|(_, marker)| marker)
    }

    /// Says that the sample behind all audio so far has this time.
    pub(super) fn anchor(&self, pts: gst::ClockTime, segment: &gst::FormattedSegment<gst::ClockTime>) {
        let mut shared = self.shared();
        let position = self.stream.end();
        shared.timeline.push(Anchor { position, pts, segment: segment.clone() });
    }

    /// The anchor that `position` counts from.
    pub(super) fn anchor_at(&self, position: Position) -> Option<Anchor> {
        self.shared().timeline.at(position).cloned()
    }

    /// No text before `position` will come any more.
    pub(super) fn settle(&self, position: Position) {
        self.shared().timeline.settle(position);
    }

    /// FLUSH_STOP: everything pending is gone, but for what the output stream can't start without.
    pub(super) fn flush(&self) {
        self.stream.reset();
        let mut shared = self.shared();
        shared.timeline.clear();
        shared.markers.retain(|(_, marker)| marker.survives_flush());
        for (id, _) in &shared.markers {
            self.stream.push_marker(*id);
        }
        drop(shared);
        self.set_flow(Ok(gst::FlowSuccess::Ok));
        self.stream.resume();
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
