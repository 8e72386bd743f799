//! One call, from the answer to the end: signalling on one side, its session on the other.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rsipstack::dialog::dialog::{Dialog, DialogState, DialogStateReceiver, TerminatedReason, TransactionHandle};
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::sip::prelude::{HeadersExt, ToTypedHeader};
use rsipstack::sip::{Header, Method, Request, StatusCode, StatusCodeKind};
use tokio::time::{sleep_until, Instant};

use super::checks::{allow, is_sdp};
use super::door::Door;
use super::media::{Ear, Expected, Heard, Ports};
use super::sdp::{self, Direction, Local, Remote};
use super::timer::{Timer, TooShort};
use crate::protocol::call::{Call as Described, CallEndReason};
use crate::session::{Attended, Place, Reason, Wishes};
use crate::sources::rtp::{Codec, Format, RtpAudio, RtpInlet};

/// Whose voice is heard.
const PARTY: &str = "caller";
/// Where the answer names the session.
const SESSION: &str = "X-Session-Id";
/// What a BYE has to say.
const NORMAL: &str = "SIP;cause=200;text=\"the transcription ended\"";
const SILENT: &str = "SIP;cause=408;text=\"no RTP\"";

/// Where a call is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Answered with the server's own offer: what is sent, the ACK will tell.
    Offered,
    /// Audio may come.
    Talking,
    /// The other side put it on hold.
    Held,
}

/// What became of a call that goes on.
enum Turn {
    GoesOn,
    /// The other side ended it, or the stack did.
    Over(CallEndReason),
    /// It is ours to hang up.
    HangUp(CallEndReason, &'static str),
}

/// A caller who is let in and whose description, if there was one, can be used.
pub(super) struct Caller {
    pub(super) dialog: InviteDialog,
    pub(super) states: DialogStateReceiver,
    pub(super) peer: SocketAddr,
    pub(super) place: Place,
    pub(super) offer: Option<Remote>,
    pub(super) timer: Option<Timer>,
}

/// Answers, listens until the end, and waits for the last words.
pub(super) async fn attend(door: Arc<Door>, caller: Caller) {
    let dialog = caller.dialog.clone();
    match Call::answer(&door, caller).await {
        Ok(call) => call.run().await,
        Err(status) => {
            let _ = dialog.reject(Some(status), None);
        }
    }
    door.dialogs.remove_dialog(&dialog.id());
}

struct Call {
    door: Arc<Door>,
    dialog: InviteDialog,
    states: DialogStateReceiver,
    session: Attended,
    inlet: RtpInlet,
    ear: Ear,
    local: Local,
    peer: SocketAddr,
    remote: Option<Remote>,
    state: State,
    timer: Option<Timer>,
    /// When it is long enough.
    end: Instant,
}

impl Call {
    /// Opens the session and answers the caller with 200.
    async fn answer(door: &Arc<Door>, caller: Caller) -> Result<Self, StatusCode> {
        let Caller { dialog, states, peer, place, offer, timer } = caller;
        let ports = Ports::bind(door.options.media_address(), &door.options.rtp_ports.0).await.map_err(|error| {
            tracing::error!(%error, "no ports for the audio of a call: widen rtp-ports");
            StatusCode::ServiceUnavailable
        })?;
        let local =
            Local { address: door.advertised(peer), port: ports.port, id: fastrand::u64(..1 << 53), version: 1 };
        // Until the caller says what it sends, anything will do.
        let format = offer.as_ref().map_or(Format { codec: Codec::Pcmu, payload_type: 0 }, |remote| remote.format);
        let (source, inlet) = RtpAudio::new(super::KIND, Some(PARTY), format);
        let session = door.sessions.open(place, Box::new(source), Wishes::default()).await.map_err(|problem| {
            tracing::error!("a call can't be listened to: {}", problem.detail);
            StatusCode::ServerInternalError
        })?;
        if !session.start().await {
            return Err(StatusCode::ServerInternalError);
        }
        let body = match &offer {
            Some(remote) => remote.answer(local),
            None => sdp::offer(local, |codec| door.can_decode(codec)),
        };
        let expected = expected(offer.as_ref(), format, peer.ip(), offer.is_none());
        let timeout = Duration::from_secs(door.options.rtp_timeout);
        let ear = Ear::listen(ports, inlet.clone(), expected, timeout, door.metrics.clone());
        if !dialog.state().can_cancel() {
            // It was cancelled meanwhile.
            return Err(StatusCode::RequestTerminated);
        }
        let mut headers = vec![sdp_type(), allow(), Header::Other(SESSION.into(), session.id().to_string())];
        headers.extend(timer.map(Timer::headers).into_iter().flatten());
        dialog.accept(Some(headers), Some(body.into_bytes())).map_err(|_| StatusCode::ServerInternalError)?;
        let state = if offer.is_some() { State::Talking } else { State::Offered };
        let end = Instant::now() + door.max_duration;
        let door = door.clone();
        let call = Self { door, dialog, states, session, inlet, ear, local, peer, remote: offer, state, timer, end };
        if state == State::Talking {
            call.tell_start();
        }
        Ok(call)
    }

    fn tell_start(&self) {
        let invite = self.dialog.initial_request();
        let name = |header: Option<&str>| header.map(|value| uri_of(value).to_owned());
        self.session.call_started(Described {
            call_id: invite.call_id_header().map(|id| id.value().to_owned()).unwrap_or_default(),
            from: name(invite.from_header().ok().map(|from| from.value())),
            to: name(invite.to_header().ok().map(|to| to.value())),
            codec: self.remote.as_ref().map_or("", |remote| remote.format.codec.name()).to_owned(),
            parties: vec![PARTY],
            ..Described::default()
        });
    }

    async fn run(mut self) {
        let mut turn = Turn::GoesOn;
        while let Turn::GoesOn = turn {
            turn = self.turn().await;
        }
        let (reason, goodbye) = match turn {
            Turn::GoesOn => return,
            Turn::Over(reason) => (reason, None),
            Turn::HangUp(reason, goodbye) => (reason, Some(goodbye)),
        };
        let Self { dialog, session, ear, .. } = self;
        drop(ear);
        session.call_ended(reason);
        session.drain(Reason::EndOfStream);
        let hang_up = async {
            if let Some(goodbye) = goodbye {
                if let Err(error) = dialog.bye_with_reason(goodbye.to_owned()).await {
                    tracing::debug!(%error, "the other side does not answer the BYE");
                }
            }
        };
        let last_words = async move {
            session.reached(|state| state.is_closed()).await;
            drop(session);
        };
        tokio::join!(hang_up, last_words);
    }

    /// Waits for the next thing that happens.
    async fn turn(&mut self) -> Turn {
        let session = self.session.clone();
        let due = self.timer.map_or(self.end, Timer::due);
        tokio::select! {
            state = self.states.recv() => match state {
                Some(state) => self.heard_of(state).await,
                None => Turn::Over(CallEndReason::Failed),
            },
            heard = self.ear.hear() => match heard {
                Some(Heard::Key(digit)) => {
                    self.session.call_dtmf(PARTY, digit);
                    Turn::GoesOn
                }
                Some(Heard::Nothing) => Turn::HangUp(CallEndReason::MediaTimeout, SILENT),
                None => Turn::HangUp(CallEndReason::Failed, NORMAL),
            },
            _ = session.reached(|state| !state.takes_audio()) => Turn::HangUp(CallEndReason::LocalHangup, NORMAL),
            () = sleep_until(self.end) => {
                self.session.drain(Reason::MaxDuration);
                Turn::HangUp(CallEndReason::LocalHangup, NORMAL)
            }
            () = sleep_until(due), if self.timer.is_some() => self.timer_is_due().await,
        }
    }

    /// What the stack says.
    async fn heard_of(&mut self, state: DialogState) -> Turn {
        match state {
            DialogState::Terminated(_, reason) => return Turn::Over(ended(&reason)),
            DialogState::Confirmed(..) if self.state == State::Offered => return self.hear_answer().await,
            DialogState::Updated(_, request, handle) => self.update(&request, &handle).await,
            DialogState::Info(_, request, handle) => {
                if let Some(digit) = relayed_key(&request) {
                    self.session.call_dtmf(PARTY, digit);
                }
                respond(&handle, StatusCode::OK, Vec::new(), None).await;
            }
            DialogState::Options(_, _, handle) => respond(&handle, StatusCode::OK, vec![allow()], None).await,
            DialogState::Refer(_, _, handle)
            | DialogState::Message(_, _, handle)
            | DialogState::Notify(_, _, handle)
            | DialogState::Publish(_, _, handle) => {
                respond(&handle, StatusCode::MethodNotAllowed, vec![allow()], None).await;
            }
            DialogState::Calling(_)
            | DialogState::Trying(_)
            | DialogState::Early(..)
            | DialogState::WaitAck(..)
            | DialogState::Confirmed(..) => {}
        }
        Turn::GoesOn
    }

    /// The ACK to an offer of ours brings the answer.
    async fn hear_answer(&mut self) -> Turn {
        let body = self.dialog.last_remote_ack().map(|ack| ack.body).unwrap_or_default();
        match Remote::read(&body, |codec| self.door.can_decode(codec)) {
            Ok(remote) => {
                self.follow(remote).await;
                self.tell_start();
                Turn::GoesOn
            }
            Err(why) => {
                tracing::warn!(session = %self.session.id(), "the answer to our offer: {why}");
                Turn::HangUp(CallEndReason::Failed, NORMAL)
            }
        }
    }

    /// A re-INVITE or an UPDATE: hold, resume, another address, or only a sign of life.
    async fn update(&mut self, request: &Request, handle: &TransactionHandle) {
        match Timer::of(request) {
            Ok(Some(timer)) => self.timer = Some(timer),
            Ok(None) => {
                if let Some(timer) = &mut self.timer {
                    timer.refreshed();
                }
            }
            Err(TooShort) => {
                return respond(handle, StatusCode::SessionIntervalTooSmall, vec![Timer::minimum()], None).await;
            }
        }
        // The stack goes on sending to where the first INVITE said.
        if let Ok(contact) = request.contact_header() {
            if let Ok(typed) = contact.typed() {
                Dialog::Invite(self.dialog.clone()).set_remote_target(typed.uri, Some(contact.clone()));
            }
        }
        let mut headers: Vec<Header> = self.timer.map(Timer::headers).into_iter().flatten().collect();
        if request.body.is_empty() {
            let mut body = None;
            if request.method == Method::Invite {
                // Asked for an offer: the same as before, if the other side has said what it can do.
                body = self.remote.as_ref().map(|remote| remote.answer(self.local));
                headers.push(sdp_type());
            }
            return respond(handle, StatusCode::OK, headers, body).await;
        }
        if !is_sdp(request) {
            return respond(handle, StatusCode::UnsupportedMediaType, vec![accept()], None).await;
        }
        match Remote::read(&request.body, |codec| self.door.can_decode(codec)) {
            Ok(remote) => {
                self.local.version += 1;
                let body = remote.answer(self.local);
                self.follow(remote).await;
                headers.push(sdp_type());
                respond(handle, StatusCode::OK, headers, Some(body)).await;
            }
            // What was agreed on before still holds.
            Err(why) => respond(handle, StatusCode::NotAcceptableHere, vec![warning(&why.to_string())], None).await,
        }
    }

    /// Listens to what the other side says that it sends now.
    async fn follow(&mut self, remote: Remote) {
        let held = match remote.direction {
            Direction::SendRecv => false,
            Direction::Inactive | Direction::RecvOnly => true,
            // From the first on: it just doesn't want to hear us. Afterwards that is how a call is put on hold.
            Direction::SendOnly => self
                .remote
                .as_ref()
                .is_some_and(|before| self.state == State::Held || before.direction == Direction::SendRecv),
        };
        let format = remote.format;
        let inlet = self.inlet.clone();
        let changed = tokio::task::spawn_blocking(move || inlet.change(format)).await;
        if let Ok(Err(error)) = changed {
            tracing::error!(session = %self.session.id(), %error, "the codec can't be changed");
        }
        let expected = expected(Some(&remote), format, self.peer.ip(), held);
        if expected != self.ear.expected() {
            self.ear.expect(expected);
        }
        if held != (self.state == State::Held) {
            self.session.call_held(PARTY, held);
        }
        self.state = if held { State::Held } else { State::Talking };
        self.remote = Some(remote);
    }

    async fn timer_is_due(&mut self) -> Turn {
        let Some(timer) = &mut self.timer else { return Turn::GoesOn };
        if !timer.is_ours() {
            tracing::info!(session = %self.session.id(), "the other side does not refresh the call");
            return Turn::HangUp(CallEndReason::Failed, "SIP;cause=408;text=\"session timer\"");
        }
        timer.refreshed();
        let headers = timer.headers().to_vec();
        match self.dialog.update(Some(headers), None).await {
            Ok(Some(response)) if response.status_code.kind() != StatusCodeKind::Successful => {
                let gone = [StatusCode::CallTransactionDoesNotExist, StatusCode::RequestTimeout];
                match gone.contains(&response.status_code) {
                    true => Turn::HangUp(CallEndReason::Failed, NORMAL),
                    false => Turn::GoesOn,
                }
            }
            Ok(_) => Turn::GoesOn,
            Err(_) => Turn::HangUp(CallEndReason::Failed, NORMAL),
        }
    }
}

fn expected(remote: Option<&Remote>, format: Format, peer: IpAddr, held: bool) -> Expected {
    let stated = remote.and_then(|remote| remote.address);
    let mut from = vec![peer];
    from.extend(stated.filter(|stated| *stated != peer));
    Expected { from, payload_type: format.payload_type, dtmf: remote.and_then(|remote| remote.dtmf), held }
}

async fn respond(handle: &TransactionHandle, status: StatusCode, headers: Vec<Header>, body: Option<String>) {
    // It fails if the other side has given up meanwhile.
    let _ = handle.respond(status, Some(headers), body.map(String::into_bytes)).await;
}

fn ended(reason: &TerminatedReason) -> CallEndReason {
    match reason {
        TerminatedReason::UacBye | TerminatedReason::UacCancel => CallEndReason::RemoteHangup,
        TerminatedReason::UasBye | TerminatedReason::UasDecline => CallEndReason::LocalHangup,
        _ => CallEndReason::Failed,
    }
}

/// A key in an INFO (`application/dtmf-relay`, `application/dtmf`), which many telephones send.
fn relayed_key(request: &Request) -> Option<char> {
    let body = std::str::from_utf8(&request.body).ok()?;
    let signal = body.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        name.trim().eq_ignore_ascii_case("signal").then_some(value.trim())
    });
    let digit = signal.unwrap_or(body.trim());
    let mut digits = digit.chars();
    let digit = digits.next()?.to_ascii_uppercase();
    (digits.next().is_none() && "0123456789*#ABCD".contains(digit)).then_some(digit)
}

/// The URI of a header with a name and parameters around it.
fn uri_of(value: &str) -> &str {
    match value.split_once('<').and_then(|(_, rest)| rest.split_once('>')) {
        Some((uri, _)) => uri,
        None => value.split(';').next().unwrap_or(value).trim(),
    }
}

fn sdp_type() -> Header {
    Header::ContentType("application/sdp".into())
}

/// What bodies are taken.
pub(super) fn accept() -> Header {
    Header::Other("Accept".into(), "application/sdp".into())
}

/// Why a description is refused, for people (RFC 3261, 20.43).
pub(super) fn warning(why: &str) -> Header {
    Header::Other("Warning".into(), format!("399 pipeline-server \"{why}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_is_between_the_brackets() {
        assert_eq!(uri_of("\"Al <x>\" <sip:a@b>;tag=1"), "x");
        assert_eq!(uri_of("Alice <sip:a@b;user=phone>;tag=1"), "sip:a@b;user=phone");
        assert_eq!(uri_of("sip:a@b;tag=1"), "sip:a@b");
        assert_eq!(uri_of(""), "");
    }
}
