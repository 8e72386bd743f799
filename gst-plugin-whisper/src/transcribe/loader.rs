//! Finds, downloads and loads the model on a thread of its own, so that PAUSED is reached at once.

use std::sync::{Arc, Weak};

use gst::prelude::*;
use gst::subclass::prelude::*;
use transcribe_core::engine::device::Device;
use transcribe_core::engine::{DecodeOptions, EngineError};
use transcribe_core::models::{ModelError, Registry};
use transcribe_core::runtime::{EngineKind, Model, ModelKey};

use super::imp::CAT;
use super::session::Session;
use super::settings::Settings;
use super::Engine;

/// PROGRESS code while the model is fetched from the network.
const DOWNLOAD: &str = "download-model";
/// PROGRESS code while the model is found and loaded.
const LOAD: &str = "load-model";

#[derive(Debug)]
enum LoadError {
    Model(ModelError),
    Engine(EngineError),
    Options(String),
}

/// Starts the thread. Progress and errors are posted on `element`'s bus.
pub(super) fn start(
    element: &super::WhisperTranscribe,
    session: &Arc<Session>,
    settings: Settings,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    let (weak_element, weak_session) = (element.downgrade(), Arc::downgrade(session));
    progress(element, gst::ProgressType::Start, LOAD, &format!("Loading the model {}", settings.model));
    std::thread::Builder::new().name("whisper-load".into()).spawn(move || {
        let Some(cancel) = weak_session.upgrade().map(|s| s.cancel.clone()) else { return };
        let result = load(&weak_element, &cancel, &settings);
        let (Some(element), Some(session)) = (weak_element.upgrade(), Weak::upgrade(&weak_session)) else { return };
        if cancel.is_cancelled() {
            progress(&element, gst::ProgressType::Canceled, LOAD, "Stopped");
            return;
        }
        match result {
            Ok((model, decode)) => {
                // What is changed from now on is checked then.
                let _ = session.model.set(model.clone());
                let now = element.imp().settings().clone();
                if let Err(reason) = possible(&now, &model) {
                    gst::element_imp_warning!(
                        element.imp(),
                        gst::LibraryError::Settings,
                        ("{reason}; the stream goes on as before")
                    );
                    session.stream.configure(decode.clone(), settings.partial_policy());
                }
                gst::info!(CAT, obj = element, "Model {} loaded: {:?}", settings.model, model);
                session.stream.attach_or(model, Some(decode));
                progress(&element, gst::ProgressType::Complete, LOAD, "Model loaded");
            }
            Err(error) => {
                progress(&element, gst::ProgressType::Error, LOAD, "The model could not be loaded");
                post(&element, &error);
                session.fail();
            }
        }
    })
}

/// Whether the model can do what was changed while it was loaded. What no model can do was refused at once.
fn possible(settings: &Settings, model: &Model) -> Result<(), String> {
    settings.check_attention(model.engine().tells_attention())?;
    let Ok(decode) = settings.decode() else { return Ok(()) };
    model.engine().check(&decode).map_err(|error| error.to_string())
}

fn load(
    element: &gst::glib::WeakRef<super::WhisperTranscribe>,
    cancel: &transcribe_core::engine::CancelToken,
    settings: &Settings,
) -> Result<(Arc<Model>, DecodeOptions), LoadError> {
    let decode = settings.decode().map_err(LoadError::Options)?;
    let device: Device = settings.device.parse().map_err(LoadError::Engine)?;
    let mut last_percent = u64::MAX;
    let path = Registry::from_env()
        .resolve(&settings.model, cancel, &mut |p| {
            let percent = p.total.map_or(0, |total| p.downloaded * 100 / total.max(1));
            if percent != last_percent {
                let kind =
                    if last_percent == u64::MAX { gst::ProgressType::Start } else { gst::ProgressType::Continue };
                last_percent = percent;
                if let Some(element) = element.upgrade() {
                    progress(
                        &element,
                        kind,
                        DOWNLOAD,
                        &format!("Downloading the model {}: {percent} %", settings.model),
                    );
                }
            }
        })
        .map_err(LoadError::Model)?;
    if let (true, Some(element)) = (last_percent != u64::MAX, element.upgrade()) {
        progress(&element, gst::ProgressType::Complete, DOWNLOAD, "Model downloaded");
    }
    let engine = match settings.engine {
        Engine::Auto => EngineKind::Auto,
        Engine::WhisperCpp => EngineKind::WhisperCpp,
        Engine::Onnx => EngineKind::Onnx,
    };
    let model = Model::load_with(&ModelKey { path, engine, device }, settings.library().as_deref())
        .map_err(LoadError::Engine)?;
    model.engine().check(&decode).map_err(LoadError::Engine)?;
    settings.check_attention(model.engine().tells_attention()).map_err(LoadError::Options)?;
    Ok((model, decode))
}

fn progress(element: &super::WhisperTranscribe, kind: gst::ProgressType, code: &str, text: &str) {
    let message = gst::message::Progress::builder(kind, code, text).src(element).build();
    let _ = element.post_message(message);
}

/// The error as a message with cause and mend.
fn post(element: &super::WhisperTranscribe, error: &LoadError) {
    let imp = element.imp();
    match error {
        LoadError::Model(e) => gst::element_imp_error!(imp, gst::ResourceError::NotFound, ("{e}")),
        LoadError::Engine(e @ EngineError::Device { .. }) => {
            gst::element_imp_error!(imp, gst::ResourceError::OpenReadWrite, ("{e}"))
        }
        LoadError::Engine(e @ EngineError::Options(_)) => {
            gst::element_imp_error!(imp, gst::LibraryError::Settings, ("{e}"))
        }
        LoadError::Engine(e) => gst::element_imp_error!(imp, gst::ResourceError::OpenRead, ("{e}")),
        LoadError::Options(e) => gst::element_imp_error!(imp, gst::LibraryError::Settings, ("{e}")),
    }
}
