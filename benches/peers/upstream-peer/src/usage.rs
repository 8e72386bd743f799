//! What this process has cost so far, as the kernel counts it.

/// The kernel's account of this process.
fn usage() -> libc::rusage {
    // SAFETY: rusage holds plain numbers, for which zeros are valid, and getrusage only writes to it.
    unsafe {
        let mut usage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    }
}

/// User and system time of all threads.
pub fn cpu_seconds() -> f64 {
    let usage = usage();
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// The most memory that was ever resident.
pub fn peak_rss_bytes() -> i64 {
    1024 * usage().ru_maxrss
}
