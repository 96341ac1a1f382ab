//! The log as the replica sees it: batches from start to end, a bounded tail of them in memory.
//!
//! **Invariants**
//! - `start ≤ flushed ≤ end`; only this file moves these cursors.
//! - offsets are contiguous, epochs never fall along the log.
//! - the memory tail never evicts above `flushed`.

use std::collections::VecDeque;

use crate::ids::{Epoch, Offset};
use crate::log::{DiskSeq, EpochIndex, ProducerTable, Recovered};
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
pub enum Position {
    /// The fetcher's log is a prefix of this one.
    Valid,
    /// It is not: this log's epoch at or below the given one ends here.
    Diverging { epoch: Epoch, end: Offset },
    /// Below the start of this log: only a snapshot can help.
    BeforeStart,
}

impl Log {
    /// The log as recovery left it. `tail_bytes_max` bounds the memory tail.
    pub fn recover(_recovered: &Recovered, _tail_bytes_max: usize) -> Log {
        todo!()
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
        todo!()
    }
    /// The epoch index.
    pub fn epochs(&self) -> &EpochIndex {
        &self.epochs
    }
    /// Producer state at the end of the log.
    pub fn producers(&self) -> &ProducerTable {
        &self.producers
    }
    /// Appends a batch that must begin at `end` and must not lower the epoch. The caller emits the DiskOp and calls
    /// [`Log::submitted`].
    pub fn append(&mut self, _batch: RecordBatch) {
        todo!()
    }
    /// Everything up to `end` was handed to the disk as operation `seq`.
    pub fn submitted(&mut self, _seq: DiskSeq) {
        todo!()
    }
    /// Operation `seq` and all before it are durable. Returns whether `flushed` moved.
    pub fn on_disk_done(&mut self, _seq: DiskSeq) -> bool {
        todo!()
    }
    /// Cuts the log to the batch boundary at or below `end`, clips every cursor in flight (R7), and returns the new end.
    pub fn truncate(&mut self, _end: Offset) -> Offset {
        todo!()
    }
    /// Reads whole batches from the one that contains `from`, below `below`, up to `bytes_max` but at least one.
    pub fn read(&self, _from: Offset, _below: Offset, _bytes_max: usize) -> Slice {
        let _ = &self.tail;
        todo!()
    }
    /// Where a log whose record before `end` has `epoch` departs from this one.
    pub fn position(&self, _end: Offset, _epoch: Epoch) -> Position {
        todo!()
    }
}
