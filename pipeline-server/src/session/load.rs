//! How busy the engine is: readings of the model's figures in, what it comes to when all sessions are heard out.
//!
//! A session shows in the figures only once somebody has spoken in it for a while. Until then it is taken to need as much as
//! the others, so that many who come at once are not all let in before the first of them is noticed.

use std::collections::VecDeque;
use std::time::Duration;

/// Between two readings.
pub(super) const EVERY: Duration = Duration::from_secs(1);
/// Readings that the mean is taken of: utterances come and go, and each is seconds long.
const READINGS: usize = 5;
/// After this time a session shows in full; until then in proportion.
const FULL: Duration = Duration::from_secs(10);
/// So many times the load that is read, at most, is what it may come to: of a few moments not too much is made.
const MOST: f64 = 2.0;

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

    /// What it comes to when all of the sessions show that there are, given the ages of their tracks.
    pub(super) fn expected(&self, ages: impl Iterator<Item = Duration>) -> f64 {
        let (mut all, mut shown) = (0.0_f64, 0.0_f64);
        for age in ages {
            all += 1.0;
            shown += age.div_duration_f64(FULL).min(1.0);
        }
        let times = if all > 0.0 { (all / shown).min(MOST) } else { 1.0 };
        self.mean() * times
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
        let expected = |seconds: &[u64]| busy.expected(seconds.iter().map(|s| Duration::from_secs(*s)));
        assert_eq!(expected(&[]), 1.0);
        assert_eq!(expected(&[10, 60, 3_600]), 1.0);
        assert_eq!(expected(&[60, 60, 0]), 1.5);
        assert_eq!(expected(&[60, 5, 5]), 1.5, "half of the new ones shows");
        assert_eq!(expected(&[60, 0, 0, 0, 0, 0, 0]), MOST);
        assert_eq!(expected(&[0]), MOST);
        assert_eq!(load(&[0.0]).expected([Duration::ZERO].into_iter()), 0.0);
    }

    #[test]
    fn sessions_that_come_one_by_one_are_not_counted_twice() {
        // One a second, each with a load of 0.04 that shows little by little.
        for sessions in 1..40_u64 {
            let ages = (0..sessions).map(Duration::from_secs);
            let shown: f64 = ages.clone().map(|age| age.as_secs_f64().min(10.0) / 10.0).sum();
            let expected = load(&[0.04 * shown]).expected(ages);
            assert!(expected <= 0.04 * sessions as f64 + 1e-9, "{sessions}: {expected}");
        }
    }
}
