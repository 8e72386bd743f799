//! The transcribing element's options as its properties.

use super::{ElementArgs, ServeArgs, Task, Vad};
use crate::pipeline::{Properties, Setting};
use crate::protocol::control::{Partials, Timestamps};

impl ElementArgs {
    /// What was asked for; everything else stays at the element's defaults.
    pub(super) fn properties(&self) -> Properties {
        let text = |value: &Option<String>| value.clone().map(Setting::Text);
        let library = self.onnxruntime.as_ref().map(|path| Setting::Text(path.to_string_lossy().into_owned()));
        let task = self.task.map(|task| match task {
            Task::Transcribe => Setting::nick("transcribe"),
            Task::Translate => Setting::nick("translate"),
        });
        let vad = self.vad.map(|vad| match vad {
            Vad::Silero => Setting::nick("silero"),
            Vad::Energy => Setting::nick("energy"),
        });
        [
            ("model", text(&self.model)),
            ("language", text(&self.language)),
            ("task", task),
            ("beam-size", self.beam_size.map(Setting::Number)),
            ("initial-prompt", text(&self.initial_prompt)),
            ("condition-on-previous-text", self.condition_on_previous_text.map(Setting::Switch)),
            ("timestamps", self.timestamps.map(Timestamps::setting)),
            ("device", text(&self.device)),
            ("threads", self.threads.map(Setting::Number)),
            ("engine", self.engine.as_deref().map(Setting::nick)),
            ("vad", vad),
            ("partial-interval", self.partial_interval.map(Setting::Number)),
            ("onnxruntime", library),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}

impl ServeArgs {
    /// The same for the sessions of a server, which clients may change for their own.
    pub(super) fn properties(&self) -> Properties {
        let mut properties = self.element.properties();
        properties.extend(self.partials.map(|policy| ("partials", Partials::setting(policy))));
        properties.extend(self.attention_margin.map(|ms| ("attention-margin", Setting::Number(ms))));
        properties
    }
}
