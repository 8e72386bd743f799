//! A signal as buffers of a format.

use e2e_tests::audio::{interleave, resample, to_i16, SAMPLE_RATE};
use gst::prelude::*;

/// Sample formats that tests feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// 16 bit integers.
    S16,
    /// 32 bit floats.
    F32,
    /// 32 bit floats, a plane a channel.
    F32Planar,
}

/// How a signal is fed.
#[derive(Debug, Clone)]
pub struct Feed {
    pub format: Format,
    pub rate: u32,
    pub channels: usize,
    /// Seconds in a buffer.
    pub buffer: f64,
    /// Whether upstream says that it is live.
    pub live: bool,
}

impl Default for Feed {
    /// F32 at 16 kHz mono in buffers of 20 ms.
    fn default() -> Self {
        Self { format: Format::F32, rate: SAMPLE_RATE, channels: 1, buffer: 0.02, live: false }
    }
}

impl Feed {
    pub fn caps(&self) -> gst::Caps {
        let (format, layout) = match self.format {
            Format::S16 => ("S16LE", "interleaved"),
            Format::F32 => ("F32LE", "interleaved"),
            Format::F32Planar => ("F32LE", "non-interleaved"),
        };
        let mut caps = gst::Caps::builder("audio/x-raw")
            .field("format", format)
            .field("layout", layout)
            .field("rate", self.rate as i32)
            .field("channels", self.channels as i32);
        if self.channels > 2 {
            caps = caps.field("channel-mask", gst::Bitmask::new(0));
        }
        caps.build()
    }

    /// The signal (mono, 16 kHz) as buffers with timestamps from `at` on.
    pub fn buffers(&self, audio: &[f32], at: gst::ClockTime) -> Vec<gst::Buffer> {
        let audio = resample(audio, SAMPLE_RATE, self.rate);
        let frames = ((self.rate as f64 * self.buffer).round() as usize).max(1);
        let mut start = 0u64;
        audio
            .chunks(frames)
            .map(|chunk| {
                let mut buffer = self.buffer_of(chunk);
                let time = |frames: u64| gst::ClockTime::SECOND.mul_div_floor(frames, u64::from(self.rate)).unwrap();
                let writable = buffer.get_mut().unwrap();
                writable.set_pts(at + time(start));
                start += chunk.len() as u64;
                let end = at + time(start);
                writable.set_duration(end - writable.pts().unwrap());
                buffer
            })
            .collect()
    }

    fn buffer_of(&self, mono: &[f32]) -> gst::Buffer {
        let channels = vec![mono; self.channels];
        match self.format {
            Format::S16 => bytes(to_i16(&interleave(&channels)), |s| s.to_le_bytes()),
            Format::F32 => bytes(interleave(&channels), |s| s.to_le_bytes()),
            Format::F32Planar => {
                let mut buffer = bytes(channels.concat(), |s| s.to_le_bytes());
                let info = gst_audio::AudioInfo::from_caps(&self.caps()).unwrap();
                gst_audio::AudioMeta::add(buffer.get_mut().unwrap(), &info, mono.len(), &[]).unwrap();
                buffer
            }
        }
    }
}

fn bytes<S: Copy, const N: usize>(samples: Vec<S>, encode: impl Fn(S) -> [u8; N]) -> gst::Buffer {
    gst::Buffer::from_mut_slice(samples.iter().flat_map(|&s| encode(s)).collect::<Vec<u8>>())
}
