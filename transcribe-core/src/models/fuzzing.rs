//! What the fuzz targets run: a reader each, on valid miniature models with something changed, or on anything.
//!
//! The first byte of an input says what it is for, the rest are edits of the sample's bytes or all of a file.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::checkpoint::Checkpoint;
use super::{ctranslate2, ggml, hugging_face};

/// A ggml file, read from memory, and blocks of each of its types.
pub fn ggml(input: &[u8]) {
    static SAMPLE: LazyLock<Vec<u8>> = LazyLock::new(|| ggml::sample::model(1));
    let Some((mode, input)) = input.split_first() else { return };
    let file = match mode % 3 {
        0 => edited(&SAMPLE, input),
        1 => [&SAMPLE[..60], input].concat(),
        _ => return ggml::dequantise_all(input),
    };
    let _ = ggml::walk(Cursor::new(&file), file.len() as u64);
}

/// A Hugging Face folder with another of its files.
pub fn safetensors(input: &[u8]) {
    static FOLDER: LazyLock<Folder> = LazyLock::new(|| Folder::new("safetensors", hugging_face::sample::write));
    const FILES: [&str; 4] = ["model.safetensors", "config.json", "generation_config.json", "tokenizer.json"];
    let Some((mode, input)) = input.split_first() else { return };
    let mode = usize::from(*mode);
    let file = FILES[mode % 4];
    match mode / 4 % 3 {
        0 => FOLDER.check(file, |sample| edited(sample, input)),
        1 => FOLDER.check(file, |_| input.to_vec()),
        // A header, and as many bytes of numbers as the sample has.
        _ => FOLDER.check("model.safetensors", |sample| {
            let header = u64::from_le_bytes(sample.first_chunk().copied().unwrap_or_default()) as usize;
            [&(input.len() as u64).to_le_bytes(), input, &sample[8 + header..]].concat()
        }),
    }
}

/// A CTranslate2 folder with another of its files.
pub fn ctranslate2(input: &[u8]) {
    static FOLDER: LazyLock<Folder> = LazyLock::new(|| Folder::new("ctranslate2", ctranslate2::sample::write));
    const FILES: [&str; 4] = ["model.bin", "model.bin", "config.json", "vocabulary.json"];
    let Some((mode, input)) = input.split_first() else { return };
    let mode = usize::from(*mode);
    match mode / 4 % 2 {
        0 => FOLDER.check(FILES[mode % 4], |sample| edited(sample, input)),
        _ => FOLDER.check(FILES[mode % 4], |_| input.to_vec()),
    }
}

/// `sample` with pieces of it replaced: each edit is a place, how many bytes to take away, and up to seven bytes to put
/// there. What is left at the end cuts the file.
fn edited(sample: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut file = sample.to_vec();
    let mut edits = edits;
    while let [a, b, c, lengths, rest @ ..] = edits {
        let at = u32::from_le_bytes([*a, *b, *c, 0]) as usize % (file.len() + 1);
        let away = usize::from(lengths >> 4).min(file.len() - at);
        let put = usize::from(lengths & 7).min(rest.len());
        file.splice(at..at + away, rest[..put].iter().copied());
        edits = &rest[put..];
    }
    if let [a, b, ..] = edits {
        file.truncate(file.len() - usize::from(u16::from_le_bytes([*a, *b])).min(file.len()));
    }
    file
}

/// A sample on disk.
struct Folder(PathBuf);

impl Folder {
    #[allow(clippy::expect_used)]
    fn new(name: &str, write: impl FnOnce(&Path) -> std::io::Result<()>) -> Self {
        let folder = std::env::temp_dir().join(format!("fuzz-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).and_then(|()| write(&folder)).expect("a folder for the sample");
        Self(folder)
    }

    /// Reads the folder with another content of one file, which is put back afterwards.
    #[allow(clippy::expect_used)]
    fn check(&self, file: &str, change: impl FnOnce(&[u8]) -> Vec<u8>) {
        let path = self.0.join(file);
        let sample = fs::read(&path).expect("the sample is there");
        fs::write(&path, change(&sample)).expect("the folder can be written to");
        if let Ok(mut checkpoint) = Checkpoint::open(&self.0) {
            for tensor in checkpoint.shape().tensors() {
                let _ = checkpoint.stored(&tensor.name);
            }
            let _ = checkpoint.filters();
        }
        fs::write(&path, sample).expect("the folder can be written to");
    }
}
