//! Models in other formats than ggml, through the property `model`: folders of Hugging Face and CTranslate2.

use std::path::{Path, PathBuf};

use e2e_tests::clips::Composition;
use e2e_tests::wer::word_errors;

use crate::common::{transcribe, Feed};
use crate::errors::{assert_names, error};
use crate::folders::{ctranslate2, hugging_face, HuggingFace, Numbers};

fn bundled() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models/ggml-tiny.en-q8_0.bin")
}

/// What the element writes with the model in `folder`.
fn assert_hears(folder: &Path, properties: &str) {
    let signal = Composition::long();
    let properties = format!("model={} {properties}", folder.display());
    let heard = transcribe(&signal.samples, &Feed::default(), &properties);
    let errors = word_errors(&signal.text(), &heard.text());
    println!("{properties}: {errors}");
    assert!(errors.percent() <= 5.0, "{properties}: {errors}");
}

#[test]
fn a_hugging_face_folder_is_a_model() {
    let folder = tempfile::tempdir().unwrap();
    hugging_face(&bundled(), folder.path(), HuggingFace { numbers: Numbers::F16, files: 2, untied: false });
    assert_hears(folder.path(), "");
}

#[test]
fn a_ctranslate2_folder_is_a_model() {
    let folder = tempfile::tempdir().unwrap();
    ctranslate2(&bundled(), folder.path(), Numbers::Int8);
    assert_hears(folder.path(), "engine=onnx");
}

#[test]
fn a_folder_for_whisper_cpp_is_an_error_that_names_the_other_engine() {
    let folder = tempfile::tempdir().unwrap();
    ctranslate2(&bundled(), folder.path(), Numbers::F16);
    let properties = format!("model={} engine=whisper-cpp", folder.path().display());
    assert_names(&error(&properties), &["folder", "ggml", "engine to onnx"]);
}

#[test]
fn broken_folders_say_which_file_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    assert_names(&error(&format!("model={path}")), &["model.safetensors", "model.bin"]);
    hugging_face(&bundled(), folder.path(), HuggingFace { numbers: Numbers::F16, files: 1, untied: false });
    let weights = folder.path().join("model.safetensors");
    let len = std::fs::metadata(&weights).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&weights).unwrap().set_len(len - 1).unwrap();
    assert_names(&error(&format!("model={path}")), &["model.safetensors", "cut off", "download"]);
    std::fs::remove_file(folder.path().join("config.json")).unwrap();
    assert_names(&error(&format!("model={path}")), &["config.json"]);
    assert_names(&error(&format!("model={}", weights.display())), &["safetensors", "folder"]);
}
