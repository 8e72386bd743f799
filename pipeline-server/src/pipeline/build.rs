//! A pipeline is put together: `source ! decodebin ! [clocksync] ! whispertranscribe ! fakesink`.

use gst::prelude::*;

use super::{add_with_sink, apply, make, transcriber, Error, Options, Progress, Source};
use crate::sources::pulled::{Pulled, Stream};
use crate::sources::{pad_of, Outlets, Source as _};

/// Name of the application message that says there is no audio in the input.
pub(crate) const NO_AUDIO: &str = "no-audio";

/// A pipeline and what has to be reached in it.
pub(super) struct Parts {
    pub(super) pipeline: gst::Pipeline,
    /// What knows how long the input is, if it has an end.
    pub(super) decoder: Option<gst::Element>,
    pub(super) transcriber: gst::Element,
    /// A source that comes from elsewhere.
    pub(super) pulled: Option<Pulled>,
    progress: Progress,
}

impl Parts {
    /// The pipeline for `source`, not yet playing.
    pub(super) fn build(source: &Source, options: &Options) -> Result<Self, Error> {
        let pipeline = gst::Pipeline::new();
        let transcriber = transcriber()?;
        apply(&options.properties, &transcriber).map_err(|refused| Error::Setting(format!("--{refused}")))?;
        add_with_sink(&pipeline, &transcriber)?;

        let entry = if options.real_time {
            let pace = make("clocksync")?;
            pipeline.add(&pace)?;
            pace.link(&transcriber)?;
            pace
        } else {
            transcriber.clone()
        };
        let (decoder, pulled) = match source {
            Source::Stream(stream) => {
                let mut pulled = Pulled::new(Stream::clone(stream));
                let outlets = Outlets::new(&pipeline, vec![pad_of(&entry, "sink")?]);
                pulled.build(&pipeline, &outlets)?;
                (None, Some(pulled))
            }
            Source::Uri(uri) => {
                let decoder = make("uridecodebin")?;
                decoder.set_property("uri", uri);
                pipeline.add(&decoder)?;
                (Some(decoder), None)
            }
            Source::Stdin => {
                let (stdin, decoder) = (make("fdsrc")?, make("decodebin")?);
                pipeline.add_many([&stdin, &decoder])?;
                stdin.link(&decoder)?;
                (Some(decoder), None)
            }
        };
        if let Some(decoder) = &decoder {
            // Pictures are not even decoded.
            let audio = gst::Caps::builder("audio/x-raw").any_features().build();
            decoder.set_property("caps", audio);
            decoder.set_property("expose-all-streams", false);
            connect(decoder, &entry);
        }
        let progress = Progress::of(&transcriber);
        Ok(Self { pipeline, decoder, transcriber, pulled, progress })
    }

    /// Up to where the element is done with the audio.
    pub(super) fn position(&self) -> gst::ClockTime {
        self.progress.position()
    }
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
