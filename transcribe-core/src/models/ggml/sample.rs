//! A valid model file in miniature, for tests: Whisper's structure with one layer a side and a width of 32.

/// Name and ggml number of the type of the weights, and bytes for 32 of them.
const WEIGHTS: (i32, i32, usize) = (2002, 2, 18);
const STATE: usize = 32;
const TOKENS: usize = 51_864;

/// The file's bytes: q4_0 weights that are all `fill`, so that samples differ.
pub(crate) fn model(fill: u8) -> Vec<u8> {
    let mut file = b"lmgg".to_vec();
    let mut put = |numbers: &[i32]| numbers.iter().for_each(|n| file.extend(n.to_le_bytes()));
    let state = STATE as i32;
    put(&[TOKENS as i32, 1500, state, 1, 1, 448, state, 1, 1, 80, WEIGHTS.0]);
    put(&[80, 201]);
    file.resize(file.len() + 80 * 201 * 4, 0);
    file.extend(50_257i32.to_le_bytes());
    for token in 0..50_257u32 {
        file.extend(1u32.to_le_bytes());
        file.push(token as u8);
    }

    let mut vectors = vec!["encoder.ln_post".to_string(), "decoder.ln".to_string()];
    let mut matrices = Vec::new();
    for (block, attentions) in [("encoder.blocks.0", &["attn"][..]), ("decoder.blocks.0", &["attn", "cross_attn"])] {
        vectors.push(format!("{block}.mlp_ln"));
        for attention in attentions {
            vectors.push(format!("{block}.{attention}_ln"));
            for part in ["query", "key", "value", "out"] {
                matrices.push((format!("{block}.{attention}.{part}"), [STATE, STATE], part != "key"));
            }
        }
        matrices.push((format!("{block}.mlp.0"), [STATE, 4 * STATE], true));
        matrices.push((format!("{block}.mlp.2"), [4 * STATE, STATE], true));
    }

    let mut tensor = |name: &str, shape: &[usize], kind: i32| {
        for n in [shape.len() as i32, name.len() as i32, kind] {
            file.extend(n.to_le_bytes());
        }
        shape.iter().for_each(|extent| file.extend((*extent as i32).to_le_bytes()));
        file.extend(name.as_bytes());
        let numbers: usize = shape.iter().product();
        let bytes = match kind {
            0 => numbers * 4,
            1 => numbers * 2,
            _ => numbers / 32 * WEIGHTS.2,
        };
        file.resize(file.len() + bytes, fill);
    };
    tensor("encoder.positional_embedding", &[STATE, 1500], 0);
    tensor("encoder.conv1.weight", &[3, 80, STATE], 1);
    tensor("encoder.conv1.bias", &[1, STATE], 0);
    tensor("encoder.conv2.weight", &[3, STATE, STATE], 1);
    tensor("encoder.conv2.bias", &[1, STATE], 0);
    tensor("decoder.positional_embedding", &[STATE, 448], 0);
    tensor("decoder.token_embedding.weight", &[STATE, TOKENS], WEIGHTS.1);
    for name in &vectors {
        tensor(&format!("{name}.weight"), &[STATE], 0);
        tensor(&format!("{name}.bias"), &[STATE], 0);
    }
    for (name, shape, has_bias) in &matrices {
        tensor(&format!("{name}.weight"), shape, WEIGHTS.1);
        if *has_bias {
            tensor(&format!("{name}.bias"), &shape[1..], 0);
        }
    }
    file
}
