//! The address that a request counts for: the connection's, or where that is a trusted proxy's, the one it names.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// Header in which proxies append whom a request came from.
const FORWARDED: &str = "x-forwarded-for";

/// The client's address, as it counts.
pub(super) fn of(headers: &HeaderMap, peer: IpAddr, trusted: &[IpNet]) -> IpAddr {
    let mut client = peer.to_canonical();
    let named = headers.get_all(FORWARDED).iter().rev().flat_map(|value| value.to_str().unwrap_or("?").rsplit(','));
    for name in named {
        // Only what a trusted proxy says is believed, and only up to the first who is none.
        if !trusted.iter().any(|net| net.contains(&client)) {
            break;
        }
        let Ok(named) = name.trim().parse::<IpAddr>() else { break };
        client = named.to_canonical();
    }
    network(client)
}

/// What counts as one address: of IPv6 a /64, which is what one household or host gets.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let headers = forwarded.iter().map(|value| (FORWARDED.parse().unwrap(), value.parse().unwrap())).collect();
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        of(&headers, peer.parse().unwrap(), &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(counted("203.0.113.7", &[], &[]), "203.0.113.7");
        assert_eq!(counted("203.0.113.7", &["198.51.100.1"], &[]), "203.0.113.7");
        assert_eq!(counted("127.0.0.1", &["198.51.100.1"], &["127.0.0.0/8"]), "198.51.100.1");
        assert_eq!(counted("::ffff:127.0.0.1", &["198.51.100.1"], &["127.0.0.0/8"]), "198.51.100.1");
    }

    #[test]
    fn what_a_client_writes_in_front_is_not_believed() {
        let spoofed = "10.0.0.1, 198.51.100.1";
        assert_eq!(counted("127.0.0.1", &[spoofed], &["127.0.0.1/32"]), "198.51.100.1");
        assert_eq!(counted("127.0.0.1", &["10.0.0.1", "198.51.100.1"], &["127.0.0.1/32"]), "198.51.100.1");
        assert_eq!(counted("127.0.0.1", &["198.51.100.1, 10.0.0.9"], &["127.0.0.1/32", "10.0.0.0/8"]), "198.51.100.1");
        assert_eq!(counted("127.0.0.1", &["nonsense"], &["127.0.0.1/32"]), "127.0.0.1");
    }

    #[test]
    fn ipv6_counts_by_its_network() {
        assert_eq!(counted("2001:db8:1:2:3:4:5:6", &[], &[]), "2001:db8:1:2::");
    }
}
