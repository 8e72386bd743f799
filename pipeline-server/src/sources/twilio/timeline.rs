//! Where on the time line audio belongs, and silence where there is none.
//!
//! A frame says when it was, in milliseconds since the stream began. A track's audio has no holes: where frames are missing
//! there is silence. A track from which nothing comes (nobody is dialled yet, the call is on hold) goes on with silence by the
//! clock of the other, so that its own last words and those of the other get their finals. Everything is counted in frames
//! of 8 kHz.

/// Frames a millisecond.
pub(super) const MILLISECOND: u64 = 8;
/// Audio that is this much later than what came before it follows it all the same: timestamps are no finer.
const JITTER: u64 = 40 * MILLISECOND;
/// A track that is so far behind the others gets silence…
const BEHIND: u64 = 500 * MILLISECOND;
/// …up to so much before their end, because what the others have just brought may still come on this one.
const MARGIN: u64 = 300 * MILLISECOND;

/// Silence for a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Silence {
    pub(super) track: usize,
    pub(super) start: u64,
    pub(super) length: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Timeline {
    /// Where the next frame of each track goes.
    ends: Vec<u64>,
}

impl Timeline {
    /// For so many tracks.
    pub(super) fn new(tracks: usize) -> Self {
        Self { ends: vec![0; tracks] }
    }

    /// Where a track's audio of that length goes, which says that it was at `at`, and silence before it. Audio is never
    /// thrown away: what is late follows what is there.
    pub(super) fn place(&mut self, track: usize, at: Option<u64>, length: u64) -> (Option<Silence>, u64) {
        let Some(end) = self.ends.get_mut(track) else { return (None, 0) };
        let missing = at.unwrap_or(*end).saturating_sub(*end);
        let silence = (missing > JITTER).then_some(Silence { track, start: *end, length: missing });
        if silence.is_some() {
            *end += missing;
        }
        let start = *end;
        *end += length;
        (silence, start)
    }

    /// Silence for those that are far behind the others.
    pub(super) fn catch_up(&mut self) -> Vec<Silence> {
        let now = self.now();
        self.fill(now.saturating_sub(BEHIND), now.saturating_sub(MARGIN))
    }

    /// Silence up to the same end for all.
    pub(super) fn level(&mut self) -> Vec<Silence> {
        let now = self.now();
        self.fill(now, now)
    }

    /// The end of each track.
    pub(super) fn ends(&self) -> &[u64] {
        &self.ends
    }

    /// The end of what came last.
    fn now(&self) -> u64 {
        self.ends.iter().copied().max().unwrap_or(0)
    }

    /// Silence up to `until` where a track ends before `from`.
    fn fill(&mut self, from: u64, until: u64) -> Vec<Silence> {
        let behind = self.ends.iter_mut().enumerate().filter(|(_, end)| **end < from);
        let silence = |(track, end): (usize, &mut u64)| {
            let start = std::mem::replace(end, until);
            Silence { track, start, length: until - start }
        };
        behind.map(silence).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FRAME: u64 = 160;

    fn ms(milliseconds: u64) -> u64 {
        milliseconds * MILLISECOND
    }

    #[test]
    fn frames_in_a_row_follow_each_other() {
        let mut timeline = Timeline::new(1);
        for i in 0..10 {
            let jitter = [0, 3, 17][i as usize % 3];
            assert_eq!(timeline.place(0, Some(ms(20 * i + jitter)), FRAME), (None, FRAME * i));
        }
        assert_eq!(timeline.place(0, None, FRAME), (None, FRAME * 10));
        assert!(timeline.catch_up().is_empty() && timeline.level().is_empty());
    }

    #[test]
    fn where_frames_are_missing_there_is_silence() {
        let mut timeline = Timeline::new(1);
        let missing = Silence { track: 0, start: 0, length: ms(1_000) };
        assert_eq!(timeline.place(0, Some(ms(1_000)), FRAME), (Some(missing), ms(1_000)));
        assert_eq!(timeline.place(0, Some(ms(500)), FRAME), (None, ms(1_020)), "late, and not lost");
        let missing = Silence { track: 0, start: ms(1_040), length: ms(60) };
        assert_eq!(timeline.place(0, Some(ms(1_100)), FRAME), (Some(missing), ms(1_100)), "in step again");
    }

    #[test]
    fn a_silent_track_goes_on_by_the_clock_of_the_other() {
        let mut timeline = Timeline::new(2);
        let mut filled = Vec::new();
        for i in 0..100 {
            timeline.place(0, Some(ms(20 * i)), FRAME);
            filled.extend(timeline.catch_up());
        }
        assert!(filled.iter().all(|silence| silence.track == 1), "{filled:?}");
        assert_eq!(timeline.ends(), [ms(2_000), ms(1_540)]);
        assert_eq!(timeline.level(), [Silence { track: 1, start: ms(1_540), length: ms(460) }]);
        // The other speaks now; it is a little behind.
        assert_eq!(timeline.place(1, Some(ms(1_980)), FRAME), (None, ms(2_000)));
    }

    proptest! {
        /// Whatever timestamps come: all audio has a place, there are neither holes nor overlaps, and no track is left behind.
        #[test]
        fn tracks_have_no_holes(
            frames in prop::collection::vec((0..2_usize, prop::option::of(0..600_000_u64), 0..4_000_u64), 0..200),
        ) {
            let mut timeline = Timeline::new(2);
            let mut ends = [0, 0];
            for (track, at, length) in frames {
                let (silence, start) = timeline.place(track, at, length);
                if let Some(Silence { track, start, length }) = silence {
                    prop_assert_eq!(start, ends[track]);
                    ends[track] += length;
                }
                prop_assert_eq!(start, ends[track]);
                ends[track] += length;
                prop_assert!(at.is_none_or(|at| at <= start + JITTER));
                for Silence { track, start, length } in timeline.catch_up() {
                    prop_assert!(start == ends[track] && length > 0);
                    ends[track] += length;
                }
                prop_assert_eq!(timeline.ends(), &ends);
                prop_assert!(ends[0].abs_diff(ends[1]) <= BEHIND);
            }
            timeline.level();
            prop_assert_eq!(timeline.ends()[0], timeline.ends()[1]);
        }

        /// Two tracks at the pace of speech that begin, cease and jitter as they like, one up to 0.3 s behind the other: what
        /// is said is where it was said.
        #[test]
        fn audio_is_where_it_was(
            pauses in prop::collection::vec((0..2_usize, 0..3_000_u64, 1..50_u64), 1..30),
            jitter in prop::collection::vec(0..15_u64, 1..20),
            lag in 0..280_u64,
        ) {
            // For each track, when its frames are.
            let mut frames = Vec::new();
            let mut at = [0, lag];
            for (track, pause, count) in pauses {
                at[track] += pause;
                for _ in 0..count {
                    // Sent when it is over; the second track's frames come later by the lag.
                    frames.push((at[track] + 20 + if track == 1 { lag } else { 0 }, track, at[track]));
                    at[track] += 20;
                }
            }
            frames.sort();
            let mut timeline = Timeline::new(2);
            for (i, (_, track, at)) in frames.into_iter().enumerate() {
                let said = ms(at + jitter[i % jitter.len()]);
                let (_, start) = timeline.place(track, Some(said), FRAME);
                timeline.catch_up();
                prop_assert!(start.abs_diff(ms(at)) <= ms(60), "{} is at {}", at, start / MILLISECOND);
            }
        }
    }
}
