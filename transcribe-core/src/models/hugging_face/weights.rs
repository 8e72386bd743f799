//! Safetensors, one file or several with an index. The `safetensors` crate reads and checks the headers: types, extents
//! and places that fit each other, without gaps or overlaps. Numbers are then read where the header has them. (Mapping
//! the files into memory would gain nothing, as each tensor is converted once, and a mapped file that shrinks ends the
//! process.)

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::tensor::Metadata;
use safetensors::Dtype;
use serde::Deserialize;

use super::names;
use crate::models::checkpoint::shape::Required;
use crate::models::error::ModelError;
use crate::models::{folder, numbers};

/// Longest header believed; that of a large Whisper model has some 150 kB.
const LONGEST_HEADER: u64 = 16 << 20;
/// Most files believed.
const MOST_FILES: usize = 256;

/// `model.safetensors.index.json`.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The open files, and which of them has each tensor.
#[derive(Debug)]
pub(super) struct Shards {
    files: Vec<Shard>,
    /// Names as in the files.
    places: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    file: File,
    /// Where the numbers begin.
    start: u64,
    header: Metadata,
}

impl Shards {
    /// Opens a folder's `model.safetensors`, or the files of its index.
    pub(super) fn open(folder: &Path) -> Result<Self, ModelError> {
        let whole = folder.join("model.safetensors");
        if std::fs::symlink_metadata(&whole).is_ok() {
            let shard = Shard::open(whole)?;
            let places = shard.header.tensors().into_keys().map(|name| (name, 0)).collect();
            return Ok(Self { files: vec![shard], places });
        }
        let path = folder.join("model.safetensors.index.json");
        let index: Index = folder::json(&path)?;
        let bad = |reason: String| ModelError::NotAModel { path: path.clone(), reason };
        let names: BTreeSet<&String> = index.weight_map.values().collect();
        if names.len() > MOST_FILES {
            return Err(bad(format!("it names {} files; at most {MOST_FILES} are believed", names.len())));
        }
        let mut files = Vec::new();
        for name in &names {
            // Files beside the index only.
            if name.is_empty() || name.contains(['/', '\\', '\0']) || name.as_str() == ".." {
                return Err(bad(format!("it names '{}', which is no file of the folder", name.escape_debug())));
            }
            files.push(Shard::open(folder.join(name))?);
        }
        let numbers: BTreeMap<&String, usize> = names.into_iter().zip(0..).collect();
        let mut places = BTreeMap::new();
        for (tensor, file) in &index.weight_map {
            let number = numbers[file];
            if files[number].header.info(tensor).is_none() {
                let tensor = tensor.escape_debug();
                return Err(bad(format!("it has tensor '{tensor}' in {file}, where it is not; download both again")));
            }
            places.insert(tensor.clone(), number);
        }
        Ok(Self { files, places })
    }

    /// Whether there is a tensor of this name, as transformers has it.
    pub(super) fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Checks that a tensor is there, has these extents, and is of a type that can be read.
    pub(super) fn check(&self, required: &Required) -> Result<(), ModelError> {
        let (shard, name) = self.find(&required.name)?;
        let Some(info) = shard.header.info(&name) else { return Err(shard.bad(format!("no tensor '{name}'"))) };
        if info.shape != required.dims {
            return Err(shard.bad(format!(
                "tensor '{name}' has the shape {:?}; config.json asks for {:?}",
                info.shape, required.dims
            )));
        }
        if !matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return Err(shard.bad(format!(
                "tensor '{name}' is of type {:?}; save the model as float32, float16 or bfloat16",
                info.dtype
            )));
        }
        Ok(())
    }

    /// The numbers of the tensor that OpenAI calls `name`.
    pub(super) fn tensor(&mut self, name: &str) -> Result<Vec<f32>, ModelError> {
        let (shard, name) = self.find(name)?;
        let Some(info) = shard.header.info(&name) else { return Err(shard.bad(format!("no tensor '{name}'"))) };
        let (from, to) = info.data_offsets;
        // No more than the file had when it was opened.
        let mut bytes = vec![0; to - from];
        let mut file = &shard.file;
        let read = file.seek(SeekFrom::Start(shard.start + from as u64)).and_then(|_| file.read_exact(&mut bytes));
        read.map_err(|source| ModelError::Unreadable { path: shard.path.clone(), source })?;
        Ok(match info.dtype {
            Dtype::F16 => numbers::halves(&bytes),
            Dtype::BF16 => numbers::brain_floats(&bytes),
            _ => numbers::singles(&bytes),
        })
    }

    /// The file with the tensor that OpenAI calls `name`, and its name there.
    fn find(&self, name: &str) -> Result<(&Shard, String), ModelError> {
        let plain = names::translate(name).unwrap_or_else(|| name.to_owned());
        let prefixed = format!("model.{plain}");
        for name in [prefixed, plain.clone()] {
            if let Some(number) = self.places.get(&name) {
                return Ok((&self.files[*number], name));
            }
        }
        let path = self.files.first().map(|shard| shard.path.clone()).unwrap_or_default();
        let reason = format!("there is no tensor '{plain}' in it; take all files of the model");
        Err(ModelError::NotAModel { path, reason })
    }
}

impl Shard {
    /// Opens a file and reads its header.
    fn open(path: PathBuf) -> Result<Self, ModelError> {
        let (mut file, len) = folder::open(&path)?;
        let bad = |reason: String| ModelError::NotAModel { path: path.clone(), reason };
        let unreadable = |source| ModelError::Unreadable { path: path.clone(), source };
        if len < 8 {
            return Err(bad(format!("it has {len} bytes, too few for a safetensors file; download it again")));
        }
        let mut size = [0; 8];
        file.read_exact(&mut size).map_err(unreadable)?;
        let size = u64::from_le_bytes(size);
        if size > LONGEST_HEADER {
            let reason = if size.to_le_bytes().starts_with(b"version ") {
                "it is a Git LFS pointer, not the file it stands for; fetch that with `git lfs pull`".to_owned()
            } else {
                format!("its header would have {size} bytes; at most {LONGEST_HEADER} are believed. Is it safetensors?")
            };
            return Err(bad(reason));
        }
        if size > len - 8 {
            return Err(bad(format!("the file is cut off after {len} bytes, within its header; download it again")));
        }
        let mut header = vec![0; size as usize];
        file.read_exact(&mut header).map_err(unreadable)?;
        // This checks places against extents and types, and that there are no gaps or overlaps.
        let header: Metadata = serde_json::from_slice(&header)
            .map_err(|error| bad(format!("its header can't be used: {error}; download it again")))?;
        let (there, wanted) = (len - 8 - size, header.data_len() as u64);
        if there != wanted {
            let what = if there < wanted { "is cut off" } else { "goes on behind its last tensor" };
            return Err(bad(format!(
                "the file {what}: {wanted} bytes of numbers are told, {there} are there; download it again"
            )));
        }
        Ok(Self { path, file, start: 8 + size, header })
    }

    fn bad(&self, reason: String) -> ModelError {
        ModelError::NotAModel { path: self.path.clone(), reason }
    }
}
