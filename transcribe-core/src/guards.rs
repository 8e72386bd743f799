//! Guards: what of a hypothesis must not be believed, and what is worth decoding again.

/// Thresholds, with the defaults of OpenAI's reference implementation (`whisper/transcribe.py`).
#[derive(Debug, Clone, PartialEq)]
pub struct GuardOptions {
    /// Text that zlib shrinks more than this repeats itself (2.4).
    pub compression_ratio: f32,
    /// A mean log-probability under this is a guess (−1.0).
    pub logprob: f32,
    /// With a guess, a no-speech probability over this means silence (0.6).
    pub no_speech: f32,
    /// Keep `[BLANK_AUDIO]`, `(music)`, `♪` and the like (false).
    pub keep_annotations: bool,
}

impl Default for GuardOptions {
    fn default() -> Self {
        Self { compression_ratio: 2.4, logprob: -1.0, no_speech: 0.6, keep_annotations: false }
    }
}
