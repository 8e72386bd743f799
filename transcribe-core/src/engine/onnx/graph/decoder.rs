//! The decoder: tokens and what came of those before in, logits out.

use super::weights::{WeightError, Weights};
use super::{Builder, Extent, Graph, Operators, Precision, Rows, CONTRIBUTED};
use crate::onnx_graph::proto::{Attribute, Type};

/// The head's weights among those of the graph: the token embedding, in most models, transposed.
pub(in crate::engine::onnx) const HEAD: &str = "decoder.head.weight";

/// What standard operators are told of who may look at whom.
pub(in crate::engine::onnx) const MASK: &str = "mask";

/// Builds the graph.
///
/// In: `x` [n, state], token and positional embeddings of n tokens; `rows` [r], for which of them logits are wanted;
/// for each layer i, `past_keys_i` and `past_values_i` [1, heads, t, head size] of the t tokens before, and the
/// encoder's `keys_i` and `values_i`; with standard operators also `mask` [n, t + n], which is added to the scores of
/// self-attention. Out: `logits` [r, vocabulary]; `present_keys_i` and `present_values_i`
/// [1, heads, t + n, head size]; `attention_i` [1, heads, n, T] for the layers in `aligned`, where each token looks.
pub(in crate::engine::onnx) fn build(
    weights: &mut Weights,
    precision: Precision,
    operators: Operators,
    aligned: &[usize],
) -> Result<Graph, WeightError> {
    let sizes = weights.shape();
    let (state, heads, size) = (sizes.state, sizes.text_heads, sizes.state / sizes.text_heads);
    let mut b = Builder::new("decoder", precision, operators);
    let mut x = b.input("x", Type::Float, &[Extent::Free("n"), Extent::Fixed(state)]);
    let wanted = b.input("rows", Type::Int64, &[Extent::Free("r")]);
    if operators == Operators::Standard {
        b.input(MASK, Type::Float, &[Extent::Free("n"), Extent::Free("t1")]);
    }
    let norm = weights.norm(&mut b, "decoder.blocks.0.attn_ln")?;
    let mut rows = b.norm(&x, &norm);
    for layer in 0..sizes.text_layers {
        let block = format!("decoder.blocks.{layer}");
        let past = [Extent::Fixed(1), Extent::Fixed(heads), Extent::Free("t"), Extent::Fixed(size)];
        let present = [Extent::Fixed(1), Extent::Fixed(heads), Extent::Free("t1"), Extent::Fixed(size)];
        for part in ["keys", "values"] {
            b.input(&format!("past_{part}_{layer}"), Type::Float, &past);
            b.output(&format!("present_{part}_{layer}"), &present);
        }
        let keys = [Extent::Fixed(1), Extent::Fixed(heads), Extent::Fixed(size), Extent::Free("T")];
        let keys = b.input(&format!("keys_{layer}"), Type::Float, &keys);
        let values = [Extent::Fixed(1), Extent::Fixed(heads), Extent::Free("T"), Extent::Fixed(size)];
        let values = b.input(&format!("values_{layer}"), Type::Float, &values);

        let attended = match operators {
            Operators::Cpu => fused_attention(&mut b, weights, &rows, layer)?,
            Operators::Standard => plain_attention(&mut b, weights, &rows, layer)?,
        };
        rows = b.rows(&attended);
        let y = weights.linear(&mut b, &rows, &format!("{block}.attn.out"))?;
        let norm = weights.norm(&mut b, &format!("{block}.cross_attn_ln"))?;
        (rows, x) = b.add_and_norm(&x, &y, &norm);

        // Cross-attention. With the keys laid out for it, plain products beat the fused operator on a few rows.
        let q = weights.linear(&mut b, &rows, &format!("{block}.cross_attn.query"))?;
        let q = b.finished(&q);
        let q = b.heads(&q, heads, size, false);
        let attention = format!("attention_{layer}");
        let attended = b.attention(&q, &keys, &values, None, &attention);
        if aligned.contains(&layer) {
            let shape = [Extent::Fixed(1), Extent::Fixed(heads), Extent::Free("n"), Extent::Free("T")];
            b.output(&attention, &shape);
        }
        let attended = b.rows_of_heads(&attended, state);
        rows = b.rows(&attended);
        let y = weights.linear(&mut b, &rows, &format!("{block}.cross_attn.out"))?;
        let norm = weights.norm(&mut b, &format!("{block}.mlp_ln"))?;
        (rows, x) = b.add_and_norm(&x, &y, &norm);

        let y = weights.feed_forward(&mut b, &rows, &block)?;
        if layer + 1 < sizes.text_layers {
            let norm = weights.norm(&mut b, &format!("decoder.blocks.{}.attn_ln", layer + 1))?;
            (rows, x) = b.add_and_norm(&x, &y, &norm);
        } else {
            // What follows is half of the work where there is one row, and most rows have no use for it.
            x = b.op("Gather", &[&x, &wanted], &[Attribute::int("axis", 0)]);
            let y = b.picked(y, &wanted);
            let norm = weights.norm(&mut b, "decoder.ln")?;
            (rows, _) = b.add_and_norm(&x, &y, &norm);
        }
    }
    let logits = weights.head(&mut b, &rows)?;
    b.output(&logits, &[Extent::Free("r"), Extent::Fixed(sizes.vocabulary)]);
    Ok(b.finish())
}

/// Self-attention, [n, state], by ONNX Runtime's operator, which keeps keys and values as well. One product for all three,
/// which is the faster way where there is one row.
fn fused_attention(b: &mut Builder, weights: &mut Weights, rows: &Rows, layer: usize) -> Result<String, WeightError> {
    let sizes = weights.shape();
    let state = sizes.state;
    let all = weights.attention_input(b, rows, &format!("decoder.blocks.{layer}.attn"))?;
    let all = b.reshape(&all, &[1, -1, 3 * state as i64]);
    let [q, k, v] = b.split(&all, [state; 3], -1);
    let [past_keys, past_values] = ["keys", "values"].map(|part| format!("past_{part}_{layer}"));
    let [present_keys, present_values] = ["keys", "values"].map(|part| format!("present_{part}_{layer}"));
    let attended = b.fresh("attended");
    b.node(
        CONTRIBUTED,
        "MultiHeadAttention",
        &[&q, &k, &v, "", "", "", &past_keys, &past_values],
        &[Attribute::int("num_heads", sizes.text_heads as i64), Attribute::int("unidirectional", 1)],
        &[&attended, &present_keys, &present_values],
    );
    Ok(b.reshape(&attended, &[-1, state as i64]))
}

/// The same by standard operators.
fn plain_attention(b: &mut Builder, weights: &mut Weights, rows: &Rows, layer: usize) -> Result<String, WeightError> {
    let sizes = weights.shape();
    let (heads, size) = (sizes.text_heads, sizes.state / sizes.text_heads);
    let name = format!("decoder.blocks.{layer}.attn");
    let query = weights.linear(b, rows, &format!("{name}.query"))?;
    let key = weights.scaled_linear(b, rows, &format!("{name}.key"), (size as f32).powf(-0.5))?;
    let value = weights.linear(b, rows, &format!("{name}.value"))?;
    let [query, key, value] =
        [query, key, value].map(|part| b.finished(&part)).map(|part| b.heads(&part, heads, size, false));
    let mut grown = |new: &str, part: &str| {
        let (past, present) = (format!("past_{part}_{layer}"), format!("present_{part}_{layer}"));
        b.node("", "Concat", &[&past, new], &[Attribute::int("axis", 2)], &[&present]);
        present
    };
    let (keys, values) = (grown(&key, "keys"), grown(&value, "values"));
    let keys = b.transpose(&keys, &[0, 1, 3, 2]);
    let seen = b.fresh("attention");
    let attended = b.attention(&query, &keys, &values, Some(MASK), &seen);
    Ok(b.rows_of_heads(&attended, sizes.state))
}
