//! How many connections an address may have before they become sessions, so that nobody alone takes all there are by opening
//! many and saying little on each.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;

use crate::access::network;

/// See the module.
pub(super) struct Crowd {
    most: usize,
    /// Proxies, behind which there are many.
    exempt: Vec<IpNet>,
    open: Mutex<HashMap<IpAddr, usize>>,
}

impl Crowd {
    /// None yet; `most` for each address.
    pub(super) fn new(most: usize, exempt: Vec<IpNet>) -> Arc<Self> {
        Arc::new(Self { most, exempt, open: Mutex::default() })
    }

    /// A place for a connection from there, unless all are taken.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Seat> {
        let peer = peer.to_canonical();
        if self.exempt.iter().any(|net| net.contains(&peer)) {
            return Some(Seat(None));
        }
        let address = network(peer);
        let mut open = self.open();
        let taken = open.entry(address).or_default();
        if *taken >= self.most {
            return None;
        }
        *taken += 1;
        drop(open);
        Some(Seat(Some((self.clone(), address))))
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place; it is free again when this goes.
pub(super) struct Seat(Option<(Arc<Crowd>, IpAddr)>);

impl Drop for Seat {
    fn drop(&mut self) {
        let Some((crowd, address)) = &self.0 else { return };
        let mut open = crowd.open();
        if let Some(taken) = open.get_mut(address) {
            *taken -= 1;
            if *taken == 0 {
                open.remove(address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_and_proxies_have_more() {
        let crowd = Crowd::new(2, vec!["127.0.0.1/32".parse().unwrap()]);
        let enter = |address: &str| crowd.enter(address.parse().unwrap());
        let seats = [enter("203.0.113.1"), enter("203.0.113.1")];
        assert!(seats.iter().all(Option::is_some) && enter("203.0.113.1").is_none());
        assert!(enter("203.0.113.2").is_some());
        let proxied: Vec<_> = (0..10).map(|_| enter("::ffff:127.0.0.1")).collect();
        assert!(proxied.iter().all(Option::is_some));
        drop(seats);
        assert!(enter("203.0.113.1").is_some());
        drop(proxied);
        assert!(crowd.open().is_empty());
    }

    #[test]
    fn of_ipv6_a_network_counts() {
        let crowd = Crowd::new(1, Vec::new());
        let seat = crowd.enter("2001:db8:1:2::1".parse().unwrap());
        assert!(seat.is_some() && crowd.enter("2001:db8:1:2::2".parse().unwrap()).is_none());
        assert!(crowd.enter("2001:db8:1:3::1".parse().unwrap()).is_some());
    }
}
