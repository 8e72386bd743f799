//! What the element costs and how good it is on this machine, and its peers beside it, as Markdown on the standard
//! output and in `target/bench/report.md`, with plots beside that.
//!
//! Each section runs in a process of its own, so that none sees the memory and the models of another.

#[path = "../driver/mod.rs"]
mod driver;

mod capacity;
mod crowd;
mod decoding;
mod delay;
mod engines;
mod fairness;
mod floor;
mod growth;
mod kinds;
mod lines;
mod live;
mod machine;
mod many;
mod measure;
mod memory;
mod outcome;
mod partials;
mod peer;
mod peers;
mod plot;
mod server;
mod silent;
mod speed;
mod table;
mod threads;
mod voices;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

/// Measures speed, latency, accuracy and memory of the element on this machine.
#[derive(Debug, Parser)]
struct Args {
    /// Less audio and fewer variants: half an hour instead of an hour and a half.
    #[arg(long)]
    quick: bool,
    /// Only this section; may be repeated.
    #[arg(long, value_name = "SECTION")]
    only: Vec<Section>,
    /// Clients at once, for the section `server`.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1,8,32")]
    clients: Vec<usize>,
    /// Models for the section `capacity` [default: both, with --quick tiny.en].
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    models: Vec<ModelName>,
    /// Folder of the peers' workspace.
    #[arg(long, value_name = "FOLDER", default_value_os_t = driver::workspace().join("benches/peers"))]
    peers: PathBuf,
    /// Measure the section in this process, without a report.
    #[arg(long, hide = true)]
    here: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ModelName {
    #[value(name = "tiny.en")]
    TinyEn,
    Base,
}

impl ModelName {
    fn is(self, candidate: &measure::Candidate) -> bool {
        (self == Self::TinyEn) == candidate.name.starts_with("tiny.en")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// As fast as possible: real-time factor, CPU time, word errors.
    Speed,
    /// At the speed of a microphone: latency.
    Live,
    /// What the encoder's shortened context does to accuracy and cost.
    Floor,
    /// Upstream's element on the same audio.
    Peer,
    /// The engines beside each other, and faster-whisper.
    Engines,
    /// Whether memory stays flat.
    Memory,
    /// Many elements in one process.
    Many,
    /// Streams that two cores carry, against the peers.
    Capacity,
    /// When words appear and whether they stay, by policy and interval.
    Delay,
    /// What timestamps, previous text and beams do to accuracy and cost.
    Decoding,
    /// What a shorter context for partials, or fewer of them, does to delay, flicker, accuracy and cost.
    Partials,
    /// How cost grows with the length of an utterance and the number of streams.
    Growth,
    /// Two hundred streams in which nobody speaks.
    Silent,
    /// One greedy stream among fifteen normal ones.
    Fairness,
    /// Clients of `pipeline-server` at the pace of speech.
    Server,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let wanted = |section: &Section| args.only.is_empty() || args.only.contains(section);
    let sections: Vec<Section> = Section::value_variants().iter().copied().filter(wanted).collect();
    if args.here {
        driver::init()?;
        sections.into_iter().try_for_each(|section| measure(section, &args))?;
        return Ok(ExitCode::SUCCESS);
    }

    let folder = driver::workspace().join("target/bench");
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("report.md");
    let mut report = File::create(&path).with_context(|| format!("can't write {}", path.display()))?;
    write(&mut report, &machine::describe(args.quick))?;
    let mut all_well = true;
    for section in sections {
        let well = in_process_of_its_own(section, &args, &mut report)?;
        if !well {
            write(
                &mut report,
                &format!("**The section {section:?} failed; the lines on the standard error say why.**\n"),
            )?;
        }
        all_well &= well;
    }
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(section: Section, args: &Args) -> Result<()> {
    match section {
        Section::Speed => speed::measure(),
        Section::Live => live::measure(args.quick),
        Section::Floor => floor::measure(args.quick),
        Section::Peer => peer::measure(&args.peers),
        Section::Engines => engines::measure(&args.peers),
        Section::Memory => memory::measure(args.quick),
        Section::Many => many::measure(args.quick),
        Section::Capacity => capacity::measure(&args.peers, &args.models, args.quick),
        Section::Delay => delay::measure(args.quick),
        Section::Decoding => decoding::measure(args.quick),
        Section::Partials => partials::measure(args.quick),
        Section::Growth => growth::measure(args.quick),
        Section::Silent => silent::measure(args.quick),
        Section::Fairness => fairness::measure(args.quick),
        Section::Server => server::measure(&args.clients, args.quick),
    }
}

/// Runs a section and passes on what it prints, line by line; says whether it went well.
fn in_process_of_its_own(section: Section, args: &Args, report: &mut File) -> Result<bool> {
    let name = section.to_possible_value().context("every section has a name")?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--here", "--only", name.get_name(), "--peers"]).arg(&args.peers);
    command.arg("--clients").arg(args.clients.iter().map(usize::to_string).collect::<Vec<_>>().join(","));
    if args.quick {
        command.arg("--quick");
    }
    for model in args.models.iter().filter_map(ModelName::to_possible_value) {
        command.args(["--models", model.get_name()]);
    }
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).lines() {
            write(report, &line?)?;
        }
    }
    Ok(child.wait()?.success())
}

/// A line, or several, for reader and report.
fn write(report: &mut File, text: &str) -> Result<()> {
    println!("{text}");
    writeln!(report, "{text}")?;
    Ok(())
}
