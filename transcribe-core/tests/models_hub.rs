//! Downloads from a hub that stands in for Hugging Face: a listener on this machine that speaks HTTP/1.1 and breaks
//! off, redirects, refuses or changes its mind as a test asks.
#![allow(clippy::unwrap_used)]

#[path = "../src/models/ggml/sample.rs"]
mod sample;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use transcribe_core::engine::CancelToken;
use transcribe_core::models::{Digests, Hub, ModelError, Patience, Places, Progress, Proxies, Registry, Token};

static MODEL: LazyLock<Vec<u8>> = LazyLock::new(|| sample::model(0));
static OTHER: LazyLock<Vec<u8>> = LazyLock::new(|| sample::model(7));

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// A request as it came in, header names in lower case.
#[derive(Debug, Clone)]
struct Request {
    line: String,
    headers: BTreeMap<String, String>,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// First byte asked for.
    fn offset(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }

    /// The same request without a header.
    fn without(&self, name: &str) -> Self {
        let mut request = self.clone();
        request.headers.remove(name);
        request
    }
}

/// What a test's hub answers.
#[derive(Clone, Default)]
struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Bytes of the body after which the connection is closed.
    cut: Option<usize>,
    /// Silence instead of the end of the connection, until the client hangs up.
    stall: bool,
}

impl Reply {
    fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// `body` as a file server sends it: whole, or the range asked for if the ETag still is `etag`.
    fn file(request: &Request, body: &[u8], etag: Option<&str>) -> Self {
        let same = request.header("if-range").is_none_or(|if_range| Some(if_range) == etag);
        let reply = match request.offset().filter(|_| same) {
            Some(offset) if offset >= body.len() => return Self::status(416),
            Some(offset) => {
                let range = format!("bytes {offset}-{}/{}", body.len() - 1, body.len());
                Self { status: 206, body: body[offset..].to_vec(), ..Self::default() }.with("Content-Range", &range)
            }
            None => Self { status: 200, body: body.to_vec(), ..Self::default() },
        };
        match etag {
            Some(etag) => reply.with("ETag", etag),
            None => reply,
        }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    fn cut_after(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    fn stalling_after(mut self, bytes: usize) -> Self {
        self.stall = true;
        self.cut_after(bytes)
    }
}

/// A server of this test; requests are numbered from 0.
struct Server {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    fn new(answer: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = requests.clone();
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, answer) = (log.clone(), answer.clone());
                thread::spawn(move || {
                    let _ = serve(stream.unwrap(), &log, &*answer);
                });
            }
        });
        Self { address, requests }
    }

    /// One that sends `body` with this ETag, the first time only up to byte `cut`.
    fn cutting_once(body: &'static [u8], etag: &'static str, cut: usize) -> Self {
        Self::new(move |request, number| {
            let reply = Reply::file(request, body, Some(etag));
            if number == 0 {
                reply.cut_after(cut)
            } else {
                reply
            }
        })
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// First byte asked for in each request.
    fn offsets(&self) -> Vec<Option<usize>> {
        self.requests().iter().map(Request::offset).collect()
    }
}

fn read_request(stream: &TcpStream) -> std::io::Result<Request> {
    let mut lines = BufReader::new(stream).lines();
    let line = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let mut headers = BTreeMap::new();
    for header in lines {
        let header = header?;
        let Some((name, value)) = header.split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_string());
    }
    Ok(Request { line, headers })
}

fn serve(
    mut stream: TcpStream,
    log: &Mutex<Vec<Request>>,
    answer: &dyn Fn(&Request, usize) -> Reply,
) -> std::io::Result<()> {
    let request = read_request(&stream)?;
    let number = {
        let mut log = log.lock().unwrap();
        log.push(request.clone());
        log.len() - 1
    };
    let reply = answer(&request, number);
    let length = reply.body.len();
    let mut head = format!("HTTP/1.1 {} X\r\nContent-Length: {length}\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(&reply.body[..reply.cut.unwrap_or(length).min(length)])?;
    if reply.stall {
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let _ = stream.read(&mut [0]);
    }
    Ok(())
}

/// A folder for downloads, and a registry that knows no other.
struct Setup {
    folder: tempfile::TempDir,
    hub: Hub,
}

impl Setup {
    fn new(endpoint: &str) -> Self {
        let digests = BTreeMap::from([("tiny".to_string(), sha256(&MODEL))]);
        let hub = Hub {
            endpoint: endpoint.into(),
            token: None,
            offline: false,
            proxies: Proxies::default(),
            authorities: None,
            digests: Digests::Given(digests),
            patience: Patience {
                connect: Duration::from_secs(5),
                read: Duration::from_secs(5),
                tries: 6,
                pause: Duration::from_millis(5),
            },
        };
        Self { folder: tempfile::tempdir().unwrap(), hub }
    }

    /// One that knows no digests of its own.
    fn unpinned(endpoint: &str) -> Self {
        let mut setup = Self::new(endpoint);
        setup.hub.digests = Digests::Given(BTreeMap::new());
        setup
    }

    fn places(&self) -> Places {
        let folders = vec![self.models()];
        Places { folders: folders.clone(), hub_caches: Vec::new(), install: folders }
    }

    fn registry(&self) -> Registry {
        Registry::new(self.places(), self.hub.clone())
    }

    fn resolve(&self) -> Result<PathBuf, ModelError> {
        self.registry().resolve("tiny", &CancelToken::new(), &mut |_| {})
    }

    fn models(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    fn part(&self) -> PathBuf {
        self.models().join("ggml-tiny.bin.part")
    }

    /// Names in the folder, sorted.
    fn listing(&self) -> Vec<String> {
        let entries = fs::read_dir(self.models()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = entries.collect();
        names.sort();
        names
    }

    /// That `path` is the model, whole, and that nothing else is left.
    fn assert_installed(&self, path: &Path) {
        assert_eq!(path, self.models().join("ggml-tiny.bin"));
        assert!(fs::read(path).unwrap() == *MODEL, "the installed file is another");
        assert_eq!(self.listing(), ["ggml-tiny.bin"]);
    }
}

#[test]
fn a_model_is_downloaded_once_and_found_from_then_on() {
    let server = Server::new(|request, _| Reply::file(request, &MODEL, None));
    let setup = Setup::new(&server.url());
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
        let reply = Reply::file(request, &MODEL, Some("\"v1\""));
        if number < 4 {
            reply.cut_after(300_000)
        } else {
            reply
        }
    });
    let setup = Setup::new(&server.url());
    setup.assert_installed(&setup.resolve().unwrap());
    assert_eq!(server.offsets(), [None, Some(300_000), Some(600_000), Some(900_000), Some(1_200_000)]);
    assert!(server.requests()[1..].iter().all(|request| request.header("if-range") == Some("\"v1\"")));
}

#[test]
fn a_connection_that_breaks_forever_is_given_up_and_the_part_kept() {
    let server = Server::new(|request, _| Reply::file(request, &MODEL, Some("\"v1\"")).cut_after(10));
    let setup = Setup::new(&server.url());
    let error = setup.resolve().unwrap_err();
    assert!(matches!(error, ModelError::Network { .. }), "{error}");
    assert!(error.to_string().contains("60 bytes are here"), "{error}");
    assert_eq!(server.requests().len(), 6);
    assert_eq!(fs::metadata(setup.part()).unwrap().len(), 60);
}

#[test]
fn a_later_run_goes_on_where_an_earlier_one_stopped() {
    let server = Server::cutting_once(&MODEL, "\"v1\"", 500_000);
    let mut setup = Setup::new(&server.url());
    setup.hub.patience.tries = 1;
    setup.resolve().unwrap_err();
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
    let server = Server::new(|request, _| Reply::file(request, &MODEL, Some("\"v1\"")));
    let setup = Setup::new(&server.url());
    let path = setup.resolve().unwrap();
    // As if the process had died between the last byte and the renaming.
    fs::rename(&path, setup.part()).unwrap();
    let url = format!("{}/ggerganov/whisper.cpp/resolve/main/ggml-tiny.bin", server.url());
    let note = format!(r#"{{"url":"{url}","etag":"\"v1\"","total":{}}}"#, MODEL.len());
    fs::write(setup.models().join("ggml-tiny.bin.part.json"), note).unwrap();
    setup.assert_installed(&setup.resolve().unwrap());
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_part_without_a_readable_note_is_not_trusted() {
    let server = Server::new(|request, _| Reply::file(request, &MODEL, Some("\"v1\"")));
    for note in [None, Some("{\"url\":\"http://elsewhere\",\"etag\":\"\\\"v1\\\"\"}"), Some("{\"url\":")] {
        let setup = Setup::new(&server.url());
        fs::create_dir_all(setup.models()).unwrap();
        fs::write(setup.part(), &OTHER[..1000]).unwrap();
        if let Some(note) = note {
            fs::write(setup.models().join("ggml-tiny.bin.part.json"), note).unwrap();
        }
        setup.assert_installed(&setup.resolve().unwrap());
    }
    assert_eq!(server.offsets(), [None, None, None]);
}

#[test]
fn a_file_that_changed_meanwhile_is_not_spliced() {
    let server = Server::new(|request, number| match number {
        0 => Reply::file(request, &OTHER, Some("\"v1\"")).cut_after(500_000),
        _ => Reply::file(request, &MODEL, Some("\"v2\"")),
    });
    let setup = Setup::new(&server.url());
    setup.assert_installed(&setup.resolve().unwrap());
    assert_eq!(server.offsets(), [None, Some(500_000)]);
}

#[test]
fn a_server_that_ignores_if_range_is_seen_through() {
    let server = Server::new(|request, number| match number {
        0 => Reply::file(request, &OTHER, Some("\"v1\"")).cut_after(500_000),
        _ => Reply::file(&request.without("if-range"), &MODEL, Some("\"v2\"")),
    });
    let setup = Setup::new(&server.url());
    setup.assert_installed(&setup.resolve().unwrap());
    assert_eq!(server.offsets(), [None, Some(500_000), None]);
}

#[test]
fn a_hub_digest_that_changed_restarts_the_download() {
    let server = Server::new(|request, number| match number {
        0 => Reply::file(request, &OTHER, None).with("X-Linked-ETag", &sha256(&OTHER)).cut_after(500_000),
        _ => Reply::file(request, &MODEL, None).with("X-Linked-ETag", &sha256(&MODEL)),
    });
    let setup = Setup::unpinned(&server.url());
    setup.assert_installed(&setup.resolve().unwrap());
    assert_eq!(server.offsets(), [None, Some(500_000), None]);
}

#[test]
fn without_a_strong_etag_nothing_is_resumed() {
    let server = Server::cutting_once(&MODEL, "W/\"weak\"", 500_000);
    let setup = Setup::new(&server.url());
    setup.assert_installed(&setup.resolve().unwrap());
    assert_eq!(server.offsets(), [None, None]);
}

#[test]
fn a_whole_file_in_answer_to_a_range_starts_over() {
    let server = Server::new(|request, number| {
        let reply = Reply::file(&request.without("range"), &MODEL, Some("\"v1\""));
        if number == 0 {
            reply.cut_after(500_000)
        } else {
            reply
        }
    });
    let setup = Setup::new(&server.url());
    setup.assert_installed(&setup.resolve().unwrap());
    assert_eq!(server.offsets(), [None, Some(500_000)]);
}

#[test]
fn another_range_than_the_one_asked_for_starts_over() {
    let server = Server::new(|request, number| match number {
        0 => Reply::file(request, &MODEL, Some("\"v1\"")).cut_after(500_000),
        1 => Reply { status: 206, body: MODEL[400_000..].to_vec(), ..Reply::default() }
            .with("Content-Range", &format!("bytes 400000-{}/{}", MODEL.len() - 1, MODEL.len()))
            .with("ETag", "\"v1\""),
        _ => Reply::file(request, &MODEL, Some("\"v1\"")),
    });
    let setup = Setup::new(&server.url());
    setup.assert_installed(&setup.resolve().unwrap());
    assert_eq!(server.offsets(), [None, Some(500_000), None]);
}

#[test]
fn a_range_behind_the_end_starts_over() {
    let server = Server::new(|request, number| match number {
        0 => Reply::file(request, &MODEL, Some("\"v1\"")).cut_after(500_000),
        1 => Reply::status(416),
        _ => Reply::file(request, &MODEL, Some("\"v1\"")),
    });
    let setup = Setup::new(&server.url());
    setup.assert_installed(&setup.resolve().unwrap());
    assert_eq!(server.offsets(), [None, Some(500_000), None]);
}

#[test]
fn a_wrong_digest_removes_the_file_and_tells_both() {
    let server = Server::new(|request, _| Reply::file(request, &OTHER, Some("\"v1\"")));
    let setup = Setup::new(&server.url());
    let error = setup.resolve().unwrap_err();
    assert!(matches!(error, ModelError::WrongDigest { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains(&sha256(&MODEL)) && message.contains(&sha256(&OTHER)), "{message}");
    assert_eq!(setup.listing(), ["ggml-tiny.bin.lock"]);
}

#[test]
fn a_damaged_part_of_an_earlier_run_is_fetched_anew() {
    let server = Server::cutting_once(&MODEL, "\"v1\"", 500_000);
    let mut setup = Setup::new(&server.url());
    setup.hub.patience.tries = 1;
    setup.resolve().unwrap_err();
    fs::write(setup.part(), vec![0xEE; 500_000]).unwrap();
    setup.assert_installed(&setup.resolve().unwrap());
    assert_eq!(server.offsets(), [None, Some(500_000), None]);
}

#[test]
fn a_hub_that_announces_another_file_is_not_downloaded_from() {
    let server = Server::new(|request, _| Reply::file(request, &OTHER, Some(&format!("\"{}\"", sha256(&OTHER)))));
    let setup = Setup::new(&server.url());
    let error = setup.resolve().unwrap_err();
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
        setup.assert_installed(&setup.resolve().unwrap());
    }
}

#[test]
fn a_file_nobody_vouches_for_is_not_installed() {
    let server = Server::new(|request, _| Reply::file(request, &MODEL, Some("\"v1\"")));
    let setup = Setup::unpinned(&server.url());
    let error = setup.resolve().unwrap_err();
    assert!(matches!(error, ModelError::Unverifiable { .. }), "{error}");
    assert_eq!(setup.listing(), ["ggml-tiny.bin.lock"]);
}

#[test]
fn the_etag_of_the_store_behind_the_hub_vouches_for_nothing() {
    let store =
        Server::new(|request, _| Reply::file(request, &MODEL, Some(&format!("\"{}\"", sha256(b"another hash")))));
    let address = store.url();
    let hub = Server::new(move |_, _| Reply::status(302).with("Location", &address));
    let error = Setup::unpinned(&hub.url()).resolve().unwrap_err();
    assert!(matches!(error, ModelError::Unverifiable { .. }), "{error}");
    // Nor does it speak against a file we know.
    let setup = Setup::new(&hub.url());
    setup.assert_installed(&setup.resolve().unwrap());
}

#[test]
fn a_file_that_is_no_model_is_not_installed_whatever_its_digest() {
    let page = b"<html><body>Please log in</body></html>";
    let server = Server::new(move |request, _| Reply::file(request, page, None).with("X-Linked-ETag", &sha256(page)));
    let setup = Setup::unpinned(&server.url());
    let error = setup.resolve().unwrap_err();
    assert!(matches!(&error, ModelError::NotAModel { path, .. } if path.ends_with("ggml-tiny.bin")), "{error}");
    assert!(error.to_string().contains("a web page"), "{error}");
    assert_eq!(setup.listing(), ["ggml-tiny.bin.lock"]);
}

#[test]
fn a_missing_file_at_the_hub_is_called_so() {
    let server = Server::new(|_, _| Reply::status(404));
    let error = Setup::new(&server.url()).resolve().unwrap_err();
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
    let mut setup = Setup::new(&server.url());
    let error = setup.resolve().unwrap_err();
    assert!(matches!(error, ModelError::Denied { status: 401, token_sent: false, .. }), "{error}");
    assert!(error.to_string().contains("HF_TOKEN"), "{error}");

    setup.hub.token = Token::new("hf_bad");
    let error = setup.resolve().unwrap_err();
    assert!(matches!(error, ModelError::Denied { status: 403, token_sent: true, .. }), "{error}");
    assert!(!error.to_string().contains("hf_bad"), "{error}");

    setup.hub.token = Token::new("hf_good");
    setup.assert_installed(&setup.resolve().unwrap());
}

#[test]
fn the_token_is_not_shown_to_the_store_behind_the_hub() {
    let store = Server::cutting_once(&MODEL, "\"store\"", 400_000);
    let address = store.url();
    let hub = Server::new(move |request, _| {
        if request.line.contains("/moved/") {
            return Reply::status(302)
                .with("Location", &format!("{address}/blob?signature=x"))
                .with("X-Linked-ETag", &format!("\"{}\"", sha256(&MODEL)))
                .with("X-Linked-Size", &MODEL.len().to_string());
        }
        Reply::status(307).with("Location", "/moved/ggml-tiny.bin")
    });
    let mut setup = Setup::unpinned(&hub.url());
    setup.hub.token = Token::new("hf_secret");
    setup.assert_installed(&setup.resolve().unwrap());

    let (asked, fetched) = (hub.requests(), store.requests());
    assert_eq!((asked.len(), fetched.len()), (4, 2));
    assert!(asked.iter().all(|request| request.header("authorization") == Some("Bearer hf_secret")));
    assert!(fetched.iter().all(|request| request.header("authorization").is_none()));
    assert_eq!(store.offsets(), [None, Some(400_000)]);
}

#[test]
fn an_expired_address_of_the_store_is_asked_for_anew() {
    let store = Server::new(|request, number| match number {
        0 => Reply::status(403),
        _ => Reply::file(request, &MODEL, None),
    });
    let address = store.url();
    let hub = Server::new(move |_, _| Reply::status(302).with("Location", &address));
    let setup = Setup::new(&hub.url());
    setup.assert_installed(&setup.resolve().unwrap());
    assert_eq!(hub.requests().len(), 2);
}

#[test]
fn redirects_in_a_circle_end() {
    let server = Server::new(|request, _| Reply::status(302).with("Location", request.line.split(' ').nth(1).unwrap()));
    let error = Setup::new(&server.url()).resolve().unwrap_err();
    assert!(error.to_string().contains("redirects without end"), "{error}");
}

#[test]
fn a_busy_hub_is_asked_again() {
    let server = Server::new(|request, number| match number {
        0 => Reply::status(503),
        1 => Reply::status(429).with("Retry-After", "0"),
        _ => Reply::file(request, &MODEL, None),
    });
    let setup = Setup::new(&server.url());
    setup.assert_installed(&setup.resolve().unwrap());
}

#[test]
fn offline_no_request_is_made_and_the_mend_is_told() {
    let server = Server::new(|request, _| Reply::file(request, &MODEL, None));
    let mut setup = Setup::new(&server.url());
    setup.hub.offline = true;
    let error = setup.resolve().unwrap_err();
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
    let error = setup.resolve().unwrap_err();
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
    let error = setup.resolve().unwrap_err();
    assert!(matches!(error, ModelError::Network { .. } | ModelError::Answer { .. }), "{error}");
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let mut setup = Setup::new("huggingface.co");
    let error = setup.resolve().unwrap_err();
    assert!(matches!(error, ModelError::Setting { variable: "HF_ENDPOINT", .. }), "{error}");

    setup.hub.endpoint = "http://127.0.0.1:9".into();
    setup.hub.proxies.http = Some(("HTTP_PROXY", "gopher://user:secret@proxy".into()));
    let error = setup.resolve().unwrap_err();
    assert!(matches!(error, ModelError::Setting { variable: "HTTP_PROXY", .. }), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");

    setup.hub.proxies = Proxies::default();
    setup.hub.authorities = Some("no-such.pem".into());
    let error = setup.resolve().unwrap_err();
    assert!(matches!(error, ModelError::Setting { variable: "SSL_CERT_FILE", .. }), "{error}");
}

#[test]
fn a_proxy_is_gone_through_unless_the_host_is_spared() {
    let server = Server::new(|request, _| Reply::file(request, &MODEL, None));
    // A proxy that does one CONNECT.
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = proxy.local_addr().unwrap();
    let tunnel = thread::spawn(move || {
        let (mut client, _) = proxy.accept().unwrap();
        let request = read_request(&client).unwrap();
        let mut hub = TcpStream::connect(request.line.split(' ').nth(1).unwrap()).unwrap();
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let (mut up, mut to_hub) = (client.try_clone().unwrap(), hub.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut up, &mut to_hub));
        let _ = std::io::copy(&mut hub, &mut client);
        let _ = client.shutdown(std::net::Shutdown::Both);
        request.line
    });
    let mut setup = Setup::new(&server.url());
    setup.hub.proxies.http = Some(("HTTP_PROXY", format!("http://{address}")));
    setup.assert_installed(&setup.resolve().unwrap());
    assert_eq!(tunnel.join().unwrap(), format!("CONNECT {} HTTP/1.1", server.address));

    // The proxy is gone now: only a direct connection can succeed.
    let mut setup = Setup::new(&server.url());
    setup.hub.proxies.http = Some(("HTTP_PROXY", format!("http://{address}")));
    setup.hub.proxies.bypass = vec!["127.0.0.1".into()];
    setup.assert_installed(&setup.resolve().unwrap());
}

#[test]
fn those_that_want_the_same_model_share_one_download() {
    let server = Server::new(|request, _| {
        thread::sleep(Duration::from_millis(150));
        Reply::file(request, &MODEL, None)
    });
    let setup = Setup::new(&server.url());
    thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(|| setup.resolve().unwrap())).collect();
        for one in all {
            assert_eq!(one.join().unwrap(), setup.models().join("ggml-tiny.bin"));
        }
    });
    setup.assert_installed(&setup.models().join("ggml-tiny.bin"));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_cancelled_wait_for_anothers_download_ends() {
    let server = Server::new(|request, _| Reply::file(request, &MODEL, None).stalling_after(10));
    let setup = Setup::new(&server.url());
    let (first, second) = (CancelToken::new(), CancelToken::new());
    thread::scope(|scope| {
        let holder = scope.spawn(|| setup.registry().resolve("tiny", &first, &mut |_| {}));
        while server.requests().is_empty() {
            thread::sleep(Duration::from_millis(5));
        }
        let waiter = scope.spawn(|| setup.registry().resolve("tiny", &second, &mut |_| {}));
        second.cancel();
        assert!(matches!(waiter.join().unwrap(), Err(ModelError::Cancelled)));
        first.cancel();
        assert!(matches!(holder.join().unwrap(), Err(ModelError::Cancelled)));
    });
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_cancelled_download_ends_at_once_and_can_be_resumed() {
    let server = Server::new(|request, number| {
        let reply = Reply::file(request, &MODEL, Some("\"v1\""));
        if number == 0 {
            reply.stalling_after(200_000)
        } else {
            reply
        }
    });
    let setup = Setup::new(&server.url());
    let cancel = CancelToken::new();
    let started = Instant::now();
    let result = setup.registry().resolve("tiny", &cancel, &mut |progress| {
        // The next read waits for bytes that never come; only the token can end it in time.
        if progress.downloaded == 200_000 {
            let later = cancel.clone();
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(50));
                later.cancel();
            });
        }
    });
    assert!(matches!(result, Err(ModelError::Cancelled)));
    assert!(started.elapsed() < Duration::from_secs(4));
    setup.assert_installed(&setup.resolve().unwrap());
    assert_eq!(server.offsets(), [None, Some(200_000)]);
}

#[test]
fn a_hub_that_falls_silent_is_asked_again() {
    let server = Server::new(|request, number| {
        let reply = Reply::file(request, &MODEL, Some("\"v1\""));
        if number == 0 {
            reply.stalling_after(200_000)
        } else {
            reply
        }
    });
    let mut setup = Setup::new(&server.url());
    setup.hub.patience.read = Duration::from_millis(500);
    setup.assert_installed(&setup.resolve().unwrap());
    assert_eq!(server.offsets(), [None, Some(200_000)]);
}

#[test]
fn the_first_folder_that_can_be_written_to_is_taken() {
    let server = Server::new(|request, _| Reply::file(request, &MODEL, None));
    let setup = Setup::new(&server.url());
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
    let server = Server::new(|request, _| Reply::file(request, &MODEL, None));
    let setup = Setup::new(&server.url());
    fs::create_dir_all(setup.models()).unwrap();
    std::os::unix::fs::symlink("/dev/full", setup.part()).unwrap();
    let error = setup.resolve().unwrap_err();
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

#[test]
fn a_file_already_here_is_inspected_before_it_is_handed_out() {
    let server = Server::new(|request, _| Reply::file(request, &MODEL, None));
    let setup = Setup::new(&server.url());
    fs::create_dir_all(setup.models()).unwrap();
    fs::write(setup.models().join("ggml-tiny.bin"), &MODEL[..1000]).unwrap();
    let error = setup.resolve().unwrap_err();
    assert!(matches!(error, ModelError::NotAModel { .. }), "{error}");
    assert!(error.to_string().contains("cut off after 1000 bytes"), "{error}");
}

#[test]
fn aliases_download_the_file_they_stand_for() {
    let server = Server::new(|_, _| Reply::status(404));
    let setup = Setup::new(&server.url());
    for (name, file) in [("large", "ggml-large-v3.bin"), ("turbo", "ggml-large-v3-turbo.bin")] {
        setup.registry().resolve(name, &CancelToken::new(), &mut |_| {}).unwrap_err();
        assert!(server.requests().last().unwrap().line.contains(&format!("/{file} ")));
    }
}

#[test]
fn unknown_names_are_refused_without_a_request() {
    let server = Server::new(|_, _| Reply::status(404));
    let error = Setup::new(&server.url()).registry().resolve("tiny.eng", &CancelToken::new(), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("did you mean tiny.en?"), "{error}");
    assert!(server.requests().is_empty());
}
