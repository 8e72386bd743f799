//! The web side: which address leads where, and connections.

mod connections;
mod crowd;
mod events;
mod openapi;
mod page;
mod problem;
mod pulse;
mod sessions;
mod sources;

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};

pub(crate) use self::connections::{listen, Door};
use crate::access::Access;
use crate::declared::Declared;
use crate::metrics::{self, Metrics};
use crate::model::Model;
use crate::protocol::problem::{Kind, Problem};
use crate::protocol::schema;
use crate::session::Sessions;
use crate::sources as doors;
use crate::sources::websocket::{Allowance, Resumables};

/// What requests are answered from.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) access: Arc<Access>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) model: Arc<Model>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) allowance: Allowance,
    pub(crate) resumables: Arc<Resumables>,
    pub(crate) declared: Arc<Declared>,
    pub(crate) doors: Arc<doors::Options>,
}

/// All addresses.
pub(crate) fn router(server: Server, doors: &doors::Open) -> Router {
    page::routes()
        .merge(doors.routes())
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(figures))
        .route("/v1/tokens", post(token))
        .route("/v1/sources", get(sources::list).post(sources::add))
        .route("/v1/sources/{name}", get(sources::show).delete(sources::remove))
        .route("/v1/sessions", get(sessions::list))
        .route("/v1/sessions/{id}/events", get(events::events))
        .route("/protocol/v1.schema.json", get(async || Json(schema::json_schema())))
        .route("/protocol/v1.asyncapi.json", get(async || Json(schema::async_api())))
        .route("/protocol/v1.openapi.json", get(async || Json(openapi::document())))
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_with_that_method)
        .with_state(server)
}

/// The process lives.
async fn healthz() -> &'static str {
    "ok\n"
}

/// New sessions are let in, unless all places are taken.
async fn readyz(State(server): State<Server>) -> Response {
    match server.sessions.check_readiness() {
        Ok(()) => "ready\n".into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// Figures are for those who have a key, where there are keys.
async fn figures(State(server): State<Server>, headers: HeaderMap) -> Response {
    if let Err(problem) = server.access.key(&headers) {
        return problem.into_response();
    }
    match server.metrics.text(&server.model.stats()) {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => Problem::new(Kind::TranscriptionFailed, error.to_string()).into_response(),
    }
}

/// A token for a browser, for a program that has a key.
async fn token(State(server): State<Server>, headers: HeaderMap) -> Response {
    let key = match server.access.key(&headers) {
        Ok(Some(key)) => key,
        // None is needed.
        Ok(None) => return StatusCode::NO_CONTENT.into_response(),
        Err(problem) => return problem.into_response(),
    };
    let (token, lifetime) = server.access.token(&key);
    let body = Json(serde_json::json!({ "token": token, "expires_in_seconds": lifetime.as_secs() }));
    (StatusCode::CREATED, [(CACHE_CONTROL, "no-store")], body).into_response()
}

async fn nothing_here() -> Problem {
    Problem::new(Kind::NotFound, "the page is at /, the WebSocket at /ws/transcribe")
}

async fn not_with_that_method() -> Problem {
    Problem::new(Kind::MethodNotAllowed, "the method has to be another one; Allow says which")
}
