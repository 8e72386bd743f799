//! The cores that running jobs share: who asks gets a number of threads, and the sum never exceeds the cores.

/// See the module.
#[derive(Debug)]
pub struct Cores {
    all: usize,
    free: usize,
}

impl Cores {
    /// A budget of `all` cores, at least one.
    pub fn new(all: usize) -> Self {
        let all = all.max(1);
        Self { all, free: all }
    }

    /// The cores that this process may use: those of its affinity mask, less if a cgroup's quota allows less.
    pub fn available() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    /// All cores.
    pub fn all(&self) -> usize {
        self.all
    }

    /// Cores that no job has.
    pub fn free(&self) -> usize {
        self.free
    }

    /// Takes cores for a job: as many as were `asked` for, else its share of what is free when `waiting` other jobs
    /// want some too, but no more than it gains from (`gain`). Fewer if there are not so many, 0 if there are none.
    pub fn take(&mut self, asked: Option<usize>, gain: usize, waiting: usize) -> usize {
        let share = (self.free / waiting.saturating_add(1)).min(gain);
        let taken = asked.unwrap_or(share).max(1).min(self.free);
        self.free -= taken;
        taken
    }

    /// Gives a job's cores back.
    pub fn give_back(&mut self, cores: usize) {
        self.free = (self.free + cores).min(self.all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_job_that_is_alone_gets_what_it_gains_from() {
        assert_eq!(Cores::new(8).take(None, usize::MAX, 0), 8);
        assert_eq!(Cores::new(8).take(None, 1, 0), 1);
        assert_eq!(Cores::new(8).take(Some(3), 1, 5), 3);
        assert_eq!(Cores::new(8).take(None, usize::MAX, 3), 2);
        assert_eq!(Cores::new(2).take(Some(16), 1, 0), 2);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_affinity_mask_limits_the_cores() {
        let narrowed = std::thread::spawn(|| {
            // SAFETY: the set is plain data that these calls fill in; both concern the calling thread only.
            unsafe {
                let mut allowed: libc::cpu_set_t = std::mem::zeroed();
                assert_eq!(libc::sched_getaffinity(0, size_of_val(&allowed), &mut allowed), 0);
                let first = (0..libc::CPU_SETSIZE as usize).find(|&cpu| libc::CPU_ISSET(cpu, &allowed)).unwrap();
                let mut one: libc::cpu_set_t = std::mem::zeroed();
                libc::CPU_SET(first, &mut one);
                assert_eq!(libc::sched_setaffinity(0, size_of_val(&one), &one), 0);
            }
            Cores::available()
        });
        assert_eq!(narrowed.join().unwrap(), 1);
    }

    proptest! {
        #[test]
        fn threads_of_running_jobs_never_exceed_the_cores(
            all in 1usize..64,
            steps in prop::collection::vec((prop::option::of(0usize..80), 1usize..70, 0usize..40, any::<bool>()), 1..200)
        ) {
            let mut cores = Cores::new(all);
            let mut running = Vec::new();
            for (asked, gain, waiting, ends) in steps {
                let free = cores.free();
                let taken = cores.take(asked, gain, waiting);
                prop_assert_eq!(taken == 0, free == 0);
                running.push(taken);
                prop_assert!(running.iter().sum::<usize>() <= all);
                prop_assert_eq!(running.iter().sum::<usize>() + cores.free(), all);
                if ends {
                    cores.give_back(running.remove(0));
                }
            }
        }
    }
}
