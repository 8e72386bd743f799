//! A detector without a network: loudness against the stream's own noise floor.
//!
//! A frame's level in dBFS is compared with a floor that sinks to quiet frames at once and rises slowly under loud
//! ones; the distance goes through a logistic curve. Anything that stands out of the background counts as speech:
//! music, keyboards, a door. A noise that stays is forgotten at two dB a second, and so is a voice that never pauses,
//! though the gaps between words bring the floor back down. It is for tests and for machines without ONNX Runtime.

use super::{Lane, Vad, VadError, FRAME};

/// Distance from the floor at which speech is as likely as not, dB.
const EVEN_DB: f32 = 10.0;
/// Steepness of the curve: this much further makes the odds e to 1, dB.
const SCALE_DB: f32 = 2.0;
/// The floor sinks towards a quieter frame by this share of the difference.
const FALL: f32 = 0.3;
/// The floor rises by this much a frame, dB: two in a second.
const RISE_DB: f32 = 0.064;
/// Where the floor may lie, dBFS. The upper bound lets a stream that begins with a voice be heard.
const FLOOR_DBFS: std::ops::RangeInclusive<f32> = -70.0..=-30.0;
/// A stream's first floor is no higher than this, dBFS.
const FIRST_FLOOR_DBFS: f32 = -45.0;

/// Places in [`Memory::state`](super::Memory::state).
const FLOOR: usize = 0;
const STARTED: usize = 1;

/// The energy detector. All it knows of a stream is in the stream's lane.
#[derive(Debug, Clone, Copy, Default)]
pub struct Energy;

impl Energy {
    /// The detector.
    pub fn new() -> Self {
        Self
    }
}

impl Vad for Energy {
    fn run(&mut self, lanes: &mut [Lane]) -> Result<(), VadError> {
        for lane in lanes {
            let level = level_dbfs(&lane.frame);
            let state = &mut lane.memory.state;
            let floor = if state[STARTED] == 0.0 {
                level.min(FIRST_FLOOR_DBFS)
            } else if level < state[FLOOR] {
                state[FLOOR] + FALL * (level - state[FLOOR])
            } else {
                state[FLOOR] + RISE_DB
            };
            let floor = floor.clamp(*FLOOR_DBFS.start(), *FLOOR_DBFS.end());
            (state[FLOOR], state[STARTED]) = (floor, 1.0);
            lane.probability = 1.0 / (1.0 + (-(level - floor - EVEN_DB) / SCALE_DB).exp());
        }
        Ok(())
    }
}

/// Root mean square of a frame in dB relative to full scale; samples that are no numbers count as silence.
fn level_dbfs(frame: &[f32; FRAME]) -> f32 {
    let squares: f32 = frame.iter().filter(|s| s.is_finite()).map(|s| s.clamp(-1.0, 1.0).powi(2)).sum();
    10.0 * (squares / FRAME as f32).max(1e-12).log10()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vad::testing::{at_dbfs, frames, probabilities, white};

    fn run(samples: &[f32]) -> Vec<f32> {
        probabilities(&mut Energy::new(), samples)
    }

    #[test]
    fn silence_and_steady_noise_are_not_speech() {
        assert!(run(&[0.0; 16_000]).iter().all(|p| *p < 0.05));
        assert!(run(&at_dbfs(white(1, 160_000), -60.0)).iter().all(|p| *p < 0.1));
    }

    #[test]
    fn a_loud_noise_that_stays_is_forgotten() {
        let probabilities = run(&at_dbfs(white(1, 20 * 16_000), -40.0));
        assert!(probabilities.last().unwrap() < &0.1);
    }

    #[test]
    fn what_stands_out_of_the_background_is_speech() {
        let mut samples = at_dbfs(white(1, 32 * FRAME), -55.0);
        samples.extend(at_dbfs(white(2, 32 * FRAME), -25.0));
        samples.extend(at_dbfs(white(3, 32 * FRAME), -55.0));
        let probabilities = run(&samples);
        assert!(probabilities[..32].iter().all(|p| *p < 0.1));
        assert!(probabilities[32..64].iter().all(|p| *p > 0.9));
        assert!(probabilities[64..].iter().all(|p| *p < 0.1));
    }

    #[test]
    fn a_voice_at_the_very_start_is_heard() {
        assert!(run(&at_dbfs(white(1, 16_000), -25.0)).iter().all(|p| *p > 0.9));
    }

    #[test]
    fn what_is_no_number_leaves_no_trace() {
        let mut detector = Energy::new();
        let mut lane = [Lane::new([f32::NAN; FRAME], super::super::Memory::default())];
        detector.run(&mut lane).unwrap();
        assert!(lane[0].probability < 0.05);
        assert!(frames(&[0.0; FRAME]).count() == 1 && lane[0].memory.state.iter().all(|s| s.is_finite()));
    }
}
