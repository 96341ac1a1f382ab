//! Linearizable reads: am I still the leader? (R10; the paper calls this a read index.)
//!
//! A confirm that arrives at moment *m* is answered when a majority has fetched *after* an answer that left after *m*, on
//! the same link as that answer. The link matters:
//!
//! 1. A follower sends a fetch; the network holds it.
//! 2. The follower votes for another leader, who commits a record.
//! 3. A client asks this leader for the end of the log. The old fetch arrives. It says nothing about now.
//!
//! A replica sends one request at a time on a link, so a fetch that comes behind an answer was sent after it. The script
//! `a_fetch_sent_before_the_read_confirms_nothing` replays this. Confirms share rounds: one answered fetch serves all
//! that arrived before the answer.

use crate::ids::ReplicaKey;
use crate::quirk::Quirk;
use crate::raft::context::Context;
use crate::raft::role::leader::{Leader, ReplicaState};
use crate::raft::{Answer, LinkId, Refusal, Ticket};
use crate::time::Instant;

/// A confirm that waits for a majority, or for the first commit of this epoch.
#[derive(Clone, Copy, Debug)]
pub(in crate::raft) struct Confirm {
    /// When it arrived, in the leader's own count.
    arrived: u64,
}

/// A fetch that was sent behind an answer.
#[derive(Clone, Copy, Debug)]
pub(in crate::raft) struct Recognition {
    /// When the answer left, in the leader's own count.
    pub after: u64,
    /// Where it left.
    pub answered_on: LinkId,
    /// Where the fetch arrived; the same.
    pub asked_on: LinkId,
}

impl ReplicaState {
    /// The moment that this replica has recognised the leader after; 0 if it has not.
    fn recognised_after(&self) -> u64 {
        self.recognised.map_or(0, |last| last.after)
    }
}

impl Leader {
    /// A client wants to know the high watermark as of now, or later.
    pub fn on_confirm(&mut self, ctx: &mut Context, ticket: Ticket, deadline: Instant) {
        if deadline <= ctx.instant() {
            return ctx.refuse(ticket, Refusal::TimedOut);
        }
        if self.confirms.len() >= ctx.config.parked_max {
            return ctx.refuse(ticket, Refusal::Busy);
        }
        let high_watermark = ctx.high_watermark.filter(|_| ctx.quirks().has(Quirk::ConfirmsUnasked));
        if let Some(offset) = high_watermark {
            return ctx.answer(ticket, Answer::Confirmed { offset, epoch: ctx.election.epoch });
        }
        self.moment += 1;
        self.confirms.park(ticket, deadline, Confirm { arrived: self.moment });
        self.release_fetches_for_confirms(ctx);
        self.release_confirms(ctx);
    }

    /// Answers every confirm that a majority has confirmed, once this epoch has committed something of its own.
    pub(super) fn release_confirms(&mut self, ctx: &mut Context) {
        let is_early = ctx.quirks().has(Quirk::ConfirmsBeforeOwnCommit);
        let own = ctx.high_watermark.filter(|high_watermark| *high_watermark > self.epoch_start);
        let Some(mut high_watermark) = own.or(is_early.then_some(ctx.committed)) else { return };
        if ctx.quirks().has(Quirk::TellsEndAsHighWatermark) {
            high_watermark = ctx.log.end();
        }
        if self.confirms.is_empty() {
            return;
        }
        let confirmed_up_to = self.confirmed_up_to(ctx);
        let epoch = ctx.election.epoch;
        for parked in self.confirms.take_all(|parked| parked.what.arrived < confirmed_up_to) {
            let is_behind =
                |replica: &&ReplicaState| replica.is_voter && replica.recognised_after() > parked.what.arrived;
            let behind = self.replicas.iter().filter(is_behind).count() + usize::from(ctx.is_voter());
            assert!(behind >= ctx.voters().majority(), "a majority recognises the leader after the question (R10)");
            ctx.answer(parked.ticket, Answer::Confirmed { offset: high_watermark, epoch });
        }
    }

    /// Whether an answer to this replica would help a confirm along.
    pub(super) fn is_awaited_by_a_confirm(&self, key: ReplicaKey) -> bool {
        if self.confirms.is_empty() {
            return false;
        }
        let asker = self.replicas.iter().find(|replica| replica.is_voter && replica.key.admits(key));
        let newest = self.confirms.last().map(|parked| parked.what.arrived);
        asker.is_some_and(|replica| newest.is_some_and(|newest| replica.recognised_after() <= newest))
    }

    pub(super) fn expire_confirms(&mut self, ctx: &mut Context) {
        for parked in self.confirms.take_due(ctx.instant()) {
            ctx.refuse(parked.ticket, Refusal::TimedOut);
        }
    }

    pub(super) fn end_confirms(&mut self, ctx: &mut Context) {
        for parked in self.confirms.take_all(|_| true) {
            ctx.refuse_not_leader(parked.ticket);
        }
    }

    /// The moment that a majority has recognised this leader after. The leader itself always does.
    fn confirmed_up_to(&self, ctx: &Context) -> u64 {
        let needed = ctx.voters().majority() - usize::from(ctx.is_voter());
        if needed == 0 {
            return u64::MAX;
        }
        let mut moments: Vec<u64> =
            self.replicas.iter().filter(|replica| replica.is_voter).map(ReplicaState::recognised_after).collect();
        moments.sort();
        moments.len().checked_sub(needed).map_or(0, |index| moments[index])
    }
}
