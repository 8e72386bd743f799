//! The pieces that every pipeline here has: the transcribing element with its properties, the sink behind it, and how
//! far it is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use gst::prelude::*;

use super::{Error, MissingPlugin, Refused, Setting};

/// Factory of the transcribing element.
const TRANSCRIBER: &str = "whispertranscribe";

/// Custom event that the transcribing element ends an utterance on.
pub(crate) const FINALIZE: &str = "whispertranscribe/finalize";

/// Properties of the transcribing element; those that are not named keep its defaults.
pub(crate) type Properties = Vec<(&'static str, Setting)>;

/// An element of a plugin that has to be installed.
pub(crate) fn make(factory: &str) -> Result<gst::Element, Error> {
    gst::ElementFactory::make(factory)
        .build()
        .map_err(|_| Error::MissingPlugin(MissingPlugin::element(factory).to_string()))
}

/// The transcribing element.
pub(crate) fn transcriber() -> Result<gst::Element, Error> {
    make(TRANSCRIBER)
}

/// Sets properties of `element`, in order.
pub(crate) fn apply(properties: &[(&'static str, Setting)], element: &gst::Element) -> Result<(), Refused> {
    properties.iter().try_for_each(|(name, value)| value.apply(element, name))
}

/// Adds `transcriber` to `pipeline` with a sink behind it. Results are read from the bus, where partials are too;
/// downstream there is nothing to wait for.
pub(crate) fn add_with_sink(pipeline: &gst::Pipeline, transcriber: &gst::Element) -> Result<(), Error> {
    let sink = make("fakesink")?;
    sink.set_property("sync", false);
    sink.set_property("async", false);
    pipeline.add_many([transcriber, &sink])?;
    let json = gst::Caps::new_empty_simple("application/x-json");
    transcriber.link_filtered(&sink, &json)?;
    Ok(())
}

/// Up to where a transcribing element is done with its audio: the end of the last buffer or gap that left it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress(Arc<AtomicU64>);

impl Progress {
    /// Follows `transcriber` from now on.
    pub(crate) fn of(transcriber: &gst::Element) -> Self {
        let progress = Self::default();
        let position = progress.0.clone();
        follow(transcriber, move |end| {
            position.fetch_max(end.nseconds(), Ordering::AcqRel);
        });
        progress
    }

    /// The timestamp.
    pub(crate) fn position(&self) -> gst::ClockTime {
        gst::ClockTime::from_nseconds(self.0.load(Ordering::Acquire))
    }
}

/// Has `told` know of each position that `transcriber` is done up to, on its thread.
pub(crate) fn follow(transcriber: &gst::Element, told: impl Fn(gst::ClockTime) + Send + Sync + 'static) {
    let Some(src) = transcriber.static_pad("src") else { return };
    src.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(end) = end(info) {
            told(end);
        }
        gst::PadProbeReturn::Ok
    });
}

fn end(info: &gst::PadProbeInfo) -> Option<gst::ClockTime> {
    match &info.data {
        Some(gst::PadProbeData::Buffer(buffer)) => buffer.pts().map(|pts| pts + buffer.duration().unwrap_or_default()),
        Some(gst::PadProbeData::Event(event)) => match event.view() {
            gst::EventView::Gap(gap) => {
                let (start, duration) = gap.get();
                Some(start + duration.unwrap_or_default())
            }
            _ => None,
        },
        _ => None,
    }
}
