//! `/v1/sources`: streams are declared, looked at and taken back.

use std::net::SocketAddr;

use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};

use super::Server;
use crate::access::Client;
use crate::declared::spec::{SourceSpec, SourceView};
use crate::protocol::problem::{Kind, Problem};

/// Declare a source: it is pulled from now on, and again when the server has been restarted.
#[utoipa::path(
    post, path = "/v1/sources", tag = "sources", request_body = SourceSpec,
    responses(
        (status = 201, description = "It is being connected; `Location` has its address", body = SourceView),
        (status = 400, description = "Not understood", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "There is one of that name", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A setting is not possible", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "No place, or not ready", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn add(
    State(server): State<Server>,
    Extension(ConnectInfo(peer)): Extension<ConnectInfo<SocketAddr>>,
    headers: HeaderMap,
    spec: Result<Json<SourceSpec>, JsonRejection>,
) -> Result<Response, Problem> {
    let client = admit(&server, &headers, peer)?;
    let Json(spec) = spec.map_err(|error| Problem::new(Kind::InvalidParameter, error.body_text()))?;
    if !spec.is_remote() {
        return Err(Problem::new(Kind::InvalidParameter, "url: files of the server can stand in its settings only"));
    }
    let view = server.declared.add(spec, client).await?;
    let location = format!("/v1/sources/{}", view.name);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(view)).into_response())
}

/// All sources.
#[utoipa::path(
    get, path = "/v1/sources", tag = "sources",
    responses((status = 200, description = "All sources", body = Vec<SourceView>))
)]
pub(super) async fn list(
    State(server): State<Server>,
    Extension(ConnectInfo(peer)): Extension<ConnectInfo<SocketAddr>>,
    headers: HeaderMap,
) -> Result<Json<Vec<SourceView>>, Problem> {
    check(&server, &headers, peer)?;
    Ok(Json(server.declared.list()))
}

/// One source.
#[utoipa::path(
    get, path = "/v1/sources/{name}", tag = "sources", params(("name" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "The source", body = SourceView),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    State(server): State<Server>,
    Extension(ConnectInfo(peer)): Extension<ConnectInfo<SocketAddr>>,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<Json<SourceView>, Problem> {
    check(&server, &headers, peer)?;
    server.declared.find(&name).map(Json)
}

/// Take a source back. The answer comes when what has been said is transcribed.
#[utoipa::path(
    delete, path = "/v1/sources/{name}", tag = "sources", params(("name" = String, Path, description = "Its name")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn remove(
    State(server): State<Server>,
    Extension(ConnectInfo(peer)): Extension<ConnectInfo<SocketAddr>>,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    admit(&server, &headers, peer)?;
    server.declared.remove(&name).await.map(|()| StatusCode::NO_CONTENT)
}

/// Who changes something.
fn admit(server: &Server, headers: &HeaderMap, peer: SocketAddr) -> Result<Client, Problem> {
    let client =
        server.access.admit(headers, peer, None).inspect_err(|problem| server.metrics.refused(problem.kind()))?;
    check(server, headers, peer)?;
    Ok(client)
}

/// Whoever has a key. Where there are none, only programs of this machine: a source has the server connect to wherever its
/// address says.
fn check(server: &Server, headers: &HeaderMap, peer: SocketAddr) -> Result<(), Problem> {
    let from_here = peer.ip().is_loopback() && !headers.contains_key("x-forwarded-for");
    if server.access.key(headers)?.is_none() && !from_here {
        let detail = "without keys, sources can be managed from the server's own machine only";
        return Err(Problem::new(Kind::Unauthorized, detail));
    }
    Ok(())
}
