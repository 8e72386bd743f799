//! The piece of pipeline: `appsrc`, with `mulawdec`, `alawdec` or `decodebin` behind it where that is needed, fed from
//! async code through an [`Inlet`].

use std::sync::Arc;

use gst::prelude::*;
use tokio::sync::Notify;

use super::audio::Wire;
use crate::pipeline::{make, Error, FINALIZE};
use crate::sources::{pad_of, Outlets, Source, Track};

/// Audio from a client.
pub(super) struct ClientAudio {
    appsrc: gst_app::AppSrc,
    wire: Wire,
    tracks: Vec<Track>,
}

/// Where the client's audio goes in. It holds a second of raw audio at most, and waits for the pipeline then.
pub(super) struct Inlet {
    appsrc: gst_app::AppSrc,
    wire: Wire,
    room: Arc<Notify>,
    /// Frames so far.
    frames: u64,
}

/// The pipeline does not take audio any more.
#[derive(Debug)]
pub(super) struct Stopped;

impl ClientAudio {
    /// Both ends.
    pub(super) fn new(wire: Wire, tracks: Vec<Track>) -> (Self, Inlet) {
        let room = Arc::new(Notify::new());
        let waiting = room.clone();
        let callbacks = gst_app::AppSrcCallbacks::builder().need_data(move |_, _| waiting.notify_one()).build();
        let appsrc = gst_app::AppSrc::builder()
            .is_live(false)
            .max_bytes(wire.held())
            .min_percent(50)
            .callbacks(callbacks)
            .build();
        match wire {
            Wire::Raw(format) => {
                appsrc.set_format(gst::Format::Time);
                appsrc.set_caps(Some(&format.caps()));
            }
            Wire::Container => appsrc.set_format(gst::Format::Bytes),
        }
        let inlet = Inlet { appsrc: appsrc.clone(), wire, room, frames: 0 };
        (Self { appsrc, wire, tracks }, inlet)
    }
}

impl Source for ClientAudio {
    fn kind(&self) -> &'static str {
        super::KIND
    }

    fn tracks(&self) -> Vec<Track> {
        self.tracks.clone()
    }

    fn build(&mut self, pipeline: &gst::Pipeline, outlets: &Outlets) -> Result<(), Error> {
        pipeline.add(&self.appsrc)?;
        let decoder = match self.wire {
            Wire::Container => return build_decodebin(pipeline, &self.appsrc, outlets),
            Wire::Raw(format) => format.encoding.decoder(),
        };
        let Some(decoder) = decoder else {
            return outlets.share(&pad_of(self.appsrc.upcast_ref(), "src")?);
        };
        let decoder = make(decoder)?;
        pipeline.add(&decoder)?;
        self.appsrc.link(&decoder)?;
        outlets.share(&pad_of(&decoder, "src")?)
    }

    fn finish(&mut self, _outlets: &Outlets) {
        let _ = self.appsrc.end_of_stream();
    }
}

/// Has the first audio that is found in what comes go to `outlets`.
fn build_decodebin(pipeline: &gst::Pipeline, from: &gst_app::AppSrc, outlets: &Outlets) -> Result<(), Error> {
    let decoder = make("decodebin")?;
    // Pictures are not even decoded.
    decoder.set_property("caps", gst::Caps::builder("audio/x-raw").any_features().build());
    decoder.set_property("expose-all-streams", false);
    pipeline.add(&decoder)?;
    from.link(&decoder)?;
    let found = outlets.clone();
    decoder.connect_pad_added(move |_, pad| {
        if found.are_linked() {
            return;
        }
        if let Err(error) = found.share(pad) {
            tracing::warn!(%error, "a decoded stream can't be linked");
        }
    });
    let outlets = outlets.clone();
    decoder.connect_no_more_pads(move |_| {
        if !outlets.are_linked() {
            outlets.no_audio();
        }
    });
    Ok(())
}

impl Inlet {
    /// Hands over a message that was checked; waits while the pipeline has enough.
    pub(super) async fn push(&mut self, bytes: &[u8]) -> Result<(), Stopped> {
        // The need for data is told when the level falls below half. It was told before if it is told in between.
        while self.appsrc.current_level_bytes() >= self.wire.held() {
            self.room.notified().await;
        }
        // A copy, because samples have to be aligned and lie anywhere in a message.
        let mut buffer = gst::Buffer::from_mut_slice(bytes.to_vec());
        if let (Wire::Raw(format), Some(buffer)) = (self.wire, buffer.get_mut()) {
            let start = format.time(self.frames);
            self.frames += (bytes.len() / format.frame()) as u64;
            buffer.set_pts(start);
            buffer.set_duration(format.time(self.frames) - start);
        }
        self.appsrc.push_buffer(buffer).map(|_| ()).map_err(|_| Stopped)
    }

    /// Ends the running utterance behind what was pushed so far.
    pub(super) fn finalize(&self) {
        let event = gst::event::CustomDownstream::new(gst::Structure::new_empty(FINALIZE));
        self.appsrc.send_event(event);
    }
}
