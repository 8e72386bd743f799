//! The committed words of an utterance, and where they end in a free hypothesis.

use super::align::said;
use super::View;
use crate::engine::Word;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Committed {
    words: Vec<Word>,
}

impl Committed {
    /// All of them.
    pub(super) fn words(&self) -> &[Word] {
        &self.words
    }

    /// Commits more.
    pub(super) fn extend(&mut self, words: impl IntoIterator<Item = Word>) {
        self.words.extend(words);
    }

    /// The words of a hypothesis that lie behind them.
    pub(super) fn behind<'v>(&self, view: View<'v>) -> &'v [Word] {
        &view.words[said(self.in_view(view), view.words)..]
    }

    /// See [`Policy::finish`](super::Policy::finish).
    pub(super) fn finish(&self, view: View<'_>, may_revise: bool) -> Vec<Word> {
        if may_revise {
            let kept = self.words.len() - self.in_view(view).len();
            return [&self.words[..kept], view.words].concat();
        }
        [&self.words, self.behind(view)].concat()
    }

    /// Gives up those behind `at`.
    pub(super) fn split_off(&mut self, at: u64) -> Vec<Word> {
        self.words.split_off(self.before(at))
    }

    /// Begins with these.
    pub(super) fn adopt(&mut self, words: Vec<Word>) {
        self.words = words;
    }

    /// Those that the view's audio holds.
    fn in_view(&self, view: View<'_>) -> &[Word] {
        &self.words[self.before(view.from)..]
    }

    fn before(&self, at: u64) -> usize {
        self.words.iter().take_while(|w| w.span.start.midpoint(w.span.end) < at).count()
    }
}
