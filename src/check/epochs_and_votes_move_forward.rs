//! I2: on every node, epochs only grow, and within an epoch a vote and a leader, once known, stay.
//!
//! *In memory*, from step to step of one incarnation, and *on the platter*, over all incarnations that no durable fault
//! parts: the epoch never falls; within an epoch a vote changes only to nothing, and only on the node that leads it; a
//! leader is forgotten only by a restarted candidate of the same epoch. A node starts at or above its durable epoch.
//! And no epoch comes from nowhere: who first reaches it campaigns, or has resigned the one before (KIP-996: a pre-vote
//! raises nobody's epoch).
//!
//! Source: Kafka's `MonotonicEpoch`. The plant it is made for: a BeginQuorumEpoch of
//! the same epoch that erases the recorded vote.

use crate::check::ledger::Election;
use crate::check::{Damage, Interests, Property, Seen, Violation};
use crate::ids::ReplicaId;
use crate::raft::view::RoleKind;

/// See the module.
#[derive(Debug, Default)]
pub struct EpochsAndVotesMoveForward {
    moves: u64,
}

/// Delta check of what is durable.
fn durable_moves_forward(own: ReplicaId, damage: Damage, from: &Election, to: &Election) -> Result<(), String> {
    if to.epoch < from.epoch {
        return Err(format!("epoch {} on disk fell to {}", from.epoch, to.epoch));
    }
    if to.epoch > from.epoch {
        return Ok(());
    }
    let (voted, votes) = (from.vote.map(|key| key.id), to.vote.map(|key| key.id));
    let is_cleared_by_leader = votes.is_none() && to.leader == Some(own);
    if voted.is_some() && votes != voted && !is_cleared_by_leader {
        return Err(format!("vote of epoch {} on disk changed from {} to {}", to.epoch, name(voted), name(votes)));
    }
    let is_candidate_again = to.leader.is_none() && votes == Some(own);
    // R11 wins over the rules of a restart: who recovers leads nothing, not even what it did lead.
    let is_disowned = damage != Damage::None && from.leader == Some(own) && to.leader.is_none();
    if from.leader.is_some() && to.leader != from.leader && !is_candidate_again && !is_disowned {
        let (from, epoch, to) = (name(from.leader), to.epoch, name(to.leader));
        return Err(format!("leader of epoch {epoch} on disk changed from {from} to {to}"));
    }
    Ok(())
}

/// Delta check of what is in memory.
fn memory_moves_forward(from: &crate::check::State, to: &crate::check::State) -> Result<(), String> {
    if to.epoch < from.epoch {
        return Err(format!("epoch {} fell to {}", from.epoch, to.epoch));
    }
    if to.epoch > from.epoch {
        return Ok(());
    }
    let has_led = matches!(to.role, RoleKind::Leader | RoleKind::Resigned);
    let (voted, votes) = (from.vote.map(|key| key.id), to.vote.map(|key| key.id));
    if voted.is_some() && votes != voted && !(votes.is_none() && has_led) {
        return Err(format!("vote of epoch {} changed from {} to {}", to.epoch, name(voted), name(votes)));
    }
    if from.leader.is_some() && to.leader != from.leader && to.role != RoleKind::Resigned {
        return Err(format!("leader of epoch {} changed from {} to {}", to.epoch, name(from.leader), name(to.leader)));
    }
    Ok(())
}

fn name(replica: Option<ReplicaId>) -> String {
    replica.map_or("nobody".into(), |id| format!("node {id}"))
}

impl Property for EpochsAndVotesMoveForward {
    fn name(&self) -> &'static str {
        "epochs_and_votes_move_forward"
    }

    fn statement(&self) -> &'static str {
        "A node's epoch never falls, its vote and leader of an epoch never change, and only campaigns begin epochs (I2, KIP-996)."
    }

    fn interests(&self) -> Interests {
        Interests::ELECTION | Interests::QUORUM_STATE | Interests::STARTED
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let node = seen.observation.node;
        let Some(mirror) = seen.ledger.node(node) else { return Ok(()) };
        self.moves += 1;
        let damage = seen.observation.disks.get(node).map_or(Damage::None, |disk| disk.damage);
        let own = ReplicaId(node as u32);
        if seen.kinds.overlap(Interests::QUORUM_STATE) && damage != Damage::Wiped {
            durable_moves_forward(own, damage, &mirror.election_before, &mirror.election)
                .or_else(|lie| self.fails(seen, format!("node {node}: {lie}")))?;
        }
        let Some(state) = mirror.state else { return Ok(()) };
        let Some(before) = mirror.before else {
            return match state.epoch < mirror.election.epoch {
                true => {
                    let (epoch, durable) = (state.epoch, mirror.election.epoch);
                    self.fails(seen, format!("node {node} starts in epoch {epoch}, below epoch {durable} on its disk"))
                }
                false => Ok(()),
            };
        };
        memory_moves_forward(&before, &state).or_else(|lie| self.fails(seen, format!("node {node}: {lie}")))?;
        let is_new = state.epoch > seen.ledger.epoch_max_before();
        let campaigns = matches!(state.role, RoleKind::Candidate | RoleKind::Leader);
        if is_new && !campaigns && before.role != RoleKind::Resigned {
            let (role, epoch) = (state.role.name(), state.epoch);
            return self.fails(seen, format!("node {node} is the first in epoch {epoch}, as {role}"));
        }
        Ok(())
    }

    fn exercised(&self) -> u64 {
        self.moves
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{Stage, key};

    fn stage() -> Stage {
        Stage::of(EpochsAndVotesMoveForward::default(), 3)
    }

    #[test]
    fn an_election_moves_forward() {
        let mut stage = stage();
        stage.is(0, RoleKind::Prospective, 0).unwrap();
        stage.node(0).vote = Some(key(0));
        stage.is(0, RoleKind::Candidate, 1).unwrap();
        stage.node(0).persist(1, None, Some(0));
        stage.step(0).unwrap();
        stage.node(0).vote = None;
        stage.leads(0, 1).unwrap();
        stage.node(0).persist(1, Some(0), None);
        stage.step(0).unwrap();
        stage.follows(1, 0, 1).unwrap();
    }

    #[test]
    fn a_vote_on_disk_is_not_erased_by_a_leader_elsewhere() {
        let mut stage = stage();
        stage.node(1).persist(1, None, Some(2));
        stage.is(1, RoleKind::Unattached, 1).unwrap();
        stage.node(1).persist(1, Some(2), None);
        assert_eq!(stage.step(1).unwrap_err().message, "node 1: vote of epoch 1 on disk changed from node 2 to nobody");
    }

    #[test]
    fn a_leader_once_known_is_not_forgotten() {
        let mut stage = stage();
        stage.follows(1, 2, 1).unwrap();
        assert!(stage.is(1, RoleKind::Unattached, 1).unwrap_err().message.contains("changed from node 2 to nobody"));
    }

    #[test]
    fn an_epoch_on_disk_survives_restarts() {
        let mut stage = stage();
        stage.node(1).persist(4, None, None);
        stage.is(1, RoleKind::Unattached, 4).unwrap();
        stage.down(1).unwrap();
        stage.node(1).persist(3, None, None);
        assert!(stage.start(1).is_err());
    }

    #[test]
    fn a_pre_vote_begins_no_epoch() {
        let mut stage = stage();
        stage.is(0, RoleKind::Unattached, 1).unwrap();
        let violation = stage.is(0, RoleKind::Prospective, 2).unwrap_err();
        assert_eq!(violation.message, "node 0 is the first in epoch 2, as prospective");
    }
}
