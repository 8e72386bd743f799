//! What `gst-inspect-1.0` shows of the element: the only manual that everybody has.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::program::Program;

const WHEN_STOPPED: &str = "changeable only in NULL or READY state";
const ALWAYS: &str = "changeable in NULL, READY, PAUSED or PLAYING state";
const READ_ONLY: &str = "readable";

/// Properties that users and `transcriberbin` count on, with when they may be set.
const PROPERTIES: [(&str, &str); 24] = [
    ("model", WHEN_STOPPED),
    ("engine", WHEN_STOPPED),
    ("device", WHEN_STOPPED),
    ("threads", WHEN_STOPPED),
    ("channel", WHEN_STOPPED),
    ("vad", WHEN_STOPPED),
    ("vad-threshold", WHEN_STOPPED),
    ("vad-negative-threshold", WHEN_STOPPED),
    ("min-speech", WHEN_STOPPED),
    ("min-silence", WHEN_STOPPED),
    ("speech-pad", WHEN_STOPPED),
    ("pre-roll", WHEN_STOPPED),
    ("max-utterance", WHEN_STOPPED),
    ("latency", WHEN_STOPPED),
    ("lateness", WHEN_STOPPED),
    ("language", ALWAYS),
    ("language-code", ALWAYS),
    ("task", ALWAYS),
    ("partials", ALWAYS),
    ("partial-interval", ALWAYS),
    ("beam-size", ALWAYS),
    ("initial-prompt", ALWAYS),
    ("granularity", ALWAYS),
    ("stats", READ_ONLY),
];

struct Property {
    blurb: String,
    flags: String,
    /// Type, range and default.
    kind: String,
}

#[test]
fn each_property_has_a_description_and_says_when_it_may_be_set() {
    let shown = Program::new(Path::new("gst-inspect-1.0")).args(&["whispertranscribe"]).succeed().stdout();
    let properties = properties(&shown);
    for (name, property) in &properties {
        assert!(property.blurb.len() > 15, "{name}: {}", property.blurb);
        let writable = property.flags.contains("writable");
        assert_eq!(writable, property.flags.contains("changeable"), "{name}: {}", property.flags);
        let numeric = ["Integer", "Float"].iter().any(|kind| property.kind.contains(kind));
        assert!(!numeric || property.kind.contains("Range:"), "{name}: {}", property.kind);
        assert!(!writable || property.kind.contains("Default:"), "{name}: {}", property.kind);
    }
    for (name, mutability) in PROPERTIES {
        let property = properties.get(name).unwrap_or_else(|| panic!("{name} is not shown: {shown}"));
        assert!(property.flags.ends_with(mutability), "{name}: {}", property.flags);
    }
    let milliseconds = "Unsigned Integer. Range: ";
    assert!(["latency", "lateness"].iter().all(|name| properties[*name].kind.starts_with(milliseconds)));
}

#[test]
fn both_forms_of_output_and_any_audio_are_shown() {
    let shown = Program::new(Path::new("gst-inspect-1.0")).args(&["whispertranscribe"]).succeed().stdout();
    for part in ["text/x-raw", "format: utf8", "application/x-json", "audio/x-raw", "Long-name", "Description"] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
}

/// The properties in what `gst-inspect-1.0` prints: `  name  : blurb`, then flags and kind, further in.
fn properties(shown: &str) -> BTreeMap<String, Property> {
    let mut properties = BTreeMap::new();
    let (_, list) = shown.split_once("Element Properties:\n").unwrap();
    let mut lines = list.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((name, blurb)) = line.strip_prefix("  ").and_then(|line| line.split_once(": ")) else { continue };
        let Some(flags) = lines.next_if(|next| next.trim_start().starts_with("flags: ")) else { continue };
        let kind = lines.next().unwrap_or_default().trim().to_owned();
        let flags = flags.trim_start().trim_start_matches("flags: ").trim_end().to_owned();
        // Those that every object has.
        if !["name", "parent"].contains(&name.trim()) {
            properties.insert(name.trim().to_owned(), Property { blurb: blurb.trim().to_owned(), flags, kind });
        }
    }
    properties
}
