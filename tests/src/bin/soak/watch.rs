//! Memory and threads of this process between the rounds, when all elements are gone: what is left then has leaked.

use std::time::Duration;

use anyhow::Result;
use e2e_tests::rss::Footprint;

/// GLib keeps a few idle threads of the pool that pads' tasks run on, for whoever comes next.
const POOL: u64 = 4;

/// The watch.
pub(crate) struct Watch {
    tolerance: u64,
    before: Footprint,
    after: Vec<Footprint>,
}

impl Watch {
    /// Starts before anything runs. `tolerance`: bytes by which memory may grow from the first round to the last.
    pub(crate) fn new(tolerance: u64) -> Result<Self> {
        Ok(Self { tolerance, before: Footprint::own()?, after: Vec::new() })
    }

    /// Looks at what a round has left.
    pub(crate) fn round(&mut self) -> Result<()> {
        let left = self.settle()?;
        self.after.push(left);
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        println!(
            "round {}: {:.1} MiB and {} threads with all elements gone, {:.1} MiB at the most so far",
            self.after.len(),
            mib(left.rss),
            left.threads,
            mib(left.peak_rss)
        );
        Ok(())
    }

    /// What is wrong. The first round's memory is what libraries keep once they are loaded.
    pub(crate) fn verdict(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let (Some(first), Some(last)) = (self.after.first(), self.after.last()) else { return broken };
        if last.rss > first.rss + self.tolerance {
            broken
                .push(format!("memory grew by {} KiB from the first round to the last", (last.rss - first.rss) / 1024));
        }
        if last.threads > self.before.threads + POOL {
            broken.push(format!("{} threads are left over", last.threads - self.before.threads));
        }
        broken
    }

    /// Waits for threads that are about to end, and for the allocator to give back what it keeps for later.
    fn settle(&self) -> Result<Footprint> {
        for _ in 0..50 {
            if Footprint::own()?.threads <= self.before.threads {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        #[cfg(target_env = "gnu")]
        // SAFETY: it may be called at any time and touches nothing that is in use.
        unsafe {
            libc::malloc_trim(0);
        }
        Ok(Footprint::own()?)
    }
}
