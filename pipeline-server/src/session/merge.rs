//! Finals of several tracks in the order in which they were spoken.
//!
//! A final waits while another track may still bring one that began before it. Everything else goes at once; within a
//! track nothing changes places, because a track's `speech_start`, partials and `speech_end` come before its final.

use std::collections::VecDeque;

use transcribe_core::transcript::{Event, Final};

/// See the module.
#[derive(Debug)]
pub(super) struct Merge {
    tracks: Vec<Track>,
}

#[derive(Debug, Default)]
struct Track {
    /// Seconds: no final that began before this will come.
    done: f64,
    waiting: VecDeque<Final>,
}

impl Track {
    /// Where this track's next final begins at the earliest.
    fn frontier(&self) -> f64 {
        self.waiting.front().map_or(self.done, |last| last.start)
    }
}

impl Merge {
    /// For so many tracks.
    pub(super) fn new(tracks: usize) -> Self {
        Self { tracks: (0..tracks).map(|_| Track::default()).collect() }
    }

    /// Takes what was said on a track; returns what is to be said now, with its tracks.
    pub(super) fn push(&mut self, track: usize, event: Event) -> Vec<(usize, Event)> {
        match (event, self.tracks.get_mut(track)) {
            (Event::Final(last), Some(into)) if !last.text.trim().is_empty() => {
                into.waiting.push_back(last);
                self.release()
            }
            // A final without words that overtakes one with words would break the order of its track.
            (Event::Final(last), Some(into)) if !into.waiting.is_empty() => {
                into.waiting.push_back(last);
                Vec::new()
            }
            (event, _) => vec![(track, event)],
        }
    }

    /// A track is done up to `position`, seconds; infinity at its end. Returns what is to be said now.
    pub(super) fn done(&mut self, track: usize, position: f64) -> Vec<(usize, Event)> {
        let Some(track) = self.tracks.get_mut(track) else { return Vec::new() };
        if position <= track.done {
            return Vec::new();
        }
        track.done = position;
        self.release()
    }

    fn release(&mut self) -> Vec<(usize, Event)> {
        let mut released = Vec::new();
        loop {
            let next = self
                .tracks
                .iter()
                .enumerate()
                .filter_map(|(track, t)| Some((track, t.waiting.front()?.start)))
                .min_by(|a, b| a.1.total_cmp(&b.1));
            let Some((track, start)) = next else { return released };
            if self.tracks.iter().any(|other| other.frontier() < start) {
                return released;
            }
            if let Some(last) = self.tracks[track].waiting.pop_front() {
                released.push((track, Event::Final(last)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(utterance: u64, start: f64, text: &str) -> Event {
        Event::Final(Final {
            utterance,
            revision: 1,
            start,
            end: start + 1.0,
            text: text.into(),
            language: "en".into(),
            probability: 0.9,
            no_speech_probability: 0.1,
            forced: false,
            words: Vec::new(),
        })
    }

    fn starts(events: &[(usize, Event)]) -> Vec<(usize, f64)> {
        let start = |event: &Event| match event {
            Event::Final(last) => last.start,
            other => panic!("{other:?}"),
        };
        events.iter().map(|(track, event)| (*track, start(event))).collect()
    }

    #[test]
    fn a_final_waits_for_one_that_began_before_it() {
        let mut merge = Merge::new(2);
        assert!(merge.push(1, last(0, 2.0, "two")).is_empty());
        assert!(merge.done(0, 0.9).is_empty(), "somebody speaks there since 1.0");
        assert_eq!(starts(&merge.push(0, last(0, 1.0, "one"))), [(0, 1.0)]);
        assert_eq!(starts(&merge.done(0, 2.0)), [(1, 2.0)]);
    }

    #[test]
    fn a_silent_track_holds_nothing_up() {
        let mut merge = Merge::new(2);
        merge.done(0, 5.0);
        assert_eq!(starts(&merge.push(1, last(0, 2.0, "two"))), [(1, 2.0)]);
        assert_eq!(starts(&merge.push(1, last(1, 4.0, "four"))), [(1, 4.0)]);
    }

    #[test]
    fn many_are_released_in_order_and_the_end_releases_all() {
        let mut merge = Merge::new(3);
        for (track, start) in [(1, 3.0), (1, 5.0), (2, 1.0), (2, 4.0)] {
            assert!(merge.push(track, last(0, start, "x")).is_empty());
        }
        assert_eq!(starts(&merge.done(0, 3.5)), [(2, 1.0), (1, 3.0)]);
        assert_eq!(starts(&merge.done(0, f64::INFINITY)), [(2, 4.0)]);
        assert_eq!(starts(&merge.done(2, f64::INFINITY)), [(1, 5.0)]);
    }

    #[test]
    fn finals_without_words_keep_their_places_in_their_tracks() {
        let mut merge = Merge::new(2);
        assert_eq!(starts(&merge.push(0, last(0, 1.0, ""))), [(0, 1.0)]);
        assert!(merge.push(0, last(1, 2.0, "two")).is_empty());
        assert!(merge.push(0, last(2, 3.0, "")).is_empty());
        assert_eq!(starts(&merge.done(1, 9.0)), [(0, 2.0), (0, 3.0)]);
    }
}
