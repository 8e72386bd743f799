//! Messages in the order in which they were numbered. TCP keeps the order of what is sent, but a sender may gather frames on
//! several threads.

use std::collections::BTreeMap;

/// Messages that wait at most for one that is missing: a third of a second of two tracks. It is given up then.
const WINDOW: usize = 32;

/// See the module.
#[derive(Debug)]
pub(super) struct Order<T> {
    /// Number of the next message.
    next: u64,
    waiting: BTreeMap<u64, T>,
}

impl<T> Order<T> {
    /// For what comes behind the message of that number.
    pub(super) fn behind(number: u64) -> Self {
        Self { next: number.saturating_add(1), waiting: BTreeMap::new() }
    }

    /// Takes a message; returns those whose turn it is. One without a number goes at once; one that comes twice, or when it was
    /// given up, is lost: its place is taken.
    pub(super) fn push(&mut self, number: Option<u64>, message: T) -> Vec<T> {
        let Some(number) = number else { return vec![message] };
        if number < self.next {
            tracing::debug!(number, "a message came too late or twice");
            return Vec::new();
        }
        self.waiting.entry(number).or_insert(message);
        let mut due = self.due();
        while self.waiting.len() > WINDOW {
            due.extend(self.skip());
        }
        due
    }

    /// Gives up what is missing; returns all that wait.
    pub(super) fn flush(&mut self) -> Vec<T> {
        let mut due = Vec::new();
        while !self.waiting.is_empty() {
            due.extend(self.skip());
        }
        due
    }

    /// Goes on with the first that is there.
    fn skip(&mut self) -> Vec<T> {
        if let Some((number, _)) = self.waiting.first_key_value() {
            self.next = *number;
        }
        self.due()
    }

    fn due(&mut self) -> Vec<T> {
        let mut due = Vec::new();
        while let Some(message) = self.waiting.remove(&self.next) {
            due.push(message);
            self.next = self.next.saturating_add(1);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn through(numbers: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let mut order = Order::behind(1);
        let mut out: Vec<u64> = numbers.into_iter().flat_map(|number| order.push(Some(number), number)).collect();
        out.extend(order.flush());
        out
    }

    #[test]
    fn what_comes_in_order_goes_at_once() {
        let mut order = Order::behind(1);
        assert_eq!(order.push(Some(2), "a"), ["a"]);
        assert_eq!(order.push(None, "b"), ["b"]);
        assert_eq!(order.push(Some(4), "d"), [""; 0]);
        assert_eq!(order.push(Some(3), "c"), ["c", "d"]);
        assert_eq!(order.push(Some(3), "c"), [""; 0], "twice");
        assert!(order.flush().is_empty());
    }

    #[test]
    fn what_never_comes_is_given_up() {
        let mut order = Order::behind(1);
        let early = (3..3 + WINDOW as u64).flat_map(|number| order.push(Some(number), number)).count();
        assert_eq!(early, 0, "all wait for the second");
        let late: Vec<u64> = order.push(Some(100), 100);
        assert_eq!(late, (3..3 + WINDOW as u64).collect::<Vec<_>>());
        assert_eq!(order.flush(), [100]);
        assert_eq!(order.push(Some(2), 2), [0; 0]);
    }

    #[test]
    fn no_number_is_too_large() {
        assert_eq!(through([u64::MAX, 2, u64::MAX]), [2, u64::MAX]);
        let mut order = Order::behind(u64::MAX);
        assert_eq!(order.push(Some(u64::MAX), 1), [1]);
    }

    proptest! {
        /// Messages that are no further from their places than the window come out in order, each once.
        #[test]
        fn what_is_mixed_up_is_put_in_order(shifts in prop::collection::vec(0..WINDOW as u64, 1..300)) {
            let sent: Vec<u64> = (2..).take(shifts.len()).collect();
            let mut mixed: Vec<(u64, u64)> = sent.iter().zip(&shifts).map(|(number, by)| (number + by, *number)).collect();
            mixed.sort();
            prop_assert_eq!(through(mixed.into_iter().map(|(_, number)| number)), sent);
        }

        /// Whatever comes, what goes out rises, nothing goes out twice, and no more than the window waits.
        #[test]
        fn nothing_breaks_the_order(numbers in prop::collection::vec(0..200_u64, 0..300)) {
            let out = through(numbers.iter().copied());
            prop_assert!(out.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", out);
            prop_assert!(out.iter().all(|number| numbers.contains(number)));
        }
    }
}
