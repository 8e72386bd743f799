//! A model file's weights as parts of a graph: names as the file has them in, nodes out. Each tensor is read when its
//! layer is built, so that the whole model is never in memory as floats.

use super::decoder::HEAD;
use super::proto::Attribute;
use super::{Builder, Matrix, Norm, Rows};
use crate::models::ggml::{GgmlFile, GgmlHeader};
use crate::models::ModelError;

/// Why a graph can't be built.
#[derive(Debug, thiserror::Error)]
pub(in crate::engine::onnx) enum WeightError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("ONNX Runtime has no memory for the weights: {0}")]
    Runtime(#[from] ort::Error),
}

/// Sizes of a model.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine::onnx) struct Sizes {
    pub(in crate::engine::onnx) state: usize,
    pub(in crate::engine::onnx) mels: usize,
    pub(in crate::engine::onnx) vocabulary: usize,
    pub(in crate::engine::onnx) audio_heads: usize,
    pub(in crate::engine::onnx) audio_layers: usize,
    pub(in crate::engine::onnx) text_heads: usize,
    pub(in crate::engine::onnx) text_layers: usize,
    pub(in crate::engine::onnx) text_context: usize,
}

impl Sizes {
    pub(in crate::engine::onnx) fn new(header: &GgmlHeader) -> Self {
        Self {
            state: header.n_audio_state as usize,
            mels: header.n_mels as usize,
            vocabulary: header.n_vocab as usize,
            audio_heads: header.n_audio_head as usize,
            audio_layers: header.n_audio_layer as usize,
            text_heads: header.n_text_head as usize,
            text_layers: header.n_text_layer as usize,
            text_context: header.n_text_ctx as usize,
        }
    }
}

/// The weights of a model file.
pub(in crate::engine::onnx) struct Weights {
    file: GgmlFile,
    sizes: Sizes,
}

impl Weights {
    pub(in crate::engine::onnx) fn new(file: GgmlFile) -> Self {
        let sizes = Sizes::new(file.header());
        Self { file, sizes }
    }

    pub(in crate::engine::onnx) fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// The positional embedding of `side`, `encoder` or `decoder`: [context, state].
    pub(in crate::engine::onnx) fn positions(&mut self, side: &str) -> Result<Vec<f32>, WeightError> {
        Ok(self.file.tensor(&format!("{side}.positional_embedding"))?)
    }

    pub(super) fn norm(&mut self, b: &mut Builder, name: &str) -> Result<Norm, WeightError> {
        let mut part = |part: &str| -> Result<String, WeightError> {
            let name = format!("{name}.{part}");
            let numbers = self.file.tensor(&name)?;
            Ok(b.floats(&name, &[numbers.len()], numbers)?)
        };
        Ok(Norm { weight: part("weight")?, bias: part("bias")? })
    }

    /// A convolution of three frames with GELU: [1, inputs, frames] to [1, state, frames / stride].
    pub(super) fn convolution(
        &mut self,
        b: &mut Builder,
        name: &str,
        inputs: usize,
        x: &str,
        stride: i64,
    ) -> Result<String, WeightError> {
        let state = self.sizes.state;
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        let weight = b.floats(&weight, &[state, inputs, 3], self.file.tensor(&weight)?)?;
        let bias = b.floats(&bias, &[state], self.file.tensor(&bias)?)?;
        let attributes = [
            Attribute::ints("kernel_shape", &[3]),
            Attribute::ints("pads", &[1, 1]),
            Attribute::ints("strides", &[stride]),
        ];
        let y = b.op("Conv", &[x, &weight, &bias], &attributes);
        Ok(b.contributed("Gelu", &[&y], &[]))
    }

    /// A linear layer, with its bias if it has one (Whisper's keys have none).
    pub(super) fn linear(&mut self, b: &mut Builder, rows: &Rows, name: &str) -> Result<String, WeightError> {
        self.scaled_linear(b, rows, name, 1.0)
    }

    /// The same, its result multiplied by `scale`.
    pub(super) fn scaled_linear(
        &mut self,
        b: &mut Builder,
        rows: &Rows,
        name: &str,
        scale: f32,
    ) -> Result<String, WeightError> {
        let matrix = self.matrix(&format!("{name}.weight"), scale)?;
        let product = b.product(rows, &format!("{name}.weight"), matrix)?;
        if name.ends_with(".key") {
            return Ok(product);
        }
        let bias = self.bias(b, name)?;
        Ok(b.op("Add", &[&product, &bias], &[]))
    }

    /// A linear layer and apart from it the name of its bias, which the caller adds.
    pub(super) fn linear_and_bias(
        &mut self,
        b: &mut Builder,
        rows: &Rows,
        name: &str,
    ) -> Result<(String, String), WeightError> {
        let matrix = self.matrix(&format!("{name}.weight"), 1.0)?;
        let product = b.product(rows, &format!("{name}.weight"), matrix)?;
        Ok((product, self.bias(b, name)?))
    }

    /// Queries, keys and values of self-attention in one: [rows, 3 × state].
    pub(super) fn attention_input(&mut self, b: &mut Builder, rows: &Rows, name: &str) -> Result<String, WeightError> {
        let state = self.sizes.state;
        let mut matrix = self.matrix(&format!("{name}.query.weight"), 1.0)?;
        let mut bias = self.file.tensor(&format!("{name}.query.bias"))?;
        for part in ["key", "value"] {
            matrix.numbers.append(&mut self.matrix(&format!("{name}.{part}.weight"), 1.0)?.numbers);
        }
        matrix.outputs = 3 * state;
        bias.resize(2 * state, 0.0);
        bias.append(&mut self.file.tensor(&format!("{name}.value.bias"))?);
        let product = b.product(rows, &format!("{name}.all.weight"), matrix)?;
        let bias = b.floats(&format!("{name}.all.bias"), &[3 * state], bias)?;
        Ok(b.op("Add", &[&product, &bias], &[]))
    }

    /// The two layers of a block's feed-forward net, and the bias of the second apart.
    pub(super) fn feed_forward(
        &mut self,
        b: &mut Builder,
        normed: &str,
        block: &str,
    ) -> Result<(String, String), WeightError> {
        let rows = b.rows(normed);
        let (up, bias) = self.linear_and_bias(b, &rows, &format!("{block}.mlp.0"))?;
        let up = b.contributed("BiasGelu", &[&up, &bias], &[]);
        let rows = b.rows(&up);
        self.linear_and_bias(b, &rows, &format!("{block}.mlp.2"))
    }

    /// The product with the token embedding, which makes logits.
    pub(super) fn head(&mut self, b: &mut Builder, rows: &Rows) -> Result<String, WeightError> {
        let numbers = self.file.tensor(HEAD)?;
        let matrix = Matrix { outputs: self.sizes.vocabulary, inputs: self.sizes.state, numbers };
        b.product(rows, HEAD, matrix)?;
        b.rename("logits");
        Ok("logits".to_owned())
    }

    fn bias(&mut self, b: &mut Builder, name: &str) -> Result<String, WeightError> {
        let name = format!("{name}.bias");
        let numbers = self.file.tensor(&name)?;
        Ok(b.floats(&name, &[numbers.len()], numbers)?)
    }

    /// A matrix, times `scale`.
    fn matrix(&mut self, name: &str, scale: f32) -> Result<Matrix, WeightError> {
        let mut numbers = self.file.tensor(name)?;
        if scale != 1.0 {
            numbers.iter_mut().for_each(|number| *number *= scale);
        }
        // The state of mlp.0 and mlp.2 is four times wider on one side.
        let state = self.sizes.state;
        let inputs = if name.ends_with(".mlp.2.weight") { 4 * state } else { state };
        Ok(Matrix { outputs: numbers.len() / inputs, inputs, numbers })
    }
}
