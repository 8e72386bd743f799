//! Sessions whose clients may lose their connections and come back.
//!
//! A [`Held`] session is served by one connection at a time; a newer one takes it over from the one before, which may be
//! dead without anybody having noticed. When a connection breaks off and the client asked for it (`resumable=true`),
//! the session waits for the grace time. What it says meanwhile stays in its log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{watch, Mutex as AsyncMutex};
use tokio::time::{sleep_until, Instant};
use uuid::Uuid;

use super::audio::Wire;
use super::source::Inlet;
use crate::session::{Attended, Reason};

/// Sessions that clients can come back to.
pub(crate) struct Resumables {
    held: Mutex<HashMap<Uuid, Arc<Held>>>,
    over: watch::Sender<bool>,
}

/// A session, apart from the connection that serves it. It ends when this goes.
pub(super) struct Held {
    session: Attended,
    /// The name of the key it was opened with.
    key: Option<Arc<str>>,
    /// How long it waits for its client; not at all without.
    grace: Option<Duration>,
    /// When the time is over that a session may last.
    pub(super) end: Instant,
    /// The connection that serves it has it locked.
    pub(super) way_in: AsyncMutex<WayIn>,
    /// Number of the connection that serves it.
    connection: watch::Sender<u64>,
}

/// Where audio goes in.
pub(super) struct WayIn {
    pub(super) inlet: Inlet,
    pub(super) wire: Wire,
    /// Bytes of audio that were taken.
    pub(super) taken: u64,
}

impl Resumables {
    /// None yet.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { held: Mutex::default(), over: watch::Sender::new(false) })
    }

    /// Sessions do not wait for their clients any more.
    pub(crate) fn end(&self) {
        self.over.send_replace(true);
    }

    /// The session of that name, for a client with that key.
    pub(super) fn find(&self, id: Uuid, key: Option<&str>) -> Option<Arc<Held>> {
        self.held().get(&id).filter(|held| held.key.as_deref() == key).cloned()
    }

    /// Keeps it for its client, if that was asked for.
    pub(super) fn keep(&self, held: &Arc<Held>) {
        if held.grace.is_some() {
            self.held().insert(held.session.id(), held.clone());
        }
    }

    /// Its client won't come back.
    pub(super) fn forget(&self, held: &Held) {
        self.held().remove(&held.session.id());
    }

    /// Waits until the client is back, on another connection than this. `false` if it does not come.
    pub(super) async fn wait(&self, held: &Held, connection: u64) -> bool {
        let Some(grace) = held.grace else { return false };
        tracing::info!(session = %held.session.id(), "the client is gone; the session waits for it");
        let mut over = self.over.subscribe();
        tokio::select! {
            () = held.superseded(connection) => true,
            () = sleep_until(Instant::now() + grace) => false,
            // The sender lives as long as `self`.
            _ = over.wait_for(|over| *over) => false,
            () = sleep_until(held.end) => {
                held.session.drain(Reason::MaxDuration);
                false
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// For a session with its way in.
    pub(super) fn new(
        session: Attended,
        way_in: WayIn,
        key: Option<Arc<str>>,
        grace: Option<Duration>,
        longest: Duration,
    ) -> Self {
        let end = Instant::now() + longest;
        Self { session, key, grace, end, way_in: AsyncMutex::new(way_in), connection: watch::Sender::new(0) }
    }

    /// The session.
    pub(super) fn session(&self) -> &Attended {
        &self.session
    }

    /// Whether it waits for a client that is gone.
    pub(super) fn waits(&self) -> bool {
        self.grace.is_some()
    }

    /// The number of a new connection, which serves it from now on.
    pub(super) fn take_over(&self) -> u64 {
        let mut number = 0;
        self.connection.send_modify(|connection| {
            *connection += 1;
            number = *connection;
        });
        number
    }

    /// Waits until another connection serves it.
    pub(super) async fn superseded(&self, connection: u64) {
        // The sender lives as long as `self`.
        let _ = self.connection.subscribe().wait_for(|newest| *newest != connection).await;
    }
}
