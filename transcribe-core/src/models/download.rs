//! One download of a named model: into a part, resumed where it stopped, verified, then put in its place.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::checksum::Checksum;
use super::error::{ModelError, Wanted};
use super::ggml;
use super::http::{Answer, Client, Failure};
use super::hub::Hub;
use super::locate::Places;
use super::lock::Lock;
use super::names;
use super::part::{Origin, Part};
use super::repository::Entry;
use super::Progress;
use crate::engine::CancelToken;

/// Bytes read at a time; progress is told as often.
const CHUNK: usize = 1 << 17;
/// A try that brings this many bytes was no failure, whatever ended it.
const WORTHWHILE: u64 = 1 << 20;
/// No Whisper model is bigger; what goes on longer would only fill the disk.
const BIGGEST: u64 = 16 << 30;
/// Tries when the hub was not reached at all: nobody wants to wait long to learn that there is no network.
pub(super) const TRIES_UNREACHED: u32 = 2;
/// Longest wait a server may ask for.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Between two looks at the cancel token.
const LOOK: Duration = Duration::from_millis(20);

/// Downloads the model of a canonical name, and tells its path.
pub(super) fn download(
    hub: &Hub,
    places: &Places,
    name: &str,
    cancel: &CancelToken,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, ModelError> {
    let file = names::file_name(name);
    let wanted = Wanted { name: name.into(), url: hub.url(&file), file, folders: places.folders.clone() };
    if hub.offline {
        return Err(ModelError::Offline { wanted: Box::new(wanted) });
    }
    let client = Client::new(hub)?;
    let (folder, lock) = folder(places, &wanted, &Path::to_owned, &wanted.file)?;
    let lock = Lock::acquire(lock, cancel)?;
    let path = folder.join(&wanted.file);
    if !path.is_file() {
        let part = Part::of(folder, &wanted.file, &wanted.url);
        let mut download = Download {
            hub,
            client: &client,
            known: hub.digests.of(name).map(|hex| Checksum::Sha256(hex.to_owned())),
            inspect: &|path| ggml::inspect(path).map(drop),
            wanted: &wanted,
            cancel,
            progress,
            part,
            resumed_from: 0,
            reached: false,
        };
        tracing::info!(model = name, url = wanted.url, path = %path.display(), "downloading a model");
        watched(cancel, &client, || download.run(&path))?;
        tracing::info!(model = name, path = %path.display(), "model downloaded");
    }
    lock.finish();
    Ok(path)
}

/// Downloads of a folder's files.
pub(super) struct Fetch<'a> {
    pub(super) hub: &'a Hub,
    pub(super) client: &'a Client<'a>,
    pub(super) wanted: &'a Wanted,
    pub(super) cancel: &'a CancelToken,
}

impl Fetch<'_> {
    /// Puts a file into `folder`, unless it is there already; tells how much of it an earlier run had left.
    pub(super) fn file(
        &self,
        folder: &Path,
        entry: &Entry,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<u64, ModelError> {
        let path = folder.join(&entry.name);
        if path.metadata().is_ok_and(|metadata| metadata.len() == entry.size) {
            let disk = |source| ModelError::Disk { path: path.clone(), source };
            let here = entry.checksum.of(&path, self.cancel).map_err(disk)?.ok_or(ModelError::Cancelled)?;
            if here == entry.checksum.hex() {
                progress(Progress { downloaded: entry.size, total: Some(entry.size), resumed_from: entry.size });
                return Ok(entry.size);
            }
        }
        let mut download = Download {
            hub: self.hub,
            client: self.client,
            known: Some(entry.checksum.clone()),
            inspect: &|_| Ok(()), // the whole folder is looked at when it is complete
            wanted: self.wanted,
            cancel: self.cancel,
            progress,
            part: Part::of(folder, &entry.name, &self.wanted.url),
            resumed_from: 0,
            reached: false,
        };
        download.run(&path)?;
        Ok(download.resumed_from)
    }
}

/// The first folder that takes downloads, with the file to lock: `file`, in what `below` makes of the folder.
pub(super) fn folder<'a>(
    places: &'a Places,
    wanted: &Wanted,
    below: &dyn Fn(&Path) -> PathBuf,
    file: &str,
) -> Result<(&'a Path, (PathBuf, std::fs::File)), ModelError> {
    let mut tried = Vec::new();
    for folder in &places.install {
        match Lock::prepare(&below(folder), file) {
            Ok(lock) => return Ok((folder, lock)),
            Err(e) => {
                tracing::debug!(folder = %folder.display(), error = %e, "folder takes no downloads");
                tried.push(format!("{}: {e}", folder.display()));
            }
        }
    }
    if tried.is_empty() {
        tried.push("neither WHISPER_MODELS_DIR nor a home folder is set".into());
    }
    Err(ModelError::NoFolder { wanted: Box::new(wanted.clone()), tried })
}

/// Does `work` while another thread breaks the connections if `cancel` is set, so that no read outlasts it.
pub(super) fn watched<T>(
    cancel: &CancelToken,
    client: &Client<'_>,
    work: impl FnOnce() -> Result<T, ModelError>,
) -> Result<T, ModelError> {
    thread::scope(|scope| {
        let (done, watch) = mpsc::channel::<()>();
        scope.spawn(move || {
            while watch.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                if cancel.is_cancelled() {
                    client.shut_down();
                    return;
                }
            }
        });
        let result = work();
        drop(done);
        result
    })
}

/// Waits, unless it is cancelled.
pub(super) fn pause(cancel: &CancelToken, pause: Duration) -> Result<(), ModelError> {
    let end = Instant::now() + pause;
    loop {
        look(cancel)?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(LOOK));
    }
}

fn look(cancel: &CancelToken) -> Result<(), ModelError> {
    if cancel.is_cancelled() {
        Err(ModelError::Cancelled)
    } else {
        Ok(())
    }
}

/// Whether both are known and not the same.
fn differ<T: PartialEq>(a: &Option<T>, b: &Option<T>) -> bool {
    a.is_some() && b.is_some() && a != b
}

/// Why a try ended without the whole file.
enum Stop {
    /// Nothing more can be done.
    Fatal(ModelError),
    /// Worth another try, after a pause that the server may ask to be longer.
    Broken(String, Option<Duration>),
    /// What is here is of another file than the hub's; worth another try at once, from the start.
    Stale(&'static str),
}

impl From<ModelError> for Stop {
    fn from(error: ModelError) -> Self {
        Self::Fatal(error)
    }
}

struct Download<'a> {
    hub: &'a Hub,
    client: &'a Client<'a>,
    /// What the file is known by, where we know it beforehand.
    known: Option<Checksum>,
    /// Whether the verified file can be used.
    inspect: &'a dyn Fn(&Path) -> Result<(), ModelError>,
    wanted: &'a Wanted,
    cancel: &'a CancelToken,
    progress: &'a mut dyn FnMut(Progress),
    part: Part,
    /// Bytes that an earlier run left us.
    resumed_from: u64,
    /// Whether the hub answered at all.
    reached: bool,
}

impl Download<'_> {
    fn run(&mut self, path: &Path) -> Result<(), ModelError> {
        self.resumed_from = if self.part.resumable() { self.part.len() } else { 0 };
        loop {
            self.fetch()?;
            match self.verify(path) {
                // What an earlier run left may have suffered since, as in a power failure.
                Err(ModelError::WrongDigest { .. }) if self.resumed_from > 0 => {
                    tracing::warn!(path = %path.display(), "the resumed download is damaged; starting over");
                    self.resumed_from = 0;
                }
                Err(error) => return Err(error),
                Ok(()) => return self.part.install(path),
            }
        }
    }

    /// Tries until all bytes are here, or patience ends.
    fn fetch(&mut self) -> Result<(), ModelError> {
        let mut failed = 0;
        loop {
            let before = self.part.len();
            let stop = match self.attempt() {
                Ok(()) => return Ok(()),
                Err(stop) => stop,
            };
            // Whatever it looked like: it was the watching thread that broke the connection.
            self.look()?;
            if self.part.len() >= before.saturating_add(WORTHWHILE) {
                failed = 0;
            }
            failed += 1;
            let (reason, pause) = match stop {
                Stop::Fatal(error) => return Err(error),
                Stop::Stale(reason) => (reason.to_string(), Duration::ZERO),
                Stop::Broken(reason, asked) => {
                    let pause = self.hub.patience.pause_after(failed);
                    (reason, asked.map_or(pause, |asked| asked.min(LONGEST_WAIT).max(pause)))
                }
            };
            let tries = self.hub.patience.tries;
            if failed >= if self.reached { tries } else { tries.min(TRIES_UNREACHED) } {
                return Err(ModelError::Network { wanted: self.wanted(), reason: self.with_gain(reason) });
            }
            tracing::warn!(url = self.wanted.url, reason, here = self.part.len(), "download interrupted; trying again");
            self.pause(pause)?;
        }
    }

    fn attempt(&mut self) -> Result<(), Stop> {
        if self.part.complete() && (self.known.is_some() || self.part.origin().digest.is_some()) {
            self.tell();
            return Ok(());
        }
        let offset = if self.part.resumable() { self.part.len() } else { 0 };
        // With a digest from the hub's own answer, that tells more surely whether the file is still the same.
        let if_range = self.part.origin().etag.as_deref().filter(|_| self.part.origin().digest.is_none());
        let answer = self.client.get(&self.wanted.url, offset, if_range).map_err(|failure| match failure {
            Failure::Passing(reason) => Stop::Broken(reason, None),
            Failure::Lasting(reason) => Stop::Fatal(self.unusable(reason)),
        })?;
        self.reached = true;
        match answer.status {
            206 if offset > 0 => {
                if let Some(difference) = self.difference(&answer, offset) {
                    self.part.discard();
                    self.resumed_from = 0;
                    return Err(Stop::Stale(difference));
                }
                let file = self.part.resume()?;
                self.take(answer, file)
            }
            200 => {
                self.resumed_from = 0;
                self.check_announced(&answer)?;
                let file = self.part.begin(Origin {
                    url: self.wanted.url.clone(),
                    etag: answer.strong_etag(),
                    digest: answer.digest.clone(),
                    total: answer.total(),
                })?;
                self.take(answer, file)
            }
            416 if offset > 0 => {
                self.part.discard();
                self.resumed_from = 0;
                Err(Stop::Stale("the file at the hub is shorter than what was here of it"))
            }
            // The store behind the hub knows no tokens: its address is signed, and the hub signs a new one.
            status @ (401 | 403) if !answer.from_endpoint => {
                Err(Stop::Broken(format!("the hub's store answers with status {status}"), None))
            }
            status @ (401 | 403) => Err(Stop::Fatal(ModelError::Denied {
                wanted: self.wanted(),
                status,
                token_sent: self.client.has_token(),
            })),
            status @ (404 | 410) => Err(Stop::Fatal(ModelError::NoSuchFile { wanted: self.wanted(), status })),
            status @ (408 | 429 | 500..) => {
                let wait = answer.retry_after().map(Duration::from_secs);
                Err(Stop::Broken(format!("the hub answers with status {status}"), wait))
            }
            status => Err(Stop::Fatal(self.unusable(format!("status {status}")))),
        }
    }

    /// Why a 206 can't be put behind what is here.
    fn difference(&self, answer: &Answer, offset: u64) -> Option<&'static str> {
        let origin = self.part.origin();
        match answer.range() {
            Some((start, total)) if start == offset && !differ(&total, &origin.total) => {}
            _ => return Some("the hub sent another range than the one asked for"),
        }
        if differ(&answer.digest, &origin.digest) {
            return Some("the file at the hub has changed");
        }
        let same_digest = answer.digest.is_some() && answer.digest == origin.digest;
        let etag = answer.strong_etag();
        (!same_digest && (etag.is_none() || etag != origin.etag)).then_some("the file at the hub may have changed")
    }

    /// Whether the file could be accepted at all, before gigabytes of it are fetched.
    fn check_announced(&self, answer: &Answer) -> Result<(), ModelError> {
        match (&self.known, &answer.digest) {
            (None, None) => Err(ModelError::Unverifiable { wanted: self.wanted() }),
            (Some(Checksum::Sha256(known)), Some(announced)) if !known.eq_ignore_ascii_case(announced) => {
                Err(ModelError::WrongFile { wanted: self.wanted(), expected: known.clone(), got: announced.clone() })
            }
            _ if answer.total().is_some_and(|total| total > BIGGEST) => Err(self.unusable("it is far too big".into())),
            _ => Ok(()),
        }
    }

    /// Reads the body into the part.
    fn take(&mut self, mut answer: Answer, mut file: std::fs::File) -> Result<(), Stop> {
        let total = self.part.origin().total;
        let mut body = answer.body.as_reader();
        let mut chunk = vec![0; CHUNK];
        self.tell();
        loop {
            self.look()?;
            let read = match body.read(&mut chunk) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Stop::Broken(format!("the connection broke: {e}"), None)),
            };
            if self.part.len() + read as u64 > total.unwrap_or(BIGGEST) {
                self.part.discard();
                return Err(Stop::Fatal(self.unusable("it is longer than announced".into())));
            }
            self.part.append(&mut file, &chunk[..read])?;
            self.tell();
        }
        match total {
            Some(total) if self.part.len() < total => Err(Stop::Broken("the connection ended early".into(), None)),
            _ => Ok(()),
        }
    }

    /// Checks digest and content; what fails is removed.
    fn verify(&mut self, path: &Path) -> Result<(), ModelError> {
        let announced = || self.part.origin().digest.clone().map(Checksum::Sha256);
        let Some(expected) = self.known.clone().or_else(announced) else {
            return Err(ModelError::Unverifiable { wanted: self.wanted() });
        };
        let got = self.part.digest(&expected, self.cancel)?;
        if !got.eq_ignore_ascii_case(expected.hex()) {
            self.part.discard();
            return Err(ModelError::WrongDigest { path: path.into(), expected: expected.hex().into(), got });
        }
        (self.inspect)(self.part.path()).map_err(|error| {
            self.part.discard();
            error.at(path)
        })
    }

    fn tell(&mut self) {
        let (downloaded, total) = (self.part.len(), self.part.origin().total);
        (self.progress)(Progress { downloaded, total, resumed_from: self.resumed_from });
    }

    fn pause(&self, pause: Duration) -> Result<(), ModelError> {
        self::pause(self.cancel, pause)
    }

    fn look(&self) -> Result<(), ModelError> {
        look(self.cancel)
    }

    fn with_gain(&self, reason: String) -> String {
        match self.part.len() {
            0 => reason,
            here => format!("{reason} ({here} bytes are here and need not be fetched again)"),
        }
    }

    fn unusable(&self, reason: String) -> ModelError {
        ModelError::Answer { wanted: self.wanted(), reason }
    }

    fn wanted(&self) -> Box<Wanted> {
        Box::new(self.wanted.clone())
    }
}
