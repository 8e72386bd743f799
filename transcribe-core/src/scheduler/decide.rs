//! The scheduler's rules, without a clock or threads.
//!
//! Finals go before partials; among finals the one due first, among partials the one whose stream has waited longest.
//! A stream has at most one partial waiting: a newer one takes the older one's content and keeps its place.

use std::collections::HashMap;
use std::time::Duration;

/// Names a stream.
pub type StreamId = u64;

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

/// A job waiting to run.
#[derive(Debug)]
pub struct Task<P> {
    /// Whose it is.
    pub stream: StreamId,
    /// Final or partial.
    pub urgency: Urgency,
    /// When it was handed in.
    pub since: Duration,
    /// Seconds of audio in it.
    pub audio_seconds: f64,
    /// What runs.
    pub payload: P,
}

/// The waiting tasks of all streams.
#[derive(Debug)]
pub struct Queue<P> {
    finals: Vec<Task<P>>,
    partials: HashMap<StreamId, Task<P>>,
    /// When each stream last had a partial taken; decides who has waited longest.
    served: HashMap<StreamId, Duration>,
}

impl<P> Default for Queue<P> {
    fn default() -> Self {
        Self { finals: Vec::new(), partials: HashMap::new(), served: HashMap::new() }
    }
}

impl<P> Queue<P> {
    /// Adds a task. Gives back the partial that it replaced, if any.
    pub fn submit(&mut self, mut task: Task<P>) -> Option<Task<P>> {
        match task.urgency {
            Urgency::Final { .. } => {
                self.finals.push(task);
                None
            }
            Urgency::Partial => {
                if let Some(older) = self.partials.get(&task.stream) {
                    task.since = older.since;
                }
                self.partials.insert(task.stream, task)
            }
        }
    }

    /// Takes the task to run next, if any.
    pub fn take(&mut self, now: Duration) -> Option<Task<P>> {
        if let Some(index) = self.next_final() {
            return Some(self.finals.remove(index));
        }
        let stream = self.next_partial()?;
        self.served.insert(stream, now);
        self.partials.remove(&stream)
    }

    /// Takes up to `most` tasks that may run as one batch.
    pub fn take_batch(&mut self, now: Duration, most: usize) -> Vec<Task<P>> {
        std::iter::from_fn(|| self.take(now)).take(most).collect()
    }

    /// Removes the stream's waiting partial.
    pub fn drop_partial(&mut self, stream: StreamId) -> Option<Task<P>> {
        self.partials.remove(&stream)
    }

    /// Forgets the stream. Gives back all its waiting tasks.
    pub fn forget(&mut self, stream: StreamId) -> Vec<Task<P>> {
        self.served.remove(&stream);
        let (gone, kept) = std::mem::take(&mut self.finals).into_iter().partition(|t| t.stream == stream);
        self.finals = kept;
        let mut gone: Vec<_> = gone;
        gone.extend(self.partials.remove(&stream));
        gone
    }

    /// Number of waiting tasks.
    pub fn len(&self) -> usize {
        self.finals.len() + self.partials.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Seconds of audio in waiting finals.
    pub fn final_seconds(&self) -> f64 {
        self.finals.iter().map(|t| t.audio_seconds).sum()
    }

    fn next_final(&self) -> Option<usize> {
        let due = |t: &Task<P>| match t.urgency {
            Urgency::Final { deadline } => deadline,
            Urgency::Partial => Duration::MAX,
        };
        (0..self.finals.len()).min_by_key(|&i| (due(&self.finals[i]), self.finals[i].since))
    }

    fn next_partial(&self) -> Option<StreamId> {
        let waiting_since = |t: &Task<P>| self.served.get(&t.stream).copied().unwrap_or_default();
        self.partials.values().min_by_key(|t| (waiting_since(t), t.since, t.stream)).map(|t| t.stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn task(stream: StreamId, urgency: Urgency, since: u64) -> Task<u32> {
        Task { stream, urgency, since: Duration::from_millis(since), audio_seconds: 1.0, payload: 0 }
    }

    fn due(ms: u64) -> Urgency {
        Urgency::Final { deadline: Duration::from_millis(ms) }
    }

    #[test]
    fn finals_go_first_in_order_of_deadline() {
        let mut queue = Queue::default();
        queue.submit(task(1, Urgency::Partial, 0));
        queue.submit(task(2, due(300), 1));
        queue.submit(task(3, due(200), 2));
        let order: Vec<_> = std::iter::from_fn(|| queue.take(Duration::ZERO)).map(|t| t.stream).collect();
        assert_eq!(order, [3, 2, 1]);
    }

    #[test]
    fn a_newer_partial_replaces_the_older_and_keeps_its_place() {
        let mut queue = Queue::default();
        queue.submit(task(1, Urgency::Partial, 0));
        queue.submit(task(2, Urgency::Partial, 1));
        let replaced = queue.submit(Task { payload: 7, ..task(1, Urgency::Partial, 2) });
        assert_eq!(replaced.map(|t| t.payload), Some(0));
        let first = queue.take(Duration::ZERO).unwrap();
        assert_eq!((first.stream, first.payload), (1, 7));
    }

    #[test]
    fn a_greedy_stream_does_not_starve_the_others() {
        let mut queue = Queue::default();
        let mut served = HashMap::<StreamId, u32>::new();
        for round in 0..160u64 {
            for stream in 0..16 {
                // Stream 0 hands in work at every step, the others at every fourth.
                if stream == 0 || round % 4 == stream % 4 {
                    queue.submit(task(stream, Urgency::Partial, round));
                }
            }
            let taken = queue.take(Duration::from_millis(round + 1)).unwrap();
            *served.entry(taken.stream).or_default() += 1;
        }
        let (least, most) = (served.values().min().unwrap(), served.values().max().unwrap());
        assert!(served.len() == 16 && most - least <= 2, "{served:?}");
    }

    proptest! {
        #[test]
        fn no_final_is_lost_and_each_stream_has_one_partial_at_most(
            steps in prop::collection::vec((0u64..6, any::<bool>(), any::<bool>(), 0u64..1000), 1..200)
        ) {
            let mut queue = Queue::default();
            let (mut finals_in, mut finals_out) = (0, 0);
            for (i, (stream, is_final, take, deadline)) in steps.into_iter().enumerate() {
                let urgency = if is_final { due(deadline) } else { Urgency::Partial };
                finals_in += u32::from(is_final);
                if let Some(old) = queue.submit(task(stream, urgency, i as u64)) {
                    prop_assert_eq!(old.urgency, Urgency::Partial);
                }
                prop_assert!(queue.partials.len() <= 6);
                if take {
                    let had_final = !queue.finals.is_empty();
                    let taken = queue.take(Duration::from_millis(i as u64)).unwrap();
                    prop_assert_eq!(had_final, taken.urgency != Urgency::Partial);
                    finals_out += u32::from(had_final);
                }
            }
            while let Some(t) = queue.take(Duration::from_secs(9)) {
                finals_out += u32::from(t.urgency != Urgency::Partial);
            }
            prop_assert_eq!(finals_in, finals_out);
        }

        #[test]
        fn forgetting_a_stream_gives_back_all_it_had(n in 0usize..9, partial in any::<bool>()) {
            let mut queue = Queue::default();
            queue.submit(task(9, due(1), 0));
            for i in 0..n {
                queue.submit(task(1, due(i as u64), 0));
            }
            if partial {
                queue.submit(task(1, Urgency::Partial, 0));
            }
            prop_assert_eq!(queue.forget(1).len(), n + usize::from(partial));
            prop_assert_eq!(queue.len(), 1);
        }
    }
}
