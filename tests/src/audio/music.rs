//! Simple music for an ensemble of four: chords, bass, melody and drums, all synthetic.

use std::f64::consts::TAU;

use super::{at_level, samples, seconds as duration, silence, Rng, SAMPLE_RATE};

/// Seconds of a beat.
const BEAT: f64 = 0.55;
const BEATS_IN_BAR: usize = 4;
/// Roots of the chords, one a bar, in half-tones above the key; the second value is the third of the chord.
const PROGRESSION: [(i32, i32); 4] = [(0, 4), (-5, 4), (-3, 3), (5, 4)];
/// The scale that the melody walks on, in half-tones above the key.
const SCALE: [i32; 8] = [0, 2, 4, 5, 7, 9, 11, 12];

/// Music of a key and a melody that depend on the seed, at an RMS level of `dbfs`.
pub fn music(dbfs: f32, seconds: f64, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    let key = 57 + rng.below(7) as i32;
    let mut out = silence(seconds);
    let mut degree = rng.below(SCALE.len());
    for beat in 0..(seconds / BEAT).ceil() as usize {
        let start = beat as f64 * BEAT;
        let (root, third) = PROGRESSION[beat / BEATS_IN_BAR % PROGRESSION.len()];
        if beat % BEATS_IN_BAR == 0 {
            for interval in [0, third, 7] {
                add(&mut out, start, &CHORD.note(key + root + interval, 4.0 * BEAT));
            }
        }
        add(&mut out, start, &BASS.note(key + root - 24, BEAT));
        let halves = 1 + rng.below(2);
        for half in 0..halves {
            degree = (degree + 5 + rng.below(5)) % SCALE.len();
            let length = BEAT / halves as f64;
            add(&mut out, start + half as f64 * length, &MELODY.note(key + 12 + SCALE[degree], length));
        }
        add(&mut out, start, &if beat % 2 == 0 { kick() } else { snare(&mut rng) });
        for half in [0.0, 0.5] {
            add(&mut out, start + half * BEAT, &hi_hat(&mut rng));
        }
    }
    at_level(&out, dbfs)
}

/// Adds `sound` to `out` from `start` on, as far as `out` reaches.
fn add(out: &mut [f32], start: f64, sound: &[f32]) {
    let rest = out.iter_mut().skip(samples(start));
    rest.zip(sound).for_each(|(sum, sample)| *sum += sample);
}

/// What a note of an instrument sounds like.
struct Instrument {
    /// Peak of the fundamental.
    volume: f32,
    /// Overtone n has n to the power of minus this.
    darkness: f64,
    /// Seconds until the note is at its peak.
    attack: f64,
    /// Seconds until it has fallen to a third.
    decay: f64,
    /// Depth of the vibrato, in turns of the fundamental.
    vibrato: f64,
}

const CHORD: Instrument = Instrument { volume: 0.12, darkness: 1.6, attack: 0.08, decay: 2.0, vibrato: 0.0 };
const BASS: Instrument = Instrument { volume: 0.25, darkness: 1.8, attack: 0.01, decay: 0.35, vibrato: 0.0 };
const MELODY: Instrument = Instrument { volume: 0.2, darkness: 1.2, attack: 0.03, decay: 0.5, vibrato: 0.15 };

impl Instrument {
    /// A note by its MIDI number.
    fn note(&self, number: i32, length: f64) -> Vec<f32> {
        let frequency = 440.0 * 2_f64.powf(f64::from(number - 69) / 12.0);
        let overtones = ((0.45 * f64::from(SAMPLE_RATE) / frequency) as usize).clamp(1, 10);
        (0..samples(length))
            .map(duration)
            .map(|t| {
                let envelope = (t / self.attack).min(1.0) * (-t / self.decay).exp() * ((length - t) / 0.02).min(1.0);
                let turns = frequency * t + self.vibrato * (TAU * 5.5 * t).sin();
                let tone: f64 =
                    (1..=overtones).map(|n| (TAU * n as f64 * turns).sin() / (n as f64).powf(self.darkness)).sum();
                self.volume * (envelope * tone) as f32
            })
            .collect()
    }
}

/// A bass drum: a sine that falls in pitch.
fn kick() -> Vec<f32> {
    let stroke = |t: f64| {
        let turns = 50.0 * t + 3.0 * (1.0 - (-t / 0.03).exp());
        0.6 * (-t / 0.09).exp() * (TAU * turns).sin()
    };
    (0..samples(0.3)).map(|i| stroke(duration(i)) as f32).collect()
}

/// A snare drum: noise and a short tone.
fn snare(rng: &mut Rng) -> Vec<f32> {
    let mut stroke = |t: f64| {
        let tone = 0.3 * (TAU * 190.0 * t).sin() * (-t / 0.05).exp();
        0.3 * f64::from(rng.bipolar()) * (-t / 0.07).exp() + tone
    };
    (0..samples(0.25)).map(|i| stroke(duration(i)) as f32).collect()
}

/// A closed hi-hat: short noise without its low half.
fn hi_hat(rng: &mut Rng) -> Vec<f32> {
    let mut before = 0.0;
    (0..samples(0.06))
        .map(|i| {
            let noise = rng.bipolar();
            let high = noise - before;
            before = noise;
            0.12 * high * (-duration(i) / 0.015).exp() as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::fft::power_in_band;
    use crate::audio::level;

    #[test]
    fn music_has_its_length_and_level_and_depends_on_its_seed() {
        let tune = music(-20.0, 5.0, 1);
        assert_eq!(tune.len(), samples(5.0));
        assert!((level(&tune) + 20.0).abs() < 0.01);
        assert_eq!(tune, music(-20.0, 5.0, 1));
        assert_ne!(tune, music(-20.0, 5.0, 2));
    }

    #[test]
    fn music_never_pauses_and_reaches_from_bass_to_treble() {
        let tune = music(-20.0, 9.0, 3);
        for second in tune.chunks_exact(8000) {
            assert!(level(second) > -30.0, "{}", level(second));
        }
        let all = power_in_band(&tune, 0.0, 8000.0);
        for (from, to) in [(30.0, 150.0), (150.0, 600.0), (600.0, 2400.0), (2400.0, 8000.0)] {
            assert!(power_in_band(&tune, from, to) > 0.001 * all, "{from} to {to} Hz");
        }
    }

    #[test]
    fn music_shorter_than_a_beat_is_possible() {
        assert_eq!(music(-20.0, 0.1, 1).len(), samples(0.1));
        assert!(music(-20.0, 0.0, 1).is_empty());
    }
}
