//! The alignment heads as whisper.cpp wants to be told them, with the memory it takes to align.

use std::path::Path;

use whisper_rs::{DtwMode, DtwModelPreset, DtwParameters};

use crate::engine::job::alignment::{heads, upper_layers, Official};
use crate::models::checkpoint::ModelShape;

/// Most tokens the alignment sees: whisper.cpp decodes at most 220, plus the task tokens.
const MOST_TOKENS: usize = 232;

/// Whose cross-attention is aligned with the audio. The preset must match the file.
pub(super) fn parameters(shape: &ModelShape, path: &Path) -> DtwParameters<'static> {
    let mode = match Official::of(shape, path) {
        Some(model) => DtwMode::ModelPreset { model_preset: preset(model) },
        None => DtwMode::TopMost { n_top: upper_layers(shape) as i32 },
    };
    // whisper.cpp keeps four copies of the attention and three of its mean; it aborts when memory runs out.
    let matrix = MOST_TOKENS * shape.audio_context * size_of::<f32>();
    DtwParameters { mode, dtw_mem_size: matrix * (4 * heads(shape, path, None).len() + 8) + (16 << 20) }
}

fn preset(model: Official) -> DtwModelPreset {
    match model {
        Official::TinyEn => DtwModelPreset::TinyEn,
        Official::Tiny => DtwModelPreset::Tiny,
        Official::BaseEn => DtwModelPreset::BaseEn,
        Official::Base => DtwModelPreset::Base,
        Official::SmallEn => DtwModelPreset::SmallEn,
        Official::Small => DtwModelPreset::Small,
        Official::MediumEn => DtwModelPreset::MediumEn,
        Official::Medium => DtwModelPreset::Medium,
        Official::LargeV1 => DtwModelPreset::LargeV1,
        Official::LargeV2 => DtwModelPreset::LargeV2,
        Official::LargeV3 => DtwModelPreset::LargeV3,
        Official::LargeV3Turbo => DtwModelPreset::LargeV3Turbo,
    }
}
