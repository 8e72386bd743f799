//! How busy the engine is: readings of the model's figures in, what it would be with the newest sessions out.
//!
//! A session shows in the figures only once somebody has spoken in it for a while. Until then it is taken to need as much as
//! those that are there, so that many who come at once are not all let in before the first of them is noticed.

use std::collections::VecDeque;
use std::time::Duration;

/// Between two readings.
pub(super) const EVERY: Duration = Duration::from_secs(1);
/// Readings that the mean is taken of: utterances come and go, and each is seconds long.
const READINGS: usize = 5;
/// How long a session is new.
pub(super) const NEW: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Load {
    readings: VecDeque<f64>,
}

impl Load {
    /// The engine's load is this now.
    pub(super) fn read(&mut self, load: f64) {
        if self.readings.len() == READINGS {
            self.readings.pop_front();
        }
        self.readings.push_back(load);
    }

    /// The mean of the latest readings.
    pub(super) fn mean(&self) -> f64 {
        self.readings.iter().sum::<f64>() / self.readings.len().max(1) as f64
    }

    /// What it comes to when `new` of the sessions need as much as the other, `settled` ones.
    pub(super) fn expected(&self, new: usize, settled: usize) -> f64 {
        match settled {
            0 => self.mean(),
            settled => self.mean() * (settled + new) as f64 / settled as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(readings: &[f64]) -> Load {
        let mut load = Load::default();
        readings.iter().for_each(|reading| load.read(*reading));
        load
    }

    #[test]
    fn a_moment_does_not_count() {
        assert_eq!(load(&[]).mean(), 0.0);
        assert_eq!(load(&[1.0, 2.0]).mean(), 1.5);
        assert_eq!(load(&[9.0, 0.0, 0.0, 0.0, 0.0, 5.0]).mean(), 1.0);
    }

    #[test]
    fn new_sessions_count_before_they_are_heard() {
        let busy = load(&[1.0; READINGS]);
        assert_eq!(busy.expected(0, 10), 1.0);
        assert_eq!(busy.expected(5, 10), 1.5);
        assert_eq!(busy.expected(5, 0), 1.0, "nobody knows yet what they need");
        assert_eq!(load(&[0.0]).expected(100, 1), 0.0);
    }
}
