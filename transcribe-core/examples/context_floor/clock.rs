//! A clock for what it costs to decode.

/// User and system time of this process.
pub(crate) fn cpu_seconds() -> f64 {
    // SAFETY: getrusage writes to the struct it is given, for which all zeros is a value.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
