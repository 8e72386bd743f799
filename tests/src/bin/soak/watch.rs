//! Memory and threads of this process between the rounds, when all elements and models are gone: what is left then has leaked.
//!
//! Where the allocator tells (glibc), what counts is the memory that was allocated and not freed. Resident memory is
//! shown beside it: glibc keeps freed memory in an arena for each thread, so that it goes up and down by the size of a
//! model without any leak.

use std::time::Duration;

use anyhow::Result;
use e2e_tests::rss::{allocated, Footprint};

/// GLib keeps a few idle threads of the pool that pads' tasks run on, for whoever comes next.
const POOL: u64 = 4;

/// The watch.
pub(crate) struct Watch {
    tolerance: u64,
    before: Footprint,
    /// Bytes in use and threads after each round.
    after: Vec<(u64, u64)>,
}

impl Watch {
    /// Starts before anything runs. `tolerance`: bytes by which memory may grow from the first round to the last.
    pub(crate) fn new(tolerance: u64) -> Result<Self> {
        Ok(Self { tolerance, before: Footprint::own()?, after: Vec::new() })
    }

    /// Looks at what a round has left.
    pub(crate) fn round(&mut self) -> Result<()> {
        let left = self.settle()?;
        let in_use = allocated().unwrap_or(left.rss);
        self.after.push((in_use, left.threads));
        println!(
            "round {}, all gone: {:.2} MiB in use, {:.1} resident ({:.1} at the most so far), {} threads",
            self.after.len(),
            mib(in_use),
            mib(left.rss),
            mib(left.peak_rss),
            left.threads,
        );
        Ok(())
    }

    /// What is wrong. The first round's memory is what libraries keep once they are loaded.
    pub(crate) fn verdict(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let (Some(&(first, _)), Some(&(last, threads))) = (self.after.first(), self.after.last()) else {
            return broken;
        };
        if last > first + self.tolerance {
            broken.push(format!("memory grew by {:.2} MiB from the first round to the last", mib(last - first)));
        }
        if threads > self.before.threads + POOL {
            broken.push(format!("{} threads are left over", threads - self.before.threads));
        }
        broken
    }

    /// Waits for threads that are about to end.
    fn settle(&self) -> Result<Footprint> {
        for _ in 0..50 {
            if Footprint::own()?.threads <= self.before.threads {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(Footprint::own()?)
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
