//! `/whip`: a browser or any other WebRTC client publishes audio by WHIP (RFC 9725) and gets the text back over a data
//! channel, or from `/v1/sessions/{id}/events`.
//!
//! One task, the [`agent`], owns the one UDP socket and all connections ([`peer`]); from RTP on, GStreamer has the audio
//! ([`rtp`](super::rtp)). Each session has a task beside it ([`attend`]) for what may wait: the pipeline, and results that
//! the client does not take yet.

mod agent;
mod attend;
mod cors;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
pub(crate) mod http;
mod negotiate;
mod options;
mod padding;
mod params;
mod peer;
mod publication;
mod sdp;
mod stun;
mod wire;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use str0m::config::DtlsCert;
use str0m::crypto;
use uuid::Uuid;

use self::agent::Agent;
use self::attend::Attendant;
use self::negotiate::Negotiated;
pub(crate) use self::options::Options;
use self::options::Udp;
use self::peer::Peer;
use self::publication::Publication;
use self::wire::Wire;
use crate::metrics::Metrics;
use crate::protocol::problem::{Kind, Problem};
use crate::session::Attended;
use crate::sources::rtp::RtpInlet;

/// Name of this door.
const KIND: &str = "whip";

/// The door, while it is open.
#[derive(Clone)]
pub(crate) struct Whip(Arc<Inner>);

struct Inner {
    agent: Agent,
    /// One for all connections: clients know it by the answer that they got.
    certificate: DtlsCert,
    bound: SocketAddr,
    external: Option<IpAddr>,
    publications: Mutex<HashMap<Uuid, Arc<Publication>>>,
}

/// Opens the door as the operator has settled; `listen` is where HTTP is. Where it is not said where WebRTC is to be, it is beside
/// that, or nowhere if the port is somebody else's.
pub(crate) fn open(options: &Options, listen: SocketAddr) -> anyhow::Result<Option<Whip>> {
    let address = match options.whip_udp {
        Some(Udp::Off) => return Ok(None),
        Some(Udp::At(address)) => address,
        None => listen,
    };
    match Whip::listen(address, options.external_ip) {
        Ok(whip) => Ok(Some(whip)),
        Err(error) if options.whip_udp.is_none() => {
            tracing::warn!(%address, %error, "no WebRTC: cannot listen over UDP; choose another port with --whip-udp");
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| format!("cannot listen on {address} over UDP")),
    }
}

impl Whip {
    /// Listens on a UDP address; clients reach it by `external` where that is another one.
    fn listen(address: SocketAddr, external: Option<IpAddr>) -> io::Result<Self> {
        let provider = crypto::from_feature_flags();
        let certificate = provider.dtls_provider.generate_certificate();
        let certificate = certificate.ok_or_else(|| io::Error::other("no certificate can be made"))?;
        // Whoever was first has installed the same.
        provider.install_process_default();
        let wire = Wire::bind(address)?;
        let bound = wire.address()?;
        let publications = Mutex::default();
        Ok(Self(Arc::new(Inner { agent: Agent::start(wire), certificate, bound, external, publications })))
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.0.bound
    }

    fn agent(&self) -> Agent {
        self.0.agent.clone()
    }

    fn certificate(&self) -> DtlsCert {
        self.0.certificate.clone()
    }

    /// The address that a client is told.
    fn reached_by(&self, client: IpAddr) -> Result<SocketAddr, Problem> {
        if let Some(external) = self.0.external {
            return Ok(SocketAddr::new(external, self.0.bound.port()));
        }
        let reached = wire::reached_by(client.to_canonical(), self.0.bound);
        reached.map_err(|error| Problem::new(Kind::NoConnection, format!("there is no way to {client}: {error}")))
    }

    fn find(&self, id: Uuid) -> Option<Arc<Publication>> {
        self.publications().get(&id).cloned()
    }

    /// Has a session served from now on; returns the publication's name and tag.
    async fn publish(
        &self,
        session: Attended,
        negotiated: Negotiated,
        inlet: RtpInlet,
        offer: String,
        metrics: Arc<Metrics>,
        max_duration: Duration,
    ) -> Result<(Uuid, String), Problem> {
        let id = Uuid::new_v4();
        let (peer, line) = Peer::new(negotiated.rtc, negotiated.address, inlet.clone(), negotiated.formats);
        let agent = self.agent();
        if !agent.add(id, peer).await {
            return Err(Problem::new(Kind::ShuttingDown, "no new sessions; try again when it is back"));
        }
        let publication = Arc::new(Publication::new(id, Arc::clone(&session), offer));
        self.publications().insert(id, publication);
        let whip = self.clone();
        tokio::spawn(async move {
            Attendant { id, session, agent, inlet, metrics, max_duration }.run(line).await;
            whip.publications().remove(&id);
        });
        Ok((id, Publication::first_tag()))
    }

    fn publications(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Publication>>> {
        self.0.publications.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
