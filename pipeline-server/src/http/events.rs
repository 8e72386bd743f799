//! `/v1/sessions/{id}/events`: what a session says, to as many as want to read it, as server-sent events or over a WebSocket.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::ws::{self, CloseFrame, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, FromRequestParts, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::Extension;
use futures_util::stream::{self, Stream};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use utoipa::IntoParams;

use super::pulse::Pulse;
use super::Server;
use crate::protocol::problem::{Kind, Problem};
use crate::protocol::results::{ErrorMessage, Message};
use crate::session::log::{Log, Next, Subscription};
use crate::session::Told;

/// Between two signs of life on a connection on which nothing is said.
const ALIVE: Duration = Duration::from_secs(15);
/// Where a browser's `EventSource` says what it has.
const LAST: &str = "last-event-id";

/// The query.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// `seq` of the last message that the client has; what came behind it is sent. Without, only what comes from now on.
    /// `Last-Event-ID` wins over it.
    after: Option<u64>,
    /// A token in place of a key, for browsers.
    token: Option<String>,
}

/// Subscribe to a session: each message of the WebSocket protocol is an event, with its `type` as name and its `seq` as id.
/// With `Upgrade: websocket` they come as text messages.
#[utoipa::path(
    get, path = "/v1/sessions/{id}/events", tag = "sessions",
    params(
        ("id" = String, Path, description = "The session, as `session_id` of a source or of `ready`"),
        Params,
        ("Last-Event-ID" = Option<u64>, Header, description = "As `after`; browsers send it when they come back"),
    ),
    responses(
        (status = 200, description = "Events until the session is over", content_type = "text/event-stream", body = String),
        (status = 101, description = "The same over a WebSocket"),
        (status = 204, description = "The session is over and the client has all of it"),
        (status = 401, description = "A key is needed", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn events(
    State(server): State<Server>,
    Extension(ConnectInfo(peer)): Extension<ConnectInfo<SocketAddr>>,
    Extension(pulse): Extension<Pulse>,
    Path(id): Path<String>,
    params: Result<Query<Params>, QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let wrong = |detail: String| Problem::new(Kind::InvalidParameter, detail);
    let Query(params) = params.map_err(|error| wrong(error.body_text()))?;
    let headers = request.headers().clone();
    let client = server.access.admit(&headers, peer, params.token.as_deref());
    let client = client.inspect_err(|problem| server.metrics.refused(problem.kind()))?;
    let Told { log, .. } = find(&server, &id, client.key.as_deref())?;

    let (newest, over) = log.last();
    let after = last_event(&headers).map_err(wrong)?.or(params.after);
    if over && after.is_some_and(|after| after >= newest) {
        // A browser would come back again and again to a stream that only ended.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let reader = Reader::new(log, after);
    if request.headers().contains_key("upgrade") {
        let (mut parts, _) = request.into_parts();
        let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &server).await;
        let upgrade = upgrade.map_err(|error| Problem::new(Kind::NotAWebSocket, error.body_text()))?;
        return Ok(upgrade.on_upgrade(move |socket| over_websocket(socket, reader)));
    }
    Ok(Sse::new(as_events(reader, pulse)).into_response())
}

fn find(server: &Server, id: &str, key: Option<&str>) -> Result<Told, Problem> {
    let id = id.parse().ok();
    let told = id.and_then(|id| {
        let declared = || server.declared.session(id).map(|session| Told::of(&session));
        server.sessions.told(id).or_else(declared)
    });
    let told = told.filter(|told| told.is_for(key));
    told.ok_or_else(|| Problem::new(Kind::NotFound, "there is no such session, or not any more"))
}

fn last_event(headers: &HeaderMap) -> Result<Option<u64>, String> {
    let Some(value) = headers.get(LAST) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    number.map(Some).ok_or_else(|| "Last-Event-ID: is not the number of an event".to_owned())
}

/// Reads a session's log to its end.
struct Reader {
    log: Arc<Log>,
    messages: Subscription,
    /// What is to be said before anything else.
    first: Option<Message>,
    over: bool,
}

impl Reader {
    fn new(log: Arc<Log>, after: Option<u64>) -> Self {
        let (horizon, (newest, over)) = (log.horizon(), log.last());
        // The end is told to everybody.
        let from = after.unwrap_or(if over { newest.saturating_sub(1) } else { newest });
        let gone = from < horizon || from > newest;
        let from = if gone { horizon } else { from };
        let first = gone.then(|| {
            let detail = "messages behind the one that you have are gone; these are those that are there still";
            missed(from, detail)
        });
        Self { messages: log.subscribe(from), log, first, over: false }
    }

    async fn next(&mut self) -> Option<Message> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        if self.over {
            return None;
        }
        match self.messages.next().await {
            Next::Message(message) => Some(message),
            Next::End => None,
            Next::Lagged => {
                // It comes back with the number it has, and is told what is gone.
                self.over = true;
                let (newest, _) = self.log.last();
                Some(missed(newest, "results were not read in time: come back with the last number that you have"))
            }
        }
    }
}

fn missed(seq: u64, detail: &str) -> Message {
    Message::Error(ErrorMessage { seq, problem: Problem::new(Kind::SlowReader, detail), fatal: false })
}

fn as_events(reader: Reader, pulse: Pulse) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold((reader, pulse), |(mut reader, pulse)| async move {
        pulse.beat();
        let Ok(message) = tokio::time::timeout(ALIVE, reader.next()).await else {
            return Some((Ok(Event::default().comment("alive")), (reader, pulse)));
        };
        let message = message?;
        // Plain structs with string keys: nothing in them can fail to serialise.
        let json = serde_json::to_value(&message).unwrap_or_default();
        let mut event = Event::default().event(json["type"].as_str().unwrap_or_default());
        // What is told to this reader alone is not a place to come back to.
        if !is_private(&message) {
            event = event.id(json["seq"].to_string());
        }
        Some((Ok(event.data(json.to_string())), (reader, pulse)))
    })
}

fn is_private(message: &Message) -> bool {
    matches!(message, Message::Error(error) if error.problem.kind() == Kind::SlowReader && !error.fatal)
}

async fn over_websocket(socket: WebSocket, mut reader: Reader) {
    let (mut sink, mut stream) = socket.split();
    let mut pings = tokio::time::interval(ALIVE);
    let mut reason = "";
    loop {
        let frame = tokio::select! {
            message = reader.next() => match message {
                Some(message) => {
                    if let Message::Closed(closed) = &message {
                        reason = closed.reason.name();
                    }
                    ws::Message::Text(serde_json::to_string(&message).unwrap_or_default().into())
                }
                None => break,
            },
            _ = pings.tick() => ws::Message::Ping(Default::default()),
            // It has nothing to say; when it goes, that is the end.
            said = stream.next() => match said {
                Some(Ok(ws::Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
        };
        let sent = tokio::time::timeout(ALIVE * 2, sink.send(frame)).await;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
    let close = CloseFrame { code: ws::close_code::NORMAL, reason: Utf8Bytes::from_static(reason) };
    let _ = tokio::time::timeout(ALIVE, sink.send(ws::Message::Close(Some(close)))).await;
}
