//! TLS of the server's own: words over it, certificates that change, and what can't be used.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use e2e_tests::clips::named;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use crate::examples::{prints_what_is_said_to, set_up};
use crate::support::client::{f32le, Client};
use crate::support::http::{metric, metric_becomes, request};
use crate::support::server::{refuse, run, Server};
use crate::support::verdict::words_are_right;
use crate::support::within;

/// The files that a server reads.
pub(crate) struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    pub(crate) fn new() -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap() };
        files.renew();
        files
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// A new key, with a certificate that it signs itself.
    fn renew(&self) {
        self.make(&self.key(), 30);
    }

    /// The certificate is good for so many days; the key goes to `key`.
    fn make(&self, key: &Path, days: i32) {
        let (request, names) = (self.folder.path().join("request.pem"), self.folder.path().join("names"));
        std::fs::write(&names, "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
        openssl(
            &["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost"],
            &[("-keyout", key), ("-out", &request)],
        );
        openssl(
            &["x509", "-req", "-days", &days.to_string()],
            &[("-in", &request), ("-signkey", key), ("-extfile", &names), ("-out", &self.certificate())],
        );
    }

    /// The key is kept; what was asked for last is signed with it for that time.
    fn make_with_dates(&self, from: &str, until: &str) {
        let path = |name: &str| self.folder.path().join(name);
        let config = format!(
            "[ca]\ndefault_ca=own\n[own]\nnew_certs_dir={at}\ndatabase={at}/index\nserial={at}/serial\n\
             default_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n",
            at = self.folder.path().display()
        );
        std::fs::write(path("ca.conf"), config).unwrap();
        std::fs::write(path("index"), "").unwrap();
        std::fs::write(path("serial"), "01\n").unwrap();
        openssl(
            &["ca", "-batch", "-selfsign", "-notext", "-startdate", from, "-enddate", until],
            &[
                ("-config", &path("ca.conf")),
                ("-in", &path("request.pem")),
                ("-keyfile", &self.key()),
                ("-extfile", &path("names")),
                ("-out", &self.certificate()),
            ],
        );
    }

    /// What a client has who trusts the certificate as it is now, and no other.
    fn trusted(&self) -> Option<TlsConnector> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.certificate()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Some(TlsConnector::from(Arc::new(config)))
    }

    fn arguments(&self) -> Vec<String> {
        let option = |name: &str, path: PathBuf| format!("--{name}={}", path.display());
        vec![option("tls-certificate", self.certificate()), option("tls-key", self.key())]
    }

    fn serve(&self, more: &[&str]) -> Server {
        let arguments = self.arguments();
        let arguments = arguments.iter().map(String::as_str).chain(more.iter().copied());
        let mut server = Server::start(&arguments.collect::<Vec<_>>());
        server.tls = self.trusted();
        server
    }
}

fn openssl(arguments: &[&str], files: &[(&str, &Path)]) {
    let mut command = Command::new("openssl");
    command.args(arguments);
    for (option, path) in files {
        command.arg(option).arg(path);
    }
    let output = command.output().expect("openssl is not there: make setup-tests");
    assert!(output.status.success(), "{output:?}");
}

/// Waits until the server shows the certificate that is trusted.
async fn is_shown(server: &Server) {
    within("the new certificate", async {
        while server.open().await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_clients_and_ends_no_session() {
    let files = Files::new();
    let mut server = files.serve(&[]);
    let clip = named("librivox-sense-0920");
    let mut client = Client::connect(&server, "").await;
    client.sender.audio(&clip.samples[..40_000]).await;

    files.renew();
    server.tls = files.trusted();
    assert!(server.open().await.is_err(), "nothing was trusted");
    server.signal(libc::SIGHUP);
    is_shown(&server).await;

    // A key that does not belong to it.
    std::fs::rename(files.key(), files.folder.path().join("its-own.pem")).unwrap();
    openssl(&["genpkey", "-algorithm", "ED25519"], &[("-out", &files.key())]);
    server.signal(libc::SIGHUP);
    metric_becomes(&server, "pipeline_server_tls_certificates_rejected_total", 1.0).await;
    assert_eq!(request(&server, "GET", "/readyz").await.status, 200);

    // The session that began with the first certificate has seen nothing of all that.
    let messages = client.transcribe(f32le(&clip.samples[40_000..])).await;
    words_are_right(&clip.text, &messages, 0.0);
    let expiry = metric(&server, "pipeline_server_tls_certificate_expiry_seconds").await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((29.9..30.1).contains(&((expiry - now) / 86_400.0)), "{expiry}");
    server.signal(libc::SIGTERM);
    let ended = server.finish();
    let told = |what: &str| ended.stderr.lines().any(|line| line.contains(what));
    assert!(told("a new certificate is in use") && told("is not that of the first certificate"), "{}", ended.stderr);
}

#[tokio::test]
async fn files_that_change_are_noticed_without_a_signal() {
    let files = Files::new();
    let mut server = files.serve(&[]);
    files.renew();
    server.tls = files.trusted();
    is_shown(&server).await;
}

#[tokio::test]
async fn the_python_client_speaks_tls() {
    let files = Files::new();
    let server = files.serve(&[]);
    let mut client = tokio::process::Command::new(set_up(".deps/python/bin/python3"));
    client.arg("examples/websocket_client.py").env("SSL_CERT_FILE", files.certificate());
    prints_what_is_said_to(&format!("wss://{}/ws/transcribe", server.address), client).await;
}

#[test]
fn what_can_not_be_used_is_refused_before_anybody_connects() {
    let files = Files::new();
    let refused = |named: &[&str]| {
        let arguments = files.arguments();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (code, _, stderr) = run(&[&["config", "check"], &arguments[..]].concat(), &[]);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(named.iter().all(|word| stderr.contains(word)), "{named:?}: {stderr}");
    };
    let (code, _, stderr) = run(&["config", "check", "--tls-key", files.key().to_str().unwrap()], &[]);
    assert!(code == Some(2) && stderr.contains("--tls-certificate has to be set"), "{stderr}");

    files.make(&files.folder.path().join("other.pem"), 30);
    refused(&["key.pem", "is not that of the first certificate", "certificate.pem"]);
    files.make(&files.key(), -1);
    refused(&["certificate.pem", "ends before it begins"]);
    files.make_with_dates("20240101000000Z", "20240201000000Z");
    refused(&["certificate.pem", "expired", "days ago"]);
    files.make_with_dates("29990101000000Z", "29990201000000Z");
    refused(&["certificate.pem", "valid only in", "clock"]);
    std::fs::write(files.key(), "no key").unwrap();
    refused(&["key.pem", "no private key"]);
    std::fs::write(files.certificate(), "no certificate").unwrap();
    refused(&["certificate.pem", "no certificate"]);
    std::fs::remove_file(files.certificate()).unwrap();
    refused(&["certificate.pem", "No such file"]);

    let arguments = files.arguments();
    let ended = refuse(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
}

#[tokio::test]
async fn a_handshake_that_does_not_get_on_is_given_up_and_holds_nobody_up() {
    let files = Files::new();
    let server = files.serve(&["--request-timeout", "1"]);
    let connect = async || TcpStream::connect(server.address).await.unwrap();
    let (mut silent, mut slow, mut plain) = (connect().await, connect().await, connect().await);
    // The beginning of a client's hello: a record of 512 bytes that do not come.
    slow.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_eq!(request(&server, "GET", "/readyz").await.status, 200);
    for stream in [&mut silent, &mut slow, &mut plain] {
        // It ends, with or without an alert.
        let mut rest = Vec::new();
        let _ = within("an end", stream.read_to_end(&mut rest)).await;
        assert!(!String::from_utf8_lossy(&rest).contains("HTTP/"), "{rest:?}");
    }
    metric_becomes(&server, "pipeline_server_tls_handshakes_failed_total", 3.0).await;
}
