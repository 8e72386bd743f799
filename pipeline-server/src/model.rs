//! The server's hold on the model: an element that transcribes nothing, but keeps the weights that all sessions share in
//! memory, says when they are loaded, and tells the figures of all.

use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;
use gst::MessageView;
use tokio::sync::watch;

use crate::pipeline::{apply, preparation, transcriber, Error, Properties};

/// PROGRESS code of the element for loading a model.
const LOAD: &str = "load-model";

/// See the module.
pub(crate) struct Model {
    element: gst::Element,
    state: watch::Sender<State>,
    failure: Mutex<Option<Error>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Loading,
    Ready,
    Failed,
}

impl Model {
    /// Begins to find, fetch and load the model that `properties` name.
    pub(crate) fn load(properties: &Properties) -> Result<Arc<Self>, Error> {
        let element = transcriber()?;
        apply(properties, &element).map_err(|refused| Error::Setting(format!("--{refused}")))?;
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        let model = Arc::new(Self { element, state: watch::Sender::new(State::Loading), failure: Mutex::default() });
        let weak = Arc::downgrade(&model);
        bus.set_sync_handler(move |_, message| {
            if let Some(model) = weak.upgrade() {
                model.hear(message);
            }
            gst::BusSyncReply::Drop
        });
        // What it refuses for, it has said on the bus.
        if model.element.set_state(gst::State::Paused).is_err() {
            return Err(model.failure());
        }
        Ok(model)
    }

    /// Whether sessions find it loaded.
    pub(crate) fn is_ready(&self) -> bool {
        *self.state.borrow() == State::Ready
    }

    /// Waits until it is loaded, or can't be.
    pub(crate) async fn loaded(&self) -> Result<(), Error> {
        let mut state = self.state.subscribe();
        let reached = state.wait_for(|state| *state != State::Loading).await.map(|state| *state);
        match reached {
            Ok(State::Failed) => Err(self.failure()),
            _ => Ok(()),
        }
    }

    /// Its name or path, as it was asked for.
    pub(crate) fn name(&self) -> String {
        self.element.property("model")
    }

    /// The element's statistics; fields that begin with `model-` are about all sessions.
    pub(crate) fn stats(&self) -> gst::Structure {
        self.element.property("stats")
    }

    /// What all sessions need of the cores that they share, 1 = all of them.
    pub(crate) fn engine_load(&self) -> f64 {
        self.stats().get("model-load").unwrap_or_default()
    }

    /// Lets it go.
    pub(crate) fn unload(&self) {
        let _ = self.element.set_state(gst::State::Null);
    }

    fn failure(&self) -> Error {
        let told = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        told.unwrap_or_else(|| Error::Failed { message: "the transcribing element does not start".into(), debug: None })
    }

    fn hear(&self, message: &gst::Message) {
        match message.view() {
            MessageView::Progress(progress) => {
                let Some(step) = preparation(progress) else { return };
                tracing::info!(code = step.code, over = step.over, "{}", step.text);
                let complete = progress.get().0 == gst::ProgressType::Complete;
                if complete && step.code == LOAD {
                    self.state.send_replace(State::Ready);
                }
            }
            MessageView::Error(error) => {
                let error = Error::from_message(&error.error(), error.debug().as_deref(), true, None);
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                self.state.send_replace(State::Failed);
            }
            _ => {}
        }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.unload();
    }
}
