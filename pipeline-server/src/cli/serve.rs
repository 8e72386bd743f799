//! `pipeline-server serve`: the model is loaded, sessions are let in, and at a signal all of them are brought to their ends.

use std::future::Future;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{signal, SignalKind};
use tokio::sync::watch;
use ureq::http::Uri;

use super::ServeArgs;
use crate::access::{self, Access};
use crate::declared::{Declared, Store};
use crate::exit::{Exit, UsageError};
use crate::http::{self, Server};
use crate::metrics::Metrics;
use crate::model::Model;
use crate::pipeline;
use crate::session::{Rules, Sessions};
use crate::signals::Signals;
use crate::sources;
use crate::sources::websocket::{Allowance, Resumables};
use crate::tls::{self, Files, Tls};
use crate::traces;

/// Beyond the drain time-out of sessions, for telling clients about their ends.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Serves until a signal comes.
pub(crate) fn run(args: &ServeArgs, signals: &Signals) -> anyhow::Result<Exit> {
    check(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().thread_name("web").enable_all().build()?;
    let model = Model::load(&args.properties())?;
    let outcome = runtime.block_on(serve(args, signals, &model));
    model.unload();
    // What hangs in there must not keep the process from ending.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// Whether the settings go together.
pub(super) fn check(args: &ServeArgs) -> anyhow::Result<()> {
    if !args.listen.ip().is_loopback() && args.keys.0.is_empty() && !args.allow_anonymous {
        return Err(UsageError(format!(
            "--listen {}: others can reach this address, and without keys anybody may use the server; make one with \
             `pipeline-server new-key NAME`, listen on 127.0.0.1, or say --allow-anonymous",
            args.listen
        ))
        .into());
    }
    args.doors.check()?;
    collector(args)?;
    // Its figures are thrown away.
    load_tls(args, &Arc::new(Metrics::new()))?;
    if let Some(folder) = &args.captions_dir {
        if !folder.is_dir() {
            return Err(UsageError(format!("--captions-dir {}: there is no such folder", folder.display())).into());
        }
    }
    let writes = args.sources.0.iter().any(|source| !source.files.is_empty());
    if writes && args.captions_dir.is_none() {
        return Err(UsageError("--sources: one of them has files, but there is no --captions-dir".to_owned()).into());
    }
    // The element knows which values it takes.
    let element = pipeline::transcriber()?;
    let refused = pipeline::apply(&args.properties(), &element);
    refused.map_err(|refused| pipeline::Error::Setting(format!("--{refused}")).into())
}

/// Where traces go, if they go anywhere.
fn collector(args: &ServeArgs) -> anyhow::Result<Option<Uri>> {
    let url = args.otlp_endpoint.as_deref().map(traces::url).transpose();
    url.map_err(|error| UsageError(format!("--otlp-endpoint: {error}")).into())
}

/// Certificate and key, if they are set.
fn load_tls(args: &ServeArgs, metrics: &Arc<Metrics>) -> anyhow::Result<Option<Arc<Tls>>> {
    let files = match (&args.tls_certificate, &args.tls_key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => Files { certificate: certificate.clone(), key: key.clone() },
        (Some(_), None) => return Err(UsageError("--tls-certificate: --tls-key has to be set too".into()).into()),
        (None, Some(_)) => return Err(UsageError("--tls-key: --tls-certificate has to be set too".into()).into()),
    };
    let loaded = Tls::load(files, metrics.clone()).map_err(|error| UsageError(error.to_string()))?;
    Ok(Some(Arc::new(loaded)))
}

async fn serve(args: &ServeArgs, signals: &Signals, model: &Arc<Model>) -> anyhow::Result<Exit> {
    let signals = Received::listen(signals);
    let drain_timeout = Duration::from_secs(args.drain_timeout);
    let rules = Rules {
        max_sessions: args.max_sessions as usize,
        max_sessions_per_address: args.max_sessions_per_address as usize,
        max_sessions_per_key: args.max_sessions_per_key as usize,
        max_load: args.max_load,
        drain_timeout,
        max_unread: args.max_unread as usize,
        properties: args.properties(),
    };
    let metrics = Arc::new(Metrics::new());
    let tls = load_tls(args, &metrics)?;
    let hangups = signal(SignalKind::hangup()).context("cannot catch SIGHUP")?;
    let exporter = match collector(args)? {
        Some(url) => Some(traces::Exporter::start(url, args.otlp_headers.0.clone(), metrics.clone())?),
        None => None,
    };
    let sessions = Sessions::new(rules, model.clone(), metrics.clone(), exporter.clone());
    let allowance = Allowance {
        max_message: args.max_message as usize,
        idle_timeout: Duration::from_secs(args.idle_timeout),
        max_duration: Duration::from_secs(args.max_duration),
        ping_interval: Duration::from_secs(args.ping_interval),
        resume_grace: Duration::from_secs(args.resume_grace),
    };
    let access = Access::new(access::Rules {
        keys: args.keys.0.clone(),
        origins: args.allow_origins.0.clone(),
        trusted_proxies: args.trusted_proxies.0.clone(),
        rate: args.max_rate,
        token_lifetime: Duration::from_secs(args.token_lifetime),
        local: args.listen.ip().is_loopback(),
    })
    .context("the system gives no random numbers")?;
    let access = Arc::new(access);
    let resumables = Resumables::new();
    let store = args.state_dir.as_deref().map(Store::open).transpose().context("the sources cannot be kept")?;
    let kept = store.as_ref().map(Store::load).transpose().context("the sources cannot be read")?.unwrap_or_default();
    let declared = Declared::new(sessions.clone(), metrics.clone(), args.captions_dir.clone(), store);
    let server = Server {
        declared: declared.clone(),
        access,
        sessions: sessions.clone(),
        model: model.clone(),
        metrics,
        allowance,
        resumables: resumables.clone(),
        doors: Arc::new(args.doors.clone()),
    };
    let doors = sources::open(&server, args.listen).await?;
    let listener = http::listen(args.listen).with_context(|| format!("cannot listen on {}", args.listen))?;
    let address = listener.local_addr()?;
    let (ws, http) = if tls.is_some() { ("wss", "https") } else { ("ws", "http") };
    announce(&format!("Listening on {ws}://{address}/ws/transcribe"));
    announce(&format!("For a browser: {http}://{address}/"));
    for line in doors.announcements() {
        announce(&line);
    }
    if tls.is_none() && !args.listen.ip().is_loopback() {
        announce("Not encrypted: set tls-certificate and tls-key, or have a proxy speak TLS in front");
    }
    if args.keys.0.is_empty() {
        let who =
            if args.listen.ip().is_loopback() { "programs of this machine" } else { "everybody who can reach it" };
        announce(&format!("No keys are set: open to {who}"));
    }
    let watched = sessions.clone();
    let reading = tokio::spawn(async move { watched.watch_load().await });
    let watching = tokio::spawn(tls::watch(tls.clone(), hangups));
    let patience = Duration::from_secs(args.request_timeout);
    let door = http::Door::new(http::router(server, &doors), tls, args.trusted_proxies.0.clone(), patience);
    let serving = tokio::spawn(door.serve(listener));

    let loaded = tokio::select! {
        loaded = model.loaded() => loaded,
        () = signals.reach(1) => Ok(()),
    };
    loaded?;
    if signals.count() == 0 {
        declared.begin(args.sources.0.clone(), kept).await;
        announce(&format!("Ready: {}", model.name()));
    }
    signals.reach(1).await;
    tracing::info!("ending all sessions");
    sessions.drain();
    resumables.end();
    let drained = first(sessions.empty(), drain_timeout + LAST_WORDS, &signals).await;
    if !drained {
        tracing::warn!("sessions are cut off");
        sessions.close();
        first(sessions.empty(), LAST_WORDS, &signals).await;
    }
    doors.close().await;
    reading.abort();
    watching.abort();
    serving.abort();
    if let Some(exporter) = exporter {
        // It may wait for the collector, but not for ever.
        let _ = tokio::time::timeout(LAST_WORDS, tokio::task::spawn_blocking(move || exporter.finish())).await;
    }
    Ok(if drained { Exit::Ok } else { Exit::Interrupted })
}

/// Whether `work` was done before the time was over and a second signal came.
async fn first(work: impl Future<Output = ()>, limit: Duration, signals: &Received) -> bool {
    tokio::select! {
        done = tokio::time::timeout(limit, work) => done.is_ok(),
        () = signals.reach(2) => false,
    }
}

/// For people and scripts that have started the server.
fn announce(line: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// How many signals came.
struct Received(watch::Receiver<u32>);

impl Received {
    fn listen(signals: &Signals) -> Self {
        let (sender, receiver) = watch::channel(0);
        let theirs = signals.clone();
        signals.deliver_to(Some(Arc::new(move || {
            sender.send_replace(theirs.count());
        })));
        let received = Self(receiver);
        // One that came before there was anybody to tell.
        if signals.count() > 0 {
            signals.repeat();
        }
        received
    }

    fn count(&self) -> u32 {
        *self.0.borrow()
    }

    async fn reach(&self, count: u32) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|received| *received >= count).await.is_err() {
            // Nobody will send any more.
            std::future::pending::<()>().await;
        }
    }
}
