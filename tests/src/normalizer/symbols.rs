//! Symbols, punctuation and diacritics: Unicode text in, letters, digits and spaces out.

use std::sync::LazyLock;

use regex::Regex;
use unicode_normalization::UnicodeNormalization;

use super::pattern;

pattern!(NONSPACING_MARK, r"^\p{Mn}$");
pattern!(MARK_SYMBOL_OR_PUNCTUATION, r"^[\p{M}\p{S}\p{P}]$");

/// ASCII spelling of a letter that Unicode doesn't decompose.
fn ascii_spelling(letter: char) -> Option<&'static str> {
    Some(match letter {
        'œ' => "oe",
        'Œ' => "OE",
        'ø' => "o",
        'Ø' => "O",
        'æ' => "ae",
        'Æ' => "AE",
        'ß' => "ss",
        'ẞ' => "SS",
        'đ' | 'ð' => "d",
        'Đ' | 'Ð' => "D",
        'þ' | 'Þ' => "th",
        'ł' => "l",
        'Ł' => "L",
        _ => return None,
    })
}

/// Whether a one-character pattern matches `c`.
fn is(pattern: &Regex, c: char) -> bool {
    pattern.is_match(c.encode_utf8(&mut [0; 4]))
}

/// Drops diacritics and puts a space for every symbol that is not in `keep`.
pub(super) fn remove_symbols_and_diacritics(text: &str, keep: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.nfkd() {
        if (c.is_ascii_alphanumeric() || c == ' ') || keep.contains(c) {
            out.push(c);
        } else if let Some(spelling) = ascii_spelling(c) {
            out.push_str(spelling);
        } else if is(&MARK_SYMBOL_OR_PUNCTUATION, c) {
            if !is(&NONSPACING_MARK, c) {
                out.push(' ');
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Puts a space for every symbol; letters keep their diacritics.
pub(super) fn remove_symbols(text: &str) -> String {
    text.nfkc().map(|c| if is(&MARK_SYMBOL_OR_PUNCTUATION, c) { ' ' } else { c }).collect()
}
