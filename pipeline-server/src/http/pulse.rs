//! A sign that somebody reads a response that goes on for long.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// Of a connection. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Pulse(Arc<AtomicBool>);

impl Pulse {
    /// Something was taken out to be sent, which is not asked for while what was sent before is not read.
    pub(super) fn beat(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether there was a beat since this was asked last.
    pub(super) fn take(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}
