//! Silero's network with everything that a batch has in common in one product.
//!
//! The published graph runs convolutions over a time of four steps, one stream after the other: products too narrow for a
//! processor's registers. Here the steps of all streams are rows of a few products, which takes a quarter of the time.
//! Weights are those of the published file, and so are the results, but for rounding.
//!
//! A window of 640 samples makes four spectra of 256 samples each, 128 apart (magnitudes of 129 bands); four convolutions
//! over three steps, the second and third over every other, leave one step of 128 numbers, which a recurrent layer (LSTM,
//! gates in PyTorch's order: input, forget, cell, output) and a linear one make a probability of.

use std::collections::HashMap;

use prost::Message;

use super::{VadError, STATE};
use crate::onnx_graph::proto::{Attribute, Model, Type};
use crate::onnx_graph::{transposed, Extent, Graph, GraphBuilder};

/// Spectra of a window.
pub(super) const STEPS: usize = 4;
/// Samples of a spectrum.
pub(super) const SPECTRUM: usize = 256;
/// Samples from one spectrum to the next.
pub(super) const HOP: usize = 128;
/// Numbers in each half of the recurrent state.
const STATES: usize = STATE / 2;
const BANDS: usize = SPECTRUM / 2 + 1;
/// Channels behind each convolution.
const CHANNELS: [usize; 4] = [128, 64, 64, 128];
/// Neighbouring steps that a convolution looks at.
const TAPS: usize = 3;

/// Builds the graph out of the published model.
///
/// In, for a batch of n streams: `spectra` [4 n, 256], the samples of each stream's four spectra in turn; `hidden` and
/// `cell` [n, 128], the recurrent state. Out: `probability` [n, 1], and the state after it, `next_hidden` and
/// `next_cell`.
pub(super) fn build(model: &[u8]) -> Result<Graph, VadError> {
    let mut network = Network { graph: GraphBuilder::new("silero"), weights: weights(model)? };
    let state = [Extent::Free("n"), Extent::Fixed(STATES)];
    let spectra = [Extent::Free("steps"), Extent::Fixed(SPECTRUM)];
    let [spectra, hidden, cell] = [("spectra", &spectra), ("hidden", &state), ("cell", &state)]
        .map(|(name, shape)| network.graph.input(name, Type::Float, shape));
    let magnitudes = network.magnitudes(&spectra)?;
    let heard = network.convolutions(&magnitudes)?;
    network.recurrent(&heard, &hidden, &cell)?;
    network.probability()?;
    network.graph.output("probability", &[Extent::Free("n"), Extent::Fixed(1)]);
    network.graph.output("next_hidden", &state);
    network.graph.output("next_cell", &state);
    Ok(network.graph.finish())
}

/// The weights of the published model by name.
fn weights(model: &[u8]) -> Result<HashMap<String, Vec<f32>>, VadError> {
    let model = Model::decode(model).map_err(|error| VadError::Runtime(error.to_string()))?;
    let tensors = model.into_initializers().into_iter();
    Ok(tensors.filter_map(|tensor| Some((tensor.name().to_owned(), tensor.floats()?))).collect())
}

/// The graph as far as it goes, and the weights for the rest.
struct Network {
    graph: GraphBuilder,
    weights: HashMap<String, Vec<f32>>,
}

impl Network {
    fn weights(&self, name: &str, count: usize) -> Result<&[f32], VadError> {
        match self.weights.get(name) {
            Some(numbers) if numbers.len() == count => Ok(numbers),
            _ => Err(VadError::Runtime(format!("the model has no {name} of {count} numbers"))),
        }
    }

    fn matrix(&mut self, name: &str, outputs: usize, numbers: Vec<f32>) -> Result<String, VadError> {
        let shape = [numbers.len() / outputs, outputs];
        self.graph.floats(name, &shape, numbers).map_err(|error| VadError::Runtime(error.to_string()))
    }

    /// `x` times a matrix, with a bias.
    fn linear(&mut self, name: &str, x: &str, matrix: Vec<f32>, bias: Vec<f32>) -> Result<String, VadError> {
        let outputs = bias.len();
        let matrix = self.matrix(name, outputs, matrix)?;
        let bias = self.matrix(&format!("{name}.bias"), outputs, bias)?;
        Ok(self.graph.op("Gemm", &[x, &matrix, &bias], &[]))
    }

    /// Of each spectrum: [4 n, 129].
    fn magnitudes(&mut self, spectra: &str) -> Result<String, VadError> {
        // The basis has the cosines of all bands first, then the sines.
        let basis = self.weights("model.stft.forward_basis_buffer", 2 * BANDS * SPECTRUM)?;
        let basis = transposed(basis, 2 * BANDS);
        let basis = self.matrix("basis", 2 * BANDS, basis)?;
        let b = &mut self.graph;
        let parts = b.op("MatMul", &[spectra, &basis], &[]);
        let squares = b.op("Mul", &[&parts, &parts], &[]);
        let [real, imaginary] = b.split(&squares, [BANDS; 2], 1);
        let power = b.op("Add", &[&real, &imaginary], &[]);
        Ok(b.op("Sqrt", &[&power], &[]))
    }

    /// What the convolutions make of the magnitudes: [n, 128].
    fn convolutions(&mut self, magnitudes: &str) -> Result<String, VadError> {
        let columns = self.neighbours(magnitudes);
        // By three taps from three steps to one.
        let mut x = self.convolution(0, BANDS, TAPS, 1, &columns, |tap, _| Some(tap))?;
        // Of the others so few steps are left that all of them at once are one product.
        x = self.graph.reshape(&x, &[-1, (STEPS * CHANNELS[0]) as i64]);
        for (n, steps, stride) in [(1, STEPS, 2), (2, STEPS / 2, 2), (3, 1, 1)] {
            let tap = |from: usize, to: usize| (from + 1).checked_sub(stride * to).filter(|tap| *tap < TAPS);
            x = self.convolution(n, CHANNELS[n - 1], steps, steps.div_ceil(stride), &x, tap)?;
        }
        Ok(x)
    }

    /// Each step beside the one before and the one behind it, zeros where there is none: [4 n, 3 × 129].
    fn neighbours(&mut self, magnitudes: &str) -> String {
        let b = &mut self.graph;
        let steps = b.reshape(magnitudes, &[-1, STEPS as i64, BANDS as i64]);
        let margins = b.integers(&[0, 1, 0, 0, 1, 0]);
        let padded = b.op("Pad", &[&steps, &margins], &[]);
        let axis = b.integers(&[1]);
        let parts: [String; TAPS] = std::array::from_fn(|tap| {
            let (from, to) = (b.integers(&[tap as i64]), b.integers(&[(tap + STEPS) as i64]));
            b.op("Slice", &[&padded, &from, &to, &axis], &[])
        });
        let columns = b.op("Concat", &parts.each_ref().map(String::as_str), &[Attribute::int("axis", 2)]);
        b.reshape(&columns, &[-1, (TAPS * BANDS) as i64])
    }

    /// The `n`th convolution with ReLU, of so many steps beside each other to so many.
    fn convolution(
        &mut self,
        n: usize,
        inputs: usize,
        from_steps: usize,
        to_steps: usize,
        x: &str,
        tap: impl Fn(usize, usize) -> Option<usize>,
    ) -> Result<String, VadError> {
        let (name, outputs) = (format!("model.encoder.{n}.reparam_conv"), CHANNELS[n]);
        let filters = self.weights(&format!("{name}.weight"), outputs * inputs * TAPS)?;
        let matrix = dense(filters, inputs, outputs, from_steps, to_steps, tap);
        let bias = self.weights(&format!("{name}.bias"), outputs)?.repeat(to_steps);
        let y = self.linear(&format!("convolution.{n}"), x, matrix, bias)?;
        Ok(self.graph.op("Relu", &[&y], &[]))
    }

    /// The recurrent layer: makes `next_hidden` and `next_cell`.
    fn recurrent(&mut self, x: &str, hidden: &str, cell: &str) -> Result<(), VadError> {
        let weights = |part: &str| self.weights(&format!("model.decoder.rnn.weight_{part}"), 4 * STATES * STATES);
        let matrix = [transposed(weights("ih")?, 4 * STATES), transposed(weights("hh")?, 4 * STATES)].concat();
        let bias = |part: &str| self.weights(&format!("model.decoder.rnn.bias_{part}"), 4 * STATES);
        let bias = bias("ih")?.iter().zip(bias("hh")?).map(|(input, hidden)| input + hidden).collect();
        let x = self.graph.op("Concat", &[x, hidden], &[Attribute::int("axis", 1)]);
        let gates = self.linear("recurrent", &x, matrix, bias)?;
        let b = &mut self.graph;
        let [input, forget, candidate, output] = b.split(&gates, [STATES; 4], 1);
        let [input, forget, output] = [input, forget, output].map(|gate| b.op("Sigmoid", &[&gate], &[]));
        let candidate = b.op("Tanh", &[&candidate], &[]);
        let (kept, new) = (b.op("Mul", &[&forget, cell], &[]), b.op("Mul", &[&input, &candidate], &[]));
        b.node("", "Add", &[&kept, &new], &[], &["next_cell"]);
        let shown = b.op("Tanh", &["next_cell"], &[]);
        b.node("", "Mul", &[&output, &shown], &[], &["next_hidden"]);
        Ok(())
    }

    /// What the state says: makes `probability`.
    fn probability(&mut self) -> Result<(), VadError> {
        let matrix = self.weights("model.decoder.decoder.2.weight", STATES)?.to_vec();
        let bias = self.weights("model.decoder.decoder.2.bias", 1)?.to_vec();
        let x = self.graph.op("Relu", &["next_hidden"], &[]);
        let x = self.linear("last", &x, matrix, bias)?;
        self.graph.node("", "Sigmoid", &[&x], &[], &["probability"]);
        Ok(())
    }
}

/// A convolution as one matrix, [from steps × inputs, to steps × outputs]. `filters` is [outputs, inputs, 3]; `tap` says by
/// which of the three a step is seen from another.
fn dense(
    filters: &[f32],
    inputs: usize,
    outputs: usize,
    from_steps: usize,
    to_steps: usize,
    tap: impl Fn(usize, usize) -> Option<usize>,
) -> Vec<f32> {
    let width = to_steps * outputs;
    let mut matrix = vec![0.0; from_steps * inputs * width];
    for from in 0..from_steps {
        for to in 0..to_steps {
            let Some(tap) = tap(from, to) else { continue };
            for input in 0..inputs {
                for output in 0..outputs {
                    matrix[(from * inputs + input) * width + to * outputs + output] =
                        filters[(output * inputs + input) * TAPS + tap];
                }
            }
        }
    }
    matrix
}
