//! Packets without audio. Browsers fill a line with them to find out what it carries (RFC 3550, 5.1: padding), at the timestamp of
//! the packet before. A decoder takes an empty packet for a lost one and makes up audio that nobody said, so they are left out
//! and the others numbered anew, as if there had been none; one that was lost itself is told by the timestamps around it.

use std::collections::VecDeque;

/// Numbers of packets without audio that are remembered for those that come late.
const REMEMBERED: usize = 256;
/// By how many packets one may be late.
const LATEST: u64 = 1_000;
/// Units of the timestamp in the longest packet (RFC 7587: 120 ms at 48 kHz).
const LONGEST: u32 = 5_760;

/// Numbers packets with audio.
#[derive(Debug, Default)]
pub(super) struct Padding {
    /// Number and timestamp of the newest packet with audio.
    newest: Option<(u64, u32)>,
    /// Units of the timestamp in a packet, once two have followed each other.
    length: Option<u32>,
    /// Packets that were left out, and the numbers of the last of them.
    left_out: u64,
    recent: VecDeque<u64>,
}

impl Padding {
    /// Under what number a packet goes on; none if it has no audio. `sequence` counts without turning over.
    pub(super) fn number(&mut self, sequence: u64, timestamp: u32, is_empty: bool) -> Option<u16> {
        if is_empty {
            // Those after it have their numbers already.
            if self.newest.is_none_or(|(newest, _)| sequence > newest) {
                self.leave_out(sequence);
            }
            return None;
        }
        match self.newest {
            Some((newest, _)) if sequence + LATEST < newest => {
                // Numbers begin anew.
                *self = Self { newest: Some((sequence, timestamp)), ..Self::default() };
            }
            Some((newest, _)) if sequence <= newest => {}
            Some((newest, before)) => {
                self.tell_lost(newest, sequence, timestamp.wrapping_sub(before));
                self.newest = Some((sequence, timestamp));
            }
            None => self.newest = Some((sequence, timestamp)),
        }
        let later = self.recent.iter().filter(|left_out| **left_out > sequence).count() as u64;
        // Only the lower bits are on the wire.
        Some((sequence.wrapping_sub(self.left_out - later) & 0xffff) as u16)
    }

    /// Another codec: its packets have another length.
    pub(super) fn restart(&mut self) {
        (self.newest, self.length) = (None, None);
    }

    /// Of the packets that did not come between two with audio, finds those for which there was no time.
    fn tell_lost(&mut self, before: u64, sequence: u64, passed: u32) {
        let missing: Vec<u64> =
            (before + 1..sequence).rev().take(REMEMBERED).filter(|number| !self.recent.contains(number)).collect();
        if missing.is_empty() {
            if (1..=LONGEST).contains(&passed) {
                self.length = Some(self.length.map_or(passed, |length| length.min(passed)));
            }
            return;
        }
        let Some(length) = self.length else { return };
        let audible = (passed / length).saturating_sub(1) as usize;
        missing.into_iter().rev().skip(audible).for_each(|number| self.leave_out(number));
    }

    fn leave_out(&mut self, sequence: u64) {
        if self.recent.contains(&sequence) {
            return;
        }
        self.left_out += 1;
        self.recent.push_back(sequence);
        if self.recent.len() > REMEMBERED {
            self.recent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Packets in the order in which they come: number, timestamp in packets of 20 ms, whether there is audio.
    fn numbers(packets: &[(u64, u32, bool)]) -> Vec<Option<u16>> {
        let mut padding = Padding::default();
        packets.iter().map(|&(sequence, frame, audible)| padding.number(sequence, frame * 960, !audible)).collect()
    }

    #[test]
    fn packets_with_audio_keep_their_numbers() {
        let packets = [(65_534, 1, true), (65_535, 2, true), (65_536, 3, true), (65_538, 5, true), (65_537, 4, true)];
        assert_eq!(numbers(&packets), [Some(65_534), Some(65_535), Some(0), Some(2), Some(1)]);
    }

    #[test]
    fn packets_without_audio_leave_no_hole() {
        let packets = [(9, 1, true), (10, 2, true), (11, 2, false), (12, 2, false), (13, 3, true), (14, 4, true)];
        assert_eq!(numbers(&packets), [Some(9), Some(10), None, None, Some(11), Some(12)]);
    }

    #[test]
    fn neither_do_those_that_were_lost_or_are_late() {
        // 12 and 14 had no audio and were lost; 17 had some; 19 comes before 18, which has none.
        let came = [(9, 1), (10, 2), (11, 3), (13, 4), (15, 5), (16, 6), (19, 8)];
        let packets: Vec<_> = came.map(|(sequence, frame)| (sequence, frame, true)).to_vec();
        assert_eq!(numbers(&packets), [9, 10, 11, 12, 13, 14, 16].map(Some));
        let late = [&packets[..], &[(18, 7, false), (20, 9, true)]].concat();
        assert_eq!(numbers(&late)[7..], [None, Some(17)]);
    }

    #[test]
    fn what_is_late_has_the_number_that_was_kept_for_it() {
        let packets = [(9, 1, true), (10, 2, true), (12, 4, true), (13, 4, false), (14, 5, true), (11, 3, true)];
        assert_eq!(numbers(&packets), [Some(9), Some(10), Some(12), None, Some(13), Some(11)]);
    }

    #[test]
    fn numbers_may_begin_anew() {
        let packets =
            [(9_000, 1, true), (9_001, 1, false), (9_002, 2, true), (7, 50, true), (8, 50, false), (9, 51, true)];
        assert_eq!(numbers(&packets), [Some(9_000), None, Some(9_001), Some(7), None, Some(8)]);
    }

    proptest! {
        #[test]
        fn audio_is_numbered_in_turn(audible in vec(any::<bool>(), 1..400), first in 0..70_000u64) {
            let mut padding = Padding::default();
            let mut frame = 0;
            let mut numbers = Vec::new();
            for (sequence, audible) in (first..).zip(audible) {
                frame += u32::from(audible);
                numbers.extend(padding.number(sequence, frame * 960, !audible));
            }
            prop_assert!(numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)));
        }
    }

    #[test]
    fn a_pause_without_packets_is_no_loss() {
        assert_eq!(numbers(&[(9, 1, true), (10, 2, true), (11, 30, true), (12, 31, true)]), [9, 10, 11, 12].map(Some));
    }
}
