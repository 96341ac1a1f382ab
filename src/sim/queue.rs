//! What will happen, in order of time; at one instant in order of scheduling, or shuffled when a scenario asks for it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::sim::decide::Stream;
use crate::time::Instant;

/// A queue of future happenings.
#[derive(Debug)]
pub struct Queue<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    scheduled: u64,
    /// Draws the order of equal times; `None` keeps the order of scheduling.
    ties: Option<Stream>,
}

#[derive(Debug)]
struct Entry<T> {
    at: Instant,
    tie: u64,
    sequence: u64,
    what: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}
impl<T> Eq for Entry<T> {}
impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.tie, self.sequence).cmp(&(other.at, other.tie, other.sequence))
    }
}

impl<T> Queue<T> {
    /// An empty queue; `ties` shuffles what happens at one instant.
    pub fn new(ties: Option<Stream>) -> Queue<T> {
        Queue { heap: BinaryHeap::with_capacity(256), scheduled: 0, ties }
    }

    /// Lets `what` happen at `at`.
    pub fn push(&mut self, at: Instant, what: T) {
        let tie = self.ties.as_mut().map_or(0, |ties| ties.decide(0, |prng| prng.word() >> 48));
        self.heap.push(Reverse(Entry { at, tie, sequence: self.scheduled, what }));
        self.scheduled += 1;
    }

    /// The next happening.
    pub fn pop(&mut self) -> Option<(Instant, T)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.what))
    }

    /// The next happening, left where it is.
    pub fn peek(&self) -> Option<(Instant, &T)> {
        self.heap.peek().map(|Reverse(entry)| (entry.at, &entry.what))
    }

    /// How many are scheduled.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing will happen any more.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_times_keep_the_order_of_scheduling() {
        let mut queue = Queue::new(None);
        for (at, what) in [(2, "c"), (1, "a"), (1, "b")] {
            queue.push(Instant(at), what);
        }
        let order: Vec<&str> = std::iter::from_fn(|| queue.pop().map(|(_, what)| what)).collect();
        assert_eq!(order, ["a", "b", "c"]);
    }
}
