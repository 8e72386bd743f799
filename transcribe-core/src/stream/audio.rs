//! The audio of a stream that is still needed, addressed by position.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crate::Position;

/// Samples from `start` on.
#[derive(Debug, Default)]
pub(super) struct AudioBuffer {
    start: Position,
    samples: VecDeque<f32>,
}

impl AudioBuffer {
    /// Position behind the last sample.
    pub(super) fn end(&self) -> Position {
        self.start + self.samples.len() as u64
    }

    /// Appends samples; what is no number becomes silence, what exceeds full scale is clipped.
    pub(super) fn push(&mut self, samples: &[f32]) {
        self.samples.extend(samples.iter().map(|&s| if s.is_finite() { s.clamp(-1.0, 1.0) } else { 0.0 }));
    }

    /// Appends `n` samples of digital silence.
    pub(super) fn push_silence(&mut self, n: u64) {
        self.samples.extend(std::iter::repeat_n(0.0, n as usize));
    }

    /// Copies the samples of `range`, as far as they are there.
    pub(super) fn slice(&self, range: Range<Position>) -> Arc<[f32]> {
        self.iter(range).collect()
    }

    /// Fills `frame` from `at` on; false if not all of it is there.
    pub(super) fn read(&self, at: Position, frame: &mut [f32]) -> bool {
        let end = at + frame.len() as u64;
        if at < self.start || end > self.end() {
            return false;
        }
        for (to, from) in frame.iter_mut().zip(self.iter(at..end)) {
            *to = from;
        }
        true
    }

    /// Forgets what lies before `position`.
    pub(super) fn trim(&mut self, position: Position) {
        let n = position.saturating_sub(self.start).min(self.samples.len() as u64);
        self.samples.drain(..n as usize);
        self.start += n;
    }

    /// Forgets everything; the next sample is at `position`.
    pub(super) fn restart(&mut self, position: Position) {
        self.samples.clear();
        self.start = position;
    }

    /// Moves everything from `at` on by `n` to later, and forgets what lies before.
    pub(super) fn jump(&mut self, at: Position, n: u64) {
        self.trim(at);
        self.start += n;
    }

    fn iter(&self, range: Range<Position>) -> impl Iterator<Item = f32> + '_ {
        let index = |p: Position| (p.clamp(self.start, self.end()) - self.start) as usize;
        self.samples.range(index(range.start)..index(range.end).max(index(range.start))).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_survive_trims_and_jumps() {
        let mut audio = AudioBuffer::default();
        audio.push(&[0.0, 0.1, 0.2, 0.3, 0.4]);
        audio.trim(2);
        assert_eq!(&audio.slice(0..4)[..], &[0.2, 0.3]);
        audio.jump(4, 100);
        assert_eq!((audio.end(), &audio.slice(104..200)[..]), (105, &[0.4][..]));
        let mut frame = [0.0; 1];
        assert!(!audio.read(4, &mut frame) && audio.read(104, &mut frame) && frame == [0.4]);
    }

    #[test]
    fn what_is_no_number_becomes_silence() {
        let mut audio = AudioBuffer::default();
        audio.push(&[f32::NAN, f32::INFINITY, -7.0, 0.5]);
        assert_eq!(&audio.slice(0..4)[..], &[0.0, 0.0, -1.0, 0.5]);
    }
}
