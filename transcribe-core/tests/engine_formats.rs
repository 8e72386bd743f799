//! The engine on ONNX Runtime with the same model in other formats: real weights, real speech, the same words.

mod common;
#[path = "common/folders.rs"]
mod folders;

use std::path::{Path, PathBuf};

use common::{clips, errors, job, root, words, Clip};
use folders::{ctranslate2, hugging_face, HuggingFace, Numbers};
use transcribe_core::engine::device::Device;
use transcribe_core::engine::onnx::{Onnx, Precision};
use transcribe_core::engine::whisper_cpp::WhisperCpp;
use transcribe_core::engine::{DecodeOptions, Engine, EngineError, Hypothesis, Task};
use transcribe_core::models::checkpoint::{Checkpoint, Format, Stored};
use transcribe_core::runtime::{EngineKind, Model, ModelKey};

fn tiny() -> PathBuf {
    root().join("models/ggml-tiny.en-q8_0.bin")
}

fn load(path: &Path, precision: Precision) -> Onnx {
    Onnx::load(path, &Device::Cpu, precision, None, 1).expect("the model loads")
}

fn decode(engine: &dyn Engine, clip: &Clip, options: &DecodeOptions) -> Hypothesis {
    engine.transcribe(&[job(&clip.audio, options)], 1).remove(0).expect("the job is decoded")
}

fn texts(engine: &dyn Engine) -> Vec<String> {
    clips().iter().map(|clip| decode(engine, clip, &DecodeOptions::default()).text()).collect()
}

/// Wrong words of all clips.
fn wrong(engine: &dyn Engine) -> usize {
    clips().iter().zip(texts(engine)).map(|(clip, heard)| errors(&heard, &clip.text)).sum()
}

/// A folder made of tiny.en.
#[allow(clippy::unwrap_used)]
fn folder(make: impl FnOnce(&Path, &Path)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    make(&tiny(), folder.path());
    folder
}

fn safetensors(numbers: Numbers, files: usize) -> tempfile::TempDir {
    folder(|ggml, folder| hugging_face(ggml, folder, HuggingFace { numbers, files, untied: false }))
}

#[test]
fn the_weights_are_those_of_the_ggml_file() {
    let mut ours = Checkpoint::open(&tiny()).unwrap();
    let folders = [
        (safetensors(Numbers::F32, 1), Format::HuggingFace),
        (folder(|ggml, folder| ctranslate2(ggml, folder, Numbers::F32)), Format::Ctranslate2),
    ];
    for (folder, format) in folders {
        let mut theirs = Checkpoint::open(folder.path()).unwrap();
        assert_eq!((theirs.format(), theirs.shape()), (format, ours.shape()));
        assert_eq!(theirs.vocabulary(), ours.vocabulary());
        for name in [
            "encoder.conv2.weight",
            "encoder.positional_embedding",
            "encoder.blocks.3.attn.key.weight",
            "encoder.blocks.0.mlp.2.bias",
            "decoder.blocks.1.cross_attn.value.weight",
            "decoder.blocks.2.attn.out.bias",
            "decoder.token_embedding.weight",
            "decoder.ln.bias",
        ] {
            assert!(theirs.tensor(name).unwrap() == ours.tensor(name).unwrap(), "{format:?} {name}");
        }
        let worst = ours.filters().iter().zip(theirs.filters().iter()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-6, "mel filters: {worst}");
    }
}

#[test]
fn in_single_precision_the_words_are_the_same() {
    let expected = texts(&load(&tiny(), Precision::F32));
    assert!(expected.iter().all(|text| !text.is_empty()));
    for (name, folder) in [
        ("safetensors f32", safetensors(Numbers::F32, 1)),
        ("safetensors f16 in three files", safetensors(Numbers::F16, 3)),
        ("CTranslate2 f32", folder(|ggml, folder| ctranslate2(ggml, folder, Numbers::F32))),
        ("CTranslate2 f16", folder(|ggml, folder| ctranslate2(ggml, folder, Numbers::F16))),
    ] {
        assert_eq!(texts(&load(folder.path(), Precision::F32)), expected, "{name}");
    }
}

#[test]
fn in_eight_bits_no_format_costs_more_than_a_point() {
    let total: usize = clips().iter().map(|clip| words(&clip.text).len()).sum();
    let expected = wrong(&load(&tiny(), Precision::F32));
    for (name, folder) in [
        ("safetensors bf16", safetensors(Numbers::Bf16, 1)),
        ("safetensors f32", safetensors(Numbers::F32, 2)),
        ("CTranslate2 f16", folder(|ggml, folder| ctranslate2(ggml, folder, Numbers::F16))),
        ("CTranslate2 int16", folder(|ggml, folder| ctranslate2(ggml, folder, Numbers::Int16))),
        ("CTranslate2 int8", folder(|ggml, folder| ctranslate2(ggml, folder, Numbers::Int8))),
    ] {
        let wrong = wrong(&load(folder.path(), Precision::Int8));
        println!("{name}: {wrong} of {total} words wrong, in single precision from ggml {expected}");
        assert!(100 * wrong.saturating_sub(expected) <= 2 * total, "{name}: {wrong} and {expected} of {total}");
    }
}

#[test]
fn bytes_are_taken_as_they_are() {
    let folder = folder(|ggml, folder| ctranslate2(ggml, folder, Numbers::Int8));
    let mut checkpoint = Checkpoint::open(folder.path()).unwrap();
    let Stored::Bytes { numbers, scales } = checkpoint.stored("decoder.blocks.0.attn.key.weight").unwrap() else {
        panic!("bytes");
    };
    assert_eq!((numbers.len(), scales.len()), (384 * 384, 384));
    assert!(numbers.chunks(384).all(|row| row.iter().any(|byte| byte.unsigned_abs() == 127)), "each row uses all bits");
    // In the engine, they are worth what they are in single precision.
    let (bytes, floats) = (wrong(&load(folder.path(), Precision::Int8)), wrong(&load(folder.path(), Precision::F32)));
    println!("{bytes} words wrong in bytes, {floats} in single precision");
    assert!(bytes <= floats + 2);
}

#[test]
fn a_head_of_its_own_makes_the_same_words_of_the_same_weights() {
    let untied = HuggingFace { numbers: Numbers::F32, files: 1, untied: true };
    let folder = folder(|ggml, folder| hugging_face(ggml, folder, untied));
    let same = safetensors(Numbers::F32, 1);
    assert!(!Checkpoint::open(folder.path()).unwrap().shape().tied);
    for precision in [Precision::F32, Precision::Int8] {
        let (own, tied) = (load(folder.path(), precision), load(same.path(), precision));
        for clip in &clips()[..3] {
            let [own, tied] = [&own, &tied].map(|engine| decode(engine, clip, &DecodeOptions::default()));
            assert_eq!(own.text(), tied.text(), "{precision:?}");
        }
    }
}

#[test]
fn auto_takes_the_engine_that_reads_the_model() {
    let folder = safetensors(Numbers::F16, 1);
    let key = |path: &Path, engine| ModelKey { path: path.to_owned(), engine, device: Device::Cpu };
    let auto = Model::load(&key(folder.path(), EngineKind::Auto)).unwrap();
    let expected = decode(&load(folder.path(), Precision::Int8), &clips()[1], &DecodeOptions::default());
    assert!(!expected.is_empty());
    assert_eq!(decode(auto.engine().as_ref(), &clips()[1], &DecodeOptions::default()), expected);
    let Err(EngineError::Load { reason, .. }) = Model::load(&key(folder.path(), EngineKind::WhisperCpp)) else {
        panic!("whisper.cpp reads no folders");
    };
    assert!(reason.contains("folder") && reason.contains("engine to onnx"), "{reason}");
}

/// The multilingual model, if it is at hand.
fn base() -> Option<PathBuf> {
    let path = root().join("../shared/models/ggml-base-q5_1.bin");
    if !path.exists() {
        println!("skipped: there is no {}", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn a_multilingual_folder_detects_and_translates() {
    let Some(base) = base() else { return };
    let folder = tempfile::tempdir().unwrap();
    hugging_face(&base, folder.path(), HuggingFace { numbers: Numbers::F16, files: 2, untied: false });
    let engine = load(folder.path(), Precision::Int8);
    assert!(engine.info().multilingual);
    let clips = clips();
    for clip in &clips[..2] {
        let heard = decode(&engine, clip, &DecodeOptions::default());
        assert_eq!(heard.language, "en");
        assert!(errors(&heard.text(), &clip.text) <= 2, "{}", heard.text());
    }
    let options = DecodeOptions { language: Some("en".into()), task: Task::Translate, ..DecodeOptions::default() };
    assert!(errors(&decode(&engine, &clips[0], &options).text(), &clips[0].text) <= 6);
    let cantonese = DecodeOptions { language: Some("yue".into()), ..DecodeOptions::default() };
    assert!(matches!(engine.check(&cantonese), Err(EngineError::Options(reason)) if reason.contains("yue")));
}

/// whisper.cpp's own quantisation of base into each of the k-quants, read by both engines.
#[test]
fn k_quants_say_what_whisper_cpp_makes_of_them() {
    let Some(base) = base() else { return };
    let folder = tempfile::tempdir().unwrap();
    let clip = &clips()[0];
    let options = DecodeOptions { fallback: false, language: Some("en".into()), ..DecodeOptions::default() };
    for (name, id) in [("q2_k", 10), ("q3_k", 11), ("q4_k", 12), ("q5_k", 13), ("q6_k", 14)] {
        let path = folder.path().join("quantised.bin");
        quantise(&base, &path, id);
        let ours = decode(&load(&path, Precision::F32), clip, &options);
        let theirs = decode(&WhisperCpp::load(&path, &Device::Cpu, 1).unwrap(), clip, &options);
        println!("{name}: {} | {}", ours.text(), theirs.text());
        // whisper.cpp makes bytes of activations, so that a word may differ.
        assert!(errors(&ours.text(), &theirs.text()) <= 2, "{name}: {} | {}", ours.text(), theirs.text());
        assert!(errors(&ours.text(), &clip.text) <= 2 || id == 10, "{name}: {}", ours.text());
    }
}

/// Writes a ggml file anew with its matrices in another type, by ggml's own quantisation.
#[allow(clippy::unwrap_used)]
fn quantise(from: &Path, to: &Path, kind: i32) {
    use whisper_rs::whisper_rs_sys::{ggml_quantize_chunk, ggml_row_size};

    let mut model = Checkpoint::open(from).unwrap();
    let file = std::fs::read(from).unwrap();
    let int = |at: usize| i32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    // Header, filters, vocabulary.
    let mut at = 48 + 4 * (2 + int(48) as usize * int(52) as usize);
    let tokens = int(at);
    at += 4;
    (0..tokens).for_each(|_| at += 4 + int(at) as usize);
    let mut out = file[..at].to_vec();
    out[44..48].copy_from_slice(&(2000 + kind).to_le_bytes());
    while at < file.len() {
        let (dims, name_len, id) = (int(at) as usize, int(at + 4) as usize, int(at + 8));
        let extents: Vec<usize> = (0..dims).map(|n| int(at + 12 + 4 * n) as usize).collect();
        let names = at + 12 + 4 * dims;
        let name = std::str::from_utf8(&file[names..names + name_len]).unwrap();
        let data = names + name_len;
        let numbers: usize = extents.iter().product();
        // SAFETY: it computes from its arguments alone; the types are ones that ggml has.
        let old = unsafe { ggml_row_size(id as u32, numbers as i64) };
        if id <= 1 {
            out.extend(&file[at..data + old]);
        } else {
            out.extend(&file[at..at + 8]);
            out.extend(kind.to_le_bytes());
            out.extend(&file[at + 12..data]);
            let floats = model.tensor(name).unwrap();
            // SAFETY: as above.
            let mut bytes = vec![0u8; unsafe { ggml_row_size(kind as u32, numbers as i64) }];
            let (width, rows) = (extents[0] as i64, (numbers / extents[0]) as i64);
            let pointer = bytes.as_mut_ptr().cast();
            let none = std::ptr::null();
            // SAFETY: it reads as many floats as `floats` has, and writes as many bytes as `bytes` was made for.
            let written = unsafe { ggml_quantize_chunk(kind as u32, floats.as_ptr(), pointer, 0, rows, width, none) };
            assert_eq!(written, bytes.len());
            out.extend(bytes);
        }
        at = data + old;
    }
    std::fs::write(to, out).unwrap();
}
