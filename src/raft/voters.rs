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
    /// Finalized levels of `kraft.version`, by the offset of their record.
    levels: Vec<(Offset, i16)>,
}

impl VoterHistory {
    /// A history that begins with the configured set.
    pub fn new(configured: VoterSet) -> VoterHistory {
        VoterHistory { configured, changes: Vec::new(), levels: Vec::new() }
    }

    /// A control record at `offset` names a new set. (Kafka: in force as soon as it is appended, committed or not.)
    pub fn append(&mut self, offset: Offset, voters: VoterSet) {
        assert!(
            self.changes.last().is_none_or(|(last, _)| *last < offset),
            "voter records come in the order of the log"
        );
        self.changes.push((offset, voters));
    }

    /// The log was cut to end at `end`: sets named by records at or above it are forgotten.
    pub fn truncate(&mut self, end: Offset) {
        self.changes.retain(|(offset, _)| *offset < end);
        self.levels.retain(|(offset, _)| *offset < end);
    }

    /// A KRAFT_VERSION record at `offset` finalizes this level. (KIP-853: in force from the append on.)
    pub fn finalize(&mut self, offset: Offset, level: i16) {
        self.levels.push((offset, level));
    }

    /// The level of `kraft.version` at the end of the log: 0 for quorums whose voters are configured. (Kafka:
    /// `KRaftVersion`.)
    pub fn kraft_version(&self) -> i16 {
        self.levels.last().map_or(0, |(_, level)| *level)
    }

    /// The set in force for a log that ends at `end`.
    pub fn at(&self, end: Offset) -> &VoterSet {
        let change = self.changes.iter().rev().find(|(offset, _)| *offset < end);
        change.map_or(&self.configured, |(_, voters)| voters)
    }

    /// The set in force at the end of the log.
    pub fn last(&self) -> &VoterSet {
        self.changes.last().map_or(&self.configured, |(_, voters)| voters)
    }
}

/// The largest offset that a majority of `voters` holds, given the durable log ends that are known; `None` while fewer
/// than a majority are. Ends of replicas that are not voters do not count. (Kafka: `LeaderState.maybeUpdateHighWatermark`;
/// the paper calls this the commit index.)
pub fn high_watermark(voters: &VoterSet, ends: &[(ReplicaKey, Offset)]) -> Option<Offset> {
    let is_counted = |key: &ReplicaKey| voters.contains(*key);
    let holders = |offset: Offset| ends.iter().filter(|(key, end)| *end >= offset && is_counted(key)).count();
    let candidates = ends.iter().filter(|(key, _)| is_counted(key)).map(|&(_, end)| end);
    candidates.filter(|&end| holders(end) >= voters.majority()).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prng::Prng;

    /// Kafka's own words: sort the voters by end, unknown last, and take the element in the middle.
    fn naive(voters: &VoterSet, ends: &[(ReplicaKey, Offset)]) -> Option<Offset> {
        let end_of = |voter: &Voter| ends.iter().find(|(key, _)| voter.key.admits(*key)).map(|&(_, end)| end);
        let mut sorted: Vec<Option<Offset>> = voters.iter().map(end_of).collect();
        sorted.sort_by(|left, right| right.cmp(left));
        sorted.get(voters.len() / 2).copied().flatten()
    }

    fn voter(id: u32) -> Voter {
        Voter { key: ReplicaKey::of(ReplicaId(id)), endpoints: Vec::new() }
    }

    #[test]
    fn high_watermark_agrees_with_its_naive_twin() {
        let mut prng = Prng::new(20, 0);
        for _ in 0..5_000 {
            let voters = VoterSet::new((1..=prng.range(1..8) as u32).map(voter).collect());
            let mut ends = Vec::new();
            for id in 1..10 {
                if prng.chance(3, 4) {
                    ends.push((ReplicaKey::of(ReplicaId(id)), Offset(prng.below(6))));
                }
            }
            prng.shuffle(&mut ends);
            assert_eq!(high_watermark(&voters, &ends), naive(&voters, &ends), "{voters:?} {ends:?}");
        }
    }

    #[test]
    fn truncation_brings_back_the_earlier_voters() {
        let mut history = VoterHistory::new(VoterSet::new(vec![voter(1)]));
        history.append(Offset(4), VoterSet::new(vec![voter(1), voter(2)]));
        history.append(Offset(9), VoterSet::new(vec![voter(2)]));
        assert_eq!([4, 5, 9, 10].map(|end| history.at(Offset(end)).len()), [1, 2, 2, 1]);
        history.truncate(Offset(9));
        assert_eq!(history.last().len(), 2);
        history.truncate(Offset(4));
        assert_eq!(history.last().len(), 1);
    }
}
