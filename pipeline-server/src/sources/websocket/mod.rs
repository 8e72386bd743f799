//! `/ws/transcribe`: a client sends audio over a WebSocket and gets the text back while it is spoken.
//!
//! The request becomes a session before the protocol is changed, so that a refusal is an HTTP status. After that
//! [`socket`] moves messages both ways.

mod audio;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod params;
mod resume;
mod socket;
mod source;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::Extension;

use self::audio::{Encoding, Wire};
pub(crate) use self::params::Params;
pub(crate) use self::resume::Resumables;
use self::resume::{Held, WayIn};
use self::socket::Surroundings;
use self::source::ClientAudio;
use crate::http::Server;
use crate::protocol::problem::{Kind, Problem};
use crate::protocol::results::{AudioFormat, Limits, Message, Ready};
use crate::protocol::VERSION;
use crate::session::Wishes;
use crate::traces::Parent;

/// Name of this door.
const KIND: &str = "websocket";

/// What a client may do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    /// Bytes of a message.
    pub(crate) max_message: usize,
    /// Without any message from the client.
    pub(crate) idle_timeout: Duration,
    /// Between two pings.
    pub(crate) ping_interval: Duration,
    /// Of a session.
    pub(crate) max_duration: Duration,
    /// For a client to come back to its session.
    pub(crate) resume_grace: Duration,
}

/// Answers a request for `/ws/transcribe`.
pub(crate) async fn transcribe(
    State(server): State<Server>,
    Extension(ConnectInfo(peer)): Extension<ConnectInfo<SocketAddr>>,
    headers: HeaderMap,
    params: Result<Query<Params>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    match open(server, peer, &headers, params, upgrade).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn open(
    server: Server,
    peer: SocketAddr,
    headers: &HeaderMap,
    params: Result<Query<Params>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let token = params.as_ref().ok().and_then(|Query(params)| params.token.as_deref());
    let client = server.access.admit(headers, peer, token).inspect_err(|problem| {
        server.metrics.refused(problem.kind());
        tracing::info!(%peer, "refused: {}", problem.detail);
    })?;
    let upgrade = upgrade.map_err(|e| Problem::new(Kind::NotAWebSocket, e.body_text()))?;
    let wrong = |detail: String| Problem::new(Kind::InvalidParameter, detail);
    let Query(params) = params.map_err(|e| wrong(e.body_text()))?;
    let allowance = server.allowance;
    let around = Surroundings { allowance, resumables: server.resumables.clone(), metrics: server.metrics.clone() };
    let upgrade = upgrade.max_message_size(allowance.max_message).max_frame_size(allowance.max_message);
    if let Some(id) = &params.resume {
        let after = params.after.ok_or_else(|| {
            wrong("after: to resume a session, give the seq of the last message that you have of it".into())
        })?;
        let held = find(&server, id, client.key.as_deref(), after)?;
        return Ok(upgrade.on_upgrade(move |socket| socket::run(socket, held, Some(after), around)));
    }

    let wire = params.wire().map_err(wrong)?;
    let tracks = params.tracks().map_err(wrong)?;
    let resumable = params.is_resumable() && !allowance.resume_grace.is_zero();
    let grace = resumable.then_some(allowance.resume_grace);
    let key = client.key.clone();
    let place = server.sessions.admit(client, tracks.len())?;
    let (source, inlet) = ClientAudio::new(wire, tracks);
    let parent = Parent::of(headers);
    let (configure, full_transcripts) = (params.configure(), params.full_transcripts());
    let wishes = Wishes { configure, full_transcripts, parent, name: None };
    let session = server.sessions.open(place, Box::new(source), wishes).await?;
    session.log().push(|seq| {
        Message::Ready(Ready {
            seq,
            protocol: VERSION,
            session_id: session.id().to_string(),
            model: server.model.name(),
            audio: described(wire, &params),
            limits: Limits {
                max_message_bytes: allowance.max_message,
                idle_timeout_seconds: allowance.idle_timeout.as_secs(),
                max_duration_seconds: allowance.max_duration.as_secs(),
                resume_seconds: grace.unwrap_or_default().as_secs(),
            },
        })
    });
    let way_in = WayIn { inlet, wire, taken: 0 };
    let held = Arc::new(Held::new(session, way_in, key, grace, allowance.max_duration));
    Ok(upgrade.on_upgrade(move |socket| socket::run(socket, held, None, around)))
}

/// The session that a client comes back to, which must still have all messages behind the last that the client has.
fn find(server: &Server, id: &str, key: Option<&str>, after: u64) -> Result<Arc<Held>, Problem> {
    let gone = |detail: &str| {
        server.metrics.refused(Kind::NotResumable);
        Problem::new(Kind::NotResumable, detail)
    };
    let held = id.parse().ok().and_then(|id| server.resumables.find(id, key));
    let held = held.ok_or_else(|| gone("there is no such session, or not any more: begin a new one"))?;
    if !held.session().log().holds_all_behind(after) {
        return Err(gone("messages behind the one that you name are gone, or it was never sent: begin a new session"));
    }
    Ok(held)
}

fn described(wire: Wire, params: &Params) -> AudioFormat {
    let multichannel = params.is_multichannel();
    match wire {
        Wire::Raw(format) => AudioFormat {
            encoding: format.encoding.name().to_owned(),
            sample_rate: Some(format.rate),
            channels: Some(format.channels),
            multichannel,
        },
        Wire::Container => AudioFormat {
            encoding: Encoding::Auto.name().to_owned(),
            sample_rate: None,
            channels: params.channels,
            multichannel,
        },
    }
}
