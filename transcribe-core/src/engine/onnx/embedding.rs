//! The embeddings of the decoder's tokens: columns of its head in most models, rows of their own in others.

use std::sync::Arc;

use ort::value::DynValue;

use super::graph::decoder::HEAD;
use super::graph::quantise::{quantised_rows, Steps};
use super::graph::{Graph, Precision};
use crate::models::checkpoint::{ModelShape, Stored};

/// Embeddings, looked up by token.
pub(super) enum Embedding {
    /// [state, vocabulary], as the head has them.
    Head {
        /// Numbers or bytes.
        weights: Arc<DynValue>,
        /// Of each token, if the weights are bytes.
        scales: Option<Arc<DynValue>>,
        vocabulary: usize,
    },
    /// [vocabulary, state].
    Own { rows: Stored, vocabulary: usize },
}

impl Embedding {
    /// Those in a decoder's head.
    pub(super) fn of_head(decoder: &Graph) -> ort::Result<Self> {
        let find = |name: &str| decoder.weights.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
        let weights = find(HEAD).ok_or_else(|| ort::Error::new("the graph has no head"))?;
        let vocabulary = weights.shape().last().map_or(0, |extent| *extent as usize);
        Ok(Self::Head { weights, scales: find(&format!("{HEAD}.scale")), vocabulary })
    }

    /// Those of a model whose head has other weights.
    pub(super) fn own(rows: Stored, precision: Precision, shape: &ModelShape) -> Self {
        let rows = match rows {
            Stored::Floats(numbers) if precision == Precision::Int8 => quantised_rows(&numbers, shape.vocabulary),
            rows => rows,
        };
        Self::Own { rows, vocabulary: shape.vocabulary }
    }

    /// Adds the embedding of `token` to `row`, [state].
    pub(super) fn add(&self, token: usize, row: &mut [f32]) -> ort::Result<()> {
        match self {
            Self::Head { weights, scales, vocabulary } => {
                let token = token.min(vocabulary - 1);
                let at = |k: usize| k * vocabulary + token;
                let Some(scales) = scales else {
                    let (_, numbers) = weights.try_extract_tensor::<f32>()?;
                    row.iter_mut().enumerate().for_each(|(k, value)| *value += numbers[at(k)]);
                    return Ok(());
                };
                let scale = scales.try_extract_tensor::<f32>()?.1[token];
                let steps = Steps::of(weights)?;
                row.iter_mut().enumerate().for_each(|(k, value)| *value += scale * steps.get(at(k)));
            }
            Self::Own { rows, vocabulary } => {
                let (state, token) = (row.len(), token.min(vocabulary - 1));
                let range = token * state..(token + 1) * state;
                match rows {
                    Stored::Floats(all) => row.iter_mut().zip(&all[range]).for_each(|(value, number)| *value += number),
                    Stored::Bytes { numbers, scales } => {
                        let numbers = numbers[range].iter().map(|byte| scales[token] * f32::from(*byte));
                        row.iter_mut().zip(numbers).for_each(|(value, number)| *value += number);
                    }
                }
            }
        }
        Ok(())
    }
}
