//! CPU time by threads: which part of this process works how much (Linux, from `/proc`).

use std::fs;
use std::time::Duration;

/// CPU time of the threads that live now.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ThreadTimes {
    /// The voice activity detector's, with the segmenter that it feeds.
    pub(crate) vad: Duration,
    /// The engine's workers'; threads that whisper.cpp starts for one computation are gone and not in it.
    pub(crate) engine: Duration,
    /// The tasks' of source pads, which give out text and gaps.
    pub(crate) pads: Duration,
}

impl ThreadTimes {
    /// What was used since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            vad: self.vad.saturating_sub(earlier.vad),
            engine: self.engine.saturating_sub(earlier.engine),
            pads: self.pads.saturating_sub(earlier.pads),
        }
    }
}

/// Of this process.
pub(crate) fn cpu_of_threads() -> std::io::Result<ThreadTimes> {
    let mut times = ThreadTimes::default();
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        // A thread may end while it is looked at.
        let (Ok(name), Ok(schedule)) =
            (fs::read_to_string(task.join("comm")), fs::read_to_string(task.join("schedstat")))
        else {
            continue;
        };
        let on_cpu = schedule.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or_default();
        let on_cpu = Duration::from_nanos(on_cpu);
        match name.trim() {
            "vad" => times.vad += on_cpu,
            "whisper-load" => {}
            name if name.starts_with("whisper-") => times.engine += on_cpu,
            // GStreamer names a task after its element and pad, and the kernel keeps the first 15 characters.
            name if name.starts_with("whispertranscri") => times.pads += on_cpu,
            _ => {}
        }
    }
    Ok(times)
}
