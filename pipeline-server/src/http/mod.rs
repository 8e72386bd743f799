//! The web side: which address leads where, and connections.

mod connections;
mod problem;

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};

pub(crate) use self::connections::{listen, serve};
use crate::metrics::{self, Metrics};
use crate::model::Model;
use crate::protocol::problem::{Kind, Problem};
use crate::protocol::schema;
use crate::session::Sessions;
use crate::sources::websocket::{self, Allowance};

/// What requests are answered from.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) model: Arc<Model>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) allowance: Allowance,
}

/// All addresses.
pub(crate) fn router(server: Server) -> Router {
    Router::new()
        .route("/ws/transcribe", any(websocket::transcribe))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(figures))
        .route("/protocol/v1.schema.json", get(async || Json(schema::json_schema())))
        .route("/protocol/v1.asyncapi.json", get(async || Json(schema::async_api())))
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

async fn figures(State(server): State<Server>) -> Response {
    match server.metrics.text(&server.model.stats()) {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => Problem::new(Kind::TranscriptionFailed, error.to_string()).into_response(),
    }
}

async fn nothing_here() -> Problem {
    Problem::new(Kind::NotFound, "the WebSocket is at /ws/transcribe")
}

async fn not_with_that_method() -> Problem {
    Problem::new(Kind::MethodNotAllowed, "use GET")
}
