//! What a declared source is: as it is written in settings and requests, and as it is shown.

use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use super::files::FileKind;
use super::Entry;
use crate::protocol::control::Configure;
use crate::protocol::problem::Problem;
use crate::protocol::results::{SourceState, StatusReport};
use crate::session::{Reason, State};
use crate::sources::pulled::{Address, Fingerprint, Protocol, Stream, Transport};

/// Letters of a name at most.
const LONGEST_NAME: usize = 64;

/// A stream that the server is to pull.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceSpec {
    /// Its name: letters, digits, `-` and `_`, 64 at most. Made up if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "name")]
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    pub(crate) name: Option<String>,
    /// Its address: `rtsp://`, `rtsps://`, `srt://`, `rtmp://`, `rtmps://`, `http://` or `https://`, with user name and
    /// password where they are needed. They are never shown again.
    #[serde(serialize_with = "reveal", deserialize_with = "address")]
    #[schema(value_type = String, example = "rtsp://viewer:password@camera.example/live")]
    pub(crate) url: Address,
    /// What carries the packets of RTSP.
    #[serde(default)]
    pub(crate) transport: Transport,
    /// Which of its audio tracks, from 0.
    #[serde(default)]
    pub(crate) audio_track: u32,
    /// Which channel of the track, from 0; all are mixed down without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 63)]
    pub(crate) channel: Option<u32>,
    /// Whether its end is a loss, so that it is connected anew. RTSP, SRT and RTMP are live, and of HTTP what has no length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) live: Option<bool>,
    /// Of `rtsps://`: the SHA-256 of a certificate that is taken though no authority vouches for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^([0-9A-Fa-f]{2}:?){32}$")]
    pub(crate) certificate_sha256: Option<Fingerprint>,
    /// Seconds without new audio after which it is connected anew; 10 by default, 30 for playlists (`.m3u8`).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "stall_timeout")]
    #[schema(minimum = 1, maximum = 3600)]
    pub(crate) stall_timeout_seconds: Option<u64>,
    /// Files that captions are written to, in the folder that the server's settings name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<FileKind>,
    /// How it is transcribed.
    #[serde(default)]
    pub(crate) settings: Configure,
}

/// Who declared a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    /// The server's settings.
    Settings,
    /// A client.
    Api,
}

/// A declared source.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct SourceView {
    /// Its name.
    pub(crate) name: String,
    /// Its address, without user name, password and what stands behind a `?`.
    url: String,
    /// Who declared it.
    declared_by: Origin,
    /// Names its session, for `/v1/sessions/{id}/events`.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    /// How it is; not there before the first attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<StatusReport>,
    /// Seconds since its first audio, up to its latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_seconds: Option<f64>,
    /// Why it has no session, or what the latest one ended for.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
    /// Sessions that were opened because the one before had ended by itself; each has a `session_id` of its own.
    reopened: u64,
    transport: Transport,
    audio_track: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<u32>,
    files: Vec<FileKind>,
    settings: Configure,
}

impl SourceSpec {
    /// Its name, or a new one.
    pub(crate) fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("source-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]))
    }

    /// Whether clients may ask for it: not for files of this machine.
    pub(crate) fn is_remote(&self) -> bool {
        self.url.protocol() != Protocol::File
    }

    /// For the source.
    pub(super) fn stream(&self) -> Stream {
        let mut stream = Stream::new(self.url.clone());
        stream.transport = self.transport;
        stream.audio_track = self.audio_track;
        stream.channel = self.channel;
        stream.live = self.live;
        stream.certificate = self.certificate_sha256;
        if let Some(seconds) = self.stall_timeout_seconds {
            stream.policy.stall_timeout = Duration::from_secs(seconds);
        }
        stream
    }
}

impl SourceView {
    /// Of what was declared.
    pub(super) fn new(name: &str, entry: &Entry) -> Self {
        let Entry { spec, session, .. } = entry;
        let there = session.as_ref().ok();
        let problem = problem(entry);
        Self {
            name: name.to_owned(),
            url: spec.url.to_string(),
            declared_by: entry.origin,
            session_id: there.map(|session| session.id().to_string()),
            state: state(entry, problem.as_ref()),
            stream_seconds: there.map(|session| session.heard()),
            problem,
            reopened: entry.reopened,
            transport: spec.transport,
            audio_track: spec.audio_track,
            channel: spec.channel,
            files: spec.files.clone(),
            settings: spec.settings.clone(),
        }
    }
}

/// What is wrong with it, if anything is.
fn problem(Entry { session, waiting, .. }: &Entry) -> Option<Problem> {
    match (waiting, session) {
        (Some(waiting), _) => Some(waiting.problem.clone()),
        (None, Ok(session)) => session.problem(),
        (None, Err(problem)) => Some(problem.clone()),
    }
}

/// How it is: without a session, what comes of that; otherwise what the session says of the connection.
fn state(Entry { session, waiting, .. }: &Entry, problem: Option<&Problem>) -> Option<StatusReport> {
    if let Some(waiting) = waiting {
        return Some(waiting.report(Instant::now()));
    }
    let over = session.as_ref().map_or(true, |session| session.state() == State::Closed(Reason::InvalidInput));
    match (problem, session) {
        (Some(problem), _) if over => Some(StatusReport::without_fault(SourceState::Failed, problem.detail.clone())),
        (_, Ok(session)) => session.status().as_ref().map(StatusReport::new),
        (_, Err(_)) => None,
    }
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let Some(name) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let fits = (1..=LONGEST_NAME).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !fits {
        return Err(serde::de::Error::custom(format!("name: letters, digits, - and _, at most {LONGEST_NAME}")));
    }
    Ok(Some(name))
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Address, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|reason| serde::de::Error::custom(format!("url: {reason}")))
}

fn stall_timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let seconds = Option::<u64>::deserialize(deserializer)?;
    if seconds.is_some_and(|seconds| !(1..=3_600).contains(&seconds)) {
        return Err(serde::de::Error::custom("stall_timeout_seconds: from 1 to 3600"));
    }
    Ok(seconds)
}

fn reveal<S: Serializer>(address: &Address, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(address.reveal())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<SourceSpec, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn an_address_is_enough_and_everything_can_be_named() {
        let spec = read(r#"{"url":"rtsp://camera.example/live"}"#).unwrap();
        assert_eq!((spec.transport, spec.audio_track, spec.channel), (Transport::Tcp, 0, None));
        assert!(spec.name().starts_with("source-") && spec.is_remote());
        let json = r#"{"name":"door","url":"rtsp://u:p@c/l","transport":"udp","audio_track":1,"channel":1,"live":true,
                       "stall_timeout_seconds":5,"files":["srt","jsonl"],"settings":{"language":"de"}}"#;
        let spec = read(json).unwrap();
        let stream = spec.stream();
        assert_eq!((stream.audio_track, stream.channel), (1, Some(1)));
        assert_eq!(stream.policy.stall_timeout, Duration::from_secs(5));
        let again: SourceSpec = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
        assert_eq!(again, spec, "what is kept is what is read");
    }

    #[test]
    fn what_is_shown_has_no_secrets() {
        let spec = read(r#"{"name":"door","url":"rtsp://viewer:s3cret@camera/live?key=s3cret"}"#).unwrap();
        let problem = Err(Problem::new(crate::protocol::problem::Kind::NotReady, "later"));
        let entry = Entry::new(spec.clone(), Origin::Api, crate::access::Client::default(), &problem);
        let view = SourceView::new("door", &entry);
        let shown = serde_json::to_string(&view).unwrap() + &format!("{spec:?}");
        assert!(!shown.contains("s3cret") && shown.contains("rtsp://***@camera/live?***"), "{shown}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, named) in [
            ("{}", "url"),
            (r#"{"url":"camera"}"#, "url"),
            (r#"{"url":"ftp://a/b"}"#, "rtsp"),
            (r#"{"url":"rtsp://a","name":"../x"}"#, "name"),
            (r#"{"url":"rtsp://a","nme":"x"}"#, "nme"),
            (r#"{"url":"rtsp://a","transport":"pigeon"}"#, "pigeon"),
            (r#"{"url":"rtsp://a","stall_timeout_seconds":0}"#, "stall_timeout_seconds"),
            (r#"{"url":"rtsps://a","certificate_sha256":"00"}"#, "certificate_sha256"),
            (r#"{"url":"rtsp://a","files":["doc"]}"#, "doc"),
            (r#"{"url":"rtsp://a","settings":{"model":"large"}}"#, "model"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(named), "{json}: {error}");
        }
        assert!(!read(r#"{"url":"file:///etc/passwd"}"#).unwrap().is_remote());
    }
}
