//! Idempotence: the last five batches of each producer, rebuilt from the log. (Kafka: `ProducerStateManager`.)
//!
//! A producer numbers its records per producer epoch from 0 on, wrapping from `i32::MAX` to 0, and has at most five
//! batches in flight. So whoever remembers the last five of them can tell a batch that is next from one that is already
//! there and from one that came too early. The table follows the log, batch by batch, the uncommitted tail included: it is
//! a pure function of the log, the same on every replica, before and after a restart.
//!
//! **Invariants**
//! - after [`ProducerTable::truncate`] the answers are those of a table built from the shorter log alone. To that end a
//!   batch older than the last five is kept while a truncation could still make it one of them, that is until five newer
//!   ones lie below the stable offset, which truncations never pass.
//! - only the `producers_max` producers that wrote last are known. Whoever wrote before them is a stranger, at once in
//!   what the table answers, and in memory once no truncation can make it one of them again.
//!
//! Kafka forgets a producer that has been silent for a day (`producer.id.expiration.ms`), each broker by its own clock. The
//! clock of the log is the client's, and a leader's own would make the table more than a function of the log; so here it
//! is the number of later producers that counts.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use crate::ids::Offset;
use crate::record::RecordBatch;

/// What is known of every producer at the end of the log, the uncommitted tail included.
#[derive(Clone, Debug)]
pub struct ProducerTable {
    /// Batches of each producer id, in log order.
    written: BTreeMap<i64, VecDeque<Written>>,
    /// The producer of each newest batch, by the base offset of that batch.
    newest: BTreeMap<Offset, i64>,
    producers_max: usize,
    /// Whether somebody is gone from memory.
    has_forgotten: bool,
    /// No truncation goes below.
    stable: Offset,
}

/// Why an idempotent batch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SequenceError {
    /// Error 45: a gap, or an unknown producer that does not start at 0 while the log starts at 0.
    OutOfOrder,
    /// Error 47: a producer epoch older than the newest one seen.
    StaleEpoch,
    /// Error 46: a duplicate older than the last five batches.
    DuplicateForgotten,
    /// Error 59: an unknown producer that does not start at 0, and that the log or this table may have forgotten.
    UnknownProducer,
}

/// What the table says of a batch before it is appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Admission {
    /// New: append it.
    Append,
    /// Already in the log, at this base offset and up to this end.
    Duplicate { base: Offset, end: Offset },
}

/// One batch of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Written {
    base: Offset,
    end: Offset,
    first_sequence: i32,
    last_sequence: i32,
    epoch: i16,
    /// Whether its producer was a stranger when it was written: what that one wrote before is not looked at.
    is_first: bool,
}

impl ProducerTable {
    /// A table that nobody is in, of `producers_max` producers at most.
    pub fn new(producers_max: usize) -> ProducerTable {
        let (written, newest) = (BTreeMap::new(), BTreeMap::new());
        ProducerTable { written, newest, producers_max, has_forgotten: false, stable: Offset::ZERO }
    }

    /// Whether `batch` may be appended to the log, which starts at `log_start`. Batches without a producer always may.
    pub fn admit(&self, batch: &RecordBatch, log_start: Offset) -> Result<Admission, SequenceError> {
        let Some(next) = Written::of(batch) else { return Ok(Admission::Append) };
        let window = self.window(batch.header.producer_id);
        let Some(newest) = window.last() else {
            return match next.first_sequence {
                0 => Ok(Admission::Append),
                _ if log_start == Offset::ZERO && !self.has_strangers() => Err(SequenceError::OutOfOrder),
                _ => Err(SequenceError::UnknownProducer),
            };
        };
        if next.epoch < newest.epoch {
            return Err(SequenceError::StaleEpoch);
        }
        // A new producer epoch is a new numbering.
        if next.epoch > newest.epoch {
            return if next.first_sequence == 0 { Ok(Admission::Append) } else { Err(SequenceError::OutOfOrder) };
        }
        if next.first_sequence == sequence_after(newest.last_sequence, 1) {
            return Ok(Admission::Append);
        }
        let same =
            |known: &&Written| (known.first_sequence, known.last_sequence) == (next.first_sequence, next.last_sequence);
        if let Some(known) = window.iter().rev().find(same) {
            return Ok(Admission::Duplicate { base: known.base, end: known.end });
        }
        // A client takes error 46 for success, so it must be certain that every record of this batch was written. Within
        // an epoch sequences have no gaps, so all numbers below the window's were, unless they are meant to come after
        // the next wrap to 0: then they are ahead of the next one by less than they are behind it.
        let behind = sequences_between(next.first_sequence, sequence_after(newest.last_sequence, 1));
        let is_below = next.first_sequence <= next.last_sequence && next.last_sequence < window[0].first_sequence;
        let is_forgotten = is_below && behind < SEQUENCES / 2;
        Err(if is_forgotten { SequenceError::DuplicateForgotten } else { SequenceError::OutOfOrder })
    }

    /// A batch was appended. Its sequence is not judged: what a leader wrote is so.
    pub fn record(&mut self, batch: &RecordBatch) {
        let Some(mut written) = Written::of(batch) else { return };
        let id = batch.header.producer_id;
        let last = self.written.get(&id).and_then(|batches| batches.back()).copied();
        let last_end = last.map_or(Offset::ZERO, |last| last.end);
        assert!(last_end <= written.base, "a batch at {} was recorded after one up to {last_end}", written.base);
        written.is_first = last.is_none_or(|last| self.is_stranger(last.base));
        if let Some(last) = last {
            self.newest.remove(&last.base);
        }
        self.newest.insert(written.base, id);
        let batches = self.written.entry(id).or_default();
        batches.push_back(written);
        // Whoever writes pays for the memory; nobody walks all producers at each advance.
        while batches.len() > REMEMBERED && batches[REMEMBERED].end <= self.stable {
            batches.pop_front();
        }
        self.forget_strangers();
    }

    /// The log was cut to end at `end`, which is not below the stable offset.
    pub fn truncate(&mut self, end: Offset) {
        for id in self.newest.split_off(&end).into_values() {
            let batches = self.written.get_mut(&id).expect("invariant: a producer with a newest batch has one");
            while batches.back().is_some_and(|last| last.base >= end) {
                batches.pop_back();
            }
            match batches.back() {
                Some(last) => drop(self.newest.insert(last.base, id)),
                None => drop(self.written.remove(&id)),
            }
        }
    }

    /// The log will never be truncated below `offset` (its high watermark): what only such a truncation would need may be
    /// forgotten.
    pub fn stable(&mut self, offset: Offset) {
        self.stable = self.stable.max(offset);
    }

    /// How many producers are known.
    pub fn len(&self) -> usize {
        self.written.len().min(self.producers_max)
    }

    /// How many producers memory is spent on: those that are known, and strangers that a truncation may bring back.
    pub fn len_in_memory(&self) -> usize {
        self.written.len()
    }

    /// Whether no producer is known.
    pub fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// Whether somebody who wrote is not known any more.
    fn has_strangers(&self) -> bool {
        self.has_forgotten || self.newest.len() > self.producers_max
    }

    /// Whether enough other producers have written since this, the newest batch of its own.
    fn is_stranger(&self, newest: Offset) -> bool {
        let surplus = self.newest.len().saturating_sub(self.producers_max);
        // Few: those that memory is spent on only while a truncation may bring them back.
        self.newest.keys().take(surplus).any(|base| *base == newest)
    }

    /// Forgets strangers that no truncation can bring back: those behind whose newest batch enough others have one that is
    /// stable.
    fn forget_strangers(&mut self) {
        if self.newest.len() <= self.producers_max {
            return;
        }
        let is_unstable = |&(_, id): &(&Offset, &i64)| {
            let last = self.written.get(id).and_then(|batches| batches.back());
            last.is_some_and(|last| last.end > self.stable)
        };
        let unstable = self.newest.iter().rev().take_while(is_unstable).count();
        while self.newest.len() - unstable > self.producers_max {
            let Some((_, id)) = self.newest.pop_first() else { return };
            self.written.remove(&id);
            self.has_forgotten = true;
        }
    }

    /// The batches that answers are made from: of the newest epoch of a producer, the last five.
    fn window(&self, producer_id: i64) -> Vec<Written> {
        let Some(batches) = self.written.get(&producer_id) else { return Vec::new() };
        let Some(newest) = batches.back().filter(|newest| !self.is_stranger(newest.base)) else { return Vec::new() };
        let first = batches.iter().rposition(|written| written.is_first).unwrap_or(0);
        let from = batches.len().saturating_sub(REMEMBERED).max(first);
        batches.range(from..).filter(|written| written.epoch == newest.epoch).copied().collect()
    }
}

impl PartialEq for ProducerTable {
    /// Tables are equal when they answer alike now, whatever they keep for truncations.
    fn eq(&self, other: &ProducerTable) -> bool {
        let known = |table: &ProducerTable| -> Vec<(i64, Vec<Written>)> {
            let windows = table.written.keys().map(|&id| (id, table.window(id)));
            windows.filter(|(_, window)| !window.is_empty()).collect()
        };
        self.has_strangers() == other.has_strangers() && known(self) == known(other)
    }
}

impl Eq for ProducerTable {}

impl Written {
    fn of(batch: &RecordBatch) -> Option<Written> {
        let producer = batch.producer()?;
        Some(Written {
            base: batch.base_offset(),
            end: batch.end(),
            first_sequence: producer.base_sequence,
            last_sequence: sequence_after(producer.base_sequence, batch.header.last_offset_delta),
            epoch: producer.epoch,
            is_first: false,
        })
    }
}

/// The sequence number `count` after `sequence`. (Kafka: `DefaultRecordBatch.incrementSequence`.)
fn sequence_after(sequence: i32, count: u32) -> i32 {
    let wrapped = (i64::from(sequence) + i64::from(count)) % SEQUENCES;
    i32::try_from(wrapped).expect("invariant: a remainder of 2^31")
}

/// How many sequence numbers it takes to come from one to the other, wrapping.
fn sequences_between(from: i32, to: i32) -> i64 {
    (i64::from(to) - i64::from(from)).rem_euclid(SEQUENCES)
}

/// How many sequence numbers there are: 0 to `i32::MAX`.
const SEQUENCES: i64 = 1 << 31;

/// Batches remembered of each producer; clients keep no more in flight. (Kafka: `ProducerStateEntry.NUM_BATCHES_TO_RETAIN`.)
const REMEMBERED: usize = 5;
