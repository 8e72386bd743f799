//! All sessions of the server: who is let in, who is there, and how all of them end.

use std::collections::{HashMap, VecDeque};
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::watch;
use uuid::Uuid;

use super::load::{Load, EVERY};
use super::log::Log;
use super::trace::Trace;
use super::{Reason, Rules, Session, Wishes};
use crate::access::Client;
use crate::metrics::Metrics;
use crate::model::Model;
use crate::protocol::problem::{Kind, Problem};
use crate::sources::Source;
use crate::traces::Exporter;

/// What was said in a session is there for so long after its end, for who comes late,
const KEPT_FOR: Duration = Duration::from_secs(60);
/// of so many sessions.
const KEPT: usize = 64;

/// See the module.
pub(crate) struct Sessions {
    rules: Rules,
    model: Arc<Model>,
    metrics: Arc<Metrics>,
    traces: Option<Arc<Exporter>>,
    inner: Mutex<Inner>,
    /// Places taken.
    taken: watch::Sender<usize>,
    /// Clients that are being told how their sessions ended.
    attended: watch::Sender<usize>,
}

#[derive(Default)]
struct Inner {
    sessions: HashMap<Uuid, Arc<Session>>,
    places: HashMap<Uuid, Taken>,
    /// Those that ended lately, the last one last.
    ended: VecDeque<Ended>,
    load: Load,
    draining: bool,
}

/// A place that is taken.
struct Taken {
    client: Client,
    tracks: usize,
    since: Instant,
}

/// What is left of a session that is over.
struct Ended {
    id: Uuid,
    since: Instant,
    told: Told,
}

/// What is said in a session, and for whom.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// The name of the key it was opened with; none for those that the server opened itself.
    pub(crate) key: Option<Arc<str>>,
    pub(crate) log: Arc<Log>,
}

impl Told {
    /// What is said in a session.
    pub(crate) fn of(session: &Session) -> Self {
        Self { key: session.key.clone(), log: session.log.clone() }
    }

    /// Those that a key opened are for that key; those that the server opened itself are for all.
    pub(crate) fn is_for(&self, key: Option<&str>) -> bool {
        self.key.is_none() || self.key.as_deref() == key
    }
}

impl Sessions {
    /// None yet.
    pub(crate) fn new(
        rules: Rules,
        model: Arc<Model>,
        metrics: Arc<Metrics>,
        traces: Option<Arc<Exporter>>,
    ) -> Arc<Self> {
        let (taken, attended) = (watch::Sender::new(0), watch::Sender::new(0));
        Arc::new(Self { rules, model, metrics, traces, inner: Mutex::default(), taken, attended })
    }

    /// A place for a client's session of so many tracks, or why there is none. It takes up as much room as so many
    /// sessions of one track.
    pub(crate) fn admit(self: &Arc<Self>, client: Client, tracks: usize) -> Result<Place, Problem> {
        let mut inner = self.inner();
        let now = Instant::now();
        self.check(&inner, &client, tracks, now)
            .inspect_err(|(kind, _)| self.metrics.refused(*kind))
            .map_err(|(kind, detail)| Problem::new(kind, detail))?;
        let place = Place { id: Uuid::new_v4(), client, tracks, sessions: self.clone() };
        inner.places.insert(place.id, Taken { client: place.client.clone(), tracks, since: now });
        drop(inner);
        self.taken.send_modify(|taken| *taken += tracks);
        Ok(place)
    }

    fn check(&self, inner: &Inner, client: &Client, tracks: usize, now: Instant) -> Result<(), (Kind, &'static str)> {
        if inner.draining {
            return Err((Kind::ShuttingDown, "no new sessions; try again when it is back"));
        }
        if !self.model.is_ready() {
            return Err((Kind::NotReady, "the model is being loaded; try again in a moment"));
        }
        let taken = |alike: &dyn Fn(&Taken) -> bool| -> usize {
            inner.places.values().filter(|other| alike(other)).map(|other| other.tracks).sum()
        };
        if client.ip.is_some() && taken(&|o| o.client.ip == client.ip) + tracks > self.rules.max_sessions_per_address {
            return Err((Kind::TooManyOfClient, "your address has as many sessions as it may; end one first"));
        }
        if client.key.is_some() && taken(&|o| o.client.key == client.key) + tracks > self.rules.max_sessions_per_key {
            return Err((Kind::TooManyOfClient, "your key has as many sessions as it may; end one first"));
        }
        if taken(&|_| true) + tracks > self.rules.max_sessions {
            return Err((Kind::TooManySessions, "all places are taken; try again later"));
        }
        let ages = |other: &Taken| std::iter::repeat_n(now.duration_since(other.since), other.tracks);
        if inner.load.expected(inner.places.values().flat_map(ages)) >= self.rules.max_load {
            return Err((Kind::Overloaded, "those who speak now keep the engine busy; try again later"));
        }
        Ok(())
    }

    /// Reads the engine's load again and again, until it is dropped.
    pub(crate) async fn watch_load(&self) {
        let mut readings = tokio::time::interval(EVERY);
        readings.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            readings.tick().await;
            let load = self.model.engine_load();
            let mut inner = self.inner();
            inner.load.read(load);
            self.metrics.load(inner.load.mean());
        }
    }

    /// Opens a session. It ends when what is returned is dropped, also while it is being opened.
    pub(crate) async fn open(
        self: &Arc<Self>,
        place: Place,
        source: Box<dyn Source>,
        wishes: Wishes,
    ) -> Result<Attended, Problem> {
        let (sessions, runtime) = (self.clone(), Handle::current());
        let opened = runtime.clone().spawn_blocking(move || {
            let trace = sessions.traces.clone().map(|exporter| Trace::new(exporter, wishes.parent));
            let metrics = sessions.metrics.clone();
            let session = Session::open(place, source, &wishes, &sessions.rules, metrics, trace, runtime)?;
            sessions.attended.send_modify(|clients| *clients += 1);
            Ok(Attended { session, sessions })
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

    /// Waits until all sessions are over, their pipelines gone and their clients told.
    pub(crate) async fn empty(&self) {
        let (mut taken, mut attended) = (self.taken.subscribe(), self.attended.subscribe());
        // The senders live as long as `self`.
        let _ = taken.wait_for(|places| *places == 0).await;
        let _ = attended.wait_for(|clients| *clients == 0).await;
    }

    /// What is said in the session of that name, if it is not over for long.
    pub(crate) fn told(&self, id: Uuid) -> Option<Told> {
        let inner = self.inner();
        let ended = || inner.ended.iter().find(|ended| ended.id == id && ended.since.elapsed() < KEPT_FOR);
        inner.sessions.get(&id).map(|session| Told::of(session)).or_else(|| Some(ended()?.told.clone()))
    }

    /// All that are not over.
    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        self.inner().sessions.values().cloned().collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session's place among all; it is free again when this goes.
pub(crate) struct Place {
    id: Uuid,
    client: Client,
    tracks: usize,
    sessions: Arc<Sessions>,
}

impl Place {
    /// Gives back what it has beyond so many tracks.
    pub(crate) fn keep(&mut self, tracks: usize) {
        let given = self.tracks.saturating_sub(tracks);
        self.tracks -= given;
        if let Some(taken) = self.sessions.inner().places.get_mut(&self.id) {
            taken.tracks = self.tracks;
        }
        self.sessions.taken.send_modify(|taken| *taken -= given);
    }

    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    /// The name of the key it was opened with.
    pub(super) fn key(&self) -> Option<&Arc<str>> {
        self.client.key.as_ref()
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
        let mut inner = self.sessions.inner();
        inner.places.remove(&self.id);
        let session = inner.sessions.remove(&self.id);
        if let Some(session) = &session {
            inner.ended.push_back(Ended { id: self.id, since: Instant::now(), told: Told::of(session) });
        }
        let is_old = |ended: &Ended| ended.since.elapsed() >= KEPT_FOR;
        while inner.ended.len() > KEPT || inner.ended.front().is_some_and(is_old) {
            inner.ended.pop_front();
        }
        drop(inner);
        drop(session);
        self.sessions.taken.send_modify(|taken| *taken -= self.tracks);
    }
}

/// A session that somebody attends to: its client is served, which may be longer than the session is there. Whoever lets go
/// of it ends it.
pub(crate) struct Attended {
    session: Arc<Session>,
    sessions: Arc<Sessions>,
}

impl Deref for Attended {
    type Target = Arc<Session>;

    fn deref(&self) -> &Arc<Session> {
        &self.session
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        self.session.close(Reason::ClientGone);
        self.sessions.attended.send_modify(|clients| *clients -= 1);
    }
}
