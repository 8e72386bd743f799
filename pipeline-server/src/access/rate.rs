//! How often an address may come: a bucket for each that fills up again in a minute.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// In which a bucket fills up.
const MINUTE: Duration = Duration::from_secs(60);
/// Addresses that are remembered; when there are more, those are forgotten that may come as if they were new.
const MOST: usize = 16_384;

/// See the module.
#[derive(Debug)]
pub(super) struct Rate {
    a_minute: f64,
    buckets: HashMap<IpAddr, Bucket>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Rate {
    /// So many a minute.
    pub(super) fn new(a_minute: u32) -> Self {
        Self { a_minute: a_minute.into(), buckets: HashMap::new() }
    }

    /// Whether `address` may come at `now`, which counts.
    pub(super) fn allows(&mut self, address: IpAddr, now: Instant) -> bool {
        if self.buckets.len() >= MOST && !self.buckets.contains_key(&address) {
            self.buckets.retain(|_, bucket| now.saturating_duration_since(bucket.at) < MINUTE);
            if self.buckets.len() >= MOST {
                // So many at once are an attack, which must not cost memory as well.
                return false;
            }
        }
        let bucket = self.buckets.entry(address).or_insert(Bucket { left: self.a_minute, at: now });
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64() / MINUTE.as_secs_f64();
        bucket.left = (bucket.left + passed * self.a_minute).min(self.a_minute);
        bucket.at = now;
        let may = bucket.left >= 1.0;
        if may {
            bucket.left -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_fills_up_again() {
        let mut rate = Rate::new(60);
        let (start, address) = (Instant::now(), "203.0.113.7".parse().unwrap());
        let at = |ms| start + Duration::from_millis(ms);
        assert!((0..60).all(|_| rate.allows(address, start)));
        assert!(!rate.allows(address, at(500)));
        assert!(rate.allows("203.0.113.8".parse().unwrap(), at(500)));
        assert!(rate.allows(address, at(1_600)));
        assert!(!rate.allows(address, at(1_700)));
        assert!(rate.allows(address, at(60_000)));
    }

    #[test]
    fn many_addresses_cost_no_more_memory() {
        let mut rate = Rate::new(1);
        let start = Instant::now();
        let address = |i: u32| IpAddr::from(i.to_be_bytes());
        for i in 0..2 * MOST as u32 {
            rate.allows(address(i), start);
        }
        assert_eq!(rate.buckets.len(), MOST);
        assert!(rate.allows(address(u32::MAX), start + MINUTE));
        assert_eq!(rate.buckets.len(), 1);
    }
}
