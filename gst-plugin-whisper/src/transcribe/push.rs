//! The way out: the source pad's task turns the stream's outputs into buffers, gaps, events and messages.

use std::time::Duration;

use gst::prelude::*;
use gst::subclass::prelude::*;
use transcribe_core::runtime::Next;
use transcribe_core::stream::{Output, Progress};
use transcribe_core::transcript::{Event, Final};

use super::imp::{WhisperTranscribe, CAT};
use super::session::{Marker, Session};
use super::timeline::Anchor;
use super::{events, Granularity};

/// How long the task waits for an output before it looks whether it should stop.
const PATIENCE: Duration = Duration::from_millis(500);
/// Gaps shorter than this are not worth an event of their own.
const LEAST_GAP: gst::ClockTime = gst::ClockTime::from_mseconds(20);

/// Form of the buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Json,
}

/// What the task knows of the output; a flush clears all but the form.
#[derive(Default)]
pub(super) struct Delivery {
    form: Option<Form>,
    segment: Option<gst::FormattedSegment<gst::ClockTime>>,
    seqnum: Option<gst::Seqnum>,
    /// Everything before this timestamp is out.
    position: Option<gst::ClockTime>,
    discont: bool,
}

impl Delivery {
    pub(super) fn flush(&mut self) {
        *self = Self { form: self.form, discont: true, ..Self::default() };
    }
}

/// A buffer's worth of text.
struct Item {
    text: String,
    start: gst::ClockTime,
    end: gst::ClockTime,
}

impl WhisperTranscribe {
    pub(super) fn start_task(&self) {
        let weak = self.obj().downgrade();
        let started = self.srcpad.start_task(move || {
            if let Some(element) = weak.upgrade() {
                element.imp().task();
            }
        });
        if started.is_err() {
            gst::error!(CAT, imp = self, "Cannot start the source pad's task");
        }
    }

    /// One turn of the task.
    fn task(&self) {
        let Some(session) = self.session() else {
            let _ = self.srcpad.pause_task();
            return;
        };
        let result = match session.stream.next(PATIENCE) {
            Next::Output(output) => self.deliver(&session, output),
            Next::TimedOut => Ok(gst::FlowSuccess::Ok),
            Next::Interrupted => Err(gst::FlowError::Flushing),
            Next::Broken(error) => {
                gst::element_imp_error!(self, gst::LibraryError::Failed, ("{error}"));
                session.fail();
                Err(gst::FlowError::Error)
            }
        };
        let Err(flow) = result else { return };
        let _ = self.srcpad.pause_task();
        gst::debug!(CAT, imp = self, "Task pauses: {flow:?}");
        session.set_flow(Err(flow));
        // The chain function may wait for room.
        session.stream.interrupt();
        match flow {
            // After a failure, downstream must not wait for more.
            gst::FlowError::Flushing if session.has_failed() => {
                self.srcpad.push_event(gst::event::Eos::new());
            }
            gst::FlowError::Flushing | gst::FlowError::Eos => {}
            flow => {
                if !session.has_failed() {
                    gst::element_imp_error!(
                        self,
                        gst::StreamError::Failed,
                        ("Downstream does not take the text: {flow:?}")
                    );
                }
                self.srcpad.push_event(gst::event::Eos::new());
            }
        }
    }

    fn deliver(&self, session: &Session, output: Output) -> Result<gst::FlowSuccess, gst::FlowError> {
        match output {
            Output::Marker(id) => match session.take_marker(id) {
                Some(marker) => self.pass(marker),
                None => Ok(gst::FlowSuccess::Ok),
            },
            Output::Progress(progress) => self.progress(session, progress),
            Output::Failed { utterance, error, .. } => {
                gst::element_imp_error!(
                    self,
                    gst::LibraryError::Failed,
                    ("No text for utterance {utterance}: {error}")
                );
                session.fail();
                Err(gst::FlowError::Error)
            }
            Output::SpeechStart { at, .. } => self.announce(session, at, &output),
            Output::SpeechEnd { ref speech, .. } => self.announce(session, speech.start, &output),
            Output::Partial(ref partial) => self.announce(session, partial.span.start, &output),
            Output::Final(ref last) => {
                let start = last.speech.start;
                self.announce(session, start, &output)?;
                let Some(anchor) = session.anchor_at(start) else { return Ok(gst::FlowSuccess::Ok) };
                // Buffers carry timestamps of the segment, not stream time.
                let pts = |position| anchor.pts(position).nseconds() as f64 / 1e9;
                let stream_time = |position| anchor.stream_time(anchor.pts(position)).nseconds() as f64 / 1e9;
                let (Some(Event::Final(timed)), Some(Event::Final(shown))) =
                    (Event::from_output(&output, pts), Event::from_output(&output, stream_time))
                else {
                    return Ok(gst::FlowSuccess::Ok);
                };
                self.report_lateness(session, &anchor, &timed);
                self.push_final(&timed, shown)
            }
        }
    }

    /// Tells bus and downstream what happened.
    fn announce(&self, session: &Session, start: u64, output: &Output) -> Result<gst::FlowSuccess, gst::FlowError> {
        let Some(anchor) = session.anchor_at(start) else { return Ok(gst::FlowSuccess::Ok) };
        let time = |position| anchor.stream_time(anchor.pts(position)).nseconds() as f64 / 1e9;
        let Some(event) = Event::from_output(output, time) else { return Ok(gst::FlowSuccess::Ok) };
        let structure = events::structure(&event, &anchor, anchor.pts(start));
        let _ = self.obj().post_message(gst::message::Element::builder(structure.clone()).src(&*self.obj()).build());
        let seqnum = self.delivery().seqnum;
        self.srcpad.push_event(custom(structure, seqnum));
        Ok(gst::FlowSuccess::Ok)
    }

    fn push_final(&self, timed: &Final, shown: Final) -> Result<gst::FlowSuccess, gst::FlowError> {
        if timed.text.is_empty() {
            return Ok(gst::FlowSuccess::Ok);
        }
        self.renegotiate()?;
        let form = self.delivery().form.unwrap_or(Form::Text);
        let settings = self.settings().clone();
        let end_of_line = if form == Form::Json || settings.newline { "\n" } else { "" };
        let items: Vec<Item> = match settings.granularity {
            Granularity::Utterance => {
                let text = match form {
                    Form::Text => timed.text.clone(),
                    Form::Json => events::json(&Event::Final(shown)),
                };
                vec![Item { text: text + end_of_line, start: clock_time(timed.start), end: clock_time(timed.end) }]
            }
            Granularity::Word => timed
                .words
                .iter()
                .zip(&shown.words)
                .map(|(word, shown_word)| {
                    let text = match form {
                        Form::Text => word.text.clone(),
                        Form::Json => events::word_json(timed.utterance, &timed.language, shown_word),
                    };
                    Item { text: text + end_of_line, start: clock_time(word.start), end: clock_time(word.end) }
                })
                .collect(),
        };
        for item in items {
            self.push_item(item)?;
        }
        let seqnum = self.delivery().seqnum;
        self.srcpad.push_event(custom(gst::Structure::new_empty("rstranscribe/final-transcript"), seqnum));
        Ok(gst::FlowSuccess::Ok)
    }

    fn push_item(&self, item: Item) -> Result<gst::FlowSuccess, gst::FlowError> {
        // Text that is late in a live pipeline, where gaps went past it already, still goes out in order.
        let start = self.delivery().position.map_or(item.start, |p| p.max(item.start));
        let end = item.end.max(start + gst::ClockTime::MSECOND);
        self.fill_gap(start)?;
        let mut buffer = gst::Buffer::from_mut_slice(item.text.into_bytes());
        let mut delivery = self.delivery();
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(start);
            buffer.set_duration(end - start);
            if std::mem::take(&mut delivery.discont) {
                buffer.set_flags(gst::BufferFlags::DISCONT);
            }
        }
        delivery.position = Some(end);
        drop(delivery);
        self.srcpad.push(buffer)
    }

    fn progress(&self, session: &Session, progress: Progress) -> Result<gst::FlowSuccess, gst::FlowError> {
        let Some(anchor) = session.anchor_at(progress.settled) else { return Ok(gst::FlowSuccess::Ok) };
        let mut until = anchor.pts(progress.settled);
        if let (Some(upstream), Some(now)) = (session.upstream.get(), session.anchor_at(progress.heard)) {
            if upstream.live {
                // Downstream was promised to wait no longer than the latency.
                until = until.max(now.pts(progress.heard).saturating_sub(self.settings().latency()));
            }
        }
        let flow = self.fill_gap(until);
        session.settle(progress.settled);
        flow
    }

    /// Pushes a GAP from where the output is to `until`.
    fn fill_gap(&self, until: gst::ClockTime) -> Result<gst::FlowSuccess, gst::FlowError> {
        let mut delivery = self.delivery();
        let Some(segment) = &delivery.segment else { return Ok(gst::FlowSuccess::Ok) };
        let from = delivery.position.or(segment.start()).unwrap_or(gst::ClockTime::ZERO);
        let until = segment.stop().map_or(until, |stop| until.min(stop));
        if until < from + LEAST_GAP {
            return Ok(gst::FlowSuccess::Ok);
        }
        let mut gap = gst::event::Gap::builder(from).duration(until - from);
        if let Some(seqnum) = delivery.seqnum {
            gap = gap.seqnum(seqnum);
        }
        delivery.position = Some(until);
        drop(delivery);
        self.srcpad.push_event(gap.build());
        Ok(gst::FlowSuccess::Ok)
    }

    fn pass(&self, marker: Marker) -> Result<gst::FlowSuccess, gst::FlowError> {
        match marker {
            Marker::StreamStart { flags, group, seqnum } => {
                let id = self.srcpad.create_stream_id(&*self.obj(), Some("transcript"));
                let mut start = gst::event::StreamStart::builder(&id).seqnum(seqnum).flags(flags);
                if let Some(group) = group {
                    start = start.group_id(group);
                }
                self.srcpad.push_event(start.build());
            }
            Marker::Negotiate => self.negotiate()?,
            Marker::Segment { segment, seqnum } => {
                let mut out = segment.clone();
                let lateness = gst::ClockTime::from_mseconds(self.settings().lateness.into());
                out.set_base(out.base().unwrap_or(gst::ClockTime::ZERO) + lateness);
                {
                    let mut delivery = self.delivery();
                    delivery.segment = Some(segment);
                    delivery.seqnum = Some(seqnum);
                    delivery.position = None;
                }
                self.srcpad.push_event(gst::event::Segment::builder(&out).seqnum(seqnum).build());
                self.push_language();
            }
            Marker::Discont => {
                let mut delivery = self.delivery();
                delivery.discont = true;
                // Time may have jumped back.
                delivery.position = None;
            }
            Marker::Eos(event) => {
                self.srcpad.push_event(event);
                return Err(gst::FlowError::Eos);
            }
        }
        Ok(gst::FlowSuccess::Ok)
    }

    fn push_language(&self) {
        let language = match self.settings().decode() {
            Ok(options) => match options.task {
                transcribe_core::engine::Task::Translate => Some("en".to_owned()),
                transcribe_core::engine::Task::Transcribe => options.language,
            },
            Err(_) => None,
        };
        let Some(language) = language else { return };
        let mut tags = gst::TagList::new();
        if let Some(tags) = tags.get_mut() {
            tags.add::<gst::tags::LanguageCode>(&language.as_str(), gst::TagMergeMode::Replace);
        }
        self.srcpad.push_event(gst::event::Tag::new(tags));
    }

    fn renegotiate(&self) -> Result<(), gst::FlowError> {
        if self.srcpad.check_reconfigure() {
            self.negotiate()?;
        }
        Ok(())
    }

    /// Agrees with downstream on text or JSON; text where it takes both.
    fn negotiate(&self) -> Result<(), gst::FlowError> {
        let template = self.srcpad.pad_template_caps();
        let mut caps = self.srcpad.peer_query_caps(Some(&template));
        if caps.is_empty() {
            gst::element_imp_error!(
                self,
                gst::CoreError::Negotiation,
                ("Downstream takes neither text/x-raw, format=utf8 nor application/x-json")
            );
            return Err(gst::FlowError::NotNegotiated);
        }
        caps.fixate();
        let form = match caps.structure(0).map(|s| s.name().as_str()) {
            Some("application/x-json") => Form::Json,
            _ => Form::Text,
        };
        let changed = self.delivery().form.replace(form) != Some(form);
        if changed || !self.srcpad.has_current_caps() {
            self.srcpad.push_event(gst::event::Caps::new(&caps));
        }
        Ok(())
    }

    /// In a live pipeline, a QOS message for text that comes later than the latency promised.
    fn report_lateness(&self, session: &Session, anchor: &Anchor, timed: &Final) {
        let Some(upstream) = session.upstream.get().filter(|u| u.live) else { return };
        let pts = clock_time(timed.start);
        let (Some(now), Some(due)) = (self.obj().current_running_time(), anchor.running_time(pts)) else { return };
        let due = due + upstream.min + self.settings().latency();
        let Some(late) = now.checked_sub(due).filter(|l| !l.is_zero()) else { return };
        gst::warning!(CAT, imp = self, "Utterance {} is {late} late", timed.utterance);
        let stats = session.stream.stats();
        let dropped = stats.scheduler.as_ref().map_or(0, |s| s.partials_dropped);
        let qos = gst::message::Qos::builder(true)
            .running_time(anchor.running_time(pts))
            .stream_time(Some(anchor.stream_time(pts)))
            .timestamp(Some(pts))
            .duration(Some(clock_time(timed.end).saturating_sub(pts)))
            .values(late.nseconds() as i64, 1.0, 1_000_000)
            .stats(gst::format::Buffers::from_u64(stats.finals), gst::format::Buffers::from_u64(dropped))
            .src(&*self.obj())
            .build();
        let _ = self.obj().post_message(qos);
    }
}

fn custom(structure: gst::Structure, seqnum: Option<gst::Seqnum>) -> gst::Event {
    let builder = gst::event::CustomDownstream::builder(structure);
    match seqnum {
        Some(seqnum) => builder.seqnum(seqnum).build(),
        None => builder.build(),
    }
}

fn clock_time(seconds: f64) -> gst::ClockTime {
    gst::ClockTime::from_nseconds((seconds * 1e9).round() as u64)
}
