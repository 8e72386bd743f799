//! Settings of the door.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use clap::{value_parser, Args};
use ipnet::IpNet;

use crate::config::List;
use crate::sources::sip::register::Account;

/// Settings of the door for phone calls.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Phone calls (SIP)")]
pub(crate) struct Options {
    /// Take calls by SIP here, over UDP and TCP, such as 0.0.0.0:5060.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) sip_listen: Option<SocketAddr>,

    /// Networks that may call without a password: a trunk, a PBX. Without this and --sip-users, only this machine may.
    #[arg(long, value_name = "NETWORK,…", default_value = "", hide_default_value = true)]
    pub(crate) sip_allow: List<IpNet>,

    /// Who may call from elsewhere, with passwords (digest authentication).
    #[arg(long, value_name = "NAME:PASSWORD,…", default_value = "", hide_default_value = true)]
    pub(crate) sip_users: List<User>,

    /// Be an extension of a PBX: register there and take its calls, as sip:USER:PASSWORD@HOST[:PORT][;transport=tcp].
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) sip_register: Option<Account>,

    /// Address that callers reach this machine at, where it is not its own (NAT).
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) sip_advertise: Option<IpAddr>,

    /// UDP ports for the audio of calls, two for each.
    #[arg(long, value_name = "FIRST-LAST", default_value = "16384-32767")]
    pub(crate) rtp_ports: Ports,

    /// Seconds without audio after which a call that is not on hold is hung up.
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = value_parser!(u64).range(1..=86_400))]
    pub(crate) rtp_timeout: u64,
}

/// A caller and a password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) password: String,
}

impl FromStr for User {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, password) = text.split_once(':').ok_or("not of the form NAME:PASSWORD")?;
        if name.is_empty() || password.is_empty() {
            return Err("neither the name nor the password may be empty");
        }
        Ok(Self { name: name.to_owned(), password: password.to_owned() })
    }
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:…", self.name)
    }
}

/// A range of ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ports(pub(crate) RangeInclusive<u16>);

impl FromStr for Ports {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "not of the form FIRST-LAST, such as 16384-32767";
        let (first, last) = text.split_once('-').ok_or(wrong)?;
        let (first, last): (u16, u16) = (first.parse().map_err(|_| wrong)?, last.parse().map_err(|_| wrong)?);
        // RTP is even, RTCP the next (RFC 3550, 11).
        let first = first.checked_next_multiple_of(2).ok_or(wrong)?;
        if first < 1024 || last <= first {
            return Err("holds no two ports from 1024 on, the first of which is even");
        }
        Ok(Self(first..=last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_come_in_twos() {
        assert_eq!("16385-16390".parse::<Ports>().unwrap().0, 16386..=16390);
        for wrong in ["", "1", "a-b", "20000-10000", "80-90", "65535-65535", "20000-20000"] {
            assert!(wrong.parse::<Ports>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let user: User = "alice:a:b".parse().unwrap();
        assert_eq!((user.name.as_str(), user.password.as_str()), ("alice", "a:b"));
        assert_eq!(format!("{user:?}"), "alice:…");
        assert!("alice".parse::<User>().is_err() && ":x".parse::<User>().is_err());
    }
}
