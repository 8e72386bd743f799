//! One GET with redirects followed by hand, so that the token stays with its host and the hub's headers are not lost.

use std::io;

use ureq::http::uri::Scheme;
use ureq::http::{HeaderMap, Uri};
use ureq::tls::{parse_pem, PemItem, RootCerts, TlsConfig};
use ureq::{Agent, Body, Proxy};

use super::error::ModelError;
use super::hub::Hub;

/// Redirects that are followed; the hub needs two.
const MOST_REDIRECTS: usize = 8;

/// Connections to the hub and the hosts it sends us to.
pub(super) struct Client<'a> {
    hub: &'a Hub,
    endpoint: Uri,
    direct: Agent,
    https: Option<Agent>,
    http: Option<Agent>,
}

/// What came back, its body not yet read.
pub(super) struct Answer {
    /// HTTP status; no redirect.
    pub(super) status: u16,
    /// Whether the last hop was the endpoint itself.
    pub(super) from_endpoint: bool,
    /// Headers of the last hop.
    headers: HeaderMap,
    /// SHA-256 of the whole file by the hub's word.
    pub(super) digest: Option<String>,
    /// Length of the whole file by the hub's word.
    linked_size: Option<u64>,
    /// The body.
    pub(super) body: Body,
}

/// Why there was no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// Another try may succeed.
    Passing(String),
    /// No try will.
    Lasting(String),
}

impl<'a> Client<'a> {
    /// A client for `hub`, or what is wrong with its settings.
    pub(super) fn new(hub: &'a Hub) -> Result<Self, ModelError> {
        let setting = |variable, reason: &str| ModelError::Setting { variable, reason: reason.into() };
        let endpoint: Uri = hub
            .endpoint
            .parse()
            .ok()
            .filter(|uri: &Uri| is_web(uri))
            .ok_or_else(|| setting("HF_ENDPOINT", "it has to be an address as https://huggingface.co"))?;
        let roots = match &hub.authorities {
            None => RootCerts::WebPki,
            Some(path) => {
                let pem =
                    std::fs::read(path).map_err(|e| setting("SSL_CERT_FILE", &format!("{}: {e}", path.display())))?;
                let certificates: Vec<_> = parse_pem(&pem)
                    .filter_map(|item| match item {
                        Ok(PemItem::Certificate(certificate)) => Some(certificate),
                        _ => None,
                    })
                    .collect();
                if certificates.is_empty() {
                    return Err(setting("SSL_CERT_FILE", &format!("{} holds no PEM certificate", path.display())));
                }
                RootCerts::new_with_certs(&certificates)
            }
        };
        let tls = TlsConfig::builder().root_certs(roots).build();
        let agent = |proxy| {
            let config = Agent::config_builder()
                .tls_config(tls.clone())
                .proxy(proxy)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .http_status_as_error(false)
                .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
                .timeout_resolve(Some(hub.patience.connect))
                .timeout_connect(Some(hub.patience.connect))
                .timeout_per_read(Some(hub.patience.read))
                .timeout_per_write(Some(hub.patience.read));
            config.build().new_agent()
        };
        let through = |proxy: &Option<(&'static str, String)>| match proxy {
            None => Ok(None),
            Some((variable, address)) => match Proxy::new(address) {
                Ok(proxy) => Ok(Some(agent(Some(proxy)))),
                Err(_) => Err(setting(variable, "it has to be an address as http://proxy:3128 or socks5://proxy:1080")),
            },
        };
        let (https, http) = (through(&hub.proxies.https)?, through(&hub.proxies.http)?);
        Ok(Self { hub, endpoint, direct: agent(None), https, http })
    }

    /// Asks for what is at `url` from byte `offset` on; with `if_range`, for all of it if that isn't its ETag any more.
    pub(super) fn get(&self, url: &str, offset: u64, if_range: Option<&str>) -> Result<Answer, Failure> {
        let mut uri: Uri = url.parse().map_err(|_| Failure::Lasting(format!("{url} is no address")))?;
        let (mut digest, mut linked_size) = (None, None);
        for _ in 0..=MOST_REDIRECTS {
            let from_endpoint = same_origin(&uri, &self.endpoint);
            let mut request = self.agent(&uri).get(&uri).header("Accept-Encoding", "identity");
            if let Some(token) = self.hub.token.as_ref().filter(|_| from_endpoint) {
                request = request.header("Authorization", format!("Bearer {}", token.reveal()));
            }
            if offset > 0 {
                request = request.header("Range", format!("bytes={offset}-"));
                if let Some(etag) = if_range {
                    request = request.header("If-Range", etag);
                }
            }
            let response = request.call().map_err(|e| failure(&e, &uri))?;
            let (parts, body) = response.into_parts();
            let (status, headers) = (parts.status.as_u16(), parts.headers);

            // Only the hub's own ETag is a SHA-256; a store behind it may use other hashes of that length.
            let own = || text(&headers, "etag").filter(|_| from_endpoint);
            digest = digest.or_else(|| text(&headers, "x-linked-etag").or_else(own).and_then(sha256));
            linked_size = linked_size.or_else(|| text(&headers, "x-linked-size")?.parse().ok());

            match text(&headers, "location") {
                Some(location) if matches!(status, 301 | 302 | 303 | 307 | 308) => uri = redirect(&uri, location)?,
                _ => return Ok(Answer { status, from_endpoint, headers, digest, linked_size, body }),
            }
        }
        Err(Failure::Lasting(format!("{url} redirects without end")))
    }

    /// Whether the token goes along to the endpoint.
    pub(super) fn has_token(&self) -> bool {
        self.hub.token.is_some()
    }

    /// Breaks all connections, whichever thread waits for them.
    pub(super) fn shut_down(&self) {
        for agent in [Some(&self.direct), self.https.as_ref(), self.http.as_ref()].into_iter().flatten() {
            agent.clone().shutdown();
        }
    }

    fn agent(&self, uri: &Uri) -> &Agent {
        let proxied = if uri.scheme() == Some(&Scheme::HTTPS) { &self.https } else { &self.http };
        proxied.as_ref().filter(|_| !self.hub.proxies.bypassed(uri.host().unwrap_or_default())).unwrap_or(&self.direct)
    }
}

impl Answer {
    /// The last hop's ETag if it is one to resume by: not a weak one.
    pub(super) fn strong_etag(&self) -> Option<String> {
        text(&self.headers, "etag").filter(|etag| etag.starts_with('"')).map(str::to_string)
    }

    /// Length of the whole file.
    pub(super) fn total(&self) -> Option<u64> {
        let told = match self.status {
            200 => text(&self.headers, "content-length").and_then(|length| length.parse().ok()),
            _ => self.range().and_then(|(_, total)| total),
        };
        told.or(self.linked_size)
    }

    /// First byte of the range that was sent, and the length of the whole.
    pub(super) fn range(&self) -> Option<(u64, Option<u64>)> {
        let (range, total) = text(&self.headers, "content-range")?.strip_prefix("bytes ")?.split_once('/')?;
        Some((range.split_once('-')?.0.trim().parse().ok()?, total.trim().parse().ok()))
    }

    /// Seconds the server asks us to wait.
    pub(super) fn retry_after(&self) -> Option<u64> {
        text(&self.headers, "retry-after")?.parse().ok()
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// The SHA-256 in an ETag, if it is one.
fn sha256(etag: &str) -> Option<String> {
    let hex = etag.trim_start_matches("W/").trim_matches('"');
    (hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit())).then(|| hex.to_lowercase())
}

fn is_web(uri: &Uri) -> bool {
    matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
}

fn port(uri: &Uri) -> Option<u16> {
    uri.port_u16().or(if uri.scheme() == Some(&Scheme::HTTPS) { Some(443) } else { Some(80) })
}

fn same_origin(a: &Uri, b: &Uri) -> bool {
    let hosts = a.host().zip(b.host());
    a.scheme() == b.scheme() && hosts.is_some_and(|(a, b)| a.eq_ignore_ascii_case(b)) && port(a) == port(b)
}

/// The address that `from` redirects to by `location`, which may leave out what stays the same.
fn redirect(from: &Uri, location: &str) -> Result<Uri, Failure> {
    let scheme = from.scheme_str().unwrap_or_default();
    let authority = from.authority().map_or("", |authority| authority.as_str());
    let absolute = if location.contains("://") {
        location.to_string()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else {
        let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    };
    let host = || from.host().unwrap_or_default();
    let to: Uri = absolute
        .parse()
        .ok()
        .filter(is_web)
        .ok_or_else(|| Failure::Lasting(format!("{} redirects to what is no address", host())))?;
    if from.scheme() == Some(&Scheme::HTTPS) && to.scheme() != Some(&Scheme::HTTPS) {
        return Err(Failure::Lasting(format!("{} redirects from https to http", host())));
    }
    Ok(to)
}

fn failure(error: &ureq::Error, uri: &Uri) -> Failure {
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let reason = match error {
        ureq::Error::HostNotFound => format!("the host {host} is not found"),
        ureq::Error::Io(e) if e.kind() == io::ErrorKind::ConnectionRefused => format!("{host} refuses connections"),
        ureq::Error::Timeout(_) => format!("{host} does not answer in time"),
        other => format!("{host}: {other}"),
    };
    match error {
        ureq::Error::Io(_)
        | ureq::Error::Timeout(_)
        | ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::Protocol(_) => Failure::Passing(reason),
        _ => Failure::Lasting(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_joined_and_never_leave_tls() {
        let from: Uri = "https://hub.example/a/b/c?x=1".parse().unwrap();
        let to = |location| redirect(&from, location).map(|uri| uri.to_string());
        assert_eq!(to("https://cdn.example/f?sig=a/b").unwrap(), "https://cdn.example/f?sig=a/b");
        assert_eq!(to("//cdn.example/f").unwrap(), "https://cdn.example/f");
        assert_eq!(to("/f").unwrap(), "https://hub.example/f");
        assert_eq!(to("f").unwrap(), "https://hub.example/a/b/f");
        assert!(to("http://hub.example/f").is_err());
        assert!(to("ftp://hub.example/f").is_err());
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let same = |a: &str, b: &str| same_origin(&a.parse().unwrap(), &b.parse().unwrap());
        assert!(same("https://hub/x", "https://HUB:443/y"));
        assert!(!same("https://hub", "https://hub:444"));
        assert!(!same("https://hub", "http://hub"));
        assert!(!same("https://hub", "https://hub.evil"));
    }

    #[test]
    fn only_a_sha256_is_taken_for_one() {
        let hex = "AB".repeat(32);
        assert_eq!(sha256(&format!("\"{hex}\"")), Some("ab".repeat(32)));
        assert_eq!(sha256("\"0123456789abcdef\""), None);
        assert_eq!(sha256(&"g".repeat(64)), None);
    }
}
