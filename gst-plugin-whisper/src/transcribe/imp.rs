//! Pads, properties, states and queries; [`chain`](super::chain) is the way in, [`push`](super::push) the way out.
//!
//! Settings live as long as the element, the [`Session`] from READY → PAUSED to PAUSED → READY, the loaded model as long
//! as any session in the process uses it. Lock order: session slot → intake → delivery → settings → the session's own;
//! none is held while something is pushed, posted or queried.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use transcribe_core::runtime::{Hub, StreamHandle};

use super::chain::Intake;
use super::loader;
use super::push::Delivery;
use super::session::Session;
use super::settings::{Settings, PROPERTIES};
use super::stats;

pub(super) static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("whispertranscribe", gst::DebugColorFlags::empty(), Some("Whisper transcription"))
});

/// The element's implementation.
pub struct WhisperTranscribe {
    pub(super) sinkpad: gst::Pad,
    pub(super) srcpad: gst::Pad,
    settings: Mutex<Settings>,
    session: Mutex<Option<Arc<Session>>>,
    intake: Mutex<Intake>,
    delivery: Mutex<Delivery>,
}

impl WhisperTranscribe {
    pub(super) fn settings(&self) -> MutexGuard<'_, Settings> {
        lock(&self.settings)
    }

    pub(super) fn session(&self) -> Option<Arc<Session>> {
        lock(&self.session).clone()
    }

    pub(super) fn intake(&self) -> MutexGuard<'_, Intake> {
        lock(&self.intake)
    }

    pub(super) fn delivery(&self) -> MutexGuard<'_, Delivery> {
        lock(&self.delivery)
    }

    fn open(&self) -> Result<(), gst::ErrorMessage> {
        let settings = self.settings().clone();
        let library = settings.library();
        let config = settings.stream().map_err(|e| gst::error_msg!(gst::LibraryError::Settings, ("{e}")))?;
        let hub = Hub::shared(settings.vad_kind(), library.as_deref())
            .map_err(|e| gst::error_msg!(gst::LibraryError::Init, ("{e}")))?;
        let stream = StreamHandle::open(hub, config, settings.final_target(), settings.thread_count())
            .map_err(|e| gst::error_msg!(gst::LibraryError::Settings, ("{e}")))?;
        let session = Session::new(stream);
        *self.intake() = Intake::default();
        *self.delivery() = Delivery::default();
        *lock(&self.session) = Some(session.clone());
        let loader = loader::start(&self.obj(), &session, settings)
            .map_err(|e| gst::error_msg!(gst::ResourceError::Failed, ("Cannot start a thread: {e}")))?;
        session.set_loader(loader);
        Ok(())
    }

    fn interrupt(&self) {
        if let Some(session) = self.session() {
            session.cancel.cancel();
            session.stream.interrupt();
        }
    }

    fn src_activate(&self, active: bool) -> Result<(), gst::LoggableError> {
        if active {
            self.start_task();
            return Ok(());
        }
        self.interrupt();
        self.srcpad.stop_task().map_err(|_| gst::loggable_error!(CAT, "Cannot stop the task"))
    }

    fn src_query(&self, query: &mut gst::QueryRef) -> bool {
        let gst::QueryViewMut::Latency(answer) = query.view_mut() else {
            return gst::Pad::query_default(&self.srcpad, Some(&*self.obj()), query);
        };
        let mut upstream = gst::query::Latency::new();
        if !self.sinkpad.peer_query(&mut upstream) {
            return false;
        }
        let (live, min, max) = upstream.result();
        if live {
            let ours = self.settings().latency();
            answer.set(true, min + ours, max.map(|max| max + ours));
        } else {
            answer.set(false, min, max);
        }
        true
    }

    /// Hands changed settings to a running stream.
    fn reconfigure(&self) {
        let settings = self.settings().clone();
        let Some(session) = self.session() else { return };
        // Without a model yet, the loader looks.
        let decode = settings.decode().and_then(|decode| {
            if let Some(model) = session.model.get() {
                settings.check_attention(model.engine().tells_attention())?;
                model.engine().check(&decode).map_err(|e| e.to_string())?;
            }
            Ok(decode)
        });
        match decode {
            Ok(decode) => session.stream.configure(decode, settings.partial_policy()),
            Err(error) => {
                gst::element_imp_warning!(self, gst::LibraryError::Settings, ("{error}; the stream goes on as before"));
            }
        }
    }

    /// Ends the running utterance behind the audio that has come in so far.
    fn finalize(&self) {
        if let Some(session) = self.session() {
            session.stream.finalize();
        }
    }

    fn stats(&self) -> gst::Structure {
        stats::structure(self.session().map(|session| session.stream.stats()).as_ref())
    }
}

/// A poisoned lock means a panic that was already reported on the bus; the data stays usable for tearing down.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[glib::object_subclass]
impl ObjectSubclass for WhisperTranscribe {
    const NAME: &'static str = "GstWhisperTranscribe";
    type Type = super::WhisperTranscribe;
    type ParentType = gst::Element;

    fn with_class(klass: &Self::Class) -> Self {
        let template = |name| klass.pad_template(name).expect("the class has this template");
        let sinkpad = gst::Pad::builder_from_template(&template("sink"))
            .chain_function(|_, parent, buffer| {
                Self::catch_panic_pad_function(parent, || Err(gst::FlowError::Error), |this| this.sink_chain(buffer))
            })
            .event_function(|_, parent, event| {
                Self::catch_panic_pad_function(parent, || false, |this| this.sink_event(event))
            })
            .query_function(|_, parent, query| {
                Self::catch_panic_pad_function(parent, || false, |this| this.sink_query(query))
            })
            .build();
        let srcpad = gst::Pad::builder_from_template(&template("src"))
            .activatemode_function(|_, parent, mode, active| {
                Self::catch_panic_pad_function(
                    parent,
                    || Err(gst::loggable_error!(CAT, "Panic while (de)activating the source pad")),
                    |this| match mode {
                        gst::PadMode::Push => this.src_activate(active),
                        _ => Err(gst::loggable_error!(CAT, "Only push mode is supported")),
                    },
                )
            })
            .query_function(|_, parent, query| {
                Self::catch_panic_pad_function(parent, || false, |this| this.src_query(query))
            })
            .flags(gst::PadFlags::FIXED_CAPS)
            .build();
        Self {
            sinkpad,
            srcpad,
            settings: Mutex::default(),
            session: Mutex::default(),
            intake: Mutex::default(),
            delivery: Mutex::default(),
        }
    }
}

impl ObjectImpl for WhisperTranscribe {
    fn properties() -> &'static [glib::ParamSpec] {
        &PROPERTIES
    }

    fn signals() -> &'static [glib::subclass::Signal] {
        static SIGNALS: LazyLock<Vec<glib::subclass::Signal>> = LazyLock::new(|| {
            let finalize = glib::subclass::Signal::builder("finalize").action().class_handler(|values| {
                if let Ok(element) = values[0].get::<super::WhisperTranscribe>() {
                    element.imp().finalize();
                }
                None
            });
            vec![finalize.build()]
        });
        &SIGNALS
    }

    fn constructed(&self) {
        self.parent_constructed();
        let element = self.obj();
        for pad in [&self.sinkpad, &self.srcpad] {
            if element.add_pad(pad).is_err() {
                gst::error!(CAT, imp = self, "Cannot add the pad {}", pad.name());
            }
        }
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        self.settings().set(pspec.name(), value);
        match pspec.name() {
            name if Settings::is_live(name) => self.reconfigure(),
            "latency" => {
                let _ = self.obj().post_message(gst::message::Latency::builder().src(&*self.obj()).build());
            }
            _ => {}
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        if pspec.name() == "stats" {
            return self.stats().to_value();
        }
        let value = self.settings().get(pspec.name());
        value.unwrap_or_else(|| pspec.default_value().clone())
    }
}

impl GstObjectImpl for WhisperTranscribe {}

impl ElementImpl for WhisperTranscribe {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Whisper transcriber",
                "Audio/Text/Filter",
                "Turns speech into timed text while it is spoken (Silero VAD, Whisper)",
                "The whispertranscribe authors",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let sink = gst_audio::AudioCapsBuilder::new()
                .layout_list([gst_audio::AudioLayout::Interleaved, gst_audio::AudioLayout::NonInterleaved])
                .rate_range(8_000..=192_000)
                .channels_range(1..=64)
                .build();
            let src: gst::Caps = [
                gst::Structure::builder("text/x-raw").field("format", "utf8").build(),
                gst::Structure::new_empty("application/x-json"),
            ]
            .into_iter()
            .collect();
            let always = gst::PadPresence::Always;
            [("sink", gst::PadDirection::Sink, sink), ("src", gst::PadDirection::Src, src)]
                .into_iter()
                .filter_map(|(name, direction, caps)| gst::PadTemplate::new(name, direction, always, &caps).ok())
                .collect()
        });
        &TEMPLATES
    }

    fn change_state(&self, transition: gst::StateChange) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        gst::debug!(CAT, imp = self, "{transition:?}");
        match transition {
            gst::StateChange::ReadyToPaused => self.open().map_err(|error| {
                self.post_error_message(error);
                gst::StateChangeError
            })?,
            gst::StateChange::PausedToReady => self.interrupt(),
            _ => {}
        }
        let result = self.parent_change_state(transition);
        if transition == gst::StateChange::PausedToReady {
            // Taken out first: closing the stream may take a moment.
            let session = lock(&self.session).take();
            if let Some(session) = session {
                session.join_loader();
            }
            *self.intake() = Intake::default();
        }
        result
    }
}
