//! What it was measured on.

use std::fs;
use std::io;

use anyhow::Result;

/// The report's head.
pub(crate) fn describe(quick: bool) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field =
        |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.split_once(':').map(|(_, v)| v.trim()));
    let model = field("model name").unwrap_or("unknown processor");
    let flags = field("flags").unwrap_or_default();
    let simd: Vec<&str> = ["avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni"]
        .into_iter()
        .filter(|simd| flags.split(' ').any(|flag| flag == *simd))
        .collect();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?");
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total =
        memory.lines().find_map(|l| l.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let memory = total.map_or("?".to_owned(), |kib| format!("{:.1}", kib as f64 / 1024.0 / 1024.0));
    format!(
        "# Benchmark{}\n\n{model}, {cores} cores ({}), {memory} GiB of memory; load average {load} at the start. \
         CPU seconds are user and system time of all threads; on a machine with other work, trust them rather than \
         wall-clock times.\n",
        if quick { ", quick" } else { "" },
        simd.join(", "),
    )
}

/// Keeps this process and the processes it starts to so many of the cores it may use; gives how many these are.
pub(crate) fn keep_to_cores(count: usize) -> Result<usize> {
    // SAFETY: a cpu_set_t is an array of bits for which zeros are valid, and both calls are told its size.
    unsafe {
        let mut allowed: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of_val(&allowed), &mut allowed) != 0 {
            return Err(io::Error::last_os_error().into());
        }
        let cores: Vec<usize> =
            (0..libc::CPU_SETSIZE as usize).filter(|core| libc::CPU_ISSET(*core, &allowed)).take(count).collect();
        let mut kept: libc::cpu_set_t = std::mem::zeroed();
        cores.iter().for_each(|core| libc::CPU_SET(*core, &mut kept));
        if libc::sched_setaffinity(0, size_of_val(&kept), &kept) != 0 {
            return Err(io::Error::last_os_error().into());
        }
        Ok(cores.len())
    }
}
