//! When what is heard was captured, by the source's clock: pieces of the time line, each with the time of day it begins at.
//! Whoever hears [`News`](super::news::News) keeps one.

use std::collections::VecDeque;

use gst::glib;

/// Pieces that are remembered; results are about the last ones.
const MOST: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Capture {
    /// From where on (stream time, seconds) which difference holds: nanoseconds since 1970 less stream time. None where
    /// the source has not told.
    pieces: VecDeque<(f64, Option<i64>)>,
}

impl Capture {
    /// From `since` on (nanoseconds of stream time) that difference holds; without one, nothing is known until more is told.
    pub(crate) fn told(&mut self, since: u64, offset: Option<i64>) {
        let since = since as f64 / 1e9;
        // What was told of a stretch replaces what was known of it.
        while self.pieces.back().is_some_and(|(later, _)| *later >= since) {
            self.pieces.pop_back();
        }
        if self.pieces.len() == MOST {
            self.pieces.pop_front();
        }
        self.pieces.push_back((since, offset));
    }

    /// The time of day of a stream time (seconds), as in RFC 3339, in UTC.
    pub(crate) fn at(&self, seconds: f64) -> Option<String> {
        let piece = self.pieces.iter().rev().find(|(since, _)| *since <= seconds)?;
        let nanoseconds = piece.1?.checked_add((seconds * 1e9) as i64)?;
        let (whole, part) = (nanoseconds.div_euclid(1_000_000_000), nanoseconds.rem_euclid(1_000_000_000));
        let time = glib::DateTime::from_unix_utc(whole).ok()?.format("%Y-%m-%dT%H:%M:%S").ok()?;
        Some(format!("{time}.{:03}Z", part / 1_000_000))
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
        capture.told(0, Some(DAY));
        capture.told(10_000_000_000, Some(DAY + 500_000_000));
        assert_eq!(capture.at(1.25).as_deref(), Some("2023-11-14T22:13:21.250Z"));
        assert_eq!(capture.at(10.0).as_deref(), Some("2023-11-14T22:13:30.500Z"));
    }

    #[test]
    fn of_a_new_connection_nothing_is_known_until_it_is_told() {
        let mut capture = Capture::default();
        capture.told(0, None);
        capture.told(0, Some(DAY));
        capture.told(12_000_000_000, None);
        assert!(capture.at(6.9).is_some());
        assert_eq!(capture.at(12.0), None);
        // What is told late holds for all of it.
        capture.told(12_000_000_000, Some(DAY));
        assert_eq!(capture.at(12.0).as_deref(), Some("2023-11-14T22:13:32.000Z"));
    }

    #[test]
    fn weeks_of_it_take_no_more_room() {
        let mut capture = Capture::default();
        (0..10_000).for_each(|second| capture.told(second * 1_000_000_000, Some(DAY)));
        assert_eq!(capture.pieces.len(), MOST);
        assert!(capture.at(9_999.5).is_some());
    }
}
