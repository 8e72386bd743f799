//! One input through one pipeline around the element `whispertranscribe`.
//!
//! A [`Source`] and the element's [`Setting`]s go in; what the element posts on the bus comes out through an
//! [`Observer`], in order, on the thread that called [`run`]. The thread waits on the bus alone: signals and problems
//! found by callbacks arrive there as application messages.

mod build;
mod elements;
mod error;
mod message;
mod missing;
mod setting;
mod source;

use std::io;

use gst::prelude::*;
use gst::MessageView;
use transcribe_core::transcript::Event;

use crate::signals::{self, Signals};
use crate::supervise::capture::Capture;
use crate::supervise::decide::Status;
use crate::supervise::news::News;
use crate::supervise::{Fault, FaultKind};
use build::Parts;
pub(crate) use build::NO_AUDIO;
pub(crate) use elements::{add_with_sink, apply, follow, make, transcriber, Progress, Properties, FINALIZE};
pub(crate) use error::Error;
pub(crate) use message::{event, is_about_a_decoder, preparation, Preparation};
pub(crate) use missing::MissingPlugin;
pub(crate) use setting::{Refused, Setting};
pub(crate) use source::Source;

/// How often the observer hears of the position.
const TICK: gst::ClockTime = gst::ClockTime::from_mseconds(200);

/// How the pipeline runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// Properties of the element; the others keep its defaults.
    pub(crate) properties: Properties,
    /// At the pace of speech.
    pub(crate) real_time: bool,
}

/// Hears what happens in the pipeline.
pub(crate) trait Observer {
    /// Something was said, and began to be at that time of day, where the source tells. An error stops the pipeline.
    fn event(&mut self, event: &Event, captured_at: Option<&str>) -> io::Result<()>;

    /// The element gets ready.
    fn preparation(&mut self, _step: &Preparation) {}

    /// All up to `position` has been looked at; the length is known for files.
    fn position(&mut self, _position: gst::ClockTime, _duration: Option<gst::ClockTime>) {}

    /// How a source is that comes from elsewhere.
    fn source(&mut self, _status: &Status) {}

    /// The first interrupt came; what was heard so far is still being written down.
    fn interrupted(&mut self) {}
}

/// What became of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Length of the audio that was transcribed.
    pub(crate) duration: Option<gst::ClockTime>,
    /// Whether it was cut short by a signal.
    pub(crate) interrupted: bool,
}

/// Runs `source` through the element until its end, an error or the second signal.
pub(crate) fn run(
    source: &Source,
    options: &Options,
    signals: &Signals,
    observer: &mut dyn Observer,
) -> Result<Outcome, Error> {
    let parts = Parts::build(source, options)?;
    let running = Running::start(parts, signals)?;
    running.watch(signals, observer)
}

/// A pipeline that plays, and is stopped when this goes.
struct Running<'a> {
    parts: Parts,
    bus: gst::Bus,
    signals: &'a Signals,
    missing: Vec<MissingPlugin>,
    capture: Capture,
    duration: Option<gst::ClockTime>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.signals.deliver_to(None);
        let _ = self.parts.pipeline.set_state(gst::State::Null);
    }
}

impl<'a> Running<'a> {
    fn start(parts: Parts, signals: &'a Signals) -> Result<Self, Error> {
        let bus =
            parts.pipeline.bus().ok_or(Error::Failed { message: "the pipeline has no bus".into(), debug: None })?;
        signals.deliver_to(Some(signals::to_bus(bus.clone())));
        let mut running =
            Self { parts, bus, signals, missing: Vec::new(), capture: Capture::default(), duration: None };
        if let Err(error) = running.parts.pipeline.set_state(gst::State::Playing) {
            return Err(running.why_not_started(&error));
        }
        Ok(running)
    }

    /// The element that refused has said why on the bus.
    fn why_not_started(&mut self, error: &gst::StateChangeError) -> Error {
        while let Some(message) = self.bus.pop() {
            self.note_missing(&message);
            if let MessageView::Error(told) = message.view() {
                return self.error(told);
            }
        }
        Error::Failed { message: error.to_string(), debug: None }
    }

    fn watch(mut self, signals: &Signals, observer: &mut dyn Observer) -> Result<Outcome, Error> {
        // A signal that came before there was a bus to put it on.
        let mut interrupted = signals.count() > 0;
        if interrupted {
            return Ok(self.outcome(interrupted));
        }
        loop {
            let Some(message) = self.bus.timed_pop(TICK) else {
                self.tell_position(observer);
                continue;
            };
            match message.view() {
                MessageView::Eos(_) => {
                    self.tell_position(observer);
                    return Ok(self.outcome(interrupted));
                }
                MessageView::Error(error) => return Err(self.error(error)),
                // A stream that is not wanted may lack a decoder; one that is wanted gives an error.
                MessageView::Warning(warning) if !is_about_a_decoder(&warning.error()) => {
                    let origin = warning.debug();
                    tracing::warn!(origin = origin.as_deref().unwrap_or_default(), "{}", warning.error().message());
                }
                MessageView::Element(element) => {
                    self.note_missing(&message);
                    let Some(structure) = element.structure() else { continue };
                    if let Some(event) = event(structure) {
                        let captured_at = self.capture.at(event.start());
                        observer.event(&event, captured_at.as_deref()).map_err(Error::Output)?;
                        continue;
                    }
                    match News::read(structure) {
                        Some(News::Captured { since, offset }) => self.capture.told(since, offset),
                        Some(News::Status(Status::Failed(fault))) => return Err(failed(fault)),
                        Some(News::Status(status)) => observer.source(&status),
                        None => {}
                    }
                }
                MessageView::Progress(progress) => {
                    if let Some(step) = preparation(progress) {
                        observer.preparation(&step);
                    }
                }
                MessageView::Application(news) => match news.structure().map(|s| s.name().as_str()) {
                    Some(NO_AUDIO) => return Err(self.no_audio()),
                    Some(signals::MESSAGE) if interrupted || !self.finish() => return Ok(self.outcome(true)),
                    Some(signals::MESSAGE) => {
                        interrupted = true;
                        observer.interrupted();
                    }
                    _ => {}
                },
                MessageView::Latency(_) => {
                    let _ = self.parts.pipeline.recalculate_latency();
                }
                MessageView::ClockLost(_) => {
                    let _ = self.parts.pipeline.set_state(gst::State::Paused);
                    let _ = self.parts.pipeline.set_state(gst::State::Playing);
                }
                _ => {}
            }
        }
    }

    /// Ends the audio here, so that the element writes down what it has; `false` if it has heard nothing yet.
    fn finish(&mut self) -> bool {
        if let Some(pulled) = &self.parts.pulled {
            pulled.let_go();
        }
        let Some(sink) = self.parts.transcriber.static_pad("sink").filter(|sink| sink.current_caps().is_some()) else {
            return false;
        };
        // The pad may be busy: wait for it elsewhere. Whoever pushes after this is told that it is over.
        self.parts.transcriber.call_async(move |_| {
            sink.send_event(gst::event::Eos::new());
        });
        true
    }

    fn tell_position(&mut self, observer: &mut dyn Observer) {
        if self.duration.is_none() {
            self.duration = self.parts.decoder.as_ref().and_then(|decoder| decoder.query_duration());
        }
        observer.position(self.parts.position(), self.duration);
    }

    fn outcome(&self, interrupted: bool) -> Outcome {
        let heard = Some(self.parts.position()).filter(|position| !position.is_zero());
        Outcome { duration: self.duration.filter(|_| !interrupted).or(heard), interrupted }
    }

    fn note_missing(&mut self, message: &gst::Message) {
        self.missing.extend(message.structure().and_then(MissingPlugin::from_structure));
    }

    fn no_audio(&self) -> Error {
        self.missing_plugin().unwrap_or(Error::NoAudio)
    }

    /// The first missing plugin is the cause, what follows on the bus only its consequence.
    fn missing_plugin(&self) -> Option<Error> {
        self.missing.first().map(|missing| Error::MissingPlugin(missing.to_string()))
    }

    fn error(&self, message: &gst::message::Error) -> Error {
        let ours = message
            .src()
            .is_some_and(|src| src == &self.parts.transcriber || src.has_as_ancestor(&self.parts.transcriber));
        let missing = self.missing.first();
        Error::from_message(&message.error(), message.debug().as_deref(), ours, missing)
    }
}

/// What an input comes to that can't be had.
fn failed(fault: Fault) -> Error {
    match fault.kind {
        FaultKind::NoAudio => Error::NoAudio,
        _ => Error::Input { message: fault.detail, debug: None },
    }
}
