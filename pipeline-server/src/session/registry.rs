//! All sessions of the server: who is let in, who is there, and how all of them end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::watch;
use uuid::Uuid;

use super::{Reason, Rules, Session, Wishes};
use crate::metrics::Metrics;
use crate::model::Model;
use crate::protocol::problem::{Kind, Problem};
use crate::sources::Source;

/// See the module.
pub(crate) struct Sessions {
    rules: Rules,
    model: Arc<Model>,
    metrics: Arc<Metrics>,
    inner: Mutex<Inner>,
    /// Places taken.
    taken: watch::Sender<usize>,
    /// Clients that are being told how their sessions ended.
    attended: watch::Sender<usize>,
}

#[derive(Default)]
struct Inner {
    sessions: HashMap<Uuid, Arc<Session>>,
    draining: bool,
}

impl Sessions {
    /// None yet.
    pub(crate) fn new(rules: Rules, model: Arc<Model>, metrics: Arc<Metrics>) -> Arc<Self> {
        let (taken, attended) = (watch::Sender::new(0), watch::Sender::new(0));
        Arc::new(Self { rules, model, metrics, inner: Mutex::default(), taken, attended })
    }

    /// A place for a session, or why there is none.
    pub(crate) fn admit(self: &Arc<Self>) -> Result<Place, Problem> {
        let refused = |kind: Kind, detail: &str| {
            self.metrics.refused(kind);
            Err(Problem::new(kind, detail))
        };
        if self.inner().draining {
            return refused(Kind::ShuttingDown, "no new sessions; try again when it is back");
        }
        if !self.model.is_ready() {
            return refused(Kind::NotReady, "the model is being loaded; try again in a moment");
        }
        let mut full = false;
        self.taken.send_if_modified(|taken| {
            full = *taken >= self.rules.max_sessions;
            *taken += usize::from(!full);
            !full
        });
        if full {
            return refused(Kind::TooManySessions, "all places are taken; try again later");
        }
        Ok(Place { id: Uuid::new_v4(), sessions: self.clone() })
    }

    /// Opens a session.
    pub(crate) async fn open(
        self: &Arc<Self>,
        place: Place,
        source: Box<dyn Source>,
        wishes: Wishes,
    ) -> Result<Arc<Session>, Problem> {
        let (sessions, runtime) = (self.clone(), Handle::current());
        let opened = runtime.clone().spawn_blocking(move || {
            Session::open(place, source, &wishes, &sessions.rules, sessions.metrics.clone(), runtime)
        });
        match opened.await {
            Ok(opened) => opened,
            Err(error) => Err(Problem::new(Kind::TranscriptionFailed, format!("the session could not begin: {error}"))),
        }
    }

    /// Whether it lets sessions in, full or not.
    pub(crate) fn check_readiness(&self) -> Result<(), Problem> {
        if self.inner().draining {
            return Err(Problem::new(Kind::ShuttingDown, "sessions are being ended"));
        }
        if !self.model.is_ready() {
            return Err(Problem::new(Kind::NotReady, "the model is being loaded"));
        }
        Ok(())
    }

    /// Lets nobody in any more, and ends all sessions behind what they have heard.
    pub(crate) fn drain(&self) {
        self.inner().draining = true;
        for session in self.all() {
            session.drain(Reason::Shutdown);
        }
    }

    /// Ends all sessions at once.
    pub(crate) fn close(&self) {
        self.inner().draining = true;
        for session in self.all() {
            session.close(Reason::Shutdown);
        }
    }

    /// To be held while a client is served, which may be longer than its session is there.
    pub(crate) fn attend(self: &Arc<Self>) -> Attendance {
        self.attended.send_modify(|clients| *clients += 1);
        Attendance(self.clone())
    }

    /// Waits until all sessions are over, their pipelines gone and their clients told.
    pub(crate) async fn empty(&self) {
        let (mut taken, mut attended) = (self.taken.subscribe(), self.attended.subscribe());
        // The senders live as long as `self`.
        let _ = taken.wait_for(|places| *places == 0).await;
        let _ = attended.wait_for(|clients| *clients == 0).await;
    }

    fn all(&self) -> Vec<Arc<Session>> {
        self.inner().sessions.values().cloned().collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session's place among all; it is free again when this goes.
pub(crate) struct Place {
    id: Uuid,
    sessions: Arc<Sessions>,
}

impl Place {
    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    /// The session is there from now on, and is ended with all others.
    pub(super) fn register(&self, session: &Arc<Session>) {
        let mut inner = self.sessions.inner();
        inner.sessions.insert(self.id, session.clone());
        if inner.draining {
            drop(inner);
            session.drain(Reason::Shutdown);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sessions.inner().sessions.remove(&self.id);
        self.sessions.taken.send_modify(|taken| *taken -= 1);
    }
}

/// A client is being served.
pub(crate) struct Attendance(Arc<Sessions>);

impl Drop for Attendance {
    fn drop(&mut self) {
        self.0.attended.send_modify(|clients| *clients -= 1);
    }
}
