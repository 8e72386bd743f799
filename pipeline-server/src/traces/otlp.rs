//! Spans as OTLP has them in JSON (opentelemetry-proto 1.x, `ExportTraceServiceRequest`).

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{json, Value as Json};

use super::{Span, Value};

const NAME: &str = env!("CARGO_PKG_NAME");
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// `SPAN_KIND_INTERNAL` and `SPAN_KIND_SERVER`.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// A request that brings these.
pub(super) fn request(spans: &[Span]) -> Json {
    let service = [("service.name", Value::Text(NAME.into())), ("service.version", Value::Text(VERSION.into()))];
    json!({ "resourceSpans": [{
        "resource": { "attributes": attributes(&service) },
        "scopeSpans": [{
            "scope": { "name": NAME, "version": VERSION },
            "spans": spans.iter().map(span).collect::<Vec<_>>(),
        }],
    }] })
}

fn span(span: &Span) -> Json {
    let mut json = json!({
        "traceId": format!("{:032x}", span.context.trace),
        "spanId": format!("{:016x}", span.context.span),
        "name": span.name,
        "kind": if span.serves { SERVER } else { INTERNAL },
        "startTimeUnixNano": nanoseconds(span.start),
        "endTimeUnixNano": nanoseconds(span.end),
        "attributes": attributes(&span.attributes),
    });
    if let Some(parent) = span.context.parent {
        json["parentSpanId"] = format!("{parent:016x}").into();
    }
    if let Some(error) = &span.error {
        json["status"] = json!({ "code": ERROR, "message": error });
    }
    json
}

fn attributes(attributes: &[(&str, Value)]) -> Json {
    let value = |value: &Value| match value {
        Value::Text(text) => json!({ "stringValue": text }),
        // 64-bit numbers are strings in protobuf's JSON.
        Value::Integer(number) => json!({ "intValue": number.to_string() }),
        Value::Float(number) => json!({ "doubleValue": number }),
        Value::Truth(truth) => json!({ "boolValue": truth }),
    };
    attributes.iter().map(|(key, of)| json!({ "key": key, "value": value(of) })).collect()
}

fn nanoseconds(time: SystemTime) -> String {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Context, Parent};
    use super::*;

    #[test]
    fn a_span_is_as_the_mapping_to_json_wants_it() {
        let parent = Parent::from_header("00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01");
        let start = UNIX_EPOCH + Duration::from_millis(1_500);
        let span = Span {
            context: Context::new(parent),
            name: "session",
            serves: true,
            start,
            end: start + Duration::from_nanos(1),
            attributes: vec![
                ("a", Value::Text("x".into())),
                ("b", Value::Integer(7)),
                ("c", Value::Float(0.5)),
                ("d", Value::Truth(true)),
            ],
            error: Some("why".into()),
        };
        let request = request(&[span]);
        let span = &request["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(span["traceId"], "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(span["parentSpanId"], "00f067aa0ba902b7");
        assert_eq!(span["spanId"].as_str().unwrap().len(), 16);
        assert_eq!(
            (&span["startTimeUnixNano"], &span["endTimeUnixNano"]),
            (&json!("1500000000"), &json!("1500000001"))
        );
        assert_eq!(span["status"], json!({ "code": 2, "message": "why" }));
        let values: Vec<&Json> = span["attributes"].as_array().unwrap().iter().map(|a| &a["value"]).collect();
        let wanted = [
            json!({ "stringValue": "x" }),
            json!({ "intValue": "7" }),
            json!({ "doubleValue": 0.5 }),
            json!({ "boolValue": true }),
        ];
        assert_eq!(values, wanted.iter().collect::<Vec<_>>());
    }
}
