//! Candidate: has voted for itself in an epoch of its own, on disk, and asks the others to.

use crate::raft::calls::Peer;
use crate::raft::context::Context;
use crate::raft::role::campaign::{self, Ballot, Poll, Tally};
use crate::raft::role::{Next, Transition};
use crate::time::Instant;

/// The state of a candidate.
#[derive(Debug)]
pub(in crate::raft) struct Candidate {
    pub tally: Tally,
    pub election_deadline: Instant,
}

impl Candidate {
    pub fn poll(&mut self, ctx: &mut Context) -> Next {
        // Leaving for good, it asks nobody any more: its epoch may end without a leader, or in somebody's later one.
        if !ctx.may_campaign() {
            return Next::Stay;
        }
        if self.tally.is_won() {
            return Next::Become(Transition::Leader { granting: self.tally.granting() });
        }
        // A lost election is waited out (KAFKA-18345): rivals with the same luck come back at different times.
        if self.election_deadline <= ctx.instant() {
            return Next::Become(Transition::Prospective);
        }
        campaign::ask_for_votes(ctx, &self.tally, Poll::Vote);
        Next::Stay
    }

    pub fn deadline(&self, ctx: &Context) -> Option<Instant> {
        ctx.may_campaign().then_some(self.election_deadline)
    }

    pub fn on_ballot(&mut self, from: Peer, ballot: Ballot) -> Next {
        if let Peer::Replica(id) = from {
            self.tally.record(id, ballot);
        }
        Next::Stay
    }
}
