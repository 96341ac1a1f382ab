//! The replicated log and its bytes on disk. Pure: no file is opened here.
//!
//! This file holds the words that `raft` and the disk share. `raft` says *what it means* ([`DiskOp`]); [`layout`] turns
//! that into *which file, which bytes, which sync* ([`FileOp`]); a driver carries file operations out one after another
//! and reports completions as [`DiskSeq`]. [`recovery`] goes the other way: file ranges in, [`Recovered`] out, every
//! byte that is cut explained.
//!
//! ```text
//!  raft ── DiskOp{seq} ──▶ layout ── FileOp… ──▶ driver ── completion ──▶ DiskDone{seq} ──▶ raft
//! ```

pub mod checkpoint;
pub mod dump;
mod dump_control;
pub mod epochs;
pub mod layout;
pub mod log;
pub mod producers;
pub mod queue;
pub mod quorum_state;
pub mod recovery;
mod segment;

pub use epochs::{EpochIndex, EpochStart};
pub use layout::{FileName, FileOp, FileRange, Layout};
pub use log::{Log, Position, Slice};
pub use producers::{Admission, ProducerTable, SequenceError};
pub use queue::{FileQueue, QueuedOp};
pub use quorum_state::QuorumState;
pub use recovery::{Cut, Demand, Recovered, Recovery, RecoveryError};

use std::sync::Arc;

use crate::ids::{DirectoryId, Epoch, Offset, ReplicaId};
use crate::record::RecordBatch;

/// The id of the topic `__cluster_metadata`. (Kafka: `Uuid.METADATA_TOPIC_ID`.)
pub const CLUSTER_METADATA_ID: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// The number of a disk operation within one incarnation of a node; operations complete in this order (R1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct DiskSeq(pub u64);

/// The number of a load from disk within one incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoadId(pub u64);

/// What the replica wants made durable. An operation is complete when a power loss can no longer undo it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum DiskOp {
    /// First operation of every incarnation (R12): sync every file that recovery kept, and the directory.
    Adopt,
    /// Append whole batches at the end of the log. `first_of_epoch` lists epochs that begin in them; the
    /// leader-epoch-checkpoint that names them is synced before this completes (R11).
    Append { batches: Vec<RecordBatch>, first_of_epoch: Vec<EpochStart> },
    /// Cut the log so that it ends at `end`; `epochs` is what remains of the epoch index, synced before this completes.
    /// A recovery point above `end` is lowered to it first.
    Truncate { end: Offset, epochs: Vec<EpochStart> },
    /// Replace the quorum-state file atomically.
    QuorumState(QuorumState),
    /// Write (`Some`) or remove (`None`) the `recovering` marker (R11).
    Recovering(Option<Epoch>),
    /// Raise the recovery-point-offset-checkpoint; written lazily by raft, synced when this completes. Only the layout
    /// lowers it.
    RecoveryPoint(Offset),
    /// Trim preallocated space and sync everything: the last operation before a clean stop.
    Close,
}

/// What the replica wants read back, outside the order of [`DiskSeq`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Stored {
    /// Whole batches from the one that contains `from` on, about `bytes_max` bytes of them and at least one.
    Log { from: Offset, bytes_max: usize },
    /// Bytes of a snapshot from `position` on, at most `bytes_max` of them, wherever its batches begin. (Kafka:
    /// `UnalignedRecords`.)
    Snapshot { id: SnapshotId, position: u64, bytes_max: usize },
}

/// Names a snapshot by the log that it stands for. (Kafka: `OffsetAndEpoch`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotId {
    /// Where that log ends.
    pub end: Offset,
    /// The epoch of its last record.
    pub epoch: Epoch,
}

/// The bytes asked for are no longer there (the log was truncated or trimmed meanwhile).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// `meta.properties` of a log directory. (Kafka: `MetaProperties` version 1.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    /// `cluster.id`, 22 characters of base64 in Kafka's own tools, any text here.
    pub cluster_id: Arc<str>,
    /// `node.id` (`broker.id` in version 0).
    pub node_id: ReplicaId,
    /// `directory.id`.
    pub directory_id: DirectoryId,
}
