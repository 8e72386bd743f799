//! What CTranslate2 calls the tensors, and which rows of a variable they are: it has queries, keys and values of
//! self-attention in one, and keys and values of cross-attention.

use std::ops::Range;

use crate::models::checkpoint::ModelShape;

/// CTranslate2's variable for a tensor that OpenAI calls `name` in a model of width `state`, and which rows of it, if
/// not all.
pub(super) fn translate(name: &str, state: usize) -> Option<(String, Option<Range<usize>>)> {
    let (stem, kind) = name.rsplit_once('.')?;
    let whole = |name: String| Some((name, None));
    let norm = |stem: String| whole(format!("{stem}/{}", if kind == "weight" { "gamma" } else { "beta" }));
    match (name, stem) {
        ("decoder.head.weight", _) => return whole("decoder/projection/weight".to_owned()),
        ("encoder.positional_embedding" | "decoder.positional_embedding", side) => {
            return whole(format!("{side}/position_encodings/encodings"))
        }
        (_, "decoder.token_embedding") => return whole(format!("decoder/embeddings/{kind}")),
        (_, "encoder.conv1" | "encoder.conv2") => return whole(name.replace('.', "/")),
        (_, "encoder.ln_post") => return norm("encoder/layer_norm".to_owned()),
        (_, "decoder.ln") => return norm("decoder/layer_norm".to_owned()),
        _ => {}
    }
    let (side, rest) = stem.split_once(".blocks.")?;
    let (layer, part) = rest.split_once('.')?;
    let layer = format!("{side}/layer_{layer}");
    let linear = |part: &str| format!("{layer}/{part}/{kind}");
    let third = |n: usize| Some(n * state..(n + 1) * state);
    match part {
        "attn_ln" => norm(format!("{layer}/self_attention/layer_norm")),
        "cross_attn_ln" => norm(format!("{layer}/attention/layer_norm")),
        "mlp_ln" => norm(format!("{layer}/ffn/layer_norm")),
        "attn.query" => Some((linear("self_attention/linear_0"), third(0))),
        "attn.key" => Some((linear("self_attention/linear_0"), third(1))),
        "attn.value" => Some((linear("self_attention/linear_0"), third(2))),
        "attn.out" => whole(linear("self_attention/linear_1")),
        "cross_attn.query" => whole(linear("attention/linear_0")),
        "cross_attn.key" => Some((linear("attention/linear_1"), third(0))),
        "cross_attn.value" => Some((linear("attention/linear_1"), third(1))),
        "cross_attn.out" => whole(linear("attention/linear_2")),
        "mlp.0" => whole(linear("ffn/linear_0")),
        "mlp.2" => whole(linear("ffn/linear_1")),
        _ => None,
    }
}

/// Rows of a variable of which a tensor has `rows`.
pub(super) fn outer(variable: &str, shape: &ModelShape, rows: usize) -> usize {
    if variable.contains("/self_attention/linear_0/") {
        3 * shape.state
    } else if variable.contains("/attention/linear_1/") {
        2 * shape.state
    } else {
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::checkpoint::shape::tests::TINY_EN;

    #[test]
    fn each_tensor_has_rows_of_its_own() {
        let shape = ModelShape { tied: false, ..TINY_EN };
        let all: Vec<_> = shape.tensors().iter().map(|t| translate(&t.name, 384).unwrap()).collect();
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        let at = |name: &str| translate(name, 384).unwrap();
        assert_eq!(
            at("decoder.blocks.3.attn.value.bias"),
            ("decoder/layer_3/self_attention/linear_0/bias".to_owned(), Some(768..1152))
        );
        assert_eq!(
            at("decoder.blocks.0.cross_attn.key.weight"),
            ("decoder/layer_0/attention/linear_1/weight".to_owned(), Some(0..384))
        );
        assert_eq!(at("encoder.blocks.1.mlp_ln.bias"), ("encoder/layer_1/ffn/layer_norm/beta".to_owned(), None));
        assert_eq!(at("encoder.conv2.weight"), ("encoder/conv2/weight".to_owned(), None));
        assert_eq!(translate("encoder.blocks.0.attn.rotary.weight", 384), None);
        assert_eq!(outer("decoder/layer_0/self_attention/linear_1/weight", &shape, 384), 384);
    }
}
