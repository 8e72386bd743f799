//! A folder as CTranslate2's converter writes it and faster-whisper reads it: [weights](variables) and sizes from
//! `model.bin`, tokens from the vocabulary's file, advice from `config.json`.

mod names;
#[cfg(any(test, fuzzing))]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
mod variables;

use std::path::{Path, PathBuf};

use serde::Deserialize;

use self::variables::Variables;
use super::checkpoint::shape::Required;
use super::checkpoint::vocabulary::{is_multilingual, Told};
use super::checkpoint::{About, Advice, ModelShape, Stored};
use super::error::ModelError;
use super::{folder, hugging_face};

/// `config.json`.
#[derive(Debug, Default, Deserialize)]
struct Config {
    alignment_heads: Option<Vec<(usize, usize)>>,
    suppress_ids: Option<Vec<i32>>,
    suppress_ids_begin: Option<Vec<i32>>,
    lang_ids: Option<Vec<i64>>,
}

/// The weights of a checked folder, open for reading.
#[derive(Debug)]
pub(crate) struct Ctranslate2Folder {
    path: PathBuf,
    variables: Variables,
    shape: ModelShape,
}

impl Ctranslate2Folder {
    /// Reads what the folder says of itself, and checks that its weights are there.
    pub(crate) fn open(folder: &Path) -> Result<(Self, About), ModelError> {
        let path = folder.join("model.bin");
        let bad = |reason: String| ModelError::NotAModel { path: path.clone(), reason };
        let variables = Variables::open(&path)?;
        let shape = shape(&variables).map_err(bad)?;
        let checked = Self { path: path.clone(), variables, shape };
        checked.check().map_err(bad)?;
        // Absent in models that were converted before 2023.
        let config: Config = folder::json_if_any(&folder.join("config.json"))?.unwrap_or_default();
        let tokens = tokens(folder, &shape)?;
        let about = About {
            shape,
            told: Told { languages: config.lang_ids.and_then(|ids| languages(&ids, &tokens)), ..Told::default() },
            tokens,
            advice: Advice {
                alignment_heads: config.alignment_heads,
                suppressed: config.suppress_ids,
                suppressed_at_start: config.suppress_ids_begin,
            },
        };
        Ok((checked, about))
    }

    /// The numbers of a tensor by OpenAI's name for it; as bytes if that is what is stored.
    pub(crate) fn tensor(&mut self, name: &str) -> Result<Stored, ModelError> {
        let Some((variable, rows)) = names::translate(name, self.shape.state) else {
            let reason = format!("there is no tensor '{name}' in it");
            return Err(ModelError::NotAModel { path: self.path.clone(), reason });
        };
        self.variables.rows(&variable, rows)
    }

    /// Checks that each tensor is there with its extents and of a type that can be read, and nothing else is.
    fn check(&self) -> Result<(), String> {
        let mut known = Vec::new();
        for Required { name, dims, .. } in self.shape.tensors() {
            let Some((variable, rows)) = names::translate(&name, self.shape.state) else {
                return Err(format!("tensor '{name}' has no name in CTranslate2"));
            };
            let outer = names::outer(&variable, &self.shape, dims[0]);
            if rows.as_ref().is_some_and(|rows| rows.end > outer) {
                return Err(format!("tensor '{name}' is not in variable '{variable}'"));
            }
            let wanted = [&[outer], &dims[1..]].concat();
            self.variables.check(&variable, &wanted)?;
            known.push(variable);
        }
        self.variables.check_others(&known)
    }
}

/// The sizes, from the variables' extents.
fn shape(variables: &Variables) -> Result<ModelShape, String> {
    let extents = |name: &str, rank: usize| -> Result<&[usize], String> {
        let dims = variables.dims(name).ok_or_else(|| format!("there is no variable '{name}' in it"))?;
        if dims.len() == rank {
            Ok(dims)
        } else {
            Err(format!("variable '{name}' has the shape {dims:?}; {rank} extents are expected"))
        }
    };
    let layers = |side: &str| {
        (0..).take_while(|n| variables.dims(&format!("{side}/layer_{n}/ffn/linear_0/weight")).is_some()).count()
    };
    let inner = |side: &str| Ok::<_, String>(extents(&format!("{side}/layer_0/ffn/linear_0/weight"), 2)?[0]);
    let heads = |side: &str| variables.heads(side);
    let embedding = extents("decoder/embeddings/weight", 2)?;
    let shape = ModelShape {
        vocabulary: embedding[0],
        mels: extents("encoder/conv1/weight", 3)?[1],
        audio_context: extents("encoder/position_encodings/encodings", 2)?[0],
        text_context: extents("decoder/position_encodings/encodings", 2)?[0],
        state: embedding[1],
        audio_heads: heads("encoder")?,
        audio_layers: layers("encoder"),
        audio_inner: inner("encoder")?,
        text_heads: heads("decoder")?,
        text_layers: layers("decoder"),
        text_inner: inner("decoder")?,
        multilingual: is_multilingual(embedding[0]),
        tied: variables.same("decoder/projection/weight", "decoder/embeddings/weight"),
    };
    shape.check()?;
    Ok(shape)
}

/// The name of each token by its number.
fn tokens(path: &Path, shape: &ModelShape) -> Result<Vec<Option<String>>, ModelError> {
    let Some(file) = folder::first(path, &["vocabulary.json", "vocabulary.txt"]) else {
        return hugging_face::tokens(path, shape);
    };
    let names: Vec<String> = if file.extension().is_some_and(|extension| extension == "json") {
        folder::json(&file)?
    } else {
        let text = String::from_utf8(folder::text(&file)?).map_err(|error| ModelError::NotAModel {
            path: file.clone(),
            reason: format!("it is no UTF-8 text: {error}; download it again"),
        })?;
        text.lines().map(str::to_owned).collect()
    };
    if names.len() != shape.vocabulary {
        let reason = format!(
            "it has {} tokens, and the weights are for {}; take both of the same model",
            names.len(),
            shape.vocabulary
        );
        return Err(ModelError::NotAModel { path: file, reason });
    }
    Ok(names.into_iter().map(Some).collect())
}

/// Codes and tokens of the languages that `config.json` numbers; none if it has no list.
fn languages(ids: &[i64], tokens: &[Option<String>]) -> Option<Vec<(String, i64)>> {
    let code = |id: &i64| {
        let name = tokens.get(usize::try_from(*id).ok()?)?.as_deref()?;
        Some((name.strip_prefix("<|")?.strip_suffix("|>")?.to_owned(), *id))
    };
    let all: Vec<_> = ids.iter().filter_map(code).collect();
    (!all.is_empty()).then_some(all)
}
