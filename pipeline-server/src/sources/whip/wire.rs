//! The one UDP socket, and the address under which a client reaches it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::UdpSocket;

/// See the module.
pub(super) struct Wire {
    socket: UdpSocket,
    /// The same, to send with: tokio's own sends nothing before the runtime has heard that it may.
    sender: std::net::UdpSocket,
    is_v6: bool,
}

impl Wire {
    /// Listens.
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        let sender = socket.try_clone()?;
        Ok(Self { socket: UdpSocket::from_std(socket)?, sender, is_v6: address.is_ipv6() })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Waits for a datagram.
    pub(super) async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (length, from) = self.socket.recv_from(buffer).await?;
        Ok((length, SocketAddr::new(from.ip().to_canonical(), from.port())))
    }

    /// Takes a datagram that is there already.
    pub(super) fn try_receive(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let (length, from) = self.socket.try_recv_from(buffer).ok()?;
        Some((length, SocketAddr::new(from.ip().to_canonical(), from.port())))
    }

    /// Sends a datagram, unless the system has no room for it: it is lost then, as it may be anywhere.
    pub(super) fn send(&self, datagram: &[u8], to: SocketAddr) {
        let to = match to {
            SocketAddr::V4(v4) if self.is_v6 => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
            other => other,
        };
        if let Err(error) = self.sender.send_to(datagram, to) {
            tracing::trace!(%error, "a datagram was not sent");
        }
    }
}

/// The address by which a client reaches a socket that listens on `bound`: that one, or where it listens on all, the one
/// from which this machine would send to the client.
pub(super) fn reached_by(client: IpAddr, bound: SocketAddr) -> io::Result<SocketAddr> {
    if !bound.ip().is_unspecified() {
        return Ok(bound);
    }
    let any: IpAddr = match client {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Nothing is sent: the system only looks up the way.
    let probe = std::net::UdpSocket::bind((any, 0))?;
    probe.connect((client, 9))?;
    Ok(SocketAddr::new(probe.local_addr()?.ip(), bound.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_reached_by_the_address_that_leads_to_the_client() {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let named = reached_by(here, "192.0.2.1:5000".parse().unwrap()).unwrap();
        assert_eq!(named, "192.0.2.1:5000".parse().unwrap());
        let found = reached_by(here, "0.0.0.0:5000".parse().unwrap()).unwrap();
        assert_eq!(found, "127.0.0.1:5000".parse().unwrap());
    }

    #[tokio::test]
    async fn a_socket_for_both_kinds_of_addresses_names_ipv4_as_such() {
        let Ok(wire) = Wire::bind("[::]:0".parse().unwrap()) else { return };
        let other = Wire::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let to = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), wire.address().unwrap().port());
        let mut buffer = [0; 8];
        other.send(b"there", to);
        let (length, from) = wire.receive(&mut buffer).await.unwrap();
        assert_eq!((&buffer[..length], from), (&b"there"[..], other.address().unwrap()));
        wire.send(b"back", from);
        assert_eq!(other.receive(&mut buffer).await.unwrap().0, 4);
    }
}
