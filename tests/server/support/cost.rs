//! What a process costs: memory, threads, and files and sockets that are open.

use std::fmt;
use std::time::{Duration, Instant};

use e2e_tests::rss::Footprint;

use super::LIMIT;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) rss: u64,
    pub(crate) threads: u64,
    pub(crate) files: usize,
}

impl Cost {
    /// Of a process, now.
    pub(crate) fn of(process: u32) -> Self {
        let Footprint { rss, threads, .. } = Footprint::of(process).unwrap();
        let files = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count();
        Self { rss, threads, files }
    }

    /// Waits until there are no more than so many threads and files: some end a little later than what they were for.
    pub(crate) async fn settles(process: u32, threads: u64, files: usize) -> Self {
        let start = Instant::now();
        loop {
            let cost = Self::of(process);
            if cost.threads <= threads && cost.files <= files {
                return cost;
            }
            assert!(start.elapsed() < LIMIT, "{cost} and not {threads} threads, {files} files");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rss, threads, files } = self;
        write!(f, "{:.1} MiB, {threads} threads, {files} files", *rss as f64 / f64::from(1 << 20))
    }
}
