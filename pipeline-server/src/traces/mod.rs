//! OpenTelemetry traces: a span for each session and one for each of its finals in, OTLP over HTTP out.
//!
//! A span says when something was, how long it took and how it ended, never what was said. A client that sends
//! `traceparent` (W3C Trace Context) finds its session in its own trace.

mod context;
mod export;
mod otlp;

use std::time::SystemTime;

pub(crate) use self::context::{Context, Parent};
pub(crate) use self::export::{url, Exporter, Header};

/// Something that took time, or went wrong.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    /// Its place among others.
    pub(crate) context: Context,
    /// What it is: `session`, `final`.
    pub(crate) name: &'static str,
    /// Whether it answers somebody from outside.
    pub(crate) serves: bool,
    pub(crate) start: SystemTime,
    pub(crate) end: SystemTime,
    /// What there is to say of it.
    pub(crate) attributes: Vec<(&'static str, Value)>,
    /// What went wrong, if something did.
    pub(crate) error: Option<String>,
}

/// Of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Integer(u64),
    Float(f64),
    Truth(bool),
}
