//! Voice activity detection: frames of audio in, the probability of speech out.
//!
//! One detector serves all streams: each call takes one frame of each stream that has one ([`Lane`]), so that a
//! neural detector runs them as one batch. What a detector remembers of a stream lives with the stream ([`Memory`]).

pub mod energy;
pub mod gate;
mod network;
pub mod silero;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

/// Samples in a frame: 32 ms.
pub const FRAME: usize = 512;
/// Samples of the previous frame that Silero sees again in front of the new one.
pub const CONTEXT: usize = 64;
/// Floats of recurrent state per stream: Silero's [2, 1, 128].
pub const STATE: usize = 256;

/// What a detector remembers of one stream between frames.
#[derive(Debug, Clone, PartialEq)]
pub struct Memory {
    /// Recurrent state.
    pub state: Box<[f32; STATE]>,
    /// The last samples of the previous frame.
    pub context: [f32; CONTEXT],
}

impl Default for Memory {
    fn default() -> Self {
        Self { state: Box::new([0.0; STATE]), context: [0.0; CONTEXT] }
    }
}

/// One stream's place in a batch.
#[derive(Debug, Clone)]
pub struct Lane {
    /// The new frame.
    pub frame: [f32; FRAME],
    /// Read and updated by the detector.
    pub memory: Memory,
    /// Written by the detector: probability of speech, 0 … 1.
    pub probability: f32,
}

impl Lane {
    /// A lane for `frame`, going on from `memory`.
    pub fn new(frame: [f32; FRAME], memory: Memory) -> Self {
        Self { frame, memory, probability: 0.0 }
    }
}

/// Which detector to use; the energy detector is only ever used when asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum VadKind {
    /// Silero VAD 6 on ONNX Runtime.
    #[default]
    Silero,
    /// Loudness against a slowly adapting noise floor: no runtime needed, but music and noise count as speech.
    Energy,
}

/// Why a detector can't be had or failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum VadError {
    /// No usable ONNX Runtime library.
    #[error("{0}")]
    Library(#[from] crate::onnxruntime::LibraryError),
    /// The runtime refused the model or a run.
    #[error("ONNX Runtime failed on the Silero VAD model: {0}")]
    Runtime(String),
}

/// A voice activity detector.
pub trait Vad: Send {
    /// Fills in the probability of each lane and updates its memory.
    fn run(&mut self, lanes: &mut [Lane]) -> Result<(), VadError>;
}

/// Loads the detector of this kind. `library` is the ONNX Runtime library's path if the user set one.
pub fn load(kind: VadKind, library: Option<&std::path::Path>) -> Result<Box<dyn Vad>, VadError> {
    Ok(match kind {
        VadKind::Silero => Box::new(silero::Silero::load(library)?),
        VadKind::Energy => Box::new(energy::Energy::new()),
    })
}
