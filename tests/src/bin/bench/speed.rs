//! As fast as possible: real-time factor, CPU time by part, word errors, and the cost of loading.

use std::time::Instant;

use anyhow::Result;
use e2e_tests::clips::Composition;
use e2e_tests::rss::CpuTime;

use crate::measure::{candidates, Run};
use crate::table::{head, heading, number, row};

const VARIANTS: [(&str, &[(&str, &str)]); 3] = [
    ("finals only, 1 thread", &[("partials", "none"), ("threads", "1")]),
    ("finals only", &[("partials", "none")]),
    ("defaults (partials every 500 ms)", &[]),
];

pub(crate) fn measure() -> Result<()> {
    let composition = Composition::long();
    heading(&format!(
        "Speed: {:.1} s of audio, {} words, as fast as it is taken",
        composition.seconds(),
        composition.text().split_whitespace().count()
    ));
    let candidates = candidates();
    let mut loading = Vec::new();
    head(&[
        "model",
        "settings",
        "real-time factor",
        "CPU s per minute of audio",
        "of it in the VAD %",
        "in the engine's workers %",
        "word errors %",
        "finals",
        "partials (dropped, aborted)",
    ]);
    for candidate in &candidates {
        let (wall, cpu) = (Instant::now(), CpuTime::own());
        let _model = candidate.load()?;
        let cpu = CpuTime::own().since(&cpu).own;
        loading.push(format!(
            "{}: {:.2} s wall, {:.2} s CPU",
            candidate.name,
            wall.elapsed().as_secs_f64(),
            cpu.as_secs_f64()
        ));
        for (name, properties) in VARIANTS {
            let run = Run::of(&candidate.path, &composition, properties, false)?;
            row(&[
                candidate.name.to_owned(),
                name.to_owned(),
                number(run.real_time_factor(), 3),
                number(run.cpu_per_minute(), 2),
                number(run.share(run.threads.vad), 1),
                number(run.share(run.threads.engine), 1),
                number(run.errors(&composition), 1),
                run.count("finals").to_string(),
                format!(
                    "{} ({}, {})",
                    run.count("partials"),
                    run.count("model-partials-dropped"),
                    run.count("model-aborted")
                ),
            ]);
        }
    }
    println!(
        "\nThe counts of dropped and aborted partials run on from line to line of a model. Threads that whisper.cpp"
    );
    println!("starts for one computation are in the total only. Loading, not in the table: {}.", loading.join("; "));
    Ok(())
}
