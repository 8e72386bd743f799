//! Reverberation: dry speech in, the same speech in a room out.

use super::fft::convolve;
use super::{at_level, db_to_gain, level, samples, seconds, Rng};

/// A room, heard from a fixed place.
#[derive(Debug, Clone, PartialEq)]
pub struct Room {
    /// Seconds in which the echo falls by 60 dB; offices have about 0.5, churches 2 and more.
    pub rt60: f64,
    /// How much louder the direct sound is than the echo; negative far from the speaker.
    pub direct_to_echo_db: f32,
    /// Another seed is another room of the kind.
    pub seed: u64,
}

impl Room {
    /// A room in which the direct sound and the echo are equally loud.
    pub fn new(rt60: f64, seed: u64) -> Self {
        Self { rt60, direct_to_echo_db: 0.0, seed }
    }

    /// What is heard of a single impulse: itself, and from 5 ms on noise that falls exponentially.
    pub fn impulse_response(&self) -> Vec<f32> {
        let mut rng = Rng::new(self.seed);
        let first_echo = samples(0.005);
        let length = samples(self.rt60).max(first_echo + 1);
        // 60 dB are a factor of a thousand.
        let decay = |i: usize| (-1000_f64.ln() * seconds(i) / self.rt60).exp() as f32;
        let mut response: Vec<f32> =
            (0..length).map(|i| if i < first_echo { 0.0 } else { decay(i) * rng.normal() }).collect();
        let energy: f32 = response.iter().map(|s| s * s).sum();
        let factor = db_to_gain(-self.direct_to_echo_db) / energy.sqrt();
        response.iter_mut().for_each(|s| *s *= factor);
        response[0] = 1.0;
        response
    }

    /// `dry` in this room: as long, as loud, and with the direct sound at the same time; an echo past its end is cut.
    pub fn reverberate(&self, dry: &[f32]) -> Vec<f32> {
        let mut wet = convolve(dry, &self.impulse_response());
        wet.truncate(dry.len());
        at_level(&wet, level(dry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{silence, white_noise};

    #[test]
    fn the_echo_falls_by_60_db_in_rt60() {
        let room = Room::new(0.6, 1);
        let mut signal = white_noise(-20.0, 1.0, 2);
        signal.extend(silence(1.0));
        let wet = room.reverberate(&signal);
        assert_eq!(wet.len(), signal.len());
        let level_after = |t: f64| level(&wet[samples(1.0 + t)..samples(1.04 + t)]);
        let fall = level_after(0.05) - level_after(0.35);
        assert!((fall - 30.0).abs() < 3.0, "{fall} dB in half of RT60");
    }

    #[test]
    fn direct_sound_and_echo_have_their_ratio() {
        let room = Room { direct_to_echo_db: 6.0, ..Room::new(0.4, 3) };
        let response = room.impulse_response();
        let echo: f32 = response[1..].iter().map(|s| s * s).sum();
        assert!((10.0 * echo.log10() + 6.0).abs() < 0.01);
    }

    #[test]
    fn level_stays() {
        let dry = white_noise(-33.0, 0.5, 1);
        assert!((level(&Room::new(0.8, 1).reverberate(&dry)) + 33.0).abs() < 0.01);
        assert_eq!(Room::new(0.8, 1).reverberate(&silence(0.1)), silence(0.1));
    }
}
