//! The plain policy: each hypothesis replaces the one before, nothing is stable before the final.

use super::{Policy, Split, View};
use crate::engine::Word;

/// See the module.
pub struct Interval;

impl Policy for Interval {
    fn update(&mut self, view: View<'_>) -> Split {
        Split { committed: Vec::new(), unstable: view.words.to_vec() }
    }

    fn committed(&self) -> &[Word] {
        &[]
    }

    fn finish(&self, view: View<'_>, _may_revise: bool) -> Vec<Word> {
        view.words.to_vec()
    }

    fn split_off(&mut self, _at: u64) -> Vec<Word> {
        Vec::new()
    }

    fn adopt(&mut self, _words: Vec<Word>) {}
}
