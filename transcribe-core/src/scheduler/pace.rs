//! How often streams may ask for partials: what partials cost and who asks for them in, the least interval out.
//!
//! Partials are what gives way when the engine gets busy. Finals may use all cores; what they leave of [`SHARE`] is for
//! partials. If the partials that all streams ask for cost more than that, the streams that ask most often have to wait
//! longer, all of them equally long ([`Pace::least_interval`]); who asks for fewer anyway is not touched. Costs are
//! measured, so that a slower machine, a larger model and a neighbour's load all count.

use std::collections::HashMap;
use std::time::Duration;

use super::decide::StreamId;

/// Share of the cores that finals and partials together may keep busy on average; the rest keeps finals from waiting.
const SHARE: f64 = 0.7;
/// Share of the cores that partials may use however busy the finals keep them.
const LEAST_SHARE: f64 = 0.05;
/// The least interval is never longer than this.
pub const LONGEST: Duration = Duration::from_secs(5);
/// Who asks for partials more often than this is counted in the load as if not: that is a wish that others come before.
const USUAL: Duration = Duration::from_millis(500);
/// Weight of the latest partial in the mean cost.
const WEIGHT: f64 = 0.1;
/// Over about this time the finals' load is averaged, seconds.
const MEMORY: f64 = 10.0;

/// See the module.
#[derive(Debug)]
pub struct Pace {
    cores: f64,
    /// Mean core-seconds of a partial; `None` before the first.
    cost: Option<f64>,
    /// Core-seconds of finals, each the less the longer ago, as of `as_of`.
    finals: f64,
    as_of: Duration,
    /// Streams whose utterance goes on, and the interval that they ask for.
    asking: HashMap<StreamId, Duration>,
}

impl Pace {
    /// A pace for an engine on so many cores.
    pub fn new(cores: usize) -> Self {
        let cores = cores.max(1) as f64;
        Self { cores, cost: None, finals: 0.0, as_of: Duration::ZERO, asking: HashMap::new() }
    }

    /// The stream asks for a partial after each `every` of its running utterance.
    pub fn asks(&mut self, stream: StreamId, every: Duration) {
        self.asking.insert(stream, every);
    }

    /// The stream's utterance has ended, or the stream.
    pub fn ends(&mut self, stream: StreamId) {
        self.asking.remove(&stream);
    }

    /// A partial kept this many cores busy for a second each. One that was stopped early tells how much it would have
    /// cost at least.
    pub fn partial_took(&mut self, core_seconds: f64, stopped: bool) {
        let mean = self.cost.unwrap_or(core_seconds);
        if !stopped || core_seconds > mean {
            self.cost = Some(mean + WEIGHT * (core_seconds - mean));
        }
    }

    /// So did a final, which ended at `now`.
    pub fn final_took(&mut self, core_seconds: f64, now: Duration) {
        self.finals = self.recent_finals(now) + core_seconds;
        self.as_of = self.as_of.max(now);
    }

    /// The mean cost of a partial, core-seconds.
    pub fn partial_cost(&self) -> f64 {
        self.cost.unwrap_or(0.0)
    }

    /// The shortest interval at which any stream should ask for partials; zero when all may have what they ask for.
    pub fn least_interval(&self, now: Duration) -> Duration {
        let Some(cost) = self.cost.filter(|cost| *cost > 0.0) else { return Duration::ZERO };
        let capacity = self.left(now).max(self.cores * LEAST_SHARE);
        let mut asked: Vec<f64> = self.asking.values().map(|every| every.as_secs_f64().max(1e-3)).collect();
        asked.sort_by(f64::total_cmp);
        level(&asked, capacity / cost).map_or(Duration::ZERO, |s| Duration::from_secs_f64(s).min(LONGEST))
    }

    /// What the streams need of the cores, 1 = all of them: their finals lately, and the partials that they ask for, of
    /// each two a second at most. Over [`SHARE`] partials have to be rarer.
    pub fn load(&self, now: Duration) -> f64 {
        let rate: f64 = self.asking.values().map(|every| 1.0 / (*every).max(USUAL).as_secs_f64()).sum();
        (self.partial_cost() * rate + self.recent_finals(now) / MEMORY) / self.cores
    }

    /// Whether finals leave something of [`SHARE`], so that one may be made in vain.
    pub fn has_room(&self, now: Duration) -> bool {
        self.left(now) > 0.0
    }

    /// Cores that finals leave of [`SHARE`]; less than none if they take more.
    fn left(&self, now: Duration) -> f64 {
        self.cores * SHARE - self.recent_finals(now) / MEMORY
    }

    fn recent_finals(&self, now: Duration) -> f64 {
        self.finals * (-now.saturating_sub(self.as_of).as_secs_f64() / MEMORY).exp()
    }
}

/// The interval to which the shortest of the intervals `asked` (sorted, seconds) have to be lengthened so that there
/// are no more than `rate` partials a second; `None` if there are no more anyway.
fn level(asked: &[f64], rate: f64) -> Option<f64> {
    let mut rest: f64 = asked.iter().map(|every| 1.0 / every).sum();
    if rest <= rate {
        return None;
    }
    for (i, every) in asked.iter().enumerate() {
        rest -= 1.0 / every; // what the streams that are not slowed down take
        let level = (i + 1) as f64 / (rate - rest);
        if rate > rest && asked.get(i + 1).is_none_or(|next| level <= *next) {
            return Some(level.max(*every));
        }
    }
    Some(f64::from(u32::MAX)) // rounding left nothing of the rate
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Duration = Duration::from_secs(100);

    fn pace(cores: usize, cost: f64, asked: &[u64]) -> Pace {
        let mut pace = Pace::new(cores);
        pace.partial_took(cost, false);
        for (stream, every) in asked.iter().enumerate() {
            pace.asks(stream as u64, Duration::from_millis(*every));
        }
        pace
    }

    /// Core-seconds a second that partials take when no stream asks more often than `least`.
    fn demand(cost: f64, asked: &[u64], least: Duration) -> f64 {
        asked.iter().map(|every| cost / Duration::from_millis(*every).max(least).as_secs_f64()).sum()
    }

    #[test]
    fn an_idle_engine_slows_nobody_down() {
        assert_eq!(pace(2, 0.05, &[500; 4]).least_interval(NOW), Duration::ZERO);
        assert_eq!(Pace::new(2).least_interval(NOW), Duration::ZERO);
    }

    #[test]
    fn who_asks_for_few_is_not_slowed_down_by_who_asks_for_many() {
        let pace = pace(2, 0.1, &[100, 100, 2000, 2000]);
        let least = pace.least_interval(NOW);
        // 1.4 cores, of which the patient ones take 0.1.
        assert!((least.as_secs_f64() - 2.0 * 0.1 / 1.3).abs() < 1e-3, "{least:?}");
    }

    #[test]
    fn the_pace_recovers_when_the_load_is_gone() {
        let mut pace = pace(2, 0.2, &[500; 16]);
        pace.final_took(15.0, NOW);
        assert_eq!(pace.least_interval(NOW), LONGEST);
        let later = NOW + Duration::from_secs(60);
        assert!(pace.least_interval(later) < Duration::from_millis(2500));
        for stream in 3..16 {
            pace.ends(stream);
        }
        assert_eq!(pace.least_interval(later), Duration::ZERO);
    }

    #[test]
    fn the_load_is_what_is_asked_for_and_not_what_comes_of_it() {
        assert_eq!(Pace::new(2).load(NOW), 0.0);
        let asked = [500; 30];
        let mut pace = pace(2, 0.1, &asked);
        assert!((pace.load(NOW) - 3.0).abs() < 1e-9, "30 times 2 times 0.1 s each second, on 2 cores");
        pace.final_took(10.0, NOW);
        assert!((pace.load(NOW) - 3.5).abs() < 1e-9, "one core more, for 10 s");
        for stream in 0..30 {
            pace.ends(stream);
        }
        assert!(pace.load(NOW + Duration::from_secs(60)) < 0.01);
    }

    #[test]
    fn whoever_asks_for_more_than_others_does_not_make_the_load_higher() {
        assert_eq!(pace(2, 0.1, &[10, 500]).load(NOW), pace(2, 0.1, &[500, 500]).load(NOW));
        assert!(pace(2, 0.1, &[1_000]).load(NOW) < pace(2, 0.1, &[500]).load(NOW));
    }

    #[test]
    fn a_faster_engine_is_noticed_within_some_partials() {
        let mut pace = pace(1, 1.0, &[500; 8]);
        let slow = pace.least_interval(NOW);
        for _ in 0..60 {
            pace.partial_took(0.02, false);
        }
        assert_eq!(slow, LONGEST);
        assert_eq!(pace.least_interval(NOW), Duration::ZERO);
    }

    #[test]
    fn stopped_partials_never_make_the_cost_look_lower() {
        let mut pace = pace(1, 0.3, &[500]);
        pace.partial_took(0.01, true);
        assert_eq!(pace.partial_cost(), 0.3);
        pace.partial_took(0.8, true);
        assert!(pace.partial_cost() > 0.3);
    }

    proptest! {
        #[test]
        fn partials_fit_into_what_finals_leave_and_the_interval_is_bounded(
            cores in 1usize..16, cost in 0.001f64..2.0, finals in 0.0f64..200.0,
            asked in prop::collection::vec(50u64..10_000, 0..40)
        ) {
            let mut pace = pace(cores, cost, &asked);
            pace.final_took(finals, NOW);
            let least = pace.least_interval(NOW);
            prop_assert!(least <= LONGEST);
            let capacity = (cores as f64 * SHARE - finals / MEMORY).max(cores as f64 * LEAST_SHARE);
            if least < LONGEST {
                prop_assert!(demand(cost, &asked, least) <= capacity * 1.001);
            }
            if least > Duration::ZERO && least < LONGEST {
                // Not slower than need be.
                prop_assert!(demand(cost, &asked, least) >= capacity * 0.999);
            }
        }

        #[test]
        fn more_load_never_means_more_partials(
            cores in 1usize..16, cost in 0.001f64..2.0, more in 0.0f64..1.0, finals in 0.0f64..100.0,
            asked in prop::collection::vec(50u64..10_000, 1..40)
        ) {
            let with = |cores, cost, asked: &[u64], finals| {
                let mut pace = pace(cores, cost, asked);
                pace.final_took(finals, NOW);
                pace.least_interval(NOW)
            };
            let base = with(cores, cost, &asked, finals);
            let slack = Duration::from_micros(1);
            prop_assert!(with(cores, cost + more, &asked, finals) + slack >= base);
            prop_assert!(with(cores, cost, &asked, finals + 10.0 * more) + slack >= base);
            prop_assert!(with(cores, cost, &asked[1..], finals) <= base + slack);
            prop_assert!(with(cores + 1, cost, &asked, finals) <= base + slack);
        }
    }
}
