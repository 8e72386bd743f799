//! Files into subtitles and JSON lines.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::media::{film, two_sentences, wav};
use crate::support::program::Program;
use crate::support::subtitles::{srt, vtt};
use crate::support::text;
use crate::support::truth::{cues_are_right, words_are_cues, words_are_right};

/// What a launch line writes for a file.
fn output(script: &str, options: &str, input: &Path) -> String {
    let path = input.with_file_name("what is written");
    let options = format!("threads=1 {options}");
    Program::script(script).env("OPTIONS", &options).args(&[text(input), text(&path)]).succeed();
    fs::read_to_string(path).unwrap()
}

#[test]
fn a_file_becomes_srt() {
    let (folder, signal) = (tempfile::tempdir().unwrap(), two_sentences());
    let written = output("file-to-srt.sh", "", &wav(folder.path(), &signal));
    cues_are_right(&signal, &srt(&written));
}

#[test]
fn a_film_becomes_srt() {
    let (folder, signal) = (tempfile::tempdir().unwrap(), two_sentences());
    let sound = wav(folder.path(), &signal);
    let film = film(folder.path(), "a film.mkv", signal.seconds(), Some(&sound));
    cues_are_right(&signal, &srt(&output("file-to-srt.sh", "", &film)));
}

#[test]
fn a_file_becomes_webvtt() {
    let (folder, signal) = (tempfile::tempdir().unwrap(), two_sentences());
    let written = output("file-to-webvtt.sh", "", &wav(folder.path(), &signal));
    cues_are_right(&signal, &vtt(&written));
}

#[test]
fn words_become_webvtt_cues() {
    let (folder, signal) = (tempfile::tempdir().unwrap(), two_sentences());
    let written = output("file-to-webvtt.sh", "granularity=word", &wav(folder.path(), &signal));
    words_are_cues(&signal, &vtt(&written));
}

#[test]
fn a_file_becomes_json_lines() {
    let (folder, signal) = (tempfile::tempdir().unwrap(), two_sentences());
    let written = output("file-to-jsonl.sh", "", &wav(folder.path(), &signal));
    let finals: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(finals.len(), 2, "{written}");
    let text: Vec<&str> = finals.iter().map(|last| last["text"].as_str().unwrap()).collect();
    words_are_right(&signal.text(), &text.join(" "));
    for (number, last) in finals.iter().enumerate() {
        assert_eq!(
            (&last["type"], &last["utterance"], &last["language"]),
            (&"final".into(), &number.into(), &"en".into())
        );
        let probability = last["probability"].as_f64().unwrap();
        assert!(probability > 0.5 && probability <= 1.0, "{last}");
        assert!(last["no_speech_probability"].as_f64().unwrap() < 0.5, "{last}");
        let words: Vec<&str> = last["words"].as_array().unwrap().iter().map(|w| w["text"].as_str().unwrap()).collect();
        assert_eq!(words.join(" "), last["text"].as_str().unwrap());
    }
}

#[test]
fn silence_becomes_a_valid_file_without_cues() {
    let folder = tempfile::tempdir().unwrap();
    let silence = wav(folder.path(), &e2e_tests::clips::Composition::new().silence(5.0));
    assert_eq!(srt(&output("file-to-srt.sh", "", &silence)), []);
    let written = output("file-to-webvtt.sh", "", &silence);
    assert!(written.is_empty() || vtt(&written).is_empty(), "{written}");
}
