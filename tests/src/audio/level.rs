//! Levels: how loud a signal is, and mixing by it.
//!
//! Levels are RMS in dBFS, 0 dBFS being the RMS 1.0 (so that a full-scale sine has −3 dBFS).

/// Frame over which speech is judged to be active, in samples (20 ms).
const FRAME: usize = 320;
/// Frames this far below the loudest are pauses.
const ACTIVE_RANGE_DB: f32 = 30.0;

/// The factor of `db` decibels.
pub fn db_to_gain(db: f32) -> f32 {
    10_f32.powf(db / 20.0)
}

/// Mean square of a signal.
fn power(signal: &[f32]) -> f64 {
    let sum: f64 = signal.iter().map(|s| f64::from(*s).powi(2)).sum();
    sum / signal.len().max(1) as f64
}

/// Mean square as dBFS; −∞ for silence.
fn dbfs(power: f64) -> f32 {
    10.0 * (power as f32).log10()
}

/// The level of a whole signal; −∞ for silence.
pub fn level(signal: &[f32]) -> f32 {
    dbfs(power(signal))
}

/// The level of a signal without its pauses: of the 20 ms frames at most 30 dB below the loudest.
pub fn active_level(signal: &[f32]) -> f32 {
    let powers: Vec<f64> = signal.chunks(FRAME).map(power).collect();
    let loudest = powers.iter().copied().fold(0.0, f64::max);
    let threshold = loudest * f64::from(db_to_gain(-ACTIVE_RANGE_DB)).powi(2);
    let active: Vec<f64> = powers.into_iter().filter(|power| *power >= threshold).collect();
    dbfs(active.iter().sum::<f64>() / active.len().max(1) as f64)
}

/// The signal louder by `db`.
pub fn gain(signal: &[f32], db: f32) -> Vec<f32> {
    let factor = db_to_gain(db);
    signal.iter().map(|s| s * factor).collect()
}

/// The signal at another [`level`]; silence stays silence.
pub fn at_level(signal: &[f32], dbfs: f32) -> Vec<f32> {
    match level(signal) {
        now if now.is_finite() => gain(signal, dbfs - now),
        _ => signal.to_vec(),
    }
}

/// `speech` with `noise` below it by `snr_db`, both measured while they are active, pauses left out.
///
/// The noise is looped to the length of the speech; the level of the speech stays. If the sum would clip, all of it
/// is turned down.
pub fn mix_at_snr(speech: &[f32], noise: &[f32], snr_db: f32) -> Vec<f32> {
    let (signal, disturbance) = (active_level(speech), active_level(noise));
    if !signal.is_finite() || !disturbance.is_finite() {
        return speech.to_vec();
    }
    let factor = db_to_gain(signal - snr_db - disturbance);
    let mut mix: Vec<f32> = speech.iter().zip(noise.iter().cycle()).map(|(s, n)| s + factor * n).collect();
    let peak = mix.iter().fold(0.0_f32, |peak, s| peak.max(s.abs()));
    if peak > 1.0 {
        mix.iter_mut().for_each(|s| *s /= peak);
    }
    mix
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{silence, sine, white_noise};

    #[test]
    fn a_full_scale_sine_has_minus_3_dbfs() {
        assert!((level(&sine(1000.0, 0.0, 1.0)) + 3.01).abs() < 0.01);
        assert_eq!(level(&silence(1.0)), f32::NEG_INFINITY);
    }

    #[test]
    fn pauses_do_not_lower_the_active_level() {
        let mut signal = sine(500.0, -17.0, 1.0);
        let spoken = level(&signal);
        signal.extend(silence(3.0));
        assert!((level(&signal) - spoken + 6.02).abs() < 0.01);
        assert!((active_level(&signal) - spoken).abs() < 0.1);
    }

    #[test]
    fn the_mix_has_the_ratio_that_was_asked_for() {
        let speech = sine(500.0, -17.0, 2.0);
        let mix = mix_at_snr(&speech, &white_noise(-50.0, 0.7, 1), 10.0);
        let noise: Vec<f32> = mix.iter().zip(&speech).map(|(m, s)| m - s).collect();
        assert!((level(&speech) - level(&noise) - 10.0).abs() < 0.1);
        assert_eq!(mix.len(), speech.len());
    }

    #[test]
    fn a_loud_mix_is_turned_down_instead_of_clipped() {
        let mix = mix_at_snr(&sine(500.0, 0.0, 1.0), &white_noise(-20.0, 1.0, 1), 0.0);
        let peak = mix.iter().fold(0.0_f32, |peak, s| peak.max(s.abs()));
        assert!((peak - 1.0).abs() < 1e-5);
    }

    #[test]
    fn silence_can_be_mixed_and_levelled() {
        assert_eq!(mix_at_snr(&silence(0.1), &white_noise(-20.0, 0.1, 1), 0.0), silence(0.1));
        assert_eq!(at_level(&silence(0.1), -10.0), silence(0.1));
    }
}
