//! Tokens to words: bytes are joined to characters, characters to words, and each word gets its place in the audio.

use super::call::Token;
use crate::engine::Word;

/// Punctuation that belongs to the word behind it, as in the reference's word timing.
const OPENING: &str = "\"'“¿([{-";
/// Punctuation that belongs to the word before it.
const CLOSING: &str = "\"'.。,，!！?？:：”)]}、…;；";

/// The words of `tokens` in audio of `samples`. `unspaced`: the language is written without spaces, so that each
/// token that ends a character ends a word. The first begins at `start`.
pub(super) fn words(tokens: &[Token], unspaced: bool, start: u64, samples: u64) -> Vec<Word> {
    let pieces = pieces(tokens, start, samples);
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

/// A run of tokens whose bytes are whole characters.
struct Piece {
    text: String,
    start: u64,
    end: u64,
    attended: Option<u64>,
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
fn pieces(tokens: &[Token], mut start: u64, samples: u64) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut bytes = Vec::new();
    let mut probabilities = Vec::new();
    let mut end = start;
    let mut attended = None;
    for (n, token) in tokens.iter().enumerate() {
        bytes.extend_from_slice(&token.bytes);
        probabilities.push(token.probability);
        attended = attended.max(token.attended);
        end = token.end.unwrap_or(end).clamp(end, samples);
        let cut_off = std::str::from_utf8(&bytes).is_err_and(|error| error.error_len().is_none());
        if cut_off && n + 1 < tokens.len() {
            continue;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (attended, probabilities) = (attended.take(), std::mem::take(&mut probabilities));
        pieces.push(Piece { text, start, end, attended, probabilities });
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
    /// Of its letters, too.
    attended: Option<u64>,
    probabilities: Vec<f32>,
}

impl Building {
    fn new(piece: Piece) -> Self {
        let letters = piece.letters();
        let Piece { text, start, end, attended, probabilities } = piece;
        Self { text, start, end, letters, attended, probabilities }
    }

    fn push(&mut self, piece: Piece) {
        if piece.letters() {
            if !self.letters {
                self.start = piece.start;
                self.attended = None;
            }
            self.attended = self.attended.max(piece.attended);
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
            attended: self.attended,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens of 100 samples each.
    fn tokens(texts: &[&[u8]]) -> Vec<Token> {
        let token = |(n, bytes): (usize, &&[u8])| Token {
            bytes: bytes.to_vec(),
            probability: 0.5,
            end: Some(100 * (n as u64 + 1)),
            attended: Some(100 * n as u64 + 50),
        };
        texts.iter().enumerate().map(token).collect()
    }

    fn said(texts: &[&[u8]], unspaced: bool) -> Vec<(String, std::ops::Range<u64>, bool)> {
        let words = words(&tokens(texts), unspaced, 0, 1_000_000);
        words.into_iter().map(|w| (w.text, w.span, w.space_before)).collect()
    }

    #[test]
    fn tokens_join_to_words_at_spaces() {
        let words = said(&[b" And", b" so", b",", b" fellow", b" Amer", b"icans", b"."], false);
        let expected = [("And", 0..100), ("so,", 100..200), ("fellow", 300..400), ("Americans.", 400..600)];
        assert_eq!(words, expected.map(|(text, span)| (text.to_owned(), span, true)));
    }

    #[test]
    fn a_word_looks_as_far_as_its_last_letters() {
        let words = words(&tokens(&[b" \"", b"Amer", b"icans", b".", b" ask"]), false, 0, 1_000);
        assert_eq!(words.iter().map(|w| w.attended).collect::<Vec<_>>(), [Some(250), Some(450)]);
    }

    #[test]
    fn the_first_word_needs_no_space_and_hyphens_join() {
        let words = said(&[b"Cold", b"-", b"hearted", b" men"], false);
        assert_eq!(words[0], ("Cold-hearted".to_owned(), 0..300, false));
        assert_eq!(words.len(), 2);
    }

    #[test]
    fn opening_punctuation_joins_the_word_behind_it() {
        let words = said(&[b" said", b" \"", b"Hello", b"\"", b" ("], false);
        assert_eq!(words[1], ("\"Hello\"".to_owned(), 200..300, true));
        assert_eq!(words[2].0, "(");
    }

    #[test]
    fn characters_may_be_spread_over_tokens() {
        let words = said(&[b" caf", &[0xC3], &[0xA9], b" au", b" ", &[0xF0, 0x9F], &[0x98, 0x80]], false);
        let texts: Vec<&str> = words.iter().map(|w| w.0.as_str()).collect();
        assert_eq!(texts, ["café", "au", "😀"]);
        assert_eq!(words[0].1, 0..300);
    }

    #[test]
    fn broken_bytes_lose_no_words() {
        let words = said(&[b" a", &[0xFF], b" b", &[0xE3, 0x81]], false);
        assert_eq!(words.iter().map(|w| w.0.as_str()).collect::<Vec<_>>(), ["a\u{FFFD}", "b\u{FFFD}"]);
    }

    #[test]
    fn scripts_without_spaces_split_at_whole_characters() {
        let ha = "は".as_bytes();
        let words = said(&["今日".as_bytes(), &ha[..1], &ha[1..], "。".as_bytes(), "雨".as_bytes()], true);
        assert_eq!(
            words,
            [
                ("今日".to_owned(), 0..100, false),
                ("は。".to_owned(), 100..300, false),
                ("雨".to_owned(), 400..500, false)
            ]
        );
    }

    #[test]
    fn times_are_in_order_and_inside_the_audio() {
        let mut tokens = tokens(&[b" a", b" b", b" c", b" d", b" e"]);
        tokens[1].end = Some(50);
        tokens[2].end = None;
        let words = words(&tokens, false, 0, 350);
        let spans: Vec<_> = words.iter().map(|w| w.span.clone()).collect();
        assert_eq!(spans, [0..100, 100..100, 100..100, 100..350, 350..350]);
    }

    #[test]
    fn nothing_makes_no_words() {
        assert_eq!(said(&[], false), []);
        assert_eq!(said(&[b" ", b""], false), []);
    }
}
