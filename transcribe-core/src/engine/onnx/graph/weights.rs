//! A model's weights as parts of a graph: names as OpenAI's code has them in, nodes out. Each tensor is read when its
//! layer is built, so that the whole model is never in memory as floats.

use super::decoder::HEAD;
use super::{Builder, Matrix, Norm, Precision, Product, Rows};
use crate::models::checkpoint::shape::{EMBEDDING, HEAD as OWN_HEAD};
use crate::models::checkpoint::{Checkpoint, ModelShape, Stored};
use crate::models::ModelError;
use crate::onnx_graph::proto::Attribute;
use crate::onnx_graph::transposed;

/// Why a graph can't be built.
#[derive(Debug, thiserror::Error)]
pub(in crate::engine::onnx) enum WeightError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("ONNX Runtime has no memory for the weights: {0}")]
    Runtime(#[from] ort::Error),
    #[error("the tokenizer can't be made: {0}")]
    Tokenizer(#[from] regex::Error),
}

/// The weights of a model.
pub(in crate::engine::onnx) struct Weights {
    checkpoint: Checkpoint,
    shape: ModelShape,
}

impl Weights {
    pub(in crate::engine::onnx) fn new(checkpoint: Checkpoint) -> Self {
        let shape = *checkpoint.shape();
        Self { checkpoint, shape }
    }

    pub(super) fn shape(&self) -> ModelShape {
        self.shape
    }

    /// The token embedding: [vocabulary, state].
    pub(in crate::engine::onnx) fn embedding(&mut self) -> Result<Stored, WeightError> {
        Ok(self.checkpoint.stored(EMBEDDING)?)
    }

    /// The positional embedding of `side`, `encoder` or `decoder`: [context, state].
    pub(in crate::engine::onnx) fn positions(&mut self, side: &str) -> Result<Vec<f32>, WeightError> {
        Ok(self.checkpoint.tensor(&format!("{side}.positional_embedding"))?)
    }

    pub(super) fn norm(&mut self, b: &mut Builder, name: &str) -> Result<Norm, WeightError> {
        let mut part = |part: &str| -> Result<String, WeightError> {
            let name = format!("{name}.{part}");
            let numbers = self.checkpoint.tensor(&name)?;
            Ok(b.floats(&name, &[numbers.len()], numbers)?)
        };
        Ok(Norm { weight: part("weight")?, bias: part("bias")? })
    }

    /// Both convolutions, each with GELU: [1, bands, 2 T] to [T, state].
    pub(super) fn convolutions(&mut self, b: &mut Builder, mel: &str) -> Result<String, WeightError> {
        let (state, mels) = (self.shape.state, self.shape.mels);
        let layers = [("encoder.conv1", mels, 1), ("encoder.conv2", state, 2)];
        if b.precision == Precision::F32 {
            let mut x = mel.to_owned();
            for (name, inputs, stride) in layers {
                x = self.convolution(b, name, inputs, &x, stride)?;
            }
            let x = b.transpose(&x, &[0, 2, 1]);
            return Ok(b.reshape(&x, &[-1, state as i64]));
        }
        let x = b.transpose(mel, &[0, 2, 1]);
        let mut x = b.reshape(&x, &[-1, mels as i64]);
        for (name, inputs, stride) in layers {
            let weight = format!("{name}.weight");
            let numbers = self.checkpoint.tensor(&weight)?;
            // From [outputs, inputs, 3] to [outputs, 3, inputs].
            let filters = numbers.chunks_exact(3 * inputs);
            let numbers = filters.flat_map(|filter| transposed(filter, inputs)).collect();
            let matrix = Matrix { outputs: state, inputs: 3 * inputs, numbers: Stored::Floats(numbers) };
            let bias = self.bias(b, name)?;
            x = b.convolution_of_rows(&x, stride, &weight, matrix, &bias)?;
        }
        Ok(x)
    }

    /// A convolution of three frames with GELU: [1, inputs, frames] to [1, state, frames / stride].
    fn convolution(
        &mut self,
        b: &mut Builder,
        name: &str,
        inputs: usize,
        x: &str,
        stride: usize,
    ) -> Result<String, WeightError> {
        let state = self.shape.state;
        let weight = format!("{name}.weight");
        let weight = b.floats(&weight, &[state, inputs, 3], self.checkpoint.tensor(&weight)?)?;
        let bias = self.bias(b, name)?;
        let attributes = [
            Attribute::ints("kernel_shape", &[3]),
            Attribute::ints("pads", &[1, 1]),
            Attribute::ints("strides", &[stride as i64]),
        ];
        let y = b.op("Conv", &[x, &weight, &bias], &attributes);
        Ok(b.gelu_of(&y))
    }

    /// A linear layer (Whisper's keys have no bias).
    pub(super) fn linear(&mut self, b: &mut Builder, rows: &Rows, name: &str) -> Result<Product, WeightError> {
        self.scaled_linear(b, rows, name, 1.0)
    }

    /// The same, its result multiplied by `scale`; of layers without a bias.
    pub(super) fn scaled_linear(
        &mut self,
        b: &mut Builder,
        rows: &Rows,
        name: &str,
        scale: f32,
    ) -> Result<Product, WeightError> {
        let matrix = self.matrix(&format!("{name}.weight"), scale)?;
        let bias = if name.ends_with(".key") { None } else { Some(self.bias(b, name)?) };
        Ok(b.product(rows, &format!("{name}.weight"), matrix, bias)?)
    }

    /// Queries, keys and values of self-attention in one: [rows, 3 × state].
    pub(super) fn attention_input(&mut self, b: &mut Builder, rows: &Rows, name: &str) -> Result<String, WeightError> {
        let state = self.shape.state;
        let mut matrix = self.matrix(&format!("{name}.query.weight"), 1.0)?;
        let mut bias = self.checkpoint.tensor(&format!("{name}.query.bias"))?;
        for part in ["key", "value"] {
            matrix.numbers = matrix.numbers.append(self.matrix(&format!("{name}.{part}.weight"), 1.0)?.numbers);
        }
        matrix.outputs = 3 * state;
        bias.resize(2 * state, 0.0);
        bias.append(&mut self.checkpoint.tensor(&format!("{name}.value.bias"))?);
        let bias = b.floats(&format!("{name}.all.bias"), &[3 * state], bias)?;
        let product = b.product(rows, &format!("{name}.all.weight"), matrix, Some(bias))?;
        Ok(b.finished(&product))
    }

    /// The two layers of a block's feed-forward net.
    pub(super) fn feed_forward(&mut self, b: &mut Builder, rows: &Rows, block: &str) -> Result<Product, WeightError> {
        let up = self.linear(b, rows, &format!("{block}.mlp.0"))?;
        let rows = b.gelu(&up);
        self.linear(b, &rows, &format!("{block}.mlp.2"))
    }

    /// The product with the token embedding, or with weights of its own, which makes logits.
    pub(super) fn head(&mut self, b: &mut Builder, rows: &Rows) -> Result<String, WeightError> {
        let numbers = self.checkpoint.stored(if self.shape.tied { EMBEDDING } else { OWN_HEAD })?;
        let matrix = Matrix { outputs: self.shape.vocabulary, inputs: self.shape.state, numbers };
        let product = b.product(rows, HEAD, matrix, None)?;
        b.finished(&product);
        b.rename("logits");
        Ok("logits".to_owned())
    }

    fn bias(&mut self, b: &mut Builder, name: &str) -> Result<String, WeightError> {
        let name = format!("{name}.bias");
        let numbers = self.checkpoint.tensor(&name)?;
        Ok(b.floats(&name, &[numbers.len()], numbers)?)
    }

    /// A matrix, times `scale`.
    fn matrix(&mut self, name: &str, scale: f32) -> Result<Matrix, WeightError> {
        let mut numbers = self.checkpoint.stored(name)?;
        let count = match &mut numbers {
            Stored::Floats(numbers) => {
                if scale != 1.0 {
                    numbers.iter_mut().for_each(|number| *number *= scale);
                }
                numbers.len()
            }
            Stored::Bytes { numbers, scales } => {
                scales.iter_mut().for_each(|number| *number *= scale);
                numbers.len()
            }
        };
        let inner = if name.starts_with("encoder.") { self.shape.audio_inner } else { self.shape.text_inner };
        let inputs = if name.ends_with(".mlp.2.weight") { inner } else { self.shape.state };
        Ok(Matrix { outputs: count / inputs, inputs, numbers })
    }
}
