//! The piece of pipeline: `appsrc ! mulawdec` for each track, fed from async code through an [`Inlet`].

use std::sync::Arc;

use gst::prelude::*;
use tokio::sync::Notify;

use super::message::Party;
use super::timeline::{Silence, MILLISECOND};
use crate::pipeline::{make, Error, FINALIZE};
use crate::sources::{pad_of, Outlets, Source, Track};

/// Frames and bytes of a second.
const SECOND: u64 = 1_000 * MILLISECOND;
/// Silence, as μ-law writes it.
const SILENT: u8 = 0xff;

/// The tracks of a call.
pub(super) struct CallAudio {
    parties: Vec<Party>,
    ways: Vec<gst_app::AppSrc>,
}

/// Where the audio goes in. It holds a second of each track at most, and waits for the pipeline then.
pub(super) struct Inlet(Vec<Way>);

struct Way {
    appsrc: gst_app::AppSrc,
    room: Arc<Notify>,
}

/// The pipeline does not take audio any more; the session knows why.
#[derive(Debug)]
pub(super) struct Stopped;

impl CallAudio {
    /// Both ends.
    pub(super) fn new(parties: &[Party]) -> (Self, Inlet) {
        let ways: Vec<Way> = parties.iter().map(|_| Way::new()).collect();
        let source = Self { parties: parties.to_vec(), ways: ways.iter().map(|way| way.appsrc.clone()).collect() };
        (source, Inlet(ways))
    }
}

impl Source for CallAudio {
    fn kind(&self) -> &'static str {
        super::KIND
    }

    fn tracks(&self) -> Vec<Track> {
        let several = self.parties.len() > 1;
        let track = |(channel, party): (u32, &Party)| Track {
            channel: several.then_some(channel),
            party: Some(party.name()),
            pick: None,
        };
        (0..).zip(&self.parties).map(track).collect()
    }

    fn build(&mut self, pipeline: &gst::Pipeline, outlets: &Outlets) -> Result<(), Error> {
        for (track, appsrc) in self.ways.iter().enumerate() {
            let decoder = make("mulawdec")?;
            pipeline.add_many([appsrc.upcast_ref(), &decoder])?;
            appsrc.link(&decoder)?;
            outlets.give(track, &pad_of(&decoder, "src")?)?;
        }
        Ok(())
    }

    fn finish(&mut self, _outlets: &Outlets) {
        for appsrc in &self.ways {
            let _ = appsrc.end_of_stream();
        }
    }
}

impl Inlet {
    /// Hands over audio of a track; waits while the pipeline has enough.
    pub(super) async fn audio(&self, track: usize, start: u64, audio: Vec<u8>) -> Result<(), Stopped> {
        let Some(way) = self.0.get(track) else { return Ok(()) };
        way.push(start, audio).await
    }

    /// The same with silence. Of what is long, most is no audio but a gap, which costs nothing.
    pub(super) async fn silence(&self, Silence { track, start, length }: Silence) -> Result<(), Stopped> {
        let Some(way) = self.0.get(track) else { return Ok(()) };
        let heard = length.min(SECOND);
        way.push(start, vec![SILENT; usize::try_from(heard).unwrap_or(0)]).await?;
        if length > heard {
            way.gap(start + heard, length - heard);
        }
        Ok(())
    }

    /// Ends the running utterances behind what was handed over; `ends` are the ends of the tracks.
    pub(super) fn finalize(&self, ends: &[u64]) {
        for (way, end) in self.0.iter().zip(ends) {
            let event = gst::event::CustomDownstream::new(gst::Structure::new_empty(FINALIZE));
            way.appsrc.send_event(event);
            // The decoder keeps events back until there is audio, or a gap.
            way.gap(*end, 0);
        }
    }
}

impl Way {
    fn new() -> Self {
        let room = Arc::new(Notify::new());
        let waiting = room.clone();
        let callbacks = gst_app::AppSrcCallbacks::builder().need_data(move |_, _| waiting.notify_one()).build();
        let caps = gst::Caps::builder("audio/x-mulaw").field("rate", SECOND as i32).field("channels", 1).build();
        let appsrc = gst_app::AppSrc::builder()
            .is_live(false)
            .format(gst::Format::Time)
            .caps(&caps)
            .max_bytes(SECOND)
            .min_percent(50)
            .callbacks(callbacks)
            .build();
        Self { appsrc, room }
    }

    async fn push(&self, start: u64, audio: Vec<u8>) -> Result<(), Stopped> {
        if audio.is_empty() {
            return Ok(());
        }
        // The need for data is told when the level falls below half. It was told before if it is told in between.
        while self.appsrc.current_level_bytes() >= SECOND {
            self.room.notified().await;
        }
        let end = start + audio.len() as u64;
        let mut buffer = gst::Buffer::from_mut_slice(audio);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(time(start));
            buffer.set_duration(time(end) - time(start));
        }
        self.appsrc.push_buffer(buffer).map(|_| ()).map_err(|_| Stopped)
    }

    fn gap(&self, start: u64, length: u64) {
        let gap = gst::event::Gap::builder(time(start)).duration(time(start + length) - time(start)).build();
        self.appsrc.send_event(gap);
    }
}

/// When a frame is.
fn time(frame: u64) -> gst::ClockTime {
    let passed = frame.mul_div_floor(*gst::ClockTime::SECOND, SECOND);
    passed.map_or(gst::ClockTime::MAX, gst::ClockTime::from_nseconds)
}
