//! `/twilio/stream`: Twilio sends the audio of a phone call over a WebSocket ([Media Streams]), each party on a track of its
//! own.
//!
//! The request is checked and gets its places before the protocol is changed, so that a refusal is an HTTP status. [`socket`]
//! waits for `start`, which says what there is, and opens the session; [`call`] puts messages in [`order`], finds each
//! track's audio its place on the [`timeline`], and hands it to the [`source`].
//!
//! [Media Streams]: https://www.twilio.com/docs/voice/media-streams/websocket-messages

mod call;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod message;
mod options;
mod order;
mod settings;
mod signature;
mod socket;
mod source;
mod timeline;

use std::net::SocketAddr;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use axum::Extension;

pub(crate) use self::options::Options;
use crate::access::Client;
use crate::http::Server;
use crate::protocol::problem::{Kind, Problem};

/// Name of this door.
const KIND: &str = "twilio";
/// Both parties; a place that turns out not to be needed is given back.
const MOST_TRACKS: usize = 2;
/// Bytes of a message. Those of Twilio have a few hundred.
const LARGEST: usize = 64 * 1024;
/// Headers of proxies.
const FORWARDED: [&str; 2] = ["forwarded", "x-forwarded-for"];

/// Answers a request for `/twilio/stream`.
pub(crate) async fn stream(
    State(server): State<Server>,
    Extension(ConnectInfo(peer)): Extension<ConnectInfo<SocketAddr>>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    match open(server, peer, &uri, &headers, upgrade) {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

fn open(
    server: Server,
    peer: SocketAddr,
    uri: &Uri,
    headers: &HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let client = admit(&server, peer, uri, headers).inspect_err(|problem| {
        server.metrics.refused(problem.kind());
        tracing::info!(%peer, "a stream of Twilio is refused: {}", problem.detail);
    })?;
    let upgrade = upgrade.map_err(|error| Problem::new(Kind::NotAWebSocket, error.body_text()))?;
    let place = server.sessions.admit(client, MOST_TRACKS).inspect_err(|problem| {
        tracing::info!(%peer, "a stream of Twilio is refused: {}", problem.detail);
    })?;
    let largest = server.allowance.max_message.min(LARGEST);
    let upgrade = upgrade.max_message_size(largest).max_frame_size(largest);
    Ok(upgrade.on_upgrade(move |socket| socket::run(socket, place, server)))
}

/// Twilio has no key: what shows that it is Twilio is its signature. Who has that is the operator's own, from whichever
/// addresses and however often, and its calls are for all keys. Who has none is counted like any stranger.
fn admit(server: &Server, peer: SocketAddr, uri: &Uri, headers: &HeaderMap) -> Result<Client, Problem> {
    let options = &server.doors.twilio;
    let tokens = &options.twilio_auth_token.0;
    if tokens.is_empty() {
        // What a proxy hands on is from elsewhere, wherever the proxy is.
        let proxied = FORWARDED.iter().any(|name| headers.contains_key(*name));
        if !server.access.is_private() || proxied {
            let detail =
                "this address is for Twilio's Media Streams, and closed until the server has --twilio-auth-token";
            return Err(Problem::new(Kind::NotFound, detail));
        }
        return server.access.admit(headers, peer, None);
    }
    match signature::check(headers, uri, tokens, options.public_url.as_ref()) {
        Ok(()) => Ok(Client::default()),
        Err(detail) => {
            server.access.count(headers, peer)?;
            Err(Problem::new(Kind::BadSignature, detail))
        }
    }
}
