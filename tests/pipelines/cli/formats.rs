//! Each output format, on two sentences whose times are known.

use std::fs;

use serde_json::Value;

use crate::support::media::{two_sentences, wav};
use crate::support::program::Program;
use crate::support::subtitles::{srt, vtt, Cue};
use crate::support::text;
use crate::support::truth::{cues_are_right, words_are_cues, words_are_right};

/// What is written for the two sentences.
fn written(options: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let input = wav(folder.path(), &two_sentences());
    let ended = Program::transcribe(options).args(&[text(&input)]).succeed();
    assert_eq!(ended.stderr, "");
    ended.stdout()
}

#[test]
fn txt_has_a_line_an_utterance() {
    let text = written(&["--output-format", "txt"]);
    assert_eq!(text.lines().count(), 2, "{text}");
    words_are_right(&two_sentences().text(), &text);
}

#[test]
fn srt_has_cues_at_their_times() {
    cues_are_right(&two_sentences(), &srt(&written(&["-f", "srt"])));
}

#[test]
fn vtt_has_cues_at_their_times() {
    cues_are_right(&two_sentences(), &vtt(&written(&["-f", "vtt"])));
}

#[test]
fn srt_can_have_a_cue_a_word() {
    words_are_cues(&two_sentences(), &srt(&written(&["-f", "srt", "--words"])));
}

#[test]
fn json_is_one_document() {
    let signal = two_sentences();
    let document: Value = serde_json::from_str(&written(&["-f", "json"])).unwrap();
    words_are_right(&signal.text(), document["text"].as_str().unwrap());
    assert_eq!(document["language"], "en");
    assert!((document["duration"].as_f64().unwrap() - signal.seconds()).abs() < 0.05, "{document}");
    let utterances = document["utterances"].as_array().unwrap();
    cues_are_right(&signal, &utterances.iter().map(cue).collect::<Vec<_>>());
    let words = utterances.iter().flat_map(|utterance| utterance["words"].as_array().unwrap());
    words_are_cues(&signal, &words.map(cue).collect::<Vec<_>>());
}

#[test]
fn jsonl_has_an_object_an_utterance() {
    let lines: Vec<Value> = written(&["-f", "jsonl"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["type"] == "final"), "{lines:#?}");
    cues_are_right(&two_sentences(), &lines.iter().map(cue).collect::<Vec<_>>());
}

#[test]
fn live_lines_have_times_and_can_have_those_of_words() {
    let (signal, shown) = (two_sentences(), written(&["--words"]));
    let (words, lines): (Vec<&str>, Vec<&str>) = shown.lines().partition(|line| line.starts_with(' '));
    let cue = |line: &&str| {
        let (times, text) = line.strip_prefix('[').unwrap().split_once("] ").unwrap();
        let (start, end) = times.split_once(" → ").unwrap();
        Cue { start: clock(start), end: clock(end), text: text.to_owned() }
    };
    cues_are_right(&signal, &lines.iter().map(cue).collect::<Vec<_>>());
    let words: Vec<&str> = words.iter().flat_map(|row| row.split_whitespace()).collect();
    for (time, word) in words.chunks(2).map(|pair| (clock(pair[0]), pair[1])) {
        assert!(signal.spoken.iter().any(|said| (said.start - 0.25..said.end).contains(&time)), "{time} {word}");
    }
}

#[test]
fn a_file_gets_the_format_of_its_ending_and_stdout_nothing() {
    let (folder, signal) = (tempfile::tempdir().unwrap(), two_sentences());
    let (input, output) = (wav(folder.path(), &signal), folder.path().join("what is written.vtt"));
    let ended = Program::transcribe(&[text(&input), "-o", text(&output)]).succeed();
    assert_eq!((ended.stdout(), ended.stderr), (String::new(), String::new()));
    cues_are_right(&signal, &vtt(&fs::read_to_string(&output).unwrap()));
}

fn cue(json: &Value) -> Cue {
    let seconds = |field: &str| json[field].as_f64().unwrap();
    Cue { start: seconds("start"), end: seconds("end"), text: json["text"].as_str().unwrap().to_owned() }
}

/// Seconds of `1:02.34`.
fn clock(time: &str) -> f64 {
    let (minutes, seconds) = time.split_once(':').unwrap_or_else(|| panic!("no time: {time:?}"));
    60.0 * minutes.parse::<f64>().unwrap() + seconds.parse::<f64>().unwrap()
}
