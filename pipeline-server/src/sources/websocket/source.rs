//! The piece of pipeline: `appsrc [! mulawdec]`, fed from async code through an [`Inlet`].

use std::sync::Arc;

use gst::prelude::*;
use tokio::sync::Notify;

use super::audio::Format;
use crate::pipeline::{make, Error};
use crate::sources::{pad_of, Outlets, Source, Track};

/// Custom event that the transcribing element ends an utterance on.
const FINALIZE: &str = "whispertranscribe/finalize";

/// Raw audio from a client.
pub(super) struct RawAudio {
    appsrc: gst_app::AppSrc,
    format: Format,
    tracks: Vec<Track>,
}

/// Where the client's audio goes in. It holds a second of audio at most, and waits for the pipeline then.
pub(super) struct Inlet {
    appsrc: gst_app::AppSrc,
    format: Format,
    room: Arc<Notify>,
    /// Frames so far.
    frames: u64,
}

/// The pipeline does not take audio any more.
#[derive(Debug)]
pub(super) struct Stopped;

impl RawAudio {
    /// Both ends.
    pub(super) fn new(format: Format, tracks: Vec<Track>) -> (Self, Inlet) {
        let room = Arc::new(Notify::new());
        let waiting = room.clone();
        let appsrc = gst_app::AppSrc::builder()
            .caps(&format.caps())
            .format(gst::Format::Time)
            .is_live(false)
            .max_bytes(format.second() as u64)
            .min_percent(50)
            .callbacks(gst_app::AppSrcCallbacks::builder().need_data(move |_, _| waiting.notify_one()).build())
            .build();
        let inlet = Inlet { appsrc: appsrc.clone(), format, room, frames: 0 };
        (Self { appsrc, format, tracks }, inlet)
    }
}

impl Source for RawAudio {
    fn kind(&self) -> &'static str {
        super::KIND
    }

    fn tracks(&self) -> Vec<Track> {
        self.tracks.clone()
    }

    fn build(&mut self, pipeline: &gst::Pipeline, outlets: &Outlets) -> Result<(), Error> {
        pipeline.add(&self.appsrc)?;
        let Some(decoder) = self.format.encoding.decoder() else {
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

impl Inlet {
    /// Hands over whole frames; waits while the pipeline has enough.
    pub(super) async fn push(&mut self, bytes: &[u8]) -> Result<(), Stopped> {
        // The need for data is told when the level falls below half. It was told before if it is told in between.
        while self.appsrc.current_level_bytes() >= self.format.second() as u64 {
            self.room.notified().await;
        }
        let frames = (bytes.len() / self.format.frame()) as u64;
        // A copy, because samples have to be aligned and lie anywhere in a message.
        let mut buffer = gst::Buffer::from_mut_slice(bytes.to_vec());
        let start = self.time(self.frames);
        self.frames += frames;
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(start);
            buffer.set_duration(self.time(self.frames) - start);
        }
        self.appsrc.push_buffer(buffer).map(|_| ()).map_err(|_| Stopped)
    }

    /// Ends the running utterance behind what was pushed so far.
    pub(super) fn finalize(&self) {
        let event = gst::event::CustomDownstream::new(gst::Structure::new_empty(FINALIZE));
        self.appsrc.send_event(event);
    }

    fn time(&self, frames: u64) -> gst::ClockTime {
        let passed = frames.mul_div_floor(*gst::ClockTime::SECOND, u64::from(self.format.rate));
        passed.map_or(gst::ClockTime::MAX, gst::ClockTime::from_nseconds)
    }
}
