//! Streams that the server pulls: cameras by RTSP, and whatever else GStreamer has a source for.
//!
//! A connection is a file ([`rtsp`], [`uri`]) that makes elements and says what their errors mean. That it comes back when
//! it breaks off, and that times go on, is the supervisor's work ([`crate::supervise`]).

mod address;
mod fingerprint;
mod rtsp;
mod uri;

use std::time::Duration;

use gst::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(crate) use self::address::{Address, Protocol};
pub(crate) use self::fingerprint::Fingerprint;
use super::{pad_of, Outlets, Source, Track};
use crate::pipeline::Error;
use crate::supervise::{Connect, Policy, Supervised};

/// Audio of playlists comes in segments, which may be ten seconds long and are not there before they are complete.
const PATIENCE_WITH_PLAYLISTS: Duration = Duration::from_secs(30);

/// A stream, and what is wanted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) address: Address,
    pub(crate) transport: Transport,
    /// Which of its audio tracks, from 0.
    pub(crate) audio_track: u32,
    /// Which channel of it, from 0; all mixed down without.
    pub(crate) channel: Option<u32>,
    /// Whether its end is a loss; without, that is found out.
    pub(crate) live: Option<bool>,
    /// Of RTSP over TLS: a certificate that is taken though no authority vouches for it.
    pub(crate) certificate: Option<Fingerprint>,
    pub(crate) policy: Policy,
}

/// What carries the packets of RTSP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Transport {
    /// The connection itself: gets through wherever the request does, and nothing is lost.
    #[default]
    Tcp,
    /// Packets of their own.
    Udp,
}

impl Stream {
    /// With nothing wanted in particular.
    pub(crate) fn new(address: Address) -> Self {
        let mut policy = Policy::default();
        if address.parameter("mode") == Some("listener") {
            policy.connect_timeout = None;
        }
        if address.is_playlist() {
            policy.stall_timeout = PATIENCE_WITH_PLAYLISTS;
            policy.connect_timeout = Some(PATIENCE_WITH_PLAYLISTS);
        }
        let transport = Transport::default();
        Self { address, transport, audio_track: 0, channel: None, live: None, certificate: None, policy }
    }

    fn connect(self) -> Box<dyn Connect> {
        match self.address.protocol() {
            Protocol::Rtsp => Box::new(rtsp::Camera::new(self)),
            _ => Box::new(uri::Uri(self)),
        }
    }
}

/// See the module.
pub(crate) struct Pulled {
    stream: Stream,
    supervised: Option<Supervised>,
}

impl Pulled {
    /// Nothing is connected yet.
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, supervised: None }
    }
}

impl Pulled {
    /// No connection is made any more; what is there goes on.
    pub(crate) fn let_go(&self) {
        if let Some(supervised) = &self.supervised {
            supervised.let_go();
        }
    }
}

impl Source for Pulled {
    fn kind(&self) -> &'static str {
        self.stream.address.protocol().name()
    }

    fn tracks(&self) -> Vec<Track> {
        vec![Track { pick: self.stream.channel, ..Track::default() }]
    }

    fn build(&mut self, pipeline: &gst::Pipeline, outlets: &Outlets) -> Result<(), Error> {
        // That of a connection would go with it.
        pipeline.use_clock(Some(&gst::SystemClock::obtain()));
        let supervised = Supervised::new(self.stream.clone().connect(), self.stream.policy)?;
        pipeline.add(supervised.element())?;
        outlets.share(&pad_of(supervised.element(), "src")?)?;
        self.supervised = Some(supervised);
        Ok(())
    }

    fn finish(&mut self, outlets: &Outlets) {
        self.let_go();
        outlets.end();
    }
}

/// Raw audio.
fn raw() -> gst::Caps {
    gst::Caps::builder("audio/x-raw").any_features().build()
}
