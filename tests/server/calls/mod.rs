//! Phone calls: real telephones (baresip), a load tool with scenarios (SIPp), a proxy with a registrar (Kamailio), and a line
//! of which each packet is ours.

mod load;
mod media;
mod pbx;
mod phones;
mod signalling;

use std::net::SocketAddr;

use serde_json::Value;

use crate::support::client::Receiver;
use crate::support::events::subscribe;
use crate::support::http::request;
use crate::support::server::Server;
use crate::support::within;

/// A server that takes calls, without partial results.
fn start(more: &[&str]) -> (Server, SocketAddr) {
    let server = Server::start(&[&["--sip-listen", "127.0.0.1:0", "--partials", "none"], more].concat());
    let calls = server.calls.unwrap();
    (server, calls)
}

/// Sessions of calls that go on.
async fn sessions(server: &Server) -> Vec<Value> {
    let response = request(server, "GET", "/v1/sessions?source=sip").await;
    assert_eq!(response.status, 200, "{response:?}");
    serde_json::from_str(&response.body).unwrap()
}

/// Waits for a call that was answered; returns what is shown of it, and what is said in it from the beginning.
async fn answered(server: &Server) -> (Value, Receiver) {
    let view = within("a call", async {
        loop {
            if let Some(view) = sessions(server).await.into_iter().find(|view| view["call"].is_object()) {
                return view;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    let receiver = subscribe(server, view["session_id"].as_str().unwrap(), 0).await;
    (view, receiver)
}

/// The only message of a type.
fn only<'a>(messages: &'a [Value], kind: &str) -> &'a Value {
    let found: Vec<_> = messages.iter().filter(|message| message["type"] == kind).collect();
    assert_eq!(found.len(), 1, "{kind} in {messages:#?}");
    found[0]
}
