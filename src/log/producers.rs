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
//!
//! It does not expire producers; it is as large as the number of producer ids in the log.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use crate::ids::Offset;
use crate::record::RecordBatch;

/// What is known of every producer at the end of the log, the uncommitted tail included.
#[derive(Clone, Debug, Default)]
pub struct ProducerTable {
    /// Batches of each producer id, in log order.
    written: BTreeMap<i64, VecDeque<Written>>,
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
    /// Error 59: an unknown producer that does not start at 0 while the log no longer starts at 0.
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
}

impl ProducerTable {
    /// Whether `batch` may be appended to the log, which starts at `log_start`. Batches without a producer always may.
    pub fn admit(&self, batch: &RecordBatch, log_start: Offset) -> Result<Admission, SequenceError> {
        let Some(next) = Written::of(batch) else { return Ok(Admission::Append) };
        let window = self.window(batch.header.producer_id);
        let Some(newest) = window.last() else {
            return match next.first_sequence {
                0 => Ok(Admission::Append),
                _ if log_start == Offset::ZERO => Err(SequenceError::OutOfOrder),
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
        let Some(written) = Written::of(batch) else { return };
        let batches = self.written.entry(batch.header.producer_id).or_default();
        let last_end = batches.back().map_or(Offset::ZERO, |last| last.end);
        assert!(last_end <= written.base, "a batch at {} was recorded after one up to {last_end}", written.base);
        batches.push_back(written);
        // Whoever writes pays for his own memory; nobody walks all producers at each advance.
        while batches.len() > REMEMBERED && batches[REMEMBERED].end <= self.stable {
            batches.pop_front();
        }
    }

    /// The log was cut to end at `end`, which is not below the stable offset.
    pub fn truncate(&mut self, end: Offset) {
        for batches in self.written.values_mut() {
            while batches.back().is_some_and(|last| last.end > end) {
                batches.pop_back();
            }
        }
        self.written.retain(|_, batches| !batches.is_empty());
    }

    /// The log will never be truncated below `offset` (its high watermark): what only such a truncation would need may be
    /// forgotten.
    pub fn stable(&mut self, offset: Offset) {
        self.stable = self.stable.max(offset);
    }

    /// How many producers are known.
    pub fn len(&self) -> usize {
        self.written.len()
    }

    /// Whether no producer is known.
    pub fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// The batches that answers are made from: of the newest epoch of a producer, the last five.
    fn window(&self, producer_id: i64) -> Vec<Written> {
        let Some(batches) = self.written.get(&producer_id) else { return Vec::new() };
        let epoch = batches.back().map(|last| last.epoch);
        let from = batches.len().saturating_sub(REMEMBERED);
        batches.range(from..).filter(|written| Some(written.epoch) == epoch).copied().collect()
    }
}

impl PartialEq for ProducerTable {
    /// Tables are equal when they answer alike now, whatever they keep for truncations.
    fn eq(&self, other: &ProducerTable) -> bool {
        self.written.keys().eq(other.written.keys())
            && self.written.keys().all(|&id| self.window(id) == other.window(id))
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
