//! Cores of logs: the few operations of a log's history that cannot be explained.
//!
//! The monitor names what conflicts. Here it is made sure that this is all it takes, and that all of it is needed: the core is
//! decided again, and it can be explained once any of its operations is relaxed. As in [`crate::history::engine::core`] a step only
//! ever relaxes the history, so that what the core proves it proves of the whole:
//!
//! * A tail or a read is **dropped**: it changes nothing.
//! * An append is **doubted**: it may have happened, or not, and nobody was told where it stands.
//!
//! An append in doubt counts only where a read of the core saw one of its values: that it was asked for is all that is known of
//! it. It belongs to the core if it is a part of what is wrong, as one that stands twice; a hundred others that a read saw do not.

use crate::history::engine::log::Violation;
use crate::history::{Ask, Operation, Outcome, Told};

/// Shrinks a violation, in which these operations have a part and that the last of them gave away, to its core. `decide` decides again, of any operations of the history.
pub fn shrink(
    history: &[Operation],
    named: &[usize],
    decide: impl Fn(&[Operation]) -> Result<(), Violation>,
) -> Violation {
    // What was answered later has no part in it yet but by having been asked for.
    let end = named.last().map_or(u64::MAX, |&last| ended(&history[last]));
    let mut required: Vec<usize> = named.iter().copied().filter(|&index| ended(&history[index]) <= end).collect();
    required.sort();
    required.dedup();
    let (few, which) = relaxed(history, &required);
    if decide(&few).is_ok() {
        // Others have a part in it: any of those that had returned by then.
        let before = (0..history.len()).filter(|&index| ended(&history[index]) <= end).collect();
        return Shrinking { history, required: before, decide }.core();
    }
    let is_required = |index: &usize| required.binary_search(&which[*index]).is_ok();
    let required = (0..few.len()).filter(is_required).collect();
    let mut violation = Shrinking { history: &few, required, decide }.core();
    violation.operations.iter_mut().for_each(|index| *index = which[*index]);
    violation
}

/// What is left of a history if only these operations, in ascending order, are certain; and which operation each is.
pub fn relaxed(history: &[Operation], required: &[usize]) -> (Vec<Operation>, Vec<usize>) {
    let seen = seen(history, required);
    let mut required = required.iter().peekable();
    let (mut rest, mut which) = (Vec::new(), Vec::new());
    for (index, operation) in history.iter().enumerate() {
        let left = match &operation.ask {
            _ if required.next_if_eq(&&index).is_some() => Some(operation.clone()),
            Ask::Append { .. } if is_seen(operation, &seen) => {
                Some(Operation { outcome: Outcome::Open, returned: None, ..operation.clone() })
            }
            _ => None,
        };
        which.extend(left.is_some().then_some(index));
        rest.extend(left);
    }
    (rest, which)
}

/// What these operations read, sorted.
fn seen(history: &[Operation], by: &[usize]) -> Vec<u64> {
    let mut seen: Vec<u64> = Vec::new();
    for &index in by {
        if let Outcome::Ok(Told::Read { values, .. }) = &history[index].outcome {
            seen.extend(values.iter().map(|&(_, value)| value));
        }
    }
    seen.sort();
    seen
}

fn is_seen(append: &Operation, seen: &[u64]) -> bool {
    matches!(&append.ask, Ask::Append { values } if values.iter().any(|value| seen.binary_search(value).is_ok()))
}

/// When it was answered. A failed operation may lack its time; it is judged at the end, and one without an answer not at all.
fn ended(operation: &Operation) -> u64 {
    operation.returned.map_or(u64::MAX, |at| at.0)
}

struct Shrinking<'h, D> {
    history: &'h [Operation],
    /// Ascending.
    required: Vec<usize>,
    decide: D,
}

impl<D: Fn(&[Operation]) -> Result<(), Violation>> Shrinking<'_, D> {
    fn core(mut self) -> Violation {
        let is_append = |index: &usize| matches!(self.history[*index].ask, Ask::Append { .. });
        let (appends, observations): (Vec<usize>, Vec<usize>) =
            self.required.iter().partition(|index| is_append(index));
        self.relax(&observations);
        // An append that a read saw stays a part of it. Better with its answer than without.
        let seen = seen(self.history, &self.required);
        let is_seen = |index: &usize| is_seen(&self.history[*index], &seen);
        let (seen, unseen): (Vec<usize>, Vec<usize>) = appends.iter().partition(|index| is_seen(index));
        self.relax(&unseen);
        self.relax(&seen);
        self.told()
    }

    /// Relaxes these operations, or as many of them as can be. What cannot be explained gets no easier to explain by being
    /// relaxed less, so what was needed once stays needed.
    fn relax(&mut self, some: &[usize]) {
        if some.is_empty() {
            return;
        }
        let mut others = self.required.clone();
        others.retain(|index| some.binary_search(index).is_err());
        if (self.decide)(&relaxed(self.history, &others).0).is_err() {
            self.required = others;
            return;
        }
        if some.len() > 1 {
            let (first, second) = some.split_at(some.len() / 2);
            self.relax(second);
            self.relax(first);
        }
    }

    /// What is wrong with the core, told of nothing but the core.
    fn told(&self) -> Violation {
        let (core, which) = relaxed(self.history, &self.required);
        let violation = (self.decide)(&core).expect_err("invariant: a core cannot be explained");
        let named = violation.operations.iter().map(|&index| which[index]);
        let mut operations: Vec<usize> = self.required.iter().copied().chain(named).collect();
        operations.sort_by_key(|&index| (self.history[index].invoked, index));
        operations.dedup();
        // The one that gave it away is last.
        let last = self.required.iter().copied().max_by_key(|&index| (ended(&self.history[index]), index));
        operations.sort_by_key(|&index| Some(index) == last);
        Violation { operations, ..violation }
    }
}
