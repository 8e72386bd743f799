//! Whisper's tokens: text to tokens and back, the special ones, and those that are never to be chosen.
//!
//! The order of the special tokens is the same in all models (`whisper/tokenizer.py`): end of text, start of
//! transcript, the languages, translate, transcribe, start of a language model's text, start of what was said before,
//! no speech, no timestamps, and the timestamps.

use std::collections::HashMap;

use crate::models::ggml::GgmlHeader;

/// Signs that are no speech: they begin annotations. With and without a space in front.
const ANNOTATIONS: &str =
    "\" # ( ) * + / : ; < = > @ [ \\ ] ^ _ ` { | } ~ 「 」 『 』 << >> <<< >>> -- --- -( -[ (' (\" \
                           (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪";
/// Signs of music. Where they are no tokens of their own, the first part of them is not to be chosen.
const NOTES: &str = "♩ ♪ ♫ ♬ ♭ ♮ ♯";
/// Dashes and quotes are none within a word, but they are at the start of one.
const ANNOTATIONS_AT_START: [&str; 2] = [" -", " '"];

/// The tokens that are no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Special {
    /// Ends the text; all below it are text.
    pub(super) end: i32,
    /// Starts the transcript.
    pub(super) start: i32,
    /// The first language's.
    pub(super) first_language: i32,
    pub(super) translate: i32,
    pub(super) transcribe: i32,
    /// Starts what was said before.
    pub(super) previous: i32,
    pub(super) no_speech: i32,
    pub(super) no_timestamps: i32,
}

impl Special {
    /// Those of a model with this header.
    pub(super) fn new(header: &GgmlHeader) -> Self {
        let end = if header.multilingual() { 50_257 } else { 50_256 };
        // English-only models have the tokens of 99 languages, too.
        let languages = header.languages().max(99) as i32;
        let translate = end + 2 + languages;
        Self {
            end,
            start: end + 1,
            first_language: end + 2,
            translate,
            transcribe: translate + 1,
            previous: translate + 3,
            no_speech: translate + 4,
            no_timestamps: translate + 5,
        }
    }
}

/// A model's vocabulary.
pub(super) struct Tokens {
    pub(super) special: Special,
    texts: Vec<Vec<u8>>,
    numbers: HashMap<Vec<u8>, i32>,
    longest: usize,
    annotations: Vec<i32>,
}

impl Tokens {
    /// From the texts in a model file.
    pub(super) fn new(header: &GgmlHeader, vocabulary: &[Vec<u8>]) -> Self {
        let special = Special::new(header);
        let texts: Vec<Vec<u8>> = vocabulary.iter().take(special.end as usize).cloned().collect();
        let mut numbers = HashMap::with_capacity(texts.len());
        for (number, text) in (0..).zip(&texts) {
            numbers.entry(text.clone()).or_insert(number);
        }
        let longest = texts.iter().map(Vec::len).max().unwrap_or(0);
        let signs = ANNOTATIONS.split(' ').flat_map(|sign| [sign.to_owned(), format!(" {sign}")]);
        let signs = signs.chain(ANNOTATIONS_AT_START.map(str::to_owned));
        let annotations = signs.filter_map(|sign| numbers.get(sign.as_bytes()).copied()).collect();
        let mut tokens = Self { special, texts, numbers, longest, annotations };
        for note in NOTES.split(' ').flat_map(|note| [note.to_owned(), format!(" {note}")]) {
            let first = tokens.tokenize(&note).first().copied().filter(|first| Some(*first) != tokens.blank());
            tokens.annotations.extend(first);
        }
        tokens.annotations.sort_unstable();
        tokens.annotations.dedup();
        tokens
    }

    /// The bytes of a token of text; none for others.
    pub(super) fn bytes(&self, token: i32) -> &[u8] {
        usize::try_from(token).ok().and_then(|token| self.texts.get(token)).map_or(&[], Vec::as_slice)
    }

    /// Brackets, notes and the like.
    pub(super) fn annotations(&self) -> &[i32] {
        &self.annotations
    }

    /// The space alone, which starts no text.
    pub(super) fn blank(&self) -> Option<i32> {
        self.numbers.get(b" ".as_slice()).copied()
    }

    /// The tokens of a text: of each word the longest token that it begins with, and so on. (A model file has no merge
    /// table, so that this can differ from the tokens that the model was trained with; whisper.cpp does the same.)
    pub(super) fn tokenize(&self, text: &str) -> Vec<i32> {
        let mut tokens = Vec::new();
        for word in words(text) {
            let mut rest = word.as_bytes();
            while !rest.is_empty() {
                let lengths = (1..=rest.len().min(self.longest)).rev();
                let found = lengths.filter_map(|len| Some((len, *self.numbers.get(&rest[..len])?))).next();
                tokens.extend(found.map(|(_, token)| token));
                rest = &rest[found.map_or(1, |(len, _)| len)..];
            }
        }
        tokens
    }
}

/// Cuts a text where GPT-2 does: runs of letters, of digits or of other signs with a space in front, and spaces. (GPT-2
/// also keeps the `'s` of contractions in one; here it is two.)
fn words(text: &str) -> Vec<&str> {
    #[derive(PartialEq, Clone, Copy)]
    enum Kind {
        Letter,
        Digit,
        Space,
        Other,
    }
    let kind = |c: char| match c {
        c if c.is_alphabetic() => Kind::Letter,
        c if c.is_numeric() => Kind::Digit,
        c if c.is_whitespace() => Kind::Space,
        _ => Kind::Other,
    };
    let mut words = Vec::new();
    let mut start = 0;
    let mut last: Option<Kind> = None;
    for (at, c) in text.char_indices() {
        let this = kind(c);
        let joins = match last {
            None => true,
            // One plain space belongs to what follows.
            Some(Kind::Space) if this != Kind::Space => &text[start..at] == " ",
            Some(last) => last == this,
        };
        if !joins {
            let spaced = last == Some(Kind::Space) && this != Kind::Space && text[..at].ends_with(' ');
            let end = if spaced { at - 1 } else { at };
            words.push(&text[start..end]);
            start = end;
        }
        last = Some(this);
    }
    words.push(&text[start..]);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::ggml::GgmlFile;

    fn tiny_en() -> Tokens {
        let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/ggml-tiny.en-q8_0.bin");
        let file = GgmlFile::open(model.as_ref()).unwrap();
        Tokens::new(file.header(), file.vocabulary())
    }

    #[test]
    fn special_tokens_stand_where_the_reference_has_them() {
        let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/ggml-tiny.en-q8_0.bin");
        let english = GgmlFile::open(model.as_ref()).unwrap().header().clone();
        let special = |n_vocab| Special::new(&GgmlHeader { n_vocab, ..english.clone() });
        let of = |s: Special| (s.end, s.start, s.translate, s.transcribe, s.previous, s.no_speech, s.no_timestamps);
        assert_eq!(of(special(51_864)), (50_256, 50_257, 50_357, 50_358, 50_360, 50_361, 50_362));
        assert_eq!(of(special(51_865)), (50_257, 50_258, 50_358, 50_359, 50_361, 50_362, 50_363));
        assert_eq!(of(special(51_866)), (50_257, 50_258, 50_359, 50_360, 50_362, 50_363, 50_364));
    }

    #[test]
    fn text_becomes_tokens_and_text_again() {
        let tokens = tiny_en();
        for text in [" And so my fellow Americans", " naïve 漢字 😀\n\n  x", " it's 1234, isn't it?", "", " "] {
            let numbers = tokens.tokenize(text);
            let bytes: Vec<u8> = numbers.iter().flat_map(|n| tokens.bytes(*n)).copied().collect();
            assert_eq!(String::from_utf8(bytes).unwrap(), text);
        }
        assert_eq!(tokens.tokenize(" And so my fellow Americans"), [843, 523, 616, 5891, 3399], "GPT-2's own");
        assert_eq!(tokens.bytes(50_300), b"");
    }

    #[test]
    fn words_are_cut_as_gpt_2_cuts_them() {
        assert_eq!(words(" it is 12 o'clock,  now"), [" it", " is", " 12", " o", "'", "clock", ",", " ", " now"]);
    }

    #[test]
    fn annotations_are_single_tokens() {
        let tokens = tiny_en();
        let texts: Vec<&[u8]> = tokens.annotations().iter().map(|n| tokens.bytes(*n)).collect();
        for sign in ["[", " [", " (", " -", " '", "<<"] {
            assert!(texts.contains(&sign.as_bytes()), "{sign}");
        }
        assert!(texts.contains(&"♪".as_bytes()) || texts.contains(&&"♪".as_bytes()[..2]), "{texts:?}");
        assert!(!texts.contains(&b"-".as_slice()) && !texts.contains(&b"'".as_slice()));
    }
}
