//! Prospective: asks whether an election would succeed before it disturbs anybody with a new epoch (KIP-996).
//!
//! Nothing changes on disk when a replica becomes prospective: the epoch, the vote and the known leader stay.

use crate::raft::calls::Peer;
use crate::raft::context::{Context, next_epoch};
use crate::raft::role::campaign::{self, Ballot, Poll, Tally};
use crate::raft::role::{Next, Transition};
use crate::time::Instant;

/// The state of a prospective candidate.
#[derive(Debug)]
pub(in crate::raft) struct Prospective {
    pub tally: Tally,
    pub election_deadline: Instant,
}

impl Prospective {
    pub fn poll(&mut self, ctx: &mut Context) -> Next {
        // Leaving for good, it stands back for the others.
        if !ctx.may_campaign() {
            return Next::Become(self.back(ctx));
        }
        // An election would succeed: hold it, if there is an epoch left to hold it in.
        if self.tally.is_won() && next_epoch(ctx.election.epoch).is_some() {
            return Next::Become(Transition::Candidate);
        }
        if self.tally.is_lost() || self.election_deadline <= ctx.instant() {
            return Next::Become(self.back(ctx));
        }
        campaign::ask_for_votes(ctx, &self.tally, Poll::PreVote);
        Next::Stay
    }

    pub fn on_ballot(&mut self, from: Peer, ballot: Ballot) -> Next {
        if let Peer::Replica(id) = from {
            self.tally.record(id, ballot);
        }
        Next::Stay
    }

    /// Back to the leader, if it can be reached; it may well be alive.
    fn back(&self, ctx: &Context) -> Transition {
        let epoch = ctx.election.epoch;
        let leader = ctx.election.leader;
        match (leader, ctx.leader_endpoint().cloned()) {
            (Some(leader), Some(endpoint)) if leader != ctx.key.id => Transition::Follower { epoch, leader, endpoint },
            _ => Transition::Unattached { epoch, leader },
        }
    }
}
