//! A pipeline is put together: `source ! decodebin ! [clocksync] ! whispertranscribe ! fakesink`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use gst::glib;
use gst::prelude::*;

use super::{Error, MissingPlugin, Options, Source};

const ELEMENT: &str = "whispertranscribe";
/// Name of the application message that says there is no audio in the input.
pub(super) const NO_AUDIO: &str = "no-audio";

/// A pipeline and what has to be reached in it.
pub(super) struct Parts {
    pub(super) pipeline: gst::Pipeline,
    pub(super) decoder: gst::Element,
    pub(super) transcriber: gst::Element,
    /// Nanoseconds up to which results, or the news that there are none, have left the element.
    position: Arc<AtomicU64>,
}

impl Parts {
    /// The pipeline for `source`, not yet playing.
    pub(super) fn build(source: &Source, options: &Options) -> Result<Self, Error> {
        let pipeline = gst::Pipeline::new();
        let broken = |e: glib::BoolError| Error::Failed { message: e.to_string(), debug: None };

        let decoder = match source {
            Source::Uri(uri) => {
                let decoder = make("uridecodebin")?;
                decoder.set_property("uri", uri);
                pipeline.add(&decoder).map_err(broken)?;
                decoder
            }
            Source::Stdin => {
                let (stdin, decoder) = (make("fdsrc")?, make("decodebin")?);
                pipeline.add_many([&stdin, &decoder]).map_err(broken)?;
                stdin.link(&decoder).map_err(broken)?;
                decoder
            }
        };
        // Pictures are not even decoded.
        let audio = gst::Caps::builder("audio/x-raw").any_features().build();
        decoder.set_property("caps", audio);
        decoder.set_property("expose-all-streams", false);

        let transcriber = make(ELEMENT)?;
        for (name, value) in &options.properties {
            value.apply(&transcriber, name)?;
        }

        // Results are read from the bus, where partials are too; downstream there is nothing to wait for.
        let sink = make("fakesink")?;
        sink.set_property("sync", false);
        sink.set_property("async", false);
        pipeline.add_many([&transcriber, &sink]).map_err(broken)?;
        let json = gst::Caps::new_empty_simple("application/x-json");
        transcriber.link_filtered(&sink, &json).map_err(broken)?;

        let entry = if options.real_time {
            let pace = make("clocksync")?;
            pipeline.add(&pace).map_err(broken)?;
            pace.link(&transcriber).map_err(broken)?;
            pace
        } else {
            transcriber.clone()
        };
        connect(&decoder, &entry);

        let position = Arc::new(AtomicU64::new(0));
        follow(&transcriber, &position);
        Ok(Self { pipeline, decoder, transcriber, position })
    }

    /// Up to where the element is done with the audio.
    pub(super) fn position(&self) -> gst::ClockTime {
        gst::ClockTime::from_nseconds(self.position.load(Ordering::Acquire))
    }
}

fn make(factory: &str) -> Result<gst::Element, Error> {
    gst::ElementFactory::make(factory)
        .build()
        .map_err(|_| Error::MissingPlugin(MissingPlugin::element(factory).to_string()))
}

/// Links the decoder's first audio pad to `entry` once it is there; says on the bus when there is none.
fn connect(decoder: &gst::Element, entry: &gst::Element) {
    let Some(sink) = entry.static_pad("sink") else { return };
    let target = sink.clone();
    decoder.connect_pad_added(move |_, pad| {
        if target.is_linked() {
            return;
        }
        if let Err(error) = pad.link(&target) {
            tracing::warn!(%error, pad = %pad.name(), "a decoded stream can't be linked");
        }
    });
    decoder.connect_no_more_pads(move |decoder| {
        if !sink.is_linked() {
            let news = gst::message::Application::builder(gst::Structure::new_empty(NO_AUDIO)).src(decoder).build();
            let _ = decoder.post_message(news);
        }
    });
}

/// Keeps `position` at the end of the last buffer or gap that left the element.
fn follow(transcriber: &gst::Element, position: &Arc<AtomicU64>) {
    let Some(src) = transcriber.static_pad("src") else { return };
    let position = position.clone();
    src.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        let end = match &info.data {
            Some(gst::PadProbeData::Buffer(buffer)) => {
                buffer.pts().map(|pts| pts + buffer.duration().unwrap_or_default())
            }
            Some(gst::PadProbeData::Event(event)) => match event.view() {
                gst::EventView::Gap(gap) => {
                    let (start, duration) = gap.get();
                    Some(start + duration.unwrap_or_default())
                }
                _ => None,
            },
            _ => None,
        };
        if let Some(end) = end {
            position.fetch_max(end.nseconds(), Ordering::AcqRel);
        }
        gst::PadProbeReturn::Ok
    });
}
