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
use crate::onnx_graph::{Extent, Graph, GraphBuilder};

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

/// The weights of the published model.
struct Weights(HashMap<String, Vec<f32>>);

impl Weights {
    fn read(model: &[u8]) -> Result<Self, VadError> {
        let model = Model::decode(model).map_err(|error| VadError::Runtime(error.to_string()))?;
        let tensors = model.into_initializers().into_iter();
        Ok(Self(tensors.filter_map(|tensor| Some((tensor.name().to_owned(), tensor.floats()?))).collect()))
    }

    fn get(&self, name: &str, count: usize) -> Result<&[f32], VadError> {
        let numbers = self.0.get(name).filter(|numbers| numbers.len() == count);
        Ok(numbers.ok_or_else(|| VadError::Runtime(format!("the model has no {name} of {count} numbers")))?)
    }
}

/// Builds the graph out of the published model.
///
/// In, for a batch of n streams: `spectra` [4 n, 256], the samples of each stream's four spectra in turn; `hidden` and
/// `cell` [n, 128], the recurrent state. Out: `probability` [n, 1], and the state after it, `next_hidden` and `next_cell`.
pub(super) fn build(model: &[u8]) -> Result<Graph, VadError> {
    let weights = Weights::read(model)?;
    let runtime = |error: ort::Error| VadError::Runtime(error.to_string());
    let mut b = GraphBuilder::new("silero");
    let spectra = b.input("spectra", Type::Float, &[Extent::Free("steps"), Extent::Fixed(SPECTRUM)]);
    let state = [Extent::Free("n"), Extent::Fixed(STATES)];
    let (hidden, cell) = (b.input("hidden", Type::Float, &state), b.input("cell", Type::Float, &state));

    // Magnitudes: the basis has the cosines of all bands first, then the sines.
    let basis = transposed(weights.get("model.stft.forward_basis_buffer", 2 * BANDS * SPECTRUM)?, SPECTRUM);
    let basis = b.floats("basis", &[SPECTRUM, 2 * BANDS], basis).map_err(runtime)?;
    let parts = b.op("MatMul", &[&spectra, &basis], &[]);
    let squares = b.op("Mul", &[&parts, &parts], &[]);
    let [real, imaginary] = b.split(&squares, [BANDS; 2], 1);
    let power = b.op("Add", &[&real, &imaginary], &[]);
    let magnitudes = b.op("Sqrt", &[&power], &[]);

    // The first convolution: each step beside its neighbours, zeros before the first and behind the last.
    let steps = b.reshape(&magnitudes, &[-1, STEPS as i64, BANDS as i64]);
    let margins = b.integers(&[0, 1, 0, 0, 1, 0]);
    let padded = b.op("Pad", &[&steps, &margins], &[]);
    let axis = b.integers(&[1]);
    let neighbours: Vec<String> = (0..TAPS)
        .map(|tap| {
            let (from, to) = (b.integers(&[tap as i64]), b.integers(&[(tap + STEPS) as i64]));
            b.op("Slice", &[&padded, &from, &to, &axis], &[])
        })
        .collect();
    let neighbours: Vec<&str> = neighbours.iter().map(String::as_str).collect();
    let columns = b.op("Concat", &neighbours, &[Attribute::int("axis", 2)]);
    let mut x = b.reshape(&columns, &[-1, (TAPS * BANDS) as i64]);
    let filters = weights.get("model.encoder.0.reparam_conv.weight", CHANNELS[0] * BANDS * TAPS)?;
    // [outputs, inputs, taps] to [taps, inputs, outputs].
    let matrix = dense(filters, BANDS, CHANNELS[0], TAPS, 1, |tap, _| Some(tap));
    x = layer(&mut b, &weights, 0, 1, &x, matrix)?;

    // Of the others so few steps are left that all of them at once are one product.
    x = b.reshape(&x, &[-1, (STEPS * CHANNELS[0]) as i64]);
    for (n, steps, stride) in [(1, STEPS, 2), (2, STEPS / 2, 2), (3, 1, 1)] {
        let (inputs, outputs) = (CHANNELS[n - 1], CHANNELS[n]);
        let filters = weights.get(&format!("model.encoder.{n}.reparam_conv.weight"), outputs * inputs * TAPS)?;
        let tap = |from: usize, to: usize| (from + 1).checked_sub(stride * to).filter(|tap| *tap < TAPS);
        let matrix = dense(filters, inputs, outputs, steps, steps.div_ceil(stride), tap);
        x = layer(&mut b, &weights, n, steps.div_ceil(stride), &x, matrix)?;
    }

    // The recurrent layer.
    let x = b.op("Concat", &[&x, &hidden], &[Attribute::int("axis", 1)]);
    let part = |part: &str, count| weights.get(&format!("model.decoder.rnn.{part}"), count);
    let (input, hidden) = (part("weight_ih", 4 * STATES * STATES)?, part("weight_hh", 4 * STATES * STATES)?);
    let matrix = [transposed(input, STATES), transposed(hidden, STATES)].concat();
    let bias = part("bias_ih", 4 * STATES)?.iter().zip(part("bias_hh", 4 * STATES)?).map(|(a, b)| a + b).collect();
    let matrix = b.floats("recurrent", &[2 * STATES, 4 * STATES], matrix).map_err(runtime)?;
    let bias = b.floats("recurrent.bias", &[4 * STATES], bias).map_err(runtime)?;
    let gates = b.op("Gemm", &[&x, &matrix, &bias], &[]);
    let [input, forget, candidate, output] = b.split(&gates, [STATES; 4], 1);
    let [input, forget, output] = [input, forget, output].map(|gate| b.op("Sigmoid", &[&gate], &[]));
    let candidate = b.op("Tanh", &[&candidate], &[]);
    let (kept, new) = (b.op("Mul", &[&forget, &cell], &[]), b.op("Mul", &[&input, &candidate], &[]));
    b.node("", "Add", &[&kept, &new], &[], &["next_cell"]);
    let shown = b.op("Tanh", &["next_cell"], &[]);
    b.node("", "Mul", &[&output, &shown], &[], &["next_hidden"]);

    let x = b.op("Relu", &["next_hidden"], &[]);
    let matrix = weights.get("model.decoder.decoder.2.weight", STATES)?.to_vec();
    let matrix = b.floats("last", &[STATES, 1], matrix).map_err(runtime)?;
    let bias = weights.get("model.decoder.decoder.2.bias", 1)?.to_vec();
    let bias = b.floats("last.bias", &[1], bias).map_err(runtime)?;
    let x = b.op("Gemm", &[&x, &matrix, &bias], &[]);
    b.node("", "Sigmoid", &[&x], &[], &["probability"]);
    b.output("probability", &[Extent::Free("n"), Extent::Fixed(1)]);
    b.output("next_hidden", &state);
    b.output("next_cell", &state);
    Ok(b.finish())
}

/// A linear layer with ReLU: the bias is that of the `n`th convolution, for each of `steps` steps.
fn layer(
    b: &mut GraphBuilder,
    weights: &Weights,
    n: usize,
    steps: usize,
    x: &str,
    matrix: Vec<f32>,
) -> Result<String, VadError> {
    let runtime = |error: ort::Error| VadError::Runtime(error.to_string());
    let bias = weights.get(&format!("model.encoder.{n}.reparam_conv.bias"), CHANNELS[n])?.repeat(steps);
    let outputs = bias.len();
    let matrix = b.floats(&format!("layer.{n}"), &[matrix.len() / outputs, outputs], matrix).map_err(runtime)?;
    let bias = b.floats(&format!("layer.{n}.bias"), &[outputs], bias).map_err(runtime)?;
    let y = b.op("Gemm", &[x, &matrix, &bias], &[]);
    Ok(b.op("Relu", &[&y], &[]))
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

/// A matrix of rows of `columns` numbers with rows and columns exchanged.
fn transposed(numbers: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| numbers.iter().skip(column).step_by(columns).copied()).collect()
}
