//! The quorum-state file: epoch, leader and vote. (Kafka: `FileQuorumStateStore`, `QuorumStateData.json`.)

use crate::ids::{Epoch, ReplicaId, ReplicaKey};

/// What a replica may never forget of an election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumState {
    /// The largest epoch this replica has taken part in.
    pub epoch: Epoch,
    /// The leader of that epoch, if known.
    pub leader: Option<ReplicaId>,
    /// Whom this replica voted for in that epoch.
    pub vote: Option<ReplicaKey>,
    /// 0 writes Kafka's version 0 of the file (static voters), 1 version 1. (Follows `kraft.version`.)
    pub version: u8,
    /// Ids of the voters; written in version 0 only.
    pub voters: Vec<ReplicaId>,
}
