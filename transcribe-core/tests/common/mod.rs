//! The project's speech clips and how to score a transcript, for tests and for measurements.
#![allow(dead_code, unreachable_pub)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use transcribe_core::engine::device::Device;
use transcribe_core::engine::whisper_cpp::WhisperCpp;
use transcribe_core::engine::{CancelToken, DecodeOptions, Hypothesis, Job};

/// A clip of real speech.
#[derive(Debug, Clone)]
pub struct Clip {
    /// File name.
    pub name: String,
    /// Mono 16 kHz samples.
    pub audio: Vec<f32>,
    /// What is said, in lower case, without punctuation.
    pub text: String,
}

/// Words are in order, inside the audio, and make up the text.
pub fn assert_sound(hypothesis: &Hypothesis, audio: &[f32]) {
    let mut at = 0;
    for word in hypothesis.words() {
        assert!(at <= word.span.start && word.span.start <= word.span.end, "{word:?}");
        assert!(word.span.end <= audio.len() as u64, "{word:?}");
        assert!((0.0..=1.0).contains(&word.probability), "{word:?}");
        at = word.span.end;
    }
    let text: Vec<&str> = hypothesis.words().map(|w| w.text.as_str()).collect();
    assert_eq!(text.join(" "), hypothesis.text());
}

/// Root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The clips in the order of `transcripts.tsv`.
pub fn clips() -> Vec<Clip> {
    let folder = root().join("tests/data/speech");
    let table = std::fs::read_to_string(folder.join("transcripts.tsv")).expect("tests/data/speech is there");
    let rows = table.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>());
    rows.map(|row| Clip { name: row[0].into(), audio: flac(&folder.join(row[0])), text: row[2].into() }).collect()
}

fn flac(path: &Path) -> Vec<f32> {
    let mut reader = claxon::FlacReader::open(path).expect("a FLAC file");
    assert_eq!((reader.streaminfo().sample_rate, reader.streaminfo().channels), (16_000, 1), "{path:?}");
    reader.samples().map(|sample| sample.expect("sound FLAC") as f32 / 32_768.0).collect()
}

/// The bundled model.
pub fn tiny_en(max_states: usize) -> WhisperCpp {
    WhisperCpp::load(&root().join("models/ggml-tiny.en-q8_0.bin"), &Device::Cpu, max_states).expect("the model loads")
}

/// A job with these options that nobody cancels.
pub fn job(audio: &[f32], options: &DecodeOptions) -> Job {
    Job { audio: audio.into(), options: Arc::new(options.clone()), cancel: CancelToken::new() }
}

/// Words in lower case without punctuation, hyphens as spaces, `mr` spelt out.
pub fn words(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace(['-', '—'], " ");
    let words = text.split_whitespace().map(|word| word.chars().filter(|c| c.is_alphanumeric()).collect::<String>());
    words.filter(|word| !word.is_empty()).map(|word| if word == "mr" { "mister".into() } else { word }).collect()
}

/// Least insertions, deletions and substitutions that make one text of the other, in words.
pub fn errors(heard: &str, said: &str) -> usize {
    let (heard, said) = (words(heard), words(said));
    let mut row: Vec<usize> = (0..=said.len()).collect();
    for (n, word) in heard.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], n + 1);
        for (m, other) in said.iter().enumerate() {
            let substituted = diagonal + usize::from(word != other);
            diagonal = row[m + 1];
            row[m + 1] = substituted.min(row[m] + 1).min(diagonal + 1);
        }
    }
    row[said.len()]
}
