//! When the files are looked at: on SIGHUP, and every few seconds, so that whatever renews a certificate need not know
//! whom to tell.
//!
//! What they hold is compared, not their times: links and mounts change in ways that leave no newer time behind.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;

use super::identity::Error;
use super::{Look, Tls};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);

/// Watches over the files until it is dropped; without TLS, only says so when somebody asks.
pub(crate) async fn watch(tls: Option<Arc<Tls>>, mut hangups: Signal) {
    let mut looks = tokio::time::interval(EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let asked = tokio::select! {
            hangup = hangups.recv() => match hangup {
                Some(()) => true,
                // No signals come any more.
                None => std::future::pending().await,
            },
            _ = looks.tick() => false,
        };
        match &tls {
            Some(tls) => look(tls.clone(), asked).await,
            None if asked => tracing::info!("SIGHUP: no tls-certificate is set, there is nothing to read anew"),
            None => {}
        }
    }
}

async fn look(tls: Arc<Tls>, asked: bool) {
    let certificate = tls.files.certificate.display().to_string();
    // It reads files.
    let Ok(outcome) = tokio::task::spawn_blocking(move || tls.look()).await else { return };
    match outcome {
        Look::New(left) => {
            tracing::info!(certificate, days_left = left.as_secs() / 86_400, "a new certificate is in use");
        }
        Look::Kept(error) => kept(&error),
        Look::Same if asked => tracing::info!(certificate, "SIGHUP: certificate and key are as they were"),
        Look::Same => {}
    }
}

fn kept(error: &Error) {
    tracing::warn!("the certificate before stays in use: {error}");
}
