//! Where downloads go, and what is here already.

use std::fs;
use std::path::Path;

use transcribe_core::engine::CancelToken;
use transcribe_core::models::{ModelError, Registry};

use crate::server::Server;
use crate::setup::{Setup, MODEL};

#[test]
fn the_first_folder_that_can_be_written_to_is_taken() {
    let server = Server::file(&MODEL, None);
    let setup = server.setup();
    let file = setup.folder.path().join("file");
    fs::write(&file, b"").unwrap();
    let mut places = setup.places();
    places.install.insert(0, file.join("models"));
    let path = Registry::new(places.clone(), setup.hub.clone()).resolve("tiny", &CancelToken::new(), &mut |_| {});
    setup.assert_installed(&path.unwrap());

    places.folders.clear();
    places.install.truncate(1);
    let error = Registry::new(places, setup.hub.clone()).resolve("tiny", &CancelToken::new(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, ModelError::NoFolder { .. }), "{error}");
    assert!(error.to_string().contains("WHISPER_MODELS_DIR"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_called_so() {
    let server = Server::file(&MODEL, None);
    let setup = server.setup();
    fs::create_dir_all(setup.models()).unwrap();
    std::os::unix::fs::symlink("/dev/full", setup.part()).unwrap();
    let error = setup.refusal();
    assert!(matches!(error, ModelError::Disk { .. }), "{error}");
    assert!(error.to_string().contains("free some space"), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn the_bundled_model_does_for_the_default_without_network() {
    let mut setup = Setup::new("http://127.0.0.1:9");
    setup.hub.offline = true;
    let mut places = setup.places();
    places.folders.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("../models"));
    let registry = Registry::new(places, setup.hub.clone());
    let path = registry.resolve(transcribe_core::models::DEFAULT_MODEL, &CancelToken::new(), &mut |_| {}).unwrap();
    assert!(path.ends_with("ggml-tiny.en-q8_0.bin"));
    assert!(registry.locate("tiny").unwrap().is_none());
}
