//! What the scheduler counts.

use std::collections::VecDeque;
use std::time::Duration;

/// Counters since the model was loaded, and what waits now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// Finals handed in; equals `finals` + `finals_failed` + `finals_cancelled` + those that wait or run.
    pub finals_submitted: u64,
    /// Finals decoded.
    pub finals: u64,
    /// Finals that the engine failed on.
    pub finals_failed: u64,
    /// Finals that a flush or the end of their stream took away, before or while they ran.
    pub finals_cancelled: u64,
    /// Partials handed in; equals `partials` + `partials_failed` + `partials_dropped` + `partials_aborted` + those that
    /// wait or run.
    pub partials_submitted: u64,
    /// Partials decoded.
    pub partials: u64,
    /// Partials that the engine failed on.
    pub partials_failed: u64,
    /// Partials dropped before they ran: replaced by a newer one, or their utterance ended.
    pub partials_dropped: u64,
    /// Partials stopped while they ran, because their utterance ended.
    pub partials_aborted: u64,
    /// Jobs stopped while they ran, finals among them.
    pub aborted: u64,
    /// Jobs waiting now.
    pub queued: usize,
    /// Seconds of audio in finals waiting now.
    pub queued_seconds: f64,
    /// Jobs running now.
    pub running: usize,
    /// Seconds of audio in jobs that were decoded.
    pub audio_seconds: f64,
    /// Seconds the engine was busy, over all workers; stopped and failed jobs count.
    pub busy_seconds: f64,
    /// The same times the threads that each call had.
    pub core_seconds: f64,
    /// Calls of the engine.
    pub batches: u64,
    /// Jobs in the largest batch.
    pub largest_batch: usize,
    /// From when a final was handed in until it began to run.
    pub final_wait: Spread,
    /// From when a final was handed in until its result was there.
    pub final_time: Spread,
    /// From when a stream's partial was handed in until it, or the newer one that took its place, began to run.
    pub partial_wait: Spread,
    /// Mean core-seconds of a partial, lately.
    pub partial_cost: f64,
    /// No stream gets partials more often than this now, because the engine is busy; zero when it is not.
    pub least_partial_interval: Duration,
    /// What all streams need of the cores, 1 = all of them: the finals lately, and the partials that they ask for.
    pub load: f64,
    /// Cores that the model's jobs share.
    pub cores: usize,
}

impl Stats {
    /// Engine seconds per second of decoded audio; 0 before the first job.
    pub fn real_time_factor(&self) -> f64 {
        if self.audio_seconds > 0.0 {
            self.busy_seconds / self.audio_seconds
        } else {
            0.0
        }
    }

    /// Mean number of jobs in a call of the engine; 0 before the first.
    pub fn mean_batch(&self) -> f64 {
        let jobs = self.finals + self.finals_failed + self.partials + self.partials_failed + self.aborted;
        if self.batches > 0 {
            jobs as f64 / self.batches as f64
        } else {
            0.0
        }
    }
}

/// How some durations are spread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spread {
    /// How many there were.
    pub count: u64,
    /// Mean of all.
    pub mean: Duration,
    /// Median of the last 512.
    pub median: Duration,
    /// 95th percentile of the last 512.
    pub p95: Duration,
    /// The longest of all.
    pub longest: Duration,
}

/// Durations that a percentile is taken of.
const RECENT: usize = 512;

/// Collects durations for a [`Spread`].
#[derive(Debug, Default)]
pub(super) struct Durations {
    count: u64,
    sum: Duration,
    longest: Duration,
    recent: VecDeque<Duration>,
}

impl Durations {
    pub(super) fn add(&mut self, duration: Duration) {
        self.count += 1;
        self.sum = self.sum.saturating_add(duration);
        self.longest = self.longest.max(duration);
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(duration);
    }

    pub(super) fn spread(&self) -> Spread {
        let mut sorted: Vec<_> = self.recent.iter().copied().collect();
        sorted.sort_unstable();
        // The nearest rank: the smallest that at least so many per cent are not longer than.
        let percentile = |p: usize| {
            let rank = (sorted.len() * p).div_ceil(100).max(1);
            sorted.get(rank - 1).copied().unwrap_or_default()
        };
        Spread {
            count: self.count,
            mean: Duration::from_secs_f64(self.sum.as_secs_f64() / self.count.max(1) as f64),
            median: percentile(50),
            p95: percentile(95),
            longest: self.longest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_latest_and_the_longest_of_all() {
        let mut durations = Durations::default();
        assert_eq!(durations.spread(), Spread::default());
        durations.add(Duration::from_secs(9));
        for ms in 1..=512 {
            durations.add(Duration::from_millis(ms));
        }
        let spread = durations.spread();
        assert_eq!((spread.count, spread.longest), (513, Duration::from_secs(9)));
        assert_eq!((spread.median, spread.p95), (Duration::from_millis(256), Duration::from_millis(487)));
        assert_eq!(spread.mean.as_millis(), (9_000 + 512 * 513 / 2) / 513);
    }

    #[test]
    fn ratios_are_zero_before_the_first_job() {
        let stats = Stats::default();
        assert_eq!((stats.real_time_factor(), stats.mean_batch()), (0.0, 0.0));
    }
}
