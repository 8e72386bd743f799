//! Ways to make clean speech hard to understand. All of it is computed from fixed seeds, so that each run hears the
//! same.

const RATE: usize = 16_000;

/// A small generator of pseudo-random numbers (xorshift).
pub(crate) struct Random(u64);

impl Random {
    /// Never the same as with another seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Even between −1 and 1.
    pub(crate) fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// White noise.
pub(crate) fn white(samples: usize, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed);
    (0..samples).map(|_| random.next()).collect()
}

/// Noise with equal power in each octave: a sum of generators, each renewed half as often as the one before.
pub(crate) fn pink(samples: usize, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed);
    let mut octaves = [0.0; 12];
    (0..samples)
        .map(|n| {
            for (octave, value) in octaves.iter_mut().enumerate() {
                if n % (1 << octave) == 0 {
                    *value = random.next();
                }
            }
            octaves.iter().sum()
        })
        .collect()
}

/// Other people talking at once: four of `voices`, from some way into each, over and over.
pub(crate) fn babble(samples: usize, voices: &[&[f32]], seed: u64) -> Vec<f32> {
    let mut sum = vec![0.0; samples];
    for n in 0..4 {
        let voice = voices[(seed as usize + n) % voices.len()];
        let loudness = 1.0 / rms(voice).max(1e-6);
        for (at, value) in sum.iter_mut().enumerate() {
            *value += loudness * voice[(at + 7_919 * (n + 1)) % voice.len()];
        }
    }
    sum
}

/// Four chords with overtones and vibrato, a bass, and a beat twice a second.
pub(crate) fn music(samples: usize, seed: u64) -> Vec<f32> {
    const CHORDS: [[f32; 3]; 4] =
        [[261.6, 329.6, 392.0], [220.0, 261.6, 329.6], [174.6, 220.0, 261.6], [196.0, 246.9, 293.7]];
    let mut random = Random::new(seed);
    (0..samples)
        .map(|n| {
            let time = n as f32 / RATE as f32;
            let chord = CHORDS[(time as usize + seed as usize) % CHORDS.len()];
            let vibrato = 0.3 * (std::f32::consts::TAU * 5.0 * time).sin();
            let tone = |hertz: f32| -> f32 {
                (1..=5).map(|k| (std::f32::consts::TAU * hertz * k as f32 * time + vibrato).sin() / k as f32).sum()
            };
            let since_beat = time % 0.5;
            let beat = 2.0 * random.next() * (-since_beat * 30.0).exp();
            let pluck = 0.4 + 0.6 * (-(time % 1.0) * 2.0).exp();
            pluck * chord.iter().map(|hertz| tone(*hertz)).sum::<f32>() + tone(chord[0] / 2.0) + beat
        })
        .collect()
}

/// `speech` in a large room: 2,000 random reflections a second that fade by 60 dB in 0.7 s.
pub(crate) fn reverberant(speech: &[f32], seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed);
    let reflections: Vec<(usize, f32)> = (1..1_400)
        .map(|n| {
            let at = n * 8 + ((random.next() + 1.0) * 4.0) as usize;
            let fade = 10f32.powf(-3.0 * at as f32 / (0.7 * RATE as f32));
            (at, 0.18 * fade * random.next().signum())
        })
        .collect();
    let mut wet = speech.to_vec();
    for (delay, gain) in reflections {
        for (out, dry) in wet.iter_mut().skip(delay).zip(speech) {
            *out += gain * dry;
        }
    }
    let loudness = rms(speech) / rms(&wet).max(1e-9);
    wet.iter().map(|sample| sample * loudness).collect()
}

/// `noise` under `speech`, the speech `decibels` louder.
pub(crate) fn mixed(speech: &[f32], noise: &[f32], decibels: f32) -> Vec<f32> {
    let gain = rms(speech) / rms(noise).max(1e-9) * 10f32.powf(-decibels / 20.0);
    let sum: Vec<f32> = speech.iter().zip(noise).map(|(s, n)| s + gain * n).collect();
    let peak = sum.iter().fold(1.0f32, |peak, sample| peak.max(sample.abs()));
    sum.iter().map(|sample| sample / peak).collect()
}

fn rms(samples: &[f32]) -> f32 {
    (samples.iter().map(|s| s * s).sum::<f32>() / samples.len().max(1) as f32).sqrt()
}
