//! Audio for a long time, through several elements at once and faster than real time, with flushes, jumps and state
//! changes in between: nothing may leak and no final may get lost. Exits with 1 if something did.

#[path = "../driver/mod.rs"]
mod driver;

mod account;
mod life;
mod turns;
mod watch;

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use e2e_tests::audio::{babble, pink_noise};
use e2e_tests::clips::{all, Composition};

use life::{Life, Totals};
use watch::Watch;

/// Between rounds all elements are gone.
const ROUNDS: u64 = 4;

/// Runs speech, noise and silence through elements and looks for leaks and lost text: an hour through a few of them, and
/// half an hour through many at once. Then 10,000 sessions are opened and dropped in turn.
#[derive(Debug, Parser)]
struct Args {
    /// Only one part, with so many minutes of audio, all elements together.
    #[arg(long)]
    minutes: Option<f64>,
    /// Only one part, with so many elements at once.
    #[arg(long)]
    streams: Option<u64>,
    /// Only the last part, with so many sessions.
    #[arg(long, conflicts_with_all = ["minutes", "streams"])]
    sessions: Option<u64>,
    /// What all random choices depend on.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Memory may grow by so many MiB from the first of the four rounds to the last.
    #[arg(long, default_value_t = 4)]
    tolerance: u64,
}

/// So many elements at once.
#[derive(Debug, Clone, Copy)]
struct Part {
    minutes: f64,
    streams: u64,
    /// Seconds of audio after which something happens to an element, at the most.
    piece: f64,
}

/// Sessions that are dropped in turn.
const SESSIONS: u64 = 10_000;

const FEW: Part = Part { minutes: 60.0, streams: 4, piece: 30.0 };
/// Each has a quarter of a minute in a round, and is to be flushed, ended and stopped in it all the same.
const MANY: Part = Part { minutes: 30.0, streams: 32, piece: 6.0 };

impl Args {
    fn parts(&self) -> Vec<Part> {
        match (self.minutes, self.streams) {
            _ if self.sessions.is_some() => Vec::new(),
            (None, None) => vec![FEW, MANY],
            (minutes, streams) => {
                let like = if streams.is_some_and(|streams| streams >= MANY.streams) { MANY } else { FEW };
                let (minutes, streams) = (minutes.unwrap_or(like.minutes), streams.unwrap_or(like.streams));
                vec![Part { minutes, streams, ..like }]
            }
        }
    }
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    driver::init()?;
    let signal = signal();
    let mut broken: Vec<String> = Vec::new();
    for part in args.parts() {
        println!("{} minutes of audio through {} elements at once", part.minutes, part.streams);
        broken.extend(run(part, &args, &signal)?);
    }
    let whole = args.minutes.is_none() && args.streams.is_none();
    if let Some(count) = args.sessions.or(whole.then_some(SESSIONS)) {
        println!("{count} sessions in turn");
        broken.extend(turns::run(count, args.seed, args.tolerance << 20)?);
    }
    for line in &broken {
        println!("BROKEN: {line}");
    }
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All rounds of a part; gives what went wrong.
fn run(part: Part, args: &Args, signal: &[f32]) -> Result<Vec<String>> {
    let (totals, start) = (Totals::default(), Instant::now());
    let mut watch = Watch::new(args.tolerance << 20)?;
    let mut broken: Vec<String> = Vec::new();
    for round in 0..ROUNDS {
        broken.extend(play(round, part, args.seed, signal, &totals));
        watch.round()?;
    }
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    println!(
        "{:.1} minutes of audio in {:.1} minutes: {} elements, {} flushes, {} jumps, {} ends of stream, {} state cycles; \
         {} finals submitted = {} delivered + {} flushed + {} failed",
        totals.seconds() / 60.0,
        start.elapsed().as_secs_f64() / 60.0,
        count(&totals.elements),
        count(&totals.flushes),
        count(&totals.jumps),
        count(&totals.ends),
        count(&totals.cycles),
        count(&totals.account.submitted),
        count(&totals.account.delivered),
        count(&totals.account.flushed),
        count(&totals.account.failed),
    );
    broken.extend(watch.verdict());
    Ok(broken)
}

/// One round of all streams; gives what went wrong.
fn play(round: u64, part: Part, seed: u64, signal: &[f32], totals: &Totals) -> Vec<String> {
    let seconds = 60.0 * part.minutes / ROUNDS as f64 / part.streams.max(1) as f64;
    std::thread::scope(|scope| {
        let lives: Vec<_> = (0..part.streams)
            .map(|stream| {
                let life = Life::new(seed * 1_000_000 + round * 1000 + stream, seconds, part.piece);
                scope.spawn(move || life.live(signal, totals))
            })
            .collect();
        let wrong = lives.into_iter().enumerate().filter_map(|(stream, life)| match life.join() {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("round {round}, stream {stream}: {error:#}")),
            Err(_) => Some(format!("round {round}, stream {stream}: panicked")),
        });
        wrong.collect()
    })
}

/// All clips, clean and noisy, with silence and noise in between; two minutes and a half.
fn signal() -> Vec<f32> {
    let clean = Composition::long();
    let recordings: Vec<&[f32]> = all().iter().map(|clip| clip.samples.as_slice()).collect();
    let noisy = clean.clone().with_noise(&babble(&recordings, 6, -30.0, 20.0, 1), 10.0);
    let signal = clean.silence(10.0).sound(&pink_noise(-40.0, 10.0, 2)).sound(&noisy.samples).silence(10.0);
    signal.samples
}
