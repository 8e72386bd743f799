//! WHIP (RFC 9725): an offer is posted and answered, changed by PATCH, and taken back by DELETE. The address in `Location` is
//! a secret of whoever got it, and is all that PATCH and DELETE need.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::http::header::{CONTENT_TYPE, ETAG, IF_MATCH, LINK, LOCATION};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{patch, post};
use axum::{Extension, Router};

use super::params::Params;
use super::publication::Publication;
use super::{cors, negotiate, Whip, KIND};
use crate::http::Server;
use crate::protocol::control::Configure;
use crate::protocol::problem::{Kind, Problem};
use crate::protocol::results::{AudioFormat, Limits, Message, Ready};
use crate::protocol::VERSION;
use crate::session::{Reason, Wishes};
use crate::sources::rtp::RtpAudio;
use crate::traces::Parent;

/// Kind of the bodies of offers and answers.
pub(super) const SDP: &str = "application/sdp";
/// Kind of what PATCH takes.
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
/// Bytes of a body.
const LARGEST: usize = 64 * 1024;
/// Which session results are of.
const SESSION: &str = "x-session-id";
/// How the address of results is related to a publication.
const EVENTS: &str = "urn:pipeline-server:events";

/// The addresses of this door, where it is open.
pub(crate) fn routes(whip: Option<Whip>) -> Router<Server> {
    Router::new()
        .route("/whip", post(publish).options(preflight))
        .route("/whip/{id}", patch(change).delete(end).options(preflight))
        .layer(DefaultBodyLimit::max(LARGEST))
        .layer(Extension(whip))
}

/// Publish audio by WebRTC: the body is an offer with one audio track (Opus, PCMU or PCMA) and maybe a data channel, over
/// which the messages of the WebSocket protocol go both ways then. Settings are those of `configure`.
#[utoipa::path(
    post, path = "/whip", tag = "whip", params(Params, Configure),
    request_body(content = String, content_type = "application/sdp"),
    responses(
        (status = 201, description = "The answer. `Location` is the publication's own address, `Link` and `X-Session-Id` \
            say where its results are", content_type = "application/sdp", body = String),
        (status = 400, description = "Not understood", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "No SDP", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No audio", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "No place, or not ready", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn publish(
    State(server): State<Server>,
    Extension(whip): Extension<Option<Whip>>,
    Extension(ConnectInfo(peer)): Extension<ConnectInfo<SocketAddr>>,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let published = open(&server, whip, peer, &uri, &headers, body).await;
    if let Err(problem) = &published {
        tracing::info!(%peer, "refused: {}", problem.detail);
    }
    cors::open(&server.access, &headers, published.into_response())
}

/// Change how a publication's client is reached: more candidates (trickle ICE, `If-Match` with its ETag), or an ICE restart
/// with new credentials (`If-Match: *`).
#[utoipa::path(
    patch, path = "/whip/{id}", tag = "whip",
    params(
        ("id" = String, Path, description = "As in `Location`"),
        ("If-Match" = String, Header, description = "Its ETag, or `*` for an ICE restart"),
    ),
    request_body(content = String, content_type = "application/trickle-ice-sdpfrag"),
    responses(
        (status = 200, description = "Restarted", content_type = "application/trickle-ice-sdpfrag", body = String),
        (status = 204, description = "Taken"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "Another ETag", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "No ETag", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn change(
    State(server): State<Server>,
    Extension(whip): Extension<Option<Whip>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let changed = apply(whip, &id, &headers, body).await;
    cors::open(&server.access, &headers, changed.into_response())
}

/// End a publication. What was said is still transcribed, and told to whoever listens.
#[utoipa::path(
    delete, path = "/whip/{id}", tag = "whip", params(("id" = String, Path, description = "As in `Location`")),
    responses(
        (status = 200, description = "It ends"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn end(
    State(server): State<Server>,
    Extension(whip): Extension<Option<Whip>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let ended = find(whip, &id).map(|(_, publication)| publication.session().drain(Reason::ClientClosed));
    let response = ended.map(|()| StatusCode::OK);
    cors::open(&server.access, &headers, response.into_response())
}

async fn preflight(State(server): State<Server>, headers: HeaderMap) -> Response {
    cors::preflight(&server.access, &headers)
}

async fn open(
    server: &Server,
    whip: Option<Whip>,
    peer: SocketAddr,
    uri: &Uri,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let wrong = |detail: String| Problem::new(Kind::InvalidParameter, detail);
    let params = Params::read(uri);
    let token = params.as_ref().ok().and_then(|params| params.token.as_deref());
    let client = server.access.admit(headers, peer, token);
    let client = client.inspect_err(|problem| server.metrics.refused(problem.kind()))?;
    let whip = whip.ok_or_else(off)?;
    let params = params.map_err(wrong)?;
    let offer = text(headers, SDP, body)?;
    let address = whip.reached_by(client.ip.unwrap_or(peer.ip()))?;
    let key = client.key.clone();
    let place = server.sessions.admit(client, 1)?;
    let negotiated = negotiate::accept(&offer, whip.certificate(), address)?;
    let (codec, answer) = (negotiated.formats[0].codec, negotiated.answer.clone());

    let (source, inlet) = RtpAudio::new(KIND, None, negotiated.formats[0]);
    let parent = Parent::of(headers);
    let wishes = Wishes { configure: params.configure, full_transcripts: params.full_transcript, parent, name: None };
    let session = server.sessions.open(place, Box::new(source), wishes).await?;
    let session_id = session.id().to_string();
    session.log().push(|seq| {
        Message::Ready(Ready {
            seq,
            protocol: VERSION,
            session_id: session_id.clone(),
            model: server.model.name(),
            audio: AudioFormat {
                encoding: codec.name().to_lowercase(),
                sample_rate: Some(codec.clock_rate()),
                channels: None,
                multichannel: false,
            },
            limits: Limits {
                max_message_bytes: negotiate::LARGEST_MESSAGE,
                idle_timeout_seconds: 0,
                max_duration_seconds: server.allowance.max_duration.as_secs(),
                resume_seconds: 0,
            },
        })
    });
    tracing::debug!(session = session_id, key = key.as_deref().unwrap_or_default(), "an offer was answered");
    let (metrics, most) = (server.metrics.clone(), server.allowance.max_duration);
    let (id, tag) = whip.publish(session, negotiated, inlet, offer, metrics, most).await?;
    let told = [
        (LOCATION.as_str(), format!("/whip/{id}")),
        (CONTENT_TYPE.as_str(), SDP.to_owned()),
        (ETAG.as_str(), tag),
        (LINK.as_str(), format!("</v1/sessions/{session_id}/events?after=0>; rel=\"{EVENTS}\"")),
        (SESSION, session_id),
        ("accept-patch", FRAGMENT.to_owned()),
    ];
    Ok((StatusCode::CREATED, told, answer).into_response())
}

async fn apply(
    whip: Option<Whip>,
    id: &str,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let (whip, publication) = find(whip, id)?;
    let fragment = text(headers, FRAGMENT, body)?;
    let matches = headers.get(IF_MATCH).ok_or_else(|| {
        Problem::new(Kind::NoCondition, "If-Match: the ETag for more candidates, or * for an ICE restart")
    })?;
    let restarted = publication.change(&whip.agent(), &fragment, matches.as_bytes()).await?;
    Ok(match restarted {
        None => StatusCode::NO_CONTENT.into_response(),
        Some((fragment, tag)) => {
            (StatusCode::OK, [(CONTENT_TYPE, FRAGMENT.to_owned()), (ETAG, tag)], fragment).into_response()
        }
    })
}

fn off() -> Problem {
    Problem::new(Kind::NotFound, "WebRTC is off here (--whip-udp)")
}

fn find(whip: Option<Whip>, id: &str) -> Result<(Whip, Arc<Publication>), Problem> {
    let whip = whip.ok_or_else(off)?;
    let publication = id.parse().ok().and_then(|id| whip.find(id));
    let gone = || Problem::new(Kind::NotFound, "there is no such publication, or not any more");
    Ok((whip, publication.ok_or_else(gone)?))
}

/// The body, if it is of the kind that is due.
fn text(headers: &HeaderMap, kind: &str, body: Result<Bytes, BytesRejection>) -> Result<String, Problem> {
    let given = headers.get(CONTENT_TYPE).and_then(|given| given.to_str().ok()).unwrap_or_default();
    let given = given.split(';').next().unwrap_or_default().trim();
    if !given.eq_ignore_ascii_case(kind) {
        return Err(Problem::new(Kind::UnsupportedMediaType, format!("Content-Type: has to be {kind}")));
    }
    let body = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(Kind::MessageTooLarge, format!("a body may have {LARGEST} bytes at most"))
        }
        _ => Problem::new(Kind::InvalidOffer, error.body_text()),
    })?;
    String::from_utf8(body.into()).map_err(|_| Problem::new(Kind::InvalidOffer, "the body is not UTF-8"))
}
