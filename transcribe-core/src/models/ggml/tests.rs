//! The real models, every way of cutting them, and files that lie.

use std::fs;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::models::checkpoint::shape::tests::TINY_EN;

static SAMPLE: LazyLock<Vec<u8>> = LazyLock::new(|| sample::model(0));
static BUNDLED: LazyLock<Vec<u8>> = LazyLock::new(|| fs::read(models().join("ggml-tiny.en-q8_0.bin")).unwrap());

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")
}

fn reason(bytes: &[u8]) -> String {
    match read(Cursor::new(bytes), bytes.len() as u64, None) {
        Err(Defect::Bad(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

/// The sample with the header's field `index` (0 is the magic) replaced.
fn with_field(index: usize, value: i32) -> Vec<u8> {
    let mut file = SAMPLE.clone();
    file[4 * index..4 * index + 4].copy_from_slice(&value.to_le_bytes());
    file
}

#[test]
fn the_bundled_model_is_valid() {
    let header = inspect(&models().join("ggml-tiny.en-q8_0.bin")).unwrap();
    assert_eq!(header.weights, "q8_0");
    assert_eq!(header.shape, TINY_EN);
    assert_eq!((header.ftype, header.quantisation_version), (7, 2));
}

#[test]
fn a_multilingual_model_is_valid() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = workspace.join("shared/models/ggml-base-q5_1.bin");
    if !path.is_file() {
        println!("skipped: ggml-base-q5_1.bin is not in ../shared/models beside the workspace");
        return;
    }
    let header = inspect(&path).unwrap();
    assert_eq!((header.shape.kind(), header.shape.multilingual, header.weights), ("base", true, "q5_1"));
}

#[test]
fn the_sample_is_valid() {
    let header = read(Cursor::new(&*SAMPLE), SAMPLE.len() as u64, None).unwrap();
    assert_eq!((header.shape.kind(), header.weights, header.shape.state), ("custom", "q4_0", 32));
}

/// Sizes of official files less the tensors computed for them leave the vocabulary, which all sizes share.
#[test]
fn computed_sizes_agree_with_the_official_files() {
    let shape = |vocabulary, state, layers: (usize, usize), mels| ModelShape {
        vocabulary,
        mels,
        state,
        audio_layers: layers.0,
        audio_inner: 4 * state,
        text_layers: layers.1,
        text_inner: 4 * state,
        ..TINY_EN
    };
    let rest = |size: u64, file_type, shape: ModelShape| {
        let tensors = Expected::all(&shape, TensorType::of_file_type(file_type).unwrap()).bytes();
        size - tensors - shape.mels as u64 * 201 * 4
    };
    let (f16, q5_0, q5_1, q8_0) = (1, 8, 9, 7);
    let english = rest(43_550_795, q8_0, shape(51_864, 384, (4, 4), 80));
    for (size, file_type, state, layers) in [
        (77_704_715, f16, 384, 4),
        (32_166_155, q5_1, 384, 4),
        (147_964_211, f16, 512, 6),
        (59_721_011, q5_1, 512, 6),
        (81_781_811, q8_0, 512, 6),
        (487_614_201, f16, 768, 12),
        (190_098_681, q5_1, 768, 12),
        (1_533_774_781, f16, 1024, 24),
        (539_225_533, q5_0, 1024, 24),
        (823_382_461, q8_0, 1024, 24),
    ] {
        assert_eq!(rest(size, file_type, shape(51_864, state, (layers, layers), 80)), english, "{size}");
    }
    let multilingual = rest(59_707_625, q5_1, shape(51_865, 512, (6, 6), 80));
    for (size, file_type, vocab, layers, mels) in [
        (3_094_623_691, f16, 51_865, (32, 32), 80),
        (1_080_732_091, q5_0, 51_865, (32, 32), 80),
        (1_656_129_691, q8_0, 51_865, (32, 32), 80),
        (3_095_033_483, f16, 51_866, (32, 32), 128),
        (1_081_140_203, q5_0, 51_866, (32, 32), 128),
        (1_624_555_275, f16, 51_866, (32, 4), 128),
        (574_041_195, q5_0, 51_866, (32, 4), 128),
        (874_188_075, q8_0, 51_866, (32, 4), 128),
    ] {
        assert_eq!(rest(size, file_type, shape(vocab, 1280, layers, mels)), multilingual, "{size}");
    }
}

#[test]
fn every_cut_of_the_bundled_model_is_noticed() {
    let whole = &*BUNDLED;
    let spread = (0..200).map(|i| whole.len() * i / 200);
    let edges = [1, 3, 4, 47, 48, 55, 56, 64_400, 586_234, 586_235, 586_236, 586_247].into_iter();
    let last = (1..=20).map(|n| whole.len() - n);
    for cut in spread.chain(edges).chain(last) {
        let reason = reason(&whole[..cut]);
        // With less than the magic, it can't be told from other things.
        assert!(reason.contains("cut off") || cut < 4, "{cut}: {reason}");
    }
    read(Cursor::new(whole), whole.len() as u64, None).unwrap();
}

#[test]
fn a_byte_too_many_is_noticed() {
    let mut file = SAMPLE.clone();
    file.push(0);
    assert!(reason(&file).contains("1 bytes stand behind the last tensor"));
}

#[test]
fn hostile_header_fields_are_refused() {
    for (field, value, complaint) in [
        (0, 0x6767_6d6d, "doesn't start as a ggml file"),
        (1, 51_867, "n_vocab is 51867"),
        (1, -1, "n_vocab is -1"),
        (1, 0, "n_vocab is 0"),
        (2, 3000, "n_audio_ctx is 3000"),
        (3, 0, "n_audio_state is 0"),
        (3, i32::MAX, "n_audio_state"),
        (3, 64, "n_text_state is 32"),
        (4, 0, "n_audio_head is 0"),
        (4, 3, "does not divide"),
        (5, 1_000_000, "n_audio_layer is 1000000"),
        (5, 2, "encoder.blocks.1"),
        (6, 447, "n_text_ctx is 447"),
        (7, 384, "n_text_state is 384"),
        (8, 5, "does not divide"),
        (9, i32::MIN, "n_text_layer"),
        (10, 81, "n_mels is 81"),
        (10, 128, "mel filters are 80"),
        (11, 2006, "file type 6"),
        (11, 999_999, "file type 999"),
        (11, -1, "ftype"),
        (11, 1002, "version 1"),
        (11, 2, "version 0"),
        (11, 2012, "blocks of 256"),
        (11, 2007, "type 2; q8_0"),
        (12, -80, "mel filters are -80"),
        (13, i32::MAX, "× 2147483647"),
    ] {
        let reason = reason(&with_field(field, value));
        assert!(reason.contains(complaint), "field {field} = {value}: {reason}");
    }
    // The vocabulary's size and the first token's length follow the filters.
    let vocabulary = 14 + 80 * 201;
    assert!(reason(&with_field(vocabulary, i32::MAX)).contains("vocabulary has 2147483647"));
    assert!(reason(&with_field(vocabulary, 1)).contains("vocabulary has 1 tokens"));
    assert!(reason(&with_field(vocabulary + 1, -1)).contains("token 0 has 4294967295 bytes"));
}

#[test]
fn hostile_tensors_are_refused() {
    let first = SAMPLE.windows(28).position(|w| w == b"encoder.positional_embedding").unwrap() - 20;
    let with = |offset: usize, bytes: &[u8]| {
        let mut file = SAMPLE.clone();
        file[first + offset..first + offset + bytes.len()].copy_from_slice(bytes);
        reason(&file)
    };
    assert!(with(0, &9i32.to_le_bytes()).contains("9 dimensions"));
    assert!(with(0, &(-1i32).to_le_bytes()).contains("-1 dimensions"));
    assert!(with(4, &i32::MAX.to_le_bytes()).contains("name has 2147483647 bytes"));
    assert!(with(4, &0i32.to_le_bytes()).contains("name has 0 bytes"));
    assert!(with(8, &30i32.to_le_bytes()).contains("has type 30; f32 is expected"));
    assert!(with(12, &33i32.to_le_bytes()).contains("has the shape [33, 1500, 1]"));
    assert!(with(16, &(-1500i32).to_le_bytes()).contains("shape"));
    assert!(with(20, b"\xff\x1b").contains("is not one of Whisper's"));
    assert!(with(20, b"decoder").contains("has the shape [32, 1500, 1]"));
}

#[test]
fn a_tensor_twice_is_refused() {
    let at = SAMPLE.windows(22).position(|w| w == b"encoder.ln_post.weight").unwrap() - 16;
    let one = &SAMPLE[at..at + 16 + 22 + 32 * 4];
    let mut file = SAMPLE[..at].to_vec();
    file.extend(one);
    file.extend(&SAMPLE[at..]);
    assert!(reason(&file).contains("twice"));
}

#[test]
fn a_model_without_tensors_is_refused() {
    let first = SAMPLE.windows(28).position(|w| w == b"encoder.positional_embedding").unwrap() - 20;
    assert!(reason(&SAMPLE[..first]).contains("tensors are missing"));
}

#[test]
fn what_is_no_file_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let message = inspect(dir.path()).unwrap_err().to_string();
    assert!(message.contains("it is a folder"), "{message}");
    let message = inspect(&dir.path().join("none.bin")).unwrap_err().to_string();
    assert!(message.contains("cannot read"), "{message}");
    let other = dir.path().join("model.bin");
    for (content, complaint) in [(&b""[..], "empty"), (b"GGUF\x03", "GGUF"), (b"hello\n", "text file")] {
        fs::write(&other, content).unwrap();
        let message = inspect(&other).unwrap_err().to_string();
        assert!(message.contains(complaint), "{message}");
    }
    #[cfg(unix)]
    assert!(inspect(Path::new("/dev/zero")).unwrap_err().to_string().contains("not a regular file"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn noise_is_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        prop_assert!(read(Cursor::new(&bytes), bytes.len() as u64, Some(&mut Contents::default())).is_err());
    }

    #[test]
    fn noise_behind_the_magic_is_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        let mut file = SAMPLE[..60].to_vec();
        file.extend(bytes);
        prop_assert!(read(Cursor::new(&file), file.len() as u64, Some(&mut Contents::default())).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn a_changed_header_field_never_passes(field in 0usize..14, value in any::<i32>()) {
        let file = with_field(field, value);
        prop_assume!(file != *SAMPLE);
        prop_assert!(read(Cursor::new(&file), file.len() as u64, Some(&mut Contents::default())).is_err());
    }

    /// Heads and weights may change and stay valid; whatever comes out, it comes without panic.
    #[test]
    fn changed_bytes_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..64)) {
        let mut file = SAMPLE.clone();
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let _ = read(Cursor::new(&file), file.len() as u64, Some(&mut Contents::default()));
    }
}
