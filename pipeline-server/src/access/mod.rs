//! Who may use the server: keys, tokens, origins, and how often somebody comes.
//!
//! A request's headers and the address it comes from go in, a [`Client`] or a refusal comes out. What a client has open
//! already is the sessions' business.

mod address;
mod key;
mod origin;
mod rate;
mod token;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::http::header::AUTHORIZATION;
use axum::http::HeaderMap;
use ipnet::IpNet;

pub(crate) use self::address::network;
pub(crate) use self::key::{generate, hex, Key};
use self::rate::Rate;
use self::token::Tokens;
use crate::protocol::problem::{Kind, Problem};

/// Who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Client {
    /// The address limits are counted for; IPv6 by its /64. None for sources that the server opens itself.
    pub(crate) ip: Option<IpAddr>,
    /// The name of the key it showed, or that its token was made with.
    pub(crate) key: Option<Arc<str>>,
}

/// What an operator has settled.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    /// Without any, nobody has to show one.
    pub(crate) keys: Vec<Key>,
    /// Pages from elsewhere that may connect, such as `https://example.org`; `*` for all.
    pub(crate) origins: Vec<String>,
    /// Whose `X-Forwarded-For` is believed.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Connections a minute from one address.
    pub(crate) rate: u32,
    /// How long a token is good for.
    pub(crate) token_lifetime: Duration,
    /// Whether only this machine reaches the server.
    pub(crate) local: bool,
}

/// See the module.
pub(crate) struct Access {
    rules: Rules,
    tokens: Tokens,
    rate: Mutex<Rate>,
}

impl Access {
    /// With a new secret for tokens, so that those of an earlier process are void.
    pub(crate) fn new(rules: Rules) -> Result<Self, getrandom::Error> {
        let rate = Mutex::new(Rate::new(rules.rate));
        Ok(Self { tokens: Tokens::new()?, rate, rules })
    }

    /// Who wants a session, from `peer`'s connection; `token` is what the address brought.
    pub(crate) fn admit(&self, headers: &HeaderMap, peer: SocketAddr, token: Option<&str>) -> Result<Client, Problem> {
        let ip = self.count(headers, peer)?;
        self.check_origin(headers)?;
        let key = match token {
            Some(token) if !self.rules.keys.is_empty() => Some(self.of_token(token)?),
            _ => self.key(headers)?,
        };
        Ok(Client { ip: Some(ip), key })
    }

    /// The address that a request counts for, unless it comes too often from there.
    pub(crate) fn count(&self, headers: &HeaderMap, peer: SocketAddr) -> Result<IpAddr, Problem> {
        let ip = address::of(headers, peer.ip(), &self.rules.trusted_proxies);
        if self.rate.lock().unwrap_or_else(PoisonError::into_inner).allows(ip, Instant::now()) {
            return Ok(ip);
        }
        let detail = format!("more than {} connections a minute from your address", self.rules.rate);
        Err(Problem::new(Kind::TooManyRequests, detail))
    }

    /// Whether whoever reaches the server is trusted: only programs of this machine do, and none of them needs a key.
    pub(crate) fn is_private(&self) -> bool {
        self.rules.local && self.rules.keys.is_empty()
    }

    /// Whether the page that a browser asks for may do so. Programs other than browsers always may.
    pub(crate) fn check_origin(&self, headers: &HeaderMap) -> Result<(), Problem> {
        origin::check(headers, &self.rules.origins).map_err(|detail| Problem::new(Kind::ForeignOrigin, detail))
    }

    /// The name of the key that a request shows; none where there are no keys.
    pub(crate) fn key(&self, headers: &HeaderMap) -> Result<Option<Arc<str>>, Problem> {
        if self.rules.keys.is_empty() {
            return Ok(None);
        }
        let unauthorized = |detail: &str| Problem::new(Kind::Unauthorized, detail);
        let header = headers.get(AUTHORIZATION).ok_or_else(|| {
            unauthorized("no key: send Authorization: Bearer KEY, or from a browser ?token=TOKEN (POST /v1/tokens)")
        })?;
        let shown = header.to_str().ok().and_then(|value| {
            let (scheme, key) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
        });
        let shown = shown.ok_or_else(|| unauthorized("the Authorization header is not of the form: Bearer KEY"))?;
        let name = key::find(&self.rules.keys, shown);
        name.map(Some).ok_or_else(|| unauthorized("this is none of the server's keys"))
    }

    /// A token for whoever has `key`, and how long it is good for.
    pub(crate) fn token(&self, key: &str) -> (String, Duration) {
        (self.tokens.sign(key, SystemTime::now() + self.rules.token_lifetime), self.rules.token_lifetime)
    }

    fn of_token(&self, token: &str) -> Result<Arc<str>, Problem> {
        let name = self.tokens.check(token, SystemTime::now());
        name.map_err(|wrong| Problem::new(Kind::Unauthorized, wrong.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const PEER: &str = "203.0.113.7:4000";

    fn access(rate: u32) -> (Access, String) {
        let (secret, key) = generate("door").unwrap();
        let keys = vec![generate("other").unwrap().1, key];
        let rules = Rules { keys, rate, token_lifetime: Duration::from_secs(60), ..Rules::default() };
        (Access::new(rules).unwrap(), secret)
    }

    fn with(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_str(value).unwrap())])
    }

    fn refusal(result: Result<Client, Problem>) -> u16 {
        result.unwrap_err().status
    }

    #[test]
    fn the_right_key_opens_and_is_known_by_its_name() {
        let (access, secret) = access(100);
        let admit = |headers: &HeaderMap, token| access.admit(headers, PEER.parse().unwrap(), token);
        let client = admit(&with("authorization", &format!("Bearer {secret}")), None).unwrap();
        assert_eq!(client.key.as_deref(), Some("door"));
        assert_eq!(client.ip, Some("203.0.113.7".parse().unwrap()));
        assert_eq!(refusal(admit(&HeaderMap::new(), None)), 401);
        for wrong in ["Bearer x", "Bearer ", "Basic abc", &format!("Bearer {secret}x"), &secret] {
            assert_eq!(refusal(admit(&with("authorization", wrong), None)), 401, "{wrong}");
        }
    }

    #[test]
    fn a_token_stands_for_its_key() {
        let (access, _) = access(100);
        let admit = |token: &str| access.admit(&HeaderMap::new(), PEER.parse().unwrap(), Some(token));
        let (token, _) = access.token("door");
        assert_eq!(admit(&token).unwrap().key.as_deref(), Some("door"));
        assert_eq!(refusal(admit("x")), 401);
        let elsewhere = Access::new(access.rules.clone()).unwrap();
        assert_eq!(refusal(admit(&elsewhere.token("door").0)), 401);
    }

    #[test]
    fn whoever_comes_too_often_has_to_wait_before_keys_are_looked_at() {
        let (access, _) = access(3);
        let admit = |peer: &str| access.admit(&HeaderMap::new(), peer.parse().unwrap(), None);
        let refusals: Vec<u16> = (0..4).map(|_| refusal(admit(PEER))).collect();
        assert_eq!(refusals, [401, 401, 401, 429]);
        assert_eq!(refusal(admit("203.0.113.8:1")), 401);
    }

    #[test]
    fn without_keys_nobody_has_to_show_one() {
        let access = Access::new(Rules { rate: 10, ..Rules::default() }).unwrap();
        let client = access.admit(&HeaderMap::new(), PEER.parse().unwrap(), Some("whatever")).unwrap();
        assert_eq!(client.key, None);
    }
}
