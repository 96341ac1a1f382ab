//! From any byte state of a directory to a log that can be trusted, every cut explained (R11, R12).

use std::fmt;

use bytes::Bytes;

use crate::ids::{Epoch, Offset};
use crate::log::{EpochIndex, FileName, FileOp, FileRange, Layout, MetaProperties, ProducerTable, QuorumState};
use crate::record::{ControlRecord, RecordBatch};

/// What a node knows after recovery.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// Who this directory belongs to.
    pub meta: MetaProperties,
    /// The election state; `None` when the file never existed.
    pub quorum: Option<QuorumState>,
    /// Offset of the first record.
    pub start: Offset,
    /// Everything below was once durable: the recovery point, at most `end` (R12).
    pub flushed: Offset,
    /// Offset after the last record kept.
    pub end: Offset,
    /// Epochs of the records kept.
    pub epochs: EpochIndex,
    /// Producers of the records kept.
    pub producers: ProducerTable,
    /// The newest batches, as many as fit the memory tail, contiguous up to `end`.
    pub tail: Vec<RecordBatch>,
    /// Every control record kept, with its offset.
    pub controls: Vec<(Offset, ControlRecord)>,
    /// The marker of R11, or the epoch it must be written with because synced data is missing.
    pub recovering: Option<Epoch>,
    /// What was cut away and why.
    pub cuts: Vec<Cut>,
}

/// Bytes that recovery did not keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// In which file.
    pub file: FileName,
    /// From which byte.
    pub at: u64,
    /// How many bytes.
    pub bytes: u64,
    /// Which offset the log ends at because of it.
    pub end: Offset,
    /// Why, in words.
    pub reason: String,
    /// Whether bytes below the recovery point are gone, which a mere power loss cannot explain.
    pub below_recovery_point: bool,
}

/// Why a node cannot start at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryError {
    /// The file to blame.
    pub file: FileName,
    /// The byte in it.
    pub at: u64,
    /// Expected and found, in words.
    pub reason: String,
}

impl fmt::Display for RecoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} byte {}: {}", self.file, self.at, self.reason)
    }
}

/// What recovery asks of its driver next.
#[derive(Debug)]
pub enum Demand {
    /// Read this range and call [`Recovery::supply`]; a missing file supplies no bytes.
    Read(FileRange),
    /// Carry out this repair, then ask again.
    File(FileOp),
    /// Done: call [`Recovery::finish`].
    Finished,
}

/// What recovery needs to know before it reads.
#[derive(Clone, Debug)]
pub struct RecoveryOptions {
    /// Bound of the memory tail, bytes.
    pub tail_bytes_max: usize,
    /// Size at which segments roll, bytes.
    pub segment_bytes: u64,
    /// Space reserved ahead of the log's end, bytes; 0 for none.
    pub preallocate_bytes: u64,
    /// Whether a single voter: missing synced data is then an error, not a `recovering` node.
    pub is_only_voter: bool,
}

/// The recovery of one directory, without I/O.
#[derive(Debug)]
pub struct Recovery {}

impl Recovery {
    /// Begins with the directory's files and their lengths.
    pub fn new(_listing: &[(FileName, u64)], _options: RecoveryOptions) -> Recovery {
        todo!()
    }
    /// What to do next.
    pub fn demand(&mut self) -> Result<Demand, RecoveryError> {
        todo!()
    }
    /// The bytes of the range demanded last.
    pub fn supply(&mut self, _bytes: Bytes) {
        todo!()
    }
    /// The result, after [`Demand::Finished`].
    pub fn finish(self) -> (Recovered, Layout) {
        todo!()
    }
}
