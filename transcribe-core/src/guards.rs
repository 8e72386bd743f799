//! Guards: what of a hypothesis must not be believed, and what is worth decoding again.
//!
//! Pure functions over text and figures. An engine measures an attempt ([`Measures`]), [`judge`] says what to make
//! of it, and [`strip_annotations`] and [`loops`] tell an engine which words to drop.

use std::io::Write;

use flate2::write::ZlibEncoder;
use flate2::Compression;

mod annotations;
mod repetition;

pub use annotations::{annotated, strip_annotations};
pub use repetition::{doubled, loops, Loop};

/// Thresholds, with the defaults of OpenAI's reference implementation (`whisper/transcribe.py`).
#[derive(Debug, Clone, PartialEq)]
pub struct GuardOptions {
    /// Text that zlib shrinks more than this repeats itself (2.4).
    pub compression_ratio: f32,
    /// A mean log-probability under this is a guess (−1.0).
    pub logprob: f32,
    /// A mean log-probability under this in a shortened context is worth a look at the full one (−0.4).
    pub short_context_logprob: f32,
    /// With a guess, a no-speech probability over this means silence (0.6).
    pub no_speech: f32,
    /// Keep `[BLANK_AUDIO]`, `(music)`, `♪` and the like (false).
    pub keep_annotations: bool,
}

impl Default for GuardOptions {
    fn default() -> Self {
        Self {
            compression_ratio: 2.4,
            logprob: -1.0,
            short_context_logprob: -0.4,
            no_speech: 0.6,
            keep_annotations: false,
        }
    }
}

/// What is known of one decoding attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measures {
    /// [`compression_ratio`] of the text.
    pub compression_ratio: f32,
    /// Mean log-probability of the tokens, the end token among them.
    pub avg_logprob: f32,
    /// Probability that there is no speech.
    pub no_speech: f32,
    /// The decoder came to an end by itself, before it ran into the token limit.
    pub finished: bool,
    /// A phrase is said over and over ([`loops`]), or twice ([`doubled`]) in a context that was cut short.
    pub loops: bool,
    /// The whole text is one that Whisper likes to make up ([`is_stock_phrase`]).
    pub stock_phrase: bool,
}

/// What to make of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Believe it.
    Good,
    /// There was no speech: the text is to be dropped, and decoding again is no use.
    Silence,
    /// A guess: decode again if there is a way, but keep the text if nothing better is found.
    Unsure,
    /// The decoder got caught in a loop: decode again, and never show the text as it is.
    Loop,
}

/// Judges an attempt as the reference does (silence first, then loops, then guesses), with two additions: an attempt
/// without end and one that says a phrase over and over count as loops whatever zlib says of them, and a
/// [stock phrase](is_stock_phrase) is silence unless the model is sure both of speech and of the words.
pub fn judge(measures: &Measures, options: &GuardOptions) -> Verdict {
    let guess = measures.avg_logprob < options.logprob;
    let no_speech = measures.no_speech > options.no_speech;
    let doubtful = no_speech || measures.avg_logprob < options.logprob * STOCK_PHRASE_LOGPROB;
    if (guess && no_speech) || (measures.stock_phrase && doubtful) {
        Verdict::Silence
    } else if measures.compression_ratio > options.compression_ratio || !measures.finished || measures.loops {
        Verdict::Loop
    } else if guess {
        Verdict::Unsure
    } else {
        Verdict::Good
    }
}

/// Share of the log-probability threshold under which a stock phrase isn't believed.
const STOCK_PHRASE_LOGPROB: f32 = 0.7;

/// How many times smaller zlib (level 6, as Python's `zlib.compress`) makes the text's UTF-8 bytes. (Through zlib-rs,
/// which compresses as zlib does; miniz makes short loops up to half as large again.) Speech stays
/// under 2; text that loops goes far over 2.4. Empty text has 0.
pub fn compression_ratio(text: &str) -> f32 {
    if text.is_empty() {
        return 0.0;
    }
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(6));
    match encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()) {
        Ok(compressed) => text.len() as f32 / compressed.len() as f32,
        Err(_) => 0.0, // writing to memory does not fail
    }
}

/// Whether the whole text is one of those that Whisper, trained on subtitles, writes over silence and noise.
pub fn is_stock_phrase(text: &str) -> bool {
    const PHRASES: [&str; 14] = [
        "you",
        "thank you",
        "thank you very much",
        "thank you so much",
        "thanks for watching",
        "thank you for watching",
        "thank you so much for watching",
        "please subscribe",
        "subscribe",
        "bye",
        "bye bye",
        "okay",
        "oh",
        "the end",
    ];
    let letters: String = text.to_lowercase().chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    let words: Vec<&str> = letters.split_whitespace().collect();
    words.is_empty() || PHRASES.contains(&words.join(" ").as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEECH: Measures = Measures {
        compression_ratio: 1.4,
        avg_logprob: -0.3,
        no_speech: 0.05,
        finished: true,
        loops: false,
        stock_phrase: false,
    };

    fn verdict(measures: Measures) -> Verdict {
        judge(&measures, &GuardOptions::default())
    }

    #[test]
    fn compression_ratios_are_those_of_python() {
        // len(t.encode()) / len(zlib.compress(t.encode()))
        let speech = "And so my fellow Americans, ask not what your country can do for you, ask what you can do for \
                      your country.";
        for (text, python) in [
            (speech.to_owned(), 1.354),
            ("no no no no".to_owned(), 0.846),
            ("and then he went home. ".repeat(4), 2.706),
            ("and then ".repeat(30), 12.273),
        ] {
            assert!((compression_ratio(&text) - python).abs() < 0.01, "{text}: {}", compression_ratio(&text));
        }
        assert_eq!(compression_ratio(""), 0.0);
    }

    #[test]
    fn plain_speech_is_believed() {
        assert_eq!(verdict(SPEECH), Verdict::Good);
        assert_eq!(verdict(Measures { no_speech: 0.9, ..SPEECH }), Verdict::Good, "sure words outweigh no-speech");
        assert_eq!(verdict(Measures { stock_phrase: true, ..SPEECH }), Verdict::Good, "somebody says thank you");
    }

    #[test]
    fn guesses_without_speech_are_silence() {
        assert_eq!(verdict(Measures { no_speech: 0.7, avg_logprob: -1.1, ..SPEECH }), Verdict::Silence);
        assert_eq!(verdict(Measures { no_speech: 0.5, avg_logprob: -1.1, ..SPEECH }), Verdict::Unsure);
        assert_eq!(verdict(Measures { no_speech: 0.7, stock_phrase: true, ..SPEECH }), Verdict::Silence);
        assert_eq!(verdict(Measures { avg_logprob: -0.8, stock_phrase: true, ..SPEECH }), Verdict::Silence);
    }

    #[test]
    fn loops_are_never_believed() {
        assert_eq!(verdict(Measures { compression_ratio: 2.5, ..SPEECH }), Verdict::Loop);
        assert_eq!(verdict(Measures { finished: false, ..SPEECH }), Verdict::Loop);
        assert_eq!(verdict(Measures { loops: true, ..SPEECH }), Verdict::Loop);
    }

    #[test]
    fn stock_phrases_are_whole_texts() {
        for text in ["Thank you.", " you", "Thanks for watching!", "Bye-bye.", "...", ""] {
            assert!(is_stock_phrase(text), "{text}");
        }
        for text in ["Thank you, Mr. Dashwood.", "you know", "He said okay.", "你好"] {
            assert!(!is_stock_phrase(text), "{text}");
        }
    }
}
