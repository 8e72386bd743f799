//! The way in: audio and events from upstream, on the streaming thread. Nothing here waits for inference, but for the
//! back-pressure that a pipeline without a live source wants.

use gst::prelude::*;
use gst::subclass::prelude::*;

use transcribe_core::runtime::{Overload, MOST_UNREAD};

use super::convert::Converter;
use super::imp::{WhisperTranscribe, CAT};
use super::session::{Marker, Session, Upstream};
use super::timeline::samples;

/// Timestamps that stray less than this from the count of samples are taken as jitter.
const JITTER: gst::ClockTime = gst::ClockTime::from_mseconds(10);
/// Straying less than this is drift: the time line follows, the audio goes on.
const DRIFT: gst::ClockTime = gst::ClockTime::from_mseconds(40);
/// A hole of up to this is filled with silence, so that lost packets don't end an utterance. Longer is a discontinuity.
const FILL: gst::ClockTime = gst::ClockTime::from_mseconds(1_000);
/// Audio that may wait for its result in a pipeline without a live source before upstream is slowed down, in samples.
const AHEAD: u64 = 60 * transcribe_core::SAMPLE_RATE as u64;

/// Custom downstream event that asks for the final of the running utterance.
const FINALIZE: &str = "whispertranscribe/finalize";

/// What helps where transcription is too slow.
const LIGHTEN: &str = "use a smaller or quantised model, a faster device, or fewer streams";

/// What the streaming thread knows; a flush clears all but the caps.
#[derive(Default)]
pub(super) struct Intake {
    info: Option<gst_audio::AudioInfo>,
    converter: Option<Converter>,
    negotiated: bool,
    segment: Option<gst::FormattedSegment<gst::ClockTime>>,
    clock: Option<Clock>,
}

/// Time by the count of input frames.
struct Clock {
    start: gst::ClockTime,
    frames: u64,
    rate: u32,
}

impl Clock {
    fn now(&self) -> gst::ClockTime {
        let passed = self.frames.mul_div_floor(*gst::ClockTime::SECOND, u64::from(self.rate.max(1)));
        self.start.saturating_add(passed.map_or(gst::ClockTime::MAX, gst::ClockTime::from_nseconds))
    }
}

impl Intake {
    fn set_info(&mut self, info: gst_audio::AudioInfo, channel: Option<u32>, session: &Session) -> Result<(), String> {
        let converter = Converter::new(&info, channel)?;
        self.drain(session);
        let now = self.clock.as_ref().map(Clock::now);
        self.clock = now.map(|start| Clock { start, frames: 0, rate: info.rate() });
        self.converter = Some(converter);
        self.info = Some(info);
        Ok(())
    }

    /// Hands over what the resampler holds back.
    fn drain(&mut self, session: &Session) {
        // Before the first audio there is nothing in it but its own silence.
        if let (Some(converter), Some(_)) = (&mut self.converter, &self.clock) {
            session.stream.push_audio(converter.drain());
        }
    }

    /// Drops what the resampler holds back.
    pub(super) fn flush(&mut self) {
        if let Some(converter) = &mut self.converter {
            converter.drain();
        }
        self.segment = None;
        self.clock = None;
    }

    /// Brings the time line in step with the timestamp of what comes next.
    fn align(&mut self, pts: Option<gst::ClockTime>, session: &Session) {
        let Some(segment) = self.segment.clone() else { return };
        let rate = self.info.as_ref().map_or(transcribe_core::SAMPLE_RATE, gst_audio::AudioInfo::rate);
        let Some(expected) = self.clock.as_ref().map(Clock::now) else {
            let start = pts.or(segment.start()).unwrap_or(gst::ClockTime::ZERO);
            self.clock = Some(Clock { start, frames: 0, rate });
            session.anchor(start, &segment);
            return;
        };
        let Some(pts) = pts else { return };
        let (ahead, behind) = (pts.saturating_sub(expected), expected.saturating_sub(pts));
        let off = ahead.max(behind);
        if off <= JITTER {
            return;
        }
        if ahead > DRIFT && ahead <= FILL {
            self.drain(session);
            session.stream.push_silence(samples(ahead));
        } else {
            if off > DRIFT {
                self.drain(session);
                session.mark(Marker::Discont);
            }
            session.anchor(pts, &segment);
        }
        self.clock = Some(Clock { start: pts, frames: 0, rate });
    }

    fn accept(&mut self, buffer: gst::Buffer, session: &Session) -> Result<(), Refusal> {
        let Some(info) = self.info.clone() else { return Err(Refusal::NotNegotiated) };
        let Some(segment) = self.segment.clone() else { return Err(Refusal::NoSegment) };
        let clipped = match buffer.pts() {
            Some(_) => gst_audio::audio_buffer_clip(buffer, segment.upcast_ref(), info.rate(), info.bpf()),
            None => Some(buffer),
        };
        let Some(buffer) = clipped else { return Ok(()) }; // Outside the segment.
        self.align(buffer.pts(), session);
        let converter = self.converter.as_mut().ok_or(Refusal::NotNegotiated)?;
        let audio = converter.convert(&buffer).map_err(Refusal::BadBuffer)?;
        session.stream.push_audio(audio);
        let frames = converter.frames(&buffer);
        if let Some(clock) = &mut self.clock {
            clock.frames += frames;
        }
        Ok(())
    }

    fn accept_gap(&mut self, pts: gst::ClockTime, length: Option<gst::ClockTime>, session: &Session) {
        let Some(segment) = &self.segment else { return };
        // A gap without an end lasts until the next buffer, whose timestamp will tell.
        let end = pts.saturating_add(length.unwrap_or(gst::ClockTime::ZERO));
        let start = segment.start().map_or(pts, |s| pts.max(s));
        let end = segment.stop().map_or(end, |s| end.min(s));
        if end <= start {
            return;
        }
        self.align(Some(start), session);
        self.drain(session);
        session.stream.push_silence(samples(end - start));
        if let Some(clock) = &mut self.clock {
            *clock = Clock { start: end, frames: 0, rate: clock.rate };
        }
    }
}

enum Refusal {
    NotNegotiated,
    NoSegment,
    BadBuffer(String),
}

impl WhisperTranscribe {
    pub(super) fn sink_chain(&self, buffer: gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        let session = self.session().ok_or(gst::FlowError::Flushing)?;
        session.flow()?;
        let upstream = self.ask_upstream(&session);
        let refused = self.intake().accept(buffer, &session).err();
        match refused {
            None => self.make_room(&session, upstream),
            Some(Refusal::NotNegotiated) => {
                gst::element_imp_error!(self, gst::CoreError::Negotiation, ("Audio came before its caps: put a parser, decoder or capsfilter in front that sets audio/x-raw caps"));
                Err(gst::FlowError::NotNegotiated)
            }
            Some(Refusal::NoSegment) => {
                gst::element_imp_error!(self, gst::StreamError::Format, ("Audio came without a segment in time: put an element in front that gives time, such as a demuxer, audioparse or appsrc with format=time"));
                Err(gst::FlowError::Error)
            }
            Some(Refusal::BadBuffer(error)) => {
                gst::element_imp_error!(self, gst::StreamError::Format, ("Audio cannot be read: {error}"));
                Err(gst::FlowError::Error)
            }
        }
    }

    /// Upstream's latency, asked once a session, and the length limit that follows from it.
    fn ask_upstream(&self, session: &Session) -> Upstream {
        *session.upstream.get_or_init(|| {
            let mut query = gst::query::Latency::new();
            let (live, min) = if self.sinkpad.peer_query(&mut query) {
                let (live, min, _) = query.result();
                (live, min)
            } else {
                (false, gst::ClockTime::ZERO)
            };
            if live {
                session.stream.set_live();
                let limit = self.settings().live_max_utterance();
                if let Err(error) = session.stream.set_max_utterance(limit) {
                    gst::warning!(CAT, imp = self, "Utterances keep their length limit: {error}");
                }
            }
            gst::debug!(CAT, imp = self, "Upstream: live {live}, latency {min}");
            Upstream { live, min }
        })
    }

    fn make_room(&self, session: &Session, upstream: Upstream) -> Result<gst::FlowSuccess, gst::FlowError> {
        if !upstream.live {
            if session.stream.wait_for_room(AHEAD, None) {
                return Ok(gst::FlowSuccess::Ok);
            }
            return session.flow().and(Err(gst::FlowError::Flushing));
        }
        let limit = self.settings().max_backlog;
        let error = match session.stream.check_backlog(u64::from(limit) * u64::from(transcribe_core::SAMPLE_RATE)) {
            Ok(None) => return Ok(gst::FlowSuccess::Ok),
            Ok(Some(behind)) => {
                gst::element_imp_warning!(
                    self,
                    gst::ResourceError::Busy,
                    ("Transcription is {:.0} s behind the live source, and ends with an error at {limit} s (max-backlog): {LIGHTEN}", behind.seconds)
                );
                return Ok(gst::FlowSuccess::Ok);
            }
            Err(error) => error,
        };
        match error {
            Overload::Backlog { seconds, .. } => gst::element_imp_error!(
                self,
                gst::ResourceError::Busy,
                ("Transcription is {seconds:.0} s behind the live source, more than max-backlog allows ({limit} s): {LIGHTEN}")
            ),
            Overload::Unread { unread } => gst::element_imp_error!(
                self,
                gst::StreamError::Failed,
                ("Downstream does not take the text of the live source: {unread} results wait, at most {MOST_UNREAD} may; look for what blocks there")
            ),
        }
        session.fail();
        Err(gst::FlowError::Error)
    }

    pub(super) fn sink_event(&self, event: gst::Event) -> bool {
        use gst::EventView;
        gst::log!(CAT, obj = self.sinkpad, "Event {event:?}");
        let Some(session) = self.session() else {
            return gst::Pad::event_default(&self.sinkpad, Some(&*self.obj()), event);
        };
        match event.view() {
            EventView::StreamStart(start) => {
                session.mark(Marker::StreamStart {
                    flags: start.stream_flags(),
                    group: start.group_id(),
                    seqnum: start.seqnum(),
                });
                true
            }
            EventView::Caps(caps) => self.sink_caps(caps.caps(), &session),
            EventView::Segment(segment) => self.sink_segment(segment, &session),
            EventView::Gap(gap) => {
                let (pts, length) = gap.get();
                let upstream = self.ask_upstream(&session);
                self.intake().accept_gap(pts, length, &session);
                self.make_room(&session, upstream).is_ok()
            }
            EventView::Eos(_) => {
                self.intake().drain(&session);
                session.mark(Marker::Eos(event));
                true
            }
            EventView::FlushStart(_) => {
                let forwarded = gst::Pad::event_default(&self.sinkpad, Some(&*self.obj()), event);
                session.stream.interrupt();
                let _ = self.srcpad.pause_task();
                forwarded
            }
            EventView::FlushStop(_) => {
                self.intake().flush();
                self.delivery().flush();
                session.flush();
                let forwarded = gst::Pad::event_default(&self.sinkpad, Some(&*self.obj()), event);
                self.start_task();
                forwarded
            }
            EventView::CustomDownstream(custom) if custom.structure().is_some_and(|s| s.name() == FINALIZE) => {
                self.intake().drain(&session);
                session.stream.finalize();
                true
            }
            // The tags of the audio describe the audio, not the text.
            EventView::Tag(_) | EventView::StreamCollection(_) => true,
            _ => gst::Pad::event_default(&self.sinkpad, Some(&*self.obj()), event),
        }
    }

    pub(super) fn sink_query(&self, query: &mut gst::QueryRef) -> bool {
        match query.view_mut() {
            // Downstream takes text; what it says of buffers is not about audio.
            gst::QueryViewMut::Allocation(_) => false,
            _ => gst::Pad::query_default(&self.sinkpad, Some(&*self.obj()), query),
        }
    }

    fn sink_caps(&self, caps: &gst::CapsRef, session: &Session) -> bool {
        let channel = self.settings().picked_channel();
        let result = gst_audio::AudioInfo::from_caps(caps)
            .map_err(|e| format!("{caps} is not raw audio: {e}"))
            .and_then(|info| {
                let mut intake = self.intake();
                intake.set_info(info, channel, session)?;
                Ok(!std::mem::replace(&mut intake.negotiated, true))
            });
        match result {
            Ok(first) => {
                if first {
                    session.mark(Marker::Negotiate);
                }
                true
            }
            Err(error) => {
                gst::element_imp_error!(self, gst::CoreError::Negotiation, ("{error}"));
                false
            }
        }
    }

    fn sink_segment(&self, event: &gst::event::Segment, session: &Session) -> bool {
        let Some(segment) = event.segment().downcast_ref::<gst::ClockTime>() else {
            // The event is sticky and comes again with each buffer; once is enough to say so.
            if session.has_failed() {
                return false;
            }
            session.fail();
            gst::element_imp_error!(
                self,
                gst::StreamError::Format,
                ("The segment is in {:?}, not in time: put an element in front that gives time, such as a demuxer, audioparse or appsrc with format=time", event.segment().format())
            );
            return false;
        };
        let mut intake = self.intake();
        intake.drain(session);
        intake.segment = Some(segment.clone());
        intake.clock = None;
        drop(intake);
        session.mark(Marker::Segment { segment: segment.clone(), seqnum: event.seqnum() });
        true
    }
}
