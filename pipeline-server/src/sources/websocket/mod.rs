//! `/ws/transcribe`: a client sends audio over a WebSocket and gets the text back while it is spoken.
//!
//! The request becomes a session before the protocol is changed, so that a refusal is an HTTP status. After that
//! [`socket`] moves messages both ways.

mod audio;
mod params;
mod socket;
mod source;

use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};

pub(crate) use self::params::Params;
use self::source::RawAudio;
use crate::http::Server;
use crate::protocol::problem::{Kind, Problem};
use crate::protocol::results::{AudioFormat, Limits, Message, Ready};
use crate::protocol::VERSION;
use crate::session::{Reason, Wishes};

/// Name of this door.
const KIND: &str = "websocket";

/// What a client may do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    /// Bytes of a message.
    pub(crate) max_message: usize,
    /// Without any message from the client.
    pub(crate) idle_timeout: Duration,
    /// Of a session.
    pub(crate) max_duration: Duration,
}

/// Answers a request for `/ws/transcribe`.
pub(crate) async fn transcribe(
    State(server): State<Server>,
    params: Result<Query<Params>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    match open(server, params, upgrade).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn open(
    server: Server,
    params: Result<Query<Params>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|e| Problem::new(Kind::NotAWebSocket, e.body_text()))?;
    let wrong = |detail: String| Problem::new(Kind::InvalidParameter, detail);
    let Query(params) = params.map_err(|e| wrong(e.body_text()))?;
    let format = params.format().map_err(wrong)?;

    let place = server.sessions.admit()?;
    let (source, inlet) = RawAudio::new(format, params.tracks());
    let wishes = Wishes { configure: params.configure(), full_transcripts: params.full_transcripts() };
    let session = server.sessions.open(place, Box::new(source), wishes).await?;
    let allowance = server.allowance;
    session.log().push(|seq| {
        Message::Ready(Ready {
            seq,
            protocol: VERSION,
            session_id: session.id().to_string(),
            model: server.model.name(),
            audio: AudioFormat {
                encoding: format.encoding.name().to_owned(),
                sample_rate: Some(format.rate),
                channels: Some(format.channels),
            },
            limits: Limits {
                max_message_bytes: allowance.max_message,
                idle_timeout_seconds: allowance.idle_timeout.as_secs(),
                max_duration_seconds: allowance.max_duration.as_secs(),
            },
        })
    });
    let lost = session.clone();
    let metrics = server.metrics.clone();
    let upgrade = upgrade
        .max_message_size(allowance.max_message)
        .max_frame_size(allowance.max_message)
        .on_failed_upgrade(move |_| lost.close(Reason::ClientGone));
    let attendance = server.sessions.attend();
    Ok(upgrade.on_upgrade(move |socket| async move {
        socket::run(socket, session, inlet, format, allowance, metrics).await;
        drop(attendance);
    }))
}
