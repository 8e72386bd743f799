//! OpenTelemetry traces, taken by a collector of the test's own: an HTTP server.

use std::net::SocketAddr;

use e2e_tests::clips::named;
use serde_json::{json, Value};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::support::client::{f32le, Client};
use crate::support::http::metric_becomes;
use crate::support::server::{run, Server};
use crate::support::verdict::{finals, words_are_right};
use crate::support::within;

/// Takes a request and answers it; returns its head and its body.
async fn take(listener: &TcpListener, answer: &str) -> (String, Value) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let (head, body) = read(&mut stream).await;
    let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}");
    stream.write_all(answer.as_bytes()).await.unwrap();
    (head, serde_json::from_slice(&body).unwrap())
}

async fn read(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(stream.read_line(&mut head).await.unwrap() > 0, "{head}");
    }
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    (head, body)
}

fn attribute<'a>(of: &'a Value, name: &str) -> &'a Value {
    let attributes = of["attributes"].as_array().unwrap();
    &attributes.iter().find(|attribute| attribute["key"] == name).unwrap()["value"]
}

fn nanoseconds(span: &Value, field: &str) -> u128 {
    span[field].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_session_is_found_in_the_trace_of_its_client() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let server =
        Server::start(&[&format!("--otlp-endpoint=http://{address}/"), "--otlp-headers=authorization=Bearer x"]);
    let clip = named("librivox-sense-0920");
    let parent = [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")];
    let mut client = Client::request_with(&server, "", &parent).await.unwrap();
    let ready = client.receiver.next().await;
    let messages = client.transcribe(f32le(&clip.samples)).await;
    words_are_right(&clip.text, &messages, 0.0);

    let mut spans: Vec<Value> = Vec::new();
    while spans.iter().all(|span| span["name"] != "session") {
        let (head, body) = within("spans", take(&listener, "200 OK")).await;
        assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
        for header in ["content-type: application/json", "authorization: bearer x"] {
            assert!(head.lines().any(|line| line == header), "no {header} in {head}");
        }
        let resource = &body["resourceSpans"][0];
        assert_eq!(attribute(&resource["resource"], "service.name"), &json!({ "stringValue": "pipeline-server" }));
        spans.extend(resource["scopeSpans"][0]["spans"].as_array().unwrap().iter().cloned());
        assert!(!body.to_string().contains("amiable"), "transcripts are private: {body}");
    }
    let session = spans.iter().find(|span| span["name"] == "session").unwrap();
    assert_eq!(session["parentSpanId"], "b7ad6b7169203331");
    assert_eq!(attribute(session, "session.id"), &json!({ "stringValue": ready["session_id"] }));
    assert_eq!(attribute(session, "reason"), &json!({ "stringValue": "client_closed" }));
    assert!(session.get("status").is_none(), "{session}");
    let lasts: Vec<&Value> = spans.iter().filter(|span| span["name"] == "final").collect();
    assert_eq!(lasts.len(), finals(&messages).len());
    for span in lasts.iter().chain([&session]) {
        assert_eq!(span["traceId"], "0af7651916cd43dd8448eb211c80319c");
        assert!(nanoseconds(span, "startTimeUnixNano") < nanoseconds(span, "endTimeUnixNano"), "{span}");
    }
    assert!(lasts.iter().all(|last| last["parentSpanId"] == session["spanId"]));
}

#[tokio::test]
async fn a_collector_that_takes_nothing_costs_spans_and_no_session() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::start(&[&format!("--otlp-endpoint=http://{}", listener.local_addr().unwrap())]);
    let clip = named("librivox-sense-0920");
    let messages = Client::connect(&server, "").await.transcribe(f32le(&clip.samples)).await;
    words_are_right(&clip.text, &messages, 0.0);
    // What waits at the end is sent at the end.
    let (_, body) = within("spans", take(&listener, "503 Service Unavailable")).await;
    let spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().len();
    metric_becomes(&server, "pipeline_server_trace_spans_dropped_total", spans as f64).await;
    let messages = Client::connect(&server, "").await.transcribe(Vec::new()).await;
    assert_eq!(messages.last().unwrap()["reason"], "client_closed");
    server.signal(libc::SIGTERM);
    within("spans", take(&listener, "200 OK")).await;
    let ended = server.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("traces are not taken"), "{}", ended.stderr);
}

#[test]
fn an_endpoint_that_can_not_be_one_is_refused() {
    for endpoint in ["collector:4318", "ftp://collector", "http://"] {
        let (code, _, stderr) = run(&["config", "check", "--otlp-endpoint", endpoint], &[]);
        assert!(code == Some(2) && stderr.contains("--otlp-endpoint"), "{endpoint}: {stderr}");
    }
}
