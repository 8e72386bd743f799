//! What a `<Parameter>` of the `<Stream>` may set: what `configure` sets in the WebSocket protocol, under the same names.

use serde_json::{json, Value};

use crate::protocol::control::Configure;

/// Names of settings, and what else they are called.
const TEXTS: [&str; 5] = ["language", "prompt", "task", "timestamps", "partials"];
const SWITCHES: [&str; 1] = ["condition_on_previous_text"];
const NUMBERS: [&str; 5] =
    ["partial_interval_ms", "attention_margin_ms", "min_silence_ms", "sentence_silence_ms", "max_utterance_ms"];

/// The setting that a parameter is, if it is one; the error says what its value is not.
pub(super) fn of_parameter(name: &str, value: &str) -> Option<Result<Configure, String>> {
    // The element's name of it.
    let setting = if name == "initial_prompt" { "prompt" } else { name };
    let value = match setting {
        text if TEXTS.contains(&text) => Value::from(value),
        switch if SWITCHES.contains(&switch) => value.parse::<bool>().map_or_else(|_| Value::from(value), Value::from),
        number if NUMBERS.contains(&number) => value.parse::<u32>().map_or_else(|_| Value::from(value), Value::from),
        _ => return None,
    };
    Some(serde_json::from_value(json!({ setting: value })).map_err(|error| format!("{name}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::control::Partials;

    #[test]
    fn parameters_are_settings_if_they_are_called_like_one() {
        let set = |name, value| of_parameter(name, value).unwrap().unwrap();
        assert_eq!(set("language", "de").language.as_deref(), Some("de"));
        assert_eq!(set("initial_prompt", "Ada").prompt.as_deref(), Some("Ada"));
        assert_eq!(set("partials", "none").partials, Some(Partials::None));
        assert_eq!(set("min_silence_ms", "300").min_silence_ms, Some(300));
        assert_eq!(set("condition_on_previous_text", "true").condition_on_previous_text, Some(true));
        assert_eq!(of_parameter("FirstName", "Jane"), None);
        for (name, value) in [("partials", "many"), ("min_silence_ms", "-1"), ("task", "")] {
            assert!(of_parameter(name, value).unwrap().unwrap_err().starts_with(name), "{name}");
        }
    }

    /// So that none is forgotten.
    #[test]
    fn every_setting_has_a_name() {
        let all = serde_json::to_value(schemars::schema_for!(Configure)).unwrap();
        let mut names: Vec<&String> = all["properties"].as_object().unwrap().keys().collect();
        let mut ours: Vec<&str> = TEXTS.into_iter().chain(SWITCHES).chain(NUMBERS).collect();
        names.sort();
        ours.sort();
        assert_eq!(names, ours);
    }
}
