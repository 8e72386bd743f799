//! Clients of the server that speak at the same time, each at the pace of speech. The server is a process of its own; all
//! clients are in this one.

mod client;
mod process;
mod verdict;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use e2e_tests::rss::CpuTime;
use e2e_tests::wer::{word_errors, WordErrors};
use futures_util::future::join_all;

use crate::driver::tiny_en;
use crate::machine::keep_to_cores;
use crate::measure::{quantile, Run};
use crate::table::{head, heading, mib, number, row};
use crate::voices::{signals, voices, Voice};

use process::Server;
use verdict::Figures;

const CORES: usize = 2;
/// Aims for the first right word, and for what is committed: median and 95th percentile, seconds.
const FIRST: f64 = 1.0;
const COMMITTED: (f64, f64) = (1.0, 1.5);
/// Aim: at most so many points of word errors more than offline.
const POINTS: f64 = 1.0;

/// What a number of clients came to.
struct Load {
    clients: usize,
    figures: Figures,
    /// Word errors of the same audio as fast as possible without partials, percent.
    offline: f64,
    /// Resident memory of the server before the first client, and the most while they were there, bytes.
    memory: (u64, u64),
    /// Cores that the server and the clients kept busy.
    server: f64,
    own: f64,
    /// CPU seconds of the server for a minute of audio.
    cpu: f64,
}

pub(crate) fn measure(clients: &[usize], quick: bool) -> Result<()> {
    let cores = keep_to_cores(CORES)?;
    heading(&format!("Server: clients that speak at the same time, tiny.en q8_0, {cores} cores for all"));
    let clips = if quick { 3 } else { 7 };
    println!(
        "Each client says {clips} of the clips with pauses of 1.5 s, in packets of 100 ms, and gets partials. *First \
         word*: from the start of a clip to the first result with a right word in it. *Committed*: from the end of a \
         clip to the final with the last of it; the silence of 500 ms that ends an utterance is part of that.\n"
    );
    head(&[
        "clients",
        "first word p50 / p95 s",
        "committed p50 / p95 s",
        "committed words changed",
        "word errors, offline %",
        "partials a minute of speech",
        "finals missing, double or out of order",
        "CPU s of the server a minute of audio",
        "cores busy: server, clients",
        "server MiB: idle, at most",
    ]);
    let loads = clients.iter().map(|clients| load(*clients, clips)).collect::<Result<Vec<_>>>()?;
    println!();
    for load in &loads {
        judge(load);
    }
    let (least, most) = (loads.iter().min_by_key(|l| l.clients), loads.iter().max_by_key(|l| l.clients));
    if let (Some(least), Some(most)) = (least, most) {
        if most.clients > least.clients {
            let more = most.memory.1.saturating_sub(least.memory.1) as f64 / (most.clients - least.clients) as f64;
            println!("- Memory for each session beyond the first {}: {} MiB.", least.clients, mib(more as u64));
        }
    }
    Ok(())
}

/// Word errors of all that is said, as fast as possible without partials, percent. What a model makes of a clip depends
/// on what is before it and on where the detector's frames begin: so it has to be the very audio that clients send.
fn offline(voices: &[Voice]) -> Result<f64> {
    let mut errors = WordErrors::default();
    for Voice { signal, .. } in voices {
        let run = Run::of(&tiny_en(), signal, &[("partials", "none")], false)?;
        errors += word_errors(&signal.text(), &run.text());
    }
    Ok(errors.percent())
}

fn load(clients: usize, clips: usize) -> Result<Load> {
    let voices = voices(clients, clips)?;
    let server = Server::start(clients)?;
    let idle = server.footprint()?.rss;
    let (wall, own, cpu) = (Instant::now(), CpuTime::own(), server.cpu()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (heard, most) = runtime.block_on(play(&server, &voices));
    let seconds = wall.elapsed().as_secs_f64();
    let cpu = server.cpu()? - cpu;
    let mut figures = Figures::default();
    for (i, (heard, voice)) in heard.into_iter().zip(&voices).enumerate() {
        let heard = heard.with_context(|| format!("client {i} of {clients}"))?;
        figures.add(Figures::of(&voice.signal, &heard));
    }
    let audio: f64 = voices.iter().map(|voice| voice.signal.seconds()).sum();
    let load = Load {
        clients,
        figures,
        offline: offline(&voices)?,
        memory: (idle, most.max(idle)),
        server: cpu / seconds,
        own: CpuTime::own().since(&own).own.as_secs_f64() / seconds,
        cpu: cpu * 60.0 / audio,
    };
    let speech: f64 = voices.iter().flat_map(|voice| &voice.utterances).map(|u| u.end - u.start).sum();
    show(&load, speech / 60.0);
    Ok(load)
}

/// All clients at once; what each heard, and the most memory that the server had meanwhile, bytes.
async fn play(server: &Server, voices: &[Voice]) -> (Vec<Result<Vec<client::Heard>>>, u64) {
    let mut most = 0;
    let clients = join_all(signals(voices).into_iter().map(|samples| client::speak(&server.url, samples)));
    let watching = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if let Ok(footprint) = server.footprint() {
                most = most.max(footprint.rss);
            }
        }
    };
    let heard = tokio::select! {
        heard = clients => heard,
        () = watching => Vec::new(),
    };
    (heard, most)
}

/// A line of the table. `speech`: minutes of speech in all clients' audio.
fn show(load: &Load, speech: f64) {
    let Load { clients, figures, offline, memory, server, own, cpu } = load;
    let both = |values: &[f64]| format!("{} / {}", number(quantile(values, 0.5), 2), number(quantile(values, 0.95), 2));
    row(&[
        clients.to_string(),
        both(&figures.first),
        both(&figures.committed),
        figures.changed.to_string(),
        format!("{}, {}", number(figures.errors.percent(), 1), number(*offline, 1)),
        number(figures.partials as f64 / speech, 0),
        format!("{} of {}", figures.faults.len(), figures.finals),
        number(*cpu, 1),
        format!("{}, {}", number(*server, 2), number(*own, 2)),
        format!("{}, {}", mib(memory.0), mib(memory.1)),
    ]);
}

/// The aims.
fn judge(load: &Load) {
    let Load { clients, figures, offline, .. } = load;
    let aim = |what: &str, figure: String, met: bool| {
        println!("- {clients}, {what}: {figure}, {}.", if met { "met" } else { "**missed**" });
    };
    let first = quantile(&figures.first, 0.5);
    aim(&format!("first right word within {FIRST} s (median)"), number(first, 2), first <= FIRST);
    let (median, late) = (quantile(&figures.committed, 0.5), quantile(&figures.committed, 0.95));
    aim(
        &format!("all committed within {} s (median) and {} s (p95)", COMMITTED.0, COMMITTED.1),
        format!("{} and {}", number(median, 2), number(late, 2)),
        median <= COMMITTED.0 && late <= COMMITTED.1,
    );
    aim("no committed word changed", figures.changed.to_string(), figures.changed == 0);
    let errors = figures.errors.percent();
    aim(
        &format!("word errors at most {POINTS} point more than offline ({} %)", number(*offline, 1)),
        number(errors, 1),
        errors - offline <= POINTS,
    );
    aim("every final once and in order", figures.faults.len().to_string(), figures.faults.is_empty());
    for fault in figures.faults.iter().take(5) {
        println!("  - {fault}");
    }
}
