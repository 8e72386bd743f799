//! What a process costs: its id in, memory, threads and CPU time out (Linux, from `/proc`).

use std::time::Duration;
use std::{fs, io};

/// Memory and threads of a process at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Resident memory, in bytes.
    pub rss: u64,
    /// The most resident memory it ever had, in bytes.
    pub peak_rss: u64,
    /// Threads.
    pub threads: u64,
}

impl Footprint {
    /// Of this process.
    pub fn own() -> io::Result<Self> {
        Self::of(std::process::id())
    }

    /// Of any process that may be looked at.
    pub fn of(process: u32) -> io::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|value| value.split_whitespace().next()?.parse::<u64>().ok())
                .ok_or_else(|| io::Error::other(format!("process {process} has no {name}")))
        };
        Ok(Self { rss: field("VmRSS")? * 1024, peak_rss: field("VmHWM")? * 1024, threads: field("Threads")? })
    }
}

/// Bytes that this process has allocated and not freed, where the allocator tells.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn allocated() -> Option<u64> {
    // SAFETY: it only reads the allocator's counters, under the allocator's locks.
    let info = unsafe { libc::mallinfo2() };
    Some((info.uordblks + info.hblkhd) as u64)
}

/// Not to be had here.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn allocated() -> Option<u64> {
    None
}

/// CPU time, user and system together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuTime {
    /// Of the process itself, all its threads.
    pub own: Duration,
    /// Of those of its children that have ended and were waited for.
    pub children: Duration,
}

impl CpuTime {
    /// Of this process, to the microsecond.
    pub fn own() -> Self {
        Self { own: usage(libc::RUSAGE_SELF), children: usage(libc::RUSAGE_CHILDREN) }
    }

    /// Of any process that may be looked at, to the kernel's tick (mostly 10 ms).
    pub fn of(process: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        // The second field is the command's name in parentheses and may contain anything.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |i: usize| fields.get(i).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
        // SAFETY: sysconf takes a number and touches no memory of ours.
        let ticks_per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1) as f64;
        let time = |ticks: u64| Duration::from_secs_f64(ticks as f64 / ticks_per_second);
        Ok(Self { own: time(ticks(11) + ticks(12)), children: time(ticks(13) + ticks(14)) })
    }

    /// Of the process and its children together.
    pub fn total(&self) -> Duration {
        self.own + self.children
    }

    /// What was used since `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        Self { own: self.own.saturating_sub(earlier.own), children: self.children.saturating_sub(earlier.children) }
    }
}

/// CPU time of the calling thread, to the microsecond.
#[must_use]
pub fn thread_cpu_time() -> Duration {
    usage(libc::RUSAGE_THREAD)
}

fn usage(who: libc::c_int) -> Duration {
    // SAFETY: rusage holds plain numbers, for which zeros are valid, and getrusage only writes to it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(who, &mut usage);
        usage
    };
    let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, 1000 * t.tv_usec as u32);
    time(usage.ru_utime) + time(usage.ru_stime)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn memory_grows_when_it_is_used() {
        let before = Footprint::own().unwrap();
        let block = std::hint::black_box(vec![1_u8; 64 << 20]);
        let after = Footprint::own().unwrap();
        assert!(after.rss > before.rss + (60 << 20), "{before:?}, {after:?}");
        assert!(after.peak_rss >= after.rss - (1 << 20));
        drop(block);
    }

    #[test]
    fn threads_are_counted() {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (stop, wait) = std::sync::mpsc::channel::<()>();
                (stop, std::thread::spawn(move || wait.recv()))
            })
            .collect();
        assert!(Footprint::own().unwrap().threads > 8);
        for (stop, thread) in threads {
            drop(stop);
            assert!(thread.join().unwrap().is_err());
        }
    }

    #[test]
    fn work_takes_time_and_waiting_does_not() {
        let start = CpuTime::own();
        while CpuTime::own().since(&start).own < Duration::from_millis(30) {}
        assert!(CpuTime::of(std::process::id()).unwrap().own >= Duration::from_millis(20));

        let mut idle = Command::new("sleep").arg("5").spawn().unwrap();
        std::thread::sleep(Duration::from_millis(200));
        let idle_time = CpuTime::of(idle.id()).unwrap().total();
        idle.kill().unwrap();
        idle.wait().unwrap();
        assert!(idle_time < Duration::from_millis(100), "{idle_time:?}");
    }

    #[test]
    fn a_childs_time_is_its_parents_once_it_was_waited_for() {
        let start = CpuTime::own();
        let loops = "i=0; while [ $i -lt 40000 ]; do i=$((i+1)); done";
        assert!(Command::new("sh").args(["-c", loops]).status().unwrap().success());
        assert!(CpuTime::own().since(&start).children > Duration::ZERO);
    }

    #[test]
    fn another_process_can_be_watched_until_it_is_gone() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        assert_eq!(Footprint::of(child.id()).unwrap().threads, 1);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(Footprint::of(child.id()).is_err());
        assert!(CpuTime::of(child.id()).is_err());
    }
}
