//! The sample, and folders that lie.

use std::path::Path;

use proptest::prelude::*;

use super::sample::{model, variables, Entry, ALIASES};
use super::*;
use crate::models::checkpoint::Checkpoint;
use crate::models::hugging_face::sample::SHAPE;

fn sample() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path()).unwrap();
    folder
}

/// What is said of the sample with another `model.bin`.
fn reason(bytes: &[u8]) -> String {
    let folder = sample();
    std::fs::write(folder.path().join("model.bin"), bytes).unwrap();
    message(folder.path())
}

fn message(folder: &Path) -> String {
    Checkpoint::open(folder).unwrap_err().to_string()
}

/// The sample's `model.bin` with a variable changed.
fn with(name: &str, change: impl FnOnce(&mut Entry)) -> Vec<u8> {
    let mut all = variables(&SHAPE);
    change(all.iter_mut().find(|variable| variable.name == name).unwrap());
    model(&all, &ALIASES)
}

#[test]
fn the_sample_is_valid() {
    let folder = sample();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(checkpoint.shape(), &SHAPE);
    assert_eq!(checkpoint.advice().alignment_heads, Some(vec![(0, 0)]));
    assert_eq!(checkpoint.advice().suppressed, Some(vec![1, 2]));
    assert_eq!(checkpoint.advice().suppressed_at_start, Some(vec![26, 27]));
    assert_eq!(checkpoint.vocabulary().languages(), [(0, 29)]);
    assert_eq!(checkpoint.vocabulary().special().no_timestamps, 35);
    assert_eq!(checkpoint.filters().len(), 80 * 201);
}

#[test]
fn bytes_come_with_the_scales_of_their_rows() {
    let folder = sample();
    let mut checkpoint = Checkpoint::open(folder.path()).unwrap();
    // Rows 2 and 3 of six: queries, keys and values are in one.
    let keys = checkpoint.stored("encoder.blocks.0.attn.key.weight").unwrap();
    assert_eq!(keys, Stored::Bytes { numbers: vec![4, 5, 6, 7], scales: vec![1.0 / 3.0, 1.0 / 4.0] });
    let values = checkpoint.stored("decoder.blocks.0.cross_attn.value.weight").unwrap();
    assert_eq!(values, Stored::Bytes { numbers: vec![4, 5, 6, 7], scales: vec![1.0 / 3.0, 1.0 / 4.0] });
    let filters = checkpoint.tensor("encoder.conv1.weight").unwrap();
    assert_eq!((filters.len(), filters[7], filters[240 + 7]), (2 * 80 * 3, 7.0, 3.5));
    assert_eq!(checkpoint.tensor("decoder.blocks.0.attn.value.bias").unwrap(), [0.0, 0.0]);
    assert_eq!(checkpoint.tensor("encoder.positional_embedding").unwrap().len(), 3000);
    assert!(checkpoint.tensor("decoder.blocks.1.mlp.0.weight").is_err());
}

#[test]
fn other_types_are_read_too() {
    let name = "decoder/layer_0/ffn/linear_0/weight";
    let read = |all: &[Entry]| {
        let folder = sample();
        std::fs::write(folder.path().join("model.bin"), model(all, &ALIASES)).unwrap();
        Checkpoint::open(folder.path()).unwrap().stored("decoder.blocks.0.mlp.0.weight").unwrap()
    };
    let with = |kind: u8, bytes: Vec<u8>, scale: Option<f32>| {
        let mut all = variables(&SHAPE);
        all.retain(|variable| variable.name != format!("{name}_scale"));
        let variable = all.iter_mut().find(|variable| variable.name == name).unwrap();
        (variable.kind, variable.bytes) = (kind, bytes);
        if let Some(scale) = scale {
            let bytes = scale.to_le_bytes().to_vec();
            all.push(Entry { name: format!("{name}_scale"), dims: vec![], kind: 0, bytes });
        }
        read(&all)
    };
    let sixteen: Vec<u8> = (0..16i16).flat_map(|n| (100 * n - 800).to_le_bytes()).collect();
    let Stored::Floats(numbers) = with(2, sixteen, Some(100.0)) else { panic!("floats") };
    assert!(numbers.iter().zip(-8..).all(|(number, n)| (number - n as f32).abs() < 1e-5), "{numbers:?}");
    let brain = [0x3f80u16, 0xc000].repeat(8).iter().flat_map(|n| n.to_le_bytes()).collect();
    assert_eq!(with(5, brain, None), Stored::Floats([1.0, -2.0].repeat(8)));
    let single = [0.1f32, -7.0].repeat(8).iter().flat_map(|n| n.to_le_bytes()).collect();
    assert_eq!(with(0, single, None), Stored::Floats([0.1, -7.0].repeat(8)));
    let bytes = with(1, (0..16).collect(), Some(2.0));
    assert_eq!(bytes, Stored::Bytes { numbers: (0..16).collect(), scales: vec![0.5; 8] });
}

#[test]
fn a_head_of_its_own_is_noticed() {
    let untied = ModelShape { tied: false, ..SHAPE };
    let folder = sample();
    std::fs::write(folder.path().join("model.bin"), model(&variables(&untied), &[])).unwrap();
    let mut checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert!(!checkpoint.shape().tied);
    assert_eq!(checkpoint.tensor("decoder.head.weight").unwrap().len(), 80);
}

#[test]
fn the_vocabulary_may_be_text_or_a_tokenizer() {
    let folder = sample();
    let expected = Checkpoint::open(folder.path()).unwrap().vocabulary().clone();
    std::fs::remove_file(folder.path().join("vocabulary.json")).unwrap();
    let lines: Vec<String> = serde_json::from_value(sample::vocabulary()).unwrap();
    std::fs::write(folder.path().join("vocabulary.txt"), lines.join("\n") + "\n").unwrap();
    assert_eq!(Checkpoint::open(folder.path()).unwrap().vocabulary(), &expected);

    std::fs::write(folder.path().join("vocabulary.txt"), "a\nb\n").unwrap();
    assert!(message(folder.path()).contains("it has 2 tokens"));
    std::fs::write(folder.path().join("vocabulary.txt"), b"\xff\xfe").unwrap();
    assert!(message(folder.path()).contains("UTF-8"));

    std::fs::remove_file(folder.path().join("vocabulary.txt")).unwrap();
    assert!(message(folder.path()).contains("neither tokenizer.json nor vocab.json"));
    let tokenizer = hugging_face::sample::tokenizer().to_string();
    std::fs::write(folder.path().join("tokenizer.json"), tokenizer).unwrap();
    assert_eq!(Checkpoint::open(folder.path()).unwrap().vocabulary().special(), expected.special());
}

#[test]
fn hostile_variables_are_refused() {
    let embedding = "decoder/embeddings/weight";
    let up = "decoder/layer_0/ffn/linear_0/weight";
    for (bytes, complaint) in [
        (with(embedding, |v| v.dims = vec![u32::MAX, u32::MAX]), "do not fit its shape"),
        (with(embedding, |v| v.dims = vec![u32::MAX; 3]), "do not fit its shape"),
        (with(embedding, |v| v.dims = vec![1; 200]), "200 extents"),
        (with(embedding, |v| v.dims = vec![80]), "2 extents are expected"),
        (with(embedding, |v| v.dims = vec![2, 40]), "its vocabulary is 2"),
        (with(embedding, |v| v.kind = 6), "of type 6"),
        (with(embedding, |v| v.kind = 4), "do not fit its shape"),
        (with(up, |v| v.dims = vec![4, 4]), "shape [4, 4]"),
        (with(up, |v| v.dims = vec![0, 2]), "do not fit"),
        (with(up, |v| v.name = "decoder/layer_0/ffn/linear_7/weight".to_owned()), "no variable"),
        (with(up, |v| v.name = "a".repeat(300)), "at most 256 are believed"),
        (with(up, |v| v.name = embedding.to_owned()), "there twice"),
        (with(&format!("{up}_scale"), |v| v.name = "x".to_owned()), "without a scale"),
        (with(&format!("{up}_scale"), |v| v.kind = 3), "scale of variable"),
        (with(&format!("{up}_scale"), |v| v.dims = vec![4, 2]), "scale of variable"),
        (with("decoder/activation", |v| v.bytes = vec![0]), "none of Whisper's"),
        (with("decoder/pre_norm", |v| v.bytes = vec![0]), "none of Whisper's"),
        (with("decoder/scale_embeddings", |v| v.bytes = vec![1]), "none of Whisper's"),
        (with("decoder/num_heads", |v| v.bytes = vec![3, 0]), "do not divide"),
        (with("decoder/num_heads", |v| v.bytes = vec![0xff, 0xff]), "number of heads"),
        (with("encoder/num_heads", |v| v.name = "encoder/heads".to_owned()), "number of heads"),
    ] {
        let reason = reason(&bytes);
        assert!(reason.contains(complaint), "{complaint}: {reason}");
    }
}

#[test]
fn scales_that_are_no_numbers_are_refused() {
    for scale in [0.0f32, -1.0, f32::NAN, f32::INFINITY, 1e-45] {
        let name = "decoder/layer_0/ffn/linear_0/weight_scale";
        let bytes = with(name, |v| v.bytes = [1.0, scale].repeat(4).iter().flat_map(|n| n.to_le_bytes()).collect());
        let folder = sample();
        std::fs::write(folder.path().join("model.bin"), bytes).unwrap();
        let error = Checkpoint::open(folder.path()).unwrap().stored("decoder.blocks.0.mlp.0.weight").unwrap_err();
        assert!(error.to_string().contains("no positive number"), "{scale} {error}");
    }
}

#[test]
fn other_names_lead_to_variables_only() {
    let all = variables(&SHAPE);
    for (aliases, complaint) in [
        (&[("a", "b")][..], "can't be"),
        (&[("a", "a")], "can't be"),
        (&[("a", "decoder/pre_norm"), ("b", "a")], "can't be"),
        (&[("decoder/pre_norm", "decoder/activation")], "can't be"),
        (&[("a", "decoder/pre_norm"), ("a", "decoder/activation")], "two variables"),
    ] {
        let reason = reason(&model(&all, aliases));
        assert!(reason.contains(complaint), "{reason}");
    }
}

#[test]
fn every_cut_and_a_byte_too_many_are_noticed() {
    let whole = model(&variables(&SHAPE), &ALIASES);
    for cut in (0..200).map(|n| whole.len() * n / 200).chain(whole.len() - 70..whole.len()) {
        assert!(reason(&whole[..cut]).contains("cut off"), "{cut}");
    }
    let more = [&whole[..], &[0]].concat();
    assert!(reason(&more).contains("1 bytes stand behind"));
}

#[test]
fn other_files_and_versions_are_named() {
    let whole = model(&variables(&SHAPE), &ALIASES);
    let change = |at: usize, byte: u8| {
        let mut file = whole.clone();
        file[at] = byte;
        reason(&file)
    };
    assert!(change(0, 5).contains("version 5"));
    assert!(change(6, b'X').contains("XhisperSpec"));
    assert!(change(18, 2).contains("revision 2"));
    assert!(change(25, 0xff).contains("variables; at most"));
    assert!(reason(b"version https://git-lfs.github.com/spec/v1\n").contains("git lfs pull"));
    assert!(reason(b"lmgg").contains("convert it anew"));
}

#[test]
fn a_file_that_shrinks_is_an_error() {
    let folder = sample();
    let mut checkpoint = Checkpoint::open(folder.path()).unwrap();
    std::fs::OpenOptions::new().write(true).open(folder.path().join("model.bin")).unwrap().set_len(100).unwrap();
    assert!(matches!(checkpoint.tensor("decoder.ln.weight"), Err(ModelError::Unreadable { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn noise_is_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..2048), headed in any::<bool>()) {
        let head = model(&[], &[]);
        let head = if headed { &head[..22] } else { &[] };
        reason(&[head, &bytes].concat());
    }

    /// Numbers may change and stay valid; whatever comes out, it comes without panic, and what opens can be read.
    #[test]
    fn changed_bytes_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..16)) {
        let folder = sample();
        let path = folder.path().join("model.bin");
        let mut file = std::fs::read(&path).unwrap();
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        std::fs::write(&path, file).unwrap();
        if let Ok(mut checkpoint) = Checkpoint::open(folder.path()) {
            for tensor in checkpoint.shape().tensors() {
                let _ = checkpoint.stored(&tensor.name);
            }
        }
    }
}
