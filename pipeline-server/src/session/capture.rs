//! When what is heard was captured, by the source's clock: pieces of the time line, each with the time of day it begins at.

use std::collections::VecDeque;

use gst::glib;

/// Pieces that are remembered; results are about the last ones.
const MOST: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Capture {
    /// From where on (stream time, seconds) which difference holds: nanoseconds since 1970 less stream time. None where
    /// the source has not told.
    pieces: VecDeque<(f64, Option<i64>)>,
}

impl Capture {
    /// From `since` on (nanoseconds of stream time) that difference holds.
    pub(super) fn told(&mut self, since: u64, offset: i64) {
        self.push(since as f64 / 1e9, Some(offset));
    }

    /// From `since` on (seconds) nothing is known: there may be another clock next time.
    pub(super) fn lost(&mut self, since: f64) {
        if self.pieces.back().is_some_and(|(_, offset)| offset.is_some()) {
            self.push(since, None);
        }
    }

    /// The time of day of a stream time (seconds), as in RFC 3339, in UTC.
    pub(super) fn at(&self, seconds: f64) -> Option<String> {
        let piece = self.pieces.iter().rev().find(|(since, _)| *since <= seconds)?;
        let nanoseconds = piece.1?.checked_add((seconds * 1e9) as i64)?;
        let (whole, part) = (nanoseconds.div_euclid(1_000_000_000), nanoseconds.rem_euclid(1_000_000_000));
        let time = glib::DateTime::from_unix_utc(whole).ok()?.format("%Y-%m-%dT%H:%M:%S").ok()?;
        Some(format!("{time}.{:03}Z", part / 1_000_000))
    }

    fn push(&mut self, since: f64, offset: Option<i64>) {
        // What was told of a stretch replaces what was known of it.
        while self.pieces.back().is_some_and(|(later, _)| *later >= since) {
            self.pieces.pop_back();
        }
        if self.pieces.len() == MOST {
            self.pieces.pop_front();
        }
        self.pieces.push_back((since, offset));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 1_700_000_000_000_000_000;

    #[test]
    fn each_time_has_the_time_of_day_that_holds_there() {
        let mut capture = Capture::default();
        assert_eq!(capture.at(1.0), None);
        capture.told(0, DAY);
        capture.told(10_000_000_000, DAY + 500_000_000);
        assert_eq!(capture.at(1.25).as_deref(), Some("2023-11-14T22:13:21.250Z"));
        assert_eq!(capture.at(10.0).as_deref(), Some("2023-11-14T22:13:30.500Z"));
    }

    #[test]
    fn behind_a_loss_nothing_is_known_until_it_is_told() {
        let mut capture = Capture::default();
        capture.told(0, DAY);
        capture.lost(7.0);
        capture.lost(7.0);
        assert!(capture.at(6.9).is_some());
        assert_eq!(capture.at(12.0), None);
        capture.told(12_000_000_000, DAY);
        assert_eq!(capture.at(12.0).as_deref(), Some("2023-11-14T22:13:32.000Z"));
        assert_eq!(capture.at(9.0), None);
    }

    #[test]
    fn weeks_of_it_take_no_more_room() {
        let mut capture = Capture::default();
        (0..10_000).for_each(|second| capture.told(second * 1_000_000_000, DAY));
        assert_eq!(capture.pieces.len(), MOST);
        assert!(capture.at(9_999.5).is_some());
    }
}
