//! `pipeline-server models`.

use std::fs;

use crate::support::program::Program;
use crate::support::{text, workspace};

const MODEL: i32 = 4;

#[test]
fn names_are_listed_with_the_files_that_are_here() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ggml-base-q5_1.bin");
    fs::write(&file, b"").unwrap();
    let ended = Program::tool(&["models", "list"]).env("WHISPER_MODELS_DIR", text(folder.path())).succeed();
    let of = |name: &str| {
        let line = ended.lines.iter().find_map(|line| line.text.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in {ended:#?}")).trim().to_owned()
    };
    assert_eq!(of("base-q5_1"), text(&file));
    assert_eq!(of("turbo"), of("large-v3-turbo"), "an alias");
    assert!(of("tiny.en").contains("ggml-tiny.en"), "the bundled one");
}

#[test]
fn what_is_here_needs_no_pull_and_what_is_not_says_why() {
    let ended = Program::tool(&["models", "pull", "tiny.en"]).succeed();
    assert!(ended.stdout().trim_end().ends_with(".bin"), "{ended:#?}");
    for (name, words) in [("large-v1", "HF_HUB_OFFLINE"), ("huge", "huge"), ("bse", "did you mean")] {
        let ended = Program::tool(&["models", "pull", name]).run();
        assert_eq!(ended.code, Some(MODEL), "{ended:#?}");
        assert!(ended.stderr.contains(words), "{ended:#?}");
        assert_eq!(ended.stdout(), "");
    }
}

#[test]
fn models_are_verified_to_the_bit() {
    let bundled = workspace().join("models/ggml-tiny.en-q8_0.bin");
    let ended = Program::tool(&["models", "verify", text(&bundled)]).succeed();
    assert!(ended.stdout().contains("the bundled file"), "{ended:#?}");

    let folder = tempfile::tempdir().unwrap();
    let (damaged, own) = (folder.path().join("ggml-tiny.en-q8_0.bin"), folder.path().join("own.bin"));
    let mut bytes = fs::read(&bundled).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&damaged, &bytes).unwrap();
    fs::write(&own, &bytes).unwrap();
    let ended = Program::tool(&["models", "verify", text(&damaged), text(&own), "large-v1"]).run();
    assert_eq!(ended.code, Some(MODEL), "{ended:#?}");
    let told: Vec<&str> = ended.lines.iter().map(|line| line.text.as_str()).collect();
    let words = ["SHA-256", "can be loaded", "models pull large-v1"];
    assert_eq!(told.len(), words.len(), "one that is wrong does not end it: {ended:#?}");
    assert!(told.iter().zip(words).all(|(line, word)| line.contains(word)), "{ended:#?}");
}
