//! Questions that wait for data, for a commit or for time to pass. (Kafka: `ThresholdPurgatory`.)
//!
//! What all of them share is a ticket and a deadline; what they wait for is the business of the role that parked them.
//! Whatever releases many at once takes them in one pass, so that ten thousand waiters cost ten thousand looks.
//!
//! **Invariants**
//! - `waiting` ascends by ticket; the tickets of one list are distinct.
//! - the earliest of `deadlines` belongs to somebody who waits; later ones may belong to somebody who no longer does.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::raft::Ticket;
use crate::time::Instant;

/// Things that wait, in the order of their tickets, each until its deadline.
#[derive(Debug)]
pub(super) struct Parked<T> {
    waiting: VecDeque<Waiting<T>>,
    deadlines: BinaryHeap<Reverse<(Instant, Ticket)>>,
}

/// One thing that waits.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    /// Who is to be answered.
    pub ticket: Ticket,
    /// When at the latest.
    pub deadline: Instant,
    /// What is asked.
    pub what: T,
}

impl<T> Default for Parked<T> {
    fn default() -> Parked<T> {
        Parked { waiting: VecDeque::new(), deadlines: BinaryHeap::new() }
    }
}

impl<T> Parked<T> {
    /// Parks a question.
    pub fn park(&mut self, ticket: Ticket, deadline: Instant, what: T) {
        let parked = Waiting { ticket, deadline, what };
        match self.find(ticket) {
            Ok(_) => panic!("a ticket waits for one thing at a time"),
            Err(at) => self.waiting.insert(at, parked),
        }
        self.deadlines.push(Reverse((deadline, ticket)));
    }

    /// The question of that ticket, if it still waits.
    pub fn get(&self, ticket: Ticket) -> Option<&Waiting<T>> {
        self.find(ticket).ok().map(|at| &self.waiting[at])
    }

    /// Takes the question of that ticket, if it still waits.
    pub fn take(&mut self, ticket: Ticket) -> Option<Waiting<T>> {
        let taken = self.waiting.remove(self.find(ticket).ok()?);
        self.forget_stale_deadlines();
        taken
    }

    /// Takes every question that fits, in the order of their tickets.
    pub fn take_all(&mut self, mut fits: impl FnMut(&Waiting<T>) -> bool) -> Vec<Waiting<T>> {
        let Some(first) = self.waiting.iter().position(&mut fits) else { return Vec::new() };
        let mut taken = Vec::new();
        let behind = self.waiting.split_off(first);
        for (index, parked) in behind.into_iter().enumerate() {
            if index == 0 || fits(&parked) {
                taken.push(parked);
            } else {
                self.waiting.push_back(parked);
            }
        }
        self.forget_stale_deadlines();
        taken
    }

    /// Takes every question whose time has come.
    pub fn take_due(&mut self, now: Instant) -> Vec<Waiting<T>> {
        match self.deadline() {
            Some(earliest) if earliest <= now => self.take_all(|parked| parked.deadline <= now),
            _ => Vec::new(),
        }
    }

    /// The one with the latest ticket.
    pub fn last(&self) -> Option<&Waiting<T>> {
        self.waiting.back()
    }

    /// When the first of them is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.peek().map(|Reverse((deadline, _))| *deadline)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn find(&self, ticket: Ticket) -> Result<usize, usize> {
        match self.waiting.back() {
            // Tickets are given out in order, so nearly every question is parked behind all others.
            Some(last) if last.ticket < ticket => Err(self.waiting.len()),
            _ => self.waiting.binary_search_by_key(&ticket, |parked| parked.ticket),
        }
    }

    fn forget_stale_deadlines(&mut self) {
        while let Some(&Reverse((deadline, ticket))) = self.deadlines.peek() {
            if self.find(ticket).is_ok_and(|at| self.waiting[at].deadline == deadline) {
                break;
            }
            self.deadlines.pop();
        }
        // Stale ones behind the earliest stay until they outnumber the others: each is looked at once for each park.
        if self.deadlines.len() > 2 * self.waiting.len() + STALE_MAX {
            self.deadlines = self.waiting.iter().map(|parked| Reverse((parked.deadline, parked.ticket))).collect();
        }
    }
}

/// Stale deadlines that are kept whatever the number of those who wait.
const STALE_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prng::Prng;

    #[test]
    fn parked_agrees_with_a_list_that_is_searched() {
        let mut prng = Prng::new(7, 0);
        for _ in 0..200 {
            let (mut parked, mut naive) = (Parked::default(), Vec::<(u64, u64)>::new());
            for step in 0..200 {
                let now = prng.below(50);
                match prng.below(4) {
                    0 | 1 => {
                        parked.park(Ticket(step), Instant(now), ());
                        naive.push((step, now));
                    }
                    2 => {
                        let ticket = prng.below(step + 1);
                        let expected = naive.iter().position(|known| known.0 == ticket).map(|at| naive.remove(at));
                        assert_eq!(
                            parked.take(Ticket(ticket)).map(|taken| (taken.ticket.0, taken.deadline.0)),
                            expected
                        );
                    }
                    _ => {
                        let taken = parked.take_due(Instant(now / 4));
                        let expected: Vec<(u64, u64)> = naive.extract_if(.., |known| known.1 <= now / 4).collect();
                        let taken: Vec<(u64, u64)> = taken.iter().map(|due| (due.ticket.0, due.deadline.0)).collect();
                        assert_eq!(taken, expected);
                    }
                }
                assert_eq!(parked.deadline().map(|at| at.0), naive.iter().map(|known| known.1).min());
                assert_eq!(parked.len(), naive.len());
            }
        }
    }
}
