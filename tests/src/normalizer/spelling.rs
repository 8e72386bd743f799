//! British to American spelling, word by word.

use std::collections::HashMap;
use std::sync::LazyLock;

static AMERICAN: LazyLock<HashMap<String, String>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../data/english_spelling.json")).unwrap());

/// The words of `text`, one space between them, each in American spelling.
pub(super) fn americanize(text: &str) -> String {
    let words: Vec<&str> =
        text.split_whitespace().map(|word| AMERICAN.get(word).map_or(word, String::as_str)).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn british_words_become_american_and_others_stay() {
        assert_eq!(americanize("the  colour of grey armour"), "the color of gray armor");
    }
}
