//! At the pace of speech: words appear while they are spoken.

use std::time::Duration;

use e2e_tests::clips::named;
use serde_json::Value;

use crate::support::program::{Line, Program};
use crate::support::truth::words_are_right;
use crate::support::{recording, text};

#[test]
fn partials_are_shown_before_the_speaker_ends() {
    // A long sentence: even a machine that has other things to do gets a partial out before it is over.
    let clip = named("librispeech-2412-153948-0000");
    let ended = Program::transcribe(&["--real-time", "--partials"]).args(&[text(&recording(&clip.name))]).succeed();
    assert!(ended.lines.iter().all(|line| line.text.starts_with('[')), "{ended:#?}");
    let (partials, finals): (Vec<&Line>, Vec<&Line>) = ended.lines.iter().partition(|line| line.text.ends_with(" …"));
    assert!(!partials.is_empty() && !finals.is_empty(), "{ended:#?}");
    let words: Vec<&str> = finals.iter().map(|line| line.text.split_once("] ").unwrap().1).collect();
    words_are_right(&clip.text, &words.join(" "));

    assert!(ended.took >= Duration::from_secs_f64(clip.seconds() - 0.1), "{ended:#?}");
    let ahead = finals[0].after.saturating_sub(partials[0].after);
    assert!(ahead > Duration::from_millis(500), "the first partial came only {ahead:?} before the final: {ended:#?}");
}

#[test]
fn what_happens_is_told_in_order() {
    let options = ["--real-time", "--partials", "-f", "jsonl"];
    let ended = Program::transcribe(&options).args(&[text(&recording("librivox-sense-0930"))]).succeed();
    let events: Vec<Value> = ended.lines.iter().map(|line| serde_json::from_str(&line.text).unwrap()).collect();
    let types: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!((types[0], types[types.len() - 1]), ("speech_start", "final"), "{types:?}");
    let count = |wanted| types.iter().filter(|kind| **kind == wanted).count();
    assert_eq!((count("speech_start"), count("speech_end"), count("final")), (1, 1, 1), "{types:?}");
    assert_eq!(count("partial"), types.len() - 3, "{types:?}");
    let revisions: Vec<u64> = events.iter().filter_map(|event| event["revision"].as_u64()).collect();
    assert!(revisions.len() > 1 && revisions.windows(2).all(|pair| pair[0] < pair[1]), "{revisions:?}");
}
