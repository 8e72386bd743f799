//! Whether memory stays flat: the composition round and round through one element.

use anyhow::{ensure, Result};
use e2e_tests::clips::Composition;
use e2e_tests::rss::Footprint;

use crate::driver::{tiny_en, Driver, PACKET};
use crate::table::{head, heading, mib, row};

/// More than this between the two marks is growth, in bytes.
const TOLERANCE: u64 = 8 << 20;

pub(crate) fn measure(quick: bool) -> Result<()> {
    let (early, late) = if quick { (2, 10) } else { (5, 60) };
    let composition = Composition::long();
    heading(&format!("Memory: {late} minutes of audio through one element, as fast as it is taken"));
    let model = tiny_en();
    let model = model.to_string_lossy();
    let properties = [("model", model.as_ref()), ("language", "en"), ("partials", "none")];
    let before = Footprint::own()?;
    let mut driver = Driver::start(&properties, false)?;
    fill_sessions(&properties, &composition)?;
    println!(
        "Each worker's session reserves what a look at the whole context takes, the first time that it has one. Speech \
         that is easy to understand seldom needs it, so it is provoked before the count begins.\n"
    );
    head(&["minutes of audio", "resident MiB", "peak MiB", "threads"]);
    let show = |minutes: &str, footprint: &Footprint| {
        row(&[minutes.to_owned(), mib(footprint.rss), mib(footprint.peak_rss), footprint.threads.to_string()]);
    };
    show("none, without the model", &before);
    show("none, sessions filled", &Footprint::own()?);
    let mut footprints = Vec::new();
    let marks = [early, late / 4, late / 2, 3 * late / 4, late];
    for minute in 1..=late {
        while driver.seconds() < 60.0 * f64::from(minute) {
            driver.push(&composition.samples, PACKET)?;
            // What was said would count as growth.
            driver.take();
        }
        let footprint = Footprint::own()?;
        if marks.contains(&minute) {
            show(&minute.to_string(), &footprint);
        }
        footprints.push((minute, footprint));
    }
    driver.drain()?;
    let at = |mark| footprints.iter().find(|(minute, _)| *minute == mark).map_or(0, |(_, footprint)| footprint.rss);
    let (first, last) = (at(early), at(late));
    let growth = last as i64 - first as i64;
    let flat = last <= first + TOLERANCE;
    println!(
        "\nFrom {early} to {late} minutes: {:+.1} MiB, {}.",
        growth as f64 / f64::from(1 << 20),
        if flat { "flat" } else { "**it grows**" }
    );
    ensure!(flat, "memory grew by {growth} bytes");
    Ok(())
}

/// Has all workers look at the whole context at the same time.
fn fill_sessions(properties: &[(&str, &str)], composition: &Composition) -> Result<()> {
    let properties = [properties, &[("context-floor", "30000")]].concat();
    let elements = 2 * std::thread::available_parallelism()?.get();
    let mut drivers = (0..elements).map(|_| Driver::start(&properties, false)).collect::<Result<Vec<_>>>()?;
    drivers.iter_mut().try_for_each(|driver| driver.push(&composition.samples, PACKET))?;
    drivers.iter_mut().try_for_each(Driver::drain)
}
