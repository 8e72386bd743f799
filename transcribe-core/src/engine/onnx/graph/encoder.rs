//! The encoder: a spectrogram in, what the decoder's cross-attention needs of it out.

use super::weights::{WeightError, Weights};
use super::{Builder, Extent, Graph, Precision};
use crate::onnx_graph::proto::{Attribute, Type};

/// Builds the graph.
///
/// In: `mel` [1, bands, 2 T] and `positions` [T, state], the first T rows of the positional embedding. Out, for each
/// layer n of the decoder: `keys_n` [1, heads, head size, T], scaled for the dot product, and `values_n`
/// [1, heads, T, head size].
pub(in crate::engine::onnx) fn build(weights: &mut Weights, precision: Precision) -> Result<Graph, WeightError> {
    let sizes = weights.shape();
    let (state, heads) = (sizes.state, sizes.audio_heads);
    let mut b = Builder::new("encoder", precision);
    let mel = b.input("mel", Type::Float, &[Extent::Fixed(1), Extent::Fixed(sizes.mels), Extent::Free("frames")]);
    let positions = b.input("positions", Type::Float, &[Extent::Free("T"), Extent::Fixed(state)]);

    let x = weights.convolutions(&mut b, &mel)?;
    let mut x = b.op("Add", &[&x, &positions], &[]);
    let norm = weights.norm(&mut b, "encoder.blocks.0.attn_ln")?;
    let mut rows = b.norm(&x, &norm);
    for layer in 0..sizes.audio_layers {
        let block = format!("encoder.blocks.{layer}");
        let mut parts = Vec::new();
        for part in ["query", "key", "value"] {
            let part = weights.linear(&mut b, &rows, &format!("{block}.attn.{part}"))?;
            let part = b.finished(&part);
            parts.push(b.reshape(&part, &[1, -1, state as i64]));
        }
        let attributes = [Attribute::int("num_heads", heads as i64)];
        let inputs: Vec<&str> = parts.iter().map(String::as_str).collect();
        let attended = b.contributed("MultiHeadAttention", &inputs, &attributes);
        let attended = b.reshape(&attended, &[-1, state as i64]);
        rows = b.rows(&attended);
        let y = weights.linear(&mut b, &rows, &format!("{block}.attn.out"))?;
        let norm = weights.norm(&mut b, &format!("{block}.mlp_ln"))?;
        (rows, x) = b.add_and_norm(&x, &y, &norm);

        let y = weights.feed_forward(&mut b, &rows, &block)?;
        let next = if layer + 1 < sizes.audio_layers {
            format!("encoder.blocks.{}.attn_ln", layer + 1)
        } else {
            "encoder.ln_post".to_owned()
        };
        let norm = weights.norm(&mut b, &next)?;
        (rows, x) = b.add_and_norm(&x, &y, &norm);
    }

    let (heads, size) = (sizes.text_heads, sizes.state / sizes.text_heads);
    for layer in 0..sizes.text_layers {
        let block = format!("decoder.blocks.{layer}.cross_attn");
        let scale = (size as f32).powf(-0.5);
        let keys = weights.scaled_linear(&mut b, &rows, &format!("{block}.key"), scale)?;
        let keys = b.finished(&keys);
        let keys = b.reshape(&keys, &[1, -1, heads as i64, size as i64]);
        let name = format!("keys_{layer}");
        b.node("", "Transpose", &[&keys], &[Attribute::ints("perm", &[0, 2, 3, 1])], &[&name]);
        let extents = [Extent::Fixed(1), Extent::Fixed(heads), Extent::Fixed(size), Extent::Free("T")];
        b.output(&name, &extents);

        let values = weights.linear(&mut b, &rows, &format!("{block}.value"))?;
        let values = b.finished(&values);
        let values = b.reshape(&values, &[1, -1, heads as i64, size as i64]);
        let name = format!("values_{layer}");
        b.node("", "Transpose", &[&values], &[Attribute::ints("perm", &[0, 2, 1, 3])], &[&name]);
        b.output(&name, &[Extent::Fixed(1), Extent::Fixed(heads), Extent::Free("T"), Extent::Fixed(size)]);
    }
    Ok(b.finish())
}
