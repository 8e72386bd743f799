//! The latest probabilities of the speech under way: where it can be cut with the least harm.

use std::{collections::VecDeque, ops::Range};

use super::FRAME_LENGTH;
use crate::Position;

/// Probabilities of the last frames.
#[derive(Debug)]
pub(super) struct History {
    probabilities: VecDeque<f32>,
    /// Frames kept.
    capacity: usize,
    /// End of the last frame.
    end: Position,
}

impl History {
    /// Keeps at least this many samples' worth of frames.
    pub(super) fn new(samples: u64) -> Self {
        let capacity = samples.div_ceil(FRAME_LENGTH) as usize + 4;
        Self { probabilities: VecDeque::new(), capacity, end: 0 }
    }

    /// Adds the frame that ends at `end`.
    pub(super) fn push(&mut self, probability: f32, end: Position) {
        if self.probabilities.len() == self.capacity {
            self.probabilities.pop_front();
        }
        self.probabilities.push_back(probability);
        self.end = end;
    }

    /// Forgets all frames.
    pub(super) fn clear(&mut self) {
        self.probabilities.clear();
    }

    /// The middle of the least speech-like frame among those whose middle lies in `range`: the least mean of a frame
    /// and its neighbours, so that the inside of a pause beats a single low frame; the later of equals.
    pub(super) fn least_speech_like(&self, range: Range<Position>) -> Option<Position> {
        let frames = self.probabilities.len();
        let middle = |index: usize| self.end - (frames - index) as u64 * FRAME_LENGTH + FRAME_LENGTH / 2;
        let mean = |index: usize| {
            let near = index.saturating_sub(1)..(index + 2).min(frames);
            let count = near.len() as f32;
            self.probabilities.range(near).sum::<f32>() / count
        };
        (0..frames)
            .rev()
            .map(|index| (middle(index), mean(index)))
            .filter(|(middle, _)| range.contains(middle))
            .min_by(|(_, a), (_, b)| a.total_cmp(b))
            .map(|(middle, _)| middle)
    }
}
