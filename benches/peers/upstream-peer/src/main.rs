//! Upstream's `whispertranscriber` as a peer: recordings in, JSON lines out.
//!
//! Each recording goes through an element of its own, all at once. Each buffer of text becomes a line
//! `{"type":"text",…}` with its times and the moment it arrived, progress and error messages of the elements become
//! lines too, and the last line is `{"type":"summary",…}` with what the run cost.

mod pipeline;
mod recording;
mod usage;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;

/// Runs upstream's whispertranscriber over recordings and says what it wrote and what it cost.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The recordings, one for each element: WAV or FLAC at 16 kHz mono, or (any other ending) raw F32LE of that kind.
    #[arg(required = true)]
    recordings: Vec<PathBuf>,
    /// The model, a file of ggml format.
    #[arg(long)]
    model: PathBuf,
    /// The element's model-preset, which must be the model's.
    #[arg(long, default_value = "tiny-en")]
    preset: String,
    /// Threads of an inference.
    #[arg(long, default_value_t = 1)]
    threads: u32,
    /// Push the audio in real time, as a microphone would, instead of as fast as it is taken.
    #[arg(long)]
    live: bool,
    /// Any other property of the element, as name=value; may be repeated.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = name_and_value)]
    properties: Vec<(String, String)>,
    /// Give up after so many seconds in which nothing came out of the pipeline.
    #[arg(long, default_value_t = 120)]
    timeout: u64,
    /// With --live: give up so many seconds after the last of the audio.
    #[arg(long)]
    grace: Option<f64>,
}

/// Splits `name=value`.
fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be name=value")?;
    Ok((name.to_string(), value.to_string()))
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let recordings: Vec<Vec<f32>> = args
        .recordings
        .iter()
        .map(|path| recording::read(path).with_context(|| format!("can't read {}", path.display())))
        .collect::<anyhow::Result<_>>()?;
    gst::init()?;
    gstwhisper::plugin_register_static()?;

    let mut properties = vec![
        ("model-path".to_string(), args.model.to_string_lossy().into_owned()),
        ("model-preset".to_string(), args.preset.clone()),
        ("n-threads".to_string(), args.threads.to_string()),
    ];
    properties.extend(args.properties.iter().cloned());

    let samples: usize = recordings.iter().map(Vec::len).sum();
    let (start, cpu_before) = (Instant::now(), usage::cpu_seconds());
    let runs: Vec<_> = recordings
        .into_iter()
        .enumerate()
        .map(|(stream, samples)| {
            let run = pipeline::Run {
                stream,
                samples,
                live: args.live,
                properties: properties.clone(),
                patience: Duration::from_secs(args.timeout),
                grace: args.grace.map(Duration::from_secs_f64),
            };
            std::thread::spawn(move || run.run())
        })
        .collect();
    let mut outcomes = Vec::new();
    for run in runs {
        outcomes.push(run.join().map_err(|_| anyhow::anyhow!("a pipeline panicked"))??);
    }
    let texts: Vec<&str> = outcomes.iter().map(|outcome| outcome.text.as_str()).collect();
    let end = outcomes.iter().map(|outcome| outcome.end).max().unwrap_or(pipeline::End::Eos);
    let summary = serde_json::json!({
        "type": "summary",
        "end": end.to_string(),
        "audio_seconds": samples as f64 / f64::from(recording::RATE),
        "wall_seconds": start.elapsed().as_secs_f64(),
        "cpu_seconds": usage::cpu_seconds() - cpu_before,
        "peak_rss_bytes": usage::peak_rss_bytes(),
        "text": texts.join(" "),
    });
    println!("{summary}");
    Ok(if end == pipeline::End::Eos { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
