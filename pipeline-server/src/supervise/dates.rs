//! Times of day that a playlist gives for its segments (HLS, `PROGRAM-DATE-TIME`), as they arrive between pieces of audio.
//!
//! The first one is exact: nothing is heard before it. Later ones come early, by what demuxer and decoder hold back of the
//! segment before, which is about the same each time. So those only tell of changes.
//!
//! All times are nanoseconds; times of day are counted from 1970.

/// By so much the source's clock has to move; less may be due to how audio is packed.
const NOTICEABLE: i64 = 250_000_000;
/// What was captured so long before the end of what was heard is not what was heard: the clock was set back.
const WINDOW: u64 = 300_000_000_000;
/// By so much may overlap what was heard before.
const OVERLAP: u64 = 50_000_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Dates {
    latest: Option<u64>,
    /// That of the audio that comes next.
    coming: Option<u64>,
    /// Running time of the connection's first audio, and when that was captured.
    start: Option<(u64, u64)>,
    /// The difference between stream time and 1970 by the first one.
    first: Option<i64>,
    /// The same by the first later one.
    later: Option<i64>,
    told: i64,
}

impl Dates {
    /// One came ahead of all data of the connection: the demuxer of what is in the segments keeps no event that comes before it
    /// knows what to make of them.
    pub(super) fn begin(&mut self, day: u64) {
        if self.latest.is_none() {
            self.read(day);
        }
    }

    /// One came between pieces of audio. Elements repeat what they were told.
    pub(super) fn read(&mut self, day: u64) {
        if self.latest.replace(day) != Some(day) {
            self.coming = Some(day);
        }
    }

    /// Whether audio of that running time, of a connection of which nothing was heard yet, was heard in an earlier one, up to
    /// a time of day: a playlist begins with what was said some time ago.
    pub(super) fn repeats(&mut self, running: u64, heard: Option<u64>) -> bool {
        let begun = self.start.or_else(|| self.coming.map(|day| (running, day)));
        let Some((from, day)) = begun else { return false };
        self.start = begun;
        let captured = day + running.saturating_sub(from);
        self.coming = Some(captured);
        heard.is_some_and(|heard| captured + OVERLAP < heard && heard - captured < WINDOW)
    }

    /// Audio is placed at `at` in the stream. Gives the difference that holds from there on, if that is news.
    pub(super) fn place(&mut self, at: u64) -> Option<i64> {
        let offset = i64::try_from(self.coming.take()?).ok()? - i64::try_from(at).ok()?;
        let Some(first) = self.first else {
            (self.first, self.told) = (Some(offset), offset);
            return self.first;
        };
        let later = *self.later.get_or_insert(if (offset - first).abs() < 4 * NOTICEABLE { offset } else { first });
        let now = first + offset - later;
        if (now - self.told).abs() < NOTICEABLE {
            return None;
        }
        self.told = now;
        Some(now)
    }

    /// When what is at `at` in the stream was captured, if that is known.
    pub(super) fn of(&self, at: u64) -> Option<u64> {
        self.first.and_then(|_| at.checked_add_signed(self.told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 1_700_000_000_000_000_000;
    const MS: u64 = 1_000_000;

    fn came(dates: &mut Dates, at: u64, day: u64) -> Option<i64> {
        dates.read(DAY + day * MS);
        dates.place(at * MS)
    }

    #[test]
    fn the_first_is_exact_and_later_ones_tell_of_changes() {
        let mut dates = Dates::default();
        assert_eq!(dates.of(0), None);
        dates.begin(DAY + 500 * MS);
        dates.begin(DAY + 2_500 * MS);
        assert_eq!(came(&mut dates, 500, 500), Some(DAY as i64));
        assert_eq!(came(&mut dates, 600, 500), None, "the same again");
        // Each 360 ms or so too early.
        for (at, early) in [(2_500, 360), (4_500, 400), (6_500, 330)] {
            assert_eq!(came(&mut dates, at - early, at), None);
        }
        // The clock is set.
        assert_eq!(came(&mut dates, 8_140, 9_500), Some((DAY + 1_000 * MS) as i64));
        assert_eq!(came(&mut dates, 10_140, 11_500), None);
        assert_eq!(dates.of(20 * MS), Some(DAY + 1_020 * MS));
    }

    #[test]
    fn a_jump_at_once_is_one() {
        let mut dates = Dates::default();
        came(&mut dates, 0, 0);
        assert_eq!(came(&mut dates, 2_000, 60_000), Some((DAY + 58_000 * MS) as i64));
    }

    #[test]
    fn what_was_heard_before_is_known_by_its_time_of_day() {
        let mut dates = Dates::default();
        assert!(!dates.repeats(0, Some(DAY)), "nothing is known of it");
        dates.read(DAY);
        let heard = Some(DAY + 1_000 * MS);
        assert!(dates.repeats(7_000 * MS, heard) && dates.repeats(7_900 * MS, heard));
        assert!(!dates.repeats(8_000 * MS, heard));
        // It joins in the midst of the segment, and its time is that of where it joins.
        assert_eq!(dates.place(30_000 * MS), Some((DAY - 29_000 * MS) as i64));
        // Without anything before it, or with a clock that was set back, all is new.
        let mut dates = Dates::default();
        dates.read(DAY);
        assert!(!dates.repeats(0, None) && !dates.repeats(0, Some(DAY + 2 * WINDOW)));
    }
}
