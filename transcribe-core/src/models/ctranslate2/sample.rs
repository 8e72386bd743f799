//! A valid folder in miniature, for tests: the [sample](hugging_face::sample) of the other folders with its matrices in
//! bytes.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::names;
use crate::models::checkpoint::shape::{ModelShape, Role};
use crate::models::hugging_face::sample::{tokens, SHAPE};

/// A variable: name, extents, type's number, numbers.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) dims: Vec<u32>,
    pub(crate) kind: u8,
    pub(crate) bytes: Vec<u8>,
}

fn entry(name: &str, dims: &[usize], kind: u8, bytes: Vec<u8>) -> Entry {
    Entry { name: name.to_owned(), dims: dims.iter().map(|extent| *extent as u32).collect(), kind, bytes }
}

/// The sample's variables: byte n of a matrix is n mod 8, and the scale of row n is n + 1.
pub(crate) fn variables(shape: &ModelShape) -> Vec<Entry> {
    let mut all: BTreeMap<String, Entry> = BTreeMap::new();
    for tensor in shape.tensors() {
        let Some((name, _)) = names::translate(&tensor.name, shape.state) else { continue };
        let rows = names::outer(&name, shape, tensor.dims[0]);
        let dims = [&[rows], &tensor.dims[1..]].concat();
        let count: usize = dims.iter().product();
        if matches!(tensor.role, Role::Matrix | Role::Filters) {
            let scales = (1..=rows).flat_map(|n| (n as f32).to_le_bytes()).collect();
            let scale = format!("{name}_scale");
            all.insert(scale.clone(), entry(&scale, &[rows], 0, scales));
            all.insert(name.clone(), entry(&name, &dims, 1, (0..count).map(|n| (n % 8) as u8).collect()));
        } else {
            all.insert(name.clone(), entry(&name, &dims, 4, vec![0; 2 * count]));
        }
    }
    for side in ["encoder", "decoder"] {
        let name = format!("{side}/num_heads");
        all.insert(name.clone(), entry(&name, &[], 2, 1i16.to_le_bytes().to_vec()));
    }
    for (name, value) in [("decoder/activation", 3), ("decoder/pre_norm", 1), ("decoder/scale_embeddings", 0)] {
        all.insert(name.to_owned(), entry(name, &[], 1, vec![value]));
    }
    all.into_values().collect()
}

/// `model.bin` of these variables and other names for them.
pub(crate) fn model(variables: &[Entry], aliases: &[(&str, &str)]) -> Vec<u8> {
    let mut file = 6u32.to_le_bytes().to_vec();
    let name = |file: &mut Vec<u8>, name: &str| {
        file.extend((name.len() as u16 + 1).to_le_bytes());
        file.extend(name.as_bytes());
        file.push(0);
    };
    name(&mut file, "WhisperSpec");
    file.extend(3u32.to_le_bytes());
    file.extend((variables.len() as u32).to_le_bytes());
    for variable in variables {
        name(&mut file, &variable.name);
        file.push(variable.dims.len() as u8);
        variable.dims.iter().for_each(|extent| file.extend(extent.to_le_bytes()));
        file.push(variable.kind);
        file.extend((variable.bytes.len() as u32).to_le_bytes());
        file.extend(&variable.bytes);
    }
    file.extend((aliases.len() as u32).to_le_bytes());
    for (alias, variable) in aliases {
        name(&mut file, alias);
        name(&mut file, variable);
    }
    file
}

/// The other name that models of OpenAI's have.
pub(crate) const ALIASES: [(&str, &str); 1] = [("decoder/projection/weight", "decoder/embeddings/weight")];

/// `config.json`.
pub(crate) fn config() -> serde_json::Value {
    json!({"alignment_heads": [[0, 0]], "lang_ids": [29], "suppress_ids": [1, 2], "suppress_ids_begin": [26, 27]})
}

/// `vocabulary.json`.
pub(crate) fn vocabulary() -> serde_json::Value {
    let mut all = tokens();
    all.resize_with(SHAPE.vocabulary, || "<|0.00|>".to_owned());
    json!(all)
}

/// Writes all files of the sample.
pub(crate) fn write(folder: &Path) -> std::io::Result<()> {
    std::fs::write(folder.join("config.json"), config().to_string())?;
    std::fs::write(folder.join("vocabulary.json"), vocabulary().to_string())?;
    std::fs::write(folder.join("model.bin"), model(&variables(&SHAPE), &ALIASES))
}
