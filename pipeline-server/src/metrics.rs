//! Figures for operators, in the text format of Prometheus (OpenMetrics).
//!
//! Sessions count here what they do; what the shared model does is read from the element when somebody asks.

use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::protocol::problem::Kind;
use crate::session::Reason;
use crate::supervise::decide::Status;

/// Content type of [`Metrics::text`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper ends of the buckets for the latency of finals, in seconds; `min-silence`, 0.5 s, is part of it.
const LATENCIES: [f64; 12] = [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 60.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Source {
    source: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct End {
    source: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Unlabelled {}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Name {
    name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceFault {
    source: &'static str,
    fault: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Why {
    why: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Problem {
    kind: &'static str,
}

/// See the module.
pub(crate) struct Metrics {
    registry: Registry,
    active: Family<Source, Gauge>,
    opened: Family<Source, Counter>,
    closed: Family<End, Counter>,
    audio: Family<Source, Counter<f64, AtomicU64>>,
    streaming: Family<Name, Gauge>,
    reopened: Family<Name, Counter>,
    connections: Family<Source, Counter>,
    faults: Family<SourceFault, Counter>,
    finals: Counter,
    latency: Histogram,
    skipped: Counter,
    errors: Family<Problem, Counter>,
    refused: Family<Problem, Counter>,
    load: Reading,
    rtp_dropped: Family<Why, Counter>,
    /// Empty where the server is no extension of a PBX.
    registered: Family<Unlabelled, Gauge>,
    spans_dropped: Counter,
    handshakes_failed: Counter,
    certificates_rejected: Counter,
    /// Empty without TLS.
    certificate_expiry: Family<Unlabelled, Gauge>,
    model: ModelGauges,
}

type Reading = Gauge<f64, AtomicU64>;

/// What is read from the element.
#[derive(Default)]
struct ModelGauges {
    real_time_factor: Reading,
    queued: Reading,
    busy: Reading,
    cores: Reading,
    partials_dropped: Reading,
    least_interval: Reading,
}

impl Metrics {
    /// All at nought.
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("pipeline_server"),
            active: Family::default(),
            opened: Family::default(),
            closed: Family::default(),
            audio: Family::default(),
            streaming: Family::default(),
            reopened: Family::default(),
            connections: Family::default(),
            faults: Family::default(),
            finals: Counter::default(),
            latency: Histogram::new(LATENCIES),
            skipped: Counter::default(),
            errors: Family::default(),
            refused: Family::default(),
            load: Reading::default(),
            rtp_dropped: Family::default(),
            registered: Family::default(),
            spans_dropped: Counter::default(),
            handshakes_failed: Counter::default(),
            certificates_rejected: Counter::default(),
            certificate_expiry: Family::default(),
            model: ModelGauges::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("sessions", "Sessions that are there", self.active.clone());
        registry.register("sessions_opened", "Sessions that began", self.opened.clone());
        registry.register("sessions_closed", "Sessions that ended, and why", self.closed.clone());
        registry.register_with_unit("audio", "Audio that came in", Unit::Seconds, self.audio.clone());
        let help = "Whether audio comes from a declared source, by its name";
        registry.register("source_streaming", help, self.streaming.clone());
        let help = "Sessions of a declared source that were opened because the one before had ended by itself";
        registry.register("source_sessions_reopened", help, self.reopened.clone());
        registry.register("source_connections", "Connections from which audio came", self.connections.clone());
        registry.register("source_faults", "Connections that were lost or could not be made", self.faults.clone());
        registry.register("finals", "Finals that hold words", self.finals.clone());
        let help = "From the arrival of the end of an utterance to its final";
        registry.register_with_unit("final_latency", help, Unit::Seconds, self.latency.clone());
        let help = "Partial results that newer ones replaced before a slow reader took them";
        registry.register("partials_skipped", help, self.skipped.clone());
        registry.register("errors", "Errors that clients were told of", self.errors.clone());
        registry.register("refused", "Sessions that were not let in", self.refused.clone());
        let help = "What sessions need of the cores that they share, 1 = all; none are let in from max-load on";
        registry.register("load", help, self.load.clone());
        let help = "Packets of audio that were not taken: foreign address, malformed, unexpected payload type";
        registry.register("rtp_packets_dropped", help, self.rtp_dropped.clone());
        registry.register("sip_registered", "Whether the PBX has the server registered", self.registered.clone());
        let help = "Spans of traces that the collector did not take";
        registry.register("trace_spans_dropped", help, self.spans_dropped.clone());
        registry.register("tls_handshakes_failed", "TLS handshakes that failed", self.handshakes_failed.clone());
        let help = "New certificates that could not be used, so that the one before stayed";
        registry.register("tls_certificates_rejected", help, self.certificates_rejected.clone());
        let help = "When the certificate in use expires, since 1970";
        registry.register_with_unit("tls_certificate_expiry", help, Unit::Seconds, self.certificate_expiry.clone());
        let model = &self.model;
        let help = "Time in the engine for each second of audio";
        registry.register("model_real_time_factor", help, model.real_time_factor.clone());
        let help = "Audio that waits for the engine";
        registry.register_with_unit("model_queued", help, Unit::Seconds, model.queued.clone());
        let help = "Time spent in the engine since the model was loaded";
        registry.register_with_unit("model_busy", help, Unit::Seconds, model.busy.clone());
        registry.register("model_cores", "Cores that all sessions share", model.cores.clone());
        let help = "Partial results that never ran because a newer one came or the utterance ended";
        registry.register("model_partials_dropped", help, model.partials_dropped.clone());
        let help = "Least interval between partial results that the load allows; 0 = as asked for";
        registry.register_with_unit("model_partial_interval", help, Unit::Seconds, model.least_interval.clone());
    }

    /// A session began.
    pub(crate) fn opened(&self, source: &'static str) {
        self.opened.get_or_create(&Source { source }).inc();
        self.active.get_or_create(&Source { source }).inc();
    }

    /// A session ended.
    pub(crate) fn closed(&self, source: &'static str, reason: Reason) {
        self.closed.get_or_create(&End { source, reason: reason.name() }).inc();
        self.active.get_or_create(&Source { source }).dec();
    }

    /// So many seconds of audio came in.
    pub(crate) fn audio(&self, source: &'static str, seconds: f64) {
        self.audio.get_or_create(&Source { source }).inc_by(seconds.max(0.0));
    }

    /// How a source is that the server pulls.
    pub(crate) fn source(&self, source: &'static str, name: Option<&str>, status: &Status) {
        if let Some(name) = name {
            let streams = i64::from(*status == Status::Streaming);
            self.streaming.get_or_create(&Name { name: name.to_owned() }).set(streams);
        }
        match status {
            Status::Streaming => {
                self.connections.get_or_create(&Source { source }).inc();
            }
            Status::Waiting { fault, .. } | Status::Failed(fault) => {
                let fault = fault.kind.name();
                self.faults.get_or_create(&SourceFault { source, fault }).inc();
            }
            Status::Connecting { .. } | Status::Finished => {}
        }
    }

    /// The session of a declared source is over.
    pub(crate) fn source_ended(&self, name: &str) {
        self.streaming.get_or_create(&Name { name: name.to_owned() }).set(0);
    }

    /// A declared source has a new session.
    pub(crate) fn source_reopened(&self, name: &str) {
        self.reopened.get_or_create(&Name { name: name.to_owned() }).inc();
    }

    /// A declared source is gone.
    pub(crate) fn forget_source(&self, name: &str) {
        let name = Name { name: name.to_owned() };
        self.streaming.remove(&name);
        self.reopened.remove(&name);
    }

    /// A final came, so long after the end of its utterance.
    pub(crate) fn last(&self, waited: Option<Duration>, has_words: bool) {
        if has_words {
            self.finals.inc();
            if let Some(waited) = waited {
                self.latency.observe(waited.as_secs_f64());
            }
        }
    }

    /// A subscriber did not get so many partials.
    pub(crate) fn partials_skipped(&self, count: u64) {
        self.skipped.inc_by(count);
    }

    /// A client was told of an error.
    pub(crate) fn error(&self, kind: Kind) {
        self.errors.get_or_create(&Problem { kind: kind.name() }).inc();
    }

    /// A session was not let in.
    pub(crate) fn refused(&self, kind: Kind) {
        self.refused.get_or_create(&Problem { kind: kind.name() }).inc();
    }

    /// The engine's load, as sessions are admitted by.
    pub(crate) fn load(&self, load: f64) {
        self.load.set(load);
    }

    /// A packet of audio was not taken.
    pub(crate) fn rtp_dropped(&self, why: &'static str) {
        self.rtp_dropped.get_or_create(&Why { why }).inc();
    }

    /// Whether the PBX has the server registered.
    pub(crate) fn registered(&self, is_registered: bool) {
        self.registered.get_or_create(&Unlabelled {}).set(is_registered.into());
    }

    /// So many spans did not get to the collector.
    pub(crate) fn spans_dropped(&self, count: u64) {
        self.spans_dropped.inc_by(count);
    }

    /// A client did not get through its TLS handshake.
    pub(crate) fn handshake_failed(&self) {
        self.handshakes_failed.inc();
    }

    /// A new certificate can't be used.
    pub(crate) fn certificate_rejected(&self) {
        self.certificates_rejected.inc();
    }

    /// The certificate that is in use from now on expires then.
    pub(crate) fn certificate_expires(&self, at: SystemTime) {
        let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.certificate_expiry.get_or_create(&Unlabelled {}).set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }

    /// All of it; `stats` are those of an element that shares the model.
    pub(crate) fn text(&self, stats: &gst::Structure) -> Result<String, std::fmt::Error> {
        // The sum makes a nought of a negative one.
        let double = |name| stats.get::<f64>(name).unwrap_or_default() + 0.0;
        let count = |name| stats.get::<u64>(name).unwrap_or_default() as f64;
        self.model.real_time_factor.set(double("real-time-factor"));
        self.model.queued.set(double("model-queued-seconds"));
        self.model.busy.set(double("model-busy"));
        self.model.cores.set(count("model-cores"));
        self.model.partials_dropped.set(count("model-partials-dropped"));
        self.model.least_interval.set(count("model-partial-interval") / 1000.0);
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_can_be_read() {
        gst::init().unwrap();
        let metrics = Metrics::new();
        metrics.opened("websocket");
        metrics.opened("websocket");
        metrics.closed("websocket", Reason::ClientGone);
        metrics.audio("websocket", 1.5);
        metrics.last(Some(Duration::from_millis(800)), true);
        metrics.refused(Kind::TooManySessions);
        let stats = gst::Structure::builder("stats").field("model-queued-seconds", 2.5).build();
        let text = metrics.text(&stats).unwrap();
        for line in [
            "pipeline_server_sessions{source=\"websocket\"} 1",
            "pipeline_server_sessions_opened_total{source=\"websocket\"} 2",
            "pipeline_server_sessions_closed_total{source=\"websocket\",reason=\"client_gone\"} 1",
            "pipeline_server_audio_seconds_total{source=\"websocket\"} 1.5",
            "pipeline_server_final_latency_seconds_bucket{le=\"0.75\"} 0",
            "pipeline_server_final_latency_seconds_bucket{le=\"1.0\"} 1",
            "pipeline_server_refused_total{kind=\"too-many-sessions\"} 1",
            "pipeline_server_model_queued_seconds 2.5",
        ] {
            assert!(text.lines().any(|l| l == line), "no {line} in\n{text}");
        }
    }
}
