//! What transformers calls the tensors.

/// Weights that make logits, where they are not the token embedding.
pub(super) const HEAD: &str = "proj_out.weight";

/// Transformers' name, without the `model.` that most files have in front of it, for a tensor that OpenAI calls `name`.
pub(super) fn translate(name: &str) -> Option<String> {
    let (stem, kind) = name.rsplit_once('.')?;
    Some(match name {
        "decoder.head.weight" => HEAD.to_owned(),
        "encoder.positional_embedding" => "encoder.embed_positions.weight".to_owned(),
        "decoder.positional_embedding" => "decoder.embed_positions.weight".to_owned(),
        _ => match stem {
            "decoder.token_embedding" => format!("decoder.embed_tokens.{kind}"),
            "encoder.conv1" | "encoder.conv2" => name.to_owned(),
            "encoder.ln_post" => format!("encoder.layer_norm.{kind}"),
            "decoder.ln" => format!("decoder.layer_norm.{kind}"),
            _ => {
                let (side, rest) = stem.split_once(".blocks.")?;
                let (layer, part) = rest.split_once('.')?;
                let part = match part {
                    "attn_ln" => "self_attn_layer_norm",
                    "attn.query" => "self_attn.q_proj",
                    "attn.key" => "self_attn.k_proj",
                    "attn.value" => "self_attn.v_proj",
                    "attn.out" => "self_attn.out_proj",
                    "cross_attn_ln" => "encoder_attn_layer_norm",
                    "cross_attn.query" => "encoder_attn.q_proj",
                    "cross_attn.key" => "encoder_attn.k_proj",
                    "cross_attn.value" => "encoder_attn.v_proj",
                    "cross_attn.out" => "encoder_attn.out_proj",
                    "mlp_ln" => "final_layer_norm",
                    "mlp.0" => "fc1",
                    "mlp.2" => "fc2",
                    _ => return None,
                };
                format!("{side}.layers.{layer}.{part}.{kind}")
            }
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::checkpoint::shape::tests::TINY_EN;
    use crate::models::checkpoint::ModelShape;

    #[test]
    fn each_tensor_has_a_name_of_its_own() {
        let shape = ModelShape { tied: false, ..TINY_EN };
        let names: Vec<String> = shape.tensors().iter().map(|tensor| translate(&tensor.name).unwrap()).collect();
        let distinct: std::collections::HashSet<&String> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
        for name in ["decoder.layers.3.encoder_attn.v_proj.bias", "encoder.layers.0.fc2.weight", "proj_out.weight"] {
            assert!(distinct.contains(&name.to_owned()), "{name}");
        }
        assert_eq!(translate("decoder.blocks.0.attn.rotary.weight"), None);
        assert_eq!(translate("nonsense"), None);
    }
}
