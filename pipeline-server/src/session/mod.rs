//! A session: one source, its pipeline, and what is said in it.
//!
//! All doors open their sessions through [`Sessions`], which admits, counts and drains them. A [`Session`] goes through
//! its [`State`]s, and puts what the pipeline says into its [`log`], from where subscribers take it.

mod arrivals;
mod call;
mod load;
pub(crate) mod log;
mod merge;
mod pipeline;
mod registry;
mod state;
mod trace;

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use gst::MessageView;
use tokio::runtime::Handle;
use tokio::sync::watch;
use transcribe_core::transcript::Event;
use uuid::Uuid;

use self::arrivals::Arrivals;
use self::call::OfCall;
use self::log::Log;
use self::merge::Merge;
use self::pipeline::{Pipeline, Reached};
pub(crate) use self::registry::{Attended, Place, Sessions, Told};
pub(crate) use self::state::{Reason, State};
use self::trace::{Outcome, Trace};
use crate::metrics::Metrics;
use crate::pipeline::{event, is_about_a_decoder, Error, MissingPlugin, Properties, NO_AUDIO};
use crate::protocol::control::Configure;
use crate::protocol::problem::{Kind, Problem};
use crate::protocol::results::{Closed, ErrorMessage, Message, Origin, SourceStatus, Totals};
use crate::sources::{Source, Track};
use crate::supervise::capture::Capture;
use crate::supervise::decide::Status;
use crate::supervise::news::News;
use crate::traces::Parent;

/// What is the same for all sessions of a server.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// Sessions at once; each track counts.
    pub(crate) max_sessions: usize,
    /// Of them, from one address.
    pub(crate) max_sessions_per_address: usize,
    /// Of them, with one key.
    pub(crate) max_sessions_per_key: usize,
    /// Load of the engine from which on there are no new ones, 1 = all cores.
    pub(crate) max_load: f64,
    /// How long pending finals are waited for when a session ends.
    pub(crate) drain_timeout: Duration,
    /// Messages that are kept for a slow reader.
    pub(crate) max_unread: usize,
    /// Properties of the transcribing elements.
    pub(crate) properties: Properties,
}

/// What a door asks for when it opens a session.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wishes {
    /// How to transcribe, beyond the server's own settings.
    pub(crate) configure: Configure,
    /// Whether finals come with all finals before them.
    pub(crate) full_transcripts: bool,
    /// The span of the client that it belongs to.
    pub(crate) parent: Option<Parent>,
    /// The name of a declared source.
    pub(crate) name: Option<String>,
}

/// See the module.
pub(crate) struct Session {
    id: Uuid,
    kind: &'static str,
    tracks: Vec<Track>,
    state: watch::Sender<State>,
    log: Arc<Log>,
    arrivals: Vec<Mutex<Arrivals>>,
    /// Where there are several tracks. Taken before the log's lock.
    merge: Option<Mutex<Merge>>,
    /// When what is heard was captured.
    capture: Mutex<Capture>,
    /// How the source is, where it is supervised.
    status: Mutex<Option<Status>>,
    /// The name of a declared source.
    name: Option<String>,
    call: OfCall,
    /// The name of the key it was opened with.
    key: Option<Arc<str>>,
    missing: Mutex<Option<MissingPlugin>>,
    /// What it ends for, if something is wrong.
    problem: Mutex<Option<Problem>>,
    pipeline: OnceLock<Arc<Pipeline>>,
    place: Mutex<Option<Place>>,
    drain_timeout: Duration,
    metrics: Arc<Metrics>,
    trace: Option<Trace>,
    /// For work that has to wait, begun from GStreamer's threads.
    runtime: Handle,
}

impl Session {
    /// Opens a session in `place`. Waits for GStreamer. On the async runtime, because the session goes on there.
    fn open(
        place: Place,
        source: Box<dyn Source>,
        wishes: &Wishes,
        rules: &Rules,
        metrics: Arc<Metrics>,
        trace: Option<Trace>,
        runtime: Handle,
    ) -> Result<Arc<Self>, Problem> {
        let wanted = wishes.configure.properties().map_err(|e| Problem::new(Kind::InvalidSetting, e))?;
        let properties: Properties = rules.properties.iter().cloned().chain(wanted).collect();
        let tracks = source.tracks();
        let session = Arc::new(Self {
            id: place.id(),
            kind: source.kind(),
            state: watch::Sender::new(State::Connecting),
            log: Log::new(tracks.len(), rules.max_unread, wishes.full_transcripts),
            arrivals: tracks.iter().map(|_| Mutex::default()).collect(),
            merge: (tracks.len() > 1).then(|| Mutex::new(Merge::new(tracks.len()))),
            capture: Mutex::default(),
            status: Mutex::default(),
            name: wishes.name.clone(),
            call: OfCall::default(),
            tracks,
            key: place.key().cloned(),
            missing: Mutex::default(),
            problem: Mutex::default(),
            pipeline: OnceLock::new(),
            place: Mutex::default(),
            drain_timeout: rules.drain_timeout,
            metrics,
            trace,
            runtime,
        });
        let (listening, metering) = (Arc::downgrade(&session), Arc::downgrade(&session));
        let pipeline = Pipeline::build(
            source,
            &properties,
            Box::new(move |track, message| upgrade(&listening, |session| session.hear(track, message))),
            Box::new(move |track, reached| upgrade(&metering, |session| session.reached_by(track, &reached))),
        )
        .map_err(|error| problem(&error))?;
        let _ = session.pipeline.set(Arc::new(pipeline));
        session.metrics.opened(session.kind);
        let key = session.key.as_deref().unwrap_or_default().to_owned();
        place.register(&session);
        *session.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
        if session.state().is_closed() {
            // It broke while it was built.
            session.leave();
        }
        tracing::info!(session = %session.id, source = session.kind, key, "session opened");
        Ok(session)
    }

    /// Its name.
    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    /// The door it came through.
    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }

    /// The name of the declared source that it is of.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// How the source is, where it is supervised.
    pub(crate) fn status(&self) -> Option<Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it ended for, if something was wrong.
    pub(crate) fn problem(&self) -> Option<Problem> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Seconds of audio that came so far, with what was missed in between.
    pub(crate) fn heard(&self) -> f64 {
        let heard = |arrivals: &Mutex<Arrivals>| arrivals.lock().unwrap_or_else(PoisonError::into_inner).heard();
        self.arrivals.iter().map(heard).fold(0.0, f64::max)
    }

    /// What it says.
    pub(crate) fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// Where it is in its life.
    pub(crate) fn state(&self) -> State {
        *self.state.borrow()
    }

    /// Waits until the state is as wanted, and returns it.
    pub(crate) async fn reached(&self, wanted: impl FnMut(&State) -> bool) -> State {
        let mut state = self.state.subscribe();
        let reached = state.wait_for(wanted).await;
        // The sender lives as long as `self`.
        reached.map_or(State::Closed(Reason::Failed), |state| *state)
    }

    /// Goes live, if it has not: from then on the source's elements take audio. `false` if it can't any more.
    pub(crate) async fn start(self: &Arc<Self>) -> bool {
        if self.state() != State::Connecting {
            return self.state().takes_audio();
        }
        let Some(pipeline) = self.pipeline.get().cloned() else { return false };
        let played = self.runtime.spawn_blocking(move || pipeline.play()).await;
        match played {
            Ok(Ok(())) if self.change(State::go_live) => true,
            Ok(Ok(())) => {
                // It was closed meanwhile.
                self.leave();
                false
            }
            Ok(Err(error)) => {
                self.fail(&error);
                false
            }
            Err(_) => false,
        }
    }

    /// Changes how it is transcribed from now on.
    pub(crate) async fn configure(self: &Arc<Self>, configure: &Configure) -> Result<(), Problem> {
        let refused = |detail: String| Problem::new(Kind::InvalidSetting, detail);
        let properties = configure.properties().map_err(refused)?;
        let playing = self.state() != State::Connecting;
        let Some(pipeline) = self.pipeline.get().cloned() else { return Ok(()) };
        let done = self.runtime.spawn_blocking(move || pipeline.configure(&properties, playing)).await;
        match done {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(refused(error.to_string())),
            Err(_) => Err(refused("the session is over".into())),
        }
    }

    /// Ends the audio. What came in is transcribed, for as long as the drain time-out allows; then it is closed.
    pub(crate) fn drain(self: &Arc<Self>, reason: Reason) {
        if self.change(|state| state.drain(reason)) {
            tracing::debug!(session = %self.id, reason = reason.name(), "session drains");
            if let Some(pipeline) = self.pipeline.get().cloned() {
                self.runtime.spawn_blocking(move || pipeline.finish());
            }
            let session = self.clone();
            self.runtime.spawn(async move {
                let closed = session.reached(|state| state.is_closed());
                if tokio::time::timeout(session.drain_timeout, closed).await.is_err() {
                    tracing::warn!(session = %session.id, "session did not drain in time");
                    session.end(|state| state.close(reason), false);
                }
            });
        } else if self.state() == State::Connecting {
            // No audio came, so that nothing is lost.
            self.end(|state| state.close(reason), true);
        }
    }

    /// Ends it at once; what has no text yet gets none.
    pub(crate) fn close(self: &Arc<Self>, reason: Reason) {
        let complete = self.state() == State::Connecting;
        self.end(|state| state.close(reason), complete);
    }

    /// Tells the client what is wrong; if it is fatal, the session ends for `fatal`.
    pub(crate) fn report(self: &Arc<Self>, kind: Kind, detail: impl Into<String>, fatal: Option<Reason>) {
        self.report_problem(kind, Problem::new(kind, detail), fatal);
    }

    fn report_problem(self: &Arc<Self>, kind: Kind, problem: Problem, fatal: Option<Reason>) {
        if self.state().is_closed() {
            return;
        }
        tracing::info!(session = %self.id, kind = kind.name(), fatal = fatal.is_some(), "{}", problem.detail);
        self.metrics.error(kind);
        if fatal.is_some() {
            *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem.clone());
        }
        self.log.push(|seq| Message::Error(ErrorMessage { seq, problem, fatal: fatal.is_some() }));
        if let Some(reason) = fatal {
            self.close(reason);
        }
    }

    /// What the pipeline says, on one of its threads.
    fn hear(self: &Arc<Self>, track: Option<usize>, message: &gst::Message) {
        match message.view() {
            MessageView::Element(element) => {
                let Some(structure) = element.structure() else { return };
                if let (Some(track), Some(event)) = (track, event(structure)) {
                    self.said(track, event);
                } else if let Some(news) = News::read(structure) {
                    self.hear_of_source(news);
                } else if let Some(plugin) = MissingPlugin::from_structure(structure) {
                    self.missing.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(plugin);
                }
            }
            MessageView::Eos(_) => self.end(State::end, true),
            MessageView::Error(error) => {
                let (told, debug) = (error.error(), error.debug());
                let missing = self.missing();
                self.fail(&Error::from_message(&told, debug.as_deref(), track.is_some(), missing.as_ref()));
            }
            MessageView::Application(news) if news.structure().is_some_and(|s| s.name() == NO_AUDIO) => {
                let missing = self.missing().map(|plugin| Error::MissingPlugin(plugin.to_string()));
                self.fail(&missing.unwrap_or(Error::NoAudio));
            }
            MessageView::Warning(warning) => {
                let told = warning.error();
                if track.is_some() && told.matches(gst::LibraryError::Settings) {
                    self.report(Kind::InvalidSetting, told.message(), None);
                } else if !is_about_a_decoder(&told) {
                    tracing::warn!(session = %self.id, "{}", told.message());
                }
            }
            MessageView::Latency(_) => {
                if let Some(pipeline) = self.pipeline.get() {
                    pipeline.recalculate_latency();
                }
            }
            _ => {}
        }
    }

    fn hear_of_source(self: &Arc<Self>, news: News) {
        let status = match news {
            News::Captured { since, offset } => {
                return self.capture.lock().unwrap_or_else(PoisonError::into_inner).told(since, offset);
            }
            News::Status(status) => status,
        };
        if self.state().is_closed() {
            return;
        }
        let name = self.name.as_deref().unwrap_or_default();
        match &status {
            Status::Connecting { attempt } => {
                tracing::debug!(session = %self.id, name, attempt, "the source is being connected");
            }
            Status::Streaming => tracing::info!(session = %self.id, name, "the source is there"),
            Status::Waiting { attempt, retry_in, fault } => {
                let (fault, detail) = (fault.kind.name(), &fault.detail);
                tracing::warn!(session = %self.id, name, attempt, ?retry_in, fault, "the source is not there: {detail}");
            }
            Status::Failed(fault) => {
                let (fault, detail) = (fault.kind.name(), &fault.detail);
                tracing::error!(session = %self.id, name, fault, "the source is given up: {detail}");
            }
            Status::Finished => tracing::info!(session = %self.id, name, "the source is at its end"),
        }
        self.metrics.source(self.kind, self.name.as_deref(), &status);
        self.log.push(|seq| Message::SourceStatus(SourceStatus::new(seq, &status)));
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = Some(status.clone());
        if let Status::Failed(fault) = status {
            self.report(Kind::SourceFailed, fault.detail, Some(Reason::SourceFailed));
        }
    }

    fn missing(&self) -> Option<MissingPlugin> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn said(&self, track: usize, event: Event) {
        if let (Event::Final(last), Some(arrivals)) = (&event, self.arrivals.get(track)) {
            let waited = arrivals.lock().unwrap_or_else(PoisonError::into_inner).waited(last.end, Instant::now());
            self.metrics.last(waited, !last.text.trim().is_empty());
            if let (Some(trace), Some(waited)) = (&self.trace, waited) {
                trace.last(last, self.channel(track), waited);
            }
        }
        match &self.merge {
            None => self.push(track, event),
            Some(merge) => self.merged(merge, |merge| merge.push(track, event)),
        }
    }

    fn reached_by(&self, track: usize, reached: &Reached) {
        match (reached, self.arrivals.get(track), &self.merge) {
            (Reached::In(end), Some(arrivals), _) => {
                let mut arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
                let before = arrivals.heard();
                arrivals.came(*end, Instant::now());
                self.metrics.audio(self.kind, arrivals.heard() - before);
            }
            (Reached::Out(position), _, Some(merge)) => self.merged(merge, |merge| merge.done(track, *position)),
            _ => {}
        }
    }

    /// Says what is to be said now, with the lock held, so that nobody says something in between.
    fn merged(&self, merge: &Mutex<Merge>, change: impl FnOnce(&mut Merge) -> Vec<(usize, Event)>) {
        let mut merge = merge.lock().unwrap_or_else(PoisonError::into_inner);
        for (track, event) in change(&mut merge) {
            self.push(track, event);
        }
    }

    fn push(&self, track: usize, event: Event) {
        let captured_at = self.capture.lock().unwrap_or_else(PoisonError::into_inner).at(event.start());
        let party = self.tracks.get(track).and_then(|track| track.party);
        self.log.push_event(track, Origin { channel: self.channel(track), party, captured_at }, event);
    }

    fn channel(&self, track: usize) -> Option<u32> {
        self.tracks.get(track).and_then(|track| track.channel)
    }

    fn fail(self: &Arc<Self>, error: &Error) {
        let (kind, reason) = match kind(error) {
            kind @ (Kind::InvalidAudio | Kind::InvalidSetting) => (kind, Reason::InvalidInput),
            kind => {
                if !self.state().is_closed() {
                    let origin = error.debug().unwrap_or_default();
                    tracing::error!(session = %self.id, origin, "the pipeline failed: {error}");
                }
                (kind, Reason::Failed)
            }
        };
        self.report_problem(kind, problem(error), Some(reason));
    }

    /// Closes it by `change`, tells so, and takes the pipeline down.
    fn end(self: &Arc<Self>, change: impl FnOnce(&mut State) -> bool, complete: bool) {
        if !self.change(change) {
            return;
        }
        let State::Closed(reason) = self.state() else { return };
        let audio_seconds = self.heard();
        let mut told = None;
        self.log.close(|seq, totals| {
            let totals = Totals { audio_seconds, ..totals };
            told = Some(totals);
            Closed { seq, reason, complete, totals }
        });
        let totals = told.unwrap_or_default();
        tracing::info!(
            session = %self.id, reason = reason.name(), complete,
            audio_seconds, finals = totals.finals, "session closed"
        );
        self.metrics.closed(self.kind, reason);
        if let Some(trace) = &self.trace {
            let problem = self.problem().map(|problem| problem.detail);
            trace.closed(&Outcome { id: self.id, source: self.kind, reason, complete, totals, problem });
        }
        self.leave();
    }

    /// Takes the pipeline down and gives the place back.
    fn leave(self: &Arc<Self>) {
        let session = self.clone();
        self.runtime.spawn_blocking(move || {
            if let Some(pipeline) = session.pipeline.get() {
                pipeline.stop();
            }
            session.place.lock().unwrap_or_else(PoisonError::into_inner).take();
        });
    }

    fn change(&self, change: impl FnOnce(&mut State) -> bool) -> bool {
        self.state.send_if_modified(change)
    }
}

fn upgrade(session: &Weak<Session>, then: impl FnOnce(Arc<Session>)) {
    if let Some(session) = session.upgrade() {
        then(session);
    }
}

fn kind(error: &Error) -> Kind {
    match error {
        Error::Setting(_) => Kind::InvalidSetting,
        Error::Unreadable { .. }
        | Error::Address(_)
        | Error::Input { .. }
        | Error::NoAudio
        | Error::MissingPlugin(_) => Kind::InvalidAudio,
        Error::Model { .. } | Error::Failed { .. } | Error::Output(_) => Kind::TranscriptionFailed,
    }
}

fn problem(error: &Error) -> Problem {
    Problem::new(kind(error), error.to_string())
}
