//! Repetition: phrases of up to eight words said over and over, longer ones said twice.

use std::ops::Range;

/// Longest phrase looked for, words.
const LONGEST: usize = 8;
/// Least times a phrase must come in a row: people do say something three times.
const LEAST_TIMES: usize = 4;
/// Least words the whole loop must have, so that "no no no no" and a short laugh pass.
const LEAST_WORDS: usize = 12;

/// Least words of a phrase that is suspicious when said twice.
const LEAST_DOUBLED: usize = 5;

/// A phrase said over and over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loop {
    /// The words of the loop, first to last.
    pub words: Range<usize>,
    /// Words in the phrase.
    pub phrase: usize,
}

impl Loop {
    /// The words behind the phrase's first occurrence.
    pub fn surplus(&self) -> Range<usize> {
        self.words.start + self.phrase..self.words.end
    }
}

/// The longest loop in `words`, compared by letters and digits only, in any case.
pub fn loops<S: AsRef<str>>(words: &[S]) -> Option<Loop> {
    let words: Vec<String> = words.iter().map(|w| letters(w.as_ref())).collect();
    (1..=LONGEST).filter_map(|phrase| longest(&words, phrase)).max_by_key(|l| (l.words.len(), LONGEST - l.phrase))
}

/// The second time of the longest phrase, of five words or more, that is said twice in a row. Whisper does so where its
/// context is cut too short; people and announcements do, too.
pub fn doubled<S: AsRef<str>>(words: &[S]) -> Option<Range<usize>> {
    let words: Vec<String> = words.iter().map(|w| letters(w.as_ref())).collect();
    let twice = |phrase: usize| words.windows(2 * phrase).position(|w| w[..phrase] == w[phrase..]);
    let second = |phrase: usize| twice(phrase).map(|at| at + phrase..at + 2 * phrase);
    (LEAST_DOUBLED..=words.len() / 2).rev().find_map(second)
}

/// The longest loop of phrases of this length.
fn longest(words: &[String], phrase: usize) -> Option<Loop> {
    let mut best: Option<Loop> = None;
    let mut start = 0;
    for at in phrase..=words.len() {
        if at < words.len() && words[at] == words[at - phrase] {
            continue;
        }
        let length = at - start;
        let counts = length / phrase >= LEAST_TIMES && length >= LEAST_WORDS;
        if counts && best.as_ref().is_none_or(|b| b.words.len() < length) {
            best = Some(Loop { words: start..at, phrase });
        }
        start = at + 1 - phrase;
    }
    best
}

fn letters(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str) -> Option<Loop> {
        loops(&text.split_whitespace().collect::<Vec<_>>())
    }

    #[test]
    fn loops_are_found_with_their_phrase() {
        let text = format!("he went home {} again", "and so on, ".repeat(5));
        assert_eq!(find(&text), Some(Loop { words: 3..18, phrase: 3 }));
        assert_eq!(find(&"the ".repeat(40)), Some(Loop { words: 0..40, phrase: 1 }));
        assert_eq!(find(&"I don't know. ".repeat(4)), Some(Loop { words: 0..12, phrase: 3 }));
        assert_eq!(find(&"I don't know. ".repeat(4)).map(|l| l.surplus()), Some(3..12));
    }

    #[test]
    fn a_loop_may_end_inside_its_phrase() {
        let text = format!("well {} one two", "one two three four ".repeat(4));
        assert_eq!(find(&text), Some(Loop { words: 1..19, phrase: 4 }));
    }

    #[test]
    fn doubled_phrases_are_found() {
        let doubled = |text: &str| doubled(&text.split_whitespace().collect::<Vec<_>>());
        assert_eq!(
            doubled("Well, had he married a more amiable woman. Had he married a more amiable woman he"),
            Some(8..15)
        );
        assert_eq!(doubled("ask not what your country can do for you ask what you can do for your country"), None);
        assert_eq!(doubled("never mind that never mind that"), None);
        assert_eq!(doubled(""), None);
    }

    #[test]
    fn people_may_repeat_themselves() {
        for text in [
            "",
            "no no no no",
            "ha ha ha ha ha ha ha",
            "row row row your boat gently down the stream",
            "ask not what your country can do for you ask what you can do for your country",
            "very very very very good and I mean very very good",
            "I don't know. I don't know. I don't know.",
        ] {
            assert_eq!(find(text), None, "{text}");
        }
    }
}
