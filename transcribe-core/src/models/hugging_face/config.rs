//! `config.json` and `generation_config.json`, as far as they matter here.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::models::checkpoint::vocabulary::{is_multilingual, Told};
use crate::models::checkpoint::ModelShape;

/// `config.json`.
#[derive(Debug, Deserialize)]
pub(super) struct Config {
    model_type: Option<String>,
    vocab_size: usize,
    num_mel_bins: usize,
    max_source_positions: usize,
    max_target_positions: usize,
    d_model: usize,
    encoder_layers: usize,
    encoder_attention_heads: usize,
    encoder_ffn_dim: usize,
    decoder_layers: usize,
    decoder_attention_heads: usize,
    decoder_ffn_dim: usize,
    activation_function: Option<String>,
    scale_embedding: Option<bool>,
    tie_word_embeddings: Option<bool>,
    quantization_config: Option<Value>,
    /// Here in models saved before there was a `generation_config.json`.
    pub(super) suppress_tokens: Option<Vec<i32>>,
    pub(super) begin_suppress_tokens: Option<Vec<i32>>,
}

/// `generation_config.json`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Generation {
    pub(super) alignment_heads: Option<Vec<(usize, usize)>>,
    pub(super) suppress_tokens: Option<Vec<i32>>,
    pub(super) begin_suppress_tokens: Option<Vec<i32>>,
    is_multilingual: Option<bool>,
    lang_to_id: Option<BTreeMap<String, i64>>,
    task_to_id: Option<BTreeMap<String, i64>>,
    no_timestamps_token_id: Option<i64>,
    decoder_start_token_id: Option<i64>,
    /// A number, or several.
    eos_token_id: Option<Value>,
}

impl Config {
    /// The sizes; `has_head` says whether there are weights of its own for logits. Errors: what is wrong with them.
    pub(super) fn shape(&self, generation: &Generation, has_head: bool) -> Result<ModelShape, String> {
        match self.model_type.as_deref() {
            Some("whisper") => {}
            Some(other) => return Err(format!("it is of a model of type '{other}'; only 'whisper' can be used")),
            None => return Err("it has no model_type; is it of another program, such as CTranslate2?".to_owned()),
        }
        if let Some(function) = self.activation_function.as_deref().filter(|function| *function != "gelu") {
            return Err(format!("its activation function is '{function}'; Whisper has 'gelu'"));
        }
        if self.scale_embedding == Some(true) {
            return Err("it scales its embeddings, which Whisper does not".to_owned());
        }
        if self.quantization_config.as_ref().is_some_and(|config| !config.is_null()) {
            return Err(
                "its weights are quantised for another runtime; use the model in float32, float16 or bfloat16, which is \
                 quantised here when it is loaded"
                    .to_owned(),
            );
        }
        // transformers ties them unless it is told otherwise, whatever is in the files.
        let tied = self.tie_word_embeddings.unwrap_or(true);
        if !tied && !has_head {
            return Err(
                "it says that proj_out is not tied to the token embedding, and there is no such tensor".to_owned()
            );
        }
        let shape = ModelShape {
            vocabulary: self.vocab_size,
            mels: self.num_mel_bins,
            audio_context: self.max_source_positions,
            text_context: self.max_target_positions,
            state: self.d_model,
            audio_heads: self.encoder_attention_heads,
            audio_layers: self.encoder_layers,
            audio_inner: self.encoder_ffn_dim,
            text_heads: self.decoder_attention_heads,
            text_layers: self.decoder_layers,
            text_inner: self.decoder_ffn_dim,
            multilingual: generation.is_multilingual.unwrap_or(is_multilingual(self.vocab_size)),
            tied,
        };
        shape.check()?;
        Ok(shape)
    }
}

impl Generation {
    /// The tokens that it names by number.
    pub(super) fn told(&self) -> Told {
        let task = |name: &str| self.task_to_id.as_ref().and_then(|tasks| tasks.get(name)).copied();
        let code = |token: &str| token.trim_start_matches("<|").trim_end_matches("|>").to_owned();
        let languages = self.lang_to_id.as_ref().filter(|languages| !languages.is_empty());
        let end = match &self.eos_token_id {
            Some(Value::Array(all)) => all.first().and_then(Value::as_i64),
            Some(one) => one.as_i64(),
            None => None,
        };
        Told {
            languages: languages.map(|all| all.iter().map(|(token, number)| (code(token), *number)).collect()),
            translate: task("translate"),
            transcribe: task("transcribe"),
            end,
            start: self.decoder_start_token_id,
            no_timestamps: self.no_timestamps_token_id,
        }
    }
}
