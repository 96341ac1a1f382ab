//! Resigned: led this epoch and leads it no more. Tells the voters who should follow, and never votes in this epoch.

use crate::ids::{ReplicaId, ReplicaKey};
use crate::raft::Request;
use crate::raft::calls::{Asked, Peer};
use crate::raft::context::{Context, next_epoch};
use crate::raft::message::EndQuorumEpochRequest;
use crate::raft::role::{Next, Transition};
use crate::time::Instant;

/// The state of a former leader.
#[derive(Debug)]
pub(in crate::raft) struct Resigned {
    /// Who should follow, best first; empty after a restart, which tells everybody to campaign at once.
    pub successors: Vec<ReplicaKey>,
    /// Voters that have not acknowledged.
    pub untold: Vec<ReplicaId>,
    pub election_deadline: Instant,
}

impl Resigned {
    pub fn poll(&mut self, ctx: &mut Context) -> Next {
        if self.election_deadline <= ctx.instant() {
            // KAFKA-17642: on to the next epoch without campaigning for it, unless this node is leaving for good.
            match next_epoch(ctx.election.epoch) {
                Some(epoch) if ctx.leaving.is_none() => {
                    return Next::Become(Transition::Unattached { epoch, leader: None });
                }
                _ => self.election_deadline = ctx.random_election_deadline(),
            }
        }
        for index in 0..self.untold.len() {
            let id = self.untold[index];
            if !ctx.calls.is_ready(Peer::Replica(id)) {
                continue;
            }
            let request = EndQuorumEpochRequest {
                epoch: ctx.election.epoch,
                leader: Some(ctx.key.id),
                successors: self.successors.clone(),
                endpoints: ctx.config.listeners.clone(),
            };
            ctx.send_to_voter(id, Asked::EndQuorumEpoch, Request::EndQuorumEpoch(request));
        }
        Next::Stay
    }

    /// A voter has taken note.
    pub fn on_told(&mut self, from: Peer) -> Next {
        self.untold.retain(|id| Peer::Replica(*id) != from);
        Next::Stay
    }
}
