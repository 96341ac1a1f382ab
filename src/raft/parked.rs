//! Questions that wait for data, for a commit or for time to pass. (Kafka: `ThresholdPurgatory`.)
//!
//! What all of them share is a ticket and a deadline; what they wait for is the business of the role that parked them.

use crate::raft::Ticket;
use crate::time::Instant;

/// Things that wait, in the order of their tickets, each until its deadline.
#[derive(Debug)]
pub(super) struct Parked<T> {
    waiting: Vec<Waiting<T>>,
    earliest: Option<Instant>,
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
        Parked { waiting: Vec::new(), earliest: None }
    }
}

impl<T> Parked<T> {
    /// Parks a question.
    pub fn park(&mut self, ticket: Ticket, deadline: Instant, what: T) {
        let at = self.waiting.partition_point(|parked| parked.ticket < ticket);
        self.waiting.insert(at, Waiting { ticket, deadline, what });
        self.earliest = Some(self.earliest.map_or(deadline, |earliest| earliest.min(deadline)));
    }

    /// Takes the question of that ticket, if it still waits.
    pub fn take(&mut self, ticket: Ticket) -> Option<Waiting<T>> {
        let at = self.waiting.binary_search_by_key(&ticket, |parked| parked.ticket).ok()?;
        let taken = self.waiting.remove(at);
        self.recompute(taken.deadline);
        Some(taken)
    }

    /// Takes the first question that fits.
    pub fn take_first(&mut self, fits: impl FnMut(&Waiting<T>) -> bool) -> Option<Waiting<T>> {
        let at = self.waiting.iter().position(fits)?;
        let taken = self.waiting.remove(at);
        self.recompute(taken.deadline);
        Some(taken)
    }

    /// Takes one question whose time has come.
    pub fn take_due(&mut self, now: Instant) -> Option<Waiting<T>> {
        if self.earliest.is_none_or(|earliest| earliest > now) {
            return None;
        }
        self.take_first(|parked| parked.deadline <= now)
    }

    /// All that wait.
    pub fn iter(&self) -> impl Iterator<Item = &Waiting<T>> {
        self.waiting.iter()
    }

    /// When the first of them is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.earliest
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn recompute(&mut self, removed: Instant) {
        if self.earliest == Some(removed) {
            self.earliest = self.waiting.iter().map(|parked| parked.deadline).min();
        }
    }
}
