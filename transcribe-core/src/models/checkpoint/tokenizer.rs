//! Text to a model's tokens, as the reference has them: GPT-2's byte-pair encoding (`tiktoken` under OpenAI's
//! `whisper/tokenizer.py`).
//!
//! The list of merges is not needed, which ggml files don't have: tokens were numbered as they were made, so that of all
//! neighbours that make a token the pair with the least number is the one to merge. The longest token that a word begins
//! with, which whisper.cpp takes, is often another: " GStreamer" would be " GS", "tre", "amer" instead of " G", "Streamer".

use std::collections::HashMap;

use regex::Regex;

use super::Vocabulary;

/// GPT-2's pieces, none of which reaches into another: contractions, runs of letters, digits or other signs with a space
/// in front, spaces.
const PIECES: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+";

/// The tokens of a vocabulary by their bytes.
pub(crate) struct Tokenizer {
    numbers: HashMap<Vec<u8>, i32>,
    pieces: Regex,
}

impl Tokenizer {
    /// For this vocabulary.
    pub(crate) fn new(vocabulary: &Vocabulary) -> Result<Self, regex::Error> {
        let texts = vocabulary.texts();
        let mut numbers = HashMap::with_capacity(texts.len());
        for (number, text) in (0..).zip(texts).filter(|(_, text)| !text.is_empty()) {
            numbers.entry(text.clone()).or_insert(number);
        }
        let pieces = Regex::new(PIECES)?;
        Ok(Self { numbers, pieces })
    }

    /// The token that is exactly this.
    pub(crate) fn token(&self, bytes: &[u8]) -> Option<i32> {
        self.numbers.get(bytes).copied()
    }

    /// The tokens of a text. Bytes that the vocabulary has no token for are left out.
    pub(crate) fn encode(&self, text: &str) -> Vec<i32> {
        let mut tokens = Vec::new();
        let mut at = 0;
        while let Some(piece) = self.pieces.find_at(text, at) {
            let mut end = piece.end();
            // Of several spaces in front of a word, the last is the word's.
            let last = piece.as_str().chars().next_back().unwrap_or_default();
            if last.is_whitespace() && end < text.len() && piece.len() > last.len_utf8() {
                end -= last.len_utf8();
            }
            self.merge(&text.as_bytes()[at..end], &mut tokens);
            at = end;
        }
        tokens
    }

    /// Merges the bytes of a piece.
    fn merge(&self, piece: &[u8], tokens: &mut Vec<i32>) {
        if let Some(token) = self.token(piece) {
            tokens.push(token);
            return;
        }
        // Where each part begins, and the token that it makes with the next.
        let joined = |starts: &[usize], n: usize| {
            let end = starts.get(n + 2)?;
            self.token(&piece[starts[n]..*end])
        };
        let mut starts: Vec<usize> = (0..=piece.len()).collect();
        let mut pairs: Vec<Option<i32>> = (0..piece.len()).map(|n| joined(&starts, n)).collect();
        while let Some((_, n)) = pairs.iter().zip(0..).filter_map(|(pair, n)| Some(((*pair)?, n))).min() {
            starts.remove(n + 1);
            pairs.remove(n + 1);
            pairs[n] = joined(&starts, n);
            if let Some(before) = n.checked_sub(1) {
                pairs[before] = joined(&starts, before);
            }
        }
        tokens.extend(starts.windows(2).filter_map(|part| self.token(&piece[part[0]..part[1]])));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::models::checkpoint::Checkpoint;

    /// A text and its tokens in the two vocabularies, English and multilingual, as tiktoken 0.14 has them with the
    /// vocabularies of openai-whisper 20250625.
    const REFERENCE: &str = include_str!("tokens.tsv");

    fn tokenizer(model: &str) -> Option<Tokenizer> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(model);
        path.exists().then(|| Tokenizer::new(Checkpoint::open(&path).unwrap().vocabulary()).unwrap())
    }

    fn compare(tokenizer: &Tokenizer, column: usize) {
        for line in REFERENCE.lines() {
            let cells: Vec<&str> = line.split('\t').collect();
            let text: String = serde_json::from_str(cells[0]).unwrap();
            let expected: Vec<i32> = cells[column].split_whitespace().map(|number| number.parse().unwrap()).collect();
            assert_eq!(tokenizer.encode(&text), expected, "{text:?}");
        }
    }

    #[test]
    fn text_has_the_tokens_of_the_reference() {
        compare(&tokenizer("models/ggml-tiny.en-q8_0.bin").expect("the bundled model"), 1);
        match tokenizer("../shared/models/ggml-base-q5_1.bin") {
            Some(multilingual) => compare(&multilingual, 2),
            None => println!("skipped: there is no multilingual model"),
        }
    }
}
