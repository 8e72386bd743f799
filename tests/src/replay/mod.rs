//! The speech core in virtual time: audio in, results out, each with the moment of the audio at which it came.
//!
//! A [`Stream`] is driven frame by frame as the hub and the scheduler would, but no clock is read, so that delays are
//! figures that a test can assert on. [`Pace::Audio`] takes decoding as instantaneous ("computation-unaware", as
//! whisper_streaming calls it); [`Pace::Computed`] lets one worker take as long as the decoding really took of a core.

mod memo;
mod queue;
mod words;

use std::sync::Arc;

use transcribe_core::engine::{Engine, EngineError, Hypothesis};
use transcribe_core::stream::{FinalText, Output, PartialText, Stream, StreamConfig};
use transcribe_core::vad::{Vad, VadError};

use self::queue::Worker;
use crate::audio::seconds;

pub use memo::Memo;
pub use words::{measure, Delays};

/// How long decoding takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// No time: delays are those of the method.
    Audio,
    /// The CPU time that it takes here, on one worker.
    Computed,
}

/// An output and the second of the audio at which it came.
#[derive(Debug, Clone)]
pub struct Timed {
    /// Seconds from the start of the audio.
    pub at: f64,
    /// What came.
    pub output: Output,
}

/// What came of a replay.
#[derive(Debug, Clone, Default)]
pub struct Replay {
    /// All outputs in order.
    pub outputs: Vec<Timed>,
    /// Seconds that the engine worked in the replay's time.
    pub busy: f64,
    /// CPU seconds that it took here.
    pub cpu: f64,
    /// Jobs that were decoded.
    pub jobs: usize,
    /// Seconds of audio in the longest of them.
    pub longest: f64,
}

/// Why a replay failed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The stream's settings.
    #[error("{0}")]
    Config(#[from] transcribe_core::segmenter::ConfigError),
    /// The detector.
    #[error("{0}")]
    Vad(#[from] VadError),
    /// The engine.
    #[error("{0}")]
    Engine(#[from] EngineError),
}

impl Replay {
    /// Plays `samples`, mono at 16 kHz, in packets of this length to a stream of its own.
    pub fn of(
        samples: &[f32],
        packet: usize,
        config: StreamConfig,
        pace: Pace,
        detector: &mut dyn Vad,
        engine: &Arc<dyn Engine>,
    ) -> Result<Self, ReplayError> {
        let mut player = Player {
            stream: Stream::new(config)?,
            worker: Worker::new(engine.clone(), pace),
            replay: Self::default(),
            now: 0.0,
        };
        let mut pushed = 0;
        for packet in samples.chunks(packet.max(1)) {
            player.stream.push_audio(packet);
            pushed += packet.len();
            player.now = seconds(pushed);
            player.run(detector)?;
        }
        player.stream.push_marker(0);
        player.run(detector)?;
        while player.step(f64::INFINITY)? {
            player.run(detector)?;
        }
        player.replay.busy = player.worker.busy();
        player.replay.cpu = player.worker.cpu();
        player.replay.jobs = player.worker.jobs();
        player.replay.longest = player.worker.longest();
        Ok(player.replay)
    }

    /// The finals with their times.
    pub fn finals(&self) -> impl Iterator<Item = (f64, &FinalText)> {
        self.outputs.iter().filter_map(|t| if let Output::Final(f) = &t.output { Some((t.at, f)) } else { None })
    }

    /// The partials with their times.
    pub fn partials(&self) -> impl Iterator<Item = (f64, &PartialText)> {
        self.outputs.iter().filter_map(|t| if let Output::Partial(p) = &t.output { Some((t.at, p)) } else { None })
    }

    /// The text of all finals.
    pub fn text(&self) -> String {
        let texts: Vec<String> = self.finals().map(|(_, f)| f.hypothesis.text()).collect();
        texts.join(" ")
    }
}

struct Player {
    stream: Stream,
    worker: Worker,
    replay: Replay,
    now: f64,
}

impl Player {
    /// Everything that the audio so far leads to.
    fn run(&mut self, detector: &mut dyn Vad) -> Result<(), ReplayError> {
        loop {
            while self.step(self.now)? {}
            let Some((epoch, lane)) = self.stream.next_frame() else { break };
            let mut lanes = [lane];
            detector.run(&mut lanes)?;
            let [lane] = lanes;
            self.stream.push_lane(epoch, lane);
            self.drain(self.now);
        }
        self.drain(self.now);
        while self.step(self.now)? {}
        Ok(())
    }

    /// Hands over the next result that is there by `until`, if there is one.
    fn step(&mut self, until: f64) -> Result<bool, ReplayError> {
        let Some((at, id, result)) = self.worker.next(until) else { return Ok(false) };
        let result: Result<Hypothesis, EngineError> = match result {
            Err(EngineError::Cancelled) => Err(EngineError::Cancelled),
            other => Ok(other?),
        };
        self.stream.push_result(id, result);
        self.drain(at);
        Ok(true)
    }

    fn drain(&mut self, at: f64) {
        while let Some(request) = self.stream.poll_request() {
            self.worker.take(at, request);
        }
        while let Some(output) = self.stream.poll() {
            if !matches!(output, Output::Progress(_) | Output::Marker(_)) {
                self.replay.outputs.push(Timed { at, output });
            }
        }
    }
}
