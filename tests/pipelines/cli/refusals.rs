//! What can't be done: an exit code for scripts, and words for people that name the cause.

use std::fs;
use std::path::PathBuf;

use crate::support::media::film;
use crate::support::program::{Ended, Program};
use crate::support::{recording, text, workspace};

const FAILED: i32 = 1;
const USAGE: i32 = 2;
const INPUT: i32 = 3;
const MODEL: i32 = 4;

/// Fails unless the program ends with this code, an error with these words, and no text.
fn refused(arguments: &[&str], code: i32, words: &[&str]) -> Ended {
    let ended = Program::transcribe(arguments).run();
    assert_eq!(ended.code, Some(code), "{ended:#?}");
    assert_eq!(ended.stdout(), "");
    assert!(ended.stderr.starts_with("error: "), "{ended:#?}");
    for word in words {
        assert!(ended.stderr.contains(word), "{word:?} is not in {ended:#?}");
    }
    ended
}

fn speech() -> String {
    text(&recording("librivox-sense-0930")).to_owned()
}

#[test]
fn a_wrong_command_line() {
    let speech = speech();
    refused(&[], USAGE, &["FILE"]);
    refused(&["--nothing", &speech], USAGE, &["--nothing"]);
    refused(&["-f", "pdf", &speech], USAGE, &["pdf", "srt"]);
    refused(&["-f", "srt", &speech, &speech], USAGE, &["several inputs"]);
    refused(&["-o", text(workspace()), &speech], USAGE, &["folder"]);
}

#[test]
fn settings_that_the_element_or_the_model_does_not_take() {
    let speech = speech();
    refused(&["--beam-size", "99", &speech], USAGE, &["--beam-size", "99 is not from 1 to"]);
    refused(&["--partial-interval", "1", &speech], USAGE, &["--partial-interval"]);
    refused(&["--engine", "steam", &speech], USAGE, &["steam", "whisper-cpp"]);
    refused(&["--language", "klingon", &speech], USAGE, &["klingon"]);
    refused(&["--language", "de", &speech], USAGE, &["English only", "multilingual"]);
    refused(&["--task", "translate", &speech], USAGE, &["multilingual"]);
}

#[test]
fn inputs_that_are_not_there_or_hold_no_speech() {
    let folder = tempfile::tempdir().unwrap();
    refused(&["/no/such/file.wav"], INPUT, &["/no/such/file.wav", "No such file"]);
    refused(&[text(folder.path())], INPUT, &["folder"]);
    refused(&[text(&workspace().join("Makefile"))], INPUT, &["Makefile", "text"]);
    let silent_film = film(folder.path(), "film.mkv", 1.0, None);
    refused(&[text(&silent_film)], INPUT, &["film.mkv", "no audio"]);
    let garbage = folder.path().join("garbage.wav");
    fs::write(&garbage, [0x5a; 4096]).unwrap();
    refused(&[text(&garbage)], INPUT, &["garbage.wav"]);
    let empty = folder.path().join("empty.wav");
    fs::write(&empty, []).unwrap();
    refused(&[text(&empty)], INPUT, &["empty.wav"]);
}

#[test]
fn servers_that_do_not_answer() {
    // Nobody listens at the discard port of this machine.
    refused(&["http://127.0.0.1:9/speech.wav"], INPUT, &["http://127.0.0.1:9/speech.wav", "server"]);
    refused(&["nonsense://somewhere"], INPUT, &["nonsense://somewhere"]);
}

#[test]
fn models_that_can_not_be_had_or_are_none() {
    let (folder, speech) = (tempfile::tempdir().unwrap(), speech());
    // The tests' environment forbids downloads.
    refused(&["-m", "large-v2", &speech], MODEL, &["large-v2", "HF_HUB_OFFLINE", "ggml-large-v2.bin"]);
    refused(&["-m", "gigantic", &speech], MODEL, &["gigantic", "tiny.en"]);
    refused(&["-m", "/no/such/model.bin", &speech], MODEL, &["/no/such/model.bin"]);
    refused(&["-m", text(&workspace().join("Makefile")), &speech], MODEL, &["Makefile", "text file"]);

    let whole = fs::read(bundled_model()).unwrap();
    let truncated = folder.path().join("truncated.bin");
    fs::write(&truncated, &whole[..whole.len() / 2]).unwrap();
    refused(&["-m", text(&truncated), &speech], MODEL, &["truncated.bin", "cut off"]);
    refused(&["-m", text(folder.path()), &speech], MODEL, &["model.safetensors", "model.bin"]);
    refused(&["--onnxruntime", "/no/such/library.so", &speech], MODEL, &["ONNX Runtime", "/no/such/library.so"]);
}

#[test]
fn outputs_that_can_not_be_written() {
    let speech = speech();
    refused(&["-o", "/no/such/folder/a.srt", &speech], FAILED, &["/no/such/folder/a.srt"]);
    refused(&["-f", "txt", "-o", "/dev/full", &speech], FAILED, &["cannot write", "No space left"]);
}

#[test]
fn a_later_input_that_fails_leaves_what_was_said_before() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("a.txt");
    let ended = Program::transcribe(&["-o", text(&output), &speech(), "/no/such/file.wav"]).run();
    assert_eq!(ended.code, Some(INPUT), "{ended:#?}");
    assert!(ended.stderr.contains("a.txt.incomplete"), "{ended:#?}");
    assert!(!output.exists());
    let kept = fs::read_to_string(folder.path().join("a.txt.incomplete")).unwrap();
    assert!(kept.contains("amiable"), "{kept}");
}

fn bundled_model() -> PathBuf {
    let mut files = fs::read_dir(workspace().join("models")).unwrap().map(|entry| entry.unwrap().path());
    files.find(|path| path.extension().is_some_and(|ending| ending == "bin")).unwrap()
}
