//! `pipeline-server`: transcription on the command line and as a service, made of GStreamer pipelines around
//! `whispertranscribe`.
//!
//! The command line comes in, an exit code goes out; what happens between is one module per subcommand in [`cli`]. It is a
//! library for the sake of the fuzz targets only.

mod access;
mod cli;
mod config;
mod declared;
mod exit;
#[cfg(fuzzing)]
pub mod fuzzing;
mod http;
mod memory;
mod metrics;
mod model;
mod outputs;
mod pipeline;
mod protocol;
mod session;
mod signals;
mod sources;
mod supervise;
mod tls;
mod traces;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::ArgMatches;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::Layer;

use cli::{Command, LogFormat};
use exit::Exit;
use signals::Signals;

/// Lines of the log that may wait to be written.
const WAITING_LINES: usize = 8_192;

/// The program.
pub fn main() -> ExitCode {
    memory::limit_what_is_kept();
    // Before there are other threads.
    let signals = Signals::catch();
    let (cli, matches) = match cli::config::parse() {
        Ok(parsed) => parsed,
        Err(error) => {
            report(&error.into(), 0);
            return Exit::Usage.into();
        }
    };
    let verbose = cli.verbose;
    let (usual, format) = match &cli.command {
        Command::Serve(args) => (LevelFilter::INFO, args.log_format),
        _ => (LevelFilter::WARN, LogFormat::Text),
    };
    let _written = start_logging(verbose, usual, format);
    let signals = signals.context("cannot catch signals");
    match signals.and_then(|signals| run(cli.command, &matches, &signals)) {
        Ok(exit) => exit.into(),
        Err(error) => {
            report(&error, verbose);
            Exit::of(&error).into()
        }
    }
}

fn run(command: Command, matches: &ArgMatches, signals: &Signals) -> anyhow::Result<Exit> {
    match command {
        Command::Completions { shell } => cli::shell::completions(shell),
        Command::Man { folder } => cli::shell::man(&folder),
        Command::Models(command) => cli::models::run(&command, signals),
        Command::NewKey(args) => cli::config::new_key(&args),
        Command::Config(command) => with_gstreamer(|| cli::config::run(&command, matches)),
        Command::Serve(args) => with_gstreamer(|| cli::serve::run(&args, signals)),
        Command::Transcribe(args) => with_gstreamer(|| cli::transcribe::run(args, signals)),
    }
}

fn with_gstreamer(then: impl FnOnce() -> anyhow::Result<Exit>) -> anyhow::Result<Exit> {
    gst::init()?;
    gstwhispertranscribe::plugin_register_static()?;
    then()
}

/// Logs go to stderr; `RUST_LOG` (`info`, `transcribe_core=debug,warn`, …) wins over `-v`. A thread of its own writes them, so
/// that a reader who has stopped holds up nobody; lines that don't fit any more are left out. What is returned has the last
/// ones written when it goes.
fn start_logging(verbose: u8, usual: LevelFilter, format: LogFormat) -> WorkerGuard {
    let level = match verbose {
        0 => usual,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let targets = std::env::var("RUST_LOG").ok().and_then(|spec| spec.parse::<Targets>().ok());
    // whisper.cpp tells at length what it loads. What goes wrong in earnest the element reports itself.
    let whisper = if verbose < 2 { LevelFilter::OFF } else { level };
    // The SIP stack tells whole messages, with numbers and keys in them, and warns of what callers do.
    let stack = if verbose < 2 { LevelFilter::ERROR } else { level.min(LevelFilter::WARN) };
    let usual =
        || Targets::new().with_default(level).with_target("whisper_cpp", whisper).with_target("rsipstack", stack);
    let targets = targets.unwrap_or_else(usual);
    let (writer, written) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(WAITING_LINES)
        .thread_name("log")
        .finish(io::stderr());
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(targets)).init();
    written
}

/// Prints the error with its causes, and with `-v` where GStreamer says it happened.
fn report(error: &anyhow::Error, verbose: u8) {
    let mut stderr = io::stderr().lock();
    let _ = writeln!(stderr, "error: {error:#}");
    if let Some(debug) = error.downcast_ref::<pipeline::Error>().and_then(pipeline::Error::debug) {
        if verbose > 0 {
            let _ = writeln!(stderr, "\n{debug}");
        }
    }
}
