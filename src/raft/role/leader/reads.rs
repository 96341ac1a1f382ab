//! Reads of consumers: committed records only. A read at or above the high watermark, or while that is unknown, waits;
//! it is out of range only outside start..end, which is what a client takes for "my offset was never written".

use bytes::Bytes;

use crate::ids::Offset;
use crate::log::Gone;
use crate::log::log::Slice;
use crate::quirk::Quirk;
use crate::raft::context::{Context, batches_from};
use crate::raft::role::leader::Leader;
use crate::raft::role::leader::loads::Loading;
use crate::raft::{Answer, ReadLimits, Refusal, Ticket};
use crate::record::RecordBatch;

/// A read that waits for a commit, or for the disk.
#[derive(Clone, Copy, Debug)]
pub(in crate::raft) struct ParkedRead {
    pub ticket: Ticket,
    pub from: Offset,
    pub limits: ReadLimits,
}

/// Whether a read may be parked (again).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    MayWait,
    AnswerNow,
}

impl Leader {
    pub fn on_read(&mut self, ctx: &mut Context, ticket: Ticket, from: Offset, limits: ReadLimits) {
        if from < ctx.log.start() || from > ctx.log.end() {
            return ctx.refuse(ticket, Refusal::OutOfRange);
        }
        let read = ParkedRead { ticket, from, limits };
        let is_patient = limits.deadline > ctx.instant() && self.reads.len() < ctx.config.parked_max;
        self.serve_read(ctx, read, if is_patient { Patience::MayWait } else { Patience::AnswerNow });
    }

    /// The high watermark has risen: some reads have enough.
    pub(super) fn release_reads(&mut self, ctx: &mut Context) {
        let Some(high_watermark) = ctx.high_watermark else { return };
        for parked in self.reads.take_all(|parked| parked.what.from < high_watermark) {
            self.serve_read(ctx, parked.what, Patience::MayWait);
        }
    }

    pub(super) fn expire_reads(&mut self, ctx: &mut Context) {
        for parked in self.reads.take_due(ctx.instant()) {
            self.serve_read(ctx, parked.what, Patience::AnswerNow);
        }
    }

    /// The disk has brought what a read asked for. What is committed never changes, so it still holds.
    pub(super) fn on_read_loaded(&mut self, ctx: &mut Context, read: ParkedRead, bytes: Result<Bytes, Gone>) {
        let below = readable_end(ctx);
        let batches = bytes.map(|bytes| batches_from(&bytes, read.from, below, read.limits.bytes_max));
        match batches {
            Ok(batches) if !batches.is_empty() => read.answer(ctx, batches),
            _ => ctx.refuse(read.ticket, Refusal::Busy),
        }
    }

    pub(super) fn end_reads(&mut self, ctx: &mut Context) {
        for parked in self.reads.take_all(|_| true) {
            ctx.refuse_not_leader(parked.ticket);
        }
    }

    /// Answers a read, or parks it while it has too little and may wait.
    fn serve_read(&mut self, ctx: &mut Context, read: ParkedRead, patience: Patience) {
        let below = readable_end(ctx);
        match ctx.log.read(read.from, below, read.limits.bytes_max) {
            Slice::Cold => self.load(ctx, Loading::Read(read)),
            Slice::Batches(batches) => {
                let bytes: usize = batches.iter().map(RecordBatch::size_bytes).sum();
                let is_enough = bytes >= read.limits.bytes_min.min(read.limits.bytes_max);
                if is_enough || patience == Patience::AnswerNow {
                    return read.answer(ctx, batches);
                }
                self.reads.park(read.ticket, read.limits.deadline, read);
            }
        }
    }
}

impl ParkedRead {
    pub fn answer(self, ctx: &mut Context, batches: Vec<RecordBatch>) {
        let (start, mut high_watermark) = (ctx.log.start(), ctx.high_watermark);
        if ctx.quirks().has(Quirk::ReadsUncommitted) || ctx.quirks().has(Quirk::TellsEndAsHighWatermark) {
            high_watermark = Some(ctx.log.end());
        }
        ctx.answer(self.ticket, Answer::Records { batches, start, high_watermark });
    }
}

/// Where what consumers may read ends.
fn readable_end(ctx: &Context) -> Offset {
    if ctx.quirks().has(Quirk::ReadsUncommitted) {
        return ctx.log.end();
    }
    ctx.high_watermark.unwrap_or(ctx.log.start())
}
