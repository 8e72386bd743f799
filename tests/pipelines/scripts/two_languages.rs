//! One source, two elements behind a tee.

use std::fs;
use std::path::Path;

use e2e_tests::clips::Composition;

use crate::support::media::{two_sentences, wav};
use crate::support::program::Program;
use crate::support::subtitles::{srt, Cue};
use crate::support::truth::{cues_are_right, words_are_cues};
use crate::support::{text, workspace};

fn both(folder: &Path, signal: &Composition, first: &str, second: &str) -> [Vec<Cue>; 2] {
    let outputs = ["first.srt", "second.srt"].map(|name| folder.join(name));
    Program::script("two-languages.sh")
        .env("FIRST", &format!("threads=1 {first}"))
        .env("SECOND", &format!("threads=1 {second}"))
        .args(&[text(&wav(folder, signal)), text(&outputs[0]), text(&outputs[1])])
        .succeed();
    outputs.map(|path| srt(&fs::read_to_string(path).unwrap()))
}

#[test]
fn two_elements_with_one_model_have_their_own_settings() {
    let (folder, signal) = (tempfile::tempdir().unwrap(), two_sentences());
    let [utterances, words] = both(folder.path(), &signal, "model=tiny.en", "model=tiny.en granularity=word");
    cues_are_right(&signal, &utterances);
    words_are_cues(&signal, &words);
}

#[test]
fn two_elements_with_two_models_do_not_disturb_each_other() {
    let model = workspace().join("../shared/models/ggml-base-q5_1.bin");
    if !model.exists() {
        println!("skipped: a multilingual model is needed, {} is not there", model.display());
        return;
    }
    let (folder, signal) = (tempfile::tempdir().unwrap(), two_sentences());
    let second = format!("model={} task=translate", text(&model));
    let [english, translated] = both(folder.path(), &signal, "model=tiny.en", &second);
    cues_are_right(&signal, &english);
    // English translated into English stays what it is.
    cues_are_right(&signal, &translated);
}

#[test]
fn a_branch_without_text_does_not_stop_the_other() {
    let (folder, signal) = (tempfile::tempdir().unwrap(), two_sentences());
    // Neither sentence is that long: the second element drops both.
    let [cues, none] =
        both(folder.path(), &signal, "model=tiny.en", "model=tiny.en min-speech=6500 max-utterance=20000");
    cues_are_right(&signal, &cues);
    assert_eq!(none, []);
}
