//! Text to the form in which transcripts are compared.
//!
//! The word error rates that people publish for Whisper are measured after its own normaliser, so ours are too:
//! [`english`] behaves as `EnglishTextNormalizer` of the PyPI package `openai-whisper` 20250625 does, quirks
//! included, and [`basic`] as its `BasicTextNormalizer`, for other languages. The fixture `normalizer_cases.tsv`
//! holds what that package makes of its first column.
//!
//! Two known differences, neither of which English transcripts touch: only ASCII digits count as digits, and
//! numbers beyond 38 digits are kept as text.

mod contractions;
mod number_value;
mod number_words;
mod numbers;
mod spelling;
mod symbols;

use std::sync::LazyLock;

use regex::Regex;

use symbols::{remove_symbols, remove_symbols_and_diacritics};

/// A regular expression that is compiled at its first use.
macro_rules! pattern {
    ($name:ident, $regex:literal) => {
        static $name: LazyLock<Regex> = LazyLock::new(|| Regex::new($regex).unwrap());
    };
}
use pattern;

pattern!(BRACKETS, r"[<\[][^>\]]*[>\]]");
pattern!(PARENTHESES, r"\([^)]+?\)");
pattern!(FILLERS, r"\b(?:hmm|mm|mhm|mmm|uh|um)\b");
pattern!(SPACE_BEFORE_APOSTROPHE, r"\s+'");
pattern!(COMMA_IN_NUMBER, r"([0-9]),([0-9])");
pattern!(PERIOD_OF_NO_NUMBER, r"\.([^0-9]|$)");
pattern!(PREFIX_OF_NO_NUMBER, r"[.$¢€£]([^0-9])");
pattern!(PERCENT_OF_NO_NUMBER, r"([^0-9])%");
pattern!(SPACES, r"\s+");

/// Symbols that mean something beside a number.
const NUMERIC_SYMBOLS: &str = ".%$¢€£";

/// English text in the form in which transcripts are compared.
///
/// ```
/// use e2e_tests::normalizer::english;
/// assert_eq!(english("Mr. Gray can't pay twenty-five dollars!"), "mister gray can not pay $25");
/// ```
pub fn english(text: &str) -> String {
    let text = remove_asides(&text.to_lowercase());
    let text = FILLERS.replace_all(&text, "");
    let text = SPACE_BEFORE_APOSTROPHE.replace_all(&text, "'");
    let text = contractions::expand(&text);
    let text = COMMA_IN_NUMBER.replace_all(&text, "${1}${2}");
    let text = PERIOD_OF_NO_NUMBER.replace_all(&text, " ${1}");
    let text = remove_symbols_and_diacritics(&text, NUMERIC_SYMBOLS);

    let text = numbers::normalize(&text);
    let text = spelling::americanize(&text);

    let text = PREFIX_OF_NO_NUMBER.replace_all(&text, " ${1}");
    let text = PERCENT_OF_NO_NUMBER.replace_all(&text, "${1} ");
    SPACES.replace_all(&text, " ").into_owned()
}

/// Text of any language without case, symbols and asides; diacritics stay.
pub fn basic(text: &str) -> String {
    let text = remove_asides(&text.to_lowercase());
    let text = remove_symbols(&text).to_lowercase();
    SPACES.replace_all(&text, " ").into_owned()
}

/// Drops what transcribers write in brackets or parentheses: `[music]`, `(laughs)`.
fn remove_asides(text: &str) -> String {
    let text = BRACKETS.replace_all(text, "");
    PARENTHESES.replace_all(&text, "").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_python_package() {
        let cases = include_str!("../../data/normalizer_cases.tsv");
        let mut wrong = Vec::new();
        for line in cases.lines().skip(1) {
            let (input, expected) = line.split_once('\t').unwrap();
            let found = english(input);
            if found != expected {
                wrong.push(format!("{input:?}: {found:?} instead of {expected:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn normalised_transcripts_stay_as_they_are() {
        for clip in crate::clips::all() {
            let once = english(&clip.text);
            assert_eq!(english(&once), once);
        }
    }

    #[test]
    fn empty_and_wordless_text_has_no_words() {
        for text in ["", "   ", "[BLANK_AUDIO]", "(music)", "Um, uh.", "♪ ♪"] {
            assert_eq!(english(text).trim(), "", "{text:?}");
        }
    }

    #[test]
    fn basic_keeps_letters_of_other_languages() {
        assert_eq!(basic("Grüß Gott! [Musik] Çà va?"), "grüß gott çà va ");
        assert_eq!(basic("Привет,   мир."), "привет мир ");
    }
}
