//! What a model file holds, for an engine that reads the weights itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::dequantise::dequantise;
use super::tensors::TensorType;
use super::{open, read, GgmlHeader};
use crate::models::error::ModelError;

/// Where a tensor's numbers are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Located {
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) kind: &'static TensorType,
}

/// What a walk has passed.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) filters: Vec<f32>,
    pub(super) vocabulary: Vec<Vec<u8>>,
    pub(super) tensors: BTreeMap<String, Located>,
}

/// A checked model file, open for reading. Weights are read and made floats of one tensor at a time, so that no more
/// than one is in memory twice.
#[derive(Debug)]
pub struct GgmlFile {
    path: PathBuf,
    file: File,
    header: GgmlHeader,
    contents: Contents,
}

impl GgmlFile {
    /// Walks the file at `path` as [`inspect`](super::inspect) does.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let (file, len) = open(path)?;
        let mut contents = Contents::default();
        let header = read(&file, len, Some(&mut contents)).map_err(|defect| defect.at(path))?;
        Ok(Self { path: path.into(), file, header, contents })
    }

    /// What the file says of itself.
    pub fn header(&self) -> &GgmlHeader {
        &self.header
    }

    /// The mel filters, `n_mels` rows of 201 frequencies.
    pub fn filters(&self) -> &[f32] {
        &self.contents.filters
    }

    /// Bytes of each token that is in the file, the text tokens at least; the second time there are none.
    pub(crate) fn take_vocabulary(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.contents.vocabulary)
    }

    /// The numbers of the tensor called `name`, row by row. Errors: there is none, its type can't be read, or the file
    /// changed.
    pub fn tensor(&mut self, name: &str) -> Result<Vec<f32>, ModelError> {
        let bad = |reason: String| ModelError::NotAModel { path: self.path.clone(), reason };
        let Some(located) = self.contents.tensors.get(name) else {
            return Err(bad(format!("there is no tensor '{name}' in it")));
        };
        // No more than the file had when it was walked.
        let mut bytes = vec![0; located.bytes as usize];
        let result = self.file.seek(SeekFrom::Start(located.offset)).and_then(|_| self.file.read_exact(&mut bytes));
        result.map_err(|source| ModelError::Unreadable { path: self.path.clone(), source })?;
        dequantise(&bytes, located.kind.name)
            .ok_or_else(|| bad(format!("its weights are of type {}, which can't be read", located.kind.name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::ggml::sample;

    #[test]
    fn tensors_are_read_by_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.bin");
        std::fs::write(&path, sample::model(0)).unwrap();
        let mut file = GgmlFile::open(&path).unwrap();
        assert_eq!((file.header().shape.state, file.filters().len()), (32, 80 * 201));
        let vocabulary = file.take_vocabulary();
        assert_eq!((vocabulary.len(), &vocabulary[7][..]), (50_257, &[7][..]));
        assert_eq!(file.tensor("encoder.conv1.weight").unwrap(), [0.0; 3 * 80 * 32]);
        assert_eq!(file.tensor("decoder.blocks.0.mlp.0.weight").unwrap().len(), 32 * 128);
        assert!(file.tensor("decoder.blocks.1.mlp.0.weight").unwrap_err().to_string().contains("no tensor"));
    }

    #[test]
    fn a_file_that_shrinks_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.bin");
        std::fs::write(&path, sample::model(1)).unwrap();
        let mut file = GgmlFile::open(&path).unwrap();
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1_000).unwrap();
        assert!(matches!(file.tensor("decoder.ln.weight"), Err(ModelError::Unreadable { .. })));
    }

    #[test]
    fn numbers_of_the_bundled_model_are_weights() {
        let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/ggml-tiny.en-q8_0.bin");
        let mut file = GgmlFile::open(model.as_ref()).unwrap();
        for name in ["encoder.blocks.0.attn.query.weight", "decoder.token_embedding.weight", "decoder.ln.weight"] {
            let numbers = file.tensor(name).unwrap();
            let mean_square = numbers.iter().map(|n| n * n).sum::<f32>() / numbers.len() as f32;
            assert!(
                numbers.iter().all(|n| n.is_finite()) && (1e-5..1_000.0).contains(&mean_square),
                "{name} {mean_square}"
            );
        }
    }
}
