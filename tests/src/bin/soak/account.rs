//! The books of the finals: what was asked of the engine must have come out, been flushed or have failed.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{ensure, Result};

use crate::driver::{Driver, Kind};

/// Sums over all sessions of all elements.
#[derive(Default)]
pub(crate) struct Account {
    pub(crate) submitted: AtomicU64,
    pub(crate) delivered: AtomicU64,
    pub(crate) flushed: AtomicU64,
    pub(crate) failed: AtomicU64,
}

impl Account {
    /// Closes the books of a session behind whose EOS nothing is pending. `received`: finals that came out of it.
    pub(crate) fn close(&self, driver: &Driver, received: u64) -> Result<()> {
        let stats = driver.stats();
        let count = |name: &str| stats.get::<u64>(name).unwrap_or_default();
        let (submitted, delivered) = (count("finals-submitted"), count("finals"));
        let (flushed, failed) = (count("finals-flushed"), count("finals-failed"));
        self.submitted.fetch_add(submitted, Ordering::Relaxed);
        self.delivered.fetch_add(delivered, Ordering::Relaxed);
        self.flushed.fetch_add(flushed, Ordering::Relaxed);
        self.failed.fetch_add(failed, Ordering::Relaxed);
        ensure!(
            submitted == delivered + flushed + failed,
            "{submitted} finals submitted, but {delivered} delivered + {flushed} flushed + {failed} failed"
        );
        // A final that is on its way through the pad when a flush comes counts as delivered.
        ensure!(received <= delivered, "{received} finals came out, but the element counts {delivered}");
        ensure!(flushed > 0 || received == delivered, "{received} finals came out of {delivered} without any flush");
        ensure!(failed == 0, "the engine failed on {failed} utterances");
        Ok(())
    }
}

/// Finals that came out since the last call; their numbers must go up.
pub(crate) fn finals(driver: &Driver, last: &mut Option<u64>) -> Result<u64> {
    let mut count = 0;
    for said in driver.take().into_iter().filter(|said| said.kind == Kind::Final) {
        ensure!(last.is_none_or(|last| said.utterance > last), "final {} came after {last:?}", said.utterance);
        *last = Some(said.utterance);
        count += 1;
    }
    Ok(count)
}
