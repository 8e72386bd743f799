//! An engine that decodes each job once: replays of the same audio ask for the same jobs again.

use std::collections::hash_map::DefaultHasher;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use transcribe_core::engine::{DecodeOptions, Engine, EngineError, Hypothesis, Job, ModelInfo};

/// Passes jobs on to another engine and remembers what came of them. Of no use with
/// [`Pace::Computed`](super::Pace::Computed): what is remembered costs nothing.
pub struct Memo {
    engine: Arc<dyn Engine>,
    known: Mutex<HashMap<u64, Hypothesis>>,
}

impl Memo {
    /// Remembers what `engine` makes of jobs.
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine, known: Mutex::default() }
    }

    fn decode(&self, job: &Job, threads: usize) -> Result<Hypothesis, EngineError> {
        let mut hasher = DefaultHasher::new();
        job.audio.iter().for_each(|sample| sample.to_bits().hash(&mut hasher));
        format!("{:?}", job.options).hash(&mut hasher);
        let key = hasher.finish();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(hypothesis) = known {
            return Ok(hypothesis);
        }
        let result = self.engine.transcribe(std::slice::from_ref(job), threads).pop();
        let hypothesis = result.unwrap_or(Err(EngineError::Cancelled))?;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, hypothesis.clone());
        Ok(hypothesis)
    }
}

impl Engine for Memo {
    fn info(&self) -> &ModelInfo {
        self.engine.info()
    }

    fn batch_size(&self) -> usize {
        1
    }

    fn threads_per_job(&self) -> usize {
        self.engine.threads_per_job()
    }

    fn tells_attention(&self) -> bool {
        self.engine.tells_attention()
    }

    fn check(&self, options: &DecodeOptions) -> Result<(), EngineError> {
        self.engine.check(options)
    }

    fn transcribe(&self, jobs: &[Job], threads: usize) -> Vec<Result<Hypothesis, EngineError>> {
        jobs.iter().map(|job| self.decode(job, threads)).collect()
    }
}
