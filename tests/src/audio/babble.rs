//! Babble: many voices at once out of a few recordings.

use super::{active_level, at_level, gain, samples, Rng};

/// `talkers` voices that speak at the same time, at an RMS level of `dbfs` together.
///
/// Each goes through all `recordings` in an order of its own, round and round, from a random place on; all are
/// equally loud.
pub fn babble(recordings: &[&[f32]], talkers: usize, dbfs: f32, seconds: f64, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    let mut voices: Vec<Vec<f32>> = recordings
        .iter()
        .filter(|recording| active_level(recording).is_finite())
        .map(|recording| gain(recording, -30.0 - active_level(recording)))
        .collect();
    let mut out = vec![0.0; samples(seconds)];
    for _ in 0..talkers {
        rng.shuffle(&mut voices);
        let round = voices.concat();
        if round.is_empty() {
            break;
        }
        let start = rng.below(round.len());
        let voice = round.iter().cycle().skip(start);
        out.iter_mut().zip(voice).for_each(|(sum, sample)| *sum += sample);
    }
    at_level(&out, dbfs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{level, silence};
    use crate::clips;

    #[test]
    fn babble_has_its_length_and_level_and_few_pauses() {
        let recordings: Vec<&[f32]> = clips::all().iter().map(|clip| clip.samples.as_slice()).collect();
        let crowd = babble(&recordings, 6, -25.0, 20.0, 1);
        assert_eq!(crowd.len(), samples(20.0));
        assert!((level(&crowd) + 25.0).abs() < 0.01);
        assert_eq!(crowd, babble(&recordings, 6, -25.0, 20.0, 1));
        let pauses = crowd.chunks_exact(3200).filter(|part| level(part) < -40.0).count();
        assert!(pauses < 3, "{pauses} pauses of 0.2 s");
    }

    #[test]
    fn no_voice_gives_silence() {
        assert_eq!(babble(&[], 3, -20.0, 0.1, 1), silence(0.1));
        assert_eq!(babble(&[&silence(0.5)], 3, -20.0, 0.1, 1), silence(0.1));
    }
}
