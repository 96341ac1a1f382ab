//! Who says yes to a leader has heard it.
//!
//! When a node answers BeginQuorumEpoch or EndQuorumEpoch of epoch e without error, it knows the sender as the leader of e,
//! or has gone on to a later epoch. A candidate that goes on campaigning against the winner of its own epoch, or a voter that
//! takes no note of who leads, says yes as well, and costs the quorum an election.
//!
//! Source: Kafka's `KafkaRaftClient.handleBeginQuorumEpochRequest`, which answers after `maybeTransition`.

use crate::check::{Interests, Property, Seen, Violation, What};
use crate::raft::message::{ErrorCode, Request};

/// See the module.
#[derive(Debug, Default)]
pub struct LeadersAreHeeded {
    answers: u64,
}

impl Property for LeadersAreHeeded {
    fn name(&self) -> &'static str {
        "leaders_are_heeded"
    }

    fn statement(&self) -> &'static str {
        "A node that accepts a message of a leader knows it as the leader of that epoch (KIP-595)."
    }

    fn interests(&self) -> Interests {
        Interests::ANSWERED
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let What::Answered { request, response } = seen.observation.what else { return Ok(()) };
        let (epoch, leader) = match request {
            Request::BeginQuorumEpoch(begin) => (begin.epoch, begin.leader),
            Request::EndQuorumEpoch(end) => (end.epoch, end.leader),
            Request::Vote(_) | Request::Fetch(_) => return Ok(()),
        };
        let node = seen.observation.node;
        let state = seen.ledger.node(node).and_then(|mirror| mirror.state);
        let Some(state) = state.filter(|_| response.error == ErrorCode::None) else { return Ok(()) };
        self.answers += 1;
        if state.epoch > epoch || (state.epoch == epoch && state.leader == leader) {
            return Ok(());
        }
        let (role, known, own) = (state.role.name(), state.leader, state.epoch);
        let message = format!(
            "node {node} accepts {leader:?} as leader of epoch {epoch}, and is {role} in epoch {own} with leader {known:?}"
        );
        self.fails(seen, message)
    }

    fn exercised(&self) -> u64 {
        self.answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{Stage, answer, begin};
    use crate::raft::message::ResponseBody;
    use crate::raft::view::RoleKind;

    fn accepts(stage: &mut Stage, epoch: u32) -> Result<(), Violation> {
        stage.answer(1, &begin(0, epoch), &answer(epoch, Some(0), ResponseBody::BeginQuorumEpoch))
    }

    #[test]
    fn who_accepts_follows() {
        let mut stage = Stage::of(LeadersAreHeeded::default(), 3);
        stage.follows(1, 0, 4).unwrap();
        accepts(&mut stage, 4).unwrap();
        stage.is(1, RoleKind::Unattached, 5).unwrap();
        accepts(&mut stage, 4).unwrap();
    }

    #[test]
    fn a_candidate_that_accepts_and_campaigns_on() {
        let mut stage = Stage::of(LeadersAreHeeded::default(), 3);
        stage.is(1, RoleKind::Candidate, 4).unwrap();
        assert!(accepts(&mut stage, 4).unwrap_err().message.ends_with("is candidate in epoch 4 with leader None"));
    }
}
