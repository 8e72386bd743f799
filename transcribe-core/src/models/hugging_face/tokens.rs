//! The names of a model's tokens: from `tokenizer.json`, or from `vocab.json` with what was added to it.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use crate::models::checkpoint::ModelShape;
use crate::models::error::ModelError;
use crate::models::folder;

/// `tokenizer.json`.
#[derive(Deserialize)]
struct Tokenizer {
    model: Model,
    #[serde(default)]
    added_tokens: Vec<Added>,
}

#[derive(Deserialize)]
struct Model {
    vocab: HashMap<String, u64>,
}

#[derive(Deserialize)]
struct Added {
    id: u64,
    content: String,
}

/// `tokenizer_config.json`.
#[derive(Deserialize)]
struct TokenizerConfig {
    #[serde(default)]
    added_tokens_decoder: HashMap<String, Content>,
}

#[derive(Deserialize)]
struct Content {
    content: String,
}

/// The name of each token by its number; tokens without one are none.
pub(in crate::models) fn read(path: &Path, shape: &ModelShape) -> Result<Vec<Option<String>>, ModelError> {
    let tokenizer = path.join("tokenizer.json");
    if let Some(all) = folder::json_if_any::<Tokenizer>(&tokenizer)? {
        let added = all.added_tokens.into_iter().map(|added| (added.content, added.id));
        return by_number(&tokenizer, all.model.vocab.into_iter().chain(added), shape);
    }
    let vocabulary = path.join("vocab.json");
    let Some(all) = folder::json_if_any::<HashMap<String, u64>>(&vocabulary)? else {
        let reason = "there is neither tokenizer.json nor vocab.json in it; take all files of the model, or save the \
                      processor with it: `processor.save_pretrained(folder)`";
        return Err(ModelError::NotAModel { path: path.into(), reason: reason.into() });
    };
    let added: HashMap<String, u64> = folder::json_if_any(&path.join("added_tokens.json"))?.unwrap_or_default();
    let config: Option<TokenizerConfig> = folder::json_if_any(&path.join("tokenizer_config.json"))?;
    let decoder = config.map(|config| config.added_tokens_decoder).unwrap_or_default();
    let decoder = decoder.into_iter().filter_map(|(id, added)| Some((added.content, id.parse().ok()?)));
    by_number(&vocabulary, all.into_iter().chain(added).chain(decoder), shape)
}

fn by_number(
    path: &Path,
    tokens: impl Iterator<Item = (String, u64)>,
    shape: &ModelShape,
) -> Result<Vec<Option<String>>, ModelError> {
    let mut names = vec![None; shape.vocabulary];
    for (name, number) in tokens {
        let slot = usize::try_from(number).ok().and_then(|number| names.get_mut(number));
        let Some(slot) = slot else {
            let reason = format!(
                "token '{}' has the number {number}, and the weights are for a vocabulary of {}; take tokenizer and \
                 weights of the same model",
                name.escape_debug(),
                shape.vocabulary
            );
            return Err(ModelError::NotAModel { path: path.into(), reason });
        };
        *slot = Some(name);
    }
    Ok(names)
}
