//! Streams over TLS.

use std::process::Command;
use std::sync::Arc;

use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::TLS12;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use super::peers::{ffmpeg, free_port, speech};
use super::{at, becomes, declare};
use crate::support::camera::Camera;
use crate::support::events::subscribe;
use crate::support::server::Server;
use crate::support::verdict::words_are_right;
use crate::tls::Files;
use crate::transcripts::two_sentences;

/// The SHA-256 of a certificate, as openssl tells it.
fn fingerprint(files: &Files) -> String {
    let mut openssl = Command::new("openssl");
    openssl.args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(files.certificate());
    let told = String::from_utf8(openssl.output().unwrap().stdout).unwrap();
    told.trim().split_once('=').unwrap().1.to_owned()
}

#[tokio::test]
async fn a_camera_with_a_certificate_of_its_own_is_taken_by_its_fingerprint_only() {
    let files = Files::new();
    let pem = files.certificate().with_file_name("both.pem");
    let read = |path| std::fs::read_to_string(path).unwrap();
    std::fs::write(&pem, read(files.certificate()) + &read(files.key())).unwrap();
    let said = two_sentences();
    let camera = Camera::start_with(&said.samples, &["viewer:s3cret", pem.to_str().unwrap()]);
    let url = format!("rtsps://viewer:s3cret@127.0.0.1:{}/aac", camera.port);
    let server = Server::start(&["--partials", "none"]);

    declare(&server, at("unknown", &url)).await;
    let failed = becomes(&server, "unknown", "failed").await;
    assert_eq!(failed["state"]["fault"], "untrusted", "{failed}");
    let known = fingerprint(&files);
    let plain = known.replace(':', "").to_lowercase();
    assert!(failed["state"]["detail"].as_str().unwrap().contains(&plain), "{failed}");
    let wrong = json!({ "name": "wrong", "url": url, "certificate_sha256": plain.replace(&plain[..2], "00") });
    declare(&server, wrong).await;
    assert_eq!(becomes(&server, "wrong", "failed").await["state"]["fault"], "untrusted");

    let door = declare(&server, json!({ "name": "door", "url": url, "certificate_sha256": known })).await;
    let mut receiver = subscribe(&server, door["session_id"].as_str().unwrap(), 0).await;
    let finals = [receiver.next_of("final").await, receiver.next_of("final").await];
    words_are_right(&said.text(), &finals, 5.0);
}

/// Speaks TLS in front of a port.
async fn encrypt(files: &Files, port: u16) -> u16 {
    let certificate = CertificateDer::from_pem_file(files.certificate()).unwrap();
    let config = ServerConfig::builder_with_provider(default_provider().into())
        // Newer ones librtmp does not get along with.
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::from_pem_file(files.key()).unwrap())
        .unwrap();
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut outside) = acceptor.accept(stream).await else { continue };
            // ffmpeg may not be there yet, and takes one connection only.
            let mut inside = loop {
                match TcpStream::connect(("127.0.0.1", port)).await {
                    Ok(stream) => break stream,
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
                }
            };
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    own
}

#[tokio::test]
async fn rtmp_is_pulled_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (said, path) = speech(folder.path());
    let plain = free_port();
    let secure = encrypt(&Files::new(), plain).await;
    let _peer = ffmpeg(&path, &["-f", "flv", "-listen", "1", &format!("rtmp://127.0.0.1:{plain}/live/speech")]);
    let server = Server::start(&["--partials", "none"]);
    let view = declare(&server, at("rtmps", &format!("rtmps://127.0.0.1:{secure}/live/speech"))).await;
    let mut receiver = subscribe(&server, view["session_id"].as_str().unwrap(), 0).await;
    let finals = [receiver.next_of("final").await, receiver.next_of("final").await];
    words_are_right(&said.text(), &finals, 5.0);
}
