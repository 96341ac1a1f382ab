//! Proposals of producers: admitted, stamped, appended, and answered when they are what the producer asked for.
//!
//! A refusal means that nothing entered the log. After the append there is no way back: the answer is where it was
//! committed, where it was flushed, or that nobody knows (`Unknown`), because a later leader may yet commit it.

use std::collections::VecDeque;

use crate::ids::Offset;
use crate::log::producers::{Admission, SequenceError};
use crate::quirk::Quirk;
use crate::raft::context::Context;
use crate::raft::parked::Parked;
use crate::raft::role::leader::Leader;
use crate::raft::{Acks, Answer, Proposed, Refusal, Ticket};
use crate::record::RecordBatch;
use crate::time::Instant;

/// Everything that was appended and not answered.
#[derive(Debug, Default)]
pub(in crate::raft) struct Proposals {
    waiting: Parked<Proposal>,
    /// In log order; a ticket that has expired meanwhile is no longer in `waiting`.
    for_flush: VecDeque<(Offset, Ticket)>,
    /// In log order, as above.
    for_commit: VecDeque<(Offset, Ticket)>,
    /// Retries of batches that are in the log and not committed: rare and in no order.
    duplicates: Vec<(Offset, Ticket)>,
}

#[derive(Debug)]
struct Proposal {
    base: Offset,
}

/// What becomes of a proposal that passed all checks.
enum Fate {
    Append,
    Duplicate { base: Offset, end: Offset },
}

impl Leader {
    pub fn is_full(&self, ctx: &Context) -> bool {
        self.proposals.is_full(ctx)
    }

    pub fn on_propose(
        &mut self,
        ctx: &mut Context,
        ticket: Ticket,
        acks: Acks,
        deadline: Instant,
        batches: Vec<RecordBatch>,
    ) {
        // The deadline bounds the wait for replication; without that wait there is nothing to be late for.
        if acks == Acks::All && deadline <= ctx.instant() {
            return ctx.refuse(ticket, Refusal::TimedOut);
        }
        match judge(ctx, &self.proposals, self.forgotten_below(ctx), &batches) {
            Err(refusal) => ctx.refuse(ticket, refusal),
            Ok(Fate::Duplicate { .. }) if acks == Acks::None => {
                ctx.answer(ticket, Answer::Proposed(Proposed::Unknown));
            }
            Ok(Fate::Duplicate { base, end }) => self.proposals.await_original(ctx, ticket, deadline, (base, end)),
            Ok(Fate::Append) => {
                let base = ctx.log.end();
                let stamped = stamp(ctx, batches);
                ctx.append(stamped);
                self.proposals.await_outcome(ctx, ticket, acks, deadline, base);
                self.on_appended(ctx);
            }
        }
    }

    /// What producers wrote below is not known: nothing, because tables of producers follow the log.
    fn forgotten_below(&self, ctx: &Context) -> Offset {
        if ctx.quirks().has(Quirk::ProducersForgottenAtFailover) { self.epoch_start } else { Offset::ZERO }
    }
}

impl Proposals {
    /// The own log is durable further: `acks=1` is content.
    pub fn on_flushed(&mut self, ctx: &mut Context) {
        while let Some(&(end, ticket)) = self.for_flush.front().filter(|(end, _)| *end <= ctx.log.flushed()) {
            assert!(end <= ctx.log.end(), "a leader does not truncate");
            self.for_flush.pop_front();
            if let Some(proposal) = self.waiting.take(ticket) {
                ctx.answer(ticket, Answer::Proposed(Proposed::Appended(proposal.what.base)));
            }
        }
    }

    /// The high watermark has risen: `acks=all` is content, and so are retries of what it covers.
    pub fn on_committed(&mut self, ctx: &mut Context) {
        let Some(high_watermark) = ctx.high_watermark else { return };
        while let Some(&(_, ticket)) = self.for_commit.front().filter(|(end, _)| *end <= high_watermark) {
            self.for_commit.pop_front();
            if let Some(proposal) = self.waiting.take(ticket) {
                ctx.answer(ticket, Answer::Proposed(Proposed::Committed(proposal.what.base)));
            }
        }
        let waiting = &mut self.waiting;
        self.duplicates.retain(|&(end, ticket)| {
            if end > high_watermark {
                return true;
            }
            if let Some(proposal) = waiting.take(ticket) {
                ctx.answer(ticket, Answer::Proposed(Proposed::Duplicate(proposal.what.base)));
            }
            false
        });
    }

    pub fn expire(&mut self, ctx: &mut Context) {
        for proposal in self.waiting.take_due(ctx.instant()) {
            ctx.answer(proposal.ticket, Answer::Proposed(Proposed::Unknown));
        }
        if self.waiting.is_empty() {
            self.for_flush.clear();
            self.for_commit.clear();
            self.duplicates.clear();
        }
    }

    pub fn end(&mut self, ctx: &mut Context) {
        for proposal in self.waiting.take_all(|_| true) {
            ctx.answer(proposal.ticket, Answer::Proposed(Proposed::Unknown));
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.waiting.deadline()
    }

    fn is_full(&self, ctx: &Context) -> bool {
        ctx.log.unflushed_bytes() >= ctx.config.unflushed_bytes_max || self.waiting.len() >= ctx.config.parked_max
    }

    fn await_outcome(&mut self, ctx: &mut Context, ticket: Ticket, acks: Acks, deadline: Instant, base: Offset) {
        let end = ctx.log.end();
        match acks {
            // Nobody listens, and nothing is promised.
            Acks::None => return ctx.answer(ticket, Answer::Proposed(Proposed::Unknown)),
            Acks::All if ctx.quirks().has(Quirk::AcksWhenFlushed) => self.for_flush.push_back((end, ticket)),
            Acks::Leader => self.for_flush.push_back((end, ticket)),
            Acks::All => self.for_commit.push_back((end, ticket)),
        }
        self.waiting.park(ticket, deadline, Proposal { base });
    }

    /// A retry is answered when the original is committed, and with the original's place.
    fn await_original(&mut self, ctx: &mut Context, ticket: Ticket, deadline: Instant, original: (Offset, Offset)) {
        let (mut base, end) = original;
        if ctx.quirks().has(Quirk::DuplicateAckedAtEnd) {
            base = ctx.log.end();
        }
        if end <= ctx.committed {
            return ctx.answer(ticket, Answer::Proposed(Proposed::Duplicate(base)));
        }
        self.duplicates.push((end, ticket));
        self.waiting.park(ticket, deadline, Proposal { base });
    }
}

/// Whether these batches may enter the log.
fn judge(
    ctx: &Context,
    proposals: &Proposals,
    forgotten_below: Offset,
    batches: &[RecordBatch],
) -> Result<Fate, Refusal> {
    let is_unfit = |batch: &RecordBatch| batch.is_control() || batch.size_bytes() > ctx.config.batch_bytes_max;
    // Kafka allows an idempotent producer one batch per partition and request; so sequences are judged one by one.
    let is_one_of_many = |batch: &RecordBatch| batches.len() > 1 && batch.producer().is_some();
    if batches.is_empty() || batches.iter().any(|batch| is_unfit(batch) || is_one_of_many(batch)) {
        return Err(Refusal::InvalidRecord);
    }
    if proposals.is_full(ctx) {
        return Err(Refusal::Busy);
    }
    match ctx.log.producers().admit(&batches[0], ctx.log.start()) {
        Ok(Admission::Append) => Ok(Fate::Append),
        Ok(Admission::Duplicate { end, .. }) if end <= forgotten_below => Ok(Fate::Append),
        Ok(Admission::Duplicate { base, end }) => Ok(Fate::Duplicate { base, end }),
        Err(SequenceError::OutOfOrder) if ctx.quirks().has(Quirk::SequenceGapsAccepted) => Ok(Fate::Append),
        Err(error) => Err(Refusal::Sequence(error)),
    }
}

/// Gives the batches their place in the log. Neither offset nor epoch is covered by the checksum.
fn stamp(ctx: &Context, batches: Vec<RecordBatch>) -> Vec<RecordBatch> {
    let mut base = ctx.log.end();
    let place = |batch: RecordBatch| {
        let stamped = batch.stamped(base, ctx.election.epoch);
        base = stamped.end();
        stamped
    };
    batches.into_iter().map(place).collect()
}
