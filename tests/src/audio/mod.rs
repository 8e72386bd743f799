//! Audio made by rule, and what spoils audio: parameters in, samples out.
//!
//! Everything is mono `f32` at [`SAMPLE_RATE`] with full scale ±1 unless a function says otherwise. Randomness comes
//! from seeds only, so that a failure can be heard again.

mod babble;
mod convert;
mod fft;
mod level;
mod music;
mod noise;
mod resample;
mod reverb;
mod rng;
mod tones;
mod wav;

pub use babble::babble;
pub use convert::{from_i16, interleave, mulaw_decode, mulaw_encode, through_mulaw, to_i16};
pub use level::{active_level, at_level, db_to_gain, gain, level, mix_at_snr};
pub use music::music;
pub use noise::{pink_noise, silence, white_noise};
pub use resample::resample;
pub use reverb::Room;
pub use rng::Rng;
pub use tones::{chirp, clicks, dtmf, sine};
pub use wav::write_wav;

/// Samples per second unless a function says otherwise.
pub const SAMPLE_RATE: u32 = 16_000;

/// The number of samples in `seconds`.
pub fn samples(seconds: f64) -> usize {
    (seconds * f64::from(SAMPLE_RATE)).round() as usize
}

/// The duration of `samples`.
pub fn seconds(samples: usize) -> f64 {
    samples as f64 / f64::from(SAMPLE_RATE)
}
