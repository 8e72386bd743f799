//! Whisper's tokens: text to tokens and back, and those that are never to be chosen.

use std::ops::Range;

use crate::models::checkpoint::tokenizer::Tokenizer;
use crate::models::checkpoint::{Advice, Special, Vocabulary};

/// Signs that are no speech: they begin annotations. With and without a space in front.
const ANNOTATIONS: &str =
    "\" # ( ) * + / : ; < = > @ [ \\ ] ^ _ ` { | } ~ 「 」 『 』 << >> <<< >>> -- --- -( -[ (' (\" \
                           (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪";
/// Signs of music. Where they are no tokens of their own, the first part of them is not to be chosen.
const NOTES: &str = "♩ ♪ ♫ ♬ ♭ ♮ ♯";
/// Dashes and quotes are none within a word, but they are at the start of one.
const ANNOTATIONS_AT_START: [&str; 2] = [" -", " '"];

/// A model's vocabulary.
pub(super) struct Tokens {
    pub(super) special: Special,
    /// Those that tell a time, 0.00 s first.
    pub(super) timestamps: Range<i32>,
    /// Place in [`LANGUAGES`](crate::engine::languages::LANGUAGES) and token of each language.
    pub(super) languages: Vec<(usize, i32)>,
    texts: Vec<Vec<u8>>,
    tokenizer: Tokenizer,
    annotations: Vec<i32>,
    at_start: Vec<i32>,
    never: Vec<i32>,
}

impl Tokens {
    /// From what a model's files say.
    pub(super) fn new(vocabulary: &Vocabulary, advice: &Advice) -> Result<Self, regex::Error> {
        let tokenizer = Tokenizer::new(vocabulary)?;
        let special = vocabulary.special();
        let texts = vocabulary.texts().to_vec();
        let timestamps = vocabulary.timestamps();
        let no_text = |(number, text): &(i32, &Vec<u8>)| {
            text.is_empty() && *number != special.end && !timestamps.contains(number)
        };
        let never = (0..).zip(&texts).filter(no_text);
        let never = never.map(|(number, _)| number).collect();
        let languages = vocabulary.languages().to_vec();
        let (annotations, at_start) = (Vec::new(), Vec::new());
        let mut tokens = Self { special, timestamps, languages, texts, tokenizer, annotations, at_start, never };
        tokens.annotations = match &advice.suppressed {
            // Tokens that are no text never come anyway, but the end must.
            Some(all) => all.iter().copied().filter(|token| *token != special.end).collect(),
            None => tokens.signs(),
        };
        let blank = tokens.tokenizer.token(b" ");
        tokens.at_start = match &advice.suppressed_at_start {
            Some(all) => all.clone(),
            None => [Some(special.end), blank].into_iter().flatten().collect(),
        };
        Ok(tokens)
    }

    /// The tokens of signs that nobody says.
    fn signs(&self) -> Vec<i32> {
        let signs = ANNOTATIONS.split(' ').flat_map(|sign| [sign.to_owned(), format!(" {sign}")]);
        let signs = signs.chain(ANNOTATIONS_AT_START.map(str::to_owned));
        let mut all: Vec<i32> = signs.filter_map(|sign| self.tokenizer.token(sign.as_bytes())).collect();
        let blank = self.tokenizer.token(b" ");
        for note in NOTES.split(' ').flat_map(|note| [note.to_owned(), format!(" {note}")]) {
            all.extend(self.tokenize(&note).first().filter(|first| Some(**first) != blank));
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The bytes of a token of text; none for others.
    pub(super) fn bytes(&self, token: i32) -> &[u8] {
        usize::try_from(token).ok().and_then(|token| self.texts.get(token)).map_or(&[], Vec::as_slice)
    }

    /// Brackets, notes and the like.
    pub(super) fn annotations(&self) -> &[i32] {
        &self.annotations
    }

    /// What starts no text: its end, and a space alone.
    pub(super) fn at_start(&self) -> &[i32] {
        &self.at_start
    }

    /// What is neither text nor its end nor a timestamp.
    pub(super) fn never(&self) -> &[i32] {
        &self.never
    }

    /// The token of a language, by its place in [`LANGUAGES`](crate::engine::languages::LANGUAGES).
    pub(super) fn language(&self, index: usize) -> Option<i32> {
        self.languages.iter().find(|(place, _)| *place == index).map(|(_, token)| *token)
    }

    /// The tokens of a text.
    pub(super) fn tokenize(&self, text: &str) -> Vec<i32> {
        self.tokenizer.encode(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::checkpoint::Checkpoint;

    fn tiny_en() -> Tokens {
        advised(&Advice::default())
    }

    fn advised(advice: &Advice) -> Tokens {
        let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/ggml-tiny.en-q8_0.bin");
        Tokens::new(Checkpoint::open(model.as_ref()).unwrap().vocabulary(), advice).unwrap()
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
    fn annotations_are_single_tokens() {
        let tokens = tiny_en();
        let texts: Vec<&[u8]> = tokens.annotations().iter().map(|n| tokens.bytes(*n)).collect();
        for sign in ["[", " [", " (", " -", " '", "<<"] {
            assert!(texts.contains(&sign.as_bytes()), "{sign}");
        }
        assert!(texts.contains(&"♪".as_bytes()) || texts.contains(&&"♪".as_bytes()[..2]), "{texts:?}");
        assert!(!texts.contains(&b"-".as_slice()) && !texts.contains(&b"'".as_slice()));
    }

    /// The lists for tiny.en as faster-whisper's `config.json` has them.
    #[test]
    fn what_is_never_chosen_is_what_the_reference_suppresses() {
        let tokens = tiny_en();
        let reference = [
            1, 2, 7, 8, 9, 10, 14, 25, 26, 27, 28, 29, 31, 58, 59, 60, 61, 62, 63, 90, 91, 92, 93, 357, 366, 438, 532,
            685, 705, 796, 930, 1058, 1220, 1267, 1279, 1303, 1343, 1377, 1391, 1635, 1782, 1875, 2162, 2361, 2488,
            3467, 4008, 4211, 4600, 4808, 5299, 5855, 6329, 7203, 9609, 9959, 10563, 10786, 11420, 11709, 11907, 13163,
            13697, 13700, 14808, 15306, 16410, 16791, 17992, 19203, 19510, 20724, 22305, 22935, 27007, 30109, 30420,
            33409, 34949, 40283, 40493, 40549, 47282, 49146,
        ];
        assert_eq!(tokens.annotations(), reference);
        assert_eq!(tokens.at_start(), [50_256, 220]);
        assert_eq!(tokens.never(), (50_257..50_363).collect::<Vec<i32>>());
        assert_eq!(tokens.timestamps, 50_363..51_864);
    }

    #[test]
    fn a_models_own_lists_go_before_ours() {
        let advice = Advice {
            suppressed: Some(vec![5, 50_256, 50_300]),
            suppressed_at_start: Some(vec![7]),
            ..Advice::default()
        };
        let tokens = advised(&advice);
        assert_eq!((tokens.annotations(), tokens.at_start()), (&[5, 50_300][..], &[7][..]));
    }
}
