//! Audio to Whisper's log-mel spectrogram, as OpenAI's `whisper/audio.py` computes it: frames of 25 ms every 10 ms
//! under a Hann window, power spectrum, mel bands, decimal logarithm, and at last everything more than 80 dB below the
//! loudest value is raised to there. The last step looks at the whole input, so that it is apart from the rest.
//!
//! A partial transforms all of its utterance anew, though most of it was there half a second ago: that is 0.026 of the
//! 4.4 CPU seconds that a minute of speech takes with partials (tiny.en), not worth a job's memory of the one before.

use std::f32::consts::TAU;
use std::ops::Range;
use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{RealFftPlanner, RealToComplex};

use crate::engine::EngineError;

/// Samples in a frame.
const WINDOW: usize = 400;
/// Samples from frame to frame.
pub(super) const HOP: usize = 160;
/// Frequencies of a frame's spectrum.
const FREQUENCIES: usize = WINDOW / 2 + 1;
/// Least power of a band.
const LEAST: f32 = 1e-10;

/// Transforms audio to mel bands.
pub(super) struct Mel {
    fft: Arc<dyn RealToComplex<f32>>,
    window: [f32; WINDOW],
    bands: Vec<Band>,
}

/// One mel band: the frequencies it listens to, and how much.
struct Band {
    frequencies: Range<usize>,
    weights: Vec<f32>,
}

impl Mel {
    /// With the model's filters, rows of 201 frequencies each, most of them zero.
    pub(super) fn new(filters: &[f32]) -> Self {
        let window = std::array::from_fn(|n| 0.5 - 0.5 * (TAU * n as f32 / WINDOW as f32).cos());
        let bands = filters.chunks_exact(FREQUENCIES).map(Band::new).collect();
        Self { fft: RealFftPlanner::new().plan_fft_forward(WINDOW), window, bands }
    }

    /// The spectrogram of `audio` and silence behind it, `frames` frames in all: [bands, frames], row by row. `audio`
    /// is at most as long as the frames.
    pub(super) fn spectrogram(&self, audio: &[f32], frames: usize) -> Result<Vec<f32>, EngineError> {
        let mut values = self.logarithms(audio, frames)?;
        let loudest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        values.iter_mut().for_each(|value| *value = (value.max(loudest - 8.0) + 4.0) / 4.0);
        Ok(values)
    }

    /// Logarithms of the bands' power.
    fn logarithms(&self, audio: &[f32], frames: usize) -> Result<Vec<f32>, EngineError> {
        let mut values = vec![LEAST.log10(); self.bands.len() * frames];
        let mut frame = [0.0; WINDOW];
        let mut spectrum = [Complex32::default(); FREQUENCIES];
        let mut scratch = self.fft.make_scratch_vec();
        let mut power = [0.0; FREQUENCIES];
        // Frames behind the last sample are silence.
        let sounding = (audio.len() + WINDOW / 2).div_ceil(HOP).min(frames);
        for at in 0..sounding {
            self.cut(audio, frames * HOP, at, &mut frame);
            self.fft
                .process_with_scratch(&mut frame, &mut spectrum, &mut scratch)
                .map_err(|error| EngineError::Inference(format!("FFT: {error}")))?;
            for (power, value) in power.iter_mut().zip(&spectrum) {
                *power = value.norm_sqr();
            }
            for (n, band) in self.bands.iter().enumerate() {
                values[n * frames + at] = band.power(&power).max(LEAST).log10();
            }
        }
        Ok(values)
    }

    /// Frame `at` under the window: its middle is at `at` hops. Audio of `len` samples, the silence behind it among
    /// them, is mirrored at both ends.
    fn cut(&self, audio: &[f32], len: usize, at: usize, frame: &mut [f32; WINDOW]) {
        let start = (at * HOP) as isize - (WINDOW / 2) as isize;
        for (n, (out, weight)) in frame.iter_mut().zip(&self.window).enumerate() {
            let position = (start + n as isize).unsigned_abs();
            let position = if position < len { position } else { (2 * (len - 1)).saturating_sub(position) };
            *out = weight * audio.get(position).copied().unwrap_or(0.0);
        }
    }
}

impl Band {
    fn new(row: &[f32]) -> Self {
        let first = row.iter().position(|weight| *weight != 0.0).unwrap_or(0);
        let end = row.iter().rposition(|weight| *weight != 0.0).map_or(first, |last| last + 1);
        Self { frequencies: first..end, weights: row[first..end].to_vec() }
    }

    fn power(&self, power: &[f32; FREQUENCIES]) -> f32 {
        power[self.frequencies.clone()].iter().zip(&self.weights).map(|(power, weight)| power * weight).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;
    use crate::models::ggml::GgmlFile;

    fn filters() -> Vec<f32> {
        let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/ggml-tiny.en-q8_0.bin");
        GgmlFile::open(model.as_ref()).unwrap().filters().to_vec()
    }

    /// By the definition, in double precision, all frames padded and mirrored beforehand.
    fn reference(filters: &[f32], audio: &[f32], frames: usize) -> Vec<f64> {
        let mut padded: Vec<f64> = audio.iter().map(|sample| f64::from(*sample)).collect();
        padded.resize(frames * 160, 0.0);
        let before: Vec<f64> = padded[1..=200].iter().rev().copied().collect();
        let after: Vec<f64> = padded.iter().rev().skip(1).take(200).copied().collect();
        let padded = [before, padded, after].concat();
        let bands = filters.len() / 201;
        let mut mel = vec![0.0; bands * frames];
        for frame in 0..frames {
            let cut: Vec<f64> =
                (0..400).map(|n| padded[frame * 160 + n] * (0.5 - 0.5 * (TAU * n as f64 / 400.0).cos())).collect();
            let power: Vec<f64> = (0..201)
                .map(|k| {
                    let (mut re, mut im) = (0.0, 0.0);
                    for (n, sample) in cut.iter().enumerate() {
                        let angle = TAU * ((k * n) % 400) as f64 / 400.0;
                        re += sample * angle.cos();
                        im += sample * angle.sin();
                    }
                    re * re + im * im
                })
                .collect();
            for band in 0..bands {
                let row = &filters[band * 201..][..201];
                let sum: f64 = row.iter().zip(&power).map(|(weight, power)| f64::from(*weight) * power).sum();
                mel[band * frames + frame] = sum.max(1e-10).log10();
            }
        }
        let loudest = mel.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        mel.iter().map(|value| (value.max(loudest - 8.0) + 4.0) / 4.0).collect()
    }

    #[test]
    fn it_is_whispers_to_a_ten_thousandth() {
        let filters = filters();
        let mel = Mel::new(&filters);
        let mut state = 1u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        };
        let speechlike: Vec<f32> =
            (0..5_000).map(|n| 0.3 * (n as f32 * 0.05 * (1.0 + n as f32 / 9_000.0)).sin() + 0.02 * noise()).collect();
        // With silence behind it, and up to the very end.
        for frames in [60, 5_000usize.div_ceil(160)] {
            let (ours, reference) =
                (mel.spectrogram(&speechlike, frames).unwrap(), reference(&filters, &speechlike, frames));
            assert_eq!(ours.len(), 80 * frames);
            let worst = ours.iter().zip(&reference).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-4, "{worst}");
        }
    }

    #[test]
    fn silence_is_flat() {
        let mel = Mel::new(&filters());
        assert!(mel.spectrogram(&[], 10).unwrap().iter().all(|value| *value == -1.5));
    }
}
