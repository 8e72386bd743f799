//! Where in a free hypothesis the committed words end.
//!
//! A hypothesis need not repeat the committed words to the letter: it may spell one otherwise, leave one out, or hear
//! two where there was one. The place is where the words before it are fewest edits away from the committed ones
//! (Wagner and Fischer 1974); word times decide among equals, as between the "and" of one clause and that of the next.

use crate::engine::Word;
use crate::samples_from_ms;

/// Ends apart by this much in time weigh as much as half an edit, as does an end on another word.
const FAR: f64 = samples_from_ms(1_000) as f64;
/// More edits than this share of the committed words: the hypothesis is of something else, and time alone decides.
const STRANGE: f64 = 0.5;

/// What words have to have in common to be the same: letters and digits, whatever their case.
pub(super) fn key(word: &Word) -> String {
    let letters: String = word.text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    if letters.is_empty() {
        word.text.clone()
    } else {
        letters
    }
}

/// Whether two words are the same but for case and punctuation.
pub(super) fn same(a: &Word, b: &Word) -> bool {
    key(a) == key(b)
}

/// How many of `words` say what `committed` says.
pub(super) fn said(committed: &[Word], words: &[Word]) -> usize {
    let Some(last) = committed.last() else { return 0 };
    let heard: Vec<String> = words.iter().map(key).collect();
    // Edits from all of `committed` so far to the first `j` of `words`.
    let mut edits: Vec<usize> = (0..=words.len()).collect();
    for word in committed {
        let word = key(word);
        let mut before = edits[0];
        edits[0] += 1;
        for j in 1..edits.len() {
            let swap = before + usize::from(heard[j - 1] != word);
            before = edits[j];
            edits[j] = swap.min(edits[j] + 1).min(edits[j - 1] + 1);
        }
    }
    let last_key = key(last);
    let doubt = |j: usize| match j {
        0 => 1.0,
        _ => {
            let apart = words[j - 1].span.end.abs_diff(last.span.end) as f64 / FAR;
            0.5 * apart.min(1.0) + if heard[j - 1] == last_key { 0.0 } else { 0.5 }
        }
    };
    let cost = |j: &usize| edits[*j] as f64 + doubt(*j);
    let best = (0..=words.len()).min_by(|a, b| cost(a).total_cmp(&cost(b))).unwrap_or(0);
    if edits[best] as f64 > STRANGE * committed.len() as f64 {
        let middle = |w: &Word| w.span.start.midpoint(w.span.end);
        return words.iter().take_while(|w| middle(w) < last.span.end).count();
    }
    best
}

#[cfg(test)]
mod tests {
    use super::super::testing::words;
    use super::*;

    fn place(committed: &str, heard: &str) -> usize {
        said(&words(committed), &words(heard))
    }

    #[test]
    fn the_same_words_end_where_they_end() {
        assert_eq!(place("and so my fellow", "and so my fellow Americans ask not"), 4);
        assert_eq!(place("", "and so"), 0);
        assert_eq!(place("and so", ""), 0);
    }

    #[test]
    fn case_punctuation_and_small_differences_do_not_matter() {
        assert_eq!(place("And so, my fellow", "and so am I fellow Americans"), 5);
        assert_eq!(place("we are going to go", "we're going to go home"), 4);
        assert_eq!(place("what your country", "ask what your country can do"), 4);
    }

    #[test]
    fn time_tells_repeated_words_apart() {
        assert_eq!(place("you can do for you and", "you can do for you and do for you and more"), 6);
        let heard = words("no no no no");
        assert_eq!(said(&heard[..2], &heard), 2);
    }

    #[test]
    fn of_something_else_the_times_decide() {
        assert_eq!(place("one two three four", "completely different thing here now"), 4);
    }
}
