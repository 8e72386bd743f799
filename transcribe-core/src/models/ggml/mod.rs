//! Validation of a ggml model file before whisper.cpp gets to see it.
//!
//! whisper.cpp trusts the file: it allocates what a length field says, aborts on a type it doesn't know and believes
//! half a file to be the whole. [`inspect`] walks the file as the loader would, without reading weights or
//! allocating by what the file says: header, mel filters, vocabulary, and every tensor's name, type and shape.
//! The same walk tells [`GgmlFile`] where things are, for an engine that reads the weights itself.

mod contents;
mod dequantise;
mod foreign;
mod k_quants;
#[cfg(any(test, fuzzing))]
pub(crate) mod sample;
mod tensors;

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

pub use self::contents::GgmlFile;
use self::contents::{Contents, Located};
use self::tensors::{Expected, TensorType};
use super::checkpoint::shape::{
    AUDIO_CONTEXT, ENGLISH_VOCABULARY, MOST_HEADS, MOST_LAYERS, TEXT_CONTEXT, WIDEST_STATE,
};
use super::checkpoint::vocabulary::is_multilingual;
use super::checkpoint::ModelShape;
use super::error::ModelError;
use super::reader::{Defect, Reader};
use super::{folder, numbers};

/// The first four bytes, little-endian.
const MAGIC: u32 = 0x6767_6d6c;
/// The loader takes the file type modulo this; the rest is the version of the quantisation.
const VERSION_FACTOR: i32 = 1000;
/// Frequencies of the spectrum that the mel filters weigh; the loader's FFT has this size without asking.
const FREQUENCIES: i32 = 201;
/// Text tokens: the special ones that follow needn't be in the file.
const TEXT_TOKENS: u32 = 50_256;
/// Longest token believed, bytes; the longest known has 128.
const LONGEST_TOKEN: u32 = 1024;
/// Longest tensor name believed, bytes; the longest known has 43.
const LONGEST_NAME: i32 = 64;

/// What a valid model file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GgmlHeader {
    /// The model's sizes.
    pub shape: ModelShape,
    /// ggml's number for the type of most weights, without the quantisation's version.
    pub ftype: u32,
    /// Version of the quantisation, 0 where there is none.
    pub quantisation_version: u32,
    /// Type of most weights as ggml spells it: `f16`, `q5_1`, ….
    pub weights: &'static str,
}

/// Checks that whisper.cpp can load the file at `path`, and tells what it is.
pub fn inspect(path: &Path) -> Result<GgmlHeader, ModelError> {
    let (file, len) = open(path)?;
    read(file, len, None).map_err(|defect| defect.at(path))
}

/// The file and its length.
fn open(path: &Path) -> Result<(File, u64), ModelError> {
    if path.is_dir() {
        let reason =
            "it is a folder, and whisper.cpp reads files in ggml format only; give the ggml .bin file itself, or \
                      set the engine to onnx, which reads folders of Hugging Face and CTranslate2 models";
        return Err(ModelError::NotAModel { path: path.into(), reason: reason.into() });
    }
    folder::open(path)
}

/// Walks a file in memory.
#[cfg(fuzzing)]
pub(super) fn walk(file: impl Read + Seek, len: u64) -> Result<(), String> {
    read(file, len, Some(&mut Contents::default())).map(drop).map_err(|defect| format!("{defect:?}"))
}

/// Reads as many blocks of each type as there are in `bytes`.
#[cfg(fuzzing)]
pub(super) fn dequantise_all(bytes: &[u8]) {
    for kind in ["f32", "f16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k"] {
        let _ = dequantise::dequantise(bytes, kind);
    }
}

/// Walks a file; what it passes goes into `contents` if somebody wants it.
fn read(file: impl Read + Seek, len: u64, mut contents: Option<&mut Contents>) -> Result<GgmlHeader, Defect> {
    if len == 0 {
        return Err(Defect::Bad("the file is empty; download it again".into()));
    }
    let mut file = Reader::new(file, len);
    let start = file.peek(foreign::PREFIX)?;
    if let Some(found) = foreign::recognise(start, len) {
        let mend = if found.contains("safetensors") || found.contains("CTranslate2") {
            "give the folder that it lies in, for the engine on ONNX Runtime; "
        } else {
            ""
        };
        return Err(Defect::Bad(format!(
            "this looks like {found}; {mend}whisper.cpp wants a ggml .bin file, as `ggml-base.bin` of \
             ggerganov/whisper.cpp"
        )));
    }
    if file.u32()? != MAGIC {
        return Err(Defect::Bad("it doesn't start as a ggml file does, and is of no other known kind".into()));
    }
    let (header, weights) = read_header(&mut file)?;
    read_filters(&mut file, &header, contents.as_deref_mut())?;
    read_vocabulary(&mut file, &header, contents.as_deref_mut())?;
    walk_tensors(&mut file, &header, weights, contents)?;
    Ok(header)
}

fn read_header(file: &mut Reader<impl Read + Seek>) -> Result<(GgmlHeader, &'static TensorType), Defect> {
    let mut field = |name: &str, from: u32, to: u32| -> Result<u32, Defect> {
        let value = file.i32()?;
        match u32::try_from(value) {
            Ok(value) if (from..=to).contains(&value) => Ok(value),
            _ if from == to => Err(Defect::Bad(format!("{name} is {value}; Whisper has {from}"))),
            _ => Err(Defect::Bad(format!("{name} is {value}; {from} to {to} would be believed"))),
        }
    };
    let english = ENGLISH_VOCABULARY as u32;
    let n_vocab = field("n_vocab", english, english + 2)?;
    let n_audio_ctx = field("n_audio_ctx", AUDIO_CONTEXT as u32, AUDIO_CONTEXT as u32)?;
    let n_audio_state = field("n_audio_state", 2, WIDEST_STATE as u32)?;
    let n_audio_head = field("n_audio_head", 1, MOST_HEADS as u32)?;
    let n_audio_layer = field("n_audio_layer", 1, MOST_LAYERS as u32)?;
    let n_text_ctx = field("n_text_ctx", TEXT_CONTEXT as u32, TEXT_CONTEXT as u32)?;
    field("n_text_state", n_audio_state, n_audio_state)?;
    let n_text_head = field("n_text_head", 1, MOST_HEADS as u32)?;
    let n_text_layer = field("n_text_layer", 1, MOST_LAYERS as u32)?;
    let n_mels = field("n_mels", 80, 128)?;
    let ftype = field("ftype", 0, i32::MAX as u32)? as i32;

    if n_mels != 80 && n_mels != 128 {
        return Err(Defect::Bad(format!("n_mels is {n_mels}; Whisper has 80 or 128")));
    }
    for (what, heads) in [("n_audio_head", n_audio_head), ("n_text_head", n_text_head)] {
        if !n_audio_state.is_multiple_of(heads) {
            return Err(Defect::Bad(format!("{what} is {heads}, which does not divide the width {n_audio_state}")));
        }
    }
    let (version, ftype) = (ftype / VERSION_FACTOR, ftype % VERSION_FACTOR);
    let Some(weights) = TensorType::of_file_type(ftype) else {
        return Err(Defect::Bad(format!("its weights are of file type {ftype}, which is not supported")));
    };
    if !weights.accepts_version(version) {
        return Err(Defect::Bad(format!(
            "its {} weights have version {version} of the quantisation, which is not supported; quantise it anew",
            weights.name
        )));
    }
    if !u64::from(n_audio_state).is_multiple_of(weights.block) {
        return Err(Defect::Bad(format!(
            "a width of {n_audio_state} can't be stored in blocks of {} as {} does",
            weights.block, weights.name
        )));
    }
    let state = n_audio_state as usize;
    let shape = ModelShape {
        vocabulary: n_vocab as usize,
        mels: n_mels as usize,
        audio_context: n_audio_ctx as usize,
        text_context: n_text_ctx as usize,
        state,
        audio_heads: n_audio_head as usize,
        audio_layers: n_audio_layer as usize,
        audio_inner: 4 * state,
        text_heads: n_text_head as usize,
        text_layers: n_text_layer as usize,
        text_inner: 4 * state,
        multilingual: is_multilingual(n_vocab as usize),
        tied: true,
    };
    let header = GgmlHeader {
        shape,
        ftype: ftype.unsigned_abs(),
        quantisation_version: version.unsigned_abs(),
        weights: weights.name,
    };
    Ok((header, weights))
}

fn read_filters(
    file: &mut Reader<impl Read + Seek>,
    header: &GgmlHeader,
    contents: Option<&mut Contents>,
) -> Result<(), Defect> {
    let (bands, frequencies) = (file.i32()?, file.i32()?);
    if i64::from(bands) != header.shape.mels as i64 || frequencies != FREQUENCIES {
        return Err(Defect::Bad(format!(
            "its mel filters are {bands} × {frequencies}; {} × {FREQUENCIES} are expected",
            header.shape.mels
        )));
    }
    let bytes = header.shape.mels as u64 * FREQUENCIES as u64 * 4;
    let Some(contents) = contents else { return file.skip(bytes, "mel filters") };
    let mut weights = vec![0; bytes as usize]; // 100 kB at most
    file.fill(&mut weights)?;
    contents.filters = numbers::singles(&weights);
    Ok(())
}

fn read_vocabulary(
    file: &mut Reader<impl Read + Seek>,
    header: &GgmlHeader,
    mut contents: Option<&mut Contents>,
) -> Result<(), Defect> {
    let tokens = file.u32()?;
    if !(TEXT_TOKENS..=header.shape.vocabulary as u32).contains(&tokens) {
        return Err(Defect::Bad(format!(
            "its vocabulary has {tokens} tokens; {TEXT_TOKENS} to {} are expected",
            header.shape.vocabulary
        )));
    }
    for token in 0..tokens {
        let len = file.u32()?;
        if len > LONGEST_TOKEN {
            return Err(Defect::Bad(format!("token {token} has {len} bytes; at most {LONGEST_TOKEN} are believed")));
        }
        match &mut contents {
            None => file.skip(u64::from(len), "vocabulary")?,
            Some(contents) => {
                let mut bytes = vec![0; len as usize];
                file.fill(&mut bytes)?;
                contents.vocabulary.push(bytes);
            }
        }
    }
    Ok(())
}

fn walk_tensors(
    file: &mut Reader<impl Read + Seek>,
    header: &GgmlHeader,
    weights: &'static TensorType,
    mut contents: Option<&mut Contents>,
) -> Result<(), Defect> {
    let mut missing = Expected::all(&header.shape, weights);
    while !file.at_end() {
        if missing.is_empty() {
            return Err(Defect::Bad(format!("{} bytes stand behind the last tensor; download it again", file.left())));
        }
        let (dims, name_len, type_id) = (file.i32()?, file.i32()?, file.i32()?);
        if !(1..=3).contains(&dims) {
            return Err(Defect::Bad(format!("a tensor has {dims} dimensions")));
        }
        let mut shape = [1i32; 3];
        for extent in shape.iter_mut().take(dims.unsigned_abs() as usize) {
            *extent = file.i32()?;
        }
        if !(1..=LONGEST_NAME).contains(&name_len) {
            return Err(Defect::Bad(format!("a tensor's name has {name_len} bytes")));
        }
        let mut buffer = [0u8; LONGEST_NAME as usize];
        let name = &mut buffer[..name_len.unsigned_abs() as usize];
        file.fill(name)?;
        let name = String::from_utf8_lossy(name);

        let expected = missing.take(&name).map_err(|problem| Defect::Bad(problem.of(&name)))?;
        if shape.map(i64::from) != expected.shape {
            return Err(Defect::Bad(format!(
                "tensor '{name}' has the shape {shape:?}; the header asks for {:?}",
                expected.shape
            )));
        }
        if type_id != expected.kind.id {
            return Err(Defect::Bad(format!("tensor '{name}' has type {type_id}; {} is expected", expected.kind.name)));
        }
        let bytes = expected.bytes().ok_or_else(|| Defect::Bad(format!("tensor '{name}' is too big")))?;
        if let Some(contents) = &mut contents {
            let located = Located { offset: file.position(), bytes, kind: expected.kind };
            contents.tensors.insert(name.to_string(), located);
        }
        file.skip(bytes, &name)?;
    }
    match missing.first() {
        Some(first) => Err(Defect::Bad(format!(
            "the file is cut off: {} tensors are missing, the first is '{first}'; download it again",
            missing.len()
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
