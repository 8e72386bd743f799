//! How the allocator deals with freed memory in this process.

/// Has blocks of 1 MiB and more given back to the system as soon as they are freed. Models, their states and audio
/// come and go in such blocks; left to itself, glibc raises the limit with each one and keeps more and more of them
/// (300 MiB and more when all models are gone; with the limit, 60).
pub(crate) fn limit_what_is_kept() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const LIMIT: libc::c_int = 1 << 20;
        // SAFETY: it sets two numbers of the allocator's under its own lock. A refusal (0) leaves the defaults.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LIMIT);
            libc::mallopt(libc::M_TRIM_THRESHOLD, LIMIT);
        }
    }
}
