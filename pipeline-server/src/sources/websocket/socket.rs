//! Messages both ways over an open WebSocket.
//!
//! Reading and writing go on beside each other: a client that doesn't read still gets its audio transcribed until its
//! results don't fit the session's log any more. Reading waits for the pipeline, so that TCP slows down a client that is
//! too fast. The session's `closed` is the last text message; then comes a close frame. Where the connection breaks off,
//! [`resume`](super::resume) has the session.

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{self, CloseFrame, Utf8Bytes, WebSocket};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::MutexGuard;
use tokio::time::{interval_at, sleep_until, timeout, Instant};
use tungstenite::error::ProtocolError;
use tungstenite::Error as Fault;

use super::resume::{Held, Resumables, WayIn};
use super::Allowance;
use crate::metrics::Metrics;
use crate::protocol::control::{Control, Listener};
use crate::protocol::problem::Kind;
use crate::protocol::results::{Alive, Message, Resumed};
use crate::session::log::{Next, Subscription};
use crate::session::{Reason, Session, State};
use crate::sources::close_code;

/// How long a session that is over waits until the client has taken its last messages.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// How long the client's answer to the close frame is waited for.
const FAREWELL: Duration = Duration::from_secs(2);
/// Pings without any sign of life after which a client is gone.
const UNANSWERED: u32 = 2;

/// What a connection needs beside the session.
pub(super) struct Surroundings {
    pub(super) allowance: Allowance,
    pub(super) resumables: Arc<Resumables>,
    pub(super) metrics: Arc<Metrics>,
}

/// Serves the client until the session is over and the connection gone, or another connection serves it. `after`: the
/// number of the last message that a client has who comes back.
pub(super) async fn run(socket: WebSocket, held: Arc<Held>, after: Option<u64>, around: Surroundings) {
    let connection = held.take_over();
    around.resumables.keep(&held);
    let over = match serve(socket, &held, connection, after, &around).await {
        Left::Superseded => false,
        Left::Over => true,
        Left::Gone => !around.resumables.wait(&held, connection).await,
    };
    if over {
        around.resumables.forget(&held);
    }
}

/// Why a connection does not serve its session any more.
enum Left {
    /// The session is over and the client was told, or the connection broke and it does not matter.
    Over,
    /// The connection broke off, and the session waits for its client.
    Gone,
    /// Another connection serves the session.
    Superseded,
}

async fn serve(socket: WebSocket, held: &Held, connection: u64, after: Option<u64>, around: &Surroundings) -> Left {
    let session: &Arc<Session> = held.session();
    let mut superseded = pin!(held.superseded(connection));
    let way_in = tokio::select! {
        way_in = held.way_in.lock() => way_in,
        () = &mut superseded => return Left::Superseded,
    };
    let (mut sink, stream) = socket.split();
    if let Some(seq) = after {
        let session_id = session.id().to_string();
        let resumed = Message::Resumed(Resumed { seq, session_id, audio_bytes: way_in.taken });
        if sink.send(frame(&resumed)).await.is_err() {
            return Left::Gone;
        }
        tracing::info!(session = %session.id(), after = seq, "the client is back");
    }
    let reader =
        Reader { session: session.clone(), way_in, allowance: around.allowance, listener: Listener::default() };
    let mut reading = pin!(reader.run(stream));
    let mut writing = pin!(write(sink, session.clone(), around, after.unwrap_or(0)));
    let mut over = pin!(sleep_until(held.end));
    let (mut reads, mut lasts) = (true, true);
    loop {
        // What is dropped halfway when the connection breaks is audio that was not counted as taken.
        tokio::select! {
            ending = &mut reading, if reads => {
                reads = false;
                if ending == Ending::Gone {
                    if held.waits() && !session.state().is_closed() {
                        return Left::Gone;
                    }
                    session.close(Reason::ClientGone);
                }
            }
            told = &mut writing => {
                if !told && held.waits() {
                    return Left::Gone;
                }
                if !told {
                    session.close(Reason::ClientGone);
                }
                break;
            }
            () = &mut over, if lasts => {
                lasts = false;
                session.drain(Reason::MaxDuration);
            }
            () = &mut superseded => return Left::Superseded,
        }
    }
    if reads {
        let _ = timeout(FAREWELL, reading).await;
    }
    Left::Over
}

/// How reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The connection is gone.
    Gone,
    /// The client sent what can't be; it was told.
    Refused,
}

struct Reader<'a> {
    session: Arc<Session>,
    way_in: MutexGuard<'a, WayIn>,
    allowance: Allowance,
    listener: Listener,
}

impl Reader<'_> {
    /// Reads until the connection is over; what comes after the end of the session is thrown away.
    async fn run(mut self, mut stream: SplitStream<WebSocket>) -> Ending {
        let Allowance { idle_timeout, ping_interval, .. } = self.allowance;
        let began = Instant::now();
        // A session that is over or about to be has limits of its own.
        let (mut idle, mut gone) = (began + idle_timeout, began + UNANSWERED * ping_interval);
        loop {
            let session = self.session.clone();
            let takes_audio = || session.state().takes_audio();
            let message = tokio::select! {
                message = stream.next() => message,
                () = sleep_until(idle), if takes_audio() => {
                    if takes_audio() {
                        self.idle();
                    }
                    continue;
                }
                () = sleep_until(gone), if takes_audio() => match takes_audio() {
                    true => return Ending::Gone,
                    false => continue,
                },
            };
            // An answer to a ping is a sign of life of the connection, not of the client.
            let said = matches!(message, Some(Ok(ws::Message::Binary(_) | ws::Message::Text(_))));
            match message {
                Some(Ok(message)) if takes_audio() => self.take(message).await,
                Some(Ok(_)) => {}
                Some(Err(error)) => return self.broke(&error),
                None => return Ending::Gone,
            }
            // It may have waited for the pipeline.
            let now = Instant::now();
            gone = now + UNANSWERED * ping_interval;
            if said {
                idle = now + idle_timeout;
            }
        }
    }

    fn idle(&self) {
        let detail = format!(
            "nothing came for {} s; send keepalive while there is no audio",
            self.allowance.idle_timeout.as_secs()
        );
        self.session.report(Kind::IdleTimeout, detail, None);
        self.session.drain(Reason::IdleTimeout);
    }

    async fn take(&mut self, message: ws::Message) {
        match message {
            ws::Message::Binary(audio) => self.audio(&audio).await,
            ws::Message::Text(text) => self.control(&text).await,
            // Pings are answered below; a close frame ends the stream.
            ws::Message::Ping(_) | ws::Message::Pong(_) | ws::Message::Close(_) => {}
        }
    }

    async fn audio(&mut self, bytes: &[u8]) {
        if let Err(detail) = self.way_in.wire.check(bytes) {
            return self.session.report(Kind::InvalidAudio, detail, Some(Reason::InvalidInput));
        }
        if bytes.is_empty() || !self.session.start().await {
            return;
        }
        let session = self.session.clone();
        tokio::select! {
            pushed = self.way_in.inlet.push(bytes) => {
                // If the pipeline has stopped, the session knows why.
                if pushed.is_ok() {
                    self.way_in.taken += bytes.len() as u64;
                }
            }
            _ = session.reached(|state| !state.takes_audio()) => {}
        }
    }

    async fn control(&mut self, text: &str) {
        let control = match self.listener.read(text) {
            Ok(control) => control,
            Err(misread) => {
                let fatal = misread.is_fatal.then_some(Reason::InvalidInput);
                return self.session.report(Kind::InvalidMessage, misread.detail, fatal);
            }
        };
        match control {
            Control::Configure(configure) => {
                if let Err(problem) = self.session.configure(&configure).await {
                    self.session.report(Kind::InvalidSetting, problem.detail, None);
                }
            }
            Control::Finalize {} => self.way_in.inlet.finalize(),
            Control::Keepalive {} => {
                let audio_bytes = self.way_in.taken;
                self.session.log().push(|seq| Message::Alive(Alive { seq, audio_bytes }));
            }
            Control::Close {} => self.session.drain(Reason::ClientClosed),
        }
    }

    fn broke(&self, error: &axum::Error) -> Ending {
        let cause = error.source().and_then(|cause| cause.downcast_ref::<Fault>());
        let (kind, detail) = match cause {
            Some(Fault::Capacity(_)) => {
                let limit = self.allowance.max_message;
                (Kind::MessageTooLarge, format!("a message may have {limit} bytes at most: send smaller ones"))
            }
            Some(Fault::Protocol(fault)) if !is_reset(fault) => (Kind::InvalidMessage, fault.to_string()),
            Some(Fault::Utf8(_)) => (Kind::InvalidMessage, "a text message is not UTF-8".to_owned()),
            _ => return Ending::Gone,
        };
        self.session.report(kind, detail, Some(Reason::InvalidInput));
        Ending::Refused
    }
}

fn is_reset(fault: &ProtocolError) -> bool {
    matches!(fault, ProtocolError::ResetWithoutClosingHandshake)
}

/// How the sending of a message went.
enum Sent {
    Yes,
    /// The client has not read for so long that messages are gone.
    Slow,
    /// There is no connection any more, or the time for last words is over.
    Gone,
}

/// Writes what the session says behind the message of number `after` until its end, then closes the connection. `false` if
/// the connection is gone before.
async fn write(
    mut sink: SplitSink<WebSocket, ws::Message>,
    session: Arc<Session>,
    around: &Surroundings,
    after: u64,
) -> bool {
    let mut messages = session.log().subscribe(after);
    // They also keep proxies from closing a connection on which nobody speaks.
    let every = around.allowance.ping_interval;
    let mut pings = interval_at(Instant::now() + every, every);
    let mut expired = pin!(async {
        session.reached(|state| state.is_closed()).await;
        tokio::time::sleep(LAST_WORDS).await;
    });
    loop {
        let frame = tokio::select! {
            next = messages.next() => match next {
                Next::Message(message) => frame(&message),
                Next::End => break,
                Next::Lagged => {
                    give_up(&session, &mut messages);
                    continue;
                }
            },
            _ = pings.tick() => ws::Message::Ping(Default::default()),
        };
        around.metrics.partials_skipped(messages.take_skipped());
        let sent = tokio::select! {
            sent = sink.send(frame) => if sent.is_ok() { Sent::Yes } else { Sent::Gone },
            () = messages.lagged() => Sent::Slow,
            () = &mut expired => Sent::Gone,
        };
        match sent {
            Sent::Yes => {}
            Sent::Slow => give_up(&session, &mut messages),
            Sent::Gone => return false,
        }
    }
    let State::Closed(reason) = session.state() else { return true };
    let close = CloseFrame { code: close_code(reason), reason: Utf8Bytes::from_static(reason.name()) };
    tokio::select! {
        _ = sink.send(ws::Message::Close(Some(close))) => {}
        () = expired => {}
    }
    true
}

/// The client lost messages that it must not lose; it is told so if it reads after all.
fn give_up(session: &Arc<Session>, messages: &mut Subscription) {
    let last = if session.state().is_closed() { 1 } else { 2 };
    let detail = "results were not read, and the newest do not fit behind them any more: read while you send";
    session.report(Kind::SlowReader, detail, Some(Reason::SlowReader));
    messages.skip_to_last(last);
}

fn frame(message: &Message) -> ws::Message {
    // Plain structs with string keys: nothing in them can fail to serialise.
    ws::Message::Text(serde_json::to_string(message).unwrap_or_default().into())
}
