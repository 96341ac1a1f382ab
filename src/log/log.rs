//! The log as the replica sees it: batches from start to end, a bounded tail of them in memory.
//!
//! ```text
//!  start ─────────── tail start ─────── flushed ───── in flight … ───── end
//!    │  on disk only  │  also in memory    │  only in memory, as far     │
//!    │  (Slice::Cold) │                    │  as anyone can vouch        │
//! ```
//!
//! A leader appends what it stamped, a follower what it fetched; both then hand the batches to the disk and report here
//! which operation carries them. `flushed` moves only when the disk has answered (R1), and a truncation lowers every
//! cursor that is under way, so that a completion for overwritten bytes cannot vouch for their successors (R7).
//!
//! **Invariants**
//! - `start ≤ flushed ≤ end`; only this file moves these cursors.
//! - offsets are contiguous, epochs never fall along the log.
//! - the memory tail never evicts above `flushed`.
//! - the log ends at a batch boundary, whatever it is cut to: below the memory tail it remembers where batches begin, as
//!   far down as a truncation can reach.
//!
//! It does not know the high watermark, nor who may truncate: never to cut a committed record is the caller's duty.

use std::collections::VecDeque;

use crate::ids::{Epoch, Offset};
use crate::log::{DiskSeq, EpochIndex, EpochStart, ProducerTable, Recovered};
use crate::quirk::{Quirk, Quirks};
use crate::record::RecordBatch;

/// The replicated log of one incarnation.
#[derive(Debug)]
pub struct Log {
    start: Offset,
    flushed: Offset,
    end: Offset,
    epochs: EpochIndex,
    producers: ProducerTable,
    tail: VecDeque<RecordBatch>,
    /// Where batches below the tail begin: the ones above the stable offset, and the one that contains it.
    cold: VecDeque<Offset>,
    tail_bytes: usize,
    tail_bytes_max: usize,
    unflushed_bytes: usize,
    in_flight: VecDeque<InFlight>,
    quirks: Quirks,
}

/// What a read found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slice {
    /// Whole batches, the first of which contains the offset asked for; empty at the end of the log.
    Batches(Vec<RecordBatch>),
    /// Not in memory any more: ask the disk.
    Cold,
}

/// How a fetch position relates to this log. (Kafka: `ValidOffsetAndEpoch`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Position {
    /// The fetcher's log is a prefix of this one.
    Valid,
    /// It is not: this log's epoch at or below the given one ends here.
    Diverging { epoch: Epoch, end: Offset },
    /// Below the start of this log: only a snapshot can help.
    BeforeStart,
}

/// A disk operation that is under way and what it will vouch for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct InFlight {
    seq: DiskSeq,
    end: Offset,
}

impl Log {
    /// The log as recovery left it. `tail_bytes_max` bounds the memory tail.
    pub fn recover(recovered: &Recovered, tail_bytes_max: usize, quirks: Quirks) -> Log {
        let mut log = Log {
            start: recovered.start,
            flushed: recovered.flushed,
            end: recovered.end,
            epochs: recovered.epochs.clone(),
            producers: recovered.producers.clone(),
            tail: recovered.tail.iter().cloned().collect(),
            cold: recovered.cold.iter().copied().collect(),
            tail_bytes: recovered.tail.iter().map(RecordBatch::size_bytes).sum(),
            tail_bytes_max,
            unflushed_bytes: 0,
            in_flight: VecDeque::new(),
            quirks,
        };
        let mut at = log.tail_start();
        for batch in &log.tail {
            assert!(batch.base_offset() == at, "the recovered tail is contiguous: {} at {at}", batch.base_offset());
            at = batch.end();
        }
        assert!(at == log.end, "the recovered tail reaches the end of the log: {at} of {}", log.end);
        assert!(log.epochs.last().is_none_or(|last| last.start < log.end), "the last epoch has a record");
        if quirks.has(Quirk::RecoveredCountsUnsynced) {
            log.flushed = log.end;
        }
        log.unflushed_bytes = log.bytes_between(log.flushed, log.end);
        log.evict();
        log.assert_cursors();
        log
    }

    /// Appends a batch that must begin at `end` and must not lower the epoch. The caller emits the DiskOp and calls
    /// [`Log::submitted`]. Returns the epoch that begins with this batch, if one does, for that DiskOp.
    pub fn append(&mut self, batch: RecordBatch) -> Option<EpochStart> {
        assert!(batch.base_offset() == self.end, "a batch at {} appended at {}", batch.base_offset(), self.end);
        let begun = self.epochs.begin(batch.leader_epoch(), batch.base_offset());
        self.producers.record(&batch);
        self.end = batch.end();
        self.tail_bytes += batch.size_bytes();
        self.unflushed_bytes += batch.size_bytes();
        self.tail.push_back(batch);
        self.evict();
        begun
    }

    /// Everything up to `end` was handed to the disk as operation `seq`. To be called for every operation that the end of
    /// the log depends on: `Append`, and `Adopt` for what recovery read (R12); for `Truncate` it does no harm.
    pub fn submitted(&mut self, seq: DiskSeq) {
        assert!(self.in_flight.back().is_none_or(|last| last.seq < seq), "disk operations are numbered in order");
        self.in_flight.push_back(InFlight { seq, end: self.end });
    }

    /// Operation `seq` and all before it are durable (R1). Returns whether `flushed` moved.
    pub fn on_disk_done(&mut self, seq: DiskSeq) -> bool {
        let before = self.flushed;
        let vouches_for_all = self.quirks.has(Quirk::CompletionVouchesForAll);
        while let Some(done) = self.in_flight.front().filter(|first| first.seq <= seq || vouches_for_all) {
            // After a truncation an older operation may end above a newer one's; clipped, it still counts.
            self.flushed = self.flushed.max(done.end);
            self.in_flight.pop_front();
        }
        self.unflushed_bytes -= self.bytes_between(before, self.flushed);
        self.evict();
        self.assert_cursors();
        self.flushed > before
    }

    /// The batch boundary at or below `end`, which is not below the stable offset's batch. An honest leader names
    /// boundaries only: where an epoch starts here, or where its copy of an epoch ends that this log has too, and then
    /// both hold the same batches of that epoch up to there (log matching).
    pub fn boundary(&self, end: Offset) -> Offset {
        if end >= self.end {
            return self.end;
        }
        let above = self.tail.partition_point(|batch| batch.base_offset() <= end);
        match above.checked_sub(1) {
            Some(index) => self.tail[index].base_offset(),
            None => {
                let above = self.cold.partition_point(|base| *base <= end);
                above.checked_sub(1).map_or(self.start, |index| self.cold[index])
            }
        }
    }

    /// Cuts the log to the batch boundary at or below `end`, clips every cursor in flight (R7), and returns the new end.
    pub fn truncate(&mut self, end: Offset) -> Offset {
        assert!(end >= self.start, "a log that starts at {} was cut to {end}", self.start);
        let end = self.boundary(end);
        let kept = self.tail.partition_point(|batch| batch.end() <= end);
        self.cold.truncate(self.cold.partition_point(|base| *base < end));
        let cut_bytes: usize = self.tail.range(kept..).map(RecordBatch::size_bytes).sum();
        self.unflushed_bytes -= self.bytes_between(self.flushed.max(end), self.end);
        self.tail_bytes -= cut_bytes;
        self.tail.truncate(kept);
        self.end = end;
        self.flushed = self.flushed.min(end);
        for under_way in &mut self.in_flight {
            under_way.end = under_way.end.min(end);
        }
        self.epochs.truncate_from(end);
        self.producers.truncate(end);
        self.assert_cursors();
        end
    }

    /// The log will never be truncated below `offset`, its high watermark: what only such a truncation would need may be
    /// forgotten.
    pub fn stable(&mut self, offset: Offset) {
        self.producers.stable(offset);
        while self.cold.get(1).is_some_and(|next| *next <= offset) {
            self.cold.pop_front();
        }
    }

    /// Reads whole batches from the one that contains `from`, below `below`, up to `bytes_max` but at least one.
    pub fn read(&self, from: Offset, below: Offset, bytes_max: usize) -> Slice {
        assert!(from >= self.start, "a read from {from} of a log that starts at {}", self.start);
        if from >= below.min(self.end) {
            return Slice::Batches(Vec::new());
        }
        if from < self.tail_start() {
            return Slice::Cold;
        }
        let first = self.tail.partition_point(|batch| batch.end() <= from);
        let mut batches = Vec::new();
        let mut bytes = 0;
        for batch in self.tail.range(first..).take_while(|batch| batch.end() <= below) {
            bytes += batch.size_bytes();
            if bytes > bytes_max && !batches.is_empty() {
                break;
            }
            batches.push(batch.clone());
        }
        Slice::Batches(batches)
    }

    /// Where a log whose record before `end` has `epoch` departs from this one. (Kafka:
    /// `RaftLog.validateOffsetAndEpoch`.)
    pub fn position(&self, end: Offset, epoch: Epoch) -> Position {
        if end < self.start {
            return Position::BeforeStart;
        }
        // The empty log is a prefix of every log, whatever its epoch is called.
        if end == Offset::ZERO {
            return Position::Valid;
        }
        let (own_epoch, own_end) = self.end_of_epoch(epoch);
        if own_epoch == epoch && end <= own_end {
            return Position::Valid;
        }
        Position::Diverging { epoch: own_epoch, end: own_end }
    }

    /// Where `epoch` ends in this log, or the greatest epoch below it. (Kafka: `RaftLog.endOffsetForEpoch`; see
    /// [`EpochIndex::end_of`].)
    pub fn end_of_epoch(&self, epoch: Epoch) -> (Epoch, Offset) {
        self.epochs.end_of(epoch, self.end)
    }

    /// Offset of the first record.
    pub fn start(&self) -> Offset {
        self.start
    }

    /// Everything below is durable here.
    pub fn flushed(&self) -> Offset {
        self.flushed
    }

    /// Offset after the last record. (Kafka: log end offset, LEO.)
    pub fn end(&self) -> Offset {
        self.end
    }

    /// Epoch of the last record; of nothing, 0. (Kafka: `lastFetchedEpoch`.)
    pub fn last_epoch(&self) -> Epoch {
        self.epochs.last().map_or(Epoch::ZERO, |last| last.epoch)
    }

    /// The epoch index.
    pub fn epochs(&self) -> &EpochIndex {
        &self.epochs
    }

    /// Producer state at the end of the log.
    pub fn producers(&self) -> &ProducerTable {
        &self.producers
    }

    /// Bytes of batches that are not durable yet, for backpressure. What recovery read but did not keep in the tail is
    /// not counted.
    pub fn unflushed_bytes(&self) -> usize {
        self.unflushed_bytes
    }

    /// Bytes held in memory.
    pub fn tail_bytes(&self) -> usize {
        self.tail_bytes
    }

    /// Offset of the first record in memory; `end` when there is none.
    pub fn tail_start(&self) -> Offset {
        self.tail.front().map_or(self.end, |batch| batch.base_offset())
    }

    /// Lets go of the oldest batches in memory until the tail fits, but of none that the disk does not have.
    fn evict(&mut self) {
        while self.tail_bytes > self.tail_bytes_max {
            let Some(oldest) = self.tail.front().filter(|oldest| oldest.end() <= self.flushed) else { return };
            self.tail_bytes -= oldest.size_bytes();
            self.cold.push_back(oldest.base_offset());
            self.tail.pop_front();
        }
    }

    /// Bytes of the batches in memory that end above `from` and not above `to`.
    fn bytes_between(&self, from: Offset, to: Offset) -> usize {
        let first = self.tail.partition_point(|batch| batch.end() <= from);
        self.tail.range(first..).take_while(|batch| batch.end() <= to).map(RecordBatch::size_bytes).sum()
    }

    fn assert_cursors(&self) {
        assert!(self.start <= self.flushed, "flushed {} is below the start {}", self.flushed, self.start);
        assert!(self.flushed <= self.end, "flushed {} is above the end {}", self.flushed, self.end);
    }
}
