//! What goes on between a session and its client's connection, from the answer to the offer until the client has its last
//! message.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::agent::Agent;
use super::peer::{Gone, Line, Note, Phase, CONNECT};
use crate::metrics::Metrics;
use crate::protocol::control::{Control, Listener};
use crate::protocol::problem::Kind;
use crate::protocol::results::{Alive, Message};
use crate::session::log::Next;
use crate::session::{Attended, Reason, Session};
use crate::sources::rtp::{Format, RtpInlet};

/// How long a session that is over waits until its client has taken its last messages.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What is needed to serve a session.
pub(super) struct Attendant {
    pub(super) id: Uuid,
    pub(super) session: Attended,
    pub(super) agent: Agent,
    pub(super) inlet: RtpInlet,
    pub(super) metrics: Arc<Metrics>,
    pub(super) max_duration: Duration,
}

impl Attendant {
    /// Serves it to its end.
    pub(super) async fn run(self, mut line: Line) {
        let session: &Arc<Session> = &self.session;
        let mut telling = pin!(self.tell(line.phase.clone()));
        let mut closed = pin!(session.reached(|state| state.is_closed()));
        let mut over = pin!(sleep(self.max_duration));
        let (mut tells, mut lasts, mut is_there) = (true, true, true);
        let mut listener = Listener::default();
        while !session.state().is_closed() {
            tokio::select! {
                () = &mut telling, if tells => tells = false,
                changed = line.phase.changed(), if is_there => {
                    let phase = line.phase.borrow_and_update().clone();
                    let broke = changed.is_err().then(|| Gone::Failed("it broke".into()));
                    match phase.gone.or(broke) {
                        Some(why) => {
                            is_there = false;
                            self.gone(why);
                        }
                        None if phase.is_reached => {
                            session.start().await;
                        }
                        None => {}
                    }
                }
                Some(note) = line.notes.recv() => match note {
                    Note::Control(text) => self.control(&mut listener, &text).await,
                    Note::Codec(format) => self.change(format).await,
                },
                () = &mut over, if lasts => {
                    lasts = false;
                    session.drain(Reason::MaxDuration);
                }
                _ = &mut closed => {}
            }
        }
        if tells && is_there && line.phase.borrow().has_channel {
            let _ = timeout(LAST_WORDS, telling).await;
        }
        let _ = timeout(LAST_WORDS, self.agent.finish(self.id)).await;
    }

    fn gone(&self, why: Gone) {
        let session = &self.session;
        tracing::debug!(session = %session.id(), ?why, "the connection is over");
        match why {
            Gone::Left => session.drain(Reason::ClientClosed),
            Gone::Silent => session.drain(Reason::ClientGone),
            Gone::Failed(error) => {
                tracing::info!(session = %session.id(), error, "the connection failed");
                session.drain(Reason::ClientGone);
            }
            Gone::NeverThere => {
                let detail = format!(
                    "no connection over UDP came about within {} s: a firewall, or an address of the server that the \
                     client can't reach (--whip-udp, --external-ip)",
                    CONNECT.as_secs()
                );
                session.report(Kind::NoConnection, detail, Some(Reason::ClientGone));
            }
            Gone::Flooded => {
                let detail = "more messages came than can be understood";
                session.report(Kind::InvalidMessage, detail, Some(Reason::InvalidInput));
            }
        }
    }

    async fn control(&self, listener: &mut Listener, text: &str) {
        let session: &Arc<Session> = &self.session;
        match listener.read(text) {
            Ok(Control::Configure(configure)) => {
                if let Err(problem) = session.configure(&configure).await {
                    session.report(Kind::InvalidSetting, problem.detail, None);
                }
            }
            Ok(Control::Finalize {}) => self.inlet.finalize(),
            // Audio does not come in bytes that a client could count.
            Ok(Control::Keepalive {}) => session.log().push(|seq| Message::Alive(Alive { seq, audio_bytes: 0 })),
            Ok(Control::Close {}) => session.drain(Reason::ClientClosed),
            Err(misread) => {
                let fatal = misread.is_fatal.then_some(Reason::InvalidInput);
                session.report(Kind::InvalidMessage, misread.detail, fatal);
            }
        }
    }

    async fn change(&self, format: Format) {
        let inlet = self.inlet.clone();
        match tokio::task::spawn_blocking(move || inlet.change(format)).await {
            Ok(Ok(())) => self.agent.changed(self.id, format.payload_type).await,
            Ok(Err(error)) => self.session.report(Kind::TranscriptionFailed, error.to_string(), Some(Reason::Failed)),
            Err(_) => {}
        }
    }

    /// Tells the client over its data channel, if it has one, what the session says, from the beginning to the end.
    async fn tell(&self, mut phase: watch::Receiver<Phase>) {
        let there = phase.wait_for(|phase| phase.has_channel || phase.gone.is_some()).await;
        if !there.is_ok_and(|phase| phase.has_channel) {
            return;
        }
        let mut messages = self.session.log().subscribe(0);
        loop {
            let message = match messages.next().await {
                Next::Message(message) => message,
                Next::End => return,
                Next::Lagged => return self.give_up(),
            };
            self.metrics.partials_skipped(messages.take_skipped());
            // Plain structs with string keys: nothing in them can fail to serialise.
            let text = serde_json::to_string(&message).unwrap_or_default();
            tokio::select! {
                said = self.agent.say(self.id, text) => if !said { return },
                () = messages.lagged() => return self.give_up(),
            }
        }
    }

    /// The client lost messages that it must not lose.
    fn give_up(&self) {
        let detail = "results were not read, and the newest do not fit behind them any more: read while you send";
        self.session.report(Kind::SlowReader, detail, Some(Reason::SlowReader));
    }
}
