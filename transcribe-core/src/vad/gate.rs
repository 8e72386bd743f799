//! The noise gate: frames so quiet that nobody can be speaking need no network.
//!
//! Each stream has its own [`Gate`]. While nobody speaks it lets a frame be skipped if the frame is under the absolute
//! floor *and* no louder than the stream's own background. The second half is for quiet microphones: a signal 26 dB
//! too low has the first sounds of its words under any floor that is of use against room noise, but still above its
//! own background. Measured on the seven test clips over pink noise at −75 dBFS, against a network that sees every
//! frame: 20 dB too quiet, the floor alone begins an utterance up to 0.9 s late, with the background 0.2 s, which the
//! pre-roll makes good; 26 dB too quiet it is 0.9 and 0.3 s.
//!
//! After the last frame that was worth a look the network runs on for a quarter of a second, so that a quiet sound
//! inside a word costs it nothing. Then its state is cleared, as at a stream's start: speech after a gap is found as
//! well from there as from a state that was kept, and better than from one kept from the middle of a word.

use super::{Memory, CONTEXT, FRAME, STATE};

/// Frames that are quieter than this many dB under full scale may be skipped: room noise at −60 dBFS is.
pub const DEFAULT_NOISE_FLOOR_DBFS: f32 = -58.0;

/// Quiet frames that the network sees before the first is skipped: 256 ms.
const HANGOVER: u32 = 8;
/// A frame stands out when it is this many dB over the background.
const MARGIN_DB: f32 = 4.0;
/// The background follows the level down by this share of the difference a frame …
const FALL: f32 = 0.25;
/// … and up by this many dB a frame: 1 dB in a second.
const RISE_DB: f32 = 0.032;
/// Level of digital silence, dBFS.
const SILENCE_DBFS: f32 = -90.0;

/// One stream's noise gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    floor: f32,
    /// Level of the stream's quiet frames in dBFS; at most `floor`.
    background: Option<f32>,
    /// Quiet frames since the last that was not, up to `HANGOVER`.
    quiet: u32,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new(DEFAULT_NOISE_FLOOR_DBFS)
    }
}

impl Gate {
    /// A gate for a new stream. Frames at or over `floor_dbfs` are never skipped; with −∞ none is.
    pub fn new(floor_dbfs: f32) -> Self {
        Self { floor: floor_dbfs, background: None, quiet: HANGOVER }
    }

    /// Whether the stream's next frame needs no network: its probability of speech is 0. Then
    /// [`pass_over`](Self::pass_over) has to be called for it. `speaking` says that speech, or what may become some,
    /// is under way ([`Segmenter::is_idle`](crate::segmenter::Segmenter::is_idle) is false): nothing is skipped then.
    pub fn skips(&mut self, frame: &[f32; FRAME], speaking: bool) -> bool {
        let level = level_dbfs(frame);
        let background = self.follow(level, speaking);
        if speaking || level >= self.floor.min(background + MARGIN_DB) {
            self.quiet = 0;
            return false;
        }
        let skips = self.quiet >= HANGOVER;
        self.quiet = HANGOVER.min(self.quiet + 1);
        skips
    }

    /// Does for the detector's memory what the network would have done with a skipped frame: the next frame finds its
    /// context, and a state as at a stream's start.
    pub fn pass_over(frame: &[f32; FRAME], memory: &mut Memory) {
        *memory.state = [0.0; STATE];
        for (kept, sample) in memory.context.iter_mut().zip(&frame[FRAME - CONTEXT..]) {
            *kept = if sample.is_finite() { *sample } else { 0.0 };
        }
    }

    /// The background after a frame of this level.
    fn follow(&mut self, level: f32, speaking: bool) -> f32 {
        let now = match self.background {
            None => level,
            Some(before) if level < before => before + FALL * (level - before),
            Some(before) if speaking => before,
            Some(before) => level.min(before + RISE_DB),
        };
        *self.background.insert(now.min(self.floor))
    }
}

/// Level of a frame in dB relative to full scale, a constant offset not counted; at least that of digital silence.
fn level_dbfs(frame: &[f32; FRAME]) -> f32 {
    let (mut sum, mut squares) = (0.0_f64, 0.0_f64);
    for sample in frame.iter().filter(|sample| sample.is_finite()) {
        let sample = f64::from(*sample);
        sum += sample;
        squares += sample * sample;
    }
    let mean = sum / FRAME as f64;
    let power = squares / FRAME as f64 - mean * mean;
    (10.0 * power.max(1e-12).log10() as f32).max(SILENCE_DBFS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vad::testing::{at_dbfs, frames, pink, white};

    /// How many of the frames reach the network while nobody speaks.
    fn looked_at(gate: &mut Gate, samples: &[f32]) -> usize {
        frames(samples).filter(|frame| !gate.skips(frame, false)).count()
    }

    #[test]
    fn room_noise_of_two_hundred_streams_never_reaches_the_network() {
        for seed in 0..200 {
            let noise = at_dbfs(white(seed, 10 * 16_000), -60.0);
            assert_eq!(looked_at(&mut Gate::default(), &noise), 0, "stream {seed}");
        }
    }

    #[test]
    fn pink_room_noise_hardly_ever_reaches_the_network() {
        let mut reached = 0;
        for seed in 0..20 {
            reached += looked_at(&mut Gate::default(), &at_dbfs(pink(seed, 30 * 16_000), -60.0));
        }
        assert!(reached < 20 * 938 / 50, "{reached} of {} frames", 20 * 938);
    }

    #[test]
    fn speech_level_is_never_skipped_and_nothing_is_while_somebody_speaks() {
        let loud = at_dbfs(white(1, 16_000), -50.0);
        assert_eq!(looked_at(&mut Gate::default(), &loud), frames(&loud).count());
        let mut gate = Gate::default();
        assert!((0..100).all(|_| !gate.skips(&[0.0; FRAME], true)));
    }

    #[test]
    fn the_network_runs_on_for_a_moment_after_a_loud_frame() {
        let mut gate = Gate::default();
        assert!(gate.skips(&[0.0; FRAME], false), "a stream's first frames are silence");
        let loud: [f32; FRAME] = frames(&at_dbfs(white(1, FRAME), -20.0)).next().unwrap();
        assert!(!gate.skips(&loud, false));
        let run_on = (0..100).take_while(|_| !gate.skips(&[0.0; FRAME], false)).count();
        assert_eq!(run_on, HANGOVER as usize);
        assert!(gate.skips(&[0.0; FRAME], false));
    }

    #[test]
    fn a_quiet_voice_over_a_quieter_background_is_looked_at() {
        let mut gate = Gate::default();
        assert_eq!(looked_at(&mut gate, &at_dbfs(white(1, 64_000), -80.0)), 0);
        let voice = at_dbfs(white(2, 16_000), -65.0);
        assert_eq!(looked_at(&mut gate, &voice), frames(&voice).count());
    }

    #[test]
    fn a_background_that_has_become_louder_is_learnt() {
        let mut gate = Gate::default();
        looked_at(&mut gate, &at_dbfs(white(1, 64_000), -80.0));
        looked_at(&mut gate, &at_dbfs(white(2, 16_000 * 20), -62.0));
        assert_eq!(looked_at(&mut gate, &at_dbfs(white(3, 160_000), -62.0)), 0);
    }

    #[test]
    fn a_constant_offset_is_not_sound() {
        let mut noise = at_dbfs(white(1, 64_000), -66.0);
        noise.iter_mut().for_each(|sample| *sample += 0.01);
        assert_eq!(looked_at(&mut Gate::default(), &noise), 0);
    }

    #[test]
    fn a_floor_of_minus_infinity_skips_nothing() {
        assert!(!Gate::new(f32::NEG_INFINITY).skips(&[0.0; FRAME], false));
    }

    #[test]
    fn passing_over_keeps_the_context_and_clears_the_state() {
        let mut memory = Memory::default();
        memory.state.fill(0.3);
        let mut frame: [f32; FRAME] = std::array::from_fn(|n| n as f32 / 1000.0);
        frame[FRAME - 1] = f32::NAN;
        Gate::pass_over(&frame, &mut memory);
        assert_eq!(*memory.state, [0.0; STATE]);
        assert_eq!(memory.context[..CONTEXT - 1], frame[FRAME - CONTEXT..FRAME - 1]);
        assert_eq!(memory.context[CONTEXT - 1], 0.0);
    }
}
