//! The pool of whisper.cpp states. A state is what a call needs besides the weights: KV caches, buffers, results (80
//! MB for tiny, more for larger models). States are made when first needed, at most as many as the pool may hold, and
//! used again; one that failed is thrown away.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use whisper_rs::{WhisperContext, WhisperState};

use crate::engine::{CancelToken, EngineError};

/// How often a job that waits for a state looks whether it was cancelled.
const CANCEL_POLL: Duration = Duration::from_millis(20);

/// States that share one set of weights.
pub(super) struct Pool {
    context: WhisperContext,
    limit: usize,
    slots: Mutex<Slots>,
    returned: Condvar,
}

#[derive(Default)]
struct Slots {
    idle: Vec<WhisperState>,
    /// States there are, lent and idle.
    live: usize,
}

impl Pool {
    /// A pool of up to `limit` states (at least one).
    pub(super) fn new(context: WhisperContext, limit: usize) -> Self {
        Self { context, limit: limit.max(1), slots: Mutex::default(), returned: Condvar::new() }
    }

    /// The same with at most `limit` states (at least one).
    pub(super) fn limited_to(self, limit: usize) -> Self {
        Self { limit: limit.clamp(1, self.limit), ..self }
    }

    /// Most states there may be.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// The weights.
    pub(super) fn context(&self) -> &WhisperContext {
        &self.context
    }

    /// Lends a state; waits while all are lent.
    pub(super) fn lend(&self, cancel: &CancelToken) -> Result<Lease<'_>, EngineError> {
        let mut slots = self.lock();
        loop {
            if cancel.is_cancelled() {
                return Err(EngineError::Cancelled);
            }
            if let Some(state) = slots.idle.pop() {
                return Ok(Lease { pool: self, state: Some(state) });
            }
            if slots.live < self.limit {
                slots.live += 1;
                break;
            }
            let wait = self.returned.wait_timeout(slots, CANCEL_POLL);
            slots = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(slots);
        let mut lease = Lease { pool: self, state: None };
        lease.renew()?;
        Ok(lease)
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A state on loan; goes back to the pool when dropped.
pub(super) struct Lease<'a> {
    pool: &'a Pool,
    state: Option<WhisperState>,
}

impl Lease<'_> {
    /// Throws the state away and takes a fresh one, which remembers nothing.
    pub(super) fn renew(&mut self) -> Result<(), EngineError> {
        self.state = None; // first, so that there are never more than the limit
        let state = self.pool.context.create_state();
        self.state = Some(state.map_err(|_| EngineError::Inference("no memory for another state".to_owned()))?);
        Ok(())
    }

    /// Throws the state away; nothing may be done with the lease any more.
    pub(super) fn discard(&mut self) {
        self.state = None;
    }

    /// Gives the state up without freeing it, for when whisper.cpp has freed it already.
    pub(super) fn forget(&mut self) {
        if let Some(state) = self.state.take() {
            std::mem::forget(state);
        }
    }
}

impl Deref for Lease<'_> {
    type Target = WhisperState;

    #[allow(clippy::expect_used)]
    fn deref(&self) -> &WhisperState {
        self.state.as_ref().expect("a lease holds a state until it is given up")
    }
}

impl DerefMut for Lease<'_> {
    #[allow(clippy::expect_used)]
    fn deref_mut(&mut self) -> &mut WhisperState {
        self.state.as_mut().expect("a lease holds a state until it is given up")
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut slots = self.pool.lock();
        match self.state.take() {
            Some(state) => slots.idle.push(state),
            None => slots.live -= 1,
        }
        drop(slots);
        self.pool.returned.notify_one();
    }
}
