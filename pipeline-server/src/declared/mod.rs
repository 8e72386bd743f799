//! Declared sources: streams that the server pulls because its settings say so, or a client did, until they are taken back.
//!
//! Each has a session, like those of clients: it is admitted, counted and drained with all others. What clients declared is
//! kept in a file ([`store`]) and declared again when the server starts. A session that ends by itself is followed by
//! another one, by the rules in [`again`].

mod again;
pub(crate) mod files;
pub(crate) mod spec;
mod store;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Mutex as AsyncMutex;
use uuid::Uuid;

use self::again::{Pauses, Waiting};
use self::files::Files;
use self::spec::{Origin, SourceSpec, SourceView};
pub(crate) use self::store::Store;
use crate::access::Client;
use crate::metrics::Metrics;
use crate::protocol::problem::{Kind, Problem};
use crate::session::{Attended, Reason, Session, Sessions, State, Wishes};
use crate::sources::pulled::Pulled;

/// See the module.
pub(crate) struct Declared {
    sessions: Arc<Sessions>,
    metrics: Arc<Metrics>,
    /// Where captions are written.
    folder: Option<PathBuf>,
    store: Option<Store>,
    entries: Mutex<BTreeMap<String, Entry>>,
    /// Held while sources come and go, so that the file is written in order.
    changing: AsyncMutex<()>,
}

struct Entry {
    /// Tells it from another one that had its name.
    id: Uuid,
    spec: SourceSpec,
    origin: Origin,
    client: Client,
    /// The latest one, which may be over.
    session: Result<Arc<Session>, Problem>,
    /// Where there will be another session.
    waiting: Option<Waiting>,
    /// Sessions that were opened because the one before had ended by itself.
    reopened: u64,
}

impl Entry {
    fn new(spec: SourceSpec, origin: Origin, client: Client, opened: &Result<Attended, Problem>) -> Self {
        let session = match opened {
            Ok(session) => Ok(Arc::clone(session)),
            Err(problem) => Err(problem.clone()),
        };
        Self { id: Uuid::new_v4(), spec, origin, client, session, waiting: None, reopened: 0 }
    }
}

impl Declared {
    /// None yet.
    pub(crate) fn new(
        sessions: Arc<Sessions>,
        metrics: Arc<Metrics>,
        folder: Option<PathBuf>,
        store: Option<Store>,
    ) -> Arc<Self> {
        let (entries, changing) = (Mutex::default(), AsyncMutex::default());
        Arc::new(Self { sessions, metrics, folder, store, entries, changing })
    }

    /// Begins with those of the settings and those that were kept. The model has to be there.
    pub(crate) async fn begin(self: &Arc<Self>, configured: Vec<SourceSpec>, kept: Vec<SourceSpec>) {
        let _changing = self.changing.lock().await;
        let of = |origin, specs: Vec<SourceSpec>| specs.into_iter().map(move |spec| (origin, spec));
        for (origin, spec) in of(Origin::Settings, configured).chain(of(Origin::Api, kept)) {
            let name = spec.name();
            if self.entries().contains_key(&name) {
                tracing::warn!(name, "two sources have the same name; the first one counts");
                continue;
            }
            let opened = self.open(&name, &spec, Client::default()).await;
            if let Err(problem) = &opened {
                tracing::error!(name, "the source cannot be opened: {}", problem.detail);
            }
            self.insert(name, spec, origin, Client::default(), opened);
        }
    }

    /// A client declares one.
    pub(crate) async fn add(self: &Arc<Self>, mut spec: SourceSpec, client: Client) -> Result<SourceView, Problem> {
        let _changing = self.changing.lock().await;
        let name = spec.name();
        spec.name = Some(name.clone());
        if self.entries().contains_key(&name) {
            return Err(Problem::new(Kind::AlreadyExists, format!("{name}: delete it first, or take another name")));
        }
        if self.folder.is_none() && !spec.files.is_empty() {
            return Err(Problem::new(Kind::InvalidParameter, "files: the server has no captions-dir to write to"));
        }
        // Whose key it is counts its sessions; an address doesn't, since it goes away.
        let client = Client { ip: None, ..client };
        let session = self.open(&name, &spec, client.clone()).await?;
        self.insert(name.clone(), spec, Origin::Api, client, Ok(session));
        let view = self.find(&name)?;
        if let Err(problem) = self.save().await {
            let entry = self.entries().remove(&name);
            self.close(&name, entry).await;
            return Err(problem);
        }
        Ok(view)
    }

    /// All of them.
    pub(crate) fn list(&self) -> Vec<SourceView> {
        self.entries().iter().map(|(name, entry)| SourceView::new(name, entry)).collect()
    }

    /// The one of that name.
    pub(crate) fn find(&self, name: &str) -> Result<SourceView, Problem> {
        let entries = self.entries();
        entries.get(name).map(|entry| SourceView::new(name, entry)).ok_or_else(|| unknown(name))
    }

    /// A session by its name, also if it is over.
    pub(crate) fn session(&self, id: Uuid) -> Option<Arc<Session>> {
        let entries = self.entries();
        let mut sessions = entries.values().filter_map(|entry| entry.session.as_ref().ok());
        sessions.find(|session| session.id() == id).cloned()
    }

    /// Takes one back; what has been said is still written down.
    pub(crate) async fn remove(&self, name: &str) -> Result<(), Problem> {
        let _changing = self.changing.lock().await;
        let entry = self.entries().remove(name);
        if entry.is_none() {
            return Err(unknown(name));
        }
        let saved = self.save().await;
        self.close(name, entry).await;
        saved
    }

    async fn close(&self, name: &str, entry: Option<Entry>) {
        if let Some(Entry { session: Ok(session), .. }) = entry {
            session.drain(Reason::ClientClosed);
            session.reached(|state| state.is_closed()).await;
        }
        self.metrics.forget_source(name);
    }

    async fn open(&self, name: &str, spec: &SourceSpec, client: Client) -> Result<Attended, Problem> {
        let place = self.sessions.admit(client, 1)?;
        let wishes = Wishes {
            configure: spec.settings.clone(),
            full_transcripts: false,
            parent: None,
            name: Some(name.to_owned()),
        };
        self.sessions.open(place, Box::new(Pulled::new(spec.stream())), wishes).await
    }

    /// It is there from now on.
    fn insert(
        self: &Arc<Self>,
        name: String,
        spec: SourceSpec,
        origin: Origin,
        client: Client,
        opened: Result<Attended, Problem>,
    ) {
        let files = self.folder.as_ref().map(|folder| Files::new(folder, &name, &spec.files));
        let entry = Entry::new(spec, origin, client, &opened);
        let id = entry.id;
        self.entries().insert(name.clone(), entry);
        tokio::spawn(self.clone().keep(name, id, files, opened));
    }

    /// Keeps a source's session, and opens another one when it has ended by itself, until the source is taken back.
    async fn keep(
        self: Arc<Self>,
        name: String,
        id: Uuid,
        files: Option<Files>,
        mut opened: Result<Attended, Problem>,
    ) {
        let mut pauses = Pauses::default();
        loop {
            let problem = match opened {
                Ok(session) => {
                    let begun = Instant::now();
                    let ended = attend(session, files.clone()).await;
                    pauses.lasted(begun.elapsed());
                    // Whoever takes it back sees to the rest.
                    let there = self.change(&name, id, |_| self.metrics.source_ended(&name));
                    let (Some(problem), Some(())) = (ended, there) else { return };
                    problem
                }
                Err(problem) if again::helps_against(problem.kind()) => problem,
                Err(_) => return,
            };
            let (waiting, pause) = pauses.wait(problem, Instant::now(), fastrand::f64());
            tracing::warn!(name, ?pause, "the source is opened again in a while: {}", waiting.problem.detail);
            self.change(&name, id, |entry| entry.waiting = Some(waiting));
            tokio::time::sleep(pause).await;
            let _changing = self.changing.lock().await;
            let wanted = self.change(&name, id, |entry| (entry.spec.clone(), entry.client.clone()));
            let Some((spec, client)) = wanted else { return };
            opened = self.open(&name, &spec, client).await;
            if let Ok(session) = &opened {
                self.metrics.source_reopened(&name);
                self.change(&name, id, |entry| {
                    entry.session = Ok(Arc::clone(session));
                    entry.waiting = None;
                    entry.reopened += 1;
                });
            }
        }
    }

    /// Changes an entry, if it is there still.
    fn change<T>(&self, name: &str, id: Uuid, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        self.entries().get_mut(name).filter(|entry| entry.id == id).map(change)
    }

    async fn save(&self) -> Result<(), Problem> {
        let Some(store) = self.store.clone() else { return Ok(()) };
        let kept: Vec<SourceSpec> = self
            .entries()
            .values()
            .filter(|entry| entry.origin == Origin::Api)
            .map(|entry| entry.spec.clone())
            .collect();
        let saved = tokio::task::spawn_blocking(move || store.save(&kept)).await;
        let error = match saved {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::error!("the sources cannot be kept: {error}");
        Err(Problem::new(Kind::NotKept, "the server cannot write its file of sources; its log says why"))
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unknown(name: &str) -> Problem {
    Problem::new(Kind::NotFound, format!("there is no source {name}; GET /v1/sources lists all"))
}

/// Keeps a session until it is over and everything is written. Tells why it ended, if another one may do better.
async fn attend(session: Attended, files: Option<Files>) -> Option<Problem> {
    session.start().await;
    if let Some(files) = files {
        files.follow(&session).await;
    }
    let State::Closed(reason) = session.reached(|state| state.is_closed()).await else { return None };
    let ended = || Problem::new(Kind::TranscriptionFailed, format!("the session ended by itself: {}", reason.name()));
    again::helps_after(reason).then(|| session.problem().unwrap_or_else(ended))
}
