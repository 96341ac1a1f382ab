//! Who leads was elected: a majority of the voters granted it that epoch, and it leads each epoch in one life only.
//!
//! When a node is first seen leading epoch e: |{v ∈ voters in force on it : v is the node, or v said on the wire that it
//! grants it e}| ≥ n/2 + 1; and no power loss at that moment would have kept "leader of e" in its quorum-state, because
//! that could only have been written by an earlier incarnation, whose unsynced records of e others may hold.
//!
//! Source: Raft §5.2; KIP-595 (candidate); KAFKA-10527 (never resume as leader).
//! It catches quorums that are off by one, grants counted twice, and grants of another epoch.

use crate::check::{Interests, Property, Seen, Violation, What};
use crate::raft::view::RoleKind;

/// See the module.
#[derive(Debug, Default)]
pub struct LeadersAreElected {
    elections: u64,
}

impl Property for LeadersAreElected {
    fn name(&self) -> &'static str {
        "leaders_are_elected"
    }

    fn statement(&self) -> &'static str {
        "Who leads an epoch was granted it by a majority on the wire, and never resumes it after a restart (Raft 5.2, KAFKA-10527)."
    }

    fn interests(&self) -> Interests {
        Interests::ELECTION
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let node = seen.observation.node;
        let (What::Stepped { view } | What::Started { view, .. }) = seen.observation.what else { return Ok(()) };
        let Some(mirror) = seen.ledger.node(node).filter(|_| view.role == RoleKind::Leader) else { return Ok(()) };
        let led = mirror.before.is_some_and(|before| before.role == RoleKind::Leader && before.epoch == view.epoch);
        if led {
            return Ok(());
        }
        self.elections += 1;
        let (own, epoch) = (view.key.id, view.epoch);
        if mirror.election_before.epoch == epoch && mirror.election_before.leader == Some(own) {
            return self.fails(seen, format!("node {node} leads epoch {epoch} again, after a restart"));
        }
        let granted = |voter: usize| seen.ledger.granted(epoch, voter).is_some_and(|to| to.id == own);
        let voters = view.voters.iter().map(|voter| voter.key.id.0 as usize);
        let grants: Vec<usize> = voters.filter(|&voter| voter == node || granted(voter)).collect();
        if grants.len() >= view.voters.majority() {
            return Ok(());
        }
        let (granted, needed, of) = (grants.len(), view.voters.majority(), view.voters.len());
        self.fails(
            seen,
            format!("node {node} leads epoch {epoch} with {granted} votes {grants:?}, {needed} of {of} are needed"),
        )
    }

    fn exercised(&self) -> u64 {
        self.elections
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{Stage, answer, vote};
    use crate::raft::message::ResponseBody;

    fn grant(stage: &mut Stage, voter: usize, candidate: u32, epoch: u32) {
        let granted = answer(epoch, None, ResponseBody::Vote { granted: true });
        stage.answer(voter, &vote(candidate, epoch, (0, 0)), &granted).unwrap();
    }

    #[test]
    fn two_of_three_elect() {
        let mut stage = Stage::of(LeadersAreElected::default(), 3);
        grant(&mut stage, 1, 0, 4);
        stage.leads(0, 4).unwrap();
        assert_eq!(stage.exercised(), 1);
    }

    #[test]
    fn grants_of_another_epoch_or_to_another_do_not_count() {
        let mut stage = Stage::of(LeadersAreElected::default(), 3);
        grant(&mut stage, 1, 0, 3);
        grant(&mut stage, 2, 1, 4);
        let violation = stage.leads(0, 4).unwrap_err();
        assert_eq!(violation.message, "node 0 leads epoch 4 with 1 votes [0], 2 of 3 are needed");
    }

    #[test]
    fn half_of_four_is_no_majority() {
        let mut stage = Stage::of(LeadersAreElected::default(), 4);
        grant(&mut stage, 1, 0, 4);
        assert!(stage.leads(0, 4).is_err());
    }

    #[test]
    fn a_restarted_leader_does_not_resume() {
        let mut stage = Stage::of(LeadersAreElected::default(), 3);
        grant(&mut stage, 1, 0, 4);
        stage.leads(0, 4).unwrap();
        stage.node(0).persist(4, Some(0), None);
        stage.step(0).unwrap();
        stage.down(0).unwrap();
        assert_eq!(stage.start(0).unwrap_err().message, "node 0 leads epoch 4 again, after a restart");
    }

    #[test]
    fn a_winner_whose_leadership_was_never_durable_may_win_again() {
        let mut stage = Stage::of(LeadersAreElected::default(), 3);
        grant(&mut stage, 1, 0, 4);
        stage.leads(0, 4).unwrap();
        stage.down(0).unwrap();
        stage.leads(0, 4).unwrap();
    }
}
