//! Cameras: `rtspsrc ! decodebin`. Only one audio stream is set up, so that the camera doesn't send pictures; reports of the
//! sender (RTCP) tell when what is heard was captured.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use gst::glib;
use gst::prelude::*;

use super::{raw, Fingerprint, Stream, Transport};
use crate::pipeline::{make, Error};
use crate::sources::pad_of;
use crate::supervise::{Connect, Fault, FaultKind, Intake};

/// Milliseconds that packets wait for those that are late.
const LATENCY: u32 = 200;
/// Microseconds for an answer, and for packets over UDP.
const PATIENCE: u64 = 10_000_000;

/// See the module.
pub(super) struct Camera {
    stream: Stream,
    /// Numbers of the audio streams that the camera offers.
    offered: Arc<Mutex<BTreeSet<u32>>>,
    /// The certificate that was not taken.
    refused: Arc<Mutex<Option<Fingerprint>>>,
}

impl Camera {
    /// Of that address.
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, offered: Arc::default(), refused: Arc::default() }
    }
}

impl Connect for Camera {
    fn connect(&self, bin: &gst::Bin, intake: &Intake) -> Result<Vec<gst::Element>, Error> {
        let source = make("rtspsrc")?;
        let address = &self.stream.address;
        source.set_property("location", address.bare());
        if let Some(login) = address.login() {
            source.set_property("user-id", &login.user);
            source.set_property("user-pw", &login.password);
        }
        let transport = match (self.stream.transport, address.bare().starts_with("rtsps")) {
            (Transport::Tcp, false) => "tcp",
            (Transport::Tcp, true) => "tcp+tls",
            (Transport::Udp, false) => "udp",
            (Transport::Udp, true) => "udp+tls",
        };
        source.set_property_from_str("protocols", transport);
        source.set_property("latency", LATENCY);
        // The camera's own times, whenever packets arrive: otherwise each hiccup of more than a second moves what comes behind it,
        // and words are torn apart.
        source.set_property_from_str("buffer-mode", "none");
        source.set_property("tcp-timeout", PATIENCE);
        source.set_property("timeout", PATIENCE);
        source.set_property("add-reference-timestamp-meta", true);

        let decoder = make("decodebin")?;
        decoder.set_property("caps", raw());
        decoder.set_property("expose-all-streams", false);
        bin.add_many([&source, &decoder])?;
        self.select(&source);
        self.check_certificate(&source);
        link(&source, &decoder, intake)?;
        Ok(vec![source, decoder])
    }

    fn is_live(&self, _elements: &[gst::Element]) -> bool {
        self.stream.live.unwrap_or(true)
    }

    fn fault(&self, error: &gst::message::Error) -> Fault {
        if let Some(refused) = self.refused.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let detail = format!(
                "no authority vouches for the camera's certificate; if it is the right one, set certificate_sha256 to {refused}"
            );
            return Fault::new(FaultKind::Untrusted, detail);
        }
        let status = error.details().and_then(|details| details.get::<u32>("rtsp-status-code").ok());
        match status {
            Some(401 | 403) => Fault::new(FaultKind::Unauthorized, "the user name or the password is missing or wrong"),
            Some(404 | 410 | 454) => Fault::new(FaultKind::NotFound, "the camera has no stream of that name"),
            Some(461) => Fault::new(FaultKind::Unsupported, "the camera does not send that way: try tcp or udp"),
            Some(status) => Fault::new(FaultKind::Broken, format!("the camera answers {status}")),
            // None of the streams was taken.
            None if error.error().matches(gst::StreamError::CodecNotFound) => {
                self.no_audio().unwrap_or_else(|| Fault::of_message(error))
            }
            None => Fault::of_message(error),
        }
    }

    fn scrub(&self, text: &str) -> String {
        self.stream.address.scrub(text)
    }
}

impl Camera {
    /// Has only the audio stream set up that is wanted.
    fn select(&self, source: &gst::Element) {
        let (wanted, offered) = (self.stream.audio_track as usize, self.offered.clone());
        offered.lock().unwrap_or_else(PoisonError::into_inner).clear();
        source.connect("select-stream", false, move |values| {
            let number = values.get(1).and_then(|number| number.get::<u32>().ok()).unwrap_or_default();
            let caps = values.get(2).and_then(|caps| caps.get::<gst::Caps>().ok());
            let media = caps.as_ref().and_then(|caps| caps.structure(0)?.get::<&str>("media").ok());
            if media != Some("audio") {
                return Some(false.to_value());
            }
            let mut offered = offered.lock().unwrap_or_else(PoisonError::into_inner);
            offered.insert(number);
            Some((offered.range(..number).count() == wanted).to_value())
        });
    }

    /// Is asked about certificates that no authority vouches for.
    fn check_certificate(&self, source: &gst::Element) {
        let (known, refused) = (self.stream.certificate, self.refused.clone());
        source.connect("accept-certificate", false, move |values| {
            let certificate = values.get(2).and_then(|certificate| certificate.get::<glib::Object>().ok());
            let der =
                certificate.and_then(|certificate| certificate.property::<Option<glib::ByteArray>>("certificate"));
            let shown = der.map(|der| Fingerprint::of(&der));
            let taken = shown.is_some() && shown == known;
            *refused.lock().unwrap_or_else(PoisonError::into_inner) = shown.filter(|_| !taken);
            Some(taken.to_value())
        });
    }

    /// Why there is nothing to listen to, if that is so.
    fn no_audio(&self) -> Option<Fault> {
        let offered = self.offered.lock().unwrap_or_else(PoisonError::into_inner).len();
        let detail = match (offered, self.stream.audio_track as usize) {
            (0, _) => "the camera sends no audio".to_owned(),
            (count, track) if track >= count => {
                format!("the camera has {count} audio track(s), and none of number {track}")
            }
            _ => return None,
        };
        Some(Fault::new(FaultKind::NoAudio, detail))
    }
}

/// Links the audio when it is there.
fn link(source: &gst::Element, decoder: &gst::Element, intake: &Intake) -> Result<(), Error> {
    let entry = pad_of(decoder, "sink")?;
    let coming = intake.clone();
    source.connect_pad_added(move |_, pad| {
        if entry.is_linked() {
            return;
        }
        coming.timed(pad);
        if let Err(error) = pad.link(&entry) {
            coming.fault(FaultKind::Broken, format!("the audio cannot be linked: {error}"));
        }
    });
    let decoded = intake.clone();
    decoder.connect_pad_added(move |_, pad| decoded.audio(pad));
    let intake = intake.clone();
    decoder.connect_no_more_pads(move |_| {
        if !intake.has_audio() {
            intake.fault(FaultKind::NoAudio, "there is no audio in it");
        }
    });
    Ok(())
}
