//! Signals for the detectors' tests.

use std::{f32::consts::TAU, path::Path};

use super::{Lane, Memory, Vad, FRAME};

/// The whole frames of `samples`.
pub(crate) fn frames(samples: &[f32]) -> impl Iterator<Item = [f32; FRAME]> + '_ {
    samples.as_chunks::<FRAME>().0.iter().copied()
}

/// What the detector says of each frame of one stream.
pub(crate) fn probabilities(detector: &mut dyn Vad, samples: &[f32]) -> Vec<f32> {
    let mut memory = Memory::default();
    let mut run = |frame| {
        let mut lanes = [Lane::new(frame, std::mem::take(&mut memory))];
        detector.run(&mut lanes).unwrap();
        let [lane] = lanes;
        memory = lane.memory;
        lane.probability
    };
    frames(samples).map(&mut run).collect()
}

/// A test clip: 16 kHz, mono.
pub(crate) fn clip(name: &str) -> Vec<f32> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/speech").join(name);
    let mut reader = claxon::FlacReader::open(path).unwrap();
    reader.samples().map(|sample| sample.unwrap() as f32 / 32_768.0).collect()
}

/// White noise, the same for the same seed.
pub(crate) fn white(seed: u64, samples: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..16).for_each(|_| _ = uniform());
    (0..samples).map(|_| (0..4).map(|_| uniform()).sum::<f32>() / 2.0).collect()
}

/// Pink noise: white noise through first-order low passes whose corners lie two octaves apart.
pub(crate) fn pink(seed: u64, samples: usize) -> Vec<f32> {
    let mut low = [0.0_f32; 6];
    let pass = |white: f32| {
        let mut sum = 0.1 * white;
        for (n, state) in low.iter_mut().enumerate() {
            let corner = 10.0 * 4.0_f32.powi(n as i32);
            let share = 1.0 - (-TAU * corner / 16_000.0).exp();
            *state += share * (white - *state);
            sum += *state * (1.0 / share).sqrt() * 0.3;
        }
        sum
    };
    white(seed, samples).into_iter().map(pass).collect()
}

/// The signal at this level, dB relative to full scale.
pub(crate) fn at_dbfs(mut samples: Vec<f32>, level: f32) -> Vec<f32> {
    let mean_square = samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32;
    let gain = 10.0_f32.powf(level / 20.0) / mean_square.sqrt();
    samples.iter_mut().for_each(|sample| *sample *= gain);
    samples
}

/// A tone whose frequency goes evenly from one value to another, Hz.
pub(crate) fn chirp(from: f32, to: f32, samples: usize) -> Vec<f32> {
    let mut phase = 0.0_f32;
    let tone = |n| {
        let frequency = from + (to - from) * n as f32 / samples as f32;
        phase = (phase + TAU * frequency / 16_000.0) % TAU;
        phase.sin()
    };
    (0..samples).map(tone).collect()
}

/// Chords of three notes with eight harmonics each, struck twice a second and dying away, over a bass.
pub(crate) fn music(samples: usize) -> Vec<f32> {
    const CHORDS: [[f32; 3]; 4] =
        [[261.6, 329.6, 392.0], [220.0, 261.6, 329.6], [174.6, 220.0, 261.6], [196.0, 246.9, 293.7]];
    let sample = |n: usize| {
        let time = n as f32 / 16_000.0;
        let chord = CHORDS[(time / 2.0) as usize % 4];
        let struck = time % 0.5;
        let envelope = (struck * 200.0).min(1.0) * (-struck * 4.0).exp();
        let note = |pitch: f32| -> f32 {
            (1..=8).map(|k| (TAU * (pitch * k as f32 * time).fract()).sin() / (k * k) as f32).sum()
        };
        envelope * (chord.iter().map(|pitch| note(*pitch)).sum::<f32>() + note(chord[0] / 4.0))
    };
    (0..samples).map(sample).collect()
}
