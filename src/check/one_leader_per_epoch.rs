//! I1: at most one leader per epoch, over the whole history.
//!
//! ∀ epoch e, ∀ claims (e, l₁), (e, l₂) ever made by anyone: l₁ = l₂. A *claim* is a replica that leads, a replica that
//! believes somebody leads, a leader named in a quorum-state file that survives power loss, and a leader named on the
//! wire by a request or an answer.
//!
//! Source: Raft, Election Safety; TLA+ `ElectionSafety` and `NeverTwoLeadersInSameEpoch`;
//! Kafka's `SingleLeader`, which forgets an epoch as soon as a larger one appears: this one never forgets.

use std::collections::BTreeMap;

use crate::check::{Interests, Property, Seen, Violation, What};
use crate::ids::{Epoch, ReplicaId};
use crate::raft::message::Request;
use crate::raft::view::RoleKind;

/// See the module.
#[derive(Debug, Default)]
pub struct OneLeaderPerEpoch {
    leaders: BTreeMap<Epoch, Claim>,
    latest: Option<(Epoch, ReplicaId)>,
}

#[derive(Clone, Copy, Debug)]
struct Claim {
    leader: ReplicaId,
    made_by: usize,
}

impl OneLeaderPerEpoch {
    fn claim(&mut self, seen: &Seen<'_>, epoch: Epoch, leader: Option<ReplicaId>) -> Result<(), Violation> {
        let Some(leader) = leader else { return Ok(()) };
        if self.latest == Some((epoch, leader)) {
            return Ok(());
        }
        let made_by = seen.observation.node;
        let known = *self.leaders.entry(epoch).or_insert(Claim { leader, made_by });
        if known.leader == leader {
            self.latest = Some((epoch, leader));
            return Ok(());
        }
        let Claim { leader: first, made_by: by } = known;
        let message = format!("epoch {epoch}: two leaders, nodes {first} and {leader}, by nodes {by} and {made_by}");
        self.fails(seen, message)
    }
}

impl Property for OneLeaderPerEpoch {
    fn name(&self) -> &'static str {
        "one_leader_per_epoch"
    }

    fn statement(&self) -> &'static str {
        "In an epoch, everybody who ever leads or names a leader means the same node (I1, TLA+ ElectionSafety)."
    }

    fn interests(&self) -> Interests {
        Interests::ELECTION | Interests::QUORUM_STATE | Interests::ASKED | Interests::ANSWERED
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen.observation.what {
            What::Answered { response, .. } => return self.claim(seen, response.epoch, response.leader),
            What::Asked { request: Request::BeginQuorumEpoch(begin) } => {
                return self.claim(seen, begin.epoch, begin.leader);
            }
            What::Asked { request: Request::EndQuorumEpoch(end) } => return self.claim(seen, end.epoch, end.leader),
            What::Asked { .. } => return Ok(()),
            _ => {}
        }
        let Some(mirror) = seen.ledger.node(seen.observation.node) else { return Ok(()) };
        self.claim(seen, mirror.election.epoch, mirror.election.leader)?;
        let Some(state) = mirror.state else { return Ok(()) };
        let leads = state.role == RoleKind::Leader;
        self.claim(seen, state.epoch, if leads { Some(state.key.id) } else { state.leader })
    }

    fn exercised(&self) -> u64 {
        self.leaders.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{Stage, answer, begin};
    use crate::raft::message::ResponseBody;

    #[test]
    fn leaders_of_different_epochs_are_fine() {
        let mut stage = Stage::of(OneLeaderPerEpoch::default(), 3);
        stage.leads(0, 1).unwrap();
        stage.follows(1, 0, 1).unwrap();
        stage.leads(1, 2).unwrap();
        stage.ask(1, &begin(1, 2)).unwrap();
        assert_eq!(stage.exercised(), 2);
    }

    #[test]
    fn two_nodes_that_lead_one_epoch() {
        let mut stage = Stage::of(OneLeaderPerEpoch::default(), 3);
        stage.leads(0, 1).unwrap();
        stage.leads(1, 2).unwrap();
        assert!(stage.leads(2, 1).unwrap_err().message.starts_with("epoch 1: two leaders, nodes 0 and 2"));
    }

    #[test]
    fn an_answer_that_names_another_leader() {
        let mut stage = Stage::of(OneLeaderPerEpoch::default(), 3);
        stage.leads(0, 3).unwrap();
        let told = answer(3, Some(2), ResponseBody::BeginQuorumEpoch);
        assert!(stage.answer(1, &begin(0, 3), &told).is_err());
    }

    #[test]
    fn a_durable_claim_counts_even_when_nobody_speaks_of_it() {
        let mut stage = Stage::of(OneLeaderPerEpoch::default(), 3);
        stage.leads(0, 3).unwrap();
        stage.node(1).persist(3, Some(1), None);
        assert!(stage.step(1).is_err());
    }
}
