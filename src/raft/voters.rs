//! Who votes, from which offset on; majorities and high-watermark arithmetic. (Kafka: `VoterSet`, `VoterSetHistory`.)

use crate::ids::{Endpoint, Listener, Offset, ReplicaId, ReplicaKey};

/// One voter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voter {
    /// Id, and directory where known.
    pub key: ReplicaKey,
    /// Its listeners, the first of which peers use.
    pub endpoints: Vec<Listener>,
}

/// A set of voters, ascending by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VoterSet {
    voters: Vec<Voter>,
}

impl VoterSet {
    /// A set from its members, in any order; ids must be distinct.
    pub fn new(mut voters: Vec<Voter>) -> VoterSet {
        voters.sort_by_key(|voter| voter.key.id);
        assert!(voters.windows(2).all(|pair| pair[0].key.id != pair[1].key.id), "a voter is named twice");
        VoterSet { voters }
    }

    /// The members, ascending by id.
    pub fn iter(&self) -> impl Iterator<Item = &Voter> {
        self.voters.iter()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.voters.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.voters.is_empty()
    }

    /// The voter of that id.
    pub fn find(&self, id: ReplicaId) -> Option<&Voter> {
        self.voters.iter().find(|voter| voter.key.id == id)
    }

    /// Whether this replica is a member: same id, and same directory where one is recorded.
    pub fn contains(&self, replica: ReplicaKey) -> bool {
        self.find(replica.id).is_some_and(|voter| voter.key.admits(replica))
    }

    /// How many members make a majority. (`n/2 + 1`.)
    pub fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// Where the voter of that id listens for its peers.
    pub fn endpoint(&self, id: ReplicaId) -> Option<&Endpoint> {
        self.find(id)?.endpoints.first().map(|listener| &listener.endpoint)
    }
}

/// Voter sets by the offset of the record that set them; the last one is in force, committed or not. (KIP-853.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoterHistory {
    configured: VoterSet,
    changes: Vec<(Offset, VoterSet)>,
}

impl VoterHistory {
    /// A history that begins with the configured set.
    pub fn new(configured: VoterSet) -> VoterHistory {
        VoterHistory { configured, changes: Vec::new() }
    }

    /// The set in force at the end of the log.
    pub fn last(&self) -> &VoterSet {
        self.changes.last().map_or(&self.configured, |(_, voters)| voters)
    }
}
