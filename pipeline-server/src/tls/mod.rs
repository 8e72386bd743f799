//! TLS of the server's own. TCP connections come in, encrypted ones go out; certificate and key are files, which are read
//! anew when they change ([`reload`]).
//!
//! A new certificate is for new connections. Those that are there go on with the one they began with.

mod identity;
mod reload;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::net::TcpStream;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;
use tokio_rustls::TlsAcceptor;

pub(crate) use self::identity::Error;
use self::identity::{Identity, Pem};
pub(crate) use self::reload::watch;
use crate::metrics::Metrics;

/// Where certificate and key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Files {
    /// The server's own certificate, and behind it those that lead to a root.
    pub(crate) certificate: PathBuf,
    /// The private key.
    pub(crate) key: PathBuf,
}

/// See the module.
pub(crate) struct Tls {
    files: Files,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
}

struct State {
    config: Arc<ServerConfig>,
    /// What the files held when they were last looked at, or why they could not be read.
    seen: Result<Pem, Error>,
}

/// What a look at the files came to.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// They are as they were.
    Same,
    /// There is another certificate, which is good for so long.
    New(Duration),
    /// What there is now can't be used; the one before stays.
    Kept(Error),
}

impl Tls {
    /// With what the files hold now.
    pub(crate) fn load(files: Files, metrics: Arc<Metrics>) -> Result<Self, Error> {
        let pem = Pem::read(&files)?;
        let identity = Identity::of(&pem, &files, SystemTime::now())?;
        metrics.certificate_expires(identity.not_after);
        let state = Mutex::new(State { config: identity.config, seen: Ok(pem) });
        Ok(Self { files, metrics, state })
    }

    /// Shakes hands with a client, which may take so long.
    pub(crate) async fn accept(&self, stream: TcpStream, patience: Duration) -> io::Result<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(self.state().config.clone());
        let late = || io::Error::new(io::ErrorKind::TimedOut, "the handshake took too long");
        let shaken = tokio::time::timeout(patience, acceptor.accept(stream)).await;
        shaken.unwrap_or_else(|_| Err(late())).inspect_err(|_| self.metrics.handshake_failed())
    }

    /// Looks whether the files have changed, and takes what they hold if it can be used.
    fn look(&self) -> Look {
        let seen = Pem::read(&self.files);
        let mut state = self.state();
        if state.seen == seen {
            return Look::Same;
        }
        let now = SystemTime::now();
        let identity = seen.clone().and_then(|pem| Identity::of(&pem, &self.files, now));
        state.seen = seen;
        match identity {
            Ok(identity) => {
                state.config = identity.config;
                self.metrics.certificate_expires(identity.not_after);
                Look::New(identity.not_after.duration_since(now).unwrap_or_default())
            }
            Err(error) => {
                self.metrics.certificate_rejected();
                Look::Kept(error)
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
