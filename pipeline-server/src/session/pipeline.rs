//! The pipeline of a session: `source … ! whispertranscribe ! fakesink`, the latter two for each track.
//!
//! It is driven through properties and events, and heard through a handler that gets every message of its bus on the
//! thread that posts it. All calls here may wait for GStreamer's threads: none is for async code.

use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;

use crate::pipeline::{add_with_sink, apply, follow, transcriber, Error, Properties, Refused};
use crate::sources::{pad_of, Outlets, Source, Track};

/// Properties that the element takes while it plays; all others until then.
const LIVE: [&str; 8] = [
    "language",
    "initial-prompt",
    "task",
    "condition-on-previous-text",
    "timestamps",
    "partials",
    "partial-interval",
    "attention-margin",
];

/// Gets every message of the bus, with the number of the track where it comes from one of the transcribing elements.
pub(super) type Listener = Box<dyn Fn(Option<usize>, &gst::Message) + Send + Sync>;

/// Gets how far a track is, each time.
pub(super) type Meter = Box<dyn Fn(usize, Reached) + Send + Sync>;

/// How far a track is.
pub(super) enum Reached {
    /// Audio up to this time has come in, seconds.
    In(f64),
    /// No final that begins before this time will come out any more, seconds.
    Out(f64),
}

/// See the module.
pub(super) struct Pipeline {
    pipeline: gst::Pipeline,
    transcribers: Vec<gst::Element>,
    outlets: Outlets,
    source: Mutex<Box<dyn Source>>,
}

impl Pipeline {
    /// Builds it; it does not take audio yet. `properties` are those of the transcribing elements.
    pub(super) fn build(
        mut source: Box<dyn Source>,
        properties: &Properties,
        listener: Listener,
        meter: Meter,
    ) -> Result<Self, Error> {
        let pipeline = gst::Pipeline::new();
        let transcribers = source
            .tracks()
            .iter()
            .map(|track| add_track(&pipeline, track, properties))
            .collect::<Result<Vec<_>, Error>>()?;
        let entries = transcribers.iter().map(|t| pad_of(t, "sink")).collect::<Result<Vec<_>, Error>>()?;
        measure(&transcribers, &entries, meter);
        let outlets = Outlets::new(&pipeline, entries);
        source.build(&pipeline, &outlets)?;
        if let Some(bus) = pipeline.bus() {
            let ours: Vec<gst::Object> = transcribers.iter().map(|t| t.clone().upcast()).collect();
            bus.set_sync_handler(move |_, message| {
                let track = ours.iter().position(|element| message.src() == Some(element));
                listener(track, message);
                gst::BusSyncReply::Drop
            });
        }
        let built = Self { pipeline, transcribers, outlets, source: Mutex::new(source) };
        built.set_state(gst::State::Ready)?;
        Ok(built)
    }

    /// Takes audio from now on.
    pub(super) fn play(&self) -> Result<(), Error> {
        self.set_state(gst::State::Playing)
    }

    /// Ends the audio; EOS comes when all of it has its text.
    pub(super) fn finish(&self) {
        self.source.lock().unwrap_or_else(PoisonError::into_inner).finish(&self.outlets);
    }

    /// Latencies have changed. Returns at once, so that a handler of messages may call it.
    pub(super) fn recalculate_latency(&self) {
        self.pipeline.call_async(|pipeline| {
            let _ = pipeline.recalculate_latency();
        });
    }

    /// Takes it down, waiting for all its threads.
    pub(super) fn stop(&self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }

    /// Changes how all tracks are transcribed; with `playing`, only what can be changed then. Nothing is changed if
    /// one of them is refused.
    pub(super) fn configure(&self, properties: &Properties, playing: bool) -> Result<(), Refused> {
        if playing {
            if let Some((name, _)) = properties.iter().find(|(name, _)| !LIVE.contains(name)) {
                let reason = "can be set only before the first audio".to_owned();
                return Err(Refused { name: (*name).to_owned(), reason });
            }
        }
        // An element that is thrown away tells whether the values are right.
        if let Ok(trial) = transcriber() {
            apply(properties, &trial)?;
        }
        self.transcribers.iter().try_for_each(|transcriber| apply(properties, transcriber))
    }

    fn set_state(&self, state: gst::State) -> Result<(), Error> {
        match self.pipeline.set_state(state) {
            Ok(_) => Ok(()),
            // An element that refuses has said why on the bus.
            Err(error) => Err(Error::Failed { message: error.to_string(), debug: None }),
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.stop();
    }
}

fn add_track(pipeline: &gst::Pipeline, track: &Track, properties: &Properties) -> Result<gst::Element, Error> {
    let transcriber = transcriber()?;
    apply(properties, &transcriber).map_err(|refused| Error::Setting(refused.to_string()))?;
    if let Some(channel) = track.pick {
        transcriber.set_property("channel", i32::try_from(channel).unwrap_or(i32::MAX));
    }
    add_with_sink(pipeline, &transcriber)?;
    Ok(transcriber)
}

/// Has `meter` told of all audio that comes to the entries, and of what is done.
fn measure(transcribers: &[gst::Element], entries: &[gst::Pad], meter: Meter) {
    let meter = Arc::new(meter);
    let seconds = |time: gst::ClockTime| time.nseconds() as f64 / 1e9;
    for (track, (transcriber, entry)) in transcribers.iter().zip(entries).enumerate() {
        let told = meter.clone();
        entry.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if let Some(pts) = info.buffer().and_then(|buffer| buffer.pts()) {
                let duration = info.buffer().and_then(|buffer| buffer.duration()).unwrap_or_default();
                told(track, Reached::In(seconds(pts + duration)));
            }
            gst::PadProbeReturn::Ok
        });
        let told = meter.clone();
        follow(transcriber, move |position| told(track, Reached::Out(seconds(position))));
        let Some(exit) = transcriber.static_pad("src") else { continue };
        let told = meter.clone();
        exit.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
            if info.event().is_some_and(|event| event.type_() == gst::EventType::Eos) {
                told(track, Reached::Out(f64::INFINITY));
            }
            gst::PadProbeReturn::Ok
        });
    }
}
