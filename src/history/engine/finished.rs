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
        let (calls, places) = positions(history);
        let mut swept = LogHistory { entries: Vec::with_capacity(history.len()), values: 0, cells: Vec::new() };
        let is_read = |operation: &Operation| matches!(&operation.outcome, Outcome::Ok(Told::Read { values, .. }) if !values.is_empty());
        let mut numbers = history.iter().any(is_read).then(Numbers::default);
        for &index in &calls {
            if let Ask::Append { values } = &history[index as usize].ask {
                if let Some(numbers) = &mut numbers {
                    (swept.values..).zip(values).for_each(|(number, &value)| numbers.insert(value, number));
                }
                swept.values = swept.values.checked_add(u32::try_from(values.len()).ok()?)?;
            }
        }
        let mut appended = 0;
        for index in calls {
            let Operation { client, ask, outcome, .. } = &history[index as usize];
            let count = if let Ask::Append { values } = ask { values.len() as u32 } else { 0 };
            let first = appended;
            appended += count;
            let deed = match (ask, outcome) {
                (Ask::Append { .. }, Outcome::Ok(Told::Appended { offset })) if *offset <= log::OFFSET_MAX => {
                    Deed::Append { first, count, base: Some(*offset) }
                }
                (Ask::Append { .. }, Outcome::Open) => Deed::Append { first, count, base: None },
                (Ask::Append { .. }, Outcome::Failed) => Deed::Failed { first, count },
                (Ask::Tail, Outcome::Ok(Told::Tail { end })) => Deed::Tail { end: *end },
                (Ask::Read { from }, Outcome::Ok(Told::Read { values, next })) => {
                    let cells = swept.cells.len() as u32;
                    push_cells(&mut swept.cells, numbers.as_ref(), values, *from, *next)?;
                    Deed::Read { first: cells, count: values.len() as u32, from: *from, next: *next }
                }
                (_, Outcome::Failed | Outcome::Open)
                | (Ask::Get { .. }, Outcome::Ok(Told::Got { .. }))
                | (Ask::Put { .. }, Outcome::Ok(Told::Put { .. }))
                | (Ask::Cas { .. }, Outcome::Ok(Told::Compared { .. })) => continue,
                (_, Outcome::Ok(_)) => return None,
            };
            let (call, ret) = places[index as usize];
            swept.entries.push(LogEntry { deed, call, ret, process: client.0 });
        }
        Some(swept)
    }
}

/// What was read, if it is in order.
fn push_cells(
    cells: &mut Vec<(u64, u32)>,
    numbers: Option<&Numbers>,
    values: &[(u64, u64)],
    from: u64,
    next: u64,
) -> Option<()> {
    let mut due = from;
    for &(offset, value) in values {
        if offset < due || offset >= next {
            return None;
        }
        due = offset + 1;
        cells.push((offset, numbers.map_or(INVENTED, |numbers| numbers.get(value))));
    }
    (due <= next).then_some(())
}

/// Operations by call, and for each its positions in the order of all events; calls come before returns of the same instant.
fn positions(history: &[Operation]) -> (Vec<u32>, Vec<(u32, u32)>) {
    let mut calls: Vec<(u64, u32)> =
        (0..).zip(history).map(|(index, operation)| (operation.invoked.0, index)).collect();
    calls.sort();
    let ends = |operation: &Operation| match (&operation.outcome, operation.returned) {
        (Outcome::Open, _) => None,
        // A failed operation may lack its time; then it is judged at the end.
        (_, returned) => Some(returned.map_or(u64::MAX, |at| at.0)),
    };
    let returns = (0..).zip(history).filter_map(|(index, operation)| Some((ends(operation)?, index)));
    let mut returns: Vec<(u64, u32)> = returns.collect();
    returns.sort();
    let mut places = vec![(OPEN, OPEN); history.len()];
    let (mut position, mut rest) = (0, &returns[..]);
    for &(at, index) in &calls {
        while let Some((&(_, returned), after)) = rest.split_first().filter(|((returned, _), _)| *returned < at) {
            places[returned as usize].1 = position;
            position += 1;
            rest = after;
        }
        places[index as usize].0 = position;
        position += 1;
    }
    for &(_, index) in rest {
        places[index as usize].1 = position;
        position += 1;
    }
    (calls.into_iter().map(|(_, index)| index).collect(), places)
}

/// Dense numbers of appended values.
#[derive(Default)]
struct Numbers {
    table: HashTable<(u64, u32)>,
}

impl Numbers {
    fn insert(&mut self, value: u64, number: u32) {
        self.table.insert_unique(spread(value), (value, number), |&(value, _)| spread(value));
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
