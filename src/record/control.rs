//! Control records: what a leader tells the log itself. (Kafka: `ControlRecordType`, `LeaderChangeMessage.json`, …)

use crate::ids::{DirectoryId, Listener, ReplicaId};
use crate::record::{DecodeError, RecordBatch};
use crate::time::Timestamp;

/// A control record that KRaft writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlRecord {
    /// First record of every epoch. Written at schema version 0: ids only.
    LeaderChange { leader: ReplicaId, voters: Vec<ReplicaId>, granting: Vec<ReplicaId> },
    /// First record of a snapshot.
    SnapshotHeader { last_contained: Timestamp },
    /// Last record of a snapshot.
    SnapshotFooter,
    /// The finalized `kraft.version`.
    KRaftVersion(i16),
    /// The voter set from here on. (KIP-853.)
    Voters(Vec<VoterRecord>),
    /// A type that we do not know, by its number; carried, never interpreted.
    Unknown(i16),
}

/// One voter of a KRAFT_VOTERS record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoterRecord {
    /// Node id.
    pub id: ReplicaId,
    /// Directory id.
    pub directory: DirectoryId,
    /// Every listener of the voter.
    pub endpoints: Vec<Listener>,
    /// Supported range of `kraft.version`, both ends included.
    pub kraft_versions: (i16, i16),
}

impl ControlRecord {
    /// The control records of a control batch, in order.
    pub fn parse_batch(_batch: &RecordBatch) -> Result<Vec<ControlRecord>, DecodeError> {
        todo!()
    }
}
