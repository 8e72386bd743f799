//! A Fourier transform of a power of two, for convolution and for looking at spectra.

use std::f64::consts::TAU;

/// A complex number.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Complex {
    pub(super) re: f32,
    pub(super) im: f32,
}

impl Complex {
    pub(super) fn times(self, other: Self) -> Self {
        Self { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }

    fn conjugate(self) -> Self {
        Self { re: self.re, im: -self.im }
    }
}

/// Transforms of one size.
pub(super) struct Fft {
    /// e^(−2πi k / size) for the first half of k.
    roots: Vec<Complex>,
}

impl Fft {
    /// Transforms of `size` values, a power of two.
    pub(super) fn new(size: usize) -> Self {
        assert!(size.is_power_of_two() && size > 1);
        let root = |k: usize| {
            let angle = -TAU * k as f64 / size as f64;
            Complex { re: angle.cos() as f32, im: angle.sin() as f32 }
        };
        Self { roots: (0..size / 2).map(root).collect() }
    }

    /// The spectrum of `data`, in place.
    pub(super) fn forward(&self, data: &mut [Complex]) {
        let size = 2 * self.roots.len();
        assert_eq!(data.len(), size);
        let shift = usize::BITS - size.trailing_zeros();
        for i in 0..size {
            let mirrored = i.reverse_bits() >> shift;
            if i < mirrored {
                data.swap(i, mirrored);
            }
        }
        let mut half = 1;
        while half < size {
            let stride = size / (2 * half);
            for block in data.chunks_exact_mut(2 * half) {
                let (low, high) = block.split_at_mut(half);
                for (k, (a, b)) in low.iter_mut().zip(high).enumerate() {
                    let turned = b.times(self.roots[k * stride]);
                    (*a, *b) = (
                        Complex { re: a.re + turned.re, im: a.im + turned.im },
                        Complex { re: a.re - turned.re, im: a.im - turned.im },
                    );
                }
            }
            half *= 2;
        }
    }

    /// The signal of a spectrum, in place.
    pub(super) fn inverse(&self, data: &mut [Complex]) {
        let scale = 1.0 / data.len() as f32;
        data.iter_mut().for_each(|value| *value = value.conjugate());
        self.forward(data);
        data.iter_mut().for_each(|value| *value = Complex { re: value.re * scale, im: -value.im * scale });
    }
}

/// `signal` convolved with `response`, in blocks; as long as both together less one.
pub(super) fn convolve(signal: &[f32], response: &[f32]) -> Vec<f32> {
    if signal.is_empty() || response.is_empty() {
        return Vec::new();
    }
    let size = (2 * response.len()).next_power_of_two().max(1024);
    let block = size - response.len() + 1;
    let fft = Fft::new(size);
    let spectrum_of = |part: &[f32]| {
        let mut data = vec![Complex::default(); size];
        data.iter_mut().zip(part).for_each(|(value, sample)| value.re = *sample);
        fft.forward(&mut data);
        data
    };
    let response_spectrum = spectrum_of(response);
    let mut out = vec![0.0; signal.len() + response.len() - 1];
    for (i, part) in signal.chunks(block).enumerate() {
        let mut data = spectrum_of(part);
        data.iter_mut().zip(&response_spectrum).for_each(|(value, factor)| *value = value.times(*factor));
        fft.inverse(&mut data);
        out[i * block..].iter_mut().zip(&data).for_each(|(sum, value)| *sum += value.re);
    }
    out
}

/// The power of `signal` between two frequencies, as its mean over the whole signal (for tests).
#[cfg(test)]
pub(super) fn power_in_band(signal: &[f32], from: f64, to: f64) -> f64 {
    let size = 4096;
    let fft = Fft::new(size);
    let width = f64::from(super::SAMPLE_RATE) / size as f64;
    let mut power = 0.0;
    for part in signal.chunks_exact(size) {
        let mut data: Vec<Complex> = part.iter().map(|s| Complex { re: *s, im: 0.0 }).collect();
        fft.forward(&mut data);
        for (bin, value) in data[..size / 2].iter().enumerate() {
            if (from..to).contains(&(bin as f64 * width)) {
                power += f64::from(value.re.powi(2) + value.im.powi(2));
            }
        }
    }
    power * 2.0 / (size as f64 * signal.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::white_noise;

    #[test]
    fn inverse_undoes_forward() {
        let signal = white_noise(-20.0, 0.016, 1);
        let mut data: Vec<Complex> = signal.iter().map(|s| Complex { re: *s, im: 0.0 }).collect();
        let fft = Fft::new(data.len());
        fft.forward(&mut data);
        fft.inverse(&mut data);
        for (value, sample) in data.iter().zip(&signal) {
            assert!((value.re - sample).abs() < 1e-6 && value.im.abs() < 1e-6);
        }
    }

    #[test]
    fn convolution_agrees_with_its_definition() {
        let signal = white_noise(-10.0, 0.2, 1);
        let response = white_noise(-10.0, 0.05, 2);
        let fast = convolve(&signal, &response);
        assert_eq!(fast.len(), signal.len() + response.len() - 1);
        for i in (0..fast.len()).step_by(97) {
            let direct: f32 =
                (0..response.len()).filter(|k| *k <= i).filter_map(|k| Some(signal.get(i - k)? * response[k])).sum();
            assert!((fast[i] - direct).abs() < 1e-4, "{i}: {} instead of {direct}", fast[i]);
        }
    }
}
