//! Whisper's [encoder] and [decoder] as ONNX graphs, made in memory from the weights of a model.
//!
//! A [`Builder`] collects nodes; values are known by name. Weights are no part of the encoded graph: they go beside it
//! as tensors, so that all sessions of a model share them and no copy is made of them on the way.

pub(super) mod decoder;
pub(super) mod encoder;
mod proto;
pub(super) mod quantise;
pub(super) mod weights;

use std::sync::Arc;

use ort::value::{DynValue, Tensor, TensorElementType};
use prost::Message;

use self::proto::{Attribute, Node, Type, ValueInfo};
use self::quantise::{quantise, transposed, unsigned, Bytes, MIDDLE};
use crate::models::checkpoint::Stored;

/// The domain of the operators that ONNX Runtime has beside the standard's.
const CONTRIBUTED: &str = "com.microsoft";
/// ONNX Runtime may compute with constants of fewer numbers than this while it loads a graph, so they are in it.
const SMALL: usize = 64;

/// How linear layers compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// Weights and activations in 8 bits: weights with a scale for each output channel, activations with one for each
    /// row, so that a row's result doesn't depend on the rows beside it. Weights that are stored so are taken as they are.
    #[default]
    Int8,
    /// Single precision throughout.
    F32,
}

/// An extent of a tensor.
#[derive(Debug, Clone, Copy)]
pub(super) enum Extent {
    Fixed(usize),
    Free(&'static str),
}

/// A graph that sessions can be made of.
pub(super) struct Graph {
    /// The model as ONNX encodes it.
    pub(super) bytes: Vec<u8>,
    /// The weights by name.
    pub(super) weights: Vec<(String, Arc<DynValue>)>,
}

/// A weight matrix as model files have it: a row for each output.
pub(super) struct Matrix {
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    pub(super) numbers: Stored,
}

/// Activations as linear layers take them.
enum Rows {
    Float(String),
    /// Bytes, and the largest magnitude of each row, which stands for 127.
    Int8 {
        bytes: String,
        peaks: String,
    },
}

/// Adds up a graph.
pub(super) struct Builder {
    precision: Precision,
    bytes: Bytes,
    graph: proto::Graph,
    weights: Vec<(String, Arc<DynValue>)>,
    values: usize,
}

impl Builder {
    pub(super) fn new(name: &str, precision: Precision) -> Self {
        let graph = proto::Graph { name: name.to_owned(), ..proto::Graph::default() };
        let mut builder = Self { precision, bytes: Bytes::here(), graph, weights: Vec::new(), values: 0 };
        if precision == Precision::Int8 {
            builder.inline("byte_scale", Type::Float, &[], (1.0f32 / 127.0).to_le_bytes().to_vec());
            builder.inline("byte_zero", Type::Uint8, &[], vec![MIDDLE]);
        }
        builder
    }

    pub(super) fn finish(self) -> Graph {
        Graph { bytes: proto::Model::new(self.graph).encode_to_vec(), weights: self.weights }
    }

    fn input(&mut self, name: &str, kind: Type, shape: &[Extent]) -> String {
        self.graph.input.push(ValueInfo::new(name, kind, shape));
        name.to_owned()
    }

    /// Makes a value of the graph an output of it.
    fn output(&mut self, name: &str, shape: &[Extent]) {
        self.graph.output.push(ValueInfo::new(name, Type::Float, shape));
    }

    /// A node with one output.
    fn op(&mut self, op: &str, inputs: &[&str], attributes: &[Attribute]) -> String {
        let output = self.fresh(op);
        self.node("", op, inputs, attributes, &[&output]);
        output
    }

    /// A node of ONNX Runtime's own with one output.
    fn contributed(&mut self, op: &str, inputs: &[&str], attributes: &[Attribute]) -> String {
        let output = self.fresh(op);
        self.node(CONTRIBUTED, op, inputs, attributes, &[&output]);
        output
    }

    /// A node with outputs of these names; inputs and outputs that are left out have empty ones.
    fn node(&mut self, domain: &str, op: &str, inputs: &[&str], attributes: &[Attribute], outputs: &[&str]) {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        self.graph.node.push(Node {
            input: names(inputs),
            output: names(outputs),
            name: outputs.iter().find(|name| !name.is_empty()).map(|name| format!("node_{name}")).unwrap_or_default(),
            op_type: op.to_owned(),
            attribute: attributes.to_vec(),
            domain: domain.to_owned(),
        });
    }

    /// Gives the last node's output another name.
    fn rename(&mut self, name: &str) {
        if let Some(output) = self.graph.node.last_mut().and_then(|node| node.output.first_mut()) {
            *output = name.to_owned();
        }
    }

    /// A name that no value has.
    fn fresh(&mut self, stem: &str) -> String {
        self.values += 1;
        format!("{stem}_{}", self.values)
    }

    fn inline(&mut self, name: &str, kind: Type, dims: &[i64], bytes: Vec<u8>) -> String {
        self.graph.initializer.push(proto::Tensor::inline(name, kind, dims, bytes));
        name.to_owned()
    }

    /// Whole numbers: shapes and the like.
    fn integers(&mut self, numbers: &[i64]) -> String {
        let name = self.fresh("integers");
        let bytes = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        self.inline(&name, Type::Int64, &[numbers.len() as i64], bytes)
    }

    /// Weights as they are.
    fn floats(&mut self, name: &str, shape: &[usize], numbers: Vec<f32>) -> ort::Result<String> {
        let dims: Vec<i64> = shape.iter().map(|extent| *extent as i64).collect();
        if numbers.len() < SMALL {
            let bytes = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
            return Ok(self.inline(name, Type::Float, &dims, bytes));
        }
        self.external(name, Type::Float, &dims, Tensor::from_array((shape.to_vec(), numbers))?.into_dyn())
    }

    fn external(&mut self, name: &str, kind: Type, dims: &[i64], tensor: DynValue) -> ort::Result<String> {
        debug_assert!(tensor.dtype().tensor_type().is_some_and(|t| t != TensorElementType::Undefined));
        self.graph.initializer.push(proto::Tensor::external(name, kind, dims));
        self.weights.push((name.to_owned(), Arc::new(tensor)));
        Ok(name.to_owned())
    }

    /// Makes `x`, [rows, inputs], ready for [`product`](Self::product), once for all layers that take it.
    fn rows(&mut self, x: &str) -> Rows {
        if self.precision == Precision::F32 {
            return Rows::Float(x.to_owned());
        }
        let magnitudes = self.op("Abs", &[x], &[]);
        let attributes = [Attribute::ints("axes", &[-1]), Attribute::int("keepdims", 1)];
        let peaks = self.op("ReduceMax", &[&magnitudes], &attributes);
        // A row of zeros makes bytes of no meaning here, and zeros again when they are multiplied with its peak.
        let shares = self.op("Div", &[x, &peaks], &[]);
        let bytes = self.op("QuantizeLinear", &[&shares, "byte_scale", "byte_zero"], &[]);
        Rows::Int8 { bytes, peaks }
    }

    /// `rows` times the matrix called `name`: [rows, outputs].
    fn product(&mut self, rows: &Rows, name: &str, matrix: Matrix) -> ort::Result<String> {
        match rows {
            Rows::Float(x) => {
                let Matrix { outputs, inputs, numbers } = matrix;
                let numbers = transposed(&numbers.into_floats(), outputs);
                let weights = self.floats(name, &[inputs, outputs], numbers)?;
                Ok(self.op("MatMul", &[x, &weights], &[]))
            }
            Rows::Int8 { bytes, peaks } => {
                let shares = self.shares(bytes, name, matrix)?;
                Ok(self.op("Mul", &[&shares, peaks], &[]))
            }
        }
    }

    /// Bytes times the matrix called `name`: [rows, outputs].
    fn shares(&mut self, bytes: &str, name: &str, matrix: Matrix) -> ort::Result<String> {
        let Matrix { outputs, inputs, numbers } = matrix;
        let (steps, scales) = match numbers {
            Stored::Floats(numbers) => quantise(&numbers, outputs),
            // Rounding them again would cost accuracy.
            Stored::Bytes { numbers, scales } => (transposed(&numbers, outputs), scales),
        };
        let shape = vec![inputs, outputs];
        let (tensor, zero) = match self.bytes {
            Bytes::Signed => (Tensor::from_array((shape, steps))?.into_dyn(), ""),
            Bytes::Unsigned => (Tensor::from_array((shape, unsigned(&steps)))?.into_dyn(), "byte_zero"),
        };
        let weights = self.external(name, self.bytes.kind(), &[inputs as i64, outputs as i64], tensor)?;
        let scales = self.floats(&format!("{name}.scale"), &[outputs], scales)?;
        let inputs = [bytes, &weights, "byte_scale", &scales, "byte_zero", zero];
        let inputs = if zero.is_empty() { &inputs[..5] } else { &inputs };
        Ok(self.contributed("MatMulIntegerToFloat", inputs, &[]))
    }

    /// Layer normalisation over the last axis.
    fn norm(&mut self, x: &str, norm: &Norm) -> String {
        let attributes = [Attribute::int("axis", -1), Attribute::float("epsilon", EPSILON)];
        self.op("LayerNormalization", &[x, &norm.weight, &norm.bias], &attributes)
    }

    /// `x + y + bias`, and its normalisation: (normalised, sum). (The operator that does all of it at once is slower
    /// than the three, on many rows by far.)
    fn add_and_norm(&mut self, x: &str, y: &str, bias: &str, norm: &Norm) -> (String, String) {
        let y = self.op("Add", &[y, bias], &[]);
        let sum = self.op("Add", &[x, &y], &[]);
        (self.norm(&sum, norm), sum)
    }

    fn reshape(&mut self, x: &str, shape: &[i64]) -> String {
        let shape = self.integers(shape);
        self.op("Reshape", &[x, &shape], &[])
    }

    fn transpose(&mut self, x: &str, order: &[i64]) -> String {
        self.op("Transpose", &[x], &[Attribute::ints("perm", order)])
    }
}

/// A graph of nothing but a product in 8 bits, as linear layers have it: `x` [rows, inputs] in bytes in, floats out.
pub(super) fn product(inputs: usize, outputs: usize) -> ort::Result<Graph> {
    let mut builder = Builder::new("product", Precision::Int8);
    let x = builder.input("x", Type::Uint8, &[Extent::Free("n"), Extent::Fixed(inputs)]);
    let numbers = (0..inputs * outputs).map(|n| (n % 255) as f32 - 127.0).collect();
    let matrix = Matrix { outputs, inputs, numbers: Stored::Floats(numbers) };
    builder.shares(&x, "weights", matrix)?;
    builder.rename("y");
    builder.output("y", &[Extent::Free("n"), Extent::Fixed(outputs)]);
    Ok(builder.finish())
}

/// Epsilon of PyTorch's layer normalisation.
const EPSILON: f32 = 1e-5;

/// Names of a normalisation's weights.
struct Norm {
    weight: String,
    bias: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use ort::session::Session;

    /// Runs `rows` through a linear layer in 8 bits.
    fn product(bytes: Bytes, rows: &[f32], weights: &[f32], outputs: usize) -> Vec<f32> {
        let inputs = weights.len() / outputs;
        layer(bytes, rows, Matrix { outputs, inputs, numbers: Stored::Floats(weights.to_vec()) })
    }

    fn layer(bytes: Bytes, rows: &[f32], matrix: Matrix) -> Vec<f32> {
        let environment = crate::onnxruntime::load(None).unwrap().environment();
        let (inputs, outputs) = (matrix.inputs, matrix.outputs);
        let mut builder = Builder::new("layer", Precision::Int8);
        builder.bytes = bytes;
        let x = builder.input("x", Type::Float, &[Extent::Free("n"), Extent::Fixed(inputs)]);
        let ready = builder.rows(&x);
        builder.product(&ready, "weights", matrix).unwrap();
        builder.rename("y");
        builder.output("y", &[Extent::Free("n"), Extent::Fixed(outputs)]);
        let graph = builder.finish();
        let mut session = Session::builder(environment).unwrap();
        for (name, value) in &graph.weights {
            session = session.with_external_initializer(name, value.clone()).unwrap();
        }
        let mut session = session.commit_from_memory(&graph.bytes).unwrap();
        let x = Tensor::from_array(([rows.len() / inputs, inputs], rows.to_vec())).unwrap();
        let y = session.run(ort::inputs!["x" => x]).unwrap();
        y["y"].try_extract_tensor::<f32>().unwrap().1.to_vec()
    }

    /// All at their largest, where sums of two products exceed 16 bits: a processor without VNNI would saturate.
    #[test]
    fn eight_bits_are_exact_on_this_processor_and_the_same_signed_or_not() {
        let (inputs, outputs) = (384, 32);
        let rows: Vec<f32> = (0..3 * inputs).map(|i| if i % 7 == 0 { -1.0 } else { 1.0 }).collect();
        let weights: Vec<f32> = (0..outputs * inputs)
            .map(|i| if (i / inputs) % 2 == 0 { 0.5 } else { -0.5 + (i % 3) as f32 * 0.5 })
            .collect();
        let exact: Vec<f32> = rows
            .chunks_exact(inputs)
            .flat_map(|row| weights.chunks_exact(inputs).map(|w| row.iter().zip(w).map(|(a, b)| a * b).sum::<f32>()))
            .collect();
        let here = product(Bytes::here(), &rows, &weights, outputs);
        for (n, (y, exact)) in here.iter().zip(&exact).enumerate() {
            assert!((y - exact).abs() < 0.01 * exact.abs().max(1.0), "{n}: {y} for {exact}");
        }
        assert_eq!(here, product(Bytes::Unsigned, &rows, &weights, outputs));
    }

    /// A model's own bytes, −128 among them, each row's by its own scale.
    #[test]
    fn weights_that_are_bytes_already_are_not_rounded_again() {
        let (inputs, outputs) = (384, 32);
        let bytes: Vec<i8> = (0..outputs * inputs).map(|i| ((i * 37 + i / inputs) % 256) as u8 as i8).collect();
        // No row reaches 127 after its scale, so that rounding anew would show.
        let bytes: Vec<i8> = bytes
            .chunks(inputs)
            .enumerate()
            .flat_map(|(n, row)| row.iter().map(move |byte| if n % 2 == 0 { byte / 3 } else { *byte }))
            .collect();
        let scales: Vec<f32> = (0..outputs).map(|n| 0.01 / (n + 1) as f32).collect();
        let rows: Vec<f32> = (0..2 * inputs).map(|i| if i % 5 == 0 { -1.0 } else { 1.0 }).collect();
        let expected: Vec<f32> = rows
            .chunks(inputs)
            .flat_map(|row| {
                bytes.chunks(inputs).zip(&scales).map(|(weights, scale)| {
                    let sum: i32 = row.iter().zip(weights).map(|(x, byte)| *x as i32 * i32::from(*byte)).sum();
                    sum as f32 * scale
                })
            })
            .collect();
        for kind in [Bytes::here(), Bytes::Unsigned] {
            let numbers = Stored::Bytes { numbers: bytes.clone(), scales: scales.clone() };
            let result = layer(kind, &rows, Matrix { outputs, inputs, numbers });
            for (n, (y, expected)) in result.iter().zip(&expected).enumerate() {
                assert!((y - expected).abs() <= 1e-5 * expected.abs().max(0.01), "{kind:?} {n}: {y} for {expected}");
            }
        }
    }
}
