//! Words for the tests of the policies.

use crate::engine::{join_words, Word};
use crate::samples_from_ms;

/// The words of a text, one every 300 ms.
pub(super) fn words(text: &str) -> Vec<Word> {
    let word = |(i, text): (usize, &str)| {
        let start = samples_from_ms(300 * i as u64);
        let end = start + samples_from_ms(250);
        Word { text: text.to_owned(), space_before: true, span: start..end, probability: 0.9, attended: Some(end) }
    };
    text.split_whitespace().enumerate().map(word).collect()
}

/// The text of words.
pub(super) fn text(words: &[Word]) -> String {
    join_words(words)
}
