//! Sessions that end while the engine works for them: each is opened, spoken to and dropped, one after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use transcribe_core::partials::PartialPolicy;
use transcribe_core::runtime::{Hub, Model, StreamHandle};
use transcribe_core::samples_from_ms;
use transcribe_core::segmenter::ConfigError;
use transcribe_core::stream::StreamConfig;

use crate::audio::{samples, Rng};

/// A session says so many seconds at least, and up to so many more.
const SAID: (f64, f64) = (0.8, 2.0);
/// In a pause of the audio nothing is asked of the engine; such a session is dropped after this.
const PATIENCE: Duration = Duration::from_millis(300);
/// Jobs that were stopped are gone by then.
const SETTLED: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK: Duration = Duration::from_micros(200);
/// A job of tiny.en takes about so long: a session may be dropped at any moment of it.
const JOB: f64 = 0.06;

/// Opens sessions of one model and drops them.
pub struct Sessions<'a> {
    hub: Arc<Hub>,
    model: &'a Arc<Model>,
    audio: &'a [f32],
    rng: Rng,
}

impl<'a> Sessions<'a> {
    /// Sessions that say parts of `audio`; `seed` decides which, and when they are dropped.
    pub fn new(hub: Arc<Hub>, model: &'a Arc<Model>, audio: &'a [f32], seed: u64) -> Self {
        Self { hub, model, audio, rng: Rng::new(seed) }
    }

    /// Opens one, and drops it some time after the engine has begun to work for it.
    pub fn drop_one(&mut self) -> Result<(), ConfigError> {
        let partials = PartialPolicy::Interval { every: samples_from_ms(250) };
        let config = StreamConfig { partials, ..StreamConfig::default() };
        let session = StreamHandle::open(self.hub.clone(), config, Duration::from_secs(1), None)?;
        session.attach(self.model.clone());
        let length = samples(SAID.0 + SAID.1 * self.rng.unit());
        let from = self.rng.below(self.audio.len() - length);
        let asked = |model: &Model| {
            let stats = model.executor().stats();
            stats.finals_submitted + stats.partials_submitted
        };
        let (before, start) = (asked(self.model), Instant::now());
        session.push_audio(&self.audio[from..from + length]);
        while asked(self.model) == before && start.elapsed() < PATIENCE {
            std::thread::sleep(LOOK);
        }
        std::thread::sleep(Duration::from_secs_f64(JOB * self.rng.unit()));
        Ok(())
    }

    /// Waits until the engine has nothing more to do, and tells what is wrong with its books.
    pub fn settle(&self) -> Result<(), String> {
        let start = Instant::now();
        loop {
            let stats = self.model.executor().stats();
            if stats.queued == 0 && stats.running == 0 {
                let finals = stats.finals + stats.finals_failed + stats.finals_cancelled;
                let partials = stats.partials + stats.partials_failed + stats.partials_dropped + stats.partials_aborted;
                let balanced = finals == stats.finals_submitted && partials == stats.partials_submitted;
                let failed = stats.finals_failed + stats.partials_failed;
                return if balanced && failed == 0 { Ok(()) } else { Err(format!("the books are wrong: {stats:?}")) };
            }
            if start.elapsed() > SETTLED {
                return Err(format!("jobs of sessions that are gone are left: {stats:?}"));
            }
            std::thread::sleep(LOOK);
        }
    }
}
