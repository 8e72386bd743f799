//! Models that are folders, by the names of their repositories: listed, fetched, verified, put in their place whole.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::json;
use sha1::{Digest, Sha1};
use transcribe_core::engine::device::Device;
use transcribe_core::engine::onnx::{Onnx, Precision};
use transcribe_core::engine::{CancelToken, DecodeOptions, Engine};
use transcribe_core::models::{ModelError, Places, Progress, Verified};

use crate::common::{clips, errors, job, root};
use crate::folders::{ctranslate2, hugging_face, HuggingFace, Numbers};
use crate::server::{Reply, Request, Server, V1};
use crate::setup::{sha256, Setup};

/// Files of a repository.
type Files = BTreeMap<String, Vec<u8>>;

fn files(folder: &Path) -> Files {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

/// tiny.en as transformers writes it, in two files.
fn as_hugging_face() -> Files {
    let folder = tempfile::tempdir().unwrap();
    let how = HuggingFace { numbers: Numbers::F16, files: 2, untied: false };
    hugging_face(&root().join("models/ggml-tiny.en-q8_0.bin"), folder.path(), how);
    files(folder.path())
}

/// Git's name of a file.
fn blob(bytes: &[u8]) -> String {
    let hash = Sha1::new().chain_update(format!("blob {}\0", bytes.len())).chain_update(bytes).finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the hub says of the files: those with weights are known by their SHA-256.
fn listing(files: &Files) -> Vec<u8> {
    let sibling = |(name, bytes): (&String, &Vec<u8>)| {
        let (size, id) = (bytes.len(), blob(bytes));
        match name.ends_with(".safetensors") || name.ends_with(".bin") {
            true => json!({"rfilename": name, "size": size, "blobId": "0".repeat(40),
                "lfs": {"sha256": sha256(bytes), "size": size, "pointerSize": 134}}),
            false => json!({"rfilename": name, "size": size, "blobId": id}),
        }
    };
    let siblings: Vec<_> = files.iter().map(sibling).collect();
    json!({"id": "x", "sha": "cafe", "siblings": siblings, "private": false}).to_string().into_bytes()
}

/// A hub with one repository, `owner/model`; `change` sees each answer for a file.
fn hub(files: Files, change: impl Fn(&str, &Request, Reply) -> Reply + Send + Sync + 'static) -> Server {
    let list = listing(&files);
    Server::new(move |request, _| {
        let address = request.line.split(' ').nth(1).unwrap();
        if address == "/api/models/owner/model/revision/main?blobs=true" {
            return Reply::file(request, &list, None);
        }
        let Some(name) = address.strip_prefix("/owner/model/resolve/cafe/") else { return Reply::status(404) };
        let bytes = &files[name];
        // As the hub does: small files have git's name as their ETag, large ones the SHA-256 in another header.
        let etag = format!("\"{}\"", blob(bytes));
        let large = bytes.len() > 10_000_000;
        let reply = Reply::file(request, bytes, Some(if large { V1 } else { &etag }));
        let reply = if large { reply.with("X-Linked-ETag", &format!("\"{}\"", sha256(bytes))) } else { reply };
        change(name, request, reply)
    })
}

fn resolve(setup: &Setup, model: &str) -> Result<std::path::PathBuf, ModelError> {
    setup.registry().resolve(model, &CancelToken::new(), &mut |_| {})
}

fn assert_it_hears(path: &Path) {
    let engine = Onnx::load(path, &Device::Cpu, Precision::Int8, None, 1).unwrap();
    let clip = &clips()[0];
    let heard = engine.transcribe(&[job(&clip.audio, &DecodeOptions::default())], 1).remove(0).unwrap();
    assert!(errors(&heard.text(), &clip.text) <= 3, "{}", heard.text());
}

#[test]
fn a_hugging_face_model_is_downloaded_by_its_name_and_hears() {
    let mut all = as_hugging_face();
    let weights: Vec<String> = all.keys().filter(|name| name.ends_with(".safetensors")).cloned().collect();
    assert_eq!(weights.len(), 2);
    for unread in ["README.md", "pytorch_model.bin", "vocab.json"] {
        all.insert(unread.to_owned(), b"not to be fetched".to_vec());
    }
    let sizes: u64 = all.values().filter(|bytes| bytes.len() > 20).map(|bytes| bytes.len() as u64).sum();
    let cut = Mutex::new(true);
    let server = hub(all, move |name, _, reply| {
        let first = name.ends_with("00001-of-00002.safetensors") && std::mem::take(&mut *cut.lock().unwrap());
        if first {
            reply.cut_after(3_000_000)
        } else {
            reply
        }
    });
    let setup = server.setup();
    assert_eq!(setup.registry().locate("owner/model").unwrap(), None);
    let mut told: Vec<Progress> = Vec::new();
    let path = setup.registry().resolve("owner/model", &CancelToken::new(), &mut |p| told.push(p)).unwrap();
    assert_eq!(path, setup.models().join("owner/model"));
    let mut expected = vec!["config.json", "generation_config.json", "model.safetensors.index.json", "tokenizer.json"];
    expected.extend(weights.iter().map(String::as_str));
    expected.sort_unstable();
    assert_eq!(files(&path).into_keys().collect::<Vec<_>>(), expected);
    assert_eq!(names(&setup.models().join("owner")), ["model"], "nothing else is left");
    assert_eq!(told.last(), Some(&Progress { downloaded: sizes, total: Some(sizes), resumed_from: 0 }));
    assert!(told.windows(2).all(|pair| pair[0].downloaded <= pair[1].downloaded));
    assert_eq!(server.offsets().iter().flatten().collect::<Vec<_>>(), [&3_000_000], "what was cut is gone on with");
    // From then on it is found, without the hub.
    let asked = server.requests().len();
    assert_eq!(resolve(&setup, "owner/model").unwrap(), path);
    let verified = setup.registry().verify("owner/model", &CancelToken::new()).unwrap();
    assert_eq!(verified, Some((path.clone(), Verified::Usable)));
    assert_eq!(server.requests().len(), asked);
    assert_it_hears(&path);
}

#[test]
fn a_ctranslate2_model_goes_on_where_it_broke_off() {
    let folder = tempfile::tempdir().unwrap();
    ctranslate2(&root().join("models/ggml-tiny.en-q8_0.bin"), folder.path(), Numbers::Int8);
    let broken = Arc::new(Mutex::new(true));
    let state = broken.clone();
    let server = hub(files(folder.path()), move |name, _, reply| {
        if name == "model.bin" && *state.lock().unwrap() {
            reply.cut_after(0)
        } else {
            reply
        }
    });
    let mut setup = server.setup();
    setup.hub.patience.tries = 1;
    let error = resolve(&setup, "owner/model").unwrap_err();
    assert!(
        matches!(error, ModelError::Network { .. }) && error.to_string().contains("owner/model/model.bin"),
        "{error}"
    );
    assert_eq!(setup.registry().locate("owner/model").unwrap(), None, "a part is no model");
    assert_eq!(names(&setup.models().join("owner")), ["model.lock", "model.part"]);
    let asked = server.requests().len();
    *broken.lock().unwrap() = false;
    let path = resolve(&setup, "owner/model").unwrap();
    let lines: Vec<String> = server.requests()[asked..].iter().map(|request| request.line.clone()).collect();
    assert_eq!(lines.len(), 2, "the list and the weights, what was whole is not fetched again: {lines:?}");
    assert_eq!(names(&path), ["config.json", "model.bin", "vocabulary.json"]);
    assert_it_hears(&path);
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Small files of no use.
fn odds(config: &str) -> Files {
    let files = [("config.json", config), ("vocabulary.txt", "a\nb\n"), ("model.bin", "weights")];
    files.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).into()
}

#[test]
fn a_damaged_file_is_never_put_in_place() {
    let server = hub(odds("{}"), |name, _, mut reply| {
        if name == "vocabulary.txt" {
            reply.body[0] ^= 1;
        }
        reply
    });
    let setup = server.setup();
    let error = resolve(&setup, "owner/model").unwrap_err();
    assert!(matches!(error, ModelError::WrongDigest { .. }), "{error}");
    assert_eq!(setup.registry().locate("owner/model").unwrap(), None);
    let asked = server.requests();
    assert!(!asked.iter().any(|request| request.line.contains("model.bin")), "small files come first");
}

#[test]
fn what_cannot_be_loaded_is_no_model_though_its_digests_are_right() {
    let server = hub(odds("{}"), |_, _, reply| reply);
    let setup = server.setup();
    let error = resolve(&setup, "owner/model").unwrap_err();
    assert!(matches!(&error, ModelError::NotAModel { path, .. } if path.ends_with("owner/model")), "{error:?}");
    assert_eq!(setup.registry().locate("owner/model").unwrap(), None);
}

#[test]
fn a_repository_without_a_model_or_none_at_all_is_told() {
    let server = hub(BTreeMap::from([("pytorch_model.bin".to_owned(), vec![1, 2])]), |_, _, reply| reply);
    let setup = server.setup();
    let message = resolve(&setup, "owner/model").unwrap_err().to_string();
    assert!(message.contains("save_pretrained"), "{message}");
    let message = resolve(&setup, "owner/nothing").unwrap_err().to_string();
    assert!(message.contains("neither a path") && message.contains("HF_TOKEN"), "{message}");
    let mut offline = server.setup();
    offline.hub.offline = true;
    let message = resolve(&offline, "owner/model").unwrap_err().to_string();
    assert!(message.contains("HF_HUB_OFFLINE") && message.contains("/owner/model"), "{message}");
    let nowhere = Setup { hub: setup.hub.clone(), ..Setup::new("http://127.0.0.1:1") };
    let places = Places { install: Vec::new(), ..nowhere.places() };
    let registry = transcribe_core::models::Registry::new(places, nowhere.hub.clone());
    let error = registry.resolve("owner/model", &CancelToken::new(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, ModelError::NoFolder { .. }), "{error}");
}
