//! Many elements in one process: the model is there once, and all get their text.

use std::time::Instant;

use anyhow::{anyhow, Result};
use e2e_tests::clips::{all, Composition};
use e2e_tests::rss::{CpuTime, Footprint};
use e2e_tests::wer::word_errors;

use crate::driver::{tiny_en, Driver, Kind, PACKET};
use crate::measure::quantile;
use crate::table::{head, heading, mib, number, row};

pub(crate) fn measure(quick: bool) -> Result<()> {
    let composition = Composition::new().silence(1.0).clips(all().iter().take(if quick { 1 } else { 3 }), 1.5);
    heading(&format!("Many elements in one process, each with {:.1} s of audio", composition.seconds()));
    head(&[
        "elements",
        "resident MiB",
        "threads",
        "aggregate real-time factor",
        "CPU s per minute of audio",
        "frames in a VAD batch",
        "VAD ms of CPU per s of audio",
        "word errors %: median, worst",
    ]);
    for elements in [1, 16, 64] {
        run(elements, &composition)?;
    }
    println!("\nFinals only. The aggregate factor is wall-clock time for a second of audio, whichever element's: the machine");
    println!(
        "carries as many live streams as it goes into 1. Resident memory is that at the end, with all elements there."
    );
    Ok(())
}

fn run(elements: usize, composition: &Composition) -> Result<()> {
    let model = tiny_en();
    let model = model.to_string_lossy();
    let properties = [("model", model.as_ref()), ("language", "en"), ("partials", "none")];
    let mut drivers = (0..elements).map(|_| Driver::start(&properties, false)).collect::<Result<Vec<_>>>()?;
    let (wall, cpu) = (Instant::now(), CpuTime::own());
    std::thread::scope(|scope| {
        let feeders: Vec<_> = drivers
            .iter_mut()
            .map(|driver| {
                scope.spawn(move || {
                    driver.push(&composition.samples, PACKET)?;
                    driver.drain()
                })
            })
            .collect();
        feeders.into_iter().try_for_each(|feeder| feeder.join().map_err(|_| anyhow!("a feeder panicked"))?)
    })?;
    let (wall, cpu) = (wall.elapsed().as_secs_f64(), CpuTime::own().since(&cpu).own.as_secs_f64());
    let footprint = Footprint::own()?;
    let vad = crate::threads::cpu_of_threads()?.vad.as_secs_f64();
    let audio = composition.seconds() * elements as f64;
    let stats = drivers[0].stats();
    let count = |name: &str| stats.get::<u64>(name).unwrap_or_default() as f64;
    let errors: Vec<f64> = drivers
        .iter()
        .map(|driver| {
            let finals: Vec<String> =
                driver.take().into_iter().filter(|said| said.kind == Kind::Final).map(|said| said.text).collect();
            word_errors(&composition.text(), &finals.join(" ")).percent()
        })
        .collect();
    row(&[
        elements.to_string(),
        mib(footprint.rss),
        footprint.threads.to_string(),
        number(wall / audio, 4),
        number(cpu * 60.0 / audio, 2),
        number(count("vad-frames") / count("vad-batches"), 1),
        number(1000.0 * vad / audio, 2),
        format!("{}, {}", number(quantile(&errors, 0.5), 1), number(quantile(&errors, 1.0), 1)),
    ]);
    Ok(())
}
