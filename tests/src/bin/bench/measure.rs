//! One run of one element, measured.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use e2e_tests::clips::Composition;
use e2e_tests::rss::CpuTime;
use e2e_tests::wer::word_errors;
use transcribe_core::engine::device::Device;
use transcribe_core::runtime::{EngineKind, Model, ModelKey};

use crate::driver::{tiny_en, workspace, Driver, Kind, Said, PACKET};
use crate::threads::{cpu_of_threads, ThreadTimes};

/// A model to measure.
pub(crate) struct Candidate {
    /// What the report calls it.
    pub(crate) name: &'static str,
    /// The file.
    pub(crate) path: PathBuf,
}

impl Candidate {
    /// Loads it, so that runs find it loaded for as long as the result is kept.
    pub(crate) fn load(&self) -> Result<Arc<Model>> {
        let key = ModelKey { path: self.path.clone(), engine: EngineKind::Auto, device: Device::Auto };
        Ok(Model::load(&key)?)
    }
}

/// tiny.en, and base if it is beside the workspace; says so if it isn't.
pub(crate) fn candidates() -> Vec<Candidate> {
    let base = workspace().join("../shared/models/ggml-base-q5_1.bin");
    let mut all = vec![Candidate { name: "tiny.en q8_0", path: tiny_en() }];
    if base.is_file() {
        all.push(Candidate { name: "base q5_1", path: base });
    } else {
        println!("base is left out: there is no `../shared/models/ggml-base-q5_1.bin` beside the workspace.\n");
    }
    all
}

/// What a run gave and cost.
pub(crate) struct Run {
    /// What the element said.
    pub(crate) said: Vec<Said>,
    /// When the audio began.
    pub(crate) started: Instant,
    /// Seconds of audio.
    pub(crate) audio: f64,
    /// From the start of the audio to EOS behind the element.
    pub(crate) wall: Duration,
    /// CPU time from before the element's start to EOS.
    pub(crate) cpu: Duration,
    /// The same, of the threads that were there at the end.
    pub(crate) threads: ThreadTimes,
    /// The element's counters.
    pub(crate) stats: gst::Structure,
}

impl Run {
    /// Sends the composition through a new element on the model at `path`.
    pub(crate) fn of(path: &Path, composition: &Composition, properties: &[(&str, &str)], live: bool) -> Result<Self> {
        let path = path.to_string_lossy();
        let properties: Vec<(&str, &str)> =
            [("model", path.as_ref()), ("language", "en")].into_iter().chain(properties.iter().copied()).collect();
        let (cpu, threads) = (CpuTime::own(), cpu_of_threads()?);
        let mut driver = Driver::start(&properties, live)?;
        let started = driver.started();
        driver.push(&composition.samples, PACKET)?;
        driver.drain()?;
        let (wall, cpu) = (started.elapsed(), CpuTime::own().since(&cpu).own);
        // The detector's thread is a new one if no other element ran.
        let threads = cpu_of_threads()?.since(&threads);
        Ok(Self {
            said: driver.take(),
            started,
            audio: composition.seconds(),
            wall,
            cpu,
            threads,
            stats: driver.stats(),
        })
    }

    /// Finals in order.
    pub(crate) fn finals(&self) -> impl Iterator<Item = &Said> {
        self.said.iter().filter(|said| said.kind == Kind::Final)
    }

    /// All final text.
    pub(crate) fn text(&self) -> String {
        self.finals().map(|said| said.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// Word errors in percent.
    pub(crate) fn errors(&self, composition: &Composition) -> f64 {
        word_errors(&composition.text(), &self.text()).percent()
    }

    /// CPU seconds for a minute of audio.
    pub(crate) fn cpu_per_minute(&self) -> f64 {
        self.cpu.as_secs_f64() * 60.0 / self.audio
    }

    /// Wall-clock time for a second of audio.
    pub(crate) fn real_time_factor(&self) -> f64 {
        self.wall.as_secs_f64() / self.audio
    }

    /// A part of the CPU time, in percent.
    pub(crate) fn share(&self, part: Duration) -> f64 {
        100.0 * part.as_secs_f64() / self.cpu.as_secs_f64()
    }

    /// A counter of the element's.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.stats.get(name).unwrap_or_default()
    }
}

/// The value that a share of `values` (0 … 1) doesn't exceed; not a number if there are none.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
}
