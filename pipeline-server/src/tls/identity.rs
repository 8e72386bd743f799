//! Who the server is: two files in PEM in, a configuration for handshakes out, or what is wrong with them.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{Error as Fault, ServerConfig};
use webpki::{EndEntityCert, KeyUsage};

use super::Files;

/// What clients may ask for over TLS.
const ALPN: &[u8] = b"http/1.1";
/// Later than any certificate ends: the year 33,658.
const NEVER: Duration = Duration::from_secs(1_000_000_000_000);
const DAY: u64 = 86_400;

/// Why certificate and key can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// A file is not there or may not be read.
    #[error("cannot read {path}: {error}")]
    Unreadable { path: String, error: String },
    /// No certificate in the file.
    #[error("{path} holds no certificate: it has to be in PEM, the server's own certificate first")]
    NoCertificate { path: String },
    /// No key in the file.
    #[error("{path} holds no private key: it has to be in PEM, and not encrypted")]
    NoKey { path: String },
    /// The two don't belong together.
    #[error("the key in {key} is not that of the first certificate in {certificate}")]
    Mismatch { certificate: String, key: String },
    /// Its time is over.
    #[error("the certificate in {path} expired {ago}: renew it")]
    Expired { path: String, ago: Days },
    /// Its time has not come.
    #[error("the certificate in {path} is valid only {ahead}: is the clock right?")]
    Early { path: String, ahead: Days },
    /// It has none.
    #[error("the certificate in {path} ends before it begins: it has to be made anew")]
    Never { path: String },
    /// Something else about it.
    #[error("{certificate} and {key} cannot be used: {fault}")]
    Unusable { certificate: String, key: String, fault: String },
}

/// A time from now, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Days {
    Ago(u64),
    Ahead(u64),
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ago(0) => f.write_str("today"),
            Self::Ago(1) => f.write_str("1 day ago"),
            Self::Ago(days) => write!(f, "{days} days ago"),
            Self::Ahead(0) => f.write_str("later today"),
            Self::Ahead(1) => f.write_str("in 1 day"),
            Self::Ahead(days) => write!(f, "in {days} days"),
        }
    }
}

/// What the two files hold.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pem {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Pem {
    pub(super) fn read(files: &Files) -> Result<Self, Error> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|e| Error::Unreadable { path: shown(path), error: e.to_string() })
        };
        Ok(Self { certificate: read(&files.certificate)?, key: read(&files.key)? })
    }
}

/// A certificate with its key.
pub(super) struct Identity {
    pub(super) config: Arc<ServerConfig>,
    /// When the certificate expires.
    pub(super) not_after: SystemTime,
}

impl Identity {
    /// Fails unless clients could be content with it at `now`, as far as the server can tell.
    pub(super) fn of(pem: &Pem, files: &Files, now: SystemTime) -> Result<Self, Error> {
        let (certificate, key) = (shown(&files.certificate), shown(&files.key));
        let unusable = |fault: String| Error::Unusable { certificate: certificate.clone(), key: key.clone(), fault };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem.certificate)
            .collect::<Result<_, _>>()
            .map_err(|error| unusable(error.to_string()))?;
        let own = chain.first().cloned().ok_or_else(|| Error::NoCertificate { path: certificate.clone() })?;
        let private = PrivateKeyDer::from_pem_slice(&pem.key).map_err(|_| Error::NoKey { path: key.clone() })?;
        let provider = default_provider();
        let certified = CertifiedKey::from_der(chain, private, &provider).map_err(|fault| match fault {
            Fault::InconsistentKeys(_) => Error::Mismatch { certificate: certificate.clone(), key: key.clone() },
            fault => unusable(fault.to_string()),
        })?;
        let not_after = valid_until(&own, now, &certificate)?;
        let builder = ServerConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .map_err(|fault| unusable(fault.to_string()))?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self { config: config.into(), not_after })
    }
}

/// When a certificate expires that is valid `now`.
fn valid_until(certificate: &CertificateDer<'_>, now: SystemTime, path: &str) -> Result<SystemTime, Error> {
    let seconds = |time: UnixTime| Duration::from_secs(time.as_secs());
    let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let days = |longer: Duration, shorter: Duration| longer.saturating_sub(shorter).as_secs() / DAY;
    match verdict(certificate, since_epoch) {
        Some(webpki::Error::CertExpired { not_after, .. }) => {
            Err(Error::Expired { path: path.to_owned(), ago: Days::Ago(days(since_epoch, seconds(not_after))) })
        }
        Some(webpki::Error::CertNotValidYet { not_before, .. }) => {
            Err(Error::Early { path: path.to_owned(), ahead: Days::Ahead(days(seconds(not_before), since_epoch)) })
        }
        Some(webpki::Error::InvalidCertValidity) => Err(Error::Never { path: path.to_owned() }),
        // Of a certificate that has expired by then, webpki tells when.
        _ => match verdict(certificate, NEVER) {
            Some(webpki::Error::CertExpired { not_after, .. }) => Ok(UNIX_EPOCH + seconds(not_after)),
            _ => Ok(UNIX_EPOCH + NEVER),
        },
    }
}

/// What webpki says of a certificate at a time. It looks at the time first, and does not get to trust, which is for clients
/// to judge.
fn verdict(certificate: &CertificateDer<'_>, since_epoch: Duration) -> Option<webpki::Error> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let time = UnixTime::since_unix_epoch(since_epoch);
    certificate.verify_for_usage(&[], &[], &[], time, KeyUsage::server_auth(), None, None).err()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
