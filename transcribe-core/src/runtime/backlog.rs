//! How far a stream may fall behind a source that cannot wait: audio without result in, a warning or an error with the
//! figures out. Finals are never dropped, so whoever feeds a stream must stop at some point.

use crate::{samples_from_ms, seconds};

/// Results that may wait to be read from a stream whose source cannot wait. Partials are left out long before.
pub const MOST_UNREAD: usize = 4096;

/// More waits than a source that cannot wait is allowed.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Overload {
    /// The engine, or the detector, is too slow.
    #[error("{seconds:.0} s of audio wait for their text, more than the {limit:.0} s that are allowed")]
    Backlog {
        /// Seconds of audio that wait for a result.
        seconds: f64,
        /// Seconds that may wait.
        limit: f64,
    },
    /// The reader is too slow.
    #[error("{unread} results wait to be read, more than the {MOST_UNREAD} that are allowed")]
    Unread {
        /// Results that wait.
        unread: usize,
    },
}

/// More than half of what is allowed waits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Behind {
    /// Seconds of audio that wait for a result.
    pub seconds: f64,
    /// Seconds that may wait; more are an [`Overload`].
    pub limit: f64,
}

/// Whether the stream keeps up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    KeepsUp,
    /// It was said that it does not.
    Behind,
}

/// Tells once when a stream falls behind, and again only after it caught up.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    state: State,
    warnings: u64,
}

impl Backlog {
    /// `waiting` and `limit`: samples without result now, and how many there may be.
    pub(super) fn check(&mut self, waiting: u64, unread: usize, limit: u64) -> Result<Option<Behind>, Overload> {
        let figures = (seconds(waiting), seconds(limit));
        if waiting > limit {
            return Err(Overload::Backlog { seconds: figures.0, limit: figures.1 });
        }
        if unread > MOST_UNREAD {
            return Err(Overload::Unread { unread });
        }
        match self.state {
            State::KeepsUp if waiting > limit / 2 => {
                self.state = State::Behind;
                self.warnings += 1;
                Ok(Some(Behind { seconds: figures.0, limit: figures.1 }))
            }
            State::Behind if waiting <= (limit / 8).max(samples_from_ms(1_000)) => {
                self.state = State::KeepsUp;
                Ok(None)
            }
            State::KeepsUp | State::Behind => Ok(None),
        }
    }

    /// How often the stream fell behind.
    pub(super) fn warnings(&self) -> u64 {
        self.warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = samples_from_ms(300_000);

    fn check(backlog: &mut Backlog, waiting: u64) -> Result<Option<Behind>, Overload> {
        backlog.check(samples_from_ms(1_000 * waiting), 0, LIMIT)
    }

    #[test]
    fn falling_behind_is_told_once_with_the_figures_and_again_after_catching_up() {
        let mut backlog = Backlog::default();
        assert_eq!(check(&mut backlog, 150), Ok(None));
        assert_eq!(check(&mut backlog, 151), Ok(Some(Behind { seconds: 151.0, limit: 300.0 })));
        for waiting in [200, 149, 38, 160, 300] {
            assert_eq!(check(&mut backlog, waiting), Ok(None));
        }
        assert_eq!(check(&mut backlog, 37), Ok(None));
        assert!(check(&mut backlog, 151).unwrap().is_some());
        assert_eq!(backlog.warnings(), 2);
    }

    #[test]
    fn past_the_limit_the_error_says_how_much_waits() {
        let error = check(&mut Backlog::default(), 301).unwrap_err();
        assert_eq!(error.to_string(), "301 s of audio wait for their text, more than the 300 s that are allowed");
        let error = Backlog::default().check(0, 5000, LIMIT).unwrap_err();
        assert_eq!(error, Overload::Unread { unread: 5000 });
    }
}
