//! What must be known of a ggml file before whisper.cpp loads it: its sizes, and from them the attention heads that
//! tell when a token was spoken.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use whisper_rs::{DtwMode, DtwModelPreset, DtwParameters};

/// `ggml` as the file's first four bytes spell it.
const MAGIC: u32 = 0x6767_6d6c;
/// Most tokens the alignment sees: whisper.cpp decodes at most 220, plus the task tokens.
const MOST_TOKENS: usize = 232;
/// Most heads of a model without a preset that are aligned, so that memory stays in bounds.
const MOST_HEADS: usize = 24;

/// Sizes of a model, as its file tells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) vocabulary: usize,
    pub(super) audio_context: usize,
    pub(super) audio_layers: usize,
    pub(super) text_state: usize,
    pub(super) text_heads: usize,
    pub(super) text_layers: usize,
    pub(super) mels: usize,
}

impl Header {
    /// Reads the first bytes of a ggml file.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let mut bytes = [0; 48];
        File::open(path).and_then(|mut file| file.read_exact(&mut bytes)).map_err(|error| error.to_string())?;
        Self::parse(&bytes).ok_or_else(|| "it is not a Whisper model in ggml format".to_owned())
    }

    fn parse(bytes: &[u8; 48]) -> Option<Self> {
        let mut numbers = [0; 12];
        for (number, chunk) in numbers.iter_mut().zip(bytes.chunks_exact(4)) {
            *number = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        }
        let [magic, sizes @ ..] = numbers;
        if magic != MAGIC || sizes[..10].iter().any(|size| !(1..=1_000_000).contains(size)) {
            return None;
        }
        let size = |n: usize| sizes[n] as usize;
        Some(Self {
            vocabulary: size(0),
            audio_context: size(1),
            audio_layers: size(4),
            text_state: size(6),
            text_heads: size(7),
            text_layers: size(8),
            mels: size(9),
        })
    }

    /// Languages the model knows; 1 for English-only models. The tokens that aren't text or languages are as many in
    /// all models.
    pub(super) fn languages(&self) -> usize {
        if self.vocabulary >= 51_865 {
            self.vocabulary - 51_766
        } else {
            1
        }
    }

    /// Whose cross-attention is aligned with the audio. OpenAI published the heads of its own models; for others
    /// (distilled ones) it takes all heads of the upper half of the layers, as we do. Large v1 and v2 have the same
    /// sizes: v2 unless the file's name says v1.
    pub(super) fn alignment(&self, path: &Path) -> DtwParameters<'static> {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let english = self.languages() == 1;
        let preset = match (self.audio_layers, self.text_layers, self.text_state) {
            (4, 4, 384) if english => Some((DtwModelPreset::TinyEn, 8)),
            (4, 4, 384) => Some((DtwModelPreset::Tiny, 6)),
            (6, 6, 512) if english => Some((DtwModelPreset::BaseEn, 5)),
            (6, 6, 512) => Some((DtwModelPreset::Base, 8)),
            (12, 12, 768) if english => Some((DtwModelPreset::SmallEn, 19)),
            (12, 12, 768) => Some((DtwModelPreset::Small, 10)),
            (24, 24, 1024) if english => Some((DtwModelPreset::MediumEn, 18)),
            (24, 24, 1024) => Some((DtwModelPreset::Medium, 6)),
            (32, 4, 1280) if self.mels == 128 => Some((DtwModelPreset::LargeV3Turbo, 6)),
            (32, 32, 1280) if self.mels == 128 => Some((DtwModelPreset::LargeV3, 10)),
            (32, 32, 1280) if name.contains("v1") => Some((DtwModelPreset::LargeV1, 9)),
            (32, 32, 1280) => Some((DtwModelPreset::LargeV2, 23)),
            _ => None,
        };
        let (mode, heads) = match preset {
            Some((model_preset, heads)) => (DtwMode::ModelPreset { model_preset }, heads),
            None => {
                let layers = (self.text_layers / 2).min(MOST_HEADS / self.text_heads).max(1);
                (DtwMode::TopMost { n_top: layers as i32 }, layers * self.text_heads)
            }
        };
        // whisper.cpp keeps four copies of the attention and three of its mean; it aborts when memory runs out.
        let matrix = MOST_TOKENS * self.audio_context * size_of::<f32>();
        DtwParameters { mode, dtw_mem_size: matrix * (4 * heads + 8) + (16 << 20) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(numbers: [u32; 12]) -> Option<Header> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        Header::parse(bytes.as_slice().try_into().unwrap())
    }

    fn preset(numbers: [u32; 12], name: &str) -> String {
        format!("{:?}", header(numbers).unwrap().alignment(Path::new(name)).mode)
    }

    #[test]
    fn sizes_choose_the_alignment_heads() {
        let tiny_en = [MAGIC, 51864, 1500, 384, 6, 4, 448, 384, 6, 4, 80, 7];
        let large = [MAGIC, 51865, 1500, 1280, 20, 32, 448, 1280, 20, 32, 80, 1];
        let turbo = [MAGIC, 51866, 1500, 1280, 20, 32, 448, 1280, 20, 4, 128, 1];
        let distil = [MAGIC, 51866, 1500, 1280, 20, 32, 448, 1280, 20, 2, 128, 1];
        assert!(preset(tiny_en, "tiny.bin").contains("TinyEn"));
        assert!(preset(large, "ggml-large-v1.bin").contains("LargeV1"));
        assert!(preset(large, "ggml-large.bin").contains("LargeV2"));
        assert!(preset(turbo, "x").contains("LargeV3Turbo"));
        assert_eq!(preset(distil, "x"), "TopMost { n_top: 1 }");
        assert_eq!(header(tiny_en).unwrap().languages(), 1);
        assert_eq!(header(large).unwrap().languages(), 99);
        assert_eq!(header(turbo).unwrap().languages(), 100);
    }

    #[test]
    fn other_files_are_refused() {
        assert_eq!(header([0x4655_4747, 51864, 1500, 384, 6, 4, 448, 384, 6, 4, 80, 7]), None);
        assert_eq!(header([MAGIC, 51864, 1500, 384, 6, 4, 448, 384, 6, 0, 80, 7]), None);
        assert!(Header::read(Path::new("/nonexistent")).is_err());
    }
}
