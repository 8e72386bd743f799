//! What is installed and what is not: digests, ETags, parts of earlier runs, files that are no models.

use std::fs;

use transcribe_core::engine::CancelToken;
use transcribe_core::models::{ModelError, Verified};

use crate::server::{Reply, Server, V1};
use crate::setup::{sha256, Setup, MODEL, OTHER};

#[test]
fn a_part_without_a_readable_note_is_not_trusted() {
    let server = Server::file(&MODEL, Some(V1));
    for note in [None, Some("{\"url\":\"http://elsewhere\",\"etag\":\"\\\"v1\\\"\"}"), Some("{\"url\":")] {
        let setup = server.setup();
        fs::create_dir_all(setup.models()).unwrap();
        fs::write(setup.part(), &OTHER[..1000]).unwrap();
        if let Some(note) = note {
            fs::write(setup.models().join("ggml-tiny.bin.part.json"), note).unwrap();
        }
        setup.assert_downloads();
    }
    assert_eq!(server.offsets(), [None, None, None]);
}

#[test]
fn a_file_that_changed_meanwhile_is_not_spliced() {
    let server = Server::new(|request, number| match number {
        0 => Reply::file(request, &OTHER, Some(V1)).cut_after(500_000),
        _ => Reply::file(request, &MODEL, Some("\"v2\"")),
    });
    let setup = server.setup();
    setup.assert_downloads();
    assert_eq!(server.offsets(), [None, Some(500_000)]);
}

#[test]
fn a_server_that_ignores_if_range_is_seen_through() {
    let server = Server::new(|request, number| match number {
        0 => Reply::file(request, &OTHER, Some(V1)).cut_after(500_000),
        _ => Reply::file(&request.without("if-range"), &MODEL, Some("\"v2\"")),
    });
    let setup = server.setup();
    setup.assert_downloads();
    assert_eq!(server.offsets(), [None, Some(500_000), None]);
}

#[test]
fn a_hub_digest_that_changed_restarts_the_download() {
    let server = Server::new(|request, number| match number {
        0 => Reply::file(request, &OTHER, None).with("X-Linked-ETag", &sha256(&OTHER)).cut_after(500_000),
        _ => Reply::file(request, &MODEL, None).with("X-Linked-ETag", &sha256(&MODEL)),
    });
    let setup = Setup::unpinned(&server.url());
    setup.assert_downloads();
    assert_eq!(server.offsets(), [None, Some(500_000), None]);
}

#[test]
fn a_wrong_digest_removes_the_file_and_tells_both() {
    let server = Server::file(&OTHER, Some(V1));
    let setup = server.setup();
    let error = setup.refusal();
    assert!(matches!(error, ModelError::WrongDigest { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains(&sha256(&MODEL)) && message.contains(&sha256(&OTHER)), "{message}");
    assert_eq!(setup.listing(), ["ggml-tiny.bin.lock"]);
}

#[test]
fn a_damaged_part_of_an_earlier_run_is_fetched_anew() {
    let server = Server::once(&MODEL, V1, |reply| reply.cut_after(500_000));
    let mut setup = server.setup();
    setup.hub.patience.tries = 1;
    setup.refusal();
    fs::write(setup.part(), vec![0xEE; 500_000]).unwrap();
    setup.assert_downloads();
    assert_eq!(server.offsets(), [None, Some(500_000), None]);
}

#[test]
fn a_hub_that_announces_another_file_is_not_downloaded_from() {
    let server = Server::new(|request, _| Reply::file(request, &OTHER, Some(&format!("\"{}\"", sha256(&OTHER)))));
    let setup = server.setup();
    let error = setup.refusal();
    assert!(matches!(error, ModelError::WrongFile { .. }), "{error}");
    assert!(!setup.part().exists());
}

#[test]
fn the_hubs_own_digest_does_for_files_we_do_not_know() {
    for header in ["ETag", "X-Linked-ETag"] {
        let server = Server::new(move |request, _| {
            Reply::file(request, &MODEL, None).with(header, &format!("\"{}\"", sha256(&MODEL)))
        });
        let setup = Setup::unpinned(&server.url());
        setup.assert_downloads();
    }
}

#[test]
fn a_file_nobody_vouches_for_is_not_installed() {
    let server = Server::file(&MODEL, Some(V1));
    let setup = Setup::unpinned(&server.url());
    let error = setup.refusal();
    assert!(matches!(error, ModelError::Unverifiable { .. }), "{error}");
    assert_eq!(setup.listing(), ["ggml-tiny.bin.lock"]);
}

#[test]
fn the_etag_of_the_store_behind_the_hub_vouches_for_nothing() {
    let store =
        Server::new(|request, _| Reply::file(request, &MODEL, Some(&format!("\"{}\"", sha256(b"another hash")))));
    let hub = Server::pointing_to(&store);
    let error = Setup::unpinned(&hub.url()).refusal();
    assert!(matches!(error, ModelError::Unverifiable { .. }), "{error}");
    // Nor does it speak against a file we know.
    let setup = hub.setup();
    setup.assert_downloads();
}

#[test]
fn a_file_that_is_no_model_is_not_installed_whatever_its_digest() {
    let page = b"<html><body>Please log in</body></html>";
    let server = Server::new(move |request, _| Reply::file(request, page, None).with("X-Linked-ETag", &sha256(page)));
    let setup = Setup::unpinned(&server.url());
    let error = setup.refusal();
    assert!(matches!(&error, ModelError::NotAModel { path, .. } if path.ends_with("ggml-tiny.bin")), "{error}");
    assert!(error.to_string().contains("a web page"), "{error}");
    assert_eq!(setup.listing(), ["ggml-tiny.bin.lock"]);
}

#[test]
fn a_file_already_here_is_inspected_before_it_is_handed_out() {
    let server = Server::file(&MODEL, None);
    let setup = server.setup();
    fs::create_dir_all(setup.models()).unwrap();
    fs::write(setup.models().join("ggml-tiny.bin"), &MODEL[..1000]).unwrap();
    let error = setup.refusal();
    assert!(matches!(error, ModelError::NotAModel { .. }), "{error}");
    assert!(error.to_string().contains("cut off after 1000 bytes"), "{error}");
}

#[test]
fn a_model_on_disk_is_compared_with_the_official_one() {
    let server = Server::file(&MODEL, None);
    let setup = server.setup();
    let verify = |model: &str| setup.registry().verify(model, &CancelToken::new());
    assert_eq!(verify("tiny").unwrap(), None, "it is not here yet");
    let path = setup.resolve().unwrap();
    assert_eq!(verify("tiny").unwrap(), Some((path.clone(), Verified::Official)));

    let cancelled = CancelToken::new();
    cancelled.cancel();
    assert!(matches!(setup.registry().verify("tiny", &cancelled), Err(ModelError::Cancelled)));

    // A model of another name has nothing to be compared with.
    let other = setup.models().join("fine-tuned.bin");
    fs::write(&other, &*OTHER).unwrap();
    assert_eq!(verify(other.to_str().unwrap()).unwrap(), Some((other.clone(), Verified::Usable)));
    fs::rename(&other, &path).unwrap();
    let error = verify("tiny").unwrap_err();
    let ModelError::NotOfficial { expected, got, .. } = &error else { panic!("{error}") };
    assert_eq!((expected, got), (&sha256(&MODEL), &sha256(&OTHER)));
    assert!(error.to_string().contains("pull"), "{error}");
    assert_eq!(server.requests().len(), 1, "verifying needs no network");
}
