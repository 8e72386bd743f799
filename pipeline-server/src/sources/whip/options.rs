//! What an operator settles.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// The settings of this door.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "WebRTC")]
pub(crate) struct Options {
    /// UDP address and port for all WebRTC connections (POST /whip), or `off` [default: those of --listen].
    #[arg(long, value_name = "ADDRESS:PORT|off")]
    pub(crate) whip_udp: Option<Udp>,

    /// IP address by which WebRTC clients reach --whip-udp where it is not this machine's own: behind NAT, or in a container.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) external_ip: Option<IpAddr>,
}

/// Where the door is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Udp {
    /// Nowhere.
    Off,
    /// There.
    At(SocketAddr),
}

impl FromStr for Udp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At).map_err(|_| "has to be an address with a port, such as 0.0.0.0:8765, or off".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_may_be_somewhere_or_off() {
        assert_eq!("off".parse(), Ok(Udp::Off));
        assert_eq!("[::]:9".parse(), Ok(Udp::At("[::]:9".parse().unwrap())));
        assert!("8765".parse::<Udp>().is_err());
    }
}
