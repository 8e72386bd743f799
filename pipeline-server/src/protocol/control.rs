//! What a client asks for beside sending audio.

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::pipeline::{Properties, Setting};

/// Bytes of a prompt at most; Whisper itself takes some 220 tokens.
const LONGEST_PROMPT: usize = 4_096;
/// Text messages that are not understood before the session is closed.
const PATIENCE: u32 = 16;

/// A text message from the client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Control {
    /// Changes how this session is transcribed from now on; what is left out stays as it is.
    Configure(Configure),
    /// Ends the running utterance behind the audio sent so far, so that its final comes at once; with `encoding=auto`
    /// when the next audio has been decoded.
    Finalize {},
    /// Nothing but a sign of life: keeps the idle time-out away while there is no audio to send. The server answers with
    /// `alive`, which shows that the connection still leads to it.
    Keepalive {},
    /// There will be no more audio. What was sent is transcribed to its end; then come `closed` and the end of the
    /// connection.
    Close {},
}

/// Reads a client's messages, and has only so much patience with those that it does not understand.
#[derive(Debug, Default)]
pub(crate) struct Listener {
    misunderstood: u32,
}

/// A message that is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misread {
    pub(crate) detail: String,
    /// Whether there is no hope for more.
    pub(crate) is_fatal: bool,
}

impl Listener {
    /// Reads a text message.
    pub(crate) fn read(&mut self, text: &str) -> Result<Control, Misread> {
        serde_json::from_str(text).map_err(|error| {
            self.misunderstood += 1;
            let is_json = text.trim_start().starts_with('{');
            let detail = if is_json {
                format!("the text message is not understood: {error}")
            } else {
                "a text message has to be a JSON object with a type; audio goes into binary messages".to_owned()
            };
            Misread { detail, is_fatal: !is_json || self.misunderstood >= PATIENCE }
        })
    }
}

/// Settings of a session. Those of end-pointing can be changed until the first audio only.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema, ToSchema, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Configure {
    /// Language that is spoken: a code such as `en`, `de`, `pt-BR`, or `auto` to detect it for each utterance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) language: Option<String>,
    /// Text that the decoder takes for what was said before: names, spelling, style. Empty for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub(crate) prompt: Option<String>,
    /// Write down what is said, or translate it into English (multilingual models only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) task: Option<Task>,
    /// Whether the decoder goes on from the finals before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) condition_on_previous_text: Option<bool>,
    /// Whether the decoder writes timestamps among the words, so that less is left out: in retries is what it does unless
    /// told. Not every engine can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timestamps: Option<Timestamps>,
    /// Which partial results there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) partials: Option<Partials>,
    /// Milliseconds of new audio between two partial results; under load they come less often.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 60_000))]
    pub(crate) partial_interval_ms: Option<u32>,
    /// With `partials=align_att`: milliseconds before the end of the audio that the decoder must not have looked at for
    /// a word to be stable.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 10_000))]
    pub(crate) attention_margin_ms: Option<u32>,
    /// End-pointing: milliseconds of silence that end an utterance.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 32, max = 60_000))]
    pub(crate) min_silence_ms: Option<u32>,
    /// End-pointing: milliseconds of silence that end an utterance whose text so far ends a sentence; 0 for no
    /// difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 60_000))]
    pub(crate) sentence_silence_ms: Option<u32>,
    /// End-pointing: milliseconds after which an utterance is cut at the next good place.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1_000, max = 29_000))]
    pub(crate) max_utterance_ms: Option<u32>,
}

/// What to do with the speech.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Task {
    /// Write down what is said.
    Transcribe,
    /// Write it in English.
    Translate,
}

/// When the decoder writes timestamps among the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Timestamps {
    /// Never.
    Never,
    /// When an utterance is decoded again because its first text can't be believed.
    Retries,
    /// For each final.
    Always,
}

impl Timestamps {
    /// As the transcribing element's property.
    pub(crate) fn setting(self) -> Setting {
        Setting::nick(match self {
            Self::Never => "never",
            Self::Retries => "retries",
            Self::Always => "always",
        })
    }
}

/// Which partial results there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Partials {
    /// None: finals only.
    None,
    /// The utterance so far, again and again.
    Interval,
    /// The same, and words stay once hypotheses in a row agree on them.
    LocalAgreement,
    /// The same, and words stay that the decoder chose without a look at the end of the audio. Not every engine can
    /// tell: where the model runs on one that can't, it is refused.
    AlignAtt,
}

impl Partials {
    /// As the transcribing element's property.
    pub(crate) fn setting(self) -> Setting {
        Setting::nick(match self {
            Self::None => "none",
            Self::Interval => "interval",
            Self::LocalAgreement => "local-agreement",
            Self::AlignAtt => "align-att",
        })
    }
}

impl Configure {
    /// As properties of the transcribing element; an error names a value that no element takes.
    pub(crate) fn properties(&self) -> Result<Properties, String> {
        if self.prompt.as_ref().is_some_and(|prompt| prompt.len() > LONGEST_PROMPT) {
            return Err(format!("prompt: longer than {LONGEST_PROMPT} bytes"));
        }
        if self.language.as_ref().is_some_and(|language| language.is_empty() || language.contains('\0')) {
            return Err("language: a code such as en or de, or auto".to_owned());
        }
        if self.prompt.as_ref().is_some_and(|prompt| prompt.contains('\0')) {
            return Err("prompt: has a NUL character in it".to_owned());
        }
        let task = self.task.map(|task| match task {
            Task::Transcribe => Setting::nick("transcribe"),
            Task::Translate => Setting::nick("translate"),
        });
        Ok([
            ("language", self.language.clone().map(Setting::Text)),
            ("initial-prompt", self.prompt.clone().map(Setting::Text)),
            ("task", task),
            ("condition-on-previous-text", self.condition_on_previous_text.map(Setting::Switch)),
            ("timestamps", self.timestamps.map(Timestamps::setting)),
            ("partials", self.partials.map(Partials::setting)),
            ("partial-interval", self.partial_interval_ms.map(Setting::Number)),
            ("attention-margin", self.attention_margin_ms.map(Setting::Number)),
            ("min-silence", self.min_silence_ms.map(Setting::Number)),
            ("sentence-silence", self.sentence_silence_ms.map(Setting::Number)),
            ("max-utterance", self.max_utterance_ms.map(Setting::Number)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Control, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn messages_are_read() {
        assert_eq!(read(r#"{"type":"close"}"#).unwrap(), Control::Close {});
        assert_eq!(read(r#"{"type":"finalize"}"#).unwrap(), Control::Finalize {});
        let Control::Configure(configure) =
            read(r#"{"type":"configure","language":"de","partials":"local_agreement","min_silence_ms":300}"#).unwrap()
        else {
            panic!("another message")
        };
        assert_eq!(
            configure.properties().unwrap(),
            [
                ("language", Setting::Text("de".into())),
                ("partials", Setting::nick("local-agreement")),
                ("min-silence", Setting::Number(300)),
            ]
        );
    }

    #[test]
    fn every_policy_of_partials_is_one_of_the_elements() {
        gst::init().unwrap();
        gstwhispertranscribe::plugin_register_static().unwrap();
        let element = gst::ElementFactory::make("whispertranscribe").build().unwrap();
        for policy in Partials::value_variants() {
            policy.setting().apply(&element, "partials").unwrap();
        }
        let json = r#"{"type":"configure","partials":"align_att","attention_margin_ms":500}"#;
        let Control::Configure(configure) = read(json).unwrap() else { panic!("another message") };
        let wanted = [("partials", Setting::nick("align-att")), ("attention-margin", Setting::Number(500))];
        assert_eq!(configure.properties().unwrap(), wanted);
    }

    #[test]
    fn what_is_not_known_is_an_error_that_names_it() {
        for (json, named) in [
            (r#"{"type":"reset"}"#, "reset"),
            (r#"{"type":"configure","model":"large"}"#, "model"),
            (r#"{"type":"close","now":true}"#, "now"),
            (r#"{"type":"configure","min_silence_ms":-1}"#, "-1"),
            (r#"{"language":"de"}"#, "type"),
            (r#"[]"#, "type"),
        ] {
            let error = read(json).unwrap_err().to_string();
            assert!(error.contains(named), "{json}: {error}");
        }
    }

    #[test]
    fn a_prompt_has_a_limit() {
        let configure = |prompt: String| Configure { prompt: Some(prompt), ..Configure::default() };
        assert!(configure("x".repeat(LONGEST_PROMPT)).properties().is_ok());
        assert!(configure("x".repeat(LONGEST_PROMPT + 1)).properties().is_err());
        assert!(configure("a\0b".into()).properties().is_err());
    }

    #[test]
    fn the_ranges_in_the_schema_are_the_elements() {
        use gst::prelude::*;
        gst::init().unwrap();
        gstwhispertranscribe::plugin_register_static().unwrap();
        let element = gst::ElementFactory::make("whispertranscribe").build().unwrap();
        let schema = serde_json::to_value(schemars::schema_for!(Configure)).unwrap();
        for (field, property) in [
            ("partial_interval_ms", "partial-interval"),
            ("attention_margin_ms", "attention-margin"),
            ("min_silence_ms", "min-silence"),
            ("sentence_silence_ms", "sentence-silence"),
            ("max_utterance_ms", "max-utterance"),
        ] {
            let spec = element.find_property(property).unwrap();
            let spec = spec.downcast_ref::<gst::glib::ParamSpecUInt>().unwrap();
            let field = &schema["properties"][field];
            assert_eq!(field["minimum"].as_u64().unwrap(), u64::from(spec.minimum()), "{property}");
            assert_eq!(field["maximum"].as_u64().unwrap(), u64::from(spec.maximum()), "{property}");
        }
    }
}
