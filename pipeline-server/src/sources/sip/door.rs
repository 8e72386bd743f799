//! Where calls arrive: requests are looked at, callers let in or refused, and each call gets a task of its own.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use rsipstack::dialog::dialog::Dialog;
use rsipstack::dialog::dialog_layer::DialogLayer;
use rsipstack::sip::prelude::HeadersExt;
use rsipstack::sip::{Header, Method, Param, StatusCode, Transport, Uri};
use rsipstack::transaction::transaction::Transaction;
use tokio::sync::Semaphore;
use tokio::time::{sleep, Instant};

use super::call::{accept, attend, warning, Caller};
use super::checks::{allow, is_sdp, refusal};
use super::digest::{Digest, Verdict};
use super::options::Options;
use super::register::Registrars;
use super::sdp::Remote;
use super::timer::{Timer, TooShort};
use crate::access::Client;
use crate::metrics::Metrics;
use crate::protocol::problem::Kind;
use crate::session::Sessions;
use crate::sources::rtp::Codec;

/// Requests that are being answered at once; of more, no notice is taken.
const AT_ONCE: usize = 1024;
/// How long a request about a call waits for the ACK that it overtook, which UDP repeats within this time.
const ACK: Duration = Duration::from_secs(4);
/// How often it looks: the stack tells a call's states to one listener only, the call.
const LOOK: Duration = Duration::from_millis(10);
/// Seconds after which it may be tried again.
const RETRY: &str = "10";

/// See the module.
pub(super) struct Door {
    pub(super) options: Options,
    pub(super) sessions: Arc<Sessions>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) dialogs: DialogLayer,
    /// How long a call may last.
    pub(super) max_duration: Duration,
    pub(super) digest: Digest,
    pub(super) registrars: Registrars,
    /// Codecs that this machine can decode.
    pub(super) codecs: Vec<Codec>,
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// The user part of the contact.
    pub(super) user: String,
}

/// Who a caller is.
enum Welcome {
    /// Somebody who needs no password.
    Trusted,
    /// Somebody with the right password.
    User,
}

impl Door {
    /// Takes requests until there are no more.
    pub(super) async fn serve(self: Arc<Self>, mut requests: rsipstack::transaction::TransactionReceiver) {
        let room = Arc::new(Semaphore::new(AT_ONCE));
        while let Some(transaction) = requests.recv().await {
            let Ok(permit) = room.clone().try_acquire_owned() else {
                self.metrics.refused(Kind::TooManyRequests);
                continue;
            };
            let door = self.clone();
            tokio::spawn(async move {
                let method = transaction.original.method;
                if let Err(error) = door.take(transaction).await {
                    tracing::debug!(%method, %error, "a request could not be answered");
                }
                drop(permit);
            });
        }
    }

    async fn take(self: &Arc<Self>, mut request: Transaction) -> Result<(), rsipstack::Error> {
        if let Some((status, headers)) = refusal(&request.original) {
            return request.reply_with(status, headers, None).await;
        }
        if let Some(mut dialog) = self.dialogs.match_dialog(&request) {
            return match is_its_turn(&dialog, request.original.method).await {
                Ok(()) => dialog.handle(&mut request).await,
                Err((status, headers)) => request.reply_with(status, headers, None).await,
            };
        }
        let in_dialog = request.original.to_header().is_ok_and(|to| to.tag().is_ok_and(|tag| tag.is_some()));
        match request.original.method {
            Method::Ack | Method::Cancel => Ok(()),
            _ if in_dialog => request.reply(StatusCode::CallTransactionDoesNotExist).await,
            Method::Options => {
                let supported = Header::Other("Supported".into(), "timer".into());
                request.reply_with(StatusCode::OK, vec![allow(), accept(), supported], None).await
            }
            Method::Invite => self.invite(request).await,
            _ => request.reply(StatusCode::CallTransactionDoesNotExist).await,
        }
    }

    /// A new call.
    async fn invite(self: &Arc<Self>, mut request: Transaction) -> Result<(), rsipstack::Error> {
        let peer = request
            .connection
            .as_ref()
            .and_then(|connection| connection.get_remote_addr().and_then(|address| address.get_socketaddr().ok()));
        let Some(peer) = peer else { return Ok(()) };
        let welcome = match self.welcome(&request, peer.ip()) {
            Ok(welcome) => welcome,
            Err((status, headers)) => {
                if status == StatusCode::Forbidden {
                    self.metrics.refused(Kind::Unauthorized);
                    tracing::info!(%peer, "a call was refused: neither in sip-allow nor in sip-users");
                }
                return request.reply_with(status, headers, None).await;
            }
        };
        let timer = match Timer::of(&request.original) {
            Ok(timer) => timer,
            Err(TooShort) => {
                return request.reply_with(StatusCode::SessionIntervalTooSmall, vec![Timer::minimum()], None).await;
            }
        };
        let offer = match request.original.body.is_empty() {
            true => None,
            false if !is_sdp(&request.original) => {
                return request.reply_with(StatusCode::UnsupportedMediaType, vec![accept()], None).await;
            }
            false => match Remote::read(&request.original.body, |codec| self.can_decode(codec)) {
                Ok(remote) => Some(remote),
                Err(why) => {
                    tracing::info!(%peer, "a call was refused: {why}");
                    self.metrics.refused(Kind::InvalidAudio);
                    return request
                        .reply_with(StatusCode::NotAcceptableHere, vec![warning(&why.to_string())], None)
                        .await;
                }
            },
        };
        let client = match welcome {
            // A trunk brings all calls from one address.
            Welcome::Trusted => Client::default(),
            Welcome::User => Client { ip: Some(peer.ip()), key: None },
        };
        let place = match self.sessions.admit(client, 1) {
            Ok(place) => place,
            Err(problem) => {
                tracing::info!(%peer, "a call was refused: {}", problem.detail);
                let status = match problem.kind() {
                    Kind::TooManyOfClient => StatusCode::BusyHere,
                    _ => StatusCode::ServiceUnavailable,
                };
                let again = Header::Other("Retry-After".into(), RETRY.into());
                return request.reply_with(status, vec![again, warning(&problem.detail)], None).await;
            }
        };
        let (told, states) = self.dialogs.new_dialog_state_channel();
        let transport = request.connection.as_ref().map_or(Transport::Udp, |connection| connection.transport());
        let contact = self.contact(peer, transport);
        let mut dialog = self.dialogs.get_or_create_server_invite(&request, told, None, Some(contact))?;
        tokio::spawn(attend(self.clone(), Caller { dialog: dialog.clone(), states, peer, place, offer, timer }));
        dialog.handle(&mut request).await
    }

    /// Whether a caller may come in, or what it is to be answered.
    fn welcome(&self, request: &Transaction, from: IpAddr) -> Result<Welcome, (StatusCode, Vec<Header>)> {
        let from = from.to_canonical();
        let allowed = &self.options.sip_allow.0;
        let is_known = allowed.iter().any(|network| network.contains(&from))
            || self.registrars.read().unwrap_or_else(PoisonError::into_inner).contains(&from)
            // Nobody else can reach it.
            || (allowed.is_empty() && !self.digest.has_users() && self.address.ip().is_loopback());
        if is_known {
            return Ok(Welcome::Trusted);
        }
        if !self.digest.has_users() {
            return Err((StatusCode::Forbidden, Vec::new()));
        }
        let now = SystemTime::now();
        let shown = request.original.headers.iter().find(|header| header.name().eq_ignore_ascii_case("Authorization"));
        let verdict = shown.map(|shown| self.digest.check(shown.value(), &request.original.method.to_string(), now));
        match verdict {
            Some(Verdict::Known(_)) => return Ok(Welcome::User),
            Some(Verdict::Wrong) => self.metrics.refused(Kind::Unauthorized),
            Some(Verdict::Stale) | None => {}
        }
        match self.digest.challenge(verdict == Some(Verdict::Stale), now) {
            Ok(challenge) => Err((StatusCode::Unauthorized, vec![Header::Other("WWW-Authenticate".into(), challenge)])),
            Err(_) => Err((StatusCode::ServerInternalError, Vec::new())),
        }
    }

    /// Whether a codec can be decoded here.
    pub(super) fn can_decode(&self, codec: Codec) -> bool {
        self.codecs.contains(&codec)
    }

    /// The address of this machine that somebody reaches it at.
    pub(super) fn advertised(&self, peer: SocketAddr) -> IpAddr {
        self.options.sip_advertise.unwrap_or_else(|| match self.address.ip() {
            any if any.is_unspecified() => towards(peer).unwrap_or(any),
            address => address,
        })
    }

    /// Where the server is reached for the rest of a call.
    pub(super) fn contact(&self, peer: SocketAddr, transport: Transport) -> Uri {
        let mut contact: Uri = rsipstack::sip::Uri {
            auth: Some(self.user.as_str().into()),
            host_with_port: SocketAddr::new(self.advertised(peer), self.address.port()).into(),
            ..Uri::default()
        };
        contact.scheme = Some(rsipstack::sip::Scheme::Sip);
        if transport != Transport::Udp {
            contact.params.push(Param::Transport(transport));
        }
        contact
    }
}

/// Waits until a call is confirmed: a request that overtakes the ACK (RFC 5407, 3.1.4) is a request about a call, but the
/// stack would take it for a part of the first INVITE and never answer it. Otherwise returns what it is to be answered.
async fn is_its_turn(dialog: &Dialog, method: Method) -> Result<(), (StatusCode, Vec<Header>)> {
    if matches!(method, Method::Ack | Method::Cancel | Method::Bye | Method::PRack) {
        return Ok(());
    }
    let deadline = Instant::now() + ACK;
    loop {
        match dialog.state() {
            state if state.is_confirmed() => return Ok(()),
            state if state.is_terminated() => return Err((StatusCode::CallTransactionDoesNotExist, Vec::new())),
            // RFC 3261, 14.2.
            _ if Instant::now() > deadline => {
                let again = Header::Other("Retry-After".into(), fastrand::u8(..=10).to_string());
                return Err((StatusCode::ServerInternalError, vec![again]));
            }
            _ => sleep(LOOK).await,
        }
    }
}

/// The address that this machine's packets to somebody have. No packet is sent to find out.
fn towards(peer: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = if peer.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(peer).ok()?;
    Some(socket.local_addr().ok()?.ip())
}
