//! The audio of all connections on one time line.
//!
//! The line begins with the first audio that ever came. Within a connection its own times count; where the next one joins
//! is told by the clock of this machine, so that times in the stream keep step with times of day whatever was missed. It
//! never goes back.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use gst::ClockTime;

/// Nanoseconds by which the time of capture has to move to be told anew.
const NOTICEABLE: i64 = 5_000_000;

/// By so much audio may overlap with what came before it without being a jump: some demuxers of live streams correct their
/// idea of the sender's clock all at once.
const OVERLAP: ClockTime = ClockTime::from_mseconds(500);
/// What nobody notices.
const JITTER: ClockTime = ClockTime::from_mseconds(10);
/// By so much each piece of audio comes nearer to where it should be.
const STEP: ClockTime = ClockTime::from_mseconds(5);

/// The time line of a source.
#[derive(Debug, Default)]
pub(super) struct Line(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    begun: Option<Instant>,
    /// Up to where there is audio.
    end: ClockTime,
    /// When the end of it was captured (nanoseconds since 1970), where a playlist tells.
    captured: Option<u64>,
}

impl Line {
    /// Where audio that comes now joins.
    fn join(&self, now: Instant) -> ClockTime {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = *inner.begun.get_or_insert(now);
        let passed = u64::try_from(now.duration_since(begun).as_nanos()).unwrap_or(u64::MAX);
        inner.end.max(ClockTime::from_nseconds(passed))
    }

    /// Up to which time of day (nanoseconds since 1970) was heard what playlists gave.
    pub(super) fn captured(&self) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).captured
    }

    /// It was heard up to then.
    pub(super) fn captured_until(&self, unix: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).captured = Some(unix);
    }

    fn extend(&self, to: ClockTime) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.end = inner.end.max(to);
    }
}

/// A connection's way onto the line.
#[derive(Debug, Default)]
pub(super) struct Passage {
    /// Running time of the first audio, and where it joined.
    joined: Option<(ClockTime, ClockTime)>,
    latest: Option<ClockTime>,
    /// Where the audio so far ends on the line.
    end: Option<ClockTime>,
    /// What was told of the time of capture: nanoseconds since 1970 less stream time.
    captured: Option<i64>,
}

/// Where a piece of audio is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    /// Stream time.
    pub(super) at: ClockTime,
    /// Whether it is the first of its connection.
    pub(super) joins: bool,
    /// Whether time went on.
    pub(super) advances: bool,
}

impl Passage {
    /// Places audio of a running time and a duration that comes `now`.
    pub(super) fn place(&mut self, line: &Line, running: ClockTime, duration: ClockTime, now: Instant) -> Placed {
        let joins = self.joined.is_none();
        let (first, joined) = *self.joined.get_or_insert_with(|| (running, line.join(now)));
        let at = self.smoothed(shifted(running, first, joined));
        self.end = Some(at + duration);
        let advances = self.latest.is_none_or(|latest| running > latest);
        self.latest = self.latest.max(Some(running));
        line.extend(at + duration);
        Placed { at, joins, advances }
    }

    /// Audio that would overlap with what came before it follows that instead, a little nearer each time.
    fn smoothed(&self, at: ClockTime) -> ClockTime {
        let overlap = self.end.map_or(ClockTime::ZERO, |end| end.saturating_sub(at));
        if overlap > JITTER && overlap <= OVERLAP {
            return at + overlap - STEP;
        }
        at
    }

    /// Where a running time is that nothing has to be placed at; none before the first audio.
    pub(super) fn find(&self, running: ClockTime) -> Option<ClockTime> {
        self.joined.map(|(first, joined)| shifted(running, first, joined))
    }

    /// Audio at `at` was captured `unix` nanoseconds after 1970. If that is news: since when in the stream it holds, and
    /// the nanoseconds between stream time and 1970.
    pub(super) fn captured(&mut self, at: ClockTime, unix: u64) -> Option<(ClockTime, i64)> {
        let offset = i64::try_from(unix).ok()? - i64::try_from(at.nseconds()).ok()?;
        if self.captured.is_some_and(|told| (told - offset).abs() < NOTICEABLE) {
            return None;
        }
        // What the first report says holds for all of the connection that was there before it.
        let since = if self.captured.is_none() { self.joined.map_or(at, |(_, joined)| joined) } else { at };
        self.captured = Some(offset);
        Some((since, offset))
    }
}

fn shifted(running: ClockTime, first: ClockTime, joined: ClockTime) -> ClockTime {
    if running >= first {
        joined + (running - first)
    } else {
        joined.saturating_sub(first - running)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ms(ms: u64) -> ClockTime {
        ClockTime::from_mseconds(ms)
    }

    #[test]
    fn it_begins_at_nought_and_goes_on_by_the_audios_own_times() {
        let (line, start) = (Line::default(), Instant::now());
        let mut passage = Passage::default();
        let first = passage.place(&line, ms(7_300), ms(20), start);
        assert_eq!(first, Placed { at: ms(0), joins: true, advances: true });
        // Late by the clock, and in time by its own.
        let second = passage.place(&line, ms(7_320), ms(20), start + Duration::from_millis(400));
        assert_eq!(second, Placed { at: ms(20), joins: false, advances: true });
        assert!(!passage.place(&line, ms(7_320), ms(20), start).advances, "a frozen time");
        assert_eq!(passage.find(ms(7_400)), Some(ms(100)));
    }

    #[test]
    fn a_small_step_back_is_taken_slowly() {
        let (line, start) = (Line::default(), Instant::now());
        let mut passage = Passage::default();
        let mut at = |running: u64| passage.place(&line, ms(running), ms(20), start).at;
        assert_eq!((at(0), at(20)), (ms(0), ms(20)));
        // 120 ms back, all at once.
        let placed: Vec<u64> = (0..30).map(|i| at(920 + i * 20).mseconds()).collect();
        assert_eq!(placed[0], 920, "a hole is none of its business");
        let back: Vec<ClockTime> = (0..30).map(|i| at(1400 + i * 20)).collect();
        assert!(back.windows(2).all(|pair| pair[1] >= pair[0] + ms(10) && pair[1] <= pair[0] + ms(20)), "{back:?}");
        assert!(back[29] - ms(1400 + 29 * 20) <= ms(10), "{back:?}");
        // What goes back further is a jump.
        assert_eq!(at(300), ms(300));
    }

    #[test]
    fn the_next_connection_joins_by_the_clock() {
        let (line, start) = (Line::default(), Instant::now());
        Passage::default().place(&line, ms(100), ms(20), start);
        let mut passage = Passage::default();
        assert_eq!(passage.find(ms(0)), None);
        let joined = passage.place(&line, ms(90_000), ms(20), start + Duration::from_secs(12));
        assert_eq!((joined.at, joined.joins), (ms(12_000), true));
        assert_eq!(passage.place(&line, ms(90_020), ms(20), start).at, ms(12_020));
    }

    #[test]
    fn it_never_goes_back() {
        let (line, start) = (Line::default(), Instant::now());
        // A playlist that begins with what was said in the last half minute.
        Passage::default().place(&line, ms(0), ms(30_000), start);
        let joined = Passage::default().place(&line, ms(0), ms(20), start + Duration::from_secs(5));
        assert_eq!(joined.at, ms(30_000));
    }

    #[test]
    fn the_time_of_capture_holds_for_the_whole_connection_and_is_told_when_it_moves() {
        let (line, start) = (Line::default(), Instant::now());
        Passage::default().place(&line, ms(0), ms(20), start);
        let mut passage = Passage::default();
        passage.place(&line, ms(50), ms(20), start + Duration::from_secs(10));
        let day = 1_700_000_000_000_000_000_u64;
        assert_eq!(passage.captured(ms(12_000), day + 12_000_000_000), Some((ms(10_000), day as i64)));
        assert_eq!(passage.captured(ms(12_020), day + 12_021_000_000), None);
        assert_eq!(passage.captured(ms(13_000), day + 13_040_000_000), Some((ms(13_000), day as i64 + 40_000_000)));
    }
}
