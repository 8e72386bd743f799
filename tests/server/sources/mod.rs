//! Sources that the server pulls, with real peers on the other side.

mod again;
mod declared;
mod faults;
mod http;
mod listener;
mod peers;
mod rtsp;
mod soak;
mod subscriptions;
mod tls;

use serde_json::{json, Value};

use crate::support::http::{request, send};
use crate::support::server::Server;
use crate::support::within;

/// Declares a source; returns what is shown of it.
async fn declare(server: &Server, spec: Value) -> Value {
    let response = send(server, "POST", "/v1/sources", &spec).await;
    assert_eq!(response.status, 201, "{response:?}");
    let view: Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(response.headers["location"], format!("/v1/sources/{}", view["name"].as_str().unwrap()));
    view
}

/// What is shown of a source.
async fn look(server: &Server, name: &str) -> Value {
    let response = request(server, "GET", &format!("/v1/sources/{name}")).await;
    assert_eq!(response.status, 200, "{response:?}");
    serde_json::from_str(&response.body).unwrap()
}

/// Waits until a source is as wanted, and returns what is shown of it.
async fn becomes(server: &Server, name: &str, status: &str) -> Value {
    within(&format!("{name} being {status}"), async {
        loop {
            let view = look(server, name).await;
            if view["state"]["status"] == status {
                return view;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await
}

/// A source of that name at that address.
fn at(name: &str, url: &str) -> Value {
    json!({ "name": name, "url": url })
}

/// Seconds since 1970 of a time as in RFC 3339.
fn unix(time: &Value) -> f64 {
    let time = time.as_str().unwrap_or_else(|| panic!("no time: {time}"));
    let time = gst::glib::DateTime::from_iso8601(time, None).unwrap();
    time.to_unix() as f64 + f64::from(time.microsecond()) / 1e6
}
