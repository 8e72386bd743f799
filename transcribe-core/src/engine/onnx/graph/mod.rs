//! Whisper's [encoder] and [decoder] as graphs, made from the weights of a model.

pub(super) mod decoder;
pub(super) mod encoder;
pub(super) mod quantise;
pub(super) mod weights;

use std::ops::{Deref, DerefMut};

use ort::value::Tensor;

use self::quantise::{quantise, unsigned, Bytes, MIDDLE};
use super::rows;
use crate::models::checkpoint::Stored;
use crate::onnx_graph::proto::{Attribute, Type};
pub(super) use crate::onnx_graph::Graph;
use crate::onnx_graph::{transposed, Extent, GraphBuilder, CONTRIBUTED};

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

/// Whose operators a graph is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operators {
    /// What ONNX Runtime has for a CPU, and our own.
    Cpu,
    /// Those of the ONNX standard, and no arithmetic with shapes: what every execution provider has. In single precision.
    Standard,
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

/// What a linear layer makes of them: still without its bias, if it has one.
enum Product {
    Float {
        y: String,
        bias: Option<String>,
    },
    /// To be multiplied by each row's peak.
    Int8 {
        shares: String,
        peaks: String,
        bias: String,
    },
}

/// Adds up a graph of layers.
pub(super) struct Builder {
    graph: GraphBuilder,
    precision: Precision,
    operators: Operators,
    bytes: Bytes,
}

impl Deref for Builder {
    type Target = GraphBuilder;

    fn deref(&self) -> &GraphBuilder {
        &self.graph
    }
}

impl DerefMut for Builder {
    fn deref_mut(&mut self) -> &mut GraphBuilder {
        &mut self.graph
    }
}

impl Builder {
    pub(super) fn new(name: &str, precision: Precision, operators: Operators) -> Self {
        let precision = if operators == Operators::Standard { Precision::F32 } else { precision };
        let mut graph = GraphBuilder::new(name);
        if precision == Precision::Int8 {
            graph.inline("byte_scale", Type::Float, &[], (1.0f32 / 127.0).to_le_bytes().to_vec());
            graph.inline("byte_zero", Type::Uint8, &[], vec![MIDDLE]);
        }
        Self { graph, precision, operators, bytes: Bytes::here() }
    }

    pub(super) fn finish(self) -> Graph {
        self.graph.finish()
    }

    /// Makes `x`, [rows, inputs], ready for [`product`](Self::product), once for all layers that take it.
    fn rows(&mut self, x: &str) -> Rows {
        match self.precision {
            Precision::F32 => Rows::Float(x.to_owned()),
            Precision::Int8 => {
                let (bytes, peaks) = (self.fresh("bytes"), self.fresh("peaks"));
                self.node(rows::DOMAIN, rows::QUANTISE, &[x], &[], &[&bytes, &peaks]);
                Rows::Int8 { bytes, peaks }
            }
        }
    }

    /// `rows` times the matrix called `name`: [rows, outputs].
    fn product(&mut self, rows: &Rows, name: &str, matrix: Matrix, bias: Option<String>) -> ort::Result<Product> {
        Ok(match rows {
            Rows::Float(x) => {
                let Matrix { outputs, inputs, numbers } = matrix;
                let numbers = transposed(&numbers.into_floats(), outputs);
                let weights = self.floats(name, &[inputs, outputs], numbers)?;
                Product::Float { y: self.op("MatMul", &[x, &weights], &[]), bias }
            }
            Rows::Int8 { bytes, peaks } => {
                // One operator adds scales and bias.
                let bias = match bias {
                    Some(bias) => bias,
                    None => self.floats(&format!("{name}.no_bias"), &[matrix.outputs], vec![0.0; matrix.outputs])?,
                };
                Product::Int8 { shares: self.shares(bytes, name, matrix)?, peaks: peaks.clone(), bias }
            }
        })
    }

    /// The product with its bias.
    fn finished(&mut self, product: &Product) -> String {
        match product {
            Product::Float { y, bias: None } => y.clone(),
            Product::Float { y, bias: Some(bias) } => self.op("Add", &[y, bias], &[]),
            Product::Int8 { shares, peaks, bias } => {
                let y = self.fresh("scaled");
                self.node(rows::DOMAIN, rows::SCALE, &[shares, peaks, bias], &[], &[&y]);
                y
            }
        }
    }

    /// The GELU of a product.
    fn gelu(&mut self, product: &Product) -> Rows {
        let y = match product {
            Product::Int8 { shares, peaks, bias } => {
                let (bytes, new) = (self.fresh("bytes"), self.fresh("peaks"));
                self.node(rows::DOMAIN, rows::GELU, &[shares, peaks, bias], &[], &[&bytes, &new]);
                return Rows::Int8 { bytes, peaks: new };
            }
            Product::Float { y, bias: Some(bias) } if self.operators == Operators::Cpu => {
                self.contributed("BiasGelu", &[y, bias], &[])
            }
            Product::Float { .. } => {
                let y = self.finished(product);
                self.gelu_of(&y)
            }
        };
        Rows::Float(y)
    }

    /// The GELU of floats.
    fn gelu_of(&mut self, x: &str) -> String {
        if self.operators == Operators::Cpu {
            return self.contributed("Gelu", &[x], &[]);
        }
        let [root, one, half] = [2f32.sqrt(), 1.0, 0.5].map(|number| self.number(number));
        let share = self.op("Div", &[x, &root], &[]);
        let share = self.op("Erf", &[&share], &[]);
        let share = self.op("Add", &[&share, &one], &[]);
        let y = self.op("Mul", &[x, &share], &[]);
        self.op("Mul", &[&y, &half], &[])
    }

    /// One number.
    fn number(&mut self, number: f32) -> String {
        let name = self.fresh("number");
        self.inline(&name, Type::Float, &[], number.to_le_bytes().to_vec())
    }

    /// Rows, [n, heads × size], as heads: [1, heads, n, size], or, for what is looked at, [1, heads, size, n].
    fn heads(&mut self, x: &str, heads: usize, size: usize, looked_at: bool) -> String {
        let x = self.reshape(x, &[1, -1, heads as i64, size as i64]);
        self.transpose(&x, if looked_at { &[0, 2, 3, 1] } else { &[0, 2, 1, 3] })
    }

    /// Heads, [1, heads, n, size], as rows of `state` numbers.
    fn rows_of_heads(&mut self, x: &str, state: usize) -> String {
        let x = self.transpose(x, &[0, 2, 1, 3]);
        self.reshape(&x, &[-1, state as i64])
    }

    /// Attention by plain products: queries and values [1, heads, n, size], keys [1, heads, size, t], one of them scaled
    /// already; `mask` is added to the scores. The weights [1, heads, n, t] get a name; what was found is
    /// [1, heads, n, size].
    fn attention(&mut self, queries: &str, keys: &str, values: &str, mask: Option<&str>, weights: &str) -> String {
        let mut scores = self.op("MatMul", &[queries, keys], &[]);
        if let Some(mask) = mask {
            scores = self.op("Add", &[&scores, mask], &[]);
        }
        self.node("", "Softmax", &[&scores], &[Attribute::int("axis", -1)], &[weights]);
        self.op("MatMul", &[weights, values], &[])
    }

    /// A convolution of three rows of `x`, [rows, inputs], around every one or every other, with GELU: [rows / stride,
    /// outputs]. The matrix has the weights for the row before, the row itself and that behind it beside each other.
    fn convolution_of_rows(
        &mut self,
        x: &str,
        stride: usize,
        name: &str,
        matrix: Matrix,
        bias: &str,
    ) -> ort::Result<String> {
        let (bytes, peaks) = (self.fresh("bytes"), self.fresh("peaks"));
        let operator = if stride == 1 { rows::FRAMES } else { rows::FRAMES_HALVED };
        self.node(rows::DOMAIN, operator, &[x], &[], &[&bytes, &peaks]);
        let shares = self.shares(&bytes, name, matrix)?;
        let y = self.fresh("convolved");
        self.node(rows::DOMAIN, rows::SCALE_GELU, &[&shares, &peaks, bias], &[], &[&y]);
        Ok(y)
    }

    /// Those rows of a product that `wanted` names.
    fn picked(&mut self, product: Product, wanted: &str) -> Product {
        let mut pick = |value: &str| self.op("Gather", &[value, wanted], &[Attribute::int("axis", 0)]);
        match product {
            Product::Float { y, bias } => Product::Float { y: pick(&y), bias },
            Product::Int8 { shares, peaks, bias } => Product::Int8 { shares: pick(&shares), peaks: pick(&peaks), bias },
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
        let kind = self.bytes.kind();
        let weights = self.external(name, kind, &[inputs as i64, outputs as i64], tensor)?;
        let scales = self.floats(&format!("{name}.scale"), &[outputs], scales)?;
        let inputs = [bytes, &weights, "byte_scale", &scales, "byte_zero", zero];
        let inputs = if zero.is_empty() { &inputs[..5] } else { &inputs };
        Ok(self.contributed("MatMulIntegerToFloat", inputs, &[]))
    }

    /// Layer normalisation over the last axis.
    fn norm(&mut self, x: &str, norm: &Norm) -> Rows {
        let attributes = [Attribute::int("axis", -1), Attribute::float("epsilon", rows::EPSILON)];
        let y = self.op("LayerNormalization", &[x, &norm.weight, &norm.bias], &attributes);
        self.rows(&y)
    }

    /// The normalised sum of `x` and a product, and that sum. (In single precision, ONNX Runtime's operator that does all
    /// of it at once is slower than one for each, on many rows by far.)
    fn add_and_norm(&mut self, x: &str, product: &Product, norm: &Norm) -> (Rows, String) {
        if let Product::Int8 { shares, peaks, bias } = product {
            let [sum, bytes, new] = ["sum", "bytes", "peaks"].map(|stem| self.fresh(stem));
            let inputs = [x, shares, peaks, bias, &norm.weight, &norm.bias];
            self.node(rows::DOMAIN, rows::ADD_AND_NORM, &inputs, &[], &[&sum, &bytes, &new]);
            return (Rows::Int8 { bytes, peaks: new }, sum);
        }
        let y = self.finished(product);
        let sum = self.op("Add", &[x, &y], &[]);
        (self.norm(&sum, norm), sum)
    }
}

/// A graph of nothing but a product in 8 bits, as linear layers have it: `x` [rows, inputs] in bytes in, floats out.
pub(super) fn product(inputs: usize, outputs: usize) -> ort::Result<Graph> {
    let mut builder = Builder::new("product", Precision::Int8, Operators::Cpu);
    let x = builder.input("x", Type::Uint8, &[Extent::Free("n"), Extent::Fixed(inputs)]);
    let numbers = (0..inputs * outputs).map(|n| (n % 255) as f32 - 127.0).collect();
    let matrix = Matrix { outputs, inputs, numbers: Stored::Floats(numbers) };
    builder.shares(&x, "weights", matrix)?;
    builder.rename("y");
    builder.output("y", &[Extent::Free("n"), Extent::Fixed(outputs)]);
    Ok(builder.finish())
}

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
        let mut builder = Builder::new("layer", Precision::Int8, Operators::Cpu);
        builder.bytes = bytes;
        let x = builder.input("x", Type::Float, &[Extent::Free("n"), Extent::Fixed(inputs)]);
        let ready = builder.rows(&x);
        let product = builder.product(&ready, "weights", matrix, None).unwrap();
        builder.finished(&product);
        builder.rename("y");
        builder.output("y", &[Extent::Free("n"), Extent::Fixed(outputs)]);
        let session = Session::builder(environment).unwrap().with_operators(rows::domain().unwrap()).unwrap();
        let mut session = builder.finish().session(session).unwrap();
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
