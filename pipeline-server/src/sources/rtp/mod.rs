//! Audio in RTP packets (RFC 3550), for doors that take packets off the network themselves: calls, WebRTC.
//!
//! [`RtpAudio`] is the piece of pipeline, [`RtpInlet`] where packets go in. Packets are put in order and lost ones concealed;
//! where none come at all (silence suppression, a call on hold) there is silence, so that what was said before gets its
//! final, and stream time goes on.

mod branch;
mod codec;
mod silence;

use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;

use self::branch::Branch;
pub(crate) use self::codec::{Codec, Format};
use crate::pipeline::Error;
use crate::sources::{Outlets, Source, Track};

/// One party's audio, as a source.
pub(crate) struct RtpAudio {
    kind: &'static str,
    party: Option<&'static str>,
    shared: Arc<Mutex<Shared>>,
}

/// Where one party's packets go in.
#[derive(Clone)]
pub(crate) struct RtpInlet(Arc<Mutex<Shared>>);

struct Shared {
    format: Format,
    /// There once the pipeline is built.
    built: Option<Built>,
}

struct Built {
    branch: Branch,
    pipeline: gst::glib::WeakRef<gst::Pipeline>,
    outlets: Outlets,
}

impl RtpAudio {
    /// Both ends. `kind` is the name of the door.
    pub(crate) fn new(kind: &'static str, party: Option<&'static str>, format: Format) -> (Self, RtpInlet) {
        let shared = Arc::new(Mutex::new(Shared { format, built: None }));
        (Self { kind, party, shared: shared.clone() }, RtpInlet(shared))
    }
}

impl Source for RtpAudio {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn tracks(&self) -> Vec<Track> {
        vec![Track { party: self.party, ..Track::default() }]
    }

    fn build(&mut self, pipeline: &gst::Pipeline, outlets: &Outlets) -> Result<(), Error> {
        // Packets are stamped when they come.
        pipeline.use_clock(Some(&gst::SystemClock::obtain()));
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let branch = Branch::build(pipeline, shared.format)?;
        outlets.share(branch.exit())?;
        shared.built = Some(Built { branch, pipeline: pipeline.downgrade(), outlets: outlets.clone() });
        Ok(())
    }

    fn finish(&mut self, outlets: &Outlets) {
        // What came last still waits for packets before it.
        std::thread::sleep(branch::HELD_BACK);
        outlets.end();
    }
}

impl RtpInlet {
    /// Takes a packet, header and all, that came just now.
    pub(crate) fn push(&self, packet: &[u8]) {
        if let Some(built) = &self.lock().built {
            built.branch.push(packet);
        }
    }

    /// To be called again and again while no packets come: there is silence instead.
    pub(crate) fn idle(&self) {
        if let Some(built) = &self.lock().built {
            built.branch.silence().fill();
        }
    }

    /// Ends the running utterance behind what came so far.
    pub(crate) fn finalize(&self) {
        if let Some(built) = &self.lock().built {
            built.branch.finalize();
        }
    }

    /// What comes from now on is coded differently. Waits for the pipeline: not for async code.
    pub(crate) fn change(&self, format: Format) -> Result<(), Error> {
        let mut shared = self.lock();
        if shared.format == format {
            return Ok(());
        }
        shared.format = format;
        let Some(built) = &mut shared.built else { return Ok(()) };
        let Some(pipeline) = built.pipeline.upgrade() else { return Ok(()) };
        let next = Branch::build(&pipeline, format)?;
        built.branch.remove(&pipeline);
        built.outlets.share(next.exit())?;
        next.start()?;
        built.branch = next;
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
