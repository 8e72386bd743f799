//! Models that are folders, by the name of their repository on the hub, `owner/name`: which of its files make a model,
//! what they are known by, and where the folder is on disk.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::checksum::Checksum;

/// Longest part of a name on the hub.
const LONGEST: usize = 96;
/// Weights by which a folder is known, and an index of them.
const WEIGHTS: [&str; 3] = ["model.safetensors", "model.safetensors.index.json", "model.bin"];
/// What stands for `model.safetensors` in larger models.
const INDEX: &str = "model.safetensors.index.json";

/// The name of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repository {
    owner: String,
    name: String,
}

impl Repository {
    /// The repository called so, if it is such a name: two parts as the hub allows them. `./x/y`, `/x/y` and `x/y.bin` are
    /// paths.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (owner, name) = name.split_once('/')?;
        let sound = |part: &str| {
            let letters = part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
            letters && (1..=LONGEST).contains(&part.len()) && !part.starts_with(['.', '-']) && !part.contains("..")
        };
        let is_file = name.to_lowercase().ends_with(".bin");
        (sound(owner) && sound(name) && !is_file).then(|| Self { owner: owner.into(), name: name.into() })
    }

    /// Where it is below a folder of models.
    pub(super) fn below(&self, models: &Path) -> PathBuf {
        self.owner_below(models).join(&self.name)
    }

    /// The folder that it is put into.
    pub(super) fn owner_below(&self, models: &Path) -> PathBuf {
        models.join(&self.owner)
    }

    /// What its folder is called.
    pub(super) fn folder(&self) -> &str {
        &self.name
    }

    /// Its folder in a Hugging Face cache.
    pub(super) fn in_cache(&self) -> String {
        format!("models--{}--{}", self.owner, self.name)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// Whether a folder has a model's weights.
pub(super) fn has_weights(folder: &Path) -> bool {
    WEIGHTS.iter().any(|file| folder.join(file).is_file())
}

/// What the hub says of a repository at one revision.
#[derive(Debug, Deserialize)]
pub(super) struct Listing {
    /// The revision.
    pub(super) sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Debug, Deserialize)]
struct Lfs {
    sha256: String,
    size: u64,
}

/// A file to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its name, which is no path.
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) checksum: Checksum,
}

impl Listing {
    /// The files that a model is read from, small ones first. Errors: why there is none in it.
    pub(super) fn files(&self) -> Result<Vec<Entry>, String> {
        let has = |name: &str| self.siblings.iter().any(|sibling| sibling.rfilename == name);
        let mut wanted = vec!["config.json"];
        if has("model.safetensors") || has(INDEX) {
            wanted.push("generation_config.json");
            wanted.extend(match has("tokenizer.json") {
                true => &["tokenizer.json"][..],
                false => &["vocab.json", "added_tokens.json", "tokenizer_config.json"],
            });
            wanted.push(if has("model.safetensors") { "model.safetensors" } else { INDEX });
        } else if has("model.bin") {
            let vocabulary = ["vocabulary.json", "vocabulary.txt", "tokenizer.json"];
            wanted.extend(vocabulary.into_iter().find(|name| has(name)));
            wanted.push("model.bin");
        } else if has("pytorch_model.bin") || has("pytorch_model.bin.index.json") {
            return Err(
                "its weights are in PyTorch's own format only, which can run programs when it is read; save it as \
                        safetensors with transformers: `model.save_pretrained(folder, safe_serialization=True)`"
                    .into(),
            );
        } else {
            return Err("it has neither model.safetensors (Hugging Face) nor model.bin (CTranslate2)".into());
        }
        let sharded = wanted.contains(&INDEX);
        let part = |name: &str| sharded && name.starts_with("model-") && name.ends_with(".safetensors");
        let chosen = self.siblings.iter().filter(|s| wanted.contains(&&*s.rfilename) || part(&s.rfilename));
        let mut entries = chosen.map(Sibling::entry).collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(|entry| entry.size);
        Ok(entries)
    }
}

impl Sibling {
    fn entry(&self) -> Result<Entry, String> {
        let name = self.rfilename.clone();
        if name.contains(['/', '\\']) || name.starts_with('.') {
            return Err(format!("'{}' is no name for one of its files", name.escape_debug()));
        }
        let hex = |digest: &str, length| digest.len() == length && digest.bytes().all(|b| b.is_ascii_hexdigit());
        let known = match (&self.lfs, &self.blob_id, self.size) {
            (Some(lfs), ..) if hex(&lfs.sha256, 64) => Some((lfs.size, Checksum::Sha256(lfs.sha256.to_lowercase()))),
            (None, Some(id), Some(size)) if hex(id, 40) => Some((size, Checksum::Blob(id.to_lowercase()))),
            _ => None,
        };
        let (size, checksum) = known.ok_or_else(|| format!("the hub doesn't tell size and digest of {name}"))?;
        Ok(Entry { name, size, checksum })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_paths() {
        let name = |text| Repository::parse(text).map(|repository| repository.to_string());
        for sound in ["openai/whisper-tiny.en", "Systran/faster-whisper-tiny.en", "a/b_c"] {
            assert_eq!(name(sound).as_deref(), Some(sound));
        }
        for path in ["tiny.en", "./a/b", "/a/b", "a/b/c", "a/", "/b", "a/..", "../b", "~/b", "a/b.bin", "a/b c", "-a/b"]
        {
            assert_eq!(name(path), None, "{path}");
        }
    }

    fn listing(files: &[&str]) -> Listing {
        let sibling = |name: &&str| match name.ends_with(".json") || name.ends_with(".txt") {
            true => serde_json::json!({"rfilename": name, "size": 7, "blobId": "a".repeat(40)}),
            false => serde_json::json!({
                "rfilename": name, "size": 9000, "blobId": "b".repeat(40),
                "lfs": {"sha256": "C".repeat(64), "size": 9000, "pointerSize": 134}
            }),
        };
        let siblings: Vec<_> = files.iter().map(sibling).collect();
        serde_json::from_value(serde_json::json!({"sha": "abc", "siblings": siblings, "private": false})).unwrap()
    }

    fn chosen(files: &[&str]) -> Vec<String> {
        listing(files).files().unwrap().into_iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn only_what_is_read_is_fetched() {
        let others = ["README.md", "flax_model.msgpack", "pytorch_model.bin", "tf_model.h5", "merges.txt"];
        let openai = [
            &others[..],
            &["added_tokens.json", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json"],
            &["vocab.json", "normalizer.json", "preprocessor_config.json"],
        ];
        assert_eq!(
            chosen(&openai.concat()),
            ["config.json", "generation_config.json", "tokenizer.json", "model.safetensors"]
        );
        assert_eq!(chosen(&["config.json", "vocab.json", "model.safetensors"]).len(), 3);
        let parts = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
        let sharded = [&["config.json", "tokenizer.json", INDEX][..], &parts].concat();
        assert_eq!(chosen(&sharded).len(), 5);
        assert_eq!(chosen(&[&sharded[..], &["model.safetensors"]].concat()).len(), 3, "the whole one does");
        assert_eq!(
            chosen(&["README.md", "config.json", "model.bin", "tokenizer.json", "vocabulary.txt"]),
            ["config.json", "vocabulary.txt", "model.bin"]
        );
    }

    #[test]
    fn weights_are_known_by_their_sha256_and_small_files_by_gits_name() {
        let files = listing(&["config.json", "model.bin", "vocabulary.txt"]).files().unwrap();
        assert_eq!(files[0].checksum, Checksum::Blob("a".repeat(40)));
        assert_eq!((files[2].size, &files[2].checksum), (9000, &Checksum::Sha256("c".repeat(64))));
    }

    #[test]
    fn what_is_no_model_is_told_why() {
        let why = |files: &[&str]| listing(files).files().unwrap_err();
        assert!(why(&["config.json", "pytorch_model.bin"]).contains("save_pretrained"));
        assert!(why(&["README.md"]).contains("neither"));
        let mut odd = listing(&["config.json", INDEX, "model-../../x.safetensors"]);
        assert!(odd.files().unwrap_err().contains("no name"));
        odd.siblings.pop();
        odd.siblings[0].blob_id = Some("short".into());
        assert!(odd.files().unwrap_err().contains("digest"));
    }
}
