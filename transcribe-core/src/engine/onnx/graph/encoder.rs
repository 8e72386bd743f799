//! The encoder: a spectrogram in, what the decoder's cross-attention needs of it out.

use super::weights::{WeightError, Weights};
use super::{Builder, Extent, Graph, Operators, Precision, Rows};
use crate::onnx_graph::proto::{Attribute, Type};

/// Builds the graph.
///
/// In: `mel` [1, bands, 2 T] and `positions` [T, state], the first T rows of the positional embedding. Out, for each
/// layer n of the decoder: `keys_n` [1, heads, head size, T], scaled for the dot product, and `values_n`
/// [1, heads, T, head size].
pub(in crate::engine::onnx) fn build(
    weights: &mut Weights,
    precision: Precision,
    operators: Operators,
) -> Result<Graph, WeightError> {
    let sizes = weights.shape();
    let state = sizes.state;
    let mut b = Builder::new("encoder", precision, operators);
    let mel = b.input("mel", Type::Float, &[Extent::Fixed(1), Extent::Fixed(sizes.mels), Extent::Free("frames")]);
    let positions = b.input("positions", Type::Float, &[Extent::Free("T"), Extent::Fixed(state)]);

    let x = weights.convolutions(&mut b, &mel)?;
    let mut x = b.op("Add", &[&x, &positions], &[]);
    let norm = weights.norm(&mut b, "encoder.blocks.0.attn_ln")?;
    let mut rows = b.norm(&x, &norm);
    for layer in 0..sizes.audio_layers {
        let block = format!("encoder.blocks.{layer}");
        let attended = attention(&mut b, weights, &rows, &format!("{block}.attn"))?;
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

/// Self-attention: [T, state].
fn attention(b: &mut Builder, weights: &mut Weights, rows: &Rows, name: &str) -> Result<String, WeightError> {
    let sizes = weights.shape();
    let (state, heads) = (sizes.state, sizes.audio_heads);
    let size = state / heads;
    // The fused operator scales by itself.
    let scale = if b.operators == Operators::Cpu { 1.0 } else { (size as f32).powf(-0.5) };
    let query = weights.linear(b, rows, &format!("{name}.query"))?;
    let key = weights.scaled_linear(b, rows, &format!("{name}.key"), scale)?;
    let value = weights.linear(b, rows, &format!("{name}.value"))?;
    let [query, key, value] = [query, key, value].map(|part| b.finished(&part));
    if b.operators == Operators::Standard {
        let (query, value) = (b.heads(&query, heads, size, false), b.heads(&value, heads, size, false));
        let key = b.heads(&key, heads, size, true);
        let seen = b.fresh("attention");
        let found = b.attention(&query, &key, &value, None, &seen);
        return Ok(b.rows_of_heads(&found, state));
    }
    let parts = [query, key, value].map(|part| b.reshape(&part, &[1, -1, state as i64]));
    let attributes = [Attribute::int("num_heads", heads as i64)];
    let attended = b.contributed("MultiHeadAttention", &parts.each_ref().map(String::as_str), &attributes);
    Ok(b.reshape(&attended, &[-1, state as i64]))
}
