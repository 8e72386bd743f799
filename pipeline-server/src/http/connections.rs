//! Connections: they are accepted, encrypted if that is wanted, given a time limit for their requests, and counted.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;

use super::crowd::Crowd;
use super::pulse::Pulse;
use crate::tls::Tls;

/// Connections at once; the others wait in the system's queue. Sessions are not among them.
const MOST: usize = 4_096;
/// Of them, from one address.
const MOST_OF_ADDRESS: usize = 256;
/// That queue.
const BACKLOG: u32 = 1_024;
/// So many times the time for a request's head, a connection may last that does not become a session: after that, its client
/// does not read what it asked for.
const REQUESTS: u32 = 6;
/// A response that goes on for ever has signs of life in it; a client that takes none for so long does not read.
const WITHOUT_PULSE: Duration = Duration::from_secs(60);
/// Bytes that wait in the system for a client to read them. Results are small: what a client does not read should be
/// noticed here, where the choice is what to leave out.
const SEND_BUFFER: u32 = 64 * 1024;

/// Listens on an address.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // Accepted connections inherit it.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What all connections have in common.
pub(crate) struct Door {
    router: Router,
    tls: Option<Arc<Tls>>,
    crowd: Arc<Crowd>,
    /// For a TLS handshake, and for the head of a request.
    patience: Duration,
}

impl Door {
    /// Leads to `router`; `proxies` may have many connections.
    pub(crate) fn new(router: Router, tls: Option<Arc<Tls>>, proxies: Vec<IpNet>, patience: Duration) -> Arc<Self> {
        Arc::new(Self { router, tls, crowd: Crowd::new(MOST_OF_ADDRESS, proxies), patience })
    }

    /// Accepts connections for ever; ends when it is dropped, and the connections go on by themselves.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(MOST));
        loop {
            // Nobody closes the semaphore.
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Of one connection, or the process has no file descriptors left for now.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Some(seat) = self.crowd.enter(peer.ip()) else {
                tracing::debug!(%peer, "too many connections from there");
                continue;
            };
            let door = self.clone();
            tokio::spawn(async move {
                let _places = (place, seat);
                door.connection(stream, peer).await;
            });
        }
    }

    async fn connection(&self, stream: TcpStream, peer: SocketAddr) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "no TCP_NODELAY");
        }
        let Some(tls) = &self.tls else { return self.converse(stream, peer).await };
        match tls.accept(stream, self.patience).await {
            Ok(stream) => self.converse(stream, peer).await,
            Err(error) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
        }
    }

    /// HTTP over a connection, until it ends or becomes a WebSocket.
    async fn converse<S>(&self, stream: S, peer: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let pulse = Pulse::default();
        let router = self.router.clone().layer(Extension(ConnectInfo(peer))).layer(Extension(pulse.clone()));
        let service = TowerToHyperService::new(router);
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.patience)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let (mut served, mut limit) = (std::pin::pin!(served), REQUESTS * self.patience);
        loop {
            match tokio::time::timeout(limit, served.as_mut()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%peer, %error, "a connection ended early"),
                Err(_) if pulse.take() => {
                    limit = WITHOUT_PULSE;
                    continue;
                }
                Err(_) => tracing::debug!(%peer, "a connection lasted too long"),
            }
            return;
        }
    }
}
