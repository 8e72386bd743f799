//! What the transcribing element says on the bus, as typed values.

use gst::glib;
use transcribe_core::transcript::Event;

/// A step of getting ready that takes time, such as a download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Preparation {
    /// What it is: `load-model`, `download-model`.
    pub(crate) code: String,
    /// For people, with percents where they are known.
    pub(crate) text: String,
    /// Whether it is over.
    pub(crate) over: bool,
}

/// The transcript event in one of the element's messages.
pub(crate) fn event(structure: &gst::StructureRef) -> Option<Event> {
    if !structure.name().starts_with("whispertranscribe/") {
        return None;
    }
    let json = structure.get::<&str>("json").ok()?;
    match serde_json::from_str(json) {
        Ok(event) => Some(event),
        Err(error) => {
            tracing::error!(%error, name = %structure.name(), "the element posted what is no event");
            None
        }
    }
}

/// The step that a PROGRESS message tells of.
pub(crate) fn preparation(message: &gst::message::Progress) -> Option<Preparation> {
    let (kind, code, text) = message.get();
    let over = match kind {
        gst::ProgressType::Start | gst::ProgressType::Continue => false,
        gst::ProgressType::Complete | gst::ProgressType::Canceled | gst::ProgressType::Error => true,
        _ => return None,
    };
    Some(Preparation { code: code.to_owned(), text: text.to_owned(), over })
}

/// Whether a warning is about a stream that lacks a decoder; if it is one that is wanted, an error follows.
pub(crate) fn is_about_a_decoder(error: &glib::Error) -> bool {
    error.matches(gst::CoreError::MissingPlugin) || error.matches(gst::StreamError::CodecNotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_events_of_the_element_are_taken() {
        gst::init().unwrap();
        let json = r#"{"type":"speech_start","utterance":3,"start":1.5}"#;
        let told = |name: &str, json: &str| event(&gst::Structure::builder(name).field("json", json).build());
        assert_eq!(told("whispertranscribe/speech-start", json), Some(Event::SpeechStart { utterance: 3, start: 1.5 }));
        assert_eq!(told("level", json), None);
        assert_eq!(told("whispertranscribe/speech-start", "{}"), None);
    }
}
