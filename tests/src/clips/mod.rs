//! Real speech with its truth: recordings out of the test data, and signals that are composed of them.

mod composition;
mod speech_span;
mod unbroken;

use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::LazyLock;

pub use composition::{Composition, Spoken};
pub use speech_span::speech_span;

use crate::audio::{self, SAMPLE_RATE};

/// A recording of one utterance.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// The file's name without its ending.
    pub name: String,
    /// What is said, in lower case without punctuation.
    pub text: String,
    /// Mono at 16 kHz.
    pub samples: Vec<f32>,
    /// Where the speech is in it, in seconds, to about 50 ms; around it the recording has breath, room and applause.
    pub speech: Range<f64>,
}

impl Clip {
    /// Duration of the recording in seconds.
    pub fn seconds(&self) -> f64 {
        audio::seconds(self.samples.len())
    }
}

/// The seven clips in the order of `transcripts.tsv`.
pub fn all() -> &'static [Clip] {
    static CLIPS: LazyLock<Vec<Clip>> = LazyLock::new(load);
    &CLIPS
}

/// The clip of a name, such as `jfk-inaugural`; panics if there is none.
pub fn named(name: &str) -> &'static Clip {
    all().iter().find(|clip| clip.name == name).unwrap_or_else(|| panic!("no clip is named {name:?}"))
}

fn load() -> Vec<Clip> {
    let folder = crate::data_dir().join("speech");
    let spans = speech_spans(&folder);
    let table = fs::read_to_string(folder.join("transcripts.tsv")).unwrap();
    let clip = |line: &str| {
        let mut fields = line.split('\t');
        let file = fields.next().unwrap();
        let text = fields.nth(1).unwrap();
        Clip {
            name: file.trim_end_matches(".flac").to_string(),
            text: text.to_string(),
            samples: read_flac(&folder.join(file)),
            speech: spans[file].clone(),
        }
    };
    table.lines().skip(1).map(clip).collect()
}

/// Where the speech is in each file, as it was checked by hand.
fn speech_spans(folder: &Path) -> HashMap<String, Range<f64>> {
    let table = fs::read_to_string(folder.join("spans.tsv")).unwrap();
    let span = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        (fields[0].to_string(), fields[1].parse().unwrap()..fields[2].parse().unwrap())
    };
    table.lines().skip(1).map(span).collect()
}

/// The samples of a mono FLAC file at 16 kHz.
fn read_flac(path: &Path) -> Vec<f32> {
    let mut reader = claxon::FlacReader::open(path).unwrap();
    let info = reader.streaminfo();
    assert_eq!((info.channels, info.sample_rate), (1, SAMPLE_RATE), "{}", path.display());
    let full_scale = (1_u64 << (info.bits_per_sample - 1)) as f32;
    reader.samples().map(|sample| sample.unwrap() as f32 / full_scale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_seven_clips_of_47_seconds() {
        assert_eq!(all().len(), 7);
        let seconds: f64 = all().iter().map(Clip::seconds).sum();
        assert!((seconds - 47.4).abs() < 0.1, "{seconds}");
    }

    #[test]
    fn clips_are_found_by_name() {
        assert!(named("jfk-inaugural").text.starts_with("and so my fellow americans"));
        assert!((named("jfk-inaugural").seconds() - 11.0).abs() < 0.01);
    }
}
