//! The sample, and folders that lie.

use std::path::Path;

use proptest::prelude::*;
use serde_json::{json, Value};

use super::sample::{config, generation, safetensors, tokenizer, SHAPE};
use super::*;
use crate::models::checkpoint::{Checkpoint, ModelShape};

fn sample() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path()).unwrap();
    folder
}

/// The sample with another file.
fn with(file: &str, content: impl AsRef<[u8]>) -> tempfile::TempDir {
    let folder = sample();
    std::fs::write(folder.path().join(file), content).unwrap();
    folder
}

fn message(folder: &Path) -> String {
    Checkpoint::open(folder).unwrap_err().to_string()
}

fn without(file: &str) -> tempfile::TempDir {
    let folder = sample();
    std::fs::remove_file(folder.path().join(file)).unwrap();
    folder
}

/// Safetensors of this header and so many bytes of numbers.
fn headed(header: &str, numbers: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; numbers]].concat()
}

/// The sample's header and numbers.
fn parts() -> (Value, Vec<u8>) {
    let file = safetensors(&SHAPE);
    let size = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    (serde_json::from_slice(&file[8..8 + size]).unwrap(), file[8 + size..].to_vec())
}

#[test]
fn the_sample_is_valid() {
    let folder = sample();
    let mut checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(checkpoint.shape(), &SHAPE);
    assert_eq!(checkpoint.advice().alignment_heads, Some(vec![(0, 0)]));
    assert_eq!(checkpoint.advice().suppressed, Some(vec![1, 2]));
    assert_eq!(checkpoint.advice().suppressed_at_start, Some(vec![26, 27]));
    assert_eq!(checkpoint.vocabulary().special().no_timestamps, 35);
    assert_eq!(checkpoint.vocabulary().texts()[26], b" ");
    assert_eq!(checkpoint.tensor("encoder.blocks.0.attn.key.weight").unwrap(), [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(checkpoint.tensor("encoder.conv2.weight").unwrap()[8..12], [0.0, 1.0, 2.0, 3.0]);
    assert!(checkpoint.tensor("decoder.blocks.1.mlp.0.weight").is_err());
}

#[test]
fn generation_config_has_precedence_and_may_be_missing() {
    let told = json!({
        "is_multilingual": true, "lang_to_id": {"<|de|>": 30, "<|en|>": 29}, "task_to_id": {"translate": 3, "transcribe": 4},
        "no_timestamps_token_id": 5, "decoder_start_token_id": 6, "eos_token_id": [7, 8], "alignment_heads": [[5, 0]],
    });
    let folder = with("generation_config.json", told.to_string());
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let special = checkpoint.vocabulary().special();
    assert!(checkpoint.shape().multilingual);
    assert_eq!(checkpoint.vocabulary().languages(), [(0, 29), (2, 30)]);
    assert_eq!(
        (special.translate, special.transcribe, special.no_timestamps, special.start, special.end),
        (3, 4, 5, 6, 7)
    );
    assert_eq!(checkpoint.advice().alignment_heads, None, "a head that the model has not");
    let numbers = with("generation_config.json", json!({"no_timestamps_token_id": 40}).to_string());
    assert!(message(numbers.path()).contains("vocabulary of 40"));

    let mut old = config();
    old["suppress_tokens"] = json!([3]);
    let folder = with("config.json", old.to_string());
    assert_eq!(Checkpoint::open(folder.path()).unwrap().advice().suppressed, Some(vec![1, 2]));
    std::fs::remove_file(folder.path().join("generation_config.json")).unwrap();
    assert_eq!(Checkpoint::open(folder.path()).unwrap().advice().suppressed, Some(vec![3]));
}

#[test]
fn the_vocabulary_may_be_in_parts() {
    let folder = sample();
    let expected = Checkpoint::open(folder.path()).unwrap().vocabulary().clone();
    std::fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
    assert!(message(folder.path()).contains("neither tokenizer.json nor vocab.json"));
    let all: Vec<(String, usize)> = sample::tokens().into_iter().zip(0..).collect();
    let some = |range: std::ops::Range<usize>| {
        json!(all[range].iter().cloned().collect::<std::collections::BTreeMap<String, usize>>())
    };
    std::fs::write(folder.path().join("vocab.json"), some(0..27).to_string()).unwrap();
    assert!(message(folder.path()).contains("<|endoftext|>"));
    std::fs::write(folder.path().join("added_tokens.json"), some(27..36).to_string()).unwrap();
    assert_eq!(Checkpoint::open(folder.path()).unwrap().vocabulary(), &expected);
    std::fs::remove_file(folder.path().join("added_tokens.json")).unwrap();
    let decoder: serde_json::Map<String, Value> = all[27..]
        .iter()
        .map(|(name, number)| (number.to_string(), json!({"content": name, "special": true})))
        .collect();
    std::fs::write(folder.path().join("tokenizer_config.json"), json!({"added_tokens_decoder": decoder}).to_string())
        .unwrap();
    assert_eq!(Checkpoint::open(folder.path()).unwrap().vocabulary(), &expected);
}

#[test]
fn weights_may_be_in_several_files() {
    let folder = sample();
    let whole = Checkpoint::open(folder.path()).unwrap().tensor("decoder.token_embedding.weight").unwrap();
    let (header, numbers) = parts();
    let mut map = serde_json::Map::new();
    for (n, parity) in ["even.safetensors", "odd.safetensors"].iter().enumerate() {
        let mut own = serde_json::Map::new();
        let mut bytes: Vec<u8> = Vec::new();
        for (name, info) in header.as_object().unwrap().iter().skip(n).step_by(2) {
            let at = |i: usize| info["data_offsets"][i].as_u64().unwrap() as usize;
            let mut info = info.clone();
            let start = bytes.len();
            bytes.extend(&numbers[at(0)..at(1)]);
            info["data_offsets"] = json!([start, bytes.len()]);
            own.insert(name.clone(), info);
            map.insert(name.clone(), json!(parity));
        }
        let mut file = headed(&Value::from(own).to_string(), 0);
        file.extend(bytes);
        std::fs::write(folder.path().join(parity), file).unwrap();
    }
    std::fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    let index = |map: &serde_json::Map<String, Value>| {
        let index = json!({"metadata": {"total_size": numbers.len()}, "weight_map": map});
        std::fs::write(folder.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    };
    index(&map);
    let mut checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(checkpoint.tensor("decoder.token_embedding.weight").unwrap(), whole);

    let embedding = "model.decoder.embed_tokens.weight";
    for (file, complaint) in [
        (json!("../even.safetensors"), "no file of the folder"),
        (json!("/etc/passwd"), "no file of the folder"),
        (json!(".."), "no file of the folder"),
        (json!(""), "no file of the folder"),
        (json!("."), "it is a folder"),
        (json!("none.safetensors"), "cannot read"),
        (json!("odd.safetensors"), "where it is not"),
        (json!("even.safetensors"), "where it is not"),
        (json!(7), "invalid type"),
    ] {
        let mut map = map.clone();
        if map[embedding] == file {
            continue;
        }
        map[embedding] = file.clone();
        index(&map);
        let message = message(folder.path());
        assert!(message.contains(complaint), "{file}: {message}");
    }
    map.remove(embedding);
    index(&map);
    assert!(message(folder.path()).contains("decoder.embed_tokens.weight"));
    let many = (0..300).map(|n| (format!("t{n}"), json!(format!("{n}.safetensors")))).collect();
    index(&many);
    assert!(message(folder.path()).contains("300 files"));
}

#[test]
fn types_and_names_may_differ() {
    let (header, numbers) = parts();
    let retyped = |dtype: &str, convert: &dyn Fn(&[u8]) -> Vec<u8>, prefix: bool| {
        let mut out = serde_json::Map::new();
        let mut bytes: Vec<u8> = Vec::new();
        for (name, info) in header.as_object().unwrap() {
            let at = |i: usize| info["data_offsets"][i].as_u64().unwrap() as usize;
            let start = bytes.len();
            bytes.extend(convert(&numbers[at(0)..at(1)]));
            let name = if prefix { name } else { name.trim_start_matches("model.") };
            let info = json!({"dtype": dtype, "shape": info["shape"], "data_offsets": [start, bytes.len()]});
            out.insert(name.to_owned(), info);
        }
        let mut file = headed(&Value::from(out).to_string(), 0);
        file.extend(bytes);
        with("model.safetensors", file)
    };
    let single = |halves: &[u8]| crate::models::numbers::halves(halves).iter().flat_map(|n| n.to_le_bytes()).collect();
    let brain = |halves: &[u8]| {
        let floats = crate::models::numbers::halves(halves);
        floats.iter().flat_map(|n| ((n.to_bits() >> 16) as u16).to_le_bytes()).collect()
    };
    for folder in [retyped("F32", &single, true), retyped("BF16", &brain, true), retyped("F16", &|b| b.to_vec(), false)]
    {
        let mut checkpoint = Checkpoint::open(folder.path()).unwrap();
        assert_eq!(checkpoint.tensor("decoder.blocks.0.mlp.2.weight").unwrap()[4..8], [4.0, 5.0, 6.0, 7.0]);
    }
    for (dtype, factor) in [("F64", 4), ("I16", 1), ("U16", 1)] {
        let folder = retyped(dtype, &|bytes| bytes.repeat(factor), true);
        let message = message(folder.path());
        assert!(message.contains(dtype) && message.contains("float16"), "{message}");
    }
}

#[test]
fn a_head_of_its_own_is_taken_if_the_config_says_so() {
    let untied = ModelShape { tied: false, ..SHAPE };
    let folder = with("model.safetensors", safetensors(&untied));
    assert!(Checkpoint::open(folder.path()).unwrap().shape().tied, "as transformers does");
    let mut config = config();
    config["tie_word_embeddings"] = json!(false);
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let mut checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert!(!checkpoint.shape().tied);
    assert_eq!(checkpoint.tensor("decoder.head.weight").unwrap().len(), 80);
    let folder = with("config.json", config.to_string());
    assert!(message(folder.path()).contains("proj_out"));
}

#[test]
fn hostile_configs_are_refused() {
    for (key, value, complaint) in [
        ("model_type", json!("bert"), "'bert'"),
        ("model_type", Value::Null, "no model_type"),
        ("vocab_size", json!(u64::MAX), "its vocabulary is 18446744073709551615"),
        ("vocab_size", json!(-1), "invalid value"),
        ("vocab_size", json!(1e30), "invalid type"),
        ("vocab_size", json!(41), "[41, 2]"),
        ("vocab_size", json!(30), "asks for [30, 2]"),
        ("d_model", json!(1u64 << 40), "its width is"),
        ("d_model", json!(4), "[1500, 4]"),
        ("encoder_layers", json!(2), "encoder.layers.1"),
        ("encoder_layers", json!(4_000_000_000u64), "encoder layers"),
        ("decoder_attention_heads", json!(0), "decoder heads"),
        ("decoder_attention_heads", json!(3), "do not divide"),
        ("decoder_ffn_dim", json!("8"), "invalid type"),
        ("max_source_positions", json!(3000), "Whisper has 1500"),
        ("num_mel_bins", json!(64), "64 mel bands"),
        ("activation_function", json!("relu"), "'relu'"),
        ("scale_embedding", json!(true), "scales its embeddings"),
        ("quantization_config", json!({"bits": 4}), "quantised for another runtime"),
        ("suppress_tokens", json!([1, "x"]), "invalid type"),
    ] {
        let mut config = config();
        config[key] = value.clone();
        let folder = with("config.json", config.to_string());
        let message = message(folder.path());
        assert!(message.contains(complaint) && !message.contains('\0'), "{key} {value}: {message}");
    }
    let mut short = config();
    short.as_object_mut().unwrap().remove("d_model");
    assert!(message(with("config.json", short.to_string()).path()).contains("missing field `d_model`"));
    assert!(message(without("config.json").path()).contains("config.json"));
    for file in ["config.json", "generation_config.json", "tokenizer.json"] {
        for content in ["", "{", "[]", "null", &"[".repeat(100_000), "7"] {
            let message = message(with(file, content).path());
            assert!(message.contains(file), "{file} {}: {message}", content.len());
        }
    }
    let tokens = |vocab: Value| message(with("tokenizer.json", json!({"model": {"vocab": vocab}}).to_string()).path());
    assert!(tokens(json!({"a": -1})).contains("invalid value"));
    assert!(tokens(json!({"a": 40})).contains("number 40"));
    assert!(tokens(json!({"a": u64::MAX})).contains("18446744073709551615"));
    let folder = with("generation_config.json", generation().to_string());
    assert!(Checkpoint::open(folder.path()).is_ok());
    assert!(tokenizer()["added_tokens"].is_array());
}

#[test]
fn hostile_headers_are_refused() {
    let (header, numbers) = parts();
    let embedding = "model.decoder.embed_tokens.weight";
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut header = header.clone();
        change(&mut header);
        let mut file = headed(&header.to_string(), 0);
        file.extend(&numbers);
        message(with("model.safetensors", file).path())
    };
    for (change, complaint) in [
        (&(|h: &mut Value| h[embedding]["shape"] = json!([1u64 << 40, 1u64 << 40])) as &dyn Fn(&mut Value), "header"),
        (&|h| h[embedding]["shape"] = json!([u64::MAX, 2]), "header"),
        (&|h| h[embedding]["shape"] = json!([2, 40]), "[2, 40]"),
        (&|h| h[embedding]["shape"] = json!([80]), "[80]"),
        (&|h| h[embedding]["shape"] = json!([-40, -2]), "header"),
        (&|h| h[embedding]["dtype"] = json!("F99"), "header"),
        (&|h| h[embedding]["dtype"] = json!("F32"), "header"),
        (&|h| h[embedding]["data_offsets"] = json!([0, 160]), "header"),
        (&|h| h[embedding]["data_offsets"] = json!([u64::MAX - 159, u64::MAX]), "header"),
        (&|h| h[embedding]["data_offsets"] = json!([160, 0]), "header"),
        (&|h| h[embedding] = json!([]), "header"),
        (&|h| _ = h.as_object_mut().unwrap().remove(embedding), "header"),
        (
            &|h| h["extra"] = json!({"dtype": "F16", "shape": [1], "data_offsets": [numbers.len(), numbers.len() + 2]}),
            "cut off",
        ),
        (&|h| h["__metadata__"] = json!({"a": 7}), "header"),
    ] {
        let message = changed(change);
        assert!(message.contains(complaint) && message.contains("model.safetensors"), "{complaint}: {message}");
    }
    for (file, complaint) in [
        (vec![], "0 bytes"),
        (vec![0; 7], "7 bytes"),
        (vec![0; 8], "header"),
        (u64::MAX.to_le_bytes().to_vec(), "at most"),
        ((1u64 << 24).to_le_bytes().to_vec(), "within its header"),
        (b"version https://git-lfs.github.com/spec/v1\n".to_vec(), "git lfs pull"),
        (headed(&"[".repeat(100_000), 0), "header"),
        (headed(&format!("{{\"a\":{}", "{\"b\":".repeat(100_000)), 0), "header"),
        (headed("{}", 0), "no tensor"),
        (headed("{}", 5), "goes on"),
        (headed("\u{fffd}", 0), "header"),
    ] {
        let message = message(with("model.safetensors", &file).path());
        assert!(message.contains(complaint), "{complaint}: {message}");
    }
}

#[test]
fn every_cut_and_a_byte_too_many_are_noticed() {
    let whole = safetensors(&SHAPE);
    for cut in (0..200).map(|n| whole.len() * n / 200).chain([whole.len() - 1]) {
        let message = message(with("model.safetensors", &whole[..cut]).path());
        assert!(message.contains("cut off") || cut < 8, "{cut}: {message}");
    }
    let more = [&whole[..], &[0]].concat();
    assert!(message(with("model.safetensors", more).path()).contains("goes on"));
}

#[test]
fn a_file_that_shrinks_is_an_error() {
    let folder = sample();
    let mut checkpoint = Checkpoint::open(folder.path()).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(folder.path().join("model.safetensors")).unwrap();
    file.set_len(100).unwrap();
    assert!(matches!(checkpoint.tensor("decoder.ln.weight"), Err(ModelError::Unreadable { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn noise_is_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..2048), sized in any::<bool>()) {
        let size = (bytes.len() as u64).to_le_bytes();
        let size = if sized { &size[..] } else { &[] };
        message(with("model.safetensors", [size, &bytes].concat()).path());
    }

    /// Numbers may change and stay valid; whatever comes out, it comes without panic, and what opens can be read.
    #[test]
    fn changed_bytes_never_panic(
        file in prop::sample::select(vec!["model.safetensors", "config.json", "tokenizer.json", "generation_config.json"]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let folder = sample();
        let path = folder.path().join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        // The header, of the weights.
        let end = bytes.len().min(6_000);
        for (at, byte) in changes {
            bytes[at.index(end)] = byte;
        }
        std::fs::write(&path, bytes).unwrap();
        if let Ok(mut checkpoint) = Checkpoint::open(folder.path()) {
            for tensor in checkpoint.shape().tensors() {
                let _ = checkpoint.stored(&tensor.name);
            }
        }
    }
}
