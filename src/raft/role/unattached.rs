//! Unattached: no known way to follow anybody. Waits for a leader to be named, or for the election timeout; asks around
//! meanwhile (KAFKA-17030). A vote in this epoch, if any, stands in the election state.

use crate::raft::context::Context;
use crate::raft::role::{Next, Transition, fetching};
use crate::time::Instant;

/// The state of an unattached replica.
#[derive(Debug)]
pub(in crate::raft) struct Unattached {
    /// When a voter campaigns; `None` for whoever may not.
    pub election_deadline: Option<Instant>,
}

impl Unattached {
    pub fn poll(&mut self, ctx: &mut Context) -> Next {
        if !ctx.may_campaign() {
            self.election_deadline = None;
        } else if self.election_deadline.is_none() {
            // Recovering is over, or this replica was made a voter: from here on it may campaign.
            self.election_deadline = Some(ctx.random_election_deadline());
        }
        if self.election_deadline.is_some_and(|deadline| deadline <= ctx.instant()) {
            return Next::Become(Transition::Prospective);
        }
        fetching::fetch_from_anybody(ctx);
        Next::Stay
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.election_deadline
    }
}
