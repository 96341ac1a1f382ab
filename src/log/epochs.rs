//! Which epoch begins where: the epoch index and its checkpoint. (Kafka: `LeaderEpochFileCache`.)
//!
//! A log is a succession of epochs, each beginning where the one before ends. This index is what two replicas compare to
//! find where their logs depart. It holds no end: an epoch ends where the next one begins, the last one with the log.
//!
//! **Invariants**
//! - both epochs and starts ascend strictly: an epoch is listed only if it has a record.

use crate::ids::{Epoch, Offset};

/// An epoch and the offset of its first record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: Epoch,
    /// Offset of its first record.
    pub start: Offset,
}

/// The epochs of a log, ascending in both epoch and start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EpochIndex {
    starts: Vec<EpochStart>,
}

impl EpochIndex {
    /// The index that a checkpoint lists; `None` unless both columns ascend strictly.
    pub fn from_entries(starts: Vec<EpochStart>) -> Option<EpochIndex> {
        let ascends = starts.windows(2).all(|pair| pair[0].epoch < pair[1].epoch && pair[0].start < pair[1].start);
        ascends.then_some(EpochIndex { starts })
    }

    /// A record of `epoch` was appended at `start`. Returns the new entry if the epoch begins with it.
    pub fn begin(&mut self, epoch: Epoch, start: Offset) -> Option<EpochStart> {
        if let Some(last) = self.last() {
            assert!(last.epoch <= epoch, "epochs never fall along the log: {epoch} after {}", last.epoch);
            if last.epoch == epoch {
                return None;
            }
            assert!(last.start < start, "epoch {epoch} begins at {start}, inside epoch {}", last.epoch);
        }
        let begun = EpochStart { epoch, start };
        self.starts.push(begun);
        Some(begun)
    }

    /// The log was cut to end at `end`: epochs that began there or later are gone.
    pub fn truncate_from(&mut self, end: Offset) {
        let kept = self.starts.partition_point(|entry| entry.start < end);
        self.starts.truncate(kept);
    }

    /// Where `epoch` ends in a log that ends at `log_end`, or what this log has in its place. (Kafka:
    /// `KafkaRaftLog.endOffsetForEpoch`.) The epoch returned is the asked one if the log has it, or if it is older than
    /// all that the log has; else the greatest below it.
    pub fn end_of(&self, epoch: Epoch, log_end: Offset) -> (Epoch, Offset) {
        let above = self.starts.partition_point(|entry| entry.epoch <= epoch);
        let floor = above.checked_sub(1).map(|index| self.starts[index].epoch);
        match (floor, self.starts.get(above)) {
            // The newest epoch here, or a newer one than any here: this log has it up to its end.
            (Some(floor), None) => (floor, log_end),
            // An epoch ends where the next one begins.
            (Some(floor), Some(next)) => (floor, next.start),
            // Older than anything here. Kafka answers as if the epoch ended where this log's first one begins.
            (None, Some(oldest)) => (epoch, oldest.start),
            // No record at all. (Kafka: `lastFetchedEpoch` of an empty log.)
            (None, None) => (Epoch::ZERO, log_end),
        }
    }

    /// The epoch of the record at `offset`, which must not be beyond the log's end; `None` below the first entry.
    pub fn epoch_at(&self, offset: Offset) -> Option<Epoch> {
        let above = self.starts.partition_point(|entry| entry.start <= offset);
        above.checked_sub(1).map(|index| self.starts[index].epoch)
    }

    /// The newest epoch.
    pub fn last(&self) -> Option<EpochStart> {
        self.starts.last().copied()
    }

    /// All entries, ascending.
    pub fn entries(&self) -> &[EpochStart] {
        &self.starts
    }
}
