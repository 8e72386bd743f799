//! Being an extension of a PBX: registered there as long as the server runs (RFC 3261, 10).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rsipstack::dialog::authenticate::Credential;
use rsipstack::dialog::registration::{RefreshOutcome, Registration};
use rsipstack::sip::typed::Contact;
use rsipstack::sip::{Auth, Uri};
use rsipstack::transaction::endpoint::EndpointInnerRef;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// Seconds that a registration is asked for.
const EXPIRES: u32 = 300;
/// For taking it back when the server ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// An extension: `sip:USER:PASSWORD@HOST[:PORT][;transport=tcp]`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(super) user: String,
    password: String,
    /// The PBX, without the user.
    registrar: Uri,
}

impl FromStr for Account {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "not of the form sip:USER:PASSWORD@HOST[:PORT][;transport=tcp]";
        let mut uri = Uri::try_from(text).map_err(|_| wrong)?;
        let Auth { user, password } = uri.auth.take().ok_or(wrong)?;
        let password = password.filter(|password| !password.is_empty()).ok_or("there is no password in it")?;
        if !text.starts_with("sip:") || user.is_empty() {
            return Err(wrong);
        }
        Ok(Self { user, password, registrar: uri })
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sip:{}:…@{}", self.user, self.registrar.host_with_port)
    }
}

/// Where the PBX's calls come from.
pub(super) type Registrars = Arc<RwLock<Vec<IpAddr>>>;

/// Stays registered until `end`, then takes it back.
pub(super) async fn run(
    endpoint: EndpointInnerRef,
    account: Account,
    contact: Uri,
    registrars: Registrars,
    metrics: Arc<Metrics>,
    end: CancellationToken,
) {
    let Account { user, password, registrar } = account;
    let host = registrar.host_with_port.to_string();
    let credential = Credential { username: user.clone(), password, ..Credential::default() };
    let mut registration = Registration::new(endpoint, Some(credential));
    registration.contact = Some(Contact { display_name: None, uri: contact, params: Vec::new() });
    let mut was_registered = None;
    metrics.registered(false);
    let resolving = tokio::spawn(resolve(registrar.clone(), registrars, end.clone()));
    registration
        .keep_alive(registrar.clone(), EXPIRES, end, |outcome| {
            let is_registered = matches!(outcome, RefreshOutcome::Registered(_));
            metrics.registered(is_registered);
            // Every few minutes is for logs of what changes only.
            if was_registered.replace(is_registered) == Some(is_registered) {
                return;
            }
            match outcome {
                RefreshOutcome::Registered(_) => tracing::info!(user, host, "registered"),
                RefreshOutcome::Rejected(response) => {
                    let status = response.status_code.to_string();
                    tracing::warn!(user, host, status, "the PBX refuses the registration; it will be tried again");
                }
                RefreshOutcome::Failed(error) => {
                    tracing::warn!(user, host, %error, "the PBX does not answer; it will be tried again");
                }
            }
        })
        .await;
    resolving.abort();
    if was_registered == Some(true) {
        let _ = tokio::time::timeout(FAREWELL, registration.register(registrar, Some(0))).await;
        metrics.registered(false);
    }
}

/// Keeps the addresses of the PBX, whose calls need no password.
async fn resolve(registrar: Uri, registrars: Registrars, end: CancellationToken) {
    let host = registrar.host_with_port.host.to_string();
    loop {
        if let Ok(found) = tokio::net::lookup_host((host.trim_matches(['[', ']']), 5060)).await {
            *registrars.write().unwrap_or_else(PoisonError::into_inner) = found.map(|found| found.ip()).collect();
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(60)) => {}
            () = end.cancelled() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_an_address_with_a_password() {
        let account: Account = "sip:200:s3cret@pbx.example:5070;transport=tcp".parse().unwrap();
        assert_eq!((account.user.as_str(), account.password.as_str()), ("200", "s3cret"));
        assert!(account.registrar.to_string().starts_with("sip:pbx.example:5070;transport="), "{}", account.registrar);
        assert!(!format!("{account:?}").contains("s3cret"));
        for wrong in ["", "200:x@pbx", "sip:pbx.example", "sip:200@pbx", "tel:+1"] {
            assert!(wrong.parse::<Account>().is_err(), "{wrong}");
        }
    }
}
