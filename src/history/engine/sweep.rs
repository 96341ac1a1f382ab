//! The log in one sweep: the same three statements as [`crate::history::engine::log`], of a finished history, in O(n).
//!
//! Offsets give the order, so there is nothing to search: one pass in the order of events keeps the length that was proved so far,
//! and a table by offset keeps what stands there. The answer is yes or no; who wants to know why asks the monitor, which has
//! a name for it.
//!
//! The two know nothing of each other, and random histories are given to both.

use crate::history::objects::OPEN;

/// What an operation did to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Deed {
    /// Values `first..first + count` of the pool were appended, from offset `base` on if that was told.
    Append { first: u32, count: u32, base: Option<u64> },
    /// An append that did not happen.
    Failed { first: u32, count: u32 },
    /// The log was said to end there.
    Tail { end: u64 },
    /// Cells `first..first + count` of [`LogHistory::cells`] were read, and there is nothing else in `from..next`.
    Read { first: u32, count: u32, from: u64, next: u64 },
}

/// One operation on a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// What.
    pub deed: Deed,
    /// Position of the call.
    pub call: u32,
    /// Position of the return, or [`OPEN`].
    pub ret: u32,
    /// Who asked.
    pub process: u32,
}

/// A history of one log, in integers.
#[derive(Clone, Debug, Default)]
pub struct LogHistory {
    /// By call.
    pub entries: Vec<LogEntry>,
    /// Values that were appended, as dense numbers: number `n` is the `n`th that was.
    pub values: u32,
    /// Values that were read with their offsets, ascending by offset; [`INVENTED`] for one that nobody appended.
    pub cells: Vec<(u64, u32)>,
}

/// A value that nobody appended.
pub const INVENTED: u32 = u32::MAX;

/// Whether one log could have given these answers. `None` where offsets are so far apart that a table cannot hold them.
pub fn is_legal(history: &LogHistory) -> Option<bool> {
    let mut sweep = Sweep::new(history)?;
    Some(sweep.places() && sweep.contents() && sweep.passes())
}

struct Sweep<'h> {
    history: &'h LogHistory,
    /// The entry that appended each value, by its number.
    origins: Vec<u32>,
    /// Where each append stands, by entry; [`NOWHERE`] if nobody said.
    bases: Vec<u64>,
    /// Value by offset; [`NOTHING`] where nobody said.
    table: Vec<u32>,
}

impl<'h> Sweep<'h> {
    fn new(history: &'h LogHistory) -> Option<Sweep<'h>> {
        let ends = history.entries.iter().map(|entry| match entry.deed {
            Deed::Append { count, base, .. } => base.map_or(0, |base| base.saturating_add(u64::from(count))),
            Deed::Failed { .. } => 0,
            Deed::Tail { end } => end,
            Deed::Read { next, .. } => next,
        });
        let cells = history.entries.len() as u64 + u64::from(history.values) + history.cells.len() as u64;
        let end = ends.max().unwrap_or(0);
        if end > cells * SPARSE_MAX + 1024 {
            return None;
        }
        Some(Sweep {
            history,
            origins: vec![OPEN; history.values as usize],
            bases: vec![NOWHERE; history.entries.len()],
            table: vec![NOTHING; end as usize + 1],
        })
    }

    /// Where every append stands, by its own answer or by a read.
    fn places(&mut self) -> bool {
        for (index, entry) in (0u32..).zip(&self.history.entries) {
            if let Deed::Append { first, count, .. } | Deed::Failed { first, count } = entry.deed {
                (first..first + count).for_each(|value| self.origins[value as usize] = index);
            }
            if let Deed::Append { first, count, base: Some(base) } = entry.deed
                && !self.put(index, first, count, base)
            {
                return false;
            }
        }
        for &(offset, value) in &self.history.cells {
            let Some(&origin) = self.origins.get(value as usize) else { return false };
            let Deed::Append { first, count, .. } = self.history.entries[origin as usize].deed else { return false };
            let Some(base) = offset.checked_sub(u64::from(value - first)) else { return false };
            let known = self.bases[origin as usize];
            if known != base && (known != NOWHERE || !self.put(origin, first, count, base)) {
                return false;
            }
        }
        true
    }

    fn put(&mut self, append: u32, first: u32, count: u32, base: u64) -> bool {
        self.bases[append as usize] = base;
        let Some(end) = base.checked_add(u64::from(count)) else { return false };
        // An open append may reach beyond everything that was told.
        if end as usize > self.table.len() {
            self.table.resize(end as usize, NOTHING);
        }
        let cells = &mut self.table[base as usize..end as usize];
        cells.iter_mut().zip(first..).all(|(cell, value)| std::mem::replace(cell, value) == NOTHING)
    }

    /// Whether every read found what stands there, all of it, and no tail lies within an append.
    fn contents(&self) -> bool {
        self.history.entries.iter().all(|entry| match entry.deed {
            Deed::Append { .. } | Deed::Failed { .. } => true,
            Deed::Tail { end } => self.is_border(end),
            Deed::Read { first, count, from, next } => {
                let cells = &self.history.cells[first as usize..(first + count) as usize];
                let mut due = from;
                let is_there = cells.iter().all(|&(offset, value)| {
                    let is_next = offset >= due && offset < next && self.is_empty(due, offset);
                    due = offset + 1;
                    is_next && self.table[offset as usize] == value
                });
                is_there && due <= next.max(from) && from <= next && self.is_empty(due, next)
            }
        })
    }

    fn is_border(&self, end: u64) -> bool {
        let origin = |offset: u64| {
            let value = *self.table.get(offset as usize)?;
            (value != NOTHING).then(|| self.origins[value as usize])
        };
        let below = end.checked_sub(1).and_then(origin);
        below.is_none() || below != origin(end)
    }

    fn is_empty(&self, from: u64, to: u64) -> bool {
        from >= to || self.table[from as usize..to as usize].iter().all(|&cell| cell == NOTHING)
    }

    /// Real time: whoever asks finds no less than what was proved before.
    fn passes(&self) -> bool {
        let entries = &self.history.entries;
        let end = entries.iter().flat_map(|entry| [entry.call, if entry.ret == OPEN { 0 } else { entry.ret }]).max();
        // Entry · 2, plus 1 for its return.
        let mut events = vec![OPEN; end.map_or(0, |end| end as usize + 1)];
        for (index, entry) in (0u32..).zip(entries) {
            events[entry.call as usize] = index << 1;
            if entry.ret != OPEN {
                events[entry.ret as usize] = index << 1 | 1;
            }
        }
        let mut known = 0;
        let mut floors = vec![0; entries.len()];
        for event in events.into_iter().filter(|&event| event != OPEN) {
            let index = (event >> 1) as usize;
            if event & 1 == 0 {
                floors[index] = known;
                // A place is known from the whole history, so an append can be judged when it is asked.
                if matches!(entries[index].deed, Deed::Append { .. }) && self.bases[index] < known {
                    return false;
                }
                continue;
            }
            match entries[index].deed {
                Deed::Append { count, base, .. } => {
                    known = base.map_or(known, |base| known.max(base + u64::from(count)));
                }
                Deed::Failed { .. } => {}
                Deed::Tail { end } if end < floors[index] => return false,
                Deed::Tail { end } => known = known.max(end),
                Deed::Read { from, next, .. } if next > from => known = known.max(next),
                Deed::Read { .. } => {}
            }
        }
        self.nothing_is_read_before_it_was_asked()
    }

    fn nothing_is_read_before_it_was_asked(&self) -> bool {
        self.history.entries.iter().all(|entry| match entry.deed {
            Deed::Read { first, count, .. } => {
                let cells = &self.history.cells[first as usize..(first + count) as usize];
                cells.iter().all(|&(_, value)| {
                    let origin = self.origins[value as usize];
                    self.history.entries[origin as usize].call < entry.ret
                })
            }
            _ => true,
        })
    }
}

/// An offset where nobody said that something stands.
const NOTHING: u32 = u32::MAX;

/// An append of which nobody said where it stands.
const NOWHERE: u64 = u64::MAX;

/// Offsets per operation and value beyond which a table would be too large.
const SPARSE_MAX: u64 = 16;
