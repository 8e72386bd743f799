//! Change of sample rate by a windowed sinc: any rational ratio, linear phase, no delay.

use std::f64::consts::PI;

/// Zero crossings of the sinc on each side.
const CROSSINGS: f64 = 32.0;
/// Steepness of the Kaiser window; about 80 dB of stop band.
const BETA: f64 = 8.0;
/// The pass band's end, of the lower rate's half.
const PASS: f64 = 0.94;

/// `signal` at the rate `to` instead of `from`; it lasts as long and starts at the same time.
pub fn resample(signal: &[f32], from: u32, to: u32) -> Vec<f32> {
    if from == to {
        return signal.to_vec();
    }
    let divisor = greatest_common_divisor(from, to);
    let (step_up, step_down) = ((to / divisor) as usize, (from / divisor) as usize);
    // In units of the input's samples.
    let cutoff = PASS * (f64::from(to) / f64::from(from)).min(1.0);
    let reach = (CROSSINGS / cutoff).ceil() as usize;
    let phases: Vec<Vec<f32>> = (0..step_up).map(|phase| taps(phase as f64 / step_up as f64, cutoff, reach)).collect();

    let length = (signal.len() * step_up).div_ceil(step_down);
    (0..length)
        .map(|i| {
            let position = i * step_down;
            let (centre, phase) = (position / step_up, position % step_up);
            let first = (centre + 1).saturating_sub(reach);
            let skipped = first + reach - (centre + 1);
            let last = (centre + reach + 1).min(signal.len());
            let window = signal.get(first..last).unwrap_or_default();
            window.iter().zip(&phases[phase][skipped..]).map(|(sample, tap)| sample * tap).sum()
        })
        .collect()
}

/// The filter for outputs that lie `offset` samples after an input; the first is for the input `reach` − 1 before.
fn taps(offset: f64, cutoff: f64, reach: usize) -> Vec<f32> {
    let tap = |i: usize| {
        let x = i as f64 - (reach as f64 - 1.0) - offset;
        let window = (1.0 - (x / reach as f64).powi(2)).max(0.0).sqrt();
        cutoff * sinc(cutoff * x) * bessel_i0(BETA * window) / bessel_i0(BETA)
    };
    let taps: Vec<f64> = (0..2 * reach).map(tap).collect();
    let sum: f64 = taps.iter().sum();
    taps.iter().map(|tap| (tap / sum) as f32).collect()
}

/// sin(πx) / πx.
fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        1.0
    } else {
        (PI * x).sin() / (PI * x)
    }
}

/// The modified Bessel function of order 0, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1.0);
    while term > 1e-12 * sum {
        term *= (x / (2.0 * k)).powi(2);
        sum += term;
        k += 1.0;
    }
    sum
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{level, silence, sine};

    /// Level of the difference away from the edges, where the filter reaches past the signal.
    fn error(found: &[f32], expected: &[f32]) -> f32 {
        let edge = 400;
        let inner = edge..expected.len().min(found.len()) - edge;
        let difference: Vec<f32> = inner.map(|i| found[i] - expected[i]).collect();
        level(&difference)
    }

    #[test]
    fn up_and_down_again_is_the_same_signal() {
        let signal = sine(1000.0, -6.0, 0.5);
        for rate in [48_000, 44_100, 24_000, 22_050, 8_000] {
            let there = resample(&signal, 16_000, rate);
            assert_eq!(there.len(), (8_000 * rate as usize).div_ceil(16_000));
            let back = resample(&there, rate, 16_000);
            assert!(error(&back, &signal) < -75.0, "{rate}: {}", error(&back, &signal));
        }
    }

    #[test]
    fn tones_above_the_new_rates_half_are_removed() {
        let signal = resample(&sine(4400.0, 0.0, 0.5), 16_000, 8_000);
        assert!(level(&signal[200..signal.len() - 200]) < -70.0);
    }

    #[test]
    fn very_short_signals_are_resampled_too() {
        assert!(resample(&[], 16_000, 48_000).is_empty());
        assert_eq!(resample(&[1.0], 16_000, 48_000).len(), 3);
        assert_eq!(resample(&[1.0], 16_000, 8_000).len(), 1);
        assert_eq!(resample(&silence(0.001), 16_000, 16_000), silence(0.001));
    }
}
