//! A model's tokens: the bytes of those that are text, and which of the others is what.
//!
//! ggml files number the special tokens as all of OpenAI's models do; other formats name them, as `<|notimestamps|>`.
//! Text tokens are spelt there in GPT-2's alphabet, which has a printable character for each byte.

use std::collections::HashMap;
use std::ops::Range;

use super::shape::{ModelShape, ENGLISH_VOCABULARY};
use crate::engine::languages;

/// Timestamps in the vocabulary: 0.00 to 30.00 s in steps of 0.02 s.
const TIMESTAMPS: i32 = 1501;

/// The tokens that are no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Special {
    /// Ends the text.
    pub end: i32,
    /// Starts the transcript.
    pub start: i32,
    /// Asks for a translation into English.
    pub translate: i32,
    /// Asks for what was said.
    pub transcribe: i32,
    /// Starts what was said before.
    pub previous: i32,
    /// Says that there is no speech.
    pub no_speech: i32,
    /// Asks for text without timestamps, which follow it in the vocabulary.
    pub no_timestamps: i32,
}

/// A model's tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocabulary {
    special: Special,
    languages: Vec<(usize, i32)>,
    texts: Vec<Vec<u8>>,
}

/// What a file says of its tokens by number, where it does.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    /// Codes and tokens of the languages.
    pub(crate) languages: Option<Vec<(String, i64)>>,
    pub(crate) translate: Option<i64>,
    pub(crate) transcribe: Option<i64>,
    pub(crate) end: Option<i64>,
    pub(crate) start: Option<i64>,
    pub(crate) no_timestamps: Option<i64>,
}

impl Vocabulary {
    /// Of a model whose special tokens stand in OpenAI's order (`whisper/tokenizer.py`): end of text, start of
    /// transcript, the languages, translate, transcribe, start of a language model's text, start of what was said
    /// before, no speech, no timestamps, and the timestamps. `texts` are the bytes of the text tokens at least.
    pub(crate) fn numbered(shape: &ModelShape, mut texts: Vec<Vec<u8>>) -> Self {
        let end = if shape.multilingual { 50_257 } else { 50_256 };
        // English-only models have the tokens of 99 languages, too.
        let count = shape.languages().max(99);
        let translate = end + 2 + count as i32;
        let special = Special {
            end,
            start: end + 1,
            translate,
            transcribe: translate + 1,
            previous: translate + 3,
            no_speech: translate + 4,
            no_timestamps: translate + 5,
        };
        texts.truncate(end as usize);
        texts.resize(shape.vocabulary, Vec::new());
        let languages = (0..count.min(languages::LANGUAGES.len())).map(|n| (n, end + 2 + n as i32)).collect();
        Self { special, languages, texts }
    }

    /// Of a model whose tokens have names, by number; `told` has precedence. Errors: what is missing or can't be.
    pub(crate) fn named(shape: &ModelShape, names: &[Option<String>], told: &Told) -> Result<Self, String> {
        if names.len() > shape.vocabulary {
            let (names, tokens) = (names.len(), shape.vocabulary);
            return Err(format!("its tokenizer has {names} tokens, more than the {tokens} that its weights are for"));
        }
        let numbers: HashMap<&str, i32> =
            (0..).zip(names).filter_map(|(number, name)| Some((name.as_deref()?, number))).collect();
        let find = |told: Option<i64>, all: &[&str]| match told {
            Some(number) => Self::checked(number, shape),
            None => all.iter().find_map(|name| numbers.get(name)).copied().ok_or_else(|| {
                format!("its tokenizer has no token {}, which every Whisper model has; take all files of it", all[0])
            }),
        };
        let special = Special {
            end: find(told.end, &["<|endoftext|>"])?,
            start: find(told.start, &["<|startoftranscript|>"])?,
            translate: find(told.translate, &["<|translate|>"])?,
            transcribe: find(told.transcribe, &["<|transcribe|>"])?,
            previous: find(None, &["<|startofprev|>"])?,
            no_speech: find(None, &["<|nospeech|>", "<|nocaptions|>"])?,
            no_timestamps: find(told.no_timestamps, &["<|notimestamps|>"])?,
        };
        let mut languages = Vec::new();
        for (n, (code, _)) in languages::LANGUAGES.iter().enumerate() {
            let number = match &told.languages {
                Some(told) => told.iter().find(|(c, _)| c == code).map(|(_, number)| Self::checked(*number, shape)),
                None => numbers.get(format!("<|{code}|>").as_str()).copied().map(Ok),
            };
            languages.extend(number.transpose()?.map(|number| (n, number)));
        }
        if shape.multilingual && languages.is_empty() {
            return Err("its tokenizer has no token of a language, as <|en|>; take all files of the model".to_owned());
        }
        let mut vocabulary = Self { special, languages, texts: vec![Vec::new(); shape.vocabulary] };
        for (number, (name, text)) in (0..).zip(names.iter().zip(&mut vocabulary.texts)) {
            let special = Self::is_special(number, &vocabulary.special);
            let sign = |name: &str| name.len() > 4 && name.starts_with("<|") && name.ends_with("|>");
            if let Some(name) = name.as_deref().filter(|name| !special && !sign(name)) {
                *text = bytes(name);
            }
        }
        Ok(vocabulary)
    }

    /// Whether the token stands among those that are no text in each model.
    fn is_special(number: i32, special: &Special) -> bool {
        number == special.end || (special.no_timestamps..=special.no_timestamps + TIMESTAMPS).contains(&number)
    }

    fn checked(number: i64, shape: &ModelShape) -> Result<i32, String> {
        let in_bounds = usize::try_from(number).is_ok_and(|number| number < shape.vocabulary);
        let number = i32::try_from(number).ok().filter(|_| in_bounds);
        number.ok_or_else(|| format!("it names a token that its vocabulary of {} has not", shape.vocabulary))
    }

    /// The tokens that are no text.
    pub fn special(&self) -> Special {
        self.special
    }

    /// The tokens that tell a time, from 0.00 s in steps of 0.02 s; none in a vocabulary without.
    pub fn timestamps(&self) -> Range<i32> {
        let first = self.special.no_timestamps + 1;
        first..(first + TIMESTAMPS).min(self.texts.len() as i32).max(first)
    }

    /// The languages that have a token: places in [`languages::LANGUAGES`], and the tokens.
    pub fn languages(&self) -> &[(usize, i32)] {
        &self.languages
    }

    /// Bytes of each token; none of those that are no text.
    pub fn texts(&self) -> &[Vec<u8>] {
        &self.texts
    }
}

/// Whether a vocabulary of so many tokens is that of a model for many languages.
pub(crate) fn is_multilingual(tokens: usize) -> bool {
    tokens > ENGLISH_VOCABULARY
}

/// The bytes that a token is spelt for: a character each in GPT-2's alphabet. A name with others, of a token that
/// somebody added, stands for itself.
fn bytes(name: &str) -> Vec<u8> {
    name.chars().map(byte).collect::<Option<_>>().unwrap_or_else(|| name.as_bytes().to_vec())
}

/// The byte that GPT-2 writes as `c`: printable ones of Latin-1 are themselves, the others follow from U+0100 on
/// (`bytes_to_unicode` in its `encoder.py`).
fn byte(c: char) -> Option<u8> {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    match u32::from(c) {
        code @ 0..=0xff => Some(code as u8).filter(|byte| printable(*byte)),
        code => (0..=u8::MAX).filter(|byte| !printable(*byte)).nth((code - 0x100) as usize),
    }
}

/// The character that GPT-2 writes for a byte, for tests that write vocabularies.
#[cfg(test)]
fn spelling(text: &[u8]) -> String {
    let spell = |b: &u8| (0..0x200).filter_map(char::from_u32).find(|c| byte(*c) == Some(*b));
    text.iter().filter_map(spell).collect()
}

#[cfg(test)]
mod tests {
    use super::super::shape::tests::TINY_EN;
    use super::*;

    #[test]
    fn special_tokens_stand_where_the_reference_has_them() {
        let special = |vocabulary| {
            let shape = ModelShape { vocabulary, multilingual: is_multilingual(vocabulary), ..TINY_EN };
            Vocabulary::numbered(&shape, Vec::new()).special()
        };
        let of = |s: Special| (s.end, s.start, s.translate, s.transcribe, s.previous, s.no_speech, s.no_timestamps);
        assert_eq!(of(special(51_864)), (50_256, 50_257, 50_357, 50_358, 50_360, 50_361, 50_362));
        assert_eq!(of(special(51_865)), (50_257, 50_258, 50_358, 50_359, 50_361, 50_362, 50_363));
        assert_eq!(of(special(51_866)), (50_257, 50_258, 50_359, 50_360, 50_362, 50_363, 50_364));
    }

    #[test]
    fn gpt_2s_alphabet_has_each_byte() {
        let all: Vec<u8> = (0..=255).collect();
        let spelt = spelling(&all);
        assert_eq!(spelt.chars().count(), 256);
        assert_eq!(bytes(&spelt), all);
        assert_eq!(bytes("Ġworld"), b" world");
        assert_eq!(bytes("Ċ"), b"\n");
        assert_eq!(bytes("漢"), "漢".as_bytes(), "no letter of the alphabet: a token as it is");
    }

    fn names(extra: &[&str]) -> Vec<Option<String>> {
        let special = [
            "a",
            "Ġb",
            "<|endoftext|>",
            "<|startoftranscript|>",
            "<|en|>",
            "<|de|>",
            "<|translate|>",
            "<|transcribe|>",
            "<|startofprev|>",
            "<|nocaptions|>",
            "<|notimestamps|>",
        ];
        special.iter().chain(extra).map(|name| Some((*name).to_owned())).collect()
    }

    #[test]
    fn special_tokens_are_found_by_their_names() {
        let shape = ModelShape { vocabulary: 20, multilingual: true, ..TINY_EN };
        let vocabulary = Vocabulary::named(&shape, &names(&[]), &Told::default()).unwrap();
        let special = vocabulary.special();
        assert_eq!((special.end, special.start, special.no_speech, special.no_timestamps), (2, 3, 9, 10));
        assert_eq!(vocabulary.languages(), [(0, 4), (2, 5)]);
        assert_eq!(vocabulary.texts().len(), 20);
        assert_eq!(vocabulary.texts()[..3], [b"a".to_vec(), b" b".to_vec(), vec![]]);
        assert!(vocabulary.texts()[2..].iter().all(Vec::is_empty));
    }

    #[test]
    fn numbers_that_are_told_go_before_names() {
        let shape = ModelShape { vocabulary: 20, multilingual: true, ..TINY_EN };
        let told = Told { languages: Some(vec![("fr".into(), 4)]), start: Some(8), ..Told::default() };
        let vocabulary = Vocabulary::named(&shape, &names(&[]), &told).unwrap();
        assert_eq!((vocabulary.special().start, vocabulary.languages()), (8, &[(6, 4)][..]));
        for start in [20, -1, i64::MAX, i64::MIN] {
            let told = Told { start: Some(start), ..Told::default() };
            assert!(Vocabulary::named(&shape, &names(&[]), &told).unwrap_err().contains("vocabulary of 20"));
        }
    }

    #[test]
    fn text_behind_the_timestamps_is_text() {
        let timestamps: Vec<String> = (0..1501).map(|n| format!("<|{:.2}|>", f64::from(n) / 50.0)).collect();
        let extra: Vec<&str> = timestamps.iter().map(String::as_str).chain(["Ġnew"]).collect();
        let shape = ModelShape { vocabulary: 2_000, ..TINY_EN };
        let vocabulary = Vocabulary::named(&shape, &names(&extra), &Told::default()).unwrap();
        let texts: Vec<_> = vocabulary.texts().iter().filter(|text| !text.is_empty()).collect();
        assert_eq!(texts, [&b"a"[..], b" b", b" new"]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let shape = ModelShape { vocabulary: 20, ..TINY_EN };
        let mut without = names(&[]);
        without[8] = None;
        assert!(Vocabulary::named(&shape, &without, &Told::default()).unwrap_err().contains("<|startofprev|>"));
        let many = vec![None; 21];
        assert!(Vocabulary::named(&shape, &many, &Told::default()).unwrap_err().contains("21 tokens"));
        let multilingual = ModelShape { multilingual: true, ..shape };
        let without: Vec<_> =
            names(&[]).into_iter().map(|name| name.filter(|name| name != "<|en|>" && name != "<|de|>")).collect();
        assert!(Vocabulary::named(&multilingual, &without, &Told::default()).unwrap_err().contains("language"));
    }
}
