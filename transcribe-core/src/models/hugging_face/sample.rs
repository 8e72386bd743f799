//! A valid folder in miniature, for tests: Whisper's structure with one layer a side and a width of 2.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::names;
use crate::models::checkpoint::shape::{ModelShape, AUDIO_CONTEXT, TEXT_CONTEXT};

/// Sizes of the sample.
pub(crate) const SHAPE: ModelShape = ModelShape {
    vocabulary: 40,
    mels: 80,
    audio_context: AUDIO_CONTEXT,
    text_context: TEXT_CONTEXT,
    state: 2,
    audio_heads: 1,
    audio_layers: 1,
    audio_inner: 8,
    text_heads: 1,
    text_layers: 1,
    text_inner: 8,
    multilingual: false,
    tied: true,
};

/// Names of the sample's tokens.
pub(crate) fn tokens() -> Vec<String> {
    let text = ('a'..='z').map(String::from).chain(["Ġ".to_owned()]);
    let special = [
        "<|endoftext|>",
        "<|startoftranscript|>",
        "<|en|>",
        "<|translate|>",
        "<|transcribe|>",
        "<|startoflm|>",
        "<|startofprev|>",
        "<|nospeech|>",
        "<|notimestamps|>",
    ];
    text.chain(special.map(str::to_owned)).collect()
}

/// `config.json`.
pub(crate) fn config() -> serde_json::Value {
    json!({
        "model_type": "whisper", "vocab_size": SHAPE.vocabulary, "num_mel_bins": SHAPE.mels,
        "max_source_positions": SHAPE.audio_context, "max_target_positions": SHAPE.text_context,
        "d_model": SHAPE.state, "encoder_layers": 1, "encoder_attention_heads": 1, "encoder_ffn_dim": SHAPE.audio_inner,
        "decoder_layers": 1, "decoder_attention_heads": 1, "decoder_ffn_dim": SHAPE.text_inner,
        "activation_function": "gelu", "scale_embedding": false,
    })
}

/// `generation_config.json`.
pub(crate) fn generation() -> serde_json::Value {
    json!({"alignment_heads": [[0, 0]], "suppress_tokens": [1, 2], "begin_suppress_tokens": [26, 27]})
}

/// `tokenizer.json`.
pub(crate) fn tokenizer() -> serde_json::Value {
    let vocab: BTreeMap<String, usize> = tokens().into_iter().zip(0..).take(28).collect();
    let added = tokens().into_iter().zip(0..).skip(27).map(|(content, id)| json!({"id": id, "content": content}));
    json!({"model": {"type": "BPE", "vocab": vocab, "merges": []}, "added_tokens": added.collect::<Vec<_>>()})
}

/// `model.safetensors`: tensors in half precision, number n of each is n mod 8.
pub(crate) fn safetensors(shape: &ModelShape) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut numbers = Vec::new();
    for tensor in shape.tensors() {
        let start = numbers.len();
        let small = [0x0000u16, 0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600, 0x4700];
        numbers.extend((0..tensor.numbers() as usize).flat_map(|n| small[n % 8].to_le_bytes()));
        let name = names::translate(&tensor.name).unwrap_or_default();
        let name = if name == names::HEAD { name } else { format!("model.{name}") };
        header.insert(name, json!({"dtype": "F16", "shape": tensor.dims, "data_offsets": [start, numbers.len()]}));
    }
    let header = serde_json::Value::from(header).to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &numbers].concat()
}

/// Writes all files of the sample.
pub(crate) fn write(folder: &Path) -> std::io::Result<()> {
    std::fs::write(folder.join("config.json"), config().to_string())?;
    std::fs::write(folder.join("generation_config.json"), generation().to_string())?;
    std::fs::write(folder.join("tokenizer.json"), tokenizer().to_string())?;
    std::fs::write(folder.join("model.safetensors"), safetensors(&SHAPE))
}
