//! The codecs that are understood, as SDP and RTP name them (RFC 3551, RFC 7587).

use crate::pipeline::make;

/// How audio is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    /// Opus, 48 kHz.
    Opus,
    /// G.722, 16 kHz; its clock counts 8,000 a second by an old mistake that RFC 3551 keeps.
    G722,
    /// G.711 μ-law, 8 kHz.
    Pcmu,
    /// G.711 A-law, 8 kHz.
    Pcma,
}

/// Audio in packets: the codec, and its number in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) codec: Codec,
    pub(crate) payload_type: u8,
}

impl Codec {
    /// All, those that sound best first.
    pub(crate) const ALL: [Self; 4] = [Self::Opus, Self::G722, Self::Pcmu, Self::Pcma];

    /// As in SDP.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::G722 => "G722",
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// Ticks of RTP timestamps a second.
    pub(crate) fn clock_rate(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::G722 | Self::Pcmu | Self::Pcma => 8_000,
        }
    }

    /// Its number in packets where that is fixed (RFC 3551).
    pub(crate) fn fixed_payload_type(self) -> Option<u8> {
        match self {
            Self::Opus => None,
            Self::G722 => Some(9),
            Self::Pcmu => Some(0),
            Self::Pcma => Some(8),
        }
    }

    /// The elements that turn packets in order into raw audio.
    pub(super) fn elements(self) -> &'static [&'static str] {
        match self {
            Self::Opus => &["rtpopusdepay", "opusdec"],
            Self::G722 => &["rtpg722depay", "avdec_g722", "spanplc"],
            Self::Pcmu => &["rtppcmudepay", "mulawdec", "spanplc"],
            Self::Pcma => &["rtppcmadepay", "alawdec", "spanplc"],
        }
    }

    /// Whether this machine has what it takes to decode it.
    pub(crate) fn is_available(self) -> bool {
        self.elements().iter().all(|element| make(element).is_ok())
    }
}

impl Format {
    pub(super) fn caps(self) -> gst::Caps {
        let rate = i32::try_from(self.codec.clock_rate()).unwrap_or(i32::MAX);
        gst::Caps::builder("application/x-rtp")
            .field("media", "audio")
            .field("encoding-name", self.codec.name().to_uppercase())
            .field("payload", i32::from(self.payload_type))
            .field("clock-rate", rate)
            .build()
    }
}

#[cfg(test)]
mod tests {
    use gst::prelude::*;

    use super::*;

    #[test]
    fn the_depayloaders_take_what_is_said_of_packets() {
        gst::init().unwrap();
        for codec in Codec::ALL {
            let format = Format { codec, payload_type: codec.fixed_payload_type().unwrap_or(111) };
            let depayloader = make(codec.elements()[0]).unwrap();
            let accepted = depayloader.static_pad("sink").unwrap().query_caps(None);
            assert!(accepted.can_intersect(&format.caps()), "{codec:?}: {accepted}");
        }
    }
}
