//! Audio in RTP packets (RFC 3550), for doors that take packets off the network themselves: calls, WebRTC.
//!
//! [`RtpAudio`] is the piece of pipeline, [`RtpInlet`] where packets go in. Packets are put in order and lost ones concealed;
//! where none come at all (silence suppression, a call on hold) there is silence, so that what was said before gets its
//! final, and stream time goes on.

mod branch;
mod codec;
mod silence;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gst::prelude::*;

use self::branch::Branch;
pub(crate) use self::codec::{Codec, Format};
use crate::pipeline::Error;
use crate::sources::{Outlets, Source, Track};

/// One party's audio, as a source.
pub(crate) struct RtpAudio {
    kind: &'static str,
    party: Option<&'static str>,
    shared: Arc<Shared>,
}

/// Where one party's packets go in.
#[derive(Clone)]
pub(crate) struct RtpInlet(Arc<Shared>);

struct Shared {
    /// Held while the pipeline changes, which takes its time: packets don't wait for that.
    changing: Mutex<()>,
    state: Mutex<State>,
}

struct State {
    format: Format,
    /// There once the pipeline is built.
    built: Option<Built>,
}

struct Built {
    branch: Arc<Branch>,
    pipeline: gst::glib::WeakRef<gst::Pipeline>,
    outlets: Outlets,
}

impl RtpAudio {
    /// Both ends. `kind` is the name of the door.
    pub(crate) fn new(kind: &'static str, party: Option<&'static str>, format: Format) -> (Self, RtpInlet) {
        let state = Mutex::new(State { format, built: None });
        let shared = Arc::new(Shared { changing: Mutex::default(), state });
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
        let _changing = lock(&self.shared.changing);
        let format = lock(&self.shared.state).format;
        let branch = Arc::new(Branch::build(pipeline, format)?);
        outlets.share(branch.exit())?;
        let built = Built { branch, pipeline: pipeline.downgrade(), outlets: outlets.clone() };
        lock(&self.shared.state).built = Some(built);
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
        if let Some(branch) = self.branch() {
            branch.push(packet);
        }
    }

    /// To be called again and again while no packets come: there is silence instead.
    pub(crate) fn idle(&self) {
        if let Some(branch) = self.branch() {
            branch.silence().fill();
        }
    }

    /// Ends the running utterance behind what came so far.
    pub(crate) fn finalize(&self) {
        if let Some(branch) = self.branch() {
            branch.finalize();
        }
    }

    /// What comes once this is done is coded differently. Waits for the pipeline: not for async code.
    pub(crate) fn change(&self, format: Format) -> Result<(), Error> {
        let _changing = lock(&self.0.changing);
        let (pipeline, outlets, before) = {
            let mut state = lock(&self.0.state);
            if state.format == format {
                return Ok(());
            }
            state.format = format;
            let Some(built) = &state.built else { return Ok(()) };
            (built.pipeline.upgrade(), built.outlets.clone(), built.branch.clone())
        };
        let Some(pipeline) = pipeline else { return Ok(()) };
        let next = Arc::new(Branch::build(&pipeline, format)?);
        before.remove(&pipeline);
        outlets.share(next.exit())?;
        next.start()?;
        if let Some(built) = &mut lock(&self.0.state).built {
            built.branch = next;
        }
        Ok(())
    }

    fn branch(&self) -> Option<Arc<Branch>> {
        lock(&self.0.state).built.as_ref().map(|built| built.branch.clone())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
