//! Results as structures: the custom events and element messages, field by field as the element's docs list them.

use gst::prelude::*;
use transcribe_core::transcript::{Event, Word};

use super::timeline::Anchor;

/// The structure for `event`, whose times are seconds of stream time. `anchor` gives the running time.
pub(super) fn structure(event: &Event, anchor: &Anchor, start: gst::ClockTime) -> gst::Structure {
    let name = match event {
        Event::SpeechStart { .. } => "whispertranscribe/speech-start",
        Event::SpeechEnd { .. } => "whispertranscribe/speech-end",
        Event::Partial(_) => "whispertranscribe/partial",
        Event::Final(_) => "whispertranscribe/final",
    };
    let builder = gst::Structure::builder(name)
        .field("utterance", event.utterance())
        .field("running-time", anchor.running_time(start).map_or(0, |t| t.nseconds()))
        .field("json", json(event));
    match event {
        Event::SpeechStart { start, .. } => builder.field("start", nanoseconds(*start)),
        Event::SpeechEnd { start, end, .. } => {
            builder.field("start", nanoseconds(*start)).field("end", nanoseconds(*end))
        }
        Event::Partial(p) => builder
            .field("start", nanoseconds(p.start))
            .field("end", nanoseconds(p.end))
            .field("revision", p.revision)
            .field("text", &p.text)
            .field("stable", &p.stable)
            .field("unstable", &p.unstable)
            .field("tail", &p.tail)
            .field("language", &p.language)
            .field("words", words(&p.words)),
        Event::Final(f) => builder
            .field("start", nanoseconds(f.start))
            .field("end", nanoseconds(f.end))
            .field("revision", f.revision)
            .field("text", &f.text)
            .field("language", &f.language)
            .field("probability", f64::from(f.probability))
            .field("no-speech-probability", f64::from(f.no_speech_probability))
            .field("forced", f.forced)
            .field("words", words(&f.words)),
    }
    .build()
}

/// The event as one JSON object.
pub(super) fn json(event: &Event) -> String {
    // Plain structs with string keys and finite numbers: nothing in them can fail to serialise.
    serde_json::to_string(event).unwrap_or_default()
}

/// One word of a final as a JSON object.
pub(super) fn word_json(utterance: u64, language: &str, word: &Word) -> String {
    serde_json::json!({
        "type": "word",
        "utterance": utterance,
        "text": word.text,
        "start": word.start,
        "end": word.end,
        "probability": word.probability,
        "language": language,
    })
    .to_string()
}

fn words(words: &[Word]) -> gst::Array {
    gst::Array::from_values(words.iter().map(|w| {
        gst::Structure::builder("word")
            .field("text", &w.text)
            .field("start", nanoseconds(w.start))
            .field("end", nanoseconds(w.end))
            .field("probability", f64::from(w.probability))
            .build()
            .to_send_value()
    }))
}

fn nanoseconds(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}
