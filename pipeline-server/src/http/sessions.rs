//! `/v1/sessions`: who is being listened to now.

use std::net::SocketAddr;

use axum::extract::rejection::QueryRejection;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::HeaderMap;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Server;
use crate::protocol::call::Call;
use crate::protocol::problem::{Kind, Problem};
use crate::session::{Session, Told};

/// The query.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// Only those of this door: `sip`, `websocket`, ….
    source: Option<String>,
    /// Only that of this call: SIP's Call-ID, Twilio's call SID.
    call_id: Option<String>,
    /// A token in place of a key, for browsers.
    token: Option<String>,
}

/// A session that goes on.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionView {
    /// For `/v1/sessions/{id}/events`.
    session_id: String,
    /// The door it came through.
    source: &'static str,
    /// `connecting`, `live` or `draining`.
    state: &'static str,
    /// The name of a declared source.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The call, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<Call>,
    /// Seconds of audio so far.
    audio_seconds: f64,
}

impl SessionView {
    fn new(session: &Session) -> Self {
        Self {
            session_id: session.id().to_string(),
            source: session.kind(),
            state: session.state().name(),
            name: session.name().map(str::to_owned),
            call: session.call().cloned(),
            audio_seconds: session.heard(),
        }
    }
}

/// Sessions that go on. Those that a key opened are for that key, those that the server opened itself (calls by SIP,
/// declared sources) are for all keys.
#[utoipa::path(
    get, path = "/v1/sessions", tag = "sessions", params(Params),
    responses(
        (status = 200, description = "Sessions, in no particular order", body = Vec<SessionView>),
        (status = 401, description = "A key is needed", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(server): State<Server>,
    Extension(ConnectInfo(peer)): Extension<ConnectInfo<SocketAddr>>,
    headers: HeaderMap,
    params: Result<Query<Params>, QueryRejection>,
) -> Result<Json<Vec<SessionView>>, Problem> {
    let Query(params) = params.map_err(|error| Problem::new(Kind::InvalidParameter, error.body_text()))?;
    let client = server.access.admit(&headers, peer, params.token.as_deref());
    let client = client.inspect_err(|problem| server.metrics.refused(problem.kind()))?;
    let wanted = |session: &Session| {
        // One that is over may still have its pipeline taken down.
        !session.state().is_closed()
            && Told::of(session).is_for(client.key.as_deref())
            && params.source.as_deref().is_none_or(|source| source == session.kind())
            && params.call_id.as_deref().is_none_or(|id| session.call().is_some_and(|call| call.call_id == id))
    };
    let sessions = server.sessions.all();
    Ok(Json(sessions.iter().filter(|session| wanted(session)).map(|session| SessionView::new(session)).collect()))
}
