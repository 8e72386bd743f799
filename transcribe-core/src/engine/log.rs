//! What native engines write to their log: lines with a level in; `tracing` events, and calls of an observer, out.

use std::sync::OnceLock;

/// How grave a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something is not as it should be.
    Warning,
    /// What is done.
    Info,
    /// How it is done.
    Debug,
}

/// Called with each line, on any thread, in the midst of the engine's work: it must be quick and must not panic.
pub type Observer = fn(Level, &str);

static OBSERVER: OnceLock<Observer> = OnceLock::new();

/// Sets who else is told each line, for programs whose log is not `tracing`'s. The first one stays; false if there was
/// one already.
pub fn observe(observer: Observer) -> bool {
    OBSERVER.set(observer).is_ok()
}

#[cfg(feature = "whisper-cpp")]
pub(super) fn tell(level: Level, line: &str) {
    const TARGET: &str = "whisper_cpp";
    match level {
        Level::Error => tracing::error!(target: TARGET, "{line}"),
        Level::Warning => tracing::warn!(target: TARGET, "{line}"),
        Level::Info => tracing::info!(target: TARGET, "{line}"),
        Level::Debug => tracing::debug!(target: TARGET, "{line}"),
    }
    if let Some(observer) = OBSERVER.get() {
        observer(level, line);
    }
}
