//! Tones and clicks.

use std::f64::consts::TAU;

use super::{db_to_gain, samples, seconds as duration, silence, SAMPLE_RATE};

/// A sine; `dbfs` is the level of its peaks.
pub fn sine(frequency: f64, dbfs: f32, seconds: f64) -> Vec<f32> {
    chirp(frequency, frequency, dbfs, seconds)
}

/// A sine that glides evenly from one frequency to another; `dbfs` is the level of its peaks.
pub fn chirp(from: f64, to: f64, dbfs: f32, seconds: f64) -> Vec<f32> {
    let peak = db_to_gain(dbfs);
    (0..samples(seconds))
        .map(duration)
        .map(|t| t * (from + (to - from) * t / (2.0 * seconds)))
        .map(|turns| peak * (TAU * turns).sin() as f32)
        .collect()
}

/// The keys of a telephone as their pairs of tones, 100 ms each with 100 ms between; `dbfs` is the level of one tone.
///
/// Panics at a character that no telephone has.
pub fn dtmf(keys: &str, dbfs: f32) -> Vec<f32> {
    const ROWS: [(&str, f64); 4] = [("123A", 697.0), ("456B", 770.0), ("789C", 852.0), ("*0#D", 941.0)];
    const COLUMNS: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
    let mut signal = Vec::new();
    for key in keys.chars() {
        let (column, low) = ROWS
            .iter()
            .find_map(|(row, low)| row.find(key).map(|column| (column, *low)))
            .unwrap_or_else(|| panic!("no telephone has a key {key:?}"));
        let high = sine(COLUMNS[column], dbfs, 0.1);
        signal.extend(sine(low, dbfs, 0.1).iter().zip(high).map(|(low, high)| low + high));
        signal.extend(silence(0.1));
    }
    signal
}

/// Clicks of 1 ms, as of keys and switches, `interval` seconds apart; `dbfs` is the level of their peaks.
pub fn clicks(interval: f64, dbfs: f32, seconds: f64) -> Vec<f32> {
    let peak = db_to_gain(dbfs);
    let (period, length) = (samples(interval).max(1), SAMPLE_RATE as usize / 1000);
    (0..samples(seconds))
        .map(|i| match i % period {
            at if at < length => {
                let decay = (-5.0 * at as f32 / length as f32).exp();
                peak * decay * if at % 2 == 0 { 1.0 } else { -1.0 }
            }
            _ => 0.0,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::fft::power_in_band;

    #[test]
    fn a_sine_has_its_frequency_and_peak() {
        let signal = sine(440.0, -6.0, 2.0);
        let peak = signal.iter().fold(0.0_f32, |peak, s| peak.max(s.abs()));
        assert!((peak - 0.501).abs() < 0.001);
        assert!(power_in_band(&signal, 400.0, 480.0) > 0.98 * power_in_band(&signal, 0.0, 8000.0));
    }

    #[test]
    fn a_chirp_ends_at_its_last_frequency() {
        let signal = chirp(100.0, 4000.0, 0.0, 4.0);
        let end = &signal[signal.len() - 4096..];
        assert!(power_in_band(end, 3700.0, 4050.0) > 0.95 * power_in_band(end, 0.0, 8000.0));
    }

    #[test]
    fn a_key_is_two_tones() {
        let signal: Vec<f32> = (0..3).flat_map(|_| dtmf("5", -10.0)).collect();
        let all = power_in_band(&signal, 0.0, 8000.0);
        assert!(power_in_band(&signal, 740.0, 800.0) > 0.4 * all);
        assert!(power_in_band(&signal, 1300.0, 1370.0) > 0.4 * all);
        assert_eq!(dtmf("0123456789*#ABCD", -10.0).len(), 16 * samples(0.2));
    }

    #[test]
    fn clicks_are_short_and_apart() {
        let signal = clicks(0.25, -6.0, 1.0);
        let loud: Vec<usize> = (0..signal.len()).filter(|i| signal[*i].abs() > 0.4).collect();
        assert_eq!(loud[0], 0);
        assert!(loud.contains(&samples(0.25)) && loud.contains(&samples(0.75)));
        assert!(signal[100..samples(0.25)].iter().all(|s| *s == 0.0));
    }
}
