//! From positions in the core's samples to the pipeline's time, through segments and discontinuities.

use std::collections::VecDeque;

use gst::prelude::*;
use transcribe_core::{Position, SAMPLE_RATE};

/// Nanoseconds in `samples` at the core's rate.
pub(super) fn duration(samples: u64) -> gst::ClockTime {
    samples
        .mul_div_round(*gst::ClockTime::SECOND, u64::from(SAMPLE_RATE))
        .map_or(gst::ClockTime::MAX, gst::ClockTime::from_nseconds)
}

/// Samples at the core's rate in `time`.
pub(super) fn samples(time: gst::ClockTime) -> u64 {
    time.nseconds().mul_div_round(u64::from(SAMPLE_RATE), *gst::ClockTime::SECOND).unwrap_or(u64::MAX / 2)
}

/// A sample whose time is known.
#[derive(Debug, Clone)]
pub(super) struct Anchor {
    /// Position of the sample.
    pub(super) position: Position,
    /// Its timestamp.
    pub(super) pts: gst::ClockTime,
    /// The segment that the timestamp counts in.
    pub(super) segment: gst::FormattedSegment<gst::ClockTime>,
}

impl Anchor {
    /// Timestamp of a position behind the anchor.
    pub(super) fn pts(&self, position: Position) -> gst::ClockTime {
        self.pts.saturating_add(duration(position.saturating_sub(self.position)))
    }

    /// Stream time of a timestamp; outside the segment, the nearest time inside.
    pub(super) fn stream_time(&self, pts: gst::ClockTime) -> gst::ClockTime {
        self.segment.to_stream_time(self.clip(pts)).unwrap_or(pts)
    }

    /// Running time of a timestamp; outside the segment, the nearest time inside.
    pub(super) fn running_time(&self, pts: gst::ClockTime) -> Option<gst::ClockTime> {
        self.segment.to_running_time(self.clip(pts))
    }

    fn clip(&self, pts: gst::ClockTime) -> gst::ClockTime {
        let pts = self.segment.start().map_or(pts, |start| pts.max(start));
        self.segment.stop().map_or(pts, |stop| pts.min(stop))
    }
}

/// The anchors of a stream, oldest first.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    anchors: VecDeque<Anchor>,
}

impl Timeline {
    /// Adds an anchor behind all others.
    pub(super) fn push(&mut self, anchor: Anchor) {
        self.anchors.push_back(anchor);
    }

    /// The anchor that a position counts from: the last one at or before it.
    pub(super) fn at(&self, position: Position) -> Option<&Anchor> {
        self.anchors.iter().rev().find(|a| a.position <= position).or_else(|| self.anchors.front())
    }

    /// Forgets anchors that no position from `position` on needs.
    pub(super) fn settle(&mut self, position: Position) {
        while self.anchors.get(1).is_some_and(|next| next.position <= position) {
            self.anchors.pop_front();
        }
    }

    /// Forgets all anchors.
    pub(super) fn clear(&mut self) {
        self.anchors.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchor(position: Position, pts: u64, segment_start: u64) -> Anchor {
        let mut segment = gst::FormattedSegment::new();
        segment.set_start(gst::ClockTime::from_seconds(segment_start));
        segment.set_time(gst::ClockTime::from_seconds(segment_start));
        Anchor { position, pts: gst::ClockTime::from_seconds(pts), segment }
    }

    #[test]
    fn a_position_counts_from_the_last_anchor_before_it() {
        gst::init().unwrap();
        let mut timeline = Timeline::default();
        timeline.push(anchor(0, 10, 10));
        timeline.push(anchor(16_000, 100, 90));
        let at = |t: &Timeline, p| {
            let a = t.at(p).unwrap();
            (a.pts(p).seconds(), a.running_time(a.pts(p)).unwrap().seconds())
        };
        assert_eq!(at(&timeline, 15_999), (10, 0));
        assert_eq!(at(&timeline, 32_000), (101, 11));
        timeline.settle(16_000);
        assert_eq!(timeline.anchors.len(), 1);
    }

    #[test]
    fn samples_and_time_agree_over_years() {
        for n in [0, 1, 16_000, 16_000 * 3600 * 24 * 3650] {
            assert_eq!(samples(duration(n)), n);
        }
    }
}
