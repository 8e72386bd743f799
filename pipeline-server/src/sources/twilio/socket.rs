//! A connection of Twilio, from `start` to the last final. Only pings and a close frame go back: what is said goes to those
//! who subscribe to the session.

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{self, CloseFrame, WebSocket};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::time::{interval_at, sleep_until, timeout, Instant};
use tungstenite::Error as Fault;

use super::call::{Listening, Then};
use super::message::{self, Event, Message, Start};
use super::source::CallAudio;
use crate::http::Server;
use crate::protocol::call::CallEndReason;
use crate::protocol::problem::Kind;
use crate::session::{Attended, Place, Reason, Session, State, Wishes};
use crate::sources::close_code;

/// How long `start` may take behind the handshake; Twilio sends it at once.
const START: Duration = Duration::from_secs(10);
/// Without media: what was said until then gets its finals.
const QUIET: Duration = Duration::from_secs(1);
/// Pings without any sign of life after which the other side is gone.
const UNANSWERED: u32 = 2;
/// Messages that are not understood before the connection is closed.
const PATIENCE: u32 = 16;
/// How long the other side's part in closing is waited for.
const FAREWELL: Duration = Duration::from_secs(2);
/// Bytes that the reason in a close frame may have.
const LONGEST_REASON: usize = 123;

/// How a connection is closed, with a code and a reason; none if it is gone.
struct Closing(Option<(u16, String)>);

impl Closing {
    fn new(code: u16, reason: impl Into<String>) -> Self {
        Self(Some((code, reason.into())))
    }

    fn gone() -> Self {
        Self(None)
    }
}

/// Serves a connection to its end.
pub(super) async fn run(socket: WebSocket, place: Place, server: Server) {
    let (mut sink, mut stream) = socket.split();
    // The session is attended to until the other side has been told.
    let (_session, closing) = match begin(&mut stream, place, &server).await {
        Ok((session, listening)) => {
            let ending = Connection::new(&session, listening, &server).serve(&mut sink, &mut stream).await;
            let closing = finish(&session, ending, &mut stream).await;
            (Some(session), closing)
        }
        Err(closing) => (None, closing),
    };
    if let Closing(Some((code, reason))) = closing {
        tracing::debug!(code, reason, "a stream is closed");
        let frame = CloseFrame { code, reason: shortened(&reason).into() };
        let farewell = async {
            let _ = sink.send(ws::Message::Close(Some(frame))).await;
            while let Some(Ok(_)) = stream.next().await {}
        };
        let _ = timeout(FAREWELL, farewell).await;
    }
}

/// Waits for `start`, and opens the session that it asks for.
async fn begin(
    stream: &mut SplitStream<WebSocket>,
    mut place: Place,
    server: &Server,
) -> Result<(Attended, Listening), Closing> {
    let started = timeout(START, start(stream)).await;
    let started = started.map_err(|_| Closing::new(ws::close_code::POLICY, "no start came"))?;
    let (number, start) = started.inspect_err(|closing| {
        if let Closing(Some((_, reason))) = closing {
            tracing::info!("a stream of Twilio is refused: {reason}");
        }
    })?;
    let parties = start.parties().map_err(|detail| {
        server.metrics.refused(Kind::InvalidAudio);
        tracing::info!("a stream of Twilio is refused: {detail}");
        Closing::new(ws::close_code::UNSUPPORTED, detail)
    })?;
    place.keep(parties.len());
    let (source, inlet) = CallAudio::new(&parties);
    let session = server.sessions.open(place, Box::new(source), Wishes::default()).await;
    let session = session.map_err(|problem| Closing::new(ws::close_code::ERROR, problem.detail))?;
    let listening = Listening::begin(Arc::clone(&session), inlet, parties, &start, number).await;
    Ok((session, listening))
}

/// The message `start` and its number.
async fn start(stream: &mut SplitStream<WebSocket>) -> Result<(u64, Start), Closing> {
    loop {
        match stream.next().await {
            Some(Ok(ws::Message::Text(text))) => match message::parse(&text) {
                Ok(Message { number, event: Event::Start(start) }) => return Ok((number.unwrap_or(1), start)),
                Ok(Message { event: Event::Connected | Event::Other, .. }) => {}
                Ok(_) => return Err(Closing::new(ws::close_code::PROTOCOL, "the first message has to be start")),
                Err(error) => return Err(Closing::new(ws::close_code::INVALID, error.to_string())),
            },
            Some(Ok(ws::Message::Binary(_))) => return Err(binary()),
            Some(Ok(ws::Message::Ping(_) | ws::Message::Pong(_))) => {}
            Some(Err(error)) => return Err(broken(&error)),
            Some(Ok(ws::Message::Close(_))) | None => return Err(Closing::gone()),
        }
    }
}

/// How the audio of a call ended.
struct Ending {
    /// For the session.
    reason: Reason,
    /// For those who listen.
    call: CallEndReason,
    /// For the other side; without, the session's end says it.
    closing: Option<Closing>,
}

impl Ending {
    fn new(reason: Reason, call: CallEndReason) -> Self {
        Self { reason, call, closing: None }
    }

    fn closing(self, closing: Closing) -> Self {
        Self { closing: Some(closing), ..self }
    }
}

struct Connection<'a> {
    session: &'a Arc<Session>,
    listening: Listening,
    server: &'a Server,
    misunderstood: u32,
    /// When finals are due for want of media, if there was any since the last time.
    quiet: Option<Instant>,
}

impl<'a> Connection<'a> {
    fn new(session: &'a Arc<Session>, listening: Listening, server: &'a Server) -> Self {
        Self { session, listening, server, misunderstood: 0, quiet: None }
    }

    /// Reads until the audio is over. Reading waits for the pipeline, so that TCP slows down who is too fast.
    async fn serve(
        mut self,
        sink: &mut SplitSink<WebSocket, ws::Message>,
        stream: &mut SplitStream<WebSocket>,
    ) -> Ending {
        let allowance = self.server.allowance;
        let began = Instant::now();
        let mut pings = interval_at(began + allowance.ping_interval, allowance.ping_interval);
        let over = began + allowance.max_duration;
        let (mut idle, mut gone) = (began + allowance.idle_timeout, began + UNANSWERED * allowance.ping_interval);
        let session = self.session.clone();
        let mut ended = pin!(session.reached(|state| !state.takes_audio()));
        let ending = loop {
            let message = tokio::select! {
                message = stream.next() => message,
                _ = pings.tick() => {
                    let _ = timeout(FAREWELL, sink.send(ws::Message::Ping(Default::default()))).await;
                    continue;
                }
                () = sleep_until(self.quiet.unwrap_or(over)), if self.quiet.is_some() => {
                    self.quiet = None;
                    if self.listening.quiet().await == Then::Stop {
                        break Ending::new(Reason::ClientClosed, CallEndReason::RemoteHangup);
                    }
                    continue;
                }
                () = sleep_until(idle) => {
                    let detail = format!("nothing came for {} s", allowance.idle_timeout.as_secs());
                    self.session.report(Kind::IdleTimeout, detail, None);
                    break Ending::new(Reason::IdleTimeout, CallEndReason::MediaTimeout);
                }
                () = sleep_until(gone) => {
                    break Ending::new(Reason::ClientGone, CallEndReason::Failed).closing(Closing::gone());
                }
                () = sleep_until(over) => break Ending::new(Reason::MaxDuration, CallEndReason::LocalHangup),
                state = &mut ended => break ended_by_others(state),
            };
            let said = matches!(message, Some(Ok(ws::Message::Text(_))));
            if let Some(ending) = self.message(message).await {
                break ending;
            }
            // It may have waited for the pipeline.
            let now = Instant::now();
            gone = now + UNANSWERED * allowance.ping_interval;
            if said {
                idle = now + allowance.idle_timeout;
            }
        };
        self.listening.rest().await;
        ending
    }

    async fn message(&mut self, message: Option<Result<ws::Message, axum::Error>>) -> Option<Ending> {
        let failed = || Ending::new(Reason::ClientGone, CallEndReason::Failed);
        let text = match message {
            Some(Ok(ws::Message::Text(text))) => text,
            Some(Ok(ws::Message::Ping(_) | ws::Message::Pong(_))) => return None,
            Some(Ok(ws::Message::Binary(_))) => {
                self.session.report(Kind::InvalidMessage, "a binary message is none of Twilio's", None);
                return Some(Ending::new(Reason::InvalidInput, CallEndReason::Failed).closing(binary()));
            }
            Some(Err(error)) => {
                let closing = broken(&error);
                let Closing(Some((code, reason))) = &closing else { return Some(failed().closing(closing)) };
                let large = *code == ws::close_code::SIZE;
                let kind = if large { Kind::MessageTooLarge } else { Kind::InvalidMessage };
                self.session.report(kind, reason.clone(), None);
                return Some(Ending::new(Reason::InvalidInput, CallEndReason::Failed).closing(closing));
            }
            // Without `stop`: the connection broke off, not the call.
            Some(Ok(ws::Message::Close(_))) | None => return Some(failed().closing(Closing::gone())),
        };
        let message = match message::parse(&text) {
            Ok(message) => message,
            Err(error) => return self.misunderstood(&error),
        };
        let media = matches!(message.event, Event::Media(_));
        let then = self.listening.take(message).await;
        if media {
            self.quiet = Some(Instant::now() + QUIET);
        }
        (then == Then::Stop).then_some(Ending::new(Reason::ClientClosed, CallEndReason::RemoteHangup))
    }

    fn misunderstood(&mut self, error: &serde_json::Error) -> Option<Ending> {
        self.misunderstood += 1;
        let detail = format!("a message is not understood: {error}");
        self.session.report(Kind::InvalidMessage, detail.clone(), None);
        // What is no JSON at all is not from Twilio.
        let fatal = !error.is_data() || self.misunderstood >= PATIENCE;
        let closing = Closing::new(ws::close_code::INVALID, detail);
        fatal.then(|| Ending::new(Reason::InvalidInput, CallEndReason::Failed).closing(closing))
    }
}

/// The server ends, or the pipeline broke.
fn ended_by_others(state: State) -> Ending {
    let (State::Draining(reason) | State::Closed(reason)) = state else {
        return Ending::new(Reason::Failed, CallEndReason::Failed);
    };
    let call = if reason == Reason::Shutdown { CallEndReason::LocalHangup } else { CallEndReason::Failed };
    Ending::new(reason, call)
}

/// Waits until all that was said has its text; says how the connection is to be closed.
async fn finish(session: &Arc<Session>, ending: Ending, stream: &mut SplitStream<WebSocket>) -> Closing {
    session.call_ended(ending.call);
    session.drain(ending.reason);
    let mut closed = pin!(session.reached(|state| state.is_closed()));
    let mut open = !matches!(ending.closing, Some(Closing(None)));
    let state = loop {
        tokio::select! {
            state = &mut closed => break state,
            // What still comes is thrown away.
            message = stream.next(), if open => open = matches!(message, Some(Ok(_))),
        }
    };
    let State::Closed(reason) = state else { return Closing::gone() };
    match ending.closing {
        Some(closing) => closing,
        None if !open => Closing::gone(),
        None => Closing::new(close_code(reason), reason.name()),
    }
}

fn binary() -> Closing {
    Closing::new(ws::close_code::UNSUPPORTED, "a binary message is none of Twilio's")
}

/// Why nothing more can be read.
fn broken(error: &axum::Error) -> Closing {
    match error.source().and_then(|cause| cause.downcast_ref::<Fault>()) {
        Some(Fault::Capacity(_)) => Closing::new(ws::close_code::SIZE, "the message is too large"),
        Some(Fault::Utf8(_)) => Closing::new(ws::close_code::INVALID, "a text message is not UTF-8"),
        _ => Closing::gone(),
    }
}

fn shortened(reason: &str) -> String {
    let end = (0..=LONGEST_REASON.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end));
    reason[..end.unwrap_or(0)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_fit_a_close_frame() {
        assert_eq!(shortened("short"), "short");
        let long = "ä".repeat(100);
        assert_eq!(shortened(&long), "ä".repeat(61));
    }
}
