//! Tokens to words: bytes are joined to characters, characters to words, and each word gets its place in the audio.

use super::decode::Token;
use crate::engine::Word;

/// Punctuation that belongs to the word behind it, as in the reference's word timing.
const OPENING: &str = "\"'“¿([{-";
/// Punctuation that belongs to the word before it.
const CLOSING: &str = "\"'.。,，!！?？:：”)]}、…;；";

/// The words of `tokens` in audio of `samples`. `unspaced`: the language is written without spaces, so that each
/// token that ends a character ends a word.
pub(super) fn words(tokens: &[Token], unspaced: bool, samples: u64) -> Vec<Word> {
    let pieces = pieces(tokens, samples);
    let mut words: Vec<Building> = Vec::new();
    for piece in pieces {
        let follows = match words.last() {
            None => false,
            Some(last) if last.is_opening() => true,
            Some(_) if piece.is_closing() => true,
            Some(_) => !unspaced && !piece.text.starts_with(' '),
        };
        match words.last_mut() {
            Some(last) if follows => last.push(piece),
            _ => words.push(Building::new(piece)),
        }
    }
    words.into_iter().filter_map(Building::finish).collect()
}

/// Whole characters: one token or more.
struct Piece {
    text: String,
    start: u64,
    end: u64,
    probabilities: Vec<f32>,
}

impl Piece {
    fn letters(&self) -> bool {
        self.text.chars().any(char::is_alphanumeric)
    }

    /// Punctuation without a space in front, for the word before it.
    fn is_closing(&self) -> bool {
        !self.text.is_empty() && self.text.chars().all(|c| CLOSING.contains(c))
    }
}

/// Joins tokens until their bytes are whole characters. Each starts where the one before ended; bytes that make no
/// character become U+FFFD.
fn pieces(tokens: &[Token], samples: u64) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut bytes = Vec::new();
    let mut probabilities = Vec::new();
    let mut start = 0;
    let mut end = 0;
    for (n, token) in tokens.iter().enumerate() {
        bytes.extend_from_slice(&token.bytes);
        probabilities.push(token.probability);
        end = token.end.unwrap_or(end).clamp(end, samples);
        let cut_off = std::str::from_utf8(&bytes).is_err_and(|error| error.error_len().is_none());
        if cut_off && n + 1 < tokens.len() {
            continue;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        pieces.push(Piece { text, start, end, probabilities: std::mem::take(&mut probabilities) });
        bytes.clear();
        start = end;
    }
    pieces
}

/// A word while pieces are added to it.
struct Building {
    text: String,
    start: u64,
    /// End of its last letters: pauses go to punctuation.
    end: u64,
    letters: bool,
    probabilities: Vec<f32>,
}

impl Building {
    fn new(piece: Piece) -> Self {
        let letters = piece.letters();
        let Piece { text, start, end, probabilities } = piece;
        Self { text, start, end, letters, probabilities }
    }

    fn push(&mut self, piece: Piece) {
        if piece.letters() {
            if !self.letters {
                self.start = piece.start;
            }
            self.letters = true;
            self.end = piece.end;
        }
        self.text.push_str(&piece.text);
        self.probabilities.extend(piece.probabilities);
    }

    fn is_opening(&self) -> bool {
        let text = self.text.trim();
        self.text.starts_with(' ') && !text.is_empty() && text.chars().all(|c| OPENING.contains(c))
    }

    fn finish(self) -> Option<Word> {
        let text = self.text.trim();
        let probability = self.probabilities.iter().sum::<f32>() / self.probabilities.len().max(1) as f32;
        (!text.is_empty()).then(|| Word {
            text: text.to_owned(),
            space_before: self.text.starts_with(' '),
            span: self.start..self.end.max(self.start),
            probability,
        })
    }
}
