//! Whose job runs next, without a clock or threads.
//!
//! 1. **Finals**, the one due first. A stream's finals run in its order, and each stream is entitled to one second of
//!    audio a second, which is all that a live one can ask for: a final whose stream got the one before only just now is
//!    *in advance* until its own audio has passed since.
//! 2. **Partials**, the stream first that has waited longest. A stream has at most one partial waiting (a newer one
//!    takes the older one's content and keeps its place), at most one running, and none ahead of its own finals.
//! 3. **Finals in advance**, so that streams that are fed faster than real time use what the others leave; of several
//!    such streams the one first that has got the least. While there are others that are not, it gets half of the cores at most and never the last free one,
//!    and partials leave that one to finals too (see [`Room`]). When a final's time has come, it goes by the first rule;
//!    so nobody starves.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// Names a stream.
pub type StreamId = u64;

/// A stream that handed nothing in for so long has no core kept free for it.
const QUIET: Duration = Duration::from_secs(10);
/// A stream that has handed in more audio than time has passed, by more than this, is fed faster than real time.
const AHEAD: Duration = Duration::from_secs(2);

/// How urgent a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Never dropped; due at this time.
    Final {
        /// End of speech plus the stream's latency target.
        deadline: Duration,
    },
    /// May be replaced or dropped.
    Partial,
}

/// What the rules need to know of a task.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct About {
    /// Whose it is.
    pub stream: StreamId,
    /// Final or partial.
    pub urgency: Urgency,
    /// When it was handed in.
    pub since: Duration,
    /// Seconds of audio in it.
    pub audio_seconds: f64,
    /// Seconds of it that no final of the stream had before; a final that is asked for again, since somebody went on
    /// speaking, does not use up what its stream is entitled to twice.
    pub new_seconds: f64,
    /// CPU threads that its stream's settings ask for, if any.
    pub threads: Option<usize>,
}

impl About {
    /// Whether it is a final.
    pub fn is_final(&self) -> bool {
        matches!(self.urgency, Urgency::Final { .. })
    }

    fn new_audio(&self) -> Duration {
        Duration::from_secs_f64(self.new_seconds.max(0.0))
    }
}

/// A job, as it was handed in and as it is taken to run.
#[derive(Debug)]
pub struct Task<P> {
    /// What the rules need to know.
    pub about: About,
    /// Set when it is taken: a final that runs in advance.
    pub in_advance: bool,
    /// What runs.
    pub payload: P,
}

/// What may have the free cores, besides finals that are not in advance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Whether there is a core for a partial.
    pub partials: bool,
    /// Whether there is one for a final in advance although other streams are live.
    pub advances: bool,
}

impl Room {
    /// Room for anything.
    pub const FREE: Self = Self { partials: true, advances: true };
}

/// What waits of a stream, and what is remembered of it.
#[derive(Debug)]
struct Lane<P> {
    finals: VecDeque<Task<P>>,
    partial: Option<Task<P>>,
    partial_runs: bool,
    /// When its last final was taken, or should have been if that was later than its time.
    taken: Option<Duration>,
    /// When a partial was last taken.
    served: Duration,
    /// When it last handed something in.
    seen: Duration,
    /// Up to here the audio of its finals would last, had it been fed in real time.
    fed: Duration,
    /// Seconds of audio that it got in advance, counted from what others had got when it joined them.
    got: Duration,
}

impl<P> Lane<P> {
    fn new(now: Duration) -> Self {
        Self {
            finals: VecDeque::new(),
            partial: None,
            partial_runs: false,
            taken: None,
            served: Duration::ZERO,
            seen: now,
            fed: now,
            got: Duration::ZERO,
        }
    }

    fn push(&mut self, task: Task<P>) {
        let About { since, .. } = task.about;
        // What it got while others had no use for the engine is not held against it for ever.
        self.fed = (self.fed + task.about.new_audio()).clamp(since, since + QUIET);
        self.finals.push_back(task);
    }

    /// From when on its next final is not in advance, and when it is due.
    fn next_final(&self) -> Option<(Duration, Duration)> {
        let about = &self.finals.front()?.about;
        let Urgency::Final { deadline } = about.urgency else { return None };
        let timely = self.taken.map_or(about.since, |taken| about.since.max(taken + about.new_audio()));
        Some((timely, deadline + (timely - about.since)))
    }

    fn take_final(&mut self, now: Duration) -> Option<Task<P>> {
        let (timely, _) = self.next_final()?;
        self.taken = Some(timely.min(now));
        let task = self.finals.pop_front()?;
        Some(Task { in_advance: timely > now, ..task })
    }

    /// Whether no core should be kept free for it at `now`.
    fn can_wait(&self, now: Duration) -> bool {
        self.fed > self.seen + AHEAD || now > self.seen + QUIET
    }
}

/// The waiting tasks of all streams.
#[derive(Debug)]
pub struct Queue<P> {
    lanes: HashMap<StreamId, Lane<P>>,
    /// What the stream that last got something in advance had got before.
    got: Duration,
}

impl<P> Default for Queue<P> {
    fn default() -> Self {
        Self { lanes: HashMap::new(), got: Duration::ZERO }
    }
}

impl<P> Queue<P> {
    /// Adds a task. Gives back the partial that it replaced, if any.
    pub fn submit(&mut self, mut about: About, payload: P) -> Option<Task<P>> {
        let lane = self.lanes.entry(about.stream).or_insert_with(|| Lane::new(about.since));
        lane.seen = about.since;
        if about.is_final() {
            lane.push(Task { about, in_advance: false, payload });
            return None;
        }
        if let Some(older) = &lane.partial {
            about.since = older.about.since;
        }
        lane.partial.replace(Task { about, in_advance: false, payload })
    }

    /// Takes the task to run next, if any may.
    pub fn take(&mut self, now: Duration, room: Room) -> Option<Task<P>> {
        if let Some(stream) = self.first_timely(now) {
            return self.lanes.get_mut(&stream)?.take_final(now);
        }
        if let Some(stream) = self.next_partial().filter(|_| room.partials) {
            let lane = self.lanes.get_mut(&stream)?;
            (lane.served, lane.partial_runs) = (now, true);
            return lane.partial.take();
        }
        let stream = self.first_in_advance()?;
        if !room.advances && self.others_are_live(stream, now) {
            return None;
        }
        let lane = self.lanes.get_mut(&stream)?;
        let task = lane.take_final(now)?;
        self.got = self.got.max(lane.got);
        lane.got = self.got + task.about.new_audio();
        Some(task)
    }

    /// Takes up to `most` tasks that may run as one batch.
    pub fn take_batch(&mut self, now: Duration, room: Room, most: usize) -> Vec<Task<P>> {
        std::iter::from_fn(|| self.take(now, room)).take(most).collect()
    }

    /// A task that was taken has ended.
    pub fn ended(&mut self, about: &About) {
        // Not there any more if the stream was forgotten meanwhile.
        if let (Urgency::Partial, Some(lane)) = (about.urgency, self.lanes.get_mut(&about.stream)) {
            lane.partial_runs = false;
        }
    }

    /// Removes the stream's waiting partial.
    pub fn drop_partial(&mut self, stream: StreamId) -> Option<Task<P>> {
        self.lanes.get_mut(&stream)?.partial.take()
    }

    /// Forgets the stream. Gives back all its waiting tasks.
    pub fn forget(&mut self, stream: StreamId) -> impl Iterator<Item = Task<P>> {
        let lane = self.lanes.remove(&stream);
        lane.into_iter().flat_map(|lane| lane.finals.into_iter().chain(lane.partial))
    }

    /// Number of waiting tasks.
    pub fn len(&self) -> usize {
        self.lanes.values().map(|lane| lane.finals.len() + usize::from(lane.partial.is_some())).sum()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Seconds of audio in waiting finals.
    pub fn final_seconds(&self) -> f64 {
        self.lanes.values().flat_map(|lane| &lane.finals).map(|task| task.about.audio_seconds).sum()
    }

    /// The stream whose next final is due first, of those that are not in advance.
    fn first_timely(&self, now: Duration) -> Option<StreamId> {
        let heads = self.lanes.iter().filter_map(|(stream, lane)| {
            let (timely, due) = lane.next_final()?;
            (timely <= now).then_some((due, *stream))
        });
        heads.min().map(|(_, stream)| stream)
    }

    fn first_in_advance(&self) -> Option<StreamId> {
        let heads = self.lanes.iter().filter(|(_, lane)| !lane.finals.is_empty());
        heads.map(|(stream, lane)| (lane.got.max(self.got), *stream)).min().map(|(_, stream)| stream)
    }

    fn next_partial(&self) -> Option<StreamId> {
        let waiting = self.lanes.iter().filter(|(_, lane)| lane.finals.is_empty() && !lane.partial_runs);
        let waiting = waiting.filter_map(|(stream, lane)| lane.partial.as_ref().map(|task| (stream, lane, task)));
        waiting.min_by_key(|(stream, lane, task)| (lane.served, task.about.since, **stream)).map(|(stream, ..)| *stream)
    }

    /// Whether there are streams besides this one that are fed in real time.
    pub fn others_are_live(&self, stream: StreamId, now: Duration) -> bool {
        self.lanes.iter().any(|(other, lane)| *other != stream && !lane.can_wait(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn task(stream: StreamId, urgency: Urgency, since: u64) -> About {
        About {
            stream,
            urgency,
            since: Duration::from_millis(since),
            audio_seconds: 1.0,
            new_seconds: 1.0,
            threads: None,
        }
    }

    fn due(ms: u64) -> Urgency {
        Urgency::Final { deadline: Duration::from_millis(ms) }
    }

    /// One core is left.
    const FULL: Room = Room { partials: false, advances: false };

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn order(queue: &mut Queue<u32>, now: Duration) -> Vec<StreamId> {
        std::iter::from_fn(|| queue.take(now, Room::FREE)).map(|t| t.about.stream).collect()
    }

    #[test]
    fn finals_go_first_in_order_of_deadline() {
        let mut queue = Queue::default();
        queue.submit(task(1, Urgency::Partial, 0), 0);
        queue.submit(task(2, due(300), 1), 0);
        queue.submit(task(3, due(200), 2), 0);
        assert_eq!(order(&mut queue, ms(3)), [3, 2, 1]);
    }

    #[test]
    fn a_newer_partial_replaces_the_older_and_keeps_its_place() {
        let mut queue = Queue::default();
        queue.submit(task(1, Urgency::Partial, 0), 0);
        queue.submit(task(2, Urgency::Partial, 1), 0);
        let replaced = queue.submit(task(1, Urgency::Partial, 2), 7);
        assert_eq!(replaced.map(|t| t.payload), Some(0));
        let first = queue.take(Duration::ZERO, Room::FREE).unwrap();
        assert_eq!((first.about.stream, first.about.since, first.payload), (1, ms(0), 7));
    }

    #[test]
    fn a_stream_has_one_partial_running_and_none_ahead_of_its_finals() {
        let mut queue = Queue::default();
        queue.submit(task(1, Urgency::Partial, 0), 0);
        let running = queue.take(ms(0), Room::FREE).unwrap();
        queue.submit(task(1, Urgency::Partial, 1), 0);
        assert!(queue.take(ms(1), Room::FREE).is_none());
        queue.ended(&running.about);
        queue.submit(task(1, due(5_000), 2), 0);
        // This one is in advance, and still ahead of the partial.
        queue.submit(task(1, due(5_000), 3), 0);
        assert!(queue.take(ms(3), Room::FREE).unwrap().about.is_final());
        assert!(queue.take(ms(3), Room::FREE).unwrap().about.is_final());
        assert!(!queue.take(ms(3), Room::FREE).unwrap().about.is_final());
    }

    #[test]
    fn what_a_stream_hands_in_faster_than_real_time_goes_behind_the_others() {
        let mut queue = Queue::default();
        for i in 0..4 {
            queue.submit(task(1, due(1_000), 0), i);
        }
        queue.submit(task(2, due(1_500), 500), 0);
        queue.submit(task(3, Urgency::Partial, 500), 0);
        let (now, mut took) = (ms(500), Vec::new());
        while let Some(task) = queue.take(now, Room::FREE) {
            took.push((task.about.stream, task.payload));
        }
        assert_eq!(took, [(1, 0), (2, 0), (3, 0), (1, 1), (1, 2), (1, 3)]);
    }

    #[test]
    fn a_final_in_advance_becomes_urgent_when_its_time_has_come() {
        let mut queue = Queue::default();
        queue.submit(task(1, due(1_000), 0), 0);
        queue.submit(task(1, due(1_000), 0), 0);
        queue.submit(task(2, Urgency::Partial, 0), 0);
        queue.submit(task(3, Urgency::Partial, 0), 0);
        queue.take(ms(0), Room::FREE).unwrap();
        assert_eq!(queue.take(ms(999), Room::FREE).unwrap().about.stream, 2);
        assert_eq!(queue.take(ms(1_000), Room::FREE).unwrap().about.stream, 1);
    }

    #[test]
    fn a_final_in_advance_leaves_live_streams_their_cores() {
        let mut queue = Queue::default();
        for stream in [1, 2, 1, 1, 1, 1] {
            queue.submit(task(stream, due(1_000), 0), 0);
        }
        assert_eq!([1, 2], [(); 2].map(|()| queue.take(ms(0), FULL).unwrap().about.stream));
        assert!(queue.take(ms(0), FULL).is_none());
        assert!(queue.take(ms(0), Room { advances: true, ..FULL }).unwrap().in_advance);
        // The next one's time has come; and then stream 2 has fallen silent.
        assert!(!queue.take(ms(1_000), FULL).unwrap().in_advance);
        assert!(queue.take(ms(1_001), FULL).is_none());
        for _ in 0..4 {
            queue.submit(task(1, due(11_000), 11_000), 0);
        }
        while queue.take(ms(11_000), FULL).is_some_and(|t| !t.in_advance) {}
        assert!(queue.take(ms(11_000), FULL).unwrap().in_advance);
    }

    #[test]
    fn files_alone_use_all_cores() {
        let mut queue = Queue::default();
        for stream in [1, 1, 1, 1, 2, 2, 2, 2] {
            queue.submit(task(stream, due(1_000), 0), 0);
        }
        let took: Vec<_> = std::iter::from_fn(|| queue.take(ms(0), FULL)).map(|t| t.about.stream).collect();
        assert_eq!(took, [1, 2, 1, 2, 1, 2, 1, 2]);
    }

    #[test]
    fn a_stream_that_asks_for_many_partials_does_not_starve_the_others() {
        let mut queue = Queue::default();
        let mut served = HashMap::<StreamId, u32>::new();
        for round in 0..160u64 {
            for stream in 0..16 {
                // Stream 0 hands in work at every step, the others at every fourth.
                if stream == 0 || round % 4 == stream % 4 {
                    queue.submit(task(stream, Urgency::Partial, round), 0);
                }
            }
            let taken = queue.take(ms(round + 1), Room::FREE).unwrap();
            queue.ended(&taken.about);
            *served.entry(taken.about.stream).or_default() += 1;
        }
        let (least, most) = (served.values().min().unwrap(), served.values().max().unwrap());
        assert!(served.len() == 16 && most - least <= 2, "{served:?}");
    }

    proptest! {
        #[test]
        fn no_final_is_lost_and_an_idle_engine_always_gets_something(
            steps in prop::collection::vec((0u64..6, any::<bool>(), any::<bool>(), 0u64..1000), 1..200)
        ) {
            let mut queue = Queue::default();
            let (mut finals_in, mut finals_out) = (0, 0);
            for (i, (stream, is_final, take, deadline)) in steps.into_iter().enumerate() {
                let urgency = if is_final { due(i as u64 + deadline) } else { Urgency::Partial };
                finals_in += u32::from(is_final);
                if let Some(old) = queue.submit(task(stream, urgency, i as u64), 0) {
                    prop_assert!(!old.about.is_final());
                }
                let finals: usize = queue.lanes.values().map(|lane| lane.finals.len()).sum();
                prop_assert!(queue.len() <= finals + 6);
                if take {
                    let now = ms(i as u64);
                    let urgent = queue.first_timely(now).is_some();
                    let taken = queue.take(now, Room::FREE).unwrap();
                    prop_assert!(taken.about.is_final() || !urgent);
                    finals_out += u32::from(taken.about.is_final());
                    queue.ended(&taken.about);
                }
            }
            while let Some(t) = queue.take(Duration::from_secs(9), Room::FREE) {
                finals_out += u32::from(t.about.is_final());
                queue.ended(&t.about);
            }
            prop_assert!(queue.is_empty());
            prop_assert_eq!(finals_in, finals_out);
        }

        #[test]
        fn finals_of_a_stream_are_taken_in_their_order(
            steps in prop::collection::vec((0u64..3, 0u64..3000, 0u64..2000), 1..60)
        ) {
            let mut queue = Queue::default();
            let mut now = 0;
            for (i, (stream, pause, target)) in steps.into_iter().enumerate() {
                now += pause;
                queue.submit(task(stream, due(now + target), now), i as u32);
            }
            let mut last = [0; 3];
            while let Some(t) = queue.take(ms(now), Room::FREE) {
                let last = &mut last[t.about.stream as usize];
                prop_assert!(t.payload >= *last);
                *last = t.payload;
            }
        }

        #[test]
        fn forgetting_a_stream_gives_back_all_it_had(n in 0usize..9, partial in any::<bool>()) {
            let mut queue = Queue::default();
            queue.submit(task(9, due(1), 0), 0);
            for i in 0..n {
                queue.submit(task(1, due(i as u64), 0), 0);
            }
            if partial {
                queue.submit(task(1, Urgency::Partial, 0), 0);
            }
            prop_assert_eq!(queue.forget(1).count(), n + usize::from(partial));
            prop_assert_eq!(queue.len(), 1);
        }
    }
}
