//! Thousands of sessions in turn on one model, each dropped while the engine works for it.

use std::time::Instant;

use anyhow::Result;
use e2e_tests::clips::Composition;
use e2e_tests::sessions::Sessions;
use transcribe_core::engine::device::Device;
use transcribe_core::runtime::{EngineKind, Hub, Model, ModelKey};
use transcribe_core::vad::VadKind;

use crate::driver::tiny_en;
use crate::watch::Watch;
use crate::ROUNDS;

/// Runs all of them; gives what went wrong.
pub(crate) fn run(count: u64, seed: u64, tolerance: u64) -> Result<Vec<String>> {
    // Without pauses, in which there would be nothing to be dropped.
    let speech = Composition::unbroken(60.0).samples;
    let start = Instant::now();
    let mut watch = Watch::new(tolerance)?;
    let mut broken = Vec::new();
    let mut aborted = 0;
    for round in 0..ROUNDS {
        let key = ModelKey { path: tiny_en(), engine: EngineKind::Onnx, device: Device::Cpu };
        let model = Model::load(&key)?;
        let mut sessions = Sessions::new(Hub::shared(VadKind::Silero, None)?, &model, &speech, seed * 1_000 + round);
        for _ in 0..count / ROUNDS {
            sessions.drop_one()?;
        }
        broken.extend(sessions.settle().err());
        aborted += model.executor().stats().aborted;
        drop(sessions);
        drop(model);
        watch.round()?;
    }
    println!(
        "{count} sessions opened and dropped in {:.1} minutes, {aborted} of them in the midst of a job",
        start.elapsed().as_secs_f64() / 60.0
    );
    if aborted * 4 < count {
        broken.push("too few sessions were dropped in the midst of a job".to_owned());
    }
    broken.extend(watch.verdict());
    Ok(broken)
}
