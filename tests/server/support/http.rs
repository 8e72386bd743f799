//! Plain HTTP requests.

use std::collections::HashMap;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite;

use super::server::Server;
use super::within;

/// A response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Response {
    /// What a WebSocket request got instead of a WebSocket.
    pub(crate) fn refusal(error: tungstenite::Error) -> Self {
        let tungstenite::Error::Http(response) = error else { panic!("no answer: {error}") };
        let headers = response.headers().iter();
        Self {
            status: response.status().as_u16(),
            headers: headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect(),
            body: String::from_utf8(response.into_body().unwrap_or_default()).unwrap(),
        }
    }

    /// The problem in it, which must be one of that kind and status.
    pub(crate) fn problem(&self, kind: &str, status: u16) -> Value {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["type"], format!("urn:pipeline-server:problem:{kind}"), "{self:?}");
        assert_eq!((self.status, problem["status"].as_u64().unwrap()), (status, u64::from(status)), "{self:?}");
        problem
    }
}

/// `GET` or another method.
pub(crate) async fn request(server: &Server, method: &str, path: &str) -> Response {
    request_with(server, method, path, "").await
}

/// A request with a JSON body.
pub(crate) async fn send(server: &Server, method: &str, path: &str, body: &Value) -> Response {
    let body = body.to_string();
    let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    exchange(server, method, path, &headers, &body).await
}

/// A request with a body of another kind, and more headers, each with its line end.
pub(crate) async fn send_text(
    server: &Server,
    method: &str,
    path: &str,
    kind: &str,
    headers: &str,
    body: &str,
) -> Response {
    let headers = format!("Content-Type: {kind}\r\nContent-Length: {}\r\n{headers}", body.len());
    exchange(server, method, path, &headers, body).await
}

/// The same with more headers, each with its line end.
pub(crate) async fn request_with(server: &Server, method: &str, path: &str, headers: &str) -> Response {
    exchange(server, method, path, headers, "").await
}

async fn exchange(server: &Server, method: &str, path: &str, headers: &str, body: &str) -> Response {
    within("an answer", async {
        let mut stream = server.open().await.unwrap();
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n", server.address);
        stream.write_all((head + body).as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_lowercase(), value.to_owned())
        };
        Response { status, headers: lines.map(header).collect(), body: body.to_owned() }
    })
    .await
}

/// The value of a line in `/metrics`; 0 where there is none.
pub(crate) async fn metric(server: &Server, line: &str) -> f64 {
    let response = request(server, "GET", "/metrics").await;
    let value = response.body.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_default()
}

/// Waits until a line in `/metrics` has that value or a larger one.
pub(crate) async fn metric_reaches(server: &Server, line: &str, wanted: f64) {
    within(&format!("{line} reaching {wanted}"), async {
        while metric(server, line).await < wanted {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
}

/// Waits until a line in `/metrics` has that value.
pub(crate) async fn metric_becomes(server: &Server, line: &str, wanted: f64) {
    within(&format!("{line} being {wanted}"), async {
        while (metric(server, line).await - wanted).abs() > 1e-6 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
}

/// Waits until no session goes on and, where there are few places, one is free: that is so once the pipeline is gone, a
/// moment after the last message.
pub(crate) async fn nobody_is_left(server: &Server) {
    within("the end of all sessions", async {
        while request(server, "GET", "/v1/sessions").await.body != "[]"
            || request(server, "GET", "/readyz").await.status != 200
        {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
}
