//! [`DiskOp`] → [`FileOp`]: which file, which bytes, which sync; Kafka's names and layout.

use std::fmt;

use bytes::Bytes;

use crate::ids::Offset;
use crate::log::{DiskOp, DiskSeq, MetaProperties};

/// A file of a node's data, as Kafka names it. `Display` gives the path below `log.dirs`, `parse` reads it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileName {
    /// `meta.properties`, in the root.
    MetaProperties,
    /// `recovery-point-offset-checkpoint`, in the root.
    RecoveryPoint,
    /// `__cluster_metadata-0/partition.metadata`.
    PartitionMetadata,
    /// `__cluster_metadata-0/quorum-state`.
    QuorumState,
    /// `__cluster_metadata-0/recovering`: ours; the marker of R11.
    Recovering,
    /// `__cluster_metadata-0/leader-epoch-checkpoint`.
    LeaderEpochCheckpoint,
    /// `__cluster_metadata-0/%020d.log`.
    Segment(Offset),
    /// `__cluster_metadata-0/%020d.index`.
    Index(Offset),
    /// `__cluster_metadata-0/%020d.timeindex`.
    TimeIndex(Offset),
    /// The `.tmp` sibling of a file that is replaced atomically.
    Temporary(Replaced),
}

/// The files that are replaced as a whole: written beside themselves, synced, renamed, directory synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Replaced {
    /// `meta.properties`.
    MetaProperties,
    /// `recovery-point-offset-checkpoint`.
    RecoveryPoint,
    /// `partition.metadata`.
    PartitionMetadata,
    /// `quorum-state`.
    QuorumState,
    /// `recovering`.
    Recovering,
    /// `leader-epoch-checkpoint`.
    LeaderEpochCheckpoint,
}

/// The two directories of a node. Creates, renames and removals are durable only after a sync of their directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Directory {
    /// `log.dirs` itself.
    Root,
    /// `__cluster_metadata-0`.
    Partition,
}

/// One operation on files. A driver carries them out one after another (R1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileOp {
    /// Write a gather list at a position, creating the file if it is not there.
    Write { file: FileName, at: u64, bytes: Vec<Bytes> },
    /// Reserve space up to `length` bytes, zero-filled as far as a reader can see; the length grows.
    Preallocate { file: FileName, length: u64 },
    /// Cut the file to `length`.
    Truncate { file: FileName, length: u64 },
    /// Make the file's bytes durable.
    Sync { file: FileName },
    /// Make a directory's entries durable.
    SyncDirectory(Directory),
    /// Rename over whatever is there.
    Rename { from: FileName, to: FileName },
    /// Remove the file; a file that is not there is no error.
    Remove { file: FileName },
}

/// A range of a file, for loads and recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRange {
    /// Which file.
    pub file: FileName,
    /// First byte.
    pub at: u64,
    /// How many bytes; fewer come back at the end of the file.
    pub length: u64,
}

/// Where the log's bytes lie: segments, their lengths and sparse indexes.
#[derive(Debug)]
pub struct Layout {}

impl FileName {
    /// Reads a path below `log.dirs`; `None` for files that are not ours.
    pub fn parse(_path: &str) -> Option<FileName> {
        todo!()
    }
    /// The directory that holds the file's entry.
    pub fn directory(self) -> Directory {
        todo!()
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl Layout {
    /// The operations that make an empty directory a formatted one: meta.properties, partition.metadata, syncs.
    pub fn format(_meta: &MetaProperties) -> Vec<FileOp> {
        todo!()
    }
    /// Translates one disk operation. The last file operation pushed completes it; every DiskOp yields at least one.
    pub fn plan(&mut self, _seq: DiskSeq, _op: DiskOp, _out: &mut Vec<FileOp>) {
        todo!()
    }
    /// Where to read about `bytes_max` bytes of whole batches from the batch that contains `from`; `None` if the log
    /// does not hold it. The range begins at or before that batch: the reader skips to it.
    pub fn locate(&self, _from: Offset, _bytes_max: usize) -> Option<FileRange> {
        todo!()
    }
}
