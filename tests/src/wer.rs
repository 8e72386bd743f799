//! Word error rate: what was said and what was written in, counts and an alignment out.

use std::fmt;
use std::ops::{Add, AddAssign};

use crate::normalizer;

/// One step of the alignment of two texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// The word is in both texts.
    Match(String),
    /// Another word stands for the one that was said.
    Substitution {
        /// The word that was said.
        reference: String,
        /// The word that was written.
        hypothesis: String,
    },
    /// The word was said but not written.
    Deletion(String),
    /// The word was written but not said.
    Insertion(String),
}

/// The differences between what was said (reference) and what was written (hypothesis).
///
/// Sums are possible, so that the rate over many texts weighs each by its words. As text it gives the rate, the
/// counts and the alignment, with `-word` for a deletion, `+word` for an insertion and `said→written` for a
/// substitution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WordErrors {
    /// Words in the reference.
    pub reference_words: usize,
    /// Words taken for others.
    pub substitutions: usize,
    /// Words left out.
    pub deletions: usize,
    /// Words too many.
    pub insertions: usize,
    /// Both texts side by side.
    pub alignment: Vec<Edit>,
}

impl WordErrors {
    /// Substitutions, deletions and insertions together.
    pub fn errors(&self) -> usize {
        self.substitutions + self.deletions + self.insertions
    }

    /// Errors for each word of the reference. Without any words in it, 0 for no errors and infinity for some.
    pub fn rate(&self) -> f64 {
        match (self.errors(), self.reference_words) {
            (0, _) => 0.0,
            (errors, words) => errors as f64 / words as f64,
        }
    }

    /// [`rate`](Self::rate) in percent.
    pub fn percent(&self) -> f64 {
        100.0 * self.rate()
    }

    fn push(&mut self, edit: Edit) {
        match &edit {
            Edit::Match(_) => {}
            Edit::Substitution { .. } => self.substitutions += 1,
            Edit::Deletion(_) => self.deletions += 1,
            Edit::Insertion(_) => self.insertions += 1,
        }
        self.reference_words += usize::from(!matches!(edit, Edit::Insertion(_)));
        self.alignment.push(edit);
    }
}

impl AddAssign for WordErrors {
    fn add_assign(&mut self, other: Self) {
        self.reference_words += other.reference_words;
        self.substitutions += other.substitutions;
        self.deletions += other.deletions;
        self.insertions += other.insertions;
        self.alignment.extend(other.alignment);
    }
}

impl Add for WordErrors {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl std::iter::Sum for WordErrors {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), Add::add)
    }
}

impl fmt::Display for WordErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1} % ({} substituted, {} deleted, {} inserted, {} words):",
            self.percent(),
            self.substitutions,
            self.deletions,
            self.insertions,
            self.reference_words
        )?;
        for edit in &self.alignment {
            match edit {
                Edit::Match(word) => write!(f, " {word}")?,
                Edit::Substitution { reference, hypothesis } => write!(f, " {reference}→{hypothesis}")?,
                Edit::Deletion(word) => write!(f, " -{word}")?,
                Edit::Insertion(word) => write!(f, " +{word}")?,
            }
        }
        Ok(())
    }
}

/// The word errors of an English text, both sides normalised as Whisper's evaluation does.
pub fn word_errors(reference: &str, hypothesis: &str) -> WordErrors {
    let (reference, hypothesis) = (normalizer::english(reference), normalizer::english(hypothesis));
    let reference: Vec<&str> = reference.split_whitespace().collect();
    let hypothesis: Vec<&str> = hypothesis.split_whitespace().collect();
    compare(&reference, &hypothesis)
}

/// The least edits from `reference` to `hypothesis`, words taken as they are.
pub fn compare(reference: &[&str], hypothesis: &[&str]) -> WordErrors {
    let costs = edit_costs(reference, hypothesis);
    let mut edits = Vec::new();
    let (mut r, mut h) = (reference.len(), hypothesis.len());
    while r > 0 || h > 0 {
        let both = r > 0 && h > 0;
        let differs = both && reference[r - 1] != hypothesis[h - 1];
        if both && costs[r][h] == costs[r - 1][h - 1] + usize::from(differs) {
            (r, h) = (r - 1, h - 1);
            edits.push(if differs {
                Edit::Substitution { reference: reference[r].into(), hypothesis: hypothesis[h].into() }
            } else {
                Edit::Match(reference[r].into())
            });
        } else if r > 0 && costs[r][h] == costs[r - 1][h] + 1 {
            r -= 1;
            edits.push(Edit::Deletion(reference[r].into()));
        } else {
            h -= 1;
            edits.push(Edit::Insertion(hypothesis[h].into()));
        }
    }
    let mut errors = WordErrors::default();
    edits.into_iter().rev().for_each(|edit| errors.push(edit));
    errors
}

/// Levenshtein distances of all beginnings: `costs[r][h]` is that of the first `r` and the first `h` words.
fn edit_costs(reference: &[&str], hypothesis: &[&str]) -> Vec<Vec<usize>> {
    let mut costs = vec![(0..=hypothesis.len()).collect::<Vec<usize>>()];
    for (r, said) in reference.iter().enumerate() {
        let above = &costs[r];
        let mut row = vec![r + 1];
        for (h, written) in hypothesis.iter().enumerate() {
            let substitution = above[h] + usize::from(said != written);
            row.push(substitution.min(above[h + 1] + 1).min(row[h] + 1));
        }
        costs.push(row);
    }
    costs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_no_errors_whatever_their_spelling() {
        let errors = word_errors("mister dashwood's colour is twenty one", "Mr. Dashwood's color is 21.");
        assert_eq!(errors.errors(), 0, "{errors}");
        assert_eq!(errors.rate(), 0.0);
    }

    #[test]
    fn each_kind_of_error_is_counted() {
        let errors = word_errors("he was not an ill disposed young man", "he is not an disposed young man at all");
        assert_eq!((errors.substitutions, errors.deletions, errors.insertions), (1, 1, 2));
        assert_eq!(errors.reference_words, 8);
        assert_eq!(errors.percent(), 50.0);
        assert_eq!(
            errors.to_string(),
            "50.0 % (1 substituted, 1 deleted, 2 inserted, 8 words): he was→is not an -ill disposed young man +at +all"
        );
    }

    #[test]
    fn nothing_said_and_nothing_written_is_right() {
        assert_eq!(word_errors("", "").rate(), 0.0);
        assert_eq!(word_errors("", "thank you").rate(), f64::INFINITY);
        assert_eq!(word_errors("thank you", "").rate(), 1.0);
    }

    #[test]
    fn sums_weigh_texts_by_their_words() {
        let sum: WordErrors = [word_errors("a b c d e f g", "a b c d e f g"), word_errors("x", "y")].into_iter().sum();
        assert_eq!(sum.percent(), 12.5);
    }
}
