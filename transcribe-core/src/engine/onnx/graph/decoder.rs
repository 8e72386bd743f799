//! The decoder: tokens and what came of those before in, logits out.

use super::weights::{WeightError, Weights};
use super::{Builder, Extent, Graph, Precision, CONTRIBUTED};
use crate::onnx_graph::proto::{Attribute, Type};

/// The head's weights among those of the graph: the token embedding, in most models, transposed.
pub(in crate::engine::onnx) const HEAD: &str = "decoder.head.weight";

/// Builds the graph.
///
/// In: `x` [n, state], token and positional embeddings of n tokens; `rows` [r], for which of them logits are wanted;
/// for each layer i, `past_keys_i` and `past_values_i` [1, heads, t, head size] of the t tokens before, and the
/// encoder's `keys_i` and `values_i`. Out: `logits` [r, vocabulary]; `present_keys_i` and `present_values_i`
/// [1, heads, t + n, head size]; `attention_i` [1, heads, n, T] for the layers in `aligned`, where each token looks.
pub(in crate::engine::onnx) fn build(
    weights: &mut Weights,
    precision: Precision,
    aligned: &[usize],
) -> Result<Graph, WeightError> {
    let sizes = weights.shape();
    let (state, heads, size) = (sizes.state, sizes.text_heads, sizes.state / sizes.text_heads);
    let mut b = Builder::new("decoder", precision);
    let mut x = b.input("x", Type::Float, &[Extent::Free("n"), Extent::Fixed(state)]);
    let wanted = b.input("rows", Type::Int64, &[Extent::Free("r")]);
    let norm = weights.norm(&mut b, "decoder.blocks.0.attn_ln")?;
    let mut rows = b.norm(&x, &norm);
    for layer in 0..sizes.text_layers {
        let block = format!("decoder.blocks.{layer}");
        let past = [Extent::Fixed(1), Extent::Fixed(heads), Extent::Free("t"), Extent::Fixed(size)];
        let past_keys = b.input(&format!("past_keys_{layer}"), Type::Float, &past);
        let past_values = b.input(&format!("past_values_{layer}"), Type::Float, &past);
        let keys = [Extent::Fixed(1), Extent::Fixed(heads), Extent::Fixed(size), Extent::Free("T")];
        let keys = b.input(&format!("keys_{layer}"), Type::Float, &keys);
        let values = [Extent::Fixed(1), Extent::Fixed(heads), Extent::Free("T"), Extent::Fixed(size)];
        let values = b.input(&format!("values_{layer}"), Type::Float, &values);

        // Self-attention. One product for all three, which is the faster way where there is one row.
        let all = weights.attention_input(&mut b, &rows, &format!("{block}.attn"))?;
        let all = b.reshape(&all, &[1, -1, 3 * state as i64]);
        let [q, k, v] = b.split(&all, [state; 3], -1);
        let present_keys = format!("present_keys_{layer}");
        let present_values = format!("present_values_{layer}");
        let attended = b.fresh("attended");
        b.node(
            CONTRIBUTED,
            "MultiHeadAttention",
            &[&q, &k, &v, "", "", "", &past_keys, &past_values],
            &[Attribute::int("num_heads", heads as i64), Attribute::int("unidirectional", 1)],
            &[&attended, &present_keys, &present_values],
        );
        let present = [Extent::Fixed(1), Extent::Fixed(heads), Extent::Free("t1"), Extent::Fixed(size)];
        b.output(&present_keys, &present);
        b.output(&present_values, &present);
        let attended = b.reshape(&attended, &[-1, state as i64]);
        rows = b.rows(&attended);
        let y = weights.linear(&mut b, &rows, &format!("{block}.attn.out"))?;
        let norm = weights.norm(&mut b, &format!("{block}.cross_attn_ln"))?;
        (rows, x) = b.add_and_norm(&x, &y, &norm);

        // Cross-attention. With the keys laid out for it, plain products beat the fused operator on a few rows.
        let q = weights.linear(&mut b, &rows, &format!("{block}.cross_attn.query"))?;
        let q = b.finished(&q);
        let q = b.reshape(&q, &[1, -1, heads as i64, size as i64]);
        let q = b.transpose(&q, &[0, 2, 1, 3]);
        let scores = b.op("MatMul", &[&q, &keys], &[]);
        let attention = format!("attention_{layer}");
        b.node("", "Softmax", &[&scores], &[Attribute::int("axis", -1)], &[&attention]);
        if aligned.contains(&layer) {
            let shape = [Extent::Fixed(1), Extent::Fixed(heads), Extent::Free("n"), Extent::Free("T")];
            b.output(&attention, &shape);
        }
        let attended = b.op("MatMul", &[&attention, &values], &[]);
        let attended = b.transpose(&attended, &[0, 2, 1, 3]);
        let attended = b.reshape(&attended, &[-1, state as i64]);
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
