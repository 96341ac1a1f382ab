//! A log whose tail reads say how everything below hashes: what the appends say of themselves must give these hashes.
//!
//! Here offsets have no holes. An append of which nobody knows whether it happened may stand where the others leave one: the hash
//! of the next read tells which it is, since it is tried with each. What the last read does not cover, the earliest fills.
//!
//! A read whose hash cannot be is turned into one that no log could have given, and so is an append above a hole that nothing
//! can fill. The log monitor judges the rest.

use hashbrown::HashTable;

use crate::history::format::allowance::Allowance;
use crate::history::format::wrong::{Bad, Wrong};
use crate::history::{Ask, ClientId, Operation, Outcome, Told};
use crate::time::Instant;

/// What an operation was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Deed {
    /// A value was appended, at this offset if that was told.
    Append { value: u64, offset: Option<u64> },
    /// The log ended there, if that was told, and what is below hashes so.
    Tail { end: Option<u64>, hash: u64 },
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Where it stands in the file.
    pub at: usize,
    /// Who asked.
    pub client: u32,
    /// When.
    pub invoked: u64,
    /// When it was answered, if it was.
    pub returned: Option<u64>,
    /// What.
    pub deed: Deed,
}

/// The history of these rows.
pub fn operations(rows: &[Row], allowance: &Allowance<'_>) -> Result<Vec<Operation>, Bad> {
    let mut filling = Filling::new(rows, allowance)?;
    filling.check_reads()?;
    filling.fill_the_rest();
    let mut operations: Vec<Operation> = rows.iter().map(operation).collect();
    for (row, reason) in filling.wrong {
        operations[row].outcome = Outcome::Ok(Told::Unreadable { reason });
    }
    // What a hash has told of a value is what a read would have.
    for (row, offset, value) in filling.found {
        let told = Told::Read { values: vec![(offset, value)], next: offset + 1 };
        let tail = operation(&rows[row]);
        operations.push(Operation { ask: Ask::Read { from: offset }, outcome: Outcome::Ok(told), ..tail });
    }
    Ok(operations)
}

fn operation(row: &Row) -> Operation {
    let (ask, told) = match row.deed {
        Deed::Append { value, offset } => {
            (Ask::Append { values: vec![value] }, offset.map(|offset| Told::Appended { offset }))
        }
        Deed::Tail { end, .. } => (Ask::Tail, end.map(|end| Told::Tail { end })),
    };
    let (client, invoked) = (ClientId(row.client), Instant(row.invoked));
    let returned = row.returned.map(Instant);
    Operation { client, ask, invoked, returned, outcome: told.map_or(Outcome::Open, Outcome::Ok) }
}

struct Filling<'r> {
    rows: &'r [Row],
    allowance: &'r Allowance<'r>,
    /// Value by offset.
    log: Vec<Option<u64>>,
    /// Rows of appends that may have happened, by call.
    open: Vec<usize>,
    /// Rows that are answered with what cannot be.
    wrong: Vec<(usize, String)>,
    /// The row that tells it, the offset, the value.
    found: Vec<(usize, u64, u64)>,
}

impl<'r> Filling<'r> {
    fn new(rows: &'r [Row], allowance: &'r Allowance<'r>) -> Result<Filling<'r>, Bad> {
        let mut known: HashTable<u64> = HashTable::new();
        let mut filling =
            Filling { rows, allowance, log: Vec::new(), open: Vec::new(), wrong: Vec::new(), found: Vec::new() };
        let appends = rows.iter().filter(|row| matches!(row.deed, Deed::Append { .. })).count() as u64;
        for (index, row) in rows.iter().enumerate() {
            match row.deed {
                Deed::Append { offset: Some(offset), .. } | Deed::Tail { end: Some(offset), .. }
                    if offset > appends =>
                {
                    filling.wrong.push((index, format!("offset {offset} of a log of at most {appends} values")));
                }
                Deed::Append { value, offset: Some(offset) } => {
                    let place = offset as usize;
                    if filling.log.len() <= place {
                        filling.log.resize(place + 1, None);
                    }
                    filling.log[place].get_or_insert(value);
                }
                Deed::Append { offset: None, .. } => filling.open.push(index),
                Deed::Tail { .. } => {}
            }
            if let Deed::Append { value, .. } = row.deed {
                let spread = |value: u64| value.wrapping_mul(MULTIPLIER);
                if known.find(spread(value), |&other| other == value).is_some() {
                    return Err(Bad { at: row.at, wrong: Wrong::AppendedTwice { value: value.to_string() } });
                }
                known.insert_unique(spread(value), value, |&value| spread(value));
            }
        }
        filling.open.sort_by_key(|&index| rows[index].invoked);
        Ok(filling)
    }

    /// Goes up through the tail reads with the hash of what is below.
    fn check_reads(&mut self) -> Result<(), Bad> {
        let is_wrong = |index: usize| self.wrong.binary_search_by_key(&index, |&(wrong, _)| wrong).is_ok();
        let tail = |(index, row): (usize, &Row)| match row.deed {
            Deed::Tail { end: Some(end), hash } if !is_wrong(index) => Some((end, index, hash)),
            _ => None,
        };
        let mut tails: Vec<(u64, usize, u64)> = self.rows.iter().enumerate().filter_map(tail).collect();
        tails.sort();
        let (mut from, mut below) = (0, 0);
        for (end, index, hash) in tails {
            self.log.resize(self.log.len().max(end as usize), None);
            let holes: Vec<usize> = (from..end as usize).filter(|&offset| self.log[offset].is_none()).collect();
            let mut tries = TRIES_MAX;
            if holes.len() > HOLES_MAX && holes.len() <= self.open.len() {
                return Err(Bad { at: self.rows[index].at, wrong: Wrong::TooManyHoles { end } });
            }
            match self.try_holes(&holes, (from, end as usize, below), hash, index, &mut tries)? {
                Some(true) => (from, below) = (end as usize, hash),
                Some(false) => {
                    let reason = format!("values below offset {end} that do not hash to {}", hash as i64);
                    self.wrong.push((index, reason));
                }
                None => return Err(Bad { at: self.rows[index].at, wrong: Wrong::TooManyHoles { end } }),
            }
        }
        Ok(())
    }

    /// Tries all values of unknown outcome in the holes. `None` inside if that are too many.
    fn try_holes(
        &mut self,
        holes: &[usize],
        (from, end, below): (usize, usize, u64),
        hash: u64,
        read: usize,
        tries: &mut usize,
    ) -> Result<Option<bool>, Bad> {
        self.allowance.check(self.rows[read].at, 0)?;
        if holes.len() > self.open.len() {
            return Ok(Some(false));
        }
        let is_last = holes.is_empty();
        match tries.checked_sub(if is_last { end - from + 1 } else { 1 }) {
            Some(rest) => *tries = rest,
            None => return Ok(None),
        }
        let Some((&hole, rest)) = holes.split_first() else {
            let values = self.log[from..end].iter().flatten();
            return Ok(Some(values.fold(below, |hash, &value| next(hash, value)) == hash));
        };
        for place in 0..self.open.len() {
            let row = self.open[place];
            let Deed::Append { value, .. } = self.rows[row].deed else { unreachable!("only appends are open") };
            let is_asked = Some(self.rows[row].invoked) < self.rows[read].returned;
            if !is_asked || self.log[from..end].contains(&Some(value)) {
                continue;
            }
            self.log[hole] = Some(value);
            match self.try_holes(rest, (from, end, below), hash, read, tries)? {
                Some(true) => {
                    self.found.push((read, hole as u64, value));
                    self.open.retain(|&other| other != row);
                    return Ok(Some(true));
                }
                Some(false) => self.log[hole] = None,
                None => return Ok(None),
            }
        }
        Ok(Some(false))
    }

    /// Above the last read nobody knows which value fills a hole: the earliest do, if any can.
    fn fill_the_rest(&mut self) {
        // The earliest return above each offset.
        let mut deadlines = vec![(u64::MAX, 0); self.log.len() + 1];
        for (index, row) in self.rows.iter().enumerate() {
            let above = match row.deed {
                Deed::Append { offset: Some(offset), .. } => offset,
                Deed::Tail { end: Some(end), .. } => end,
                _ => continue,
            };
            if let (Some(returned), Some(place)) = (row.returned, deadlines.get_mut(above as usize)) {
                *place = (*place).min((returned, index));
            }
        }
        for place in (0..self.log.len()).rev() {
            deadlines[place] = deadlines[place].min(deadlines[place + 1]);
        }
        let mut fillers = self.open.iter().map(|&row| self.rows[row].invoked);
        for (offset, _) in self.log.iter().enumerate().filter(|(_, value)| value.is_none()) {
            let (deadline, index) = deadlines[offset + 1];
            if deadline < u64::MAX && fillers.next().is_none_or(|invoked| invoked >= deadline) {
                self.wrong.push((index, format!("nothing can stand below it at offset {offset}")));
                return;
            }
        }
    }
}

/// The hash of a log with one value more.
pub fn next(hash: u64, value: u64) -> u64 {
    (hash.rotate_left(5) ^ value).wrapping_mul(MULTIPLIER)
}

/// What a row takes, with the operation that it becomes and its place in the log.
pub const BYTES_PER_ROW: usize = size_of::<Row>() + size_of::<Operation>() + 64;

/// FxHash's.
const MULTIPLIER: u64 = 0x517c_c1b7_2722_0a95;

/// Values that are hashed for one read at most.
const TRIES_MAX: usize = 100_000_000;

/// Holes that are filled for one read at most.
const HOLES_MAX: usize = 16;
