//! The property `stats`: what stream, scheduler and detector count in, a structure out. The fields are listed in the
//! element's docs ([`transcribe`](super)).

use std::time::Duration;

use transcribe_core::runtime::StreamStats;
use transcribe_core::scheduler::{Spread, Stats};

/// A structure with no more than its name is for an element without a stream.
pub(super) fn structure(stats: Option<&StreamStats>) -> gst::Structure {
    let builder = gst::Structure::builder("whispertranscribe-stats");
    let Some(stats) = stats else { return builder.build() };
    let structure = builder
        .field("finals", stats.finals)
        .field("partials", stats.partials)
        .field("finals-submitted", stats.submitted)
        .field("finals-failed", stats.failed)
        .field("finals-flushed", stats.flushed)
        .field("backlog", stats.backlog_seconds)
        .field("peak-backlog", stats.peak_backlog_seconds)
        .field("backlog-warnings", stats.backlog_warnings)
        .field("unread", stats.unread as u64)
        .field("final-latency", ms(stats.final_latency))
        .field("max-final-latency", ms(stats.max_final_latency))
        .field("vad-frames", stats.detector.frames)
        .field("vad-batches", stats.detector.batches)
        .field("vad-busy", stats.detector.busy_seconds)
        .build();
    match &stats.scheduler {
        Some(model) => with_model(structure, model),
        None => structure,
    }
}

fn with_model(mut structure: gst::Structure, model: &Stats) -> gst::Structure {
    for (name, count) in [
        ("model-finals-submitted", model.finals_submitted),
        ("model-finals", model.finals),
        ("model-finals-failed", model.finals_failed),
        ("model-finals-cancelled", model.finals_cancelled),
        ("model-partials-submitted", model.partials_submitted),
        ("model-partials", model.partials),
        ("model-partials-failed", model.partials_failed),
        ("model-partials-dropped", model.partials_dropped),
        ("model-partials-aborted", model.partials_aborted),
        ("model-aborted", model.aborted),
        ("model-queued", model.queued as u64),
        ("model-running", model.running as u64),
        ("model-batches", model.batches),
        ("model-largest-batch", model.largest_batch as u64),
        ("model-cores", model.cores as u64),
        ("model-partial-interval", ms(model.least_partial_interval)),
    ] {
        structure.set(name, count);
    }
    for (name, value) in [
        ("model-queued-seconds", model.queued_seconds),
        ("model-audio-seconds", model.audio_seconds),
        ("model-busy", model.busy_seconds),
        ("model-core-seconds", model.core_seconds),
        ("model-partial-cost", model.partial_cost),
        ("model-load", model.load),
        ("model-mean-batch", model.mean_batch()),
        ("real-time-factor", model.real_time_factor()),
    ] {
        structure.set(name, value);
    }
    set_spread(&mut structure, "model-final-wait", &model.final_wait);
    set_spread(&mut structure, "model-final-time", &model.final_time);
    set_spread(&mut structure, "model-partial-wait", &model.partial_wait);
    structure
}

fn set_spread(structure: &mut gst::Structure, name: &str, spread: &Spread) {
    for (which, value) in
        [("mean", spread.mean), ("median", spread.median), ("p95", spread.p95), ("max", spread.longest)]
    {
        structure.set(format!("{name}-{which}"), ms(value));
    }
}

fn ms(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_field_is_in_the_elements_docs_and_the_other_way_round() {
        gst::init().unwrap();
        let stats = StreamStats { scheduler: Some(Stats::default()), ..StreamStats::default() };
        let fields: BTreeSet<String> = structure(Some(&stats)).fields().map(|name| name.to_string()).collect();
        let docs = include_str!("mod.rs");
        let docs = &docs[docs.find("## Statistics").unwrap()..docs.find("## Latency").unwrap()];
        let mut documented = BTreeSet::new();
        for row in docs.lines().filter(|line| line.starts_with(" * | `")) {
            for name in row.split('|').nth(1).unwrap().split(',') {
                let name = name.trim().trim_matches('`');
                match name.strip_suffix("-*") {
                    Some(name) => documented.extend(["mean", "median", "p95", "max"].map(|x| format!("{name}-{x}"))),
                    None => drop(documented.insert(name.to_owned())),
                }
            }
        }
        assert_eq!(fields, documented);
    }
}
