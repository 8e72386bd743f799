//! A session's spans: one of its own from beginning to end, and within it one for each final, from the arrival of the end of
//! the utterance to its text.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use transcribe_core::transcript::Final;
use uuid::Uuid;

use super::Reason;
use crate::protocol::results::Totals;
use crate::traces::{Context, Exporter, Parent, Span, Value};

/// See the module.
pub(super) struct Trace {
    exporter: Arc<Exporter>,
    context: Context,
    start: SystemTime,
}

/// How a session ended.
pub(super) struct Outcome {
    pub(super) id: Uuid,
    pub(super) source: &'static str,
    pub(super) reason: Reason,
    pub(super) complete: bool,
    pub(super) totals: Totals,
    /// What was wrong, if something was.
    pub(super) problem: Option<String>,
}

impl Trace {
    /// For a session that begins now, within a span of its client's if there is one.
    pub(super) fn new(exporter: Arc<Exporter>, parent: Option<Parent>) -> Self {
        Self { exporter, context: Context::new(parent), start: SystemTime::now() }
    }

    /// A final came, so long after the end of its utterance.
    pub(super) fn last(&self, last: &Final, channel: Option<u32>, waited: Duration) {
        let end = SystemTime::now();
        let words = last.text.split_whitespace().count() as u64;
        let mut attributes = vec![
            ("utterance", Value::Integer(last.utterance)),
            ("audio.start", Value::Float(last.start)),
            ("audio.end", Value::Float(last.end)),
            ("words", Value::Integer(words)),
        ];
        if let Some(channel) = channel {
            attributes.push(("channel", Value::Integer(channel.into())));
        }
        self.exporter.export(Span {
            context: self.context.child(),
            name: "final",
            serves: false,
            start: end.checked_sub(waited).unwrap_or(end),
            end,
            attributes,
            error: None,
        });
    }

    /// The session is over.
    pub(super) fn closed(&self, outcome: &Outcome) {
        let Outcome { id, source, reason, complete, totals, problem } = outcome;
        self.exporter.export(Span {
            context: self.context,
            name: "session",
            serves: true,
            start: self.start,
            end: SystemTime::now(),
            attributes: vec![
                ("session.id", Value::Text(id.to_string())),
                ("source", Value::Text((*source).to_owned())),
                ("reason", Value::Text(reason.name().to_owned())),
                ("complete", Value::Truth(*complete)),
                ("audio.seconds", Value::Float(totals.audio_seconds)),
                ("finals", Value::Integer(totals.finals)),
            ],
            error: problem.clone(),
        });
    }
}
