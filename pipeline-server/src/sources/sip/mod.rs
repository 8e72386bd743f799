//! Phone calls by SIP (RFC 3261): a trunk, a PBX or a telephone calls, and what the caller says is transcribed.
//!
//! `rsipstack` speaks the protocol; [`door`] lets callers in, [`call`] is one call, [`sdp`] agrees on the audio and [`media`]
//! takes it off the network. The server only listens.

mod call;
mod checks;
mod digest;
mod door;
mod dtmf;
mod front;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod media;
mod options;
mod register;
mod sdp;
mod timer;

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rsipstack::dialog::dialog_layer::DialogLayer;
use rsipstack::sip::Transport;
use rsipstack::transport::tcp_listener::TcpListenerConnection;
use rsipstack::transport::udp::UdpConnection;
use rsipstack::transport::TransportLayer;
use rsipstack::EndpointBuilder;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::digest::Digest;
use self::door::Door;
use self::front::Front;
pub(crate) use self::options::Options;
use crate::exit::UsageError;
use crate::http::Server;
use crate::sources::rtp::Codec;

/// Name of this door.
const KIND: &str = "sip";
/// For what is to be said when the server ends.
const FAREWELL: Duration = Duration::from_secs(3);

/// The door while it is open.
pub(crate) struct Open {
    /// Where calls are taken.
    pub(crate) address: SocketAddr,
    end: CancellationToken,
    stack: CancellationToken,
    registered: Option<JoinHandle<()>>,
}

impl Options {
    /// Whether the settings go together.
    pub(crate) fn check(&self) -> Result<(), UsageError> {
        let Some(listen) = self.sip_listen else {
            let wanted = !self.sip_allow.0.is_empty() || !self.sip_users.0.is_empty() || self.sip_register.is_some();
            return match wanted {
                true => Err(UsageError("--sip-listen has to be set too, such as 0.0.0.0:5060".into())),
                false => Ok(()),
            };
        };
        let nobody = self.sip_allow.0.is_empty() && self.sip_users.0.is_empty() && self.sip_register.is_none();
        if nobody && !listen.ip().is_loopback() {
            return Err(UsageError(format!(
                "--sip-listen {listen}: nobody may call: say who with --sip-allow (networks), --sip-users (passwords) or \
                 --sip-register (a PBX)"
            )));
        }
        Ok(())
    }

    /// Where audio is taken.
    fn media_address(&self) -> IpAddr {
        self.sip_listen.map_or(IpAddr::from([0, 0, 0, 0]), |listen| listen.ip())
    }
}

/// Opens the door, if it is wanted. Calls are taken from then on.
pub(crate) async fn open(server: &Server) -> anyhow::Result<Option<Open>> {
    let options = &server.doors.sip;
    let Some(listen) = options.sip_listen else { return Ok(None) };
    let (end, stack) = (CancellationToken::new(), CancellationToken::new());
    let cannot = || format!("cannot take calls on {listen}");
    let socket = tokio::net::UdpSocket::bind(listen).await.with_context(cannot)?;
    let address = socket.local_addr()?;
    // The stack would only log that it can't.
    drop(TcpListener::bind(address).with_context(cannot)?);
    let external = options.sip_advertise.map(|advertised| SocketAddr::new(advertised, address.port()));
    let transports = TransportLayer::new(stack.clone());
    let udp = UdpConnection::from_socket(Arc::new(Front(socket)), external, Some(stack.clone())).await?;
    transports.add_transport(udp.into());
    transports.add_transport(TcpListenerConnection::new(address, external).await?.into());
    let agent = concat!("pipeline-server/", env!("CARGO_PKG_VERSION"));
    let endpoint = EndpointBuilder::new()
        .with_user_agent(agent)
        .with_transport_layer(transports)
        .with_cancel_token(stack.clone())
        .build();
    let requests = endpoint.incoming_transactions()?;
    let serving = endpoint.inner.clone();
    tokio::spawn(async move {
        if let Err(error) = serving.serve().await {
            tracing::error!(%error, "the SIP stack has stopped");
        }
    });

    let account = options.sip_register.clone();
    let door = Arc::new(Door {
        options: options.clone(),
        sessions: server.sessions.clone(),
        metrics: server.metrics.clone(),
        dialogs: DialogLayer::new(endpoint.inner.clone()),
        max_duration: server.allowance.max_duration,
        digest: Digest::new(options.sip_users.0.clone()).context("the system gives no random numbers")?,
        registrars: Arc::default(),
        codecs: Codec::ALL.into_iter().filter(|codec| codec.is_available()).collect(),
        address,
        user: account.as_ref().map_or("transcribe", |account| &account.user).to_owned(),
    });
    for missing in Codec::ALL.into_iter().filter(|codec| !door.can_decode(*codec)) {
        tracing::warn!(codec = missing.name(), "calls are not taken with it: GStreamer's elements for it are missing");
    }
    let registered = account.map(|account| {
        let contact = door.contact(SocketAddr::from(([192, 0, 2, 1], 5060)), Transport::Udp);
        let (registrars, metrics) = (door.registrars.clone(), server.metrics.clone());
        tokio::spawn(register::run(endpoint.inner.clone(), account, contact, registrars, metrics, end.clone()))
    });
    tokio::spawn(door.serve(requests));
    Ok(Some(Open { address, end, stack, registered }))
}

impl Open {
    /// Takes no calls any more, once all that there were are over.
    pub(crate) async fn close(self) {
        self.end.cancel();
        if let Some(registered) = self.registered {
            let _ = tokio::time::timeout(FAREWELL, registered).await;
        }
        self.stack.cancel();
    }
}
