//! A folder as transformers' `save_pretrained` writes it: sizes from `config.json`, tokens from the tokenizer's files,
//! advice from `generation_config.json`, [weights](weights) from safetensors.

mod config;
mod names;
#[cfg(any(test, fuzzing))]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
mod tokens;
mod weights;

use std::path::Path;

use self::config::{Config, Generation};
pub(super) use self::tokens::read as tokens;
use self::weights::Shards;
use super::checkpoint::{About, Advice};
use super::error::ModelError;
use super::folder;

/// The weights of a checked folder, open for reading.
#[derive(Debug)]
pub(crate) struct HuggingFaceFolder {
    shards: Shards,
}

impl HuggingFaceFolder {
    /// Reads what the folder says of itself, and checks that its weights are there.
    pub(crate) fn open(path: &Path) -> Result<(Self, About), ModelError> {
        let config_path = path.join("config.json");
        let config: Config = folder::json(&config_path)?;
        let generation: Generation = folder::json_if_any(&path.join("generation_config.json"))?.unwrap_or_default();
        let shards = Shards::open(path)?;
        let has_head = shards.has(names::HEAD);
        let shape = config
            .shape(&generation, has_head)
            .map_err(|reason| ModelError::NotAModel { path: config_path.clone(), reason })?;
        for required in shape.tensors() {
            shards.check(&required)?;
        }
        let tokens = tokens::read(path, &shape)?;
        let advice = Advice {
            alignment_heads: generation.alignment_heads.clone(),
            suppressed: generation.suppress_tokens.clone().or(config.suppress_tokens),
            suppressed_at_start: generation.begin_suppress_tokens.clone().or(config.begin_suppress_tokens),
        };
        Ok((Self { shards }, About { shape, tokens, told: generation.told(), advice }))
    }

    /// The numbers of a tensor by OpenAI's name for it.
    pub(crate) fn tensor(&mut self, name: &str) -> Result<Vec<f32>, ModelError> {
        self.shards.tensor(name)
    }
}
