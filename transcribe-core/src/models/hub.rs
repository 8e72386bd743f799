//! The Hugging Face hub, or one that stands in for it: address, token, proxies, and how patient to be with it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::locate::{hub_home, set};
use super::names;
use super::repository::Repository;

/// Where the hub is unless `HF_ENDPOINT` says otherwise.
const ENDPOINT: &str = "https://huggingface.co";
/// The files of a revision below the endpoint.
const FILES: &str = "ggerganov/whisper.cpp/resolve/main";

/// Where models are downloaded from, and how.
#[derive(Debug, Clone)]
pub struct Hub {
    /// Scheme, host and perhaps port and path: `https://huggingface.co`.
    pub endpoint: String,
    /// Shown to the endpoint and to no other host.
    pub token: Option<Token>,
    /// No downloads at all.
    pub offline: bool,
    /// How to get out.
    pub proxies: Proxies,
    /// A PEM file of certificate authorities in place of the built-in ones, as proxies that open TLS need it.
    pub authorities: Option<PathBuf>,
    /// What the files' SHA-256 are checked against.
    pub digests: Digests,
    /// Time-outs and retries.
    pub patience: Patience,
}

impl Hub {
    /// The hub as environment variables, looked up by `env`, describe it.
    ///
    /// These are `HF_ENDPOINT`, `HF_HUB_OFFLINE`, `HF_TOKEN` or the file `HF_TOKEN_PATH` (by default
    /// `$HF_HOME/token`), `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, and `SSL_CERT_FILE`.
    pub fn from_lookup(env: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let offline = text(env, &["HF_HUB_OFFLINE"]).map(|(_, value)| value.to_lowercase());
        Self {
            endpoint: text(env, &["HF_ENDPOINT"]).map_or_else(|| ENDPOINT.into(), |(_, endpoint)| endpoint),
            token: Token::from_lookup(env),
            offline: offline.is_some_and(|value| matches!(value.as_str(), "1" | "on" | "yes" | "true")),
            proxies: Proxies::from_lookup(env),
            authorities: set(env, "SSL_CERT_FILE").map(PathBuf::from),
            digests: Digests::Official,
            patience: Patience::default(),
        }
    }

    /// The address of a repository's page.
    pub(super) fn page(&self, repository: &Repository) -> String {
        format!("{}/{repository}", self.endpoint.trim_end_matches('/'))
    }

    /// The address of the list of a repository's files, with what each is known by.
    pub(super) fn list_of(&self, repository: &Repository) -> String {
        format!("{}/api/models/{repository}/revision/main?blobs=true", self.endpoint.trim_end_matches('/'))
    }

    /// The address of a repository's file at a revision.
    pub(super) fn file_of(&self, repository: &Repository, revision: &str, file: &str) -> String {
        format!("{}/resolve/{revision}/{file}", self.page(repository))
    }

    /// The address of `file`.
    pub(super) fn url(&self, file: &str) -> String {
        format!("{}/{FILES}/{file}", self.endpoint.trim_end_matches('/'))
    }
}

/// A secret that shows in no log.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The token, unless it has anything but visible ASCII in it and so could not be sent.
    pub fn new(token: &str) -> Option<Self> {
        let token = token.trim();
        (!token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic())).then(|| Self(token.into()))
    }

    fn from_lookup(env: &dyn Fn(&str) -> Option<OsString>) -> Option<Self> {
        if let Some((variable, value)) = text(env, &["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]) {
            let token = Self::new(&value);
            if token.is_none() {
                tracing::warn!("{variable} is ignored: it holds characters that no token has");
            }
            return token;
        }
        let path =
            set(env, "HF_TOKEN_PATH").map(PathBuf::from).or_else(|| hub_home(env).map(|home| home.join("token")));
        Self::new(&fs::read_to_string(path?).ok()?)
    }

    /// The secret.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Proxies by the scheme of the address asked for.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Proxies {
    /// Variable and proxy for `https` addresses.
    pub https: Option<(&'static str, String)>,
    /// Variable and proxy for `http` addresses.
    pub http: Option<(&'static str, String)>,
    /// Hosts, with the hosts below them, that are reached directly; `*` for all.
    pub bypass: Vec<String>,
}

impl Proxies {
    fn from_lookup(env: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let bypass = text(env, &["NO_PROXY", "no_proxy"]).map(|(_, list)| list).unwrap_or_default();
        let bypass = bypass.split(',').map(|host| host.trim().to_lowercase()).filter(|host| !host.is_empty());
        Self {
            https: text(env, &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
            http: text(env, &["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]),
            bypass: bypass.collect(),
        }
    }

    /// Whether `host` is reached directly.
    pub(super) fn bypassed(&self, host: &str) -> bool {
        let host = host.to_lowercase();
        self.bypass.iter().any(|entry| {
            let entry = entry.strip_prefix("*.").or_else(|| entry.strip_prefix('.')).unwrap_or(entry);
            entry == "*" || host.strip_suffix(entry).is_some_and(|front| front.is_empty() || front.ends_with('.'))
        })
    }
}

impl fmt::Debug for Proxies {
    /// Without the addresses, which may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variable = |proxy: &Option<(&'static str, String)>| proxy.as_ref().map(|(variable, _)| *variable);
        f.debug_struct("Proxies")
            .field("https", &variable(&self.https))
            .field("http", &variable(&self.http))
            .field("bypass", &self.bypass)
            .finish()
    }
}

/// Where the SHA-256 of a file is known from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Digests {
    /// The built-in table of the official files.
    #[default]
    Official,
    /// This table, by canonical name, for a hub with files of its own.
    Given(BTreeMap<String, String>),
}

impl Digests {
    /// The digest of the file of a canonical name; without one, the hub's word is taken.
    pub(super) fn of(&self, name: &str) -> Option<&str> {
        match self {
            Self::Official => names::digest(name),
            Self::Given(table) => table.get(name).map(String::as_str),
        }
    }
}

/// How long to wait and how often to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// For a connection to be made, TLS included.
    pub connect: Duration,
    /// For the next bytes to come; nothing limits the download as a whole.
    pub read: Duration,
    /// Tries in a row that may fail before giving up; one that brought a megabyte starts the count anew.
    pub tries: u32,
    /// Wait before the second try; it doubles with each further one, up to 20 times this.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            read: Duration::from_secs(30),
            tries: 6,
            pause: Duration::from_millis(500),
        }
    }
}

impl Patience {
    /// The wait after the try number `failed`, counted from 1.
    pub(super) fn pause_after(&self, failed: u32) -> Duration {
        self.pause.saturating_mul(2u32.saturating_pow(failed.saturating_sub(1)).min(20))
    }
}

/// The first of `variables` that is set, with its trimmed value.
fn text(env: &dyn Fn(&str) -> Option<OsString>, variables: &[&'static str]) -> Option<(&'static str, String)> {
    variables.iter().find_map(|variable| {
        let value = set(env, variable)?;
        let value = value.to_string_lossy().trim().to_string();
        (!value.is_empty()).then_some((*variable, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(variables: &[(&str, &str)]) -> Hub {
        Hub::from_lookup(&|name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into()))
    }

    #[test]
    fn the_endpoint_can_be_moved() {
        let url = |hub: Hub| hub.url("ggml-tiny.bin");
        assert_eq!(url(hub(&[])), "https://huggingface.co/ggerganov/whisper.cpp/resolve/main/ggml-tiny.bin");
        assert_eq!(
            url(hub(&[("HF_ENDPOINT", "http://mirror:81/hf/")])),
            "http://mirror:81/hf/ggerganov/whisper.cpp/resolve/main/ggml-tiny.bin"
        );
    }

    #[test]
    fn offline_is_a_flag() {
        for (value, offline) in [("1", true), ("YES", true), ("true", true), ("0", false), ("", false)] {
            assert_eq!(hub(&[("HF_HUB_OFFLINE", value)]).offline, offline, "{value}");
        }
        assert!(!hub(&[]).offline);
    }

    #[test]
    fn the_token_comes_from_the_variable_or_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().to_str().unwrap();
        assert_eq!(hub(&[("HF_HOME", home)]).token, None);
        fs::write(dir.path().join("token"), "hf_file\n").unwrap();
        fs::write(dir.path().join("other"), "hf_other").unwrap();
        let token = |variables: &[(&str, &str)]| hub(variables).token.unwrap().reveal().to_string();
        assert_eq!(token(&[("HF_HOME", home)]), "hf_file");
        assert_eq!(token(&[("HF_HOME", home), ("HF_TOKEN", " hf_variable ")]), "hf_variable");
        let other = dir.path().join("other");
        assert_eq!(token(&[("HF_HOME", home), ("HF_TOKEN_PATH", other.to_str().unwrap())]), "hf_other");
        assert_eq!(hub(&[("HF_TOKEN", "two\nlines")]).token, None);
    }

    #[test]
    fn secrets_do_not_show() {
        let hub = hub(&[("HF_TOKEN", "hf_secret"), ("HTTPS_PROXY", "http://user:secret@proxy")]);
        assert!(!format!("{hub:?}").contains("secret"));
    }

    #[test]
    fn proxies_go_by_scheme_and_spare_some_hosts() {
        let hub =
            hub(&[("ALL_PROXY", "socks5://a"), ("https_proxy", "http://b"), ("NO_PROXY", "local, .corp ,10.0.0.1")]);
        assert_eq!(hub.proxies.https, Some(("https_proxy", "http://b".into())));
        assert_eq!(hub.proxies.http, Some(("ALL_PROXY", "socks5://a".into())));
        for (host, bypassed) in
            [("local", true), ("x.LOCAL", true), ("hub.corp", true), ("10.0.0.1", true), ("nonlocal", false)]
        {
            assert_eq!(hub.proxies.bypassed(host), bypassed, "{host}");
        }
        assert!(Proxies { bypass: vec!["*".into()], ..Proxies::default() }.bypassed("any"));
    }

    #[test]
    fn pauses_grow_to_a_limit() {
        let patience = Patience { pause: Duration::from_millis(10), ..Patience::default() };
        let millis = |failed| patience.pause_after(failed).as_millis();
        assert_eq!([millis(1), millis(2), millis(5), millis(6), millis(99)], [10, 20, 160, 200, 200]);
    }
}
