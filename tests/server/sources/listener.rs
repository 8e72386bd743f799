//! Somebody who listens to a camera for a long time and knows what it says when.

use std::fmt;

use e2e_tests::clips::Composition;
use e2e_tests::wer::{word_errors, WordErrors};
use serde_json::Value;
use tokio::time::{timeout_at, Instant};

use super::{at, becomes, declare, unix};
use crate::support::camera::Camera;
use crate::support::client::Receiver;
use crate::support::events::subscribe;
use crate::support::server::Server;

/// Seconds by which the start of speech may be off.
const TOLERANCE: f64 = 0.3;
/// Percent of the words that may be wrong.
const WRONG: f64 = 5.0;
/// The same over G.711.
const WRONG_ON_THE_TELEPHONE: f64 = 10.0;

/// See the module.
pub(super) struct Listener {
    pub(super) name: String,
    receiver: Receiver,
    said: Composition,
    /// When the camera began, seconds since 1970.
    begun: f64,
    /// Percent of the words that may be wrong.
    percent: f64,
    /// Number of the utterance that is being heard, and its text so far.
    current: Option<(i64, String)>,
    since: Option<Instant>,
    pub(super) partials: u64,
    utterances: u64,
    errors: WordErrors,
    /// The most by which a start was off, seconds.
    furthest: f64,
    /// Time of day less stream time: of the first utterance, and the most by which another's was different.
    offset: Option<f64>,
    drift: f64,
}

impl Listener {
    /// Declares the camera's stream as a source, which is the `number`th (from 0) to ask for it.
    pub(super) async fn start(
        server: &Server,
        camera: &Camera,
        name: &str,
        stream: &str,
        number: usize,
        said: &Composition,
    ) -> Self {
        let view = declare(server, at(name, &camera.url(stream))).await;
        becomes(server, name, "streaming").await;
        Self {
            name: name.to_owned(),
            receiver: subscribe(server, view["session_id"].as_str().unwrap(), 0).await,
            said: said.clone(),
            begun: camera.captured_by(stream, number).await,
            percent: if stream.starts_with("pcm") { WRONG_ON_THE_TELEPHONE } else { WRONG },
            current: None,
            since: None,
            partials: 0,
            utterances: 0,
            errors: WordErrors::default(),
            furthest: 0.0,
            offset: None,
            drift: 0.0,
        }
    }

    /// Listens until then.
    pub(super) async fn listen(&mut self, end: Instant) {
        while let Ok(message) = timeout_at(end, self.receiver.next()).await {
            let kind = message["type"].as_str().unwrap();
            assert!(kind != "error" && kind != "closed", "{}: {message}", self.name);
            assert!(message["status"] != "waiting" && message["status"] != "failed", "{}: {message}", self.name);
            self.partials += u64::from(kind == "partial");
            if kind == "final" && message["text"] != "" {
                self.heard(&message);
            }
        }
    }

    /// The last message, of a source that is taken back.
    pub(super) async fn rest(mut self) -> Value {
        self.receiver.rest().await.pop().unwrap()
    }

    /// A final; before the first report of the camera nobody knows which utterance it is of.
    fn heard(&mut self, last: &Value) {
        let Some(captured) = last.get("captured_at").map(unix) else { return };
        let (number, off) = self.find(captured - self.begun, last);
        let text = last["text"].as_str().unwrap();
        if let Some((current, so_far)) = &mut self.current {
            if *current == number {
                *so_far += text;
                return;
            }
            assert_eq!(number, *current + 1, "{}: something is missing before {last}", self.name);
        }
        self.close();
        self.current = Some((number, text.to_owned()));
        self.since.get_or_insert_with(Instant::now);
        self.furthest = self.furthest.max(off.abs());
        let offset = captured - last["start"].as_f64().unwrap();
        let first = *self.offset.get_or_insert(offset);
        self.drift = self.drift.max((offset - first).abs());
        assert!(self.drift <= TOLERANCE, "{} drifts by {} s: {last}", self.name, self.drift);
    }

    /// Which utterance begins or goes on `seconds` after the camera began, and how far off its start is.
    fn find(&self, seconds: f64, last: &Value) -> (i64, f64) {
        let (round, within) = (seconds.div_euclid(self.said.seconds()), seconds.rem_euclid(self.said.seconds()));
        let spoken = self.said.spoken.iter().rposition(|spoken| spoken.start - TOLERANCE <= within);
        let at = spoken.unwrap_or_else(|| panic!("{}: {within} s is before all that is said: {last}", self.name));
        let number = round as i64 * self.said.spoken.len() as i64 + at as i64;
        let off = within - self.said.spoken[at].start;
        let goes_on = self.current.as_ref().is_some_and(|(current, _)| *current == number);
        if goes_on && within <= self.said.spoken[at].end {
            return (number, 0.0);
        }
        assert!(off.abs() <= TOLERANCE, "{} is {off} s off: {last}", self.name);
        (number, off)
    }

    /// The utterance that was being heard is over.
    fn close(&mut self) {
        let Some((number, text)) = self.current.take() else { return };
        let spoken = &self.said.spoken[number.rem_euclid(self.said.spoken.len() as i64) as usize];
        let errors = word_errors(&spoken.text, &text);
        if errors.errors() > 0 {
            println!("{}: {errors}", self.name);
        }
        self.errors += errors;
        self.utterances += 1;
    }

    /// Fails unless it understood everything, up to what may be under way still.
    pub(super) fn missed_nothing(&self) {
        let Some(since) = self.since else { panic!("{} has heard nothing", self.name) };
        let rounds = since.elapsed().as_secs_f64() / self.said.seconds();
        let expected = (rounds - 2.0).max(1.0) * self.said.spoken.len() as f64;
        assert!(self.utterances as f64 >= expected, "{self}, and should have been {expected}");
        assert!(self.errors.percent() <= self.percent, "{self}");
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} utterances, {:.2} % of {} words wrong, {} partials; starts at most {:.3} s off, drift {:.3} s",
            self.name,
            self.utterances,
            self.errors.percent(),
            self.errors.reference_words,
            self.partials,
            self.furthest,
            self.drift,
        )
    }
}
