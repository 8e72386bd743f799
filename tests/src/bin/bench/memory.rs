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
    let before = Footprint::own()?;
    let mut driver =
        Driver::start(&[("model", &model.to_string_lossy()), ("language", "en"), ("partials", "none")], false)?;
    head(&["minutes of audio", "resident MiB", "peak MiB", "threads"]);
    let show = |minutes: &str, footprint: &Footprint| {
        row(&[minutes.to_owned(), mib(footprint.rss), mib(footprint.peak_rss), footprint.threads.to_string()]);
    };
    show("0, without the model", &before);
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
