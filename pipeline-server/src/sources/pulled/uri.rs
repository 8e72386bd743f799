//! Everything else: `uridecodebin` finds out what comes from there (SRT, RTMP, HLS, Icecast, files).

use std::sync::atomic::{AtomicU32, Ordering};

use gst::prelude::*;

use super::{raw, Protocol, Stream};
use crate::pipeline::{make, Error};
use crate::supervise::{Connect, Fault, FaultKind, Intake};

/// The demuxer of HLS.
const HLS: &str = "hlsdemux";
/// Seconds for an answer.
const PATIENCE: i32 = 10;

/// See the module.
pub(super) struct Uri(pub(super) Stream);

impl Uri {
    /// librtmp's source: the newer `rtmp2src`, which `uridecodebin` would take, gets nothing from ffmpeg.
    fn rtmp(&self) -> Result<Vec<gst::Element>, Error> {
        let (source, decoder) = (make("rtmpsrc")?, make("decodebin")?);
        source.set_property("location", self.0.address.reveal());
        source.set_property("timeout", PATIENCE);
        Ok(vec![source, decoder])
    }

    /// Whatever GStreamer has a source for.
    fn any(&self) -> Result<gst::Element, Error> {
        let decoder = make("uridecodebin")?;
        let address = &self.0.address;
        // Where a source takes the login as properties, it is kept out of the address, which GStreamer shows in its logs. What
        // a playlist names is fetched by other sources, which have it from the address only.
        let apart = address.protocol() == Protocol::Http && !address.is_playlist();
        decoder.set_property("uri", if apart { address.bare() } else { address.reveal() });
        let login = address.login().filter(|_| apart).cloned();
        decoder.connect("source-setup", false, move |values| {
            let source = values.get(1).and_then(|source| source.get::<gst::Element>().ok())?;
            if let (Some(login), true) = (&login, source.has_property("user-id")) {
                source.set_property("user-id", &login.user);
                source.set_property("user-pw", &login.password);
            }
            // Connections are the supervisor's business.
            if source.has_property("auto-reconnect") {
                source.set_property("auto-reconnect", false);
            }
            None
        });
        Ok(decoder)
    }
}

/// Playlists say when their segments were captured: of those, times in tags are that.
fn read_dates(decoder: &gst::Element, intake: &Intake) {
    let Some(bin) = decoder.downcast_ref::<gst::Bin>() else { return };
    let intake = intake.clone();
    bin.connect_deep_element_added(move |_, _, element| {
        if element.factory().is_some_and(|factory| factory.name() == HLS) {
            let intake = intake.clone();
            element.connect_pad_added(move |_, pad| intake.dated(pad));
        }
    });
}

impl Connect for Uri {
    fn connect(&self, bin: &gst::Bin, intake: &Intake) -> Result<Vec<gst::Element>, Error> {
        let elements = if self.0.address.protocol() == Protocol::Rtmp { self.rtmp()? } else { vec![self.any()?] };
        bin.add_many(&elements)?;
        gst::Element::link_many(&elements)?;
        let decoder = &elements[elements.len() - 1];
        // Pictures are not even decoded.
        decoder.set_property("caps", raw());
        decoder.set_property("expose-all-streams", false);
        let (wanted, seen, found) = (self.0.audio_track, AtomicU32::new(0), intake.clone());
        decoder.connect_pad_added(move |_, pad| {
            if seen.fetch_add(1, Ordering::AcqRel) == wanted {
                found.audio(pad);
            }
        });
        read_dates(decoder, intake);
        let intake = intake.clone();
        decoder.connect_no_more_pads(move |_| {
            if !intake.has_audio() {
                let detail = match wanted {
                    0 => "there is no audio in it".to_owned(),
                    track => format!("there is no audio track {track} in it (they count from 0)"),
                };
                intake.fault(FaultKind::NoAudio, detail);
            }
        });
        Ok(elements)
    }

    fn is_live(&self, elements: &[gst::Element]) -> bool {
        if let Some(told) = self.0.live {
            return told;
        }
        match self.0.address.protocol() {
            Protocol::Rtsp | Protocol::Srt | Protocol::Rtmp => true,
            Protocol::File => false,
            // What goes on for ever has no length.
            Protocol::Http => !elements.iter().any(|element| element.query_duration::<gst::ClockTime>().is_some()),
        }
    }

    fn fault(&self, error: &gst::message::Error) -> Fault {
        // Said of streams without anything that can be decoded into audio, where no plugin is missing.
        if error.error().matches(gst::CoreError::MissingPlugin) {
            return Fault::new(FaultKind::Unsupported, "there is no audio in it that can be decoded");
        }
        let fault = Fault::of_message(error);
        // Sources of a network often say no more than that nothing came.
        let nothing = fault.kind == FaultKind::Broken
            && (error.error().matches(gst::StreamError::Failed) || error.error().matches(gst::ResourceError::Read));
        if nothing {
            let text =
                "no data comes from there any more, or never did; is the address right, and does the server answer?";
            return Fault::new(FaultKind::Unreachable, text);
        }
        fault
    }

    fn scrub(&self, text: &str) -> String {
        self.0.address.scrub(text)
    }
}
