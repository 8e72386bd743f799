//! The doors through which audio comes in. Each is a folder that implements [`Source`]: a piece of pipeline that ends in
//! raw audio, and a way to end it. Everything behind that (transcription, results, limits, metrics) is the session's.

pub(crate) mod pulled;
pub(crate) mod rtp;
pub(crate) mod sip;
pub(crate) mod twilio;
pub(crate) mod websocket;
pub(crate) mod whip;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::ws;
use axum::routing::any;
use axum::Router;
use gst::prelude::*;

use crate::exit::UsageError;
use crate::http::Server;
use crate::pipeline::{make, Error, NO_AUDIO};
use crate::session::Reason;

/// Settings of the doors, those of each in its folder.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) sip: sip::Options,
    #[command(flatten)]
    pub(crate) twilio: twilio::Options,
    #[command(flatten)]
    pub(crate) whip: whip::Options,
}

impl Options {
    /// Whether the settings go together.
    pub(crate) fn check(&self) -> Result<(), UsageError> {
        self.sip.check()
    }
}

/// The doors, while they are open: those that listen for themselves beside HTTP, and the addresses of the others.
pub(crate) struct Open {
    sip: Option<sip::Open>,
    whip: Option<whip::Whip>,
}

/// Opens the doors; `listen` is where HTTP is to be.
pub(crate) async fn open(server: &Server, listen: SocketAddr) -> anyhow::Result<Open> {
    Ok(Open { sip: sip::open(server).await?, whip: whip::open(&server.doors.whip, listen)? })
}

impl Open {
    /// Where they listen, for people and scripts.
    pub(crate) fn announcements(&self) -> Vec<String> {
        let calls = self.sip.iter().map(|sip| format!("Calls: sip:{} (UDP and TCP)", sip.address));
        let webrtc = self.whip.iter().map(|whip| format!("WebRTC: POST /whip (UDP at {})", whip.address()));
        calls.chain(webrtc).collect()
    }

    /// The addresses of those that are reached over HTTP.
    pub(crate) fn routes(&self) -> Router<Server> {
        Router::new()
            .route("/ws/transcribe", any(websocket::transcribe))
            .route("/twilio/stream", any(twilio::stream))
            .merge(whip::http::routes(self.whip.clone()))
    }

    /// Closes them, once all sessions are over.
    pub(crate) async fn close(self) {
        if let Some(sip) = self.sip {
            sip.close().await;
        }
    }
}

/// Audio that is transcribed by itself: one speaker, one side of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Track {
    /// Its number for clients, where there are several.
    pub(crate) channel: Option<u32>,
    /// Who is heard, in a call.
    pub(crate) party: Option<&'static str>,
    /// The channel to pick of audio that has several; all mixed down without.
    pub(crate) pick: Option<u32>,
}

/// A way for audio to come in.
pub(crate) trait Source: Send {
    /// Its name in logs and metrics: `websocket`.
    fn kind(&self) -> &'static str;

    /// What it gives, in the order of the numbers that [`Outlets`] takes.
    fn tracks(&self) -> Vec<Track>;

    /// Puts its elements into the session's pipeline and hands pads with raw audio to `outlets`: here, or when they
    /// appear. It is called again if the session's pipeline has to be built anew.
    fn build(&mut self, pipeline: &gst::Pipeline, outlets: &Outlets) -> Result<(), Error>;

    /// There will be no more audio: what is on its way is still heard, then every track ends. May be called once the
    /// pipeline plays, and wait for the pipeline.
    fn finish(&mut self, outlets: &Outlets) {
        outlets.end();
    }
}

/// Where a source's audio goes: the entries of the tracks' transcribing elements.
#[derive(Debug, Clone)]
pub(crate) struct Outlets {
    pipeline: gst::glib::WeakRef<gst::Pipeline>,
    entries: Arc<[gst::Pad]>,
}

impl Outlets {
    /// For a pipeline and the sink pads of its transcribing elements.
    pub(crate) fn new(pipeline: &gst::Pipeline, entries: Vec<gst::Pad>) -> Self {
        Self { pipeline: pipeline.downgrade(), entries: entries.into() }
    }

    /// Whether all tracks have their audio.
    pub(crate) fn are_linked(&self) -> bool {
        self.entries.iter().all(gst::Pad::is_linked)
    }

    /// Has one track hear a pad, where each has its own.
    pub(crate) fn give(&self, track: usize, pad: &gst::Pad) -> Result<(), Error> {
        match self.entries.get(track) {
            Some(entry) => link(pad, entry),
            None => Ok(()),
        }
    }

    /// Has all tracks hear the same pad; each picks its channel.
    pub(crate) fn share(&self, pad: &gst::Pad) -> Result<(), Error> {
        if let [entry] = &*self.entries {
            return link(pad, entry);
        }
        let Some(pipeline) = self.pipeline.upgrade() else { return Ok(()) };
        let tee = make("tee")?;
        pipeline.add(&tee)?;
        for entry in self.entries.iter() {
            let queue = make("queue")?;
            pipeline.add(&queue)?;
            tee.link(&queue)?;
            link(&pad_of(&queue, "src")?, entry)?;
            queue.sync_state_with_parent()?;
        }
        tee.sync_state_with_parent()?;
        link(pad, &pad_of(&tee, "sink")?)
    }

    /// Ends all tracks where they are: each gives out what it has, and then EOS. Returns at once.
    pub(crate) fn end(&self) {
        for entry in self.entries.iter() {
            let entry = entry.clone();
            let Some(element) = entry.parent_element() else { continue };
            // The pad may be busy: wait for it elsewhere. Whoever pushes after this is told that it is over.
            element.call_async(move |_| {
                entry.send_event(gst::event::Eos::new());
            });
        }
    }

    /// Says on the bus that the source holds no audio.
    pub(crate) fn no_audio(&self) {
        let Some(pipeline) = self.pipeline.upgrade() else { return };
        let news = gst::message::Application::builder(gst::Structure::new_empty(NO_AUDIO)).src(&pipeline).build();
        let _ = pipeline.post_message(news);
    }
}

/// The code of the frame that closes a WebSocket whose session ended for `reason` (RFC 6455, 7.4).
pub(crate) fn close_code(reason: Reason) -> u16 {
    match reason {
        Reason::ClientClosed | Reason::ClientGone | Reason::EndOfStream => ws::close_code::NORMAL,
        Reason::Shutdown => ws::close_code::AWAY,
        Reason::InvalidInput => ws::close_code::INVALID,
        Reason::IdleTimeout | Reason::MaxDuration | Reason::SlowReader => ws::close_code::POLICY,
        Reason::SourceFailed | Reason::Failed => ws::close_code::ERROR,
    }
}

/// A pad that the element always has.
pub(crate) fn pad_of(element: &gst::Element, name: &str) -> Result<gst::Pad, Error> {
    element.static_pad(name).ok_or_else(|| Error::Failed {
        message: format!("the element {} has no pad {name}", element.name()),
        debug: None,
    })
}

fn link(pad: &gst::Pad, to: &gst::Pad) -> Result<(), Error> {
    match pad.link(to) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::Failed { message: format!("the audio cannot be linked: {error}"), debug: None }),
    }
}
