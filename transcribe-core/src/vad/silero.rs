//! Silero VAD 6 on ONNX Runtime: one frame of each stream in, a batch through the network, probabilities out.
//!
//! The network sees the last [`CONTEXT`] samples of the frame before in front of each new frame and carries two
//! recurrent vectors of 128 floats from frame to frame; both live in each stream's [`Memory`](super::Memory). Rows of
//! a batch don't influence each other. The model is bundled (MIT, `models/LICENSE.silero-vad`); its weights run in a
//! [graph of our own](network).

use std::path::Path;

use ort::{
    session::{builder::GraphOptimizationLevel, Session, SessionOutputs},
    value::TensorRef,
};

use super::network::{self, HOP, SPECTRUM, STEPS};
use super::{Lane, Vad, VadError, CONTEXT, FRAME, STATE};
use crate::onnx_graph::Graph;
use crate::onnxruntime;

const MODEL: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/silero_vad_16k_op15.onnx"));
/// Samples behind a frame, its last ones in reverse: the network was trained to see the end in a mirror.
const MIRRORED: usize = 64;
/// Samples the network is given for a frame.
const WINDOW: usize = CONTEXT + FRAME + MIRRORED;
/// The state is two vectors of this length.
const HALF: usize = STATE / 2;

/// The detector. It keeps its buffers between calls; what it knows of a stream is in the stream's lane.
pub struct Silero {
    session: Session,
    spectra: Vec<f32>,
    hidden: Vec<f32>,
    cells: Vec<f32>,
}

impl Silero {
    /// Starts the bundled model. `library` is the ONNX Runtime library's path if the user set one.
    pub fn load(library: Option<&Path>) -> Result<Self, VadError> {
        let environment = onnxruntime::load(library)?.environment();
        let graph = network::build(MODEL)?;
        let session = session(&graph, environment).map_err(runtime)?;
        Ok(Self { session, spectra: Vec::new(), hidden: Vec::new(), cells: Vec::new() })
    }

    /// Fills the network's inputs, and puts the end of each frame where it is before the next one.
    fn gather(&mut self, lanes: &mut [Lane]) {
        self.spectra.clear();
        self.hidden.clear();
        self.cells.clear();
        let mut window = [0.0; WINDOW];
        for Lane { frame, memory, .. } in lanes {
            window[..CONTEXT].copy_from_slice(&memory.context);
            let inner = window[CONTEXT..].iter_mut().zip(&*frame);
            inner.for_each(|(to, sample)| *to = clean(*sample));
            // The last sample itself is not repeated.
            let end = CONTEXT + FRAME;
            (0..MIRRORED).for_each(|n| window[end + n] = window[end - 2 - n]);
            for step in 0..STEPS {
                self.spectra.extend(&window[step * HOP..][..SPECTRUM]);
            }
            self.hidden.extend(&memory.state[..HALF]);
            self.cells.extend(&memory.state[HALF..]);
            memory.context.copy_from_slice(&window[FRAME..][..CONTEXT]);
        }
    }

    /// Runs the network for `n` streams that were gathered.
    fn infer(&mut self, n: usize) -> ort::Result<SessionOutputs<'_>> {
        self.session.run(ort::inputs![
            "spectra" => TensorRef::from_array_view(([STEPS * n, SPECTRUM], &self.spectra[..]))?,
            "hidden" => TensorRef::from_array_view(([n, HALF], &self.hidden[..]))?,
            "cell" => TensorRef::from_array_view(([n, HALF], &self.cells[..]))?,
        ])
    }
}

impl Vad for Silero {
    fn run(&mut self, lanes: &mut [Lane]) -> Result<(), VadError> {
        if lanes.is_empty() {
            return Ok(());
        }
        self.gather(lanes);
        let n = lanes.len();
        let outputs = self.infer(n).map_err(runtime)?;
        let output = |name: &str| outputs[name].try_extract_tensor::<f32>().map_err(runtime);
        let (probabilities, hidden, cells) =
            (output("probability")?.1, output("next_hidden")?.1, output("next_cell")?.1);
        if (probabilities.len(), hidden.len(), cells.len()) != (n, n * HALF, n * HALF) {
            return Err(VadError::Runtime("the outputs' shapes don't fit the batch".to_owned()));
        }
        let states = hidden.chunks_exact(HALF).zip(cells.chunks_exact(HALF));
        for ((lane, probability), (hidden, cell)) in lanes.iter_mut().zip(probabilities).zip(states) {
            lane.probability = *probability;
            lane.memory.state[..HALF].copy_from_slice(hidden);
            lane.memory.state[HALF..].copy_from_slice(cell);
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
fn session(graph: &Graph, environment: &ort::environment::Environment) -> ort::Result<Session> {
    let builder = Session::builder(environment)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        // It keeps a plan for every size of a batch for ever.
        .with_memory_pattern(false)?
        .with_optimization_level(GraphOptimizationLevel::All)?;
    graph.session(builder)
}

fn runtime<R>(error: ort::Error<R>) -> VadError {
    VadError::Runtime(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::testing::clip;
    use super::super::Memory;
    use super::*;

    const CLIPS: [&str; 3] = ["librivox-sense-0870.flac", "librispeech-2412-153948-0000.flac", "jfk-inaugural.flac"];

    /// The published graph, frame by frame of a batch.
    struct Published {
        session: Session,
        context: Vec<Vec<f32>>,
        states: Vec<f32>,
    }

    impl Published {
        fn new(lanes: usize) -> Self {
            let environment = onnxruntime::load(None).unwrap().environment();
            let session = Session::builder(environment).unwrap().commit_from_memory(MODEL).unwrap();
            Self { session, context: vec![vec![0.0; CONTEXT]; lanes], states: vec![0.0; STATE * lanes] }
        }

        fn run(&mut self, frames: &[&[f32]]) -> Vec<f32> {
            let n = frames.len();
            let windows: Vec<f32> = self.context.iter().zip(frames).flat_map(|(c, f)| [&c[..], f].concat()).collect();
            let rate = [16_000i64];
            let outputs = self
                .session
                .run(ort::inputs![
                    "input" => TensorRef::from_array_view(([n, CONTEXT + FRAME], &windows[..])).unwrap(),
                    "state" => TensorRef::from_array_view(([2, n, HALF], &self.states[..])).unwrap(),
                    "sr" => TensorRef::from_array_view(([0usize; 0], &rate[..])).unwrap(),
                ])
                .unwrap();
            self.context = frames.iter().map(|frame| frame[FRAME - CONTEXT..].to_vec()).collect();
            self.states = outputs["stateN"].try_extract_tensor::<f32>().unwrap().1.to_vec();
            outputs["output"].try_extract_tensor::<f32>().unwrap().1.to_vec()
        }
    }

    /// Clips side by side, to the end of the shortest.
    #[test]
    fn the_network_is_the_published_one() {
        let clips = CLIPS.map(clip);
        let mut published = Published::new(clips.len());
        let mut silero = Silero::load(None).unwrap();
        let mut memories = vec![Memory::default(); clips.len()];
        let length = clips.iter().map(Vec::len).min().unwrap() / FRAME;
        for at in 0..length {
            let frames: Vec<&[f32]> = clips.iter().map(|clip| &clip[at * FRAME..][..FRAME]).collect();
            let expected = published.run(&frames);
            let lanes = frames.iter().zip(&memories).map(|(f, m)| Lane::new((*f).try_into().unwrap(), m.clone()));
            let mut lanes: Vec<Lane> = lanes.collect();
            silero.run(&mut lanes).unwrap();
            for (lane, expected) in lanes.iter().zip(&expected) {
                assert!((lane.probability - expected).abs() < 1e-4, "{at}: {} for {expected}", lane.probability);
            }
            memories = lanes.into_iter().map(|lane| lane.memory).collect();
        }
        assert!(length > 100);
    }
}
