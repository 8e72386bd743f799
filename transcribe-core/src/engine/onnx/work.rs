//! The bound of the machine: how many 8-bit multiplications a model's linear layers take, and how many a second ONNX
//! Runtime's own product does of a size where nothing else counts. (Convolutions and attention are computed in single
//! precision and are in neither.)

use std::path::Path;

use ort::session::Session;
use ort::value::Tensor;

use super::graph::product;
use super::rows;
use super::thread_nanoseconds;
use crate::engine::EngineError;
use crate::models::checkpoint::ModelShape;

/// Rows, inputs and outputs of the product that is timed.
const SIZE: usize = 1024;
/// It is timed so often, and the fastest counts.
const TIMES: usize = 20;

/// Multiplications of an encoder run over so many positions, and of the keys and values for the decoder.
pub(super) fn of_encoder(shape: &ModelShape, positions: usize) -> u64 {
    let (state, inner) = (shape.state as u64, shape.audio_inner as u64);
    let layer = 4 * state * state + 2 * state * inner;
    let for_decoder = 2 * state * state;
    positions as u64 * (shape.audio_layers as u64 * layer + shape.text_layers as u64 * for_decoder)
}

/// Multiplications of a decoder step over so many tokens that gives logits of so many rows.
pub(super) fn of_decoder(shape: &ModelShape, tokens: usize, rows: usize) -> u64 {
    let (state, inner) = (shape.state as u64, shape.text_inner as u64);
    let layer = 6 * state * state + 2 * state * inner;
    tokens as u64 * shape.text_layers as u64 * layer + rows as u64 * state * shape.vocabulary as u64
}

/// Multiplications (each with its addition) a second that ONNX Runtime does in 8 bits on one thread of this machine.
/// `library` is its path if the user set one.
pub fn multiplications_a_second(library: Option<&Path>) -> Result<f64, EngineError> {
    let failed = |reason: String| EngineError::Inference(format!("ONNX Runtime: {reason}"));
    let environment = crate::onnxruntime::load(library).map_err(|error| failed(error.to_string()))?.environment();
    let run = || -> ort::Result<f64> {
        let graph = product(SIZE, SIZE)?;
        let session = Session::builder(environment)?.with_intra_threads(1)?.with_inter_threads(1)?;
        let mut session = graph.session(session.with_operators(rows::domain()?)?)?;
        let rows: Vec<u8> = (0..SIZE * SIZE).map(|n| (n * 37 % 251) as u8).collect();
        let rows = Tensor::from_array(([SIZE, SIZE], rows))?;
        let mut fastest = u64::MAX;
        for _ in 0..TIMES {
            let start = thread_nanoseconds();
            session.run(ort::inputs!["x" => &rows])?;
            fastest = fastest.min(thread_nanoseconds() - start);
        }
        Ok((SIZE as f64).powi(3) / (fastest.max(1) as f64 / 1e9))
    };
    run().map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::checkpoint::Checkpoint;

    #[test]
    fn tiny_takes_as_many_multiplications_as_it_has_weights() {
        let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/ggml-tiny.en-q8_0.bin");
        let shape = *Checkpoint::open(model.as_ref()).unwrap().shape();
        // Of its 37 million weights, those of the linear layers, each once a position or token.
        let (encoder, decoder) = (of_encoder(&shape, 1), of_decoder(&shape, 1, 0));
        assert_eq!(encoder, 4 * 12 * 384 * 384 + 4 * 2 * 384 * 384);
        assert_eq!(decoder, 4 * 14 * 384 * 384);
        assert_eq!(of_decoder(&shape, 3, 2), 3 * decoder + 2 * 51_864 * 384);
    }

    #[test]
    fn the_machine_multiplies() {
        // From the slowest of machines to the fastest.
        let rate = multiplications_a_second(None).unwrap();
        assert!((1e8..1e13).contains(&rate), "{rate}");
    }
}
