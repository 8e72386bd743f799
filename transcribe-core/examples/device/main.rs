//! What a device carries: speed, word errors and memory by the number of jobs that run at once, and how soon finals come
//! when many people speak at the same time. As Markdown tables.
//!
//! ```sh
//! cargo run --release -p transcribe-core --features cuda --example device -- \
//!     --model models/ggml-tiny.en-q8_0.bin --device cuda:0 --jobs 1,2,4,8,16 --streams 50,100 --seconds 5
//! ```
//!
//! Without `--streams` nothing is said in real time. `--seconds` is how long each row of the first table is measured;
//! with `--retries no`, jobs get one attempt each. `--threads` is the number of CPU threads of a job: 1 in the first table
//! and the scheduler's choice in the second if it isn't given.

#[path = "../context_floor/clock.rs"]
mod clock;
#[path = "../../tests/common/mod.rs"]
mod common;
mod jobs;
mod live;

use transcribe_core::engine::device::Device;
use transcribe_core::engine::whisper_cpp::gpus;

struct Args {
    model: String,
    device: Device,
    jobs: Vec<usize>,
    streams: Vec<usize>,
    seconds: f64,
    threads: Option<usize>,
    retries: bool,
}

impl Args {
    fn read() -> Self {
        let mut args = Self {
            model: "models/ggml-tiny.en-q8_0.bin".to_owned(),
            device: Device::Auto,
            jobs: vec![1],
            streams: Vec::new(),
            seconds: 5.0,
            threads: None,
            retries: true,
        };
        let mut words = std::env::args().skip(1);
        while let Some(name) = words.next() {
            let value = words.next().unwrap_or_else(|| panic!("{name} wants a value"));
            let numbers = || value.split(',').map(|n| n.parse().expect("numbers, with commas between them")).collect();
            match name.as_str() {
                "--model" => args.model = value,
                "--device" => args.device = value.parse().unwrap_or_else(|error| panic!("{error}")),
                "--jobs" => args.jobs = numbers(),
                "--streams" => args.streams = numbers(),
                "--seconds" => args.seconds = value.parse().expect("seconds"),
                "--threads" => args.threads = Some(value.parse().expect("CPU threads a job")),
                "--retries" => args.retries = value != "no",
                _ => panic!("unknown: {name}"),
            }
        }
        args
    }
}

fn main() {
    let args = Args::read();
    for gpu in gpus() {
        println!("{}: {}, {} of {} MiB free", gpu.name, gpu.description, gpu.free >> 20, gpu.total >> 20);
    }
    println!("{} on {}\n", args.model, args.device);
    jobs::measure(&args);
    if !args.streams.is_empty() {
        println!();
        live::measure(&args);
    }
}

/// The value that so much of `sorted` (0 … 1) is not above.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((part * last as f64).round() as usize).copied().unwrap_or(f64::NAN)
}

/// Memory of all GPUs that is in use, MiB.
fn used() -> i64 {
    gpus().iter().map(|gpu| (gpu.total as i64 - gpu.free as i64) >> 20).sum()
}
