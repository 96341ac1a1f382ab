//! A finished history of a log: by sweep, and in words by the monitor.
//!
//! The sweep is many times faster, so a long history that it finds legal needs no other judge; a short one gets both, which must
//! agree. What the sweep finds illegal, or cannot hold in a table, the monitor decides, who says why.

use hashbrown::HashTable;

use crate::history::engine::log::{self, Violation};
use crate::history::engine::log_core;
use crate::history::engine::producer;
use crate::history::engine::sweep::{Deed, INVENTED, LogEntry, LogHistory, is_legal};
use crate::history::objects::OPEN;
use crate::history::{Ask, Model, Operation, Outcome, Told};

/// Judges a finished history of a log, or of a log and its producers. Appended values must be distinct. A violation is of the
/// core: no operation of it could be left out ([`log_core`]).
pub fn check(history: &[Operation], model: Model) -> Result<(), Violation> {
    decide(history, model)
        .map_err(|violation| log_core::shrink(history, &violation.operations, |operations| decide(operations, model)))
}

/// Says whether, and names operations that have a part in it if not.
fn decide(history: &[Operation], model: Model) -> Result<(), Violation> {
    let swept = LogHistory::of(history).and_then(|history| is_legal(&history));
    if swept != Some(true) || history.len() <= BOTH_MAX {
        let told = log::check(history);
        assert!(
            swept.is_none_or(|is_legal| is_legal == told.is_ok()),
            "invariant: sweep and monitor agree, but the sweep says {swept:?} and the monitor {told:?}"
        );
        told?;
    }
    if model == Model::Producer { producer::check(history) } else { Ok(()) }
}

impl LogHistory {
    /// The same history in integers. `None` where an answer is none that a log could give, or no table could hold it.
    pub fn of(history: &[Operation]) -> Option<LogHistory> {
        let events = Events::of(history);
        let (calls, places) = events.positions();
        let mut entries = Vec::with_capacity(history.len());
        // Values by their numbers, where any are read; and what was read.
        let (mut appended, mut values, mut cells) = (0u32, Vec::new(), Vec::new());
        for index in calls {
            let Operation { client, ask, outcome, .. } = &history[index as usize];
            let (mut first, mut count) = (appended, 0);
            if let Ask::Append { values: of_it } = ask {
                count = u32::try_from(of_it.len()).ok()?;
                appended = appended.checked_add(count)?;
                if events.has_cells {
                    values.extend_from_slice(of_it);
                }
            }
            let deed = match (ask, outcome) {
                (Ask::Append { .. }, Outcome::Ok(Told::Appended { offset })) if *offset <= log::OFFSET_MAX => {
                    Deed::Append { first, count, base: Some(*offset) }
                }
                (Ask::Append { .. }, Outcome::Open) => Deed::Append { first, count, base: None },
                (Ask::Append { .. }, Outcome::Failed) => Deed::Failed { first, count },
                (Ask::Tail, Outcome::Ok(Told::Tail { end })) => Deed::Tail { end: *end },
                (Ask::Read { from }, Outcome::Ok(Told::Read { values, next })) => {
                    is_ascending(values, *from, *next).then_some(())?;
                    (first, count) = (cells.len() as u32, values.len() as u32);
                    cells.extend_from_slice(values);
                    Deed::Read { first, count, from: *from, next: *next }
                }
                (_, Outcome::Failed | Outcome::Open)
                | (Ask::Get { .. }, Outcome::Ok(Told::Got { .. }))
                | (Ask::Put { .. }, Outcome::Ok(Told::Put { .. }))
                | (Ask::Cas { .. }, Outcome::Ok(Told::Compared { .. })) => continue,
                (_, Outcome::Ok(_)) => return None,
            };
            let (call, ret) = places[index as usize];
            entries.push(LogEntry { deed, call, ret, process: client.0 });
        }
        let numbers = Numbers::of(&values);
        let cells = cells.into_iter().map(|(offset, value)| (offset, numbers.get(value))).collect();
        Some(LogHistory { entries, values: appended, cells })
    }
}

/// Whether what was read is in order.
fn is_ascending(values: &[(u64, u64)], from: u64, next: u64) -> bool {
    let mut due = from;
    let is_next = |&(offset, _): &(u64, u64)| {
        let is_due = offset >= due && offset < next;
        due = offset.saturating_add(1);
        is_due
    };
    values.iter().all(is_next) && due <= next
}

/// When what began and ended: all that is to be known of operations before they are looked at in their order.
struct Events {
    /// By time.
    calls: Vec<(u64, u32)>,
    /// By operation; of one that never returned, none.
    ends: Vec<Option<u64>>,
    /// Whether any value was read.
    has_cells: bool,
}

impl Events {
    fn of(history: &[Operation]) -> Events {
        let (calls, ends) = (Vec::with_capacity(history.len()), Vec::with_capacity(history.len()));
        let mut events = Events { calls, ends, has_cells: false };
        for (index, operation) in (0..).zip(history) {
            events.calls.push((operation.invoked.0, index));
            events.ends.push(match &operation.outcome {
                Outcome::Open => None,
                // A failed operation may lack its time; then it is judged at the end.
                _ => Some(operation.returned.map_or(u64::MAX, |at| at.0)),
            });
            events.has_cells |=
                matches!(&operation.outcome, Outcome::Ok(Told::Read { values, .. }) if !values.is_empty());
        }
        events.calls.sort();
        events
    }

    /// Operations by call, and for each its positions in the order of all events; calls come before returns of the same instant.
    ///
    /// A return comes after so many calls. That number is soon found from its own call, and few returns share it, so that no
    /// more than those must be sorted.
    fn positions(&self) -> (impl Iterator<Item = u32>, Vec<(u32, u32)>) {
        let Events { calls, ends, .. } = self;
        let mut returns: Vec<(u32, u64, u32)> = Vec::with_capacity(calls.len());
        // Returns that come after so many calls; then those that come after fewer.
        let mut before = vec![0; calls.len() + 2];
        for (place, &(_, index)) in calls.iter().enumerate() {
            if let Some(end) = ends[index as usize] {
                let after = calls_until(calls, place, end);
                before[after as usize + 1] += 1;
                returns.push((after, end, index));
            }
        }
        for after in 1..before.len() {
            before[after] += before[after - 1];
        }
        let (mut sorted, mut next) = (vec![(0, 0); returns.len()], before.clone());
        for (after, end, index) in returns {
            sorted[next[after as usize] as usize] = (end, index);
            next[after as usize] += 1;
        }
        let mut places = vec![(OPEN, OPEN); calls.len()];
        for (place, &(_, index)) in (0..).zip(calls) {
            places[index as usize].0 = place + before[place as usize + 1];
        }
        for after in 0..=calls.len() {
            let of_it = before[after] as usize..before[after + 1] as usize;
            sorted[of_it.clone()].sort();
            for (rank, &(_, index)) in (before[after]..).zip(&sorted[of_it]) {
                places[index as usize].1 = rank + after as u32;
            }
        }
        (calls.iter().map(|&(_, index)| index), places)
    }
}

/// How many calls there are until then. Mostly it is not long after one's own.
fn calls_until(calls: &[(u64, u32)], own: usize, end: u64) -> u32 {
    let (mut low, mut step) = (if calls[own].0 <= end { own } else { 0 }, 1);
    while calls.get(low + step).is_some_and(|&(at, _)| at <= end) {
        low += step;
        step *= 2;
    }
    let high = calls.len().min(low + step);
    (low + calls[low..high].partition_point(|&(at, _)| at <= end)) as u32
}

/// Which number an appended value has.
struct Numbers {
    table: HashTable<(u64, u32)>,
}

impl Numbers {
    fn of(values: &[u64]) -> Numbers {
        let mut table = HashTable::with_capacity(values.len());
        for (number, &value) in (0..).zip(values) {
            table.insert_unique(spread(value), (value, number), |&(value, _)| spread(value));
        }
        Numbers { table }
    }

    fn get(&self, value: u64) -> u32 {
        self.table.find(spread(value), |&(other, _)| other == value).map_or(INVENTED, |&(_, number)| number)
    }
}

fn spread(value: u64) -> u64 {
    (value ^ value >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Histories of so many operations get both judges.
const BOTH_MAX: usize = 50_000;
