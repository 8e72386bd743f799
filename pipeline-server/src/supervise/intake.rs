//! Where a connection's audio goes in: what it brings is placed on the source's time line, and its end is the supervisor's.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use gst::prelude::*;
use gst::{PadProbeData, PadProbeInfo, PadProbeReturn, PadProbeType};

use super::dates::Dates;
use super::news;
use super::passage::{Line, Passage};
use super::run::Order;
use super::{Fault, FaultKind};

/// Nanoseconds from 1900, when the time of NTP begins, to 1970.
const NTP: u64 = 2_208_988_800_000_000_000;

/// See the module. Clones are the same.
#[derive(Clone)]
pub(crate) struct Intake(Arc<Inner>);

struct Inner {
    connection: u64,
    bin: gst::glib::WeakRef<super::bin::Bin>,
    ghost: gst::GhostPad,
    line: Arc<Line>,
    orders: Sender<Order>,
    taken: AtomicBool,
    /// Whether tags with times are times of capture.
    dated: AtomicBool,
    dates: Mutex<Dates>,
    passage: Mutex<(Passage, gst::FormattedSegment<gst::ClockTime>)>,
    started: Instant,
    /// Milliseconds from then to the latest audio whose time went on.
    flowed: Arc<AtomicU64>,
}

impl Intake {
    pub(super) fn new(
        connection: u64,
        (bin, ghost): (gst::glib::WeakRef<super::bin::Bin>, gst::GhostPad),
        line: Arc<Line>,
        orders: Sender<Order>,
        (started, flowed): (Instant, Arc<AtomicU64>),
    ) -> Self {
        let (taken, dated, dates) = (AtomicBool::new(false), AtomicBool::new(false), Mutex::default());
        let passage = Mutex::new((Passage::default(), gst::FormattedSegment::new()));
        Self(Arc::new(Inner { connection, bin, ghost, line, orders, taken, dated, dates, passage, started, flowed }))
    }

    /// Takes raw audio from `pad`, an element's of the bin; only the first pad counts.
    pub(crate) fn audio(&self, pad: &gst::Pad) {
        if self.0.taken.swap(true, Ordering::AcqRel) {
            return;
        }
        let inner = self.0.clone();
        let mask = PadProbeType::BUFFER | PadProbeType::EVENT_DOWNSTREAM | PadProbeType::EVENT_FLUSH;
        pad.add_probe(mask, move |_, info| inner.passes(info));
        if let Err(error) = self.0.ghost.set_target(Some(pad)) {
            self.fault(FaultKind::Broken, format!("the audio cannot be linked: {error}"));
        }
    }

    /// Has the time of capture read from `pad`, where what becomes the audio passes: not all decoders hand it on.
    pub(crate) fn timed(&self, pad: &gst::Pad) {
        let (inner, segment) = (self.0.clone(), Mutex::new(gst::FormattedSegment::<gst::ClockTime>::new()));
        pad.add_probe(PadProbeType::BUFFER | PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
            let mut segment = segment.lock().unwrap_or_else(PoisonError::into_inner);
            match &info.data {
                Some(PadProbeData::Buffer(buffer)) => {
                    let running = buffer.pts().and_then(|pts| segment.to_running_time(pts));
                    if let (Some(unix), Some(running)) = (captured(buffer), running) {
                        inner.captured(running, unix);
                    }
                }
                Some(PadProbeData::Event(event)) => {
                    if let gst::EventView::Segment(told) = event.view() {
                        if let Some(told) = told.segment().downcast_ref::<gst::ClockTime>() {
                            *segment = told.clone();
                        }
                    }
                }
                _ => {}
            }
            PadProbeReturn::Ok
        });
    }

    /// Times of day that come as tags, from `pad` on, are those of capture. (Of a file, it might be when it was made.)
    pub(crate) fn dated(&self, pad: &gst::Pad) {
        self.0.dated.store(true, Ordering::Release);
        let inner = self.0.clone();
        pad.add_probe(PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
            if let Some(gst::EventView::Tag(told)) = info.event().map(|event| event.view()) {
                if let Some(day) = day(told.tag()) {
                    inner.dates.lock().unwrap_or_else(PoisonError::into_inner).begin(day);
                }
            }
            PadProbeReturn::Ok
        });
    }

    /// Whether there is audio.
    pub(crate) fn has_audio(&self) -> bool {
        self.0.taken.load(Ordering::Acquire)
    }

    /// The connection is of no use.
    pub(crate) fn fault(&self, kind: FaultKind, detail: impl Into<String>) {
        self.0.lost(Fault::new(kind, detail));
    }
}

impl Inner {
    /// What is kept back is `Handled`: a sticky event that is dropped would be sent again before each buffer.
    fn passes(&self, info: &mut PadProbeInfo) -> PadProbeReturn {
        match &mut info.data {
            Some(PadProbeData::Buffer(buffer)) => self.place(buffer),
            Some(PadProbeData::Event(event)) => self.convert(event),
            _ => PadProbeReturn::Ok,
        }
    }

    fn place(&self, buffer: &mut gst::Buffer) -> PadProbeReturn {
        let mut guard = self.passage.lock().unwrap_or_else(PoisonError::into_inner);
        let (passage, segment) = &mut *guard;
        // What lies outside of the segment is not to be heard.
        let Some(running) = buffer.pts().and_then(|pts| segment.to_running_time(pts)) else {
            return PadProbeReturn::Handled;
        };
        if passage.find(running).is_none() && self.repeats(running) {
            return PadProbeReturn::Handled;
        }
        let (duration, now) = (buffer.duration().unwrap_or_default(), Instant::now());
        let placed = passage.place(&self.line, running, duration, now);
        drop(guard);
        if placed.joins {
            self.post(news::captured(placed.at, None));
        }
        if let Some(unix) = captured(buffer) {
            self.captured(running, unix);
        }
        self.date(placed.at, duration);
        let buffer = buffer.make_mut();
        buffer.set_pts(placed.at);
        buffer.set_dts(None::<gst::ClockTime>);
        if placed.joins {
            buffer.set_flags(gst::BufferFlags::DISCONT);
        }
        if placed.advances {
            let passed = now.duration_since(self.started).as_millis();
            self.flowed.store(u64::try_from(passed).unwrap_or(u64::MAX).max(1), Ordering::Release);
        }
        if placed.joins {
            let _ = self.orders.send(Order::Flow { connection: self.connection });
        }
        PadProbeReturn::Ok
    }

    /// Says so if audio of that running time was captured at another time than was thought.
    fn captured(&self, running: gst::ClockTime, unix: u64) {
        let mut guard = self.passage.lock().unwrap_or_else(PoisonError::into_inner);
        let passage = &mut guard.0;
        let told = passage.find(running).and_then(|at| passage.captured(at, unix));
        drop(guard);
        if let Some((since, offset)) = told {
            self.post(news::captured(since, Some(offset)));
        }
    }

    /// Whether audio of a connection that is to join was heard in the one before.
    fn repeats(&self, running: gst::ClockTime) -> bool {
        let mut dates = self.dates.lock().unwrap_or_else(PoisonError::into_inner);
        dates.repeats(running.nseconds(), self.line.captured())
    }

    /// Audio comes at that stream time: if there was a time of day before it, it is this audio's.
    fn date(&self, at: gst::ClockTime, duration: gst::ClockTime) {
        let mut dates = self.dates.lock().unwrap_or_else(PoisonError::into_inner);
        let told = dates.place(at.nseconds());
        if let Some(end) = dates.of((at + duration).nseconds()) {
            self.line.captured_until(end);
        }
        drop(dates);
        if told.is_some() {
            self.post(news::captured(at, told));
        }
    }

    fn post(&self, news: gst::Structure) {
        let Some(bin) = self.bin.upgrade() else { return };
        let message = gst::message::Element::builder(news).src(&bin).build();
        let _ = bin.post_message(message);
    }

    fn convert(&self, event: &mut gst::Event) -> PadProbeReturn {
        match event.view() {
            gst::EventView::Segment(told) => {
                let Some(segment) = told.segment().downcast_ref::<gst::ClockTime>() else {
                    self.lost(Fault::new(FaultKind::Unsupported, "its audio has no times"));
                    return PadProbeReturn::Handled;
                };
                self.passage.lock().unwrap_or_else(PoisonError::into_inner).1 = segment.clone();
                let whole = gst::FormattedSegment::<gst::ClockTime>::new();
                *event = gst::event::Segment::builder(&whole).seqnum(event.seqnum()).build();
                PadProbeReturn::Ok
            }
            gst::EventView::Gap(gap) => {
                let (start, duration) = gap.get();
                let guard = self.passage.lock().unwrap_or_else(PoisonError::into_inner);
                let at = guard.1.to_running_time(start).and_then(|running| guard.0.find(running));
                drop(guard);
                // Before the first audio there is nothing that could have a gap.
                let Some(at) = at else { return PadProbeReturn::Handled };
                *event = gst::event::Gap::builder(at).duration(duration).seqnum(event.seqnum()).build();
                PadProbeReturn::Ok
            }
            gst::EventView::Eos(_) => {
                self.lost(Fault::new(FaultKind::Ended, "the other side ended it"));
                PadProbeReturn::Handled
            }
            gst::EventView::Tag(told) => {
                if let Some(day) = day(told.tag()).filter(|_| self.dated.load(Ordering::Acquire)) {
                    self.dates.lock().unwrap_or_else(PoisonError::into_inner).read(day);
                }
                PadProbeReturn::Ok
            }
            // What was heard of earlier connections must not be thrown away.
            gst::EventView::FlushStart(_) | gst::EventView::FlushStop(_) => PadProbeReturn::Handled,
            _ => PadProbeReturn::Ok,
        }
    }

    fn lost(&self, fault: Fault) {
        let _ = self.orders.send(Order::Lost { connection: self.connection, fault });
    }
}

/// The time of day in tags, in nanoseconds since 1970.
fn day(tags: &gst::TagListRef) -> Option<u64> {
    let time = tags.get::<gst::tags::DateTime>()?.get().to_g_date_time().ok()?.to_utc().ok()?;
    let seconds = u64::try_from(time.to_unix()).ok()?;
    Some(seconds * 1_000_000_000 + u64::try_from(time.microsecond()).ok()? * 1_000)
}

/// When a buffer was captured, in nanoseconds since 1970, if the source says so.
fn captured(buffer: &gst::BufferRef) -> Option<u64> {
    let mut metas = buffer.iter_meta::<gst::ReferenceTimestampMeta>();
    metas.find_map(|meta| {
        let clock = meta.reference().structure(0)?.name().as_str();
        let time = meta.timestamp().nseconds();
        match clock {
            "timestamp/x-ntp" => time.checked_sub(NTP),
            "timestamp/x-unix" => Some(time),
            _ => None,
        }
    })
}
