//! Downloads that break off, and where they go on.

use std::fs;
use std::time::Duration;

use transcribe_core::engine::CancelToken;
use transcribe_core::models::{ModelError, Progress};

use crate::server::{Reply, Server, V1};
use crate::setup::MODEL;

#[test]
fn a_model_is_downloaded_once_and_found_from_then_on() {
    let server = Server::file(&MODEL, None);
    let setup = server.setup();
    assert_eq!(setup.registry().locate("tiny").unwrap(), None);

    let mut told: Vec<Progress> = Vec::new();
    let path = setup.registry().resolve("tiny", &CancelToken::new(), &mut |p| told.push(p)).unwrap();
    setup.assert_installed(&path);
    let size = MODEL.len() as u64;
    assert_eq!(told.first(), Some(&Progress { downloaded: 0, total: Some(size), resumed_from: 0 }));
    assert_eq!(told.last(), Some(&Progress { downloaded: size, total: Some(size), resumed_from: 0 }));
    assert!(told.windows(2).all(|pair| pair[0].downloaded <= pair[1].downloaded));

    assert_eq!(setup.resolve().unwrap(), path);
    assert_eq!(setup.registry().locate("tiny").unwrap(), Some(path));
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].line, "GET /ggerganov/whisper.cpp/resolve/main/ggml-tiny.bin HTTP/1.1");
    assert_eq!(requests[0].header("accept-encoding"), Some("identity"));
}

#[test]
fn cut_connections_are_resumed_where_they_broke() {
    let server = Server::new(|request, number| {
        let reply = Reply::file(request, &MODEL, Some(V1));
        if number < 4 {
            reply.cut_after(300_000)
        } else {
            reply
        }
    });
    let setup = server.setup();
    setup.assert_downloads();
    assert_eq!(server.offsets(), [None, Some(300_000), Some(600_000), Some(900_000), Some(1_200_000)]);
    assert!(server.requests()[1..].iter().all(|request| request.header("if-range") == Some(V1)));
}

#[test]
fn a_connection_that_breaks_forever_is_given_up_and_the_part_kept() {
    let server = Server::new(|request, _| Reply::file(request, &MODEL, Some(V1)).cut_after(10));
    let setup = server.setup();
    let error = setup.refusal();
    assert!(matches!(error, ModelError::Network { .. }), "{error}");
    assert!(error.to_string().contains("60 bytes are here"), "{error}");
    assert_eq!(server.requests().len(), 6);
    assert_eq!(fs::metadata(setup.part()).unwrap().len(), 60);
}

#[test]
fn a_later_run_goes_on_where_an_earlier_one_stopped() {
    let server = Server::once(&MODEL, V1, |reply| reply.cut_after(500_000));
    let mut setup = server.setup();
    setup.hub.patience.tries = 1;
    setup.refusal();
    assert_eq!(fs::metadata(setup.part()).unwrap().len(), 500_000);

    let mut first = None;
    let path = setup.registry().resolve("tiny", &CancelToken::new(), &mut |p| {
        first.get_or_insert(p);
    });
    setup.assert_installed(&path.unwrap());
    let total = Some(MODEL.len() as u64);
    assert_eq!(first, Some(Progress { downloaded: 500_000, total, resumed_from: 500_000 }));
    assert_eq!(server.offsets(), [None, Some(500_000)]);
}

#[test]
fn a_whole_part_needs_no_second_request() {
    let server = Server::file(&MODEL, Some(V1));
    let setup = server.setup();
    let path = setup.resolve().unwrap();
    // As if the process had died between the last byte and the renaming.
    fs::rename(&path, setup.part()).unwrap();
    let url = format!("{}/ggerganov/whisper.cpp/resolve/main/ggml-tiny.bin", server.url());
    let note = format!(r#"{{"url":"{url}","etag":"\"v1\"","total":{}}}"#, MODEL.len());
    fs::write(setup.models().join("ggml-tiny.bin.part.json"), note).unwrap();
    setup.assert_downloads();
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn without_a_strong_etag_nothing_is_resumed() {
    let server = Server::once(&MODEL, "W/\"weak\"", |reply| reply.cut_after(500_000));
    let setup = server.setup();
    setup.assert_downloads();
    assert_eq!(server.offsets(), [None, None]);
}

#[test]
fn a_whole_file_in_answer_to_a_range_starts_over() {
    let server = Server::new(|request, number| {
        let reply = Reply::file(&request.without("range"), &MODEL, Some(V1));
        if number == 0 {
            reply.cut_after(500_000)
        } else {
            reply
        }
    });
    let setup = server.setup();
    setup.assert_downloads();
    assert_eq!(server.offsets(), [None, Some(500_000)]);
}

#[test]
fn another_range_than_the_one_asked_for_starts_over() {
    let server = Server::new(|request, number| match number {
        0 => Reply::file(request, &MODEL, Some(V1)).cut_after(500_000),
        1 => Reply { status: 206, body: MODEL[400_000..].to_vec(), ..Reply::default() }
            .with("Content-Range", &format!("bytes 400000-{}/{}", MODEL.len() - 1, MODEL.len()))
            .with("ETag", V1),
        _ => Reply::file(request, &MODEL, Some(V1)),
    });
    let setup = server.setup();
    setup.assert_downloads();
    assert_eq!(server.offsets(), [None, Some(500_000), None]);
}

#[test]
fn a_range_behind_the_end_starts_over() {
    let server = Server::new(|request, number| match number {
        0 => Reply::file(request, &MODEL, Some(V1)).cut_after(500_000),
        1 => Reply::status(416),
        _ => Reply::file(request, &MODEL, Some(V1)),
    });
    let setup = server.setup();
    setup.assert_downloads();
    assert_eq!(server.offsets(), [None, Some(500_000), None]);
}

#[test]
fn a_hub_that_falls_silent_is_asked_again() {
    let server = Server::once(&MODEL, V1, |reply| reply.stalling_after(200_000));
    let mut setup = server.setup();
    setup.hub.patience.read = Duration::from_millis(500);
    setup.assert_downloads();
    assert_eq!(server.offsets(), [None, Some(200_000)]);
}
