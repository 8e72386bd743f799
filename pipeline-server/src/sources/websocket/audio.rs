//! What binary messages hold: raw audio in one of several encodings, and whether a message is audio of its encoding; or
//! pieces of a file or stream in whatever format GStreamer finds it to be.

use gst::prelude::MulDiv;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A sample of more than this (full scale is 1) is no audio, but another encoding read as floats.
const LOUDEST: f32 = 128.0;
/// Frames a second that the element takes.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;
/// Channels that the element takes.
const MOST_CHANNELS: u32 = 64;

/// How samples are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Encoding {
    /// 32-bit floats from -1 to 1, little-endian.
    #[default]
    F32le,
    /// 16-bit signed integers, little-endian.
    S16le,
    /// G.711 μ-law, 8 bits.
    Mulaw,
    /// G.711 A-law, 8 bits.
    Alaw,
    /// A file or stream in any container or codec that GStreamer decodes, such as WebM, Ogg, FLAC, MP3 or WAV.
    Auto,
}

impl Encoding {
    /// Its name in the protocol.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F32le => "f32le",
            Self::S16le => "s16le",
            Self::Mulaw => "mulaw",
            Self::Alaw => "alaw",
            Self::Auto => "auto",
        }
    }

    /// Bytes of a sample; 1 where messages are not made of samples.
    fn bytes(self) -> usize {
        match self {
            Self::F32le => 4,
            Self::S16le => 2,
            Self::Mulaw | Self::Alaw | Self::Auto => 1,
        }
    }

    /// The element that makes raw audio of it, if it isn't already.
    pub(super) fn decoder(self) -> Option<&'static str> {
        match self {
            Self::F32le | Self::S16le | Self::Auto => None,
            Self::Mulaw => Some("mulawdec"),
            Self::Alaw => Some("alawdec"),
        }
    }
}

/// What comes over a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Samples.
    Raw(Format),
    /// Pieces of a file or stream; what is in it shows when it is decoded.
    Container,
}

/// Bytes of a container that are held at most.
const HELD: u64 = 64 * 1024;

impl Wire {
    /// Bytes that are held at most: a second of raw audio.
    pub(super) fn held(self) -> u64 {
        match self {
            Self::Raw(format) => format.second() as u64,
            Self::Container => HELD,
        }
    }

    /// Whether a message is what is due; the error says what it is not.
    pub(crate) fn check(self, bytes: &[u8]) -> Result<(), String> {
        match self {
            Self::Raw(format) => format.check(bytes),
            Self::Container => Ok(()),
        }
    }
}

/// Raw audio of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) encoding: Encoding,
    /// Frames a second.
    pub(crate) rate: u32,
    /// Samples in a frame, interleaved.
    pub(crate) channels: u32,
}

impl Format {
    /// Checked.
    pub(crate) fn new(encoding: Encoding, rate: u32, channels: u32) -> Result<Self, String> {
        if !RATES.contains(&rate) {
            return Err(format!("sample_rate: {rate} is not from {} to {}", RATES.start(), RATES.end()));
        }
        if !(1..=MOST_CHANNELS).contains(&channels) {
            return Err(format!("channels: {channels} is not from 1 to {MOST_CHANNELS}"));
        }
        Ok(Self { encoding, rate, channels })
    }

    /// Bytes of a frame.
    pub(crate) fn frame(self) -> usize {
        self.encoding.bytes() * self.channels as usize
    }

    /// Bytes of a second.
    pub(crate) fn second(self) -> usize {
        self.frame() * self.rate as usize
    }

    /// When a frame is, counted from the start.
    pub(super) fn time(self, frame: u64) -> gst::ClockTime {
        let passed = frame.mul_div_floor(*gst::ClockTime::SECOND, u64::from(self.rate));
        passed.map_or(gst::ClockTime::MAX, gst::ClockTime::from_nseconds)
    }

    /// As GStreamer calls it.
    pub(super) fn caps(self) -> gst::Caps {
        let caps = match self.encoding {
            Encoding::F32le => gst::Caps::builder("audio/x-raw").field("format", "F32LE"),
            Encoding::S16le => gst::Caps::builder("audio/x-raw").field("format", "S16LE"),
            Encoding::Mulaw => gst::Caps::builder("audio/x-mulaw"),
            Encoding::Alaw => gst::Caps::builder("audio/x-alaw"),
            // No format is made with it.
            Encoding::Auto => gst::Caps::builder("application/octet-stream"),
        };
        let caps = caps.field("rate", self.rate as i32).field("channels", self.channels as i32);
        if self.encoding.decoder().is_some() {
            return caps.build();
        }
        // More than two channels need positions; which is where doesn't matter to a transcript.
        let caps = caps.field("layout", "interleaved");
        let caps = if self.channels > 2 { caps.field("channel-mask", gst::Bitmask::new(0)) } else { caps };
        caps.build()
    }

    /// Whether `bytes` are audio of this kind; the error says what they are not.
    pub(crate) fn check(self, bytes: &[u8]) -> Result<(), String> {
        let (frame, name) = (self.frame(), self.encoding.name());
        if !bytes.len().is_multiple_of(frame) {
            return Err(format!(
                "a binary message of {} bytes is no whole number of frames: a frame of {name} with {} channel(s) has \
                 {frame} bytes",
                bytes.len(),
                self.channels
            ));
        }
        if self.encoding == Encoding::F32le {
            let (samples, _) = bytes.as_chunks::<4>();
            let wrong = samples.iter().map(|b| f32::from_le_bytes(*b)).find(|s| !(-LOUDEST..=LOUDEST).contains(s));
            if let Some(sample) = wrong {
                return Err(format!(
                    "a sample is {sample}, but f32le goes from -1 to 1: is the audio of another encoding, such as \
                     s16le (?encoding=s16le)?"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(encoding: Encoding, channels: u32) -> Format {
        Format::new(encoding, 16_000, channels).unwrap()
    }

    #[test]
    fn only_whole_frames_are_audio() {
        assert!(format(Encoding::F32le, 1).check(&[0; 8]).is_ok());
        let told = format(Encoding::F32le, 1).check(&[0; 4001]).unwrap_err();
        assert!(told.contains("4001 bytes") && told.contains("4 bytes"), "{told}");
        assert!(format(Encoding::S16le, 2).check(&[0; 6]).unwrap_err().contains("2 channel(s) has 4 bytes"));
        assert!(format(Encoding::Mulaw, 1).check(&[0; 3]).is_ok());
        assert!(format(Encoding::S16le, 1).check(&[]).is_ok());
    }

    #[test]
    fn integers_sent_as_floats_are_noticed() {
        let integers: Vec<u8> = (0..2_000_i16).flat_map(|i| (i * 16).to_le_bytes()).collect();
        assert!(format(Encoding::F32le, 1).check(&integers).unwrap_err().contains("s16le"));
        assert!(format(Encoding::F32le, 1).check(&f32::NAN.to_le_bytes()).is_err());
        assert!(format(Encoding::F32le, 1).check(&1.5_f32.to_le_bytes()).is_ok());
    }

    #[test]
    fn rates_and_channels_have_limits() {
        assert!(Format::new(Encoding::F32le, 16_000, 0).unwrap_err().starts_with("channels"));
        assert!(Format::new(Encoding::F32le, 16_000, 65).is_err());
        assert!(Format::new(Encoding::F32le, 4_000, 1).unwrap_err().starts_with("sample_rate"));
        assert_eq!(format(Encoding::S16le, 2).second(), 64_000);
    }
}
