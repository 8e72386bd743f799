//! Ctrl-C: what was said until then is written.

use std::fs;

use serde_json::Value;

use crate::support::program::Program;
use crate::support::{recording, text};

/// Exit code of a program that was interrupted.
const INTERRUPTED: Option<i32> = Some(130);
/// Eleven seconds, most of which no test hears.
const LONG: &str = "librispeech-2412-153948-0000";

#[test]
fn the_utterance_under_way_is_finished() {
    let mut running =
        Program::transcribe(&["--real-time", "--partials", "-f", "jsonl"]).args(&[text(&recording(LONG))]).start();
    running.wait_for(|line| line.contains(r#""type":"partial""#));
    running.interrupt();
    let ended = running.finish();
    assert_eq!(ended.code, INTERRUPTED, "{ended:#?}");
    let last: Value = serde_json::from_str(&ended.lines.last().unwrap().text).unwrap();
    assert_eq!(last["type"], "final", "{ended:#?}");
    assert!(last["text"].as_str().unwrap().to_lowercase().starts_with("if the"), "{last}");
    assert!(last["end"].as_f64().unwrap() < 11.0, "{last}");
}

#[test]
fn the_file_is_complete_and_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("a.json");
    let running = Program::transcribe(&["--real-time", "-o", text(&output)]).args(&[text(&recording(LONG))]).start();
    let mut running = running;
    running.wait_until(std::time::Duration::from_secs(4));
    running.interrupt();
    assert_eq!(running.finish().code, INTERRUPTED);
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["a.json"]);
    let document: Value = serde_json::from_str(&fs::read_to_string(output).unwrap()).unwrap();
    assert!(document["duration"].as_f64().is_none_or(|seconds| seconds < 11.0), "{document}");
}
