//! A Whisper model on disk, whatever its format: a ggml file, a Hugging Face folder with safetensors, or a CTranslate2
//! folder. Out come its [shape](ModelShape), its [tokens](Vocabulary), its mel filters, and its tensors by the names
//! that OpenAI's code has for them.
//!
//! Everything is checked when it is opened, before a weight is read or memory is taken for it: sizes, names, extents,
//! types and that all of it is in the files. Tensors are read one at a time.

pub(crate) mod filters;
pub(crate) mod shape;
#[cfg(any(feature = "whisper-cpp", feature = "onnx-engine"))]
pub(crate) mod tokenizer;
pub(crate) mod vocabulary;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

pub use self::shape::ModelShape;
pub use self::vocabulary::{Special, Vocabulary};
use super::ctranslate2::Ctranslate2Folder;
use super::error::ModelError;
use super::ggml::{self, GgmlFile};
use super::hugging_face::HuggingFaceFolder;

/// How a model is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A ggml file, as whisper.cpp reads.
    Ggml,
    /// A folder with `config.json` and safetensors.
    HuggingFace,
    /// A folder with `model.bin`, as faster-whisper reads.
    Ctranslate2,
}

/// Numbers of a tensor, row by row.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored {
    /// As they are.
    Floats(Vec<f32>),
    /// Bytes, as a quantised model has them: those of row n are to be multiplied by `scales[n]`.
    Bytes {
        /// All rows.
        numbers: Vec<i8>,
        /// A scale for each row.
        scales: Vec<f32>,
    },
}

impl Stored {
    /// The numbers as floats.
    pub fn into_floats(self) -> Vec<f32> {
        match self {
            Self::Floats(numbers) => numbers,
            Self::Bytes { numbers, scales } => {
                let width = numbers.len() / scales.len().max(1);
                let rows = numbers.chunks_exact(width.max(1)).zip(scales);
                rows.flat_map(|(row, scale)| row.iter().map(move |byte| scale * f32::from(*byte))).collect()
            }
        }
    }

    /// These rows and those of `other` behind them; as bytes if both are.
    pub fn append(self, other: Self) -> Self {
        match (self, other) {
            (Self::Bytes { mut numbers, mut scales }, Self::Bytes { numbers: more, scales: theirs }) => {
                numbers.extend(more);
                scales.extend(theirs);
                Self::Bytes { numbers, scales }
            }
            (first, second) => {
                let mut numbers = first.into_floats();
                numbers.extend(second.into_floats());
                Self::Floats(numbers)
            }
        }
    }
}

/// What a model's files say about decoding, beside sizes and tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Advice {
    /// Layer and head of each cross-attention that is aligned with the audio.
    pub alignment_heads: Option<Vec<(usize, usize)>>,
    /// Tokens that are never to be chosen.
    pub suppressed: Option<Vec<i32>>,
    /// Tokens that are not to be chosen first.
    pub suppressed_at_start: Option<Vec<i32>>,
}

/// An open model.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    shape: ModelShape,
    vocabulary: Vocabulary,
    advice: Advice,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Ggml(GgmlFile),
    HuggingFace(HuggingFaceFolder),
    Ctranslate2(Ctranslate2Folder),
}

/// Checks that an engine can load what is at `path`, and tells what it is.
pub fn inspect(path: &Path) -> Result<ModelShape, ModelError> {
    if path.is_dir() {
        return Checkpoint::open(path).map(|checkpoint| checkpoint.shape);
    }
    Ok(ggml::inspect(path)?.shape)
}

impl Checkpoint {
    /// Opens and checks a file or folder.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let bad = |reason: String| ModelError::NotAModel { path: path.into(), reason };
        let (shape, vocabulary, advice, source) = match format(path)? {
            Format::Ggml => {
                let mut file = GgmlFile::open(path)?;
                let shape = file.header().shape;
                let vocabulary = Vocabulary::numbered(&shape, file.take_vocabulary());
                (shape, vocabulary, Advice::default(), Source::Ggml(file))
            }
            Format::HuggingFace => {
                let (folder, about) = HuggingFaceFolder::open(path)?;
                let vocabulary = Vocabulary::named(&about.shape, &about.tokens, &about.told).map_err(bad)?;
                (about.shape, vocabulary, about.advice, Source::HuggingFace(folder))
            }
            Format::Ctranslate2 => {
                let (folder, about) = Ctranslate2Folder::open(path)?;
                let vocabulary = Vocabulary::named(&about.shape, &about.tokens, &about.told).map_err(bad)?;
                (about.shape, vocabulary, about.advice, Source::Ctranslate2(folder))
            }
        };
        Ok(Self { path: path.to_owned(), shape, vocabulary, advice: advice.within(&shape), source })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How it is stored.
    pub fn format(&self) -> Format {
        match self.source {
            Source::Ggml(_) => Format::Ggml,
            Source::HuggingFace(_) => Format::HuggingFace,
            Source::Ctranslate2(_) => Format::Ctranslate2,
        }
    }

    /// Its sizes.
    pub fn shape(&self) -> &ModelShape {
        &self.shape
    }

    /// Its tokens.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// What its files say about decoding.
    pub fn advice(&self) -> &Advice {
        &self.advice
    }

    /// The mel filters, a row of 201 frequencies for each band: the file's own, or else as OpenAI computed them.
    pub fn filters(&self) -> Cow<'_, [f32]> {
        match &self.source {
            Source::Ggml(file) => Cow::Borrowed(file.filters()),
            _ => Cow::Owned(filters::slaney(self.shape.mels)),
        }
    }

    /// The tensor that OpenAI's code and ggml files call `name`, row by row. Errors: there is none, or the files
    /// changed since they were opened.
    pub fn tensor(&mut self, name: &str) -> Result<Vec<f32>, ModelError> {
        self.stored(name).map(Stored::into_floats)
    }

    /// The same as it is stored: as bytes where the model was quantised with a scale for each row.
    pub fn stored(&mut self, name: &str) -> Result<Stored, ModelError> {
        match &mut self.source {
            Source::Ggml(file) => file.tensor(name).map(Stored::Floats),
            Source::HuggingFace(folder) => folder.tensor(name).map(Stored::Floats),
            Source::Ctranslate2(folder) => folder.tensor(name),
        }
    }
}

impl Advice {
    /// What of it can be meant for a model of this shape. Distilled models bring their teacher's alignment heads, of
    /// layers that they have no more.
    fn within(mut self, shape: &ModelShape) -> Self {
        if let Some(heads) = &mut self.alignment_heads {
            let count = heads.len();
            heads.retain(|(layer, head)| *layer < shape.text_layers && *head < shape.text_heads);
            heads.sort_unstable();
            heads.dedup();
            if heads.len() < count {
                tracing::warn!(left = heads.len(), "alignment heads that the model has not are left out");
            }
        }
        self.alignment_heads = self.alignment_heads.filter(|heads| !heads.is_empty());
        for tokens in [&mut self.suppressed, &mut self.suppressed_at_start].into_iter().flatten() {
            tokens.retain(|token| usize::try_from(*token).is_ok_and(|token| token < shape.vocabulary));
        }
        self
    }
}

/// What a folder says of a model beside the weights.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) shape: ModelShape,
    /// Names of the tokens by number.
    pub(crate) tokens: Vec<Option<String>>,
    pub(crate) told: vocabulary::Told,
    pub(crate) advice: Advice,
}

/// The format of what is at `path`, by the names of the files in a folder.
fn format(path: &Path) -> Result<Format, ModelError> {
    if !path.is_dir() {
        return Ok(Format::Ggml);
    }
    let has = |file: &str| path.join(file).exists();
    if has("model.safetensors") || has("model.safetensors.index.json") {
        return Ok(Format::HuggingFace);
    }
    if has("model.bin") {
        return Ok(Format::Ctranslate2);
    }
    let reason = if has("pytorch_model.bin") || has("pytorch_model.bin.index.json") {
        "its weights are in PyTorch's own format, which can run programs when it is read; save it as safetensors with \
         transformers: `model.save_pretrained(folder, safe_serialization=True)`"
    } else if has("adapter_model.safetensors") {
        "it is an adapter (LoRA) without the model that it changes; merge them and save the whole"
    } else {
        "it is a folder without model.safetensors (Hugging Face) or model.bin (CTranslate2); for whisper.cpp's format \
         give the ggml .bin file itself"
    };
    Err(ModelError::NotAModel { path: path.into(), reason: reason.into() })
}

#[cfg(test)]
mod tests {
    use super::shape::tests::TINY_EN;
    use super::*;

    #[test]
    fn bytes_are_multiplied_by_their_rows_scale() {
        let stored = Stored::Bytes { numbers: vec![1, -2, 3, 127], scales: vec![0.5, 2.0] };
        assert_eq!(stored.clone().into_floats(), [0.5, -1.0, 6.0, 254.0]);
        let both = stored.clone().append(stored.clone());
        assert_eq!(both, Stored::Bytes { numbers: [1, -2, 3, 127].repeat(2), scales: [0.5, 2.0].repeat(2) });
        let mixed = stored.append(Stored::Floats(vec![7.0, 8.0]));
        assert_eq!(mixed, Stored::Floats(vec![0.5, -1.0, 6.0, 254.0, 7.0, 8.0]));
    }

    #[test]
    fn advice_for_another_model_is_left_out() {
        let advice = Advice {
            alignment_heads: Some(vec![(10, 0), (3, 5), (1, 0), (3, 5), (0, 6)]),
            suppressed: Some(vec![-1, 7, 51_864]),
            suppressed_at_start: None,
        };
        let advice = advice.within(&TINY_EN);
        assert_eq!(advice.alignment_heads, Some(vec![(1, 0), (3, 5)]));
        assert_eq!(advice.suppressed, Some(vec![7]));
        let none = Advice { alignment_heads: Some(vec![(10, 0)]), ..Advice::default() };
        assert_eq!(none.within(&TINY_EN), Advice::default());
    }

    #[test]
    fn folders_of_other_kinds_say_what_is_wanted() {
        for (file, complaint) in [
            (None, "model.safetensors"),
            (Some("pytorch_model.bin"), "safe_serialization"),
            (Some("adapter_model.safetensors"), "merge"),
            (Some("ggml-tiny.bin"), "the ggml .bin file itself"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            file.iter().for_each(|file| std::fs::write(folder.path().join(file), b"x").unwrap());
            let message = Checkpoint::open(folder.path()).unwrap_err().to_string();
            assert!(message.contains(complaint), "{message}");
        }
    }
}
