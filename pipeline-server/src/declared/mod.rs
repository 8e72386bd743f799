//! Declared sources: streams that the server pulls because its settings say so, or a client did, until they are taken back.
//!
//! Each has a session, like those of clients: it is admitted, counted and drained with all others. What clients declared is
//! kept in a file ([`store`]) and declared again when the server starts.

pub(crate) mod files;
pub(crate) mod spec;
mod store;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Mutex as AsyncMutex;
use uuid::Uuid;

use self::files::Files;
use self::spec::{Origin, SourceSpec, SourceView};
pub(crate) use self::store::Store;
use crate::access::Client;
use crate::metrics::Metrics;
use crate::protocol::problem::{Kind, Problem};
use crate::session::{Attended, Reason, Session, Sessions, Wishes};
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
    spec: SourceSpec,
    origin: Origin,
    session: Result<Arc<Session>, Problem>,
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
    pub(crate) async fn begin(&self, configured: Vec<SourceSpec>, kept: Vec<SourceSpec>) {
        let _changing = self.changing.lock().await;
        let of = |origin, specs: Vec<SourceSpec>| specs.into_iter().map(move |spec| (origin, spec));
        for (origin, spec) in of(Origin::Settings, configured).chain(of(Origin::Api, kept)) {
            let name = spec.name();
            if self.entries().contains_key(&name) {
                tracing::warn!(name, "two sources have the same name; the first one counts");
                continue;
            }
            let session = self.open(&name, &spec, Client::default()).await;
            if let Err(problem) = &session {
                tracing::error!(name, "the source cannot be opened: {}", problem.detail);
            }
            self.entries().insert(name, Entry { spec, origin, session });
        }
    }

    /// A client declares one.
    pub(crate) async fn add(&self, mut spec: SourceSpec, client: Client) -> Result<SourceView, Problem> {
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
        let session = self.open(&name, &spec, client).await?;
        let view = SourceView::new(&name, &spec, Origin::Api, &Ok(session.clone()));
        let entry = Entry { spec, origin: Origin::Api, session: Ok(session) };
        self.entries().insert(name.clone(), entry);
        if let Err(problem) = self.save().await {
            let entry = self.entries().remove(&name);
            self.close(&name, entry).await;
            return Err(problem);
        }
        Ok(view)
    }

    /// All of them.
    pub(crate) fn list(&self) -> Vec<SourceView> {
        let view = |(name, entry): (&String, &Entry)| SourceView::new(name, &entry.spec, entry.origin, &entry.session);
        self.entries().iter().map(view).collect()
    }

    /// The one of that name.
    pub(crate) fn find(&self, name: &str) -> Result<SourceView, Problem> {
        let entries = self.entries();
        let entry = entries.get(name).ok_or_else(|| unknown(name))?;
        Ok(SourceView::new(name, &entry.spec, entry.origin, &entry.session))
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

    async fn open(&self, name: &str, spec: &SourceSpec, client: Client) -> Result<Arc<Session>, Problem> {
        let place = self.sessions.admit(client, 1)?;
        let wishes = Wishes {
            configure: spec.settings.clone(),
            full_transcripts: false,
            parent: None,
            name: Some(name.to_owned()),
        };
        let source = Box::new(Pulled::new(spec.stream()));
        let session = self.sessions.open(place, source, wishes).await?;
        let kept = Arc::clone(&session);
        let files = self.folder.as_ref().map(|folder| Files::new(folder, name, &spec.files));
        tokio::spawn(attend(session, files));
        Ok(kept)
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

/// Keeps a session until it is over and everything is written.
async fn attend(session: Attended, files: Option<Files>) {
    session.start().await;
    if let Some(files) = files {
        files.follow(&session).await;
    }
    session.reached(|state| state.is_closed()).await;
}
