//! Silence, white and pink noise.

use std::f64::consts::TAU;

use super::{at_level, samples, Rng, SAMPLE_RATE};

/// Digital silence.
pub fn silence(seconds: f64) -> Vec<f32> {
    vec![0.0; samples(seconds)]
}

/// Noise with the same power in each hertz, at an RMS level of `dbfs`.
pub fn white_noise(dbfs: f32, seconds: f64, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    let noise: Vec<f32> = (0..samples(seconds)).map(|_| rng.normal()).collect();
    at_level(&noise, dbfs)
}

/// Noise with the same power in each octave, at an RMS level of `dbfs`: closer to rooms and traffic.
///
/// One low-passed white noise for each octave; each has the same power, and their slopes add up to 3 dB an octave.
pub fn pink_noise(dbfs: f32, seconds: f64, seed: u64) -> Vec<f32> {
    let mut noise = vec![0.0_f32; samples(seconds)];
    let mut rng = Rng::new(seed);
    let corners = (0..9).map(|octave| 20.0 * 2_f64.powi(octave));
    for corner in corners {
        let pole = (-TAU * corner / f64::from(SAMPLE_RATE)).exp() as f32;
        let input_gain = (1.0 - pole * pole).sqrt();
        let mut state = rng.normal();
        for sample in &mut noise {
            state = pole * state + input_gain * rng.normal();
            *sample += state;
        }
    }
    at_level(&noise, dbfs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::fft::power_in_band;
    use crate::audio::level;

    #[test]
    fn noise_has_its_level_and_depends_on_its_seed() {
        for noise in [white_noise, pink_noise] {
            let signal = noise(-40.0, 2.0, 7);
            assert!((level(&signal) + 40.0).abs() < 0.01);
            assert_eq!(signal, noise(-40.0, 2.0, 7));
            assert_ne!(signal, noise(-40.0, 2.0, 8));
        }
    }

    #[test]
    fn white_noise_is_even_over_hertz_and_pink_noise_over_octaves() {
        let white = white_noise(-20.0, 8.0, 1);
        let pink = pink_noise(-20.0, 8.0, 1);
        let ratio_db = |signal: &[f32], low: f64, high: f64| {
            10.0 * (power_in_band(signal, low, 2.0 * low) / power_in_band(signal, high, 2.0 * high)).log10()
        };
        assert!((ratio_db(&white, 250.0, 2000.0) + 9.03).abs() < 1.0);
        assert!(ratio_db(&pink, 250.0, 2000.0).abs() < 1.0, "{}", ratio_db(&pink, 250.0, 2000.0));
    }
}
