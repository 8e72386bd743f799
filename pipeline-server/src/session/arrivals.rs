//! When audio came in, so that it is known how long its text took.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Buffers that are remembered at most.
const MOST: usize = 8_192;

/// Ends of buffers in seconds of audio, and when each came.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    marks: VecDeque<(f64, Instant)>,
    /// Seconds of audio so far.
    heard: f64,
}

impl Arrivals {
    /// Audio up to `end` (seconds) came at `now`.
    pub(super) fn came(&mut self, end: f64, now: Instant) {
        self.heard = self.heard.max(end);
        if self.marks.len() == MOST {
            self.marks.pop_front();
        }
        self.marks.push_back((end, now));
    }

    /// Seconds of audio that came.
    pub(super) fn heard(&self) -> f64 {
        self.heard
    }

    /// How long before `now` the audio up to `end` (seconds) had come; forgets what came before it.
    pub(super) fn waited(&mut self, end: f64, now: Instant) -> Option<Duration> {
        while self.marks.front().is_some_and(|(mark, _)| *mark < end) {
            self.marks.pop_front();
        }
        self.marks.front().map(|(_, came)| now.duration_since(*came))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_that_held_the_end_counts() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut arrivals = Arrivals::default();
        for i in 1..=10_u32 {
            arrivals.came(f64::from(i) / 10.0, at(u64::from(i) * 100));
        }
        assert_eq!(arrivals.waited(0.25, at(1_000)), Some(Duration::from_millis(700)));
        assert_eq!(arrivals.waited(0.95, at(1_500)), Some(Duration::from_millis(500)));
        assert_eq!(arrivals.waited(2.0, at(1_500)), None);
        assert_eq!(arrivals.heard(), 1.0);
    }
}
