//! Spans are collected and sent by a thread of their own. A collector that is slow or gone costs spans, and nothing else.

use std::str::FromStr;
use std::sync::mpsc::{sync_channel, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ureq::http::{HeaderName, HeaderValue, Uri};

use super::{otlp, Span};
use crate::metrics::Metrics;

/// Spans that wait to be sent; more are dropped.
const WAITING: usize = 4_096;
/// Spans of a request.
const BATCH: usize = 512;
/// How long a span waits for others to be sent with.
const EVERY: Duration = Duration::from_secs(5);
/// For a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// A header of a request, as `NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    name: HeaderName,
    value: HeaderValue,
}

impl FromStr for Header {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("a header is NAME=VALUE")?;
        let name = name.trim().parse().map_err(|_| "this is no name of a header")?;
        let value = value.trim().parse().map_err(|_| "this can't be the value of a header")?;
        Ok(Self { name, value })
    }
}

/// The address that spans are sent to, of a collector at `endpoint`.
pub(crate) fn url(endpoint: &str) -> Result<Uri, String> {
    let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let url = url.parse::<Uri>().map_err(|error| error.to_string())?;
    match url.scheme_str() {
        Some("http" | "https") => Ok(url),
        _ => Err("it has to begin with http:// or https://".to_owned()),
    }
}

/// See the module.
pub(crate) struct Exporter {
    spans: Mutex<Option<SyncSender<Span>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    metrics: Arc<Metrics>,
}

impl Exporter {
    /// Begins to send.
    pub(crate) fn start(url: Uri, headers: Vec<Header>, metrics: Arc<Metrics>) -> std::io::Result<Arc<Self>> {
        let (sender, spans) = sync_channel(WAITING);
        let theirs = metrics.clone();
        let thread =
            thread::Builder::new().name("traces".into()).spawn(move || send_all(&spans, &url, &headers, &theirs))?;
        Ok(Arc::new(Self { spans: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)), metrics }))
    }

    /// Sends it some time. Returns at once.
    pub(crate) fn export(&self, span: Span) {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        if spans.as_ref().is_none_or(|spans| spans.try_send(span).is_err()) {
            self.metrics.spans_dropped(1);
        }
    }

    /// Sends what there is and ends; waits for one request at most.
    pub(crate) fn finish(&self) {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that sends traces broke");
        }
    }
}

fn send_all(spans: &Receiver<Span>, url: &Uri, headers: &[Header], metrics: &Metrics) {
    let agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build().into();
    let mut well = true;
    while let Some(batch) = next_batch(spans) {
        match send(&agent, url, headers, &batch) {
            Ok(()) if well => {}
            Ok(()) => tracing::info!(%url, "traces are taken again"),
            Err(error) => {
                metrics.spans_dropped(batch.len() as u64);
                // Once is enough.
                if well {
                    tracing::warn!(%url, %error, "traces are not taken");
                }
                well = false;
                continue;
            }
        }
        well = true;
    }
}

/// Spans for a request; none when there will be no more.
fn next_batch(spans: &Receiver<Span>) -> Option<Vec<Span>> {
    let mut batch = vec![spans.recv().ok()?];
    let until = Instant::now() + EVERY;
    while batch.len() < BATCH {
        match spans.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(span) => batch.push(span),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    Some(batch)
}

fn send(agent: &ureq::Agent, url: &Uri, headers: &[Header], spans: &[Span]) -> Result<(), Box<ureq::Error>> {
    let mut request = agent.post(url.clone()).header("content-type", "application/json");
    for Header { name, value } in headers {
        request = request.header(name.clone(), value.clone());
    }
    request.send(otlp::request(spans).to_string())?;
    Ok(())
}
