//! Silero VAD 6 on ONNX Runtime: one frame of each stream in, a batch through the network, probabilities out.
//!
//! The network sees the last [`CONTEXT`] samples of the frame before in front of each new frame and carries two
//! recurrent vectors of 128 floats from frame to frame; both live in each stream's [`Memory`](super::Memory). Rows of
//! a batch don't influence each other. The model is bundled (MIT, `models/LICENSE.silero-vad`).

use std::path::Path;

use ort::{
    session::{builder::GraphOptimizationLevel, Session},
    value::TensorRef,
};

use super::{Lane, Vad, VadError, CONTEXT, FRAME, STATE};
use crate::onnxruntime;

const MODEL: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/silero_vad_16k_op15.onnx"));
/// Samples the network is given for a frame.
const WINDOW: usize = CONTEXT + FRAME;
/// The state is two vectors of this length.
const HALF: usize = STATE / 2;

/// The detector. It keeps its buffers between calls; what it knows of a stream is in the stream's lane.
pub struct Silero {
    session: Session,
    windows: Vec<f32>,
    states: Vec<f32>,
}

impl Silero {
    /// Starts the bundled model. `library` is the ONNX Runtime library's path if the user set one.
    pub fn load(library: Option<&Path>) -> Result<Self, VadError> {
        let environment = onnxruntime::load(library)?.environment();
        let session = session(environment).map_err(runtime)?;
        Ok(Self { session, windows: Vec::new(), states: Vec::new() })
    }

    fn gather(&mut self, lanes: &[Lane]) {
        self.windows.clear();
        self.states.clear();
        for lane in lanes {
            self.windows.extend(lane.memory.context);
            self.windows.extend(lane.frame.iter().copied().map(clean));
        }
        for half in 0..2 {
            for lane in lanes {
                self.states.extend(&lane.memory.state[half * HALF..][..HALF]);
            }
        }
    }
}

impl Vad for Silero {
    fn run(&mut self, lanes: &mut [Lane]) -> Result<(), VadError> {
        if lanes.is_empty() {
            return Ok(());
        }
        self.gather(lanes);
        let outputs = infer(&mut self.session, &self.windows, &self.states, lanes.len()).map_err(runtime)?;
        let (probabilities, states) = extract(&outputs, lanes.len())?;
        for (row, lane) in lanes.iter_mut().enumerate() {
            lane.probability = probabilities[row];
            for half in 0..2 {
                let state = &states[(half * probabilities.len() + row) * HALF..][..HALF];
                lane.memory.state[half * HALF..][..HALF].copy_from_slice(state);
            }
            lane.memory.context.copy_from_slice(&self.windows[row * WINDOW + FRAME..][..CONTEXT]);
        }
        Ok(())
    }
}

/// A sample the network can take: what is no number is silence, what exceeds full scale is clipped. One such sample
/// would otherwise stay in the recurrent state for good.
fn clean(sample: f32) -> f32 {
    if sample.is_finite() {
        sample.clamp(-1.0, 1.0)
    } else {
        0.0
    }
}

/// One thread that sleeps when there is nothing to do: the work is too small to share and comes every 32 ms.
fn session(environment: &ort::environment::Environment) -> ort::Result<Session> {
    Session::builder(environment)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .commit_from_memory(MODEL)
}

fn infer<'s>(
    session: &'s mut Session,
    windows: &[f32],
    states: &[f32],
    lanes: usize,
) -> ort::Result<ort::session::SessionOutputs<'s>> {
    let rate = [i64::from(crate::SAMPLE_RATE)];
    session.run(ort::inputs![
        "input" => TensorRef::from_array_view(([lanes, WINDOW], windows))?,
        "state" => TensorRef::from_array_view(([2, lanes, HALF], states))?,
        "sr" => TensorRef::from_array_view(([0usize; 0], &rate[..]))?,
    ])
}

fn extract<'o>(
    outputs: &'o ort::session::SessionOutputs<'_>,
    lanes: usize,
) -> Result<(&'o [f32], &'o [f32]), VadError> {
    let (_, probabilities) = outputs["output"].try_extract_tensor::<f32>().map_err(runtime)?;
    let (_, states) = outputs["stateN"].try_extract_tensor::<f32>().map_err(runtime)?;
    if probabilities.len() != lanes || states.len() != lanes * STATE {
        return Err(VadError::Runtime("the outputs' shapes don't fit the batch".to_owned()));
    }
    Ok((probabilities, states))
}

fn runtime<R>(error: ort::Error<R>) -> VadError {
    VadError::Runtime(error.to_string())
}
