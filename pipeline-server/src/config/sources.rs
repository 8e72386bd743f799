//! Declared sources in one option: addresses with commas between them, or a JSON list of objects, which `[[sources]]` in a
//! file is turned into.

use std::str::FromStr;

use crate::declared::spec::SourceSpec;

/// A list, which replaces an earlier one as a whole.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sources(pub(crate) Vec<SourceSpec>);

impl FromStr for Sources {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim_start().starts_with('[') {
            return serde_json::from_str(text).map(Self).map_err(|error| error.to_string());
        }
        let addresses = text.split(',').map(str::trim).filter(|address| !address.is_empty());
        let spec = |address: &str| {
            let json = serde_json::json!({ "url": address });
            serde_json::from_value(json).map_err(|error| error.to_string())
        };
        addresses.map(spec).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_addresses_or_objects() {
        let sources = |text: &str| text.parse::<Sources>();
        assert_eq!(sources("").unwrap().0, []);
        assert_eq!(sources("rtsp://a/b, srt://c:1").unwrap().0.len(), 2);
        let Sources(named) = sources(r#"[{"name":"door","url":"rtsp://u:p@c/l"}]"#).unwrap();
        assert_eq!(named[0].name(), "door");
        let error = sources(r#"[{"name":"door","url":"xxxx://u:secret@c/l"}]"#).unwrap_err();
        assert!(error.contains("url") && !error.contains("secret"), "{error}");
    }
}
