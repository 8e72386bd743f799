//! Which heads of the decoder's cross-attention tell when a token was spoken.
//!
//! OpenAI published the heads of its own models (`whisper/__init__.py`); for others, distilled ones, its code takes all
//! heads of the upper half of the layers, as we do. A model's files may also name them.

use std::path::Path;

use crate::models::checkpoint::ModelShape;

/// Most heads of a model without published ones that are aligned, so that memory stays in bounds.
const MOST_HEADS: usize = 24;

/// OpenAI's models, as far as their heads differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Official {
    TinyEn,
    Tiny,
    BaseEn,
    Base,
    SmallEn,
    Small,
    MediumEn,
    Medium,
    LargeV1,
    LargeV2,
    LargeV3,
    LargeV3Turbo,
}

impl Official {
    /// The model with these sizes. Large v1 and v2 have the same: v2 unless the file's name says v1.
    pub(crate) fn of(shape: &ModelShape, path: &Path) -> Option<Self> {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let multilingual = shape.multilingual;
        Some(match (shape.audio_layers, shape.text_layers, shape.state) {
            (4, 4, 384) if multilingual => Self::Tiny,
            (4, 4, 384) => Self::TinyEn,
            (6, 6, 512) if multilingual => Self::Base,
            (6, 6, 512) => Self::BaseEn,
            (12, 12, 768) if multilingual => Self::Small,
            (12, 12, 768) => Self::SmallEn,
            (24, 24, 1024) if multilingual => Self::Medium,
            (24, 24, 1024) => Self::MediumEn,
            (32, 4, 1280) if shape.mels == 128 => Self::LargeV3Turbo,
            (32, 32, 1280) if shape.mels == 128 => Self::LargeV3,
            (32, 32, 1280) if name.contains("v1") => Self::LargeV1,
            (32, 32, 1280) => Self::LargeV2,
            _ => return None,
        })
    }

    /// Layer and head of each.
    #[rustfmt::skip]
    pub(crate) fn heads(self) -> &'static [(usize, usize)] {
        match self {
            Self::TinyEn => &[(1, 0), (2, 0), (2, 5), (3, 0), (3, 1), (3, 2), (3, 3), (3, 4)],
            Self::Tiny => &[(2, 2), (3, 0), (3, 2), (3, 3), (3, 4), (3, 5)],
            Self::BaseEn => &[(3, 3), (4, 7), (5, 1), (5, 5), (5, 7)],
            Self::Base => &[(3, 1), (4, 2), (4, 3), (4, 7), (5, 1), (5, 2), (5, 4), (5, 6)],
            Self::SmallEn => &[
                (6, 6), (7, 0), (7, 3), (7, 8), (8, 2), (8, 5), (8, 7), (9, 0), (9, 4), (9, 8), (9, 10), (10, 0),
                (10, 1), (10, 2), (10, 3), (10, 6), (10, 11), (11, 2), (11, 4),
            ],
            Self::Small => &[
                (5, 3), (5, 9), (8, 0), (8, 4), (8, 7), (8, 8), (9, 0), (9, 7), (9, 9), (10, 5),
            ],
            Self::MediumEn => &[
                (11, 4), (14, 1), (14, 12), (14, 14), (15, 4), (16, 0), (16, 4), (16, 9), (17, 12), (17, 14), (18, 7),
                (18, 10), (18, 15), (20, 0), (20, 3), (20, 9), (20, 14), (21, 12),
            ],
            Self::Medium => &[(13, 15), (15, 4), (15, 15), (16, 1), (20, 0), (23, 4)],
            Self::LargeV1 => &[
                (9, 19), (11, 2), (11, 4), (11, 17), (22, 7), (22, 11), (22, 17), (23, 2), (23, 15),
            ],
            Self::LargeV2 => &[
                (10, 12), (13, 17), (16, 11), (16, 12), (16, 13), (17, 15), (17, 16), (18, 4), (18, 11), (18, 19),
                (19, 11), (21, 2), (21, 3), (22, 3), (22, 9), (22, 12), (23, 5), (23, 7), (23, 13), (25, 5), (26, 1),
                (26, 12), (27, 15),
            ],
            Self::LargeV3 => &[
                (7, 0), (10, 17), (12, 18), (13, 12), (16, 1), (17, 14), (19, 11), (21, 4), (24, 1), (25, 6),
            ],
            Self::LargeV3Turbo => &[(2, 4), (2, 11), (3, 3), (3, 6), (3, 11), (3, 14)],
        }
    }
}

/// How many of a model's last layers are aligned, all their heads, if it isn't one of OpenAI's.
pub(crate) fn upper_layers(shape: &ModelShape) -> usize {
    (shape.text_layers / 2).min(MOST_HEADS / shape.text_heads).max(1)
}

/// Layer and head of each that is aligned: those that the model's files name (some of them, if they are many), or else
/// those of its sizes.
pub(crate) fn heads(shape: &ModelShape, path: &Path, named: Option<&[(usize, usize)]>) -> Vec<(usize, usize)> {
    match (named, Official::of(shape, path)) {
        (Some(named), _) => named[named.len().saturating_sub(MOST_HEADS)..].to_vec(),
        (None, Some(model)) => model.heads().to_vec(),
        (None, None) => {
            let upper = shape.text_layers - upper_layers(shape)..shape.text_layers;
            upper.flat_map(|layer| (0..shape.text_heads).map(move |head| (layer, head))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::checkpoint::shape::tests::TINY_EN;

    /// Sizes of a model: vocabulary, layers of encoder and decoder, width, heads, mel bands.
    fn shape([vocabulary, audio_layers, text_layers, state, heads, mels]: [usize; 6]) -> ModelShape {
        ModelShape {
            vocabulary,
            mels,
            state,
            audio_heads: heads,
            audio_layers,
            text_heads: heads,
            text_layers,
            multilingual: vocabulary > 51_864,
            ..TINY_EN
        }
    }

    #[test]
    fn sizes_choose_the_heads() {
        let large = shape([51865, 32, 32, 1280, 20, 80]);
        let official = |shape: &ModelShape, name: &str| Official::of(shape, Path::new(name));
        assert_eq!(official(&TINY_EN, "tiny.bin"), Some(Official::TinyEn));
        assert_eq!(official(&large, "ggml-large-v1.bin"), Some(Official::LargeV1));
        assert_eq!(official(&large, "ggml-large.bin"), Some(Official::LargeV2));
        assert_eq!(official(&shape([51866, 32, 4, 1280, 20, 128]), "x"), Some(Official::LargeV3Turbo));
        assert_eq!(heads(&large, Path::new("x"), None).len(), 23);
    }

    #[test]
    fn other_models_use_their_upper_layers() {
        let distil = shape([51866, 32, 2, 1280, 20, 128]);
        let expected: Vec<_> = (0..20).map(|head| (1, head)).collect();
        assert_eq!(heads(&distil, Path::new("x"), None), expected);
    }

    #[test]
    fn a_model_may_name_its_own() {
        assert_eq!(heads(&TINY_EN, Path::new("x"), Some(&[(1, 2)])), [(1, 2)]);
        let all: Vec<_> = (0..32).flat_map(|layer| (0..20).map(move |head| (layer, head))).collect();
        let some = heads(&shape([51865, 32, 32, 1280, 20, 80]), Path::new("x"), Some(&all));
        assert_eq!((some.len(), some[23]), (24, (31, 19)));
    }
}
