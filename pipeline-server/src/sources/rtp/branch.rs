//! The elements for one codec: `appsrc ! rtpjitterbuffer ! depayloader ! decoder ! concealment`.

use std::ops::RangeInclusive;
use std::time::Duration;

use gst::prelude::*;

use super::silence::Silence;
use super::Format;
use crate::pipeline::{make, Error, FINALIZE};
use crate::sources::pad_of;

/// How long packets wait for those that are late.
const JITTER: gst::ClockTime = gst::ClockTime::from_mseconds(100);
/// How long packets are under way to the end of a branch at most.
pub(super) const HELD_BACK: Duration = Duration::from_millis(JITTER.mseconds() + 50);
/// Bytes of packets that may wait to be taken, a few seconds: more is lost.
const HELD: u64 = 256 * 1024;

/// Conceal what is lost: of G.711 and G.722, of Opus.
const CONCEALERS: [&str; 2] = ["spanplc", "opusdec"];
/// What they are asked to conceal: more than a moment, and no more than what can be made up.
const CONCEALED: RangeInclusive<gst::ClockTime> = gst::ClockTime::from_mseconds(5)..=gst::ClockTime::from_mseconds(100);

/// See the module.
pub(super) struct Branch {
    appsrc: gst_app::AppSrc,
    elements: Vec<gst::Element>,
    exit: gst::Pad,
    silence: Silence,
}

/// Keeps gaps from who conceals that it does not survive: those shorter than a sample and those before the first audio
/// (`spanplc`), and those that are too short to be made up (`opusdec`, with FEC, decodes nothing any more after one). The
/// timestamps still tell of them.
fn spare(pad: &gst::Pad) {
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, |pad, info| {
        let Some(gst::EventView::Gap(gap)) = info.event().map(|event| event.view()) else {
            return gst::PadProbeReturn::Ok;
        };
        let (_, duration) = gap.get();
        match duration.is_some_and(|duration| CONCEALED.contains(&duration)) && pad.has_current_caps() {
            true => gst::PadProbeReturn::Ok,
            false => gst::PadProbeReturn::Drop,
        }
    });
}

impl Branch {
    /// Puts it into a pipeline; [`Branch::start`] is for one that plays.
    pub(super) fn build(pipeline: &gst::Pipeline, format: Format) -> Result<Self, Error> {
        let appsrc = gst_app::AppSrc::builder()
            .is_live(true)
            .do_timestamp(true)
            .format(gst::Format::Time)
            .caps(&format.caps())
            .max_bytes(HELD)
            .leaky_type(gst_app::AppLeakyType::Downstream)
            .build();
        let jitter = make("rtpjitterbuffer")?;
        jitter.set_property("latency", u32::try_from(JITTER.mseconds()).unwrap_or(u32::MAX));
        jitter.set_property("do-lost", true);
        let mut elements = vec![appsrc.clone().upcast(), jitter];
        for name in format.codec.elements() {
            let element = make(name)?;
            if *name == "opusdec" {
                element.set_property("plc", true);
                element.set_property("use-inband-fec", true);
            }
            if CONCEALERS.contains(name) {
                spare(&pad_of(&element, "sink")?);
            }
            elements.push(element);
        }
        pipeline.add_many(&elements)?;
        gst::Element::link_many(&elements)?;
        let exit = pad_of(elements.last().unwrap_or(appsrc.upcast_ref()), "src")?;
        let silence = Silence::new(&exit, JITTER + gst::ClockTime::from_mseconds(20));
        Ok(Self { appsrc, elements, exit, silence })
    }

    /// The pad with raw audio.
    pub(super) fn exit(&self) -> &gst::Pad {
        &self.exit
    }

    /// Silence while no packets come.
    pub(super) fn silence(&self) -> &Silence {
        &self.silence
    }

    /// Takes a packet. If it is not wanted any more, the session knows why.
    pub(super) fn push(&self, packet: &[u8]) {
        let _ = self.appsrc.push_buffer(gst::Buffer::from_slice(packet.to_vec()));
    }

    /// Ends the running utterance behind what was pushed so far.
    pub(super) fn finalize(&self) {
        let event = gst::event::CustomDownstream::new(gst::Structure::new_empty(FINALIZE));
        self.appsrc.send_event(event);
    }

    /// Lets it play in a pipeline that does.
    pub(super) fn start(&self) -> Result<(), Error> {
        self.elements.iter().rev().try_for_each(|element| Ok(element.sync_state_with_parent()?))
    }

    /// Takes it out of its pipeline.
    pub(super) fn remove(&self, pipeline: &gst::Pipeline) {
        for element in &self.elements {
            element.set_locked_state(true);
            let _ = element.set_state(gst::State::Null);
        }
        let _ = pipeline.remove_many(&self.elements);
    }
}
