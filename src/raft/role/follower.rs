//! Follower: copies the leader's log, one fetch at a time; its next fetch is its acknowledgement.

use crate::ids::{Epoch, Offset};
use crate::quirk::Quirk;
use crate::raft::Note;
use crate::raft::calls::Peer;
use crate::raft::context::{Context, Recovering};
use crate::raft::message::{FetchResponse, Fetched};
use crate::raft::role::{Next, Transition, fetching};
use crate::record::{ControlRecord, RecordBatch};
use crate::time::Instant;

/// The state of a follower.
#[derive(Debug)]
pub(in crate::raft) struct Follower {
    /// When a voter stops waiting for its leader.
    pub fetch_deadline: Instant,
    /// Whether this leader has answered a fetch in this stint: if so, no pre-vote against it. (KIP-996.)
    pub has_fetched: bool,
    /// How far the leader says the confirmed prefix is committed. It counts as far as the own log is flushed: what is
    /// applied here must not be lost here. (Kafka flushes before it raises the high watermark.)
    pub promised: Option<Offset>,
}

impl Follower {
    pub fn poll(&mut self, ctx: &mut Context) -> Next {
        if self.is_patient(ctx) || self.fetch_deadline > ctx.instant() {
            fetching::fetch_from_leader(ctx);
            return Next::Stay;
        }
        if ctx.quirks().has(Quirk::BeginQuorumErasesVote) {
            (ctx.election.leader, ctx.election.leader_endpoint) = (None, None);
        }
        Next::Become(Transition::Prospective)
    }

    pub fn deadline(&self, ctx: &Context) -> Option<Instant> {
        (!self.is_patient(ctx)).then_some(self.fetch_deadline)
    }

    /// Observers and recovering replicas have no other choice; a node that is leaving needs no election.
    fn is_patient(&self, ctx: &Context) -> bool {
        !ctx.may_campaign()
    }

    /// The leader's answer to a fetch from `asked`, the log's end since. (Kafka: `handleFetchResponse`.)
    pub fn on_fetched(&mut self, ctx: &mut Context, from: Peer, asked: Offset, response: FetchResponse) -> Next {
        let accepted = match response.found {
            Fetched::Records(batches) => self.accept_records(ctx, asked, batches, response.high_watermark),
            Fetched::Diverging { epoch, end } => {
                if ctx.quirks().has(Quirk::DivergingRaisesHighWatermark) {
                    raise_high_watermark(ctx, response.high_watermark, ctx.log.end());
                }
                self.promised = None;
                accept_divergence(ctx, epoch, end)
            }
            Fetched::Snapshot(_) => Err("a snapshot was offered, and none can be taken"),
        };
        if let Err(what) = accepted {
            ctx.contradiction(what);
            ctx.fetch_is_retry = true;
            ctx.back_off(from);
            return Next::Stay;
        }
        self.fetch_deadline = ctx.instant() + ctx.fetch_timeout();
        self.has_fetched = true;
        ctx.fetch_is_retry = false;
        Next::Stay
    }

    /// The own log is flushed further: what was promised counts as far.
    pub fn on_flushed(&mut self, ctx: &mut Context) {
        raise_high_watermark(ctx, self.promised, ctx.log.flushed());
    }

    /// The leader confirms the prefix below `asked` and has more. (Kafka appends whatever comes and swallows corrupt bytes;
    /// ours takes the answer whole or not at all.)
    fn accept_records(
        &mut self,
        ctx: &mut Context,
        asked: Offset,
        mut batches: Vec<RecordBatch>,
        high_watermark: Option<Offset>,
    ) -> Result<(), &'static str> {
        if asked != ctx.log.end() {
            assert!(!ctx.quirks().is_empty(), "a follower's log does not move while its fetch is under way (R4)");
            rewrite_tail(ctx, &mut batches);
        }
        let mut end = ctx.log.end();
        let mut epoch = ctx.log.last_epoch();
        for batch in &batches {
            if batch.base_offset() != end {
                return Err("a batch does not begin where the log ends");
            }
            if batch.leader_epoch() < epoch || batch.leader_epoch() > ctx.election.epoch {
                return Err("a batch has an epoch that cannot follow");
            }
            if batch.is_control() && ControlRecord::parse_batch(batch).is_err() {
                // Recovery would refuse a log that holds it.
                return Err("a control batch cannot be read");
            }
            (end, epoch) = (batch.end(), batch.leader_epoch());
        }
        if !batches.is_empty() {
            ctx.append(batches);
        }
        // R3: this answer confirmed the prefix, so its high watermark counts, up to the end of that prefix.
        self.promised = high_watermark.map(|told| told.min(ctx.log.end())).or(self.promised);
        self.on_flushed(ctx);
        note_progress_of_recovery(ctx, high_watermark);
        Ok(())
    }
}

/// The leader's log departs from this one: keep what both have. (Kafka: `truncateToEndOffset`.)
fn accept_divergence(ctx: &mut Context, epoch: Epoch, end: Offset) -> Result<(), &'static str> {
    let (own_epoch, own_end) = ctx.log.end_of_epoch(epoch);
    let keep = match () {
        () if epoch == Epoch::ZERO => end,
        () if own_epoch == epoch => own_end.min(end),
        () => own_end,
    };
    // A leader that lies about its batches may name a place inside one of ours.
    let keep = ctx.log.boundary(keep);
    if keep < ctx.log.start() || keep >= ctx.log.end() {
        return Err("a divergence outside the log");
    }
    if keep < ctx.committed && ctx.quirks().is_empty() {
        return Err("a divergence below the high watermark");
    }
    ctx.note(Note::Diverged { keep });
    ctx.truncate(keep);
    Ok(())
}

fn raise_high_watermark(ctx: &mut Context, told: Option<Offset>, bound: Offset) {
    let Some(told) = told else { return };
    let to = told.min(bound);
    if ctx.high_watermark.is_none_or(|known| known < to) {
        ctx.raise_high_watermark(to);
    }
}

/// R11: the first high watermark told by a leader above the marker is what must be flushed before recovering ends.
fn note_progress_of_recovery(ctx: &mut Context, told: Option<Offset>) {
    let epoch = ctx.election.epoch;
    if let Some(Recovering { above, until_flushed: until @ None }) = &mut ctx.recovering
        && epoch > *above
    {
        *until = told;
    }
}

/// Only for quirks that let an answer meet a log it was not asked for: the answer wins.
fn rewrite_tail(ctx: &mut Context, batches: &mut Vec<RecordBatch>) {
    if ctx.quirks().has(Quirk::RetryFetchesUnflushed) {
        batches.retain(|batch| batch.base_offset() >= ctx.log.end());
    } else if let Some(first) = batches.first().map(RecordBatch::base_offset)
        && first < ctx.log.end()
        && first >= ctx.log.start()
    {
        ctx.truncate(first);
    }
}
