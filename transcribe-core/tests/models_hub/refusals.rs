//! A hub that refuses, is busy, or is not there: the errors and their mends.

use std::fs;
use std::net::TcpListener;

use transcribe_core::engine::CancelToken;
use transcribe_core::models::{ModelError, Proxies, Token};

use crate::server::{Reply, Server};
use crate::setup::{Setup, MODEL};

#[test]
fn a_missing_file_at_the_hub_is_called_so() {
    let server = Server::new(|_, _| Reply::status(404));
    let error = server.setup().refusal();
    assert!(matches!(error, ModelError::NoSuchFile { status: 404, .. }), "{error}");
    assert!(error.to_string().contains("ggml-tiny.bin") && error.to_string().contains("HF_ENDPOINT"), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_refusal_asks_for_a_token_or_for_a_better_one() {
    let server = Server::new(|request, _| match request.header("authorization") {
        Some("Bearer hf_good") => Reply::file(request, &MODEL, None),
        Some(_) => Reply::status(403),
        None => Reply::status(401),
    });
    let mut setup = server.setup();
    let error = setup.refusal();
    assert!(matches!(error, ModelError::Denied { status: 401, token_sent: false, .. }), "{error}");
    assert!(error.to_string().contains("HF_TOKEN"), "{error}");

    setup.hub.token = Token::new("hf_bad");
    let error = setup.refusal();
    assert!(matches!(error, ModelError::Denied { status: 403, token_sent: true, .. }), "{error}");
    assert!(!error.to_string().contains("hf_bad"), "{error}");

    setup.hub.token = Token::new("hf_good");
    setup.assert_downloads();
}

#[test]
fn redirects_in_a_circle_end() {
    let server = Server::new(|request, _| Reply::status(302).with("Location", request.line.split(' ').nth(1).unwrap()));
    let error = server.setup().refusal();
    assert!(error.to_string().contains("redirects without end"), "{error}");
}

#[test]
fn a_busy_hub_is_asked_again() {
    let server = Server::new(|request, number| match number {
        0 => Reply::status(503),
        1 => Reply::status(429).with("Retry-After", "0"),
        _ => Reply::file(request, &MODEL, None),
    });
    let setup = server.setup();
    setup.assert_downloads();
}

#[test]
fn offline_no_request_is_made_and_the_mend_is_told() {
    let server = Server::file(&MODEL, None);
    let mut setup = server.setup();
    setup.hub.offline = true;
    let error = setup.refusal();
    assert!(matches!(error, ModelError::Offline { .. }), "{error}");
    let message = error.to_string();
    for part in [&format!("{}/ggerganov", server.url()), "ggml-tiny.bin", setup.models().to_str().unwrap()] {
        assert!(message.contains(part), "{message}");
    }
    assert!(server.requests().is_empty());

    // What is here is found all the same.
    fs::create_dir_all(setup.models()).unwrap();
    fs::write(setup.models().join("ggml-tiny.bin"), &*MODEL).unwrap();
    setup.resolve().unwrap();
}

#[test]
fn without_network_the_error_says_which_file_to_put_where() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let setup = Setup::new(&format!("http://{closed}"));
    let error = setup.refusal();
    assert!(matches!(error, ModelError::Network { .. }), "{error}");
    let message = error.to_string();
    for part in ["refuses connections", "/resolve/main/ggml-tiny.bin", setup.models().to_str().unwrap()] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_hub_without_tls_where_it_ought_to_have_it_is_an_error() {
    let server = Server::new(|_, _| Reply::status(400));
    let setup = Setup::new(&format!("https://{}", server.address));
    let error = setup.refusal();
    assert!(matches!(error, ModelError::Network { .. } | ModelError::Answer { .. }), "{error}");
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let mut setup = Setup::new("huggingface.co");
    let error = setup.refusal();
    assert!(matches!(error, ModelError::Setting { variable: "HF_ENDPOINT", .. }), "{error}");

    setup.hub.endpoint = "http://127.0.0.1:9".into();
    setup.hub.proxies.http = Some(("HTTP_PROXY", "gopher://user:secret@proxy".into()));
    let error = setup.refusal();
    assert!(matches!(error, ModelError::Setting { variable: "HTTP_PROXY", .. }), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");

    setup.hub.proxies = Proxies::default();
    setup.hub.authorities = Some("no-such.pem".into());
    let error = setup.refusal();
    assert!(matches!(error, ModelError::Setting { variable: "SSL_CERT_FILE", .. }), "{error}");
}

#[test]
fn aliases_download_the_file_they_stand_for() {
    let server = Server::new(|_, _| Reply::status(404));
    let setup = server.setup();
    for (name, file) in [("large", "ggml-large-v3.bin"), ("turbo", "ggml-large-v3-turbo.bin")] {
        setup.registry().resolve(name, &CancelToken::new(), &mut |_| {}).unwrap_err();
        assert!(server.requests().last().unwrap().line.contains(&format!("/{file} ")));
    }
}

#[test]
fn unknown_names_are_refused_without_a_request() {
    let server = Server::new(|_, _| Reply::status(404));
    let error = server.setup().registry().resolve("tiny.eng", &CancelToken::new(), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("did you mean tiny.en?"), "{error}");
    assert!(server.requests().is_empty());
}
