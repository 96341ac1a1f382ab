//! Fetches of replicas: the acknowledgement of what lies below them, and the request for what follows. (Kafka:
//! `KafkaRaftClient.tryCompleteFetchRequest`.)
//!
//! A fetch is answered at once if there is anything to say: records, a divergence, a higher high watermark than the
//! fetcher knows (KIP-1166), a linearizable read that waits for it (R10). Otherwise it is parked, and whatever releases it
//! computes the answer anew: Kafka's stale answer at expiry (KAFKA-15100) does not exist here.

use bytes::Bytes;

use crate::ids::{Offset, ReplicaKey};
use crate::log::Gone;
use crate::log::log::{Position, Slice};
use crate::quirk::Quirk;
use crate::raft::context::{Context, batches_from};
use crate::raft::message::{FetchRequest, FetchResponse, Fetched, ResponseBody, SaidHighWatermark};
use crate::raft::role::leader::Leader;
use crate::raft::role::leader::loads::Loading;
use crate::raft::{ErrorCode, LinkId, Ticket};
use crate::record::RecordBatch;

/// A fetch that waits for records, or for the disk to bring them.
#[derive(Clone, Copy, Debug)]
pub(in crate::raft) struct ParkedFetch {
    pub ticket: Ticket,
    pub link: LinkId,
    pub replica: Option<ReplicaKey>,
    pub offset: Offset,
    pub request: FetchRequest,
}

impl ParkedFetch {
    pub fn bytes_max(&self, ctx: &Context) -> usize {
        self.request.max_bytes.min(ctx.config.fetch_bytes_max)
    }
}

impl Leader {
    /// A fetch of this epoch whose fields make sense.
    pub fn on_fetch(&mut self, ctx: &mut Context, ticket: Ticket, link: LinkId, request: FetchRequest) {
        let (Some(offset), Some(last_epoch)) = (request.offset, request.last_epoch) else {
            return ctx.respond_fetch_error(ticket, ErrorCode::InvalidRequest);
        };
        let fetch = ParkedFetch { ticket, link, replica: request.replica, offset, request };
        if let Some(key) = fetch.replica {
            self.note_fetch(ctx, key, link);
            self.supersede(ctx, key);
            self.release_confirms(ctx);
        }
        match ctx.log.position(offset, last_epoch) {
            Position::Valid => self.serve(ctx, fetch),
            Position::Diverging { epoch, end } => self.reply(ctx, &fetch, Fetched::Diverging { epoch, end }),
            // No snapshot can be offered yet.
            Position::BeforeStart => {
                self.note_answer(&fetch);
                ctx.respond_fetch_error(ticket, ErrorCode::OffsetOutOfRange);
            }
        }
    }

    /// The fetcher's prefix is this log's: its end counts, and it gets what follows.
    fn serve(&mut self, ctx: &mut Context, fetch: ParkedFetch) {
        match ctx.log.read(fetch.offset, ctx.log.end(), fetch.bytes_max(ctx)) {
            Slice::Batches(batches) => self.serve_batches(ctx, fetch, batches),
            Slice::Cold => self.load(ctx, Loading::Fetch(fetch)),
        }
    }

    fn serve_batches(&mut self, ctx: &mut Context, fetch: ParkedFetch, batches: Vec<RecordBatch>) {
        // A fetch into the midst of a batch vouches for none of it.
        let end = batches.first().map_or(fetch.offset, |first| first.base_offset().min(fetch.offset));
        if let Some(key) = fetch.replica {
            let index = self.find_or_track(ctx, key);
            self.note_progress(ctx, index, end);
            // Before the answer is built, so that it carries the new high watermark.
            self.update_high_watermark(ctx);
        }
        let is_answered_at_once = !batches.is_empty()
            || fetch.request.max_wait.is_zero()
            || knows_less(ctx, &fetch.request)
            || fetch.replica.is_some_and(|key| self.is_awaited_by_a_confirm(key))
            || self.fetches.len() >= ctx.config.parked_max;
        if is_answered_at_once {
            return self.reply(ctx, &fetch, Fetched::Records(batches));
        }
        self.fetches.park(fetch.ticket, ctx.instant() + fetch.request.max_wait, fetch);
    }

    /// The disk has brought what a fetch asked for. The leader's log only grows, so its position still holds.
    pub(super) fn on_fetch_loaded(&mut self, ctx: &mut Context, fetch: ParkedFetch, bytes: Result<Bytes, Gone>) {
        let batches = bytes.map(|bytes| batches_from(&bytes, fetch.offset, ctx.log.end(), fetch.bytes_max(ctx)));
        match batches {
            Ok(batches) if !batches.is_empty() => self.serve_batches(ctx, fetch, batches),
            _ => {
                self.note_answer(&fetch);
                ctx.respond_fetch_error(fetch.ticket, ErrorCode::UnknownServerError);
            }
        }
    }

    /// The log has grown or the high watermark has risen: answers every parked fetch that this matters to.
    pub(super) fn release_fetches(&mut self, ctx: &mut Context) {
        let end = ctx.log.end();
        for parked in self.fetches.take_all(|parked| parked.what.offset < end || knows_less(ctx, &parked.what.request))
        {
            self.answer_parked(ctx, parked.what);
        }
    }

    /// Answers the parked fetches of voters that a confirm waits for (R10).
    pub(super) fn release_fetches_for_confirms(&mut self, ctx: &mut Context) {
        let is_voter = |key: ReplicaKey| ctx.voters().contains(key);
        for parked in self.fetches.take_all(|parked| parked.what.replica.is_some_and(is_voter)) {
            self.answer_parked(ctx, parked.what);
        }
    }

    pub(super) fn expire_fetches(&mut self, ctx: &mut Context) {
        for parked in self.fetches.take_due(ctx.instant()) {
            self.answer_parked(ctx, parked.what);
        }
    }

    /// Leadership is over: whoever waits here must look elsewhere.
    pub(super) fn end_fetches(&mut self, ctx: &mut Context) {
        for parked in self.fetches.take_all(|_| true) {
            ctx.respond_fetch_error(parked.ticket, ErrorCode::NotLeaderOrFollower);
        }
    }

    /// A replica has one fetch under way; an older one that is still parked, or waits for the disk, has lost its reader.
    fn supersede(&mut self, ctx: &mut Context, key: ReplicaKey) {
        let parked = self.fetches.take_all(|parked| parked.what.replica == Some(key));
        for fetch in parked.into_iter().map(|parked| parked.what).chain(self.loads.take_fetch(key)) {
            self.reply_nothing(ctx, &fetch);
            // The new fetch was sent before this answer: what comes next on that link proves nothing (R10).
            let index = self.find_or_track(ctx, key);
            self.replicas[index].answered = None;
        }
    }

    /// Answers a fetch whose prefix is confirmed without what follows it.
    pub(super) fn reply_nothing(&mut self, ctx: &mut Context, fetch: &ParkedFetch) {
        self.reply(ctx, fetch, Fetched::Records(Vec::new()));
    }

    /// Computes the answer of a parked fetch anew.
    fn answer_parked(&mut self, ctx: &mut Context, fetch: ParkedFetch) {
        match ctx.log.read(fetch.offset, ctx.log.end(), fetch.bytes_max(ctx)) {
            Slice::Batches(batches) => self.reply(ctx, &fetch, Fetched::Records(batches)),
            Slice::Cold => self.load(ctx, Loading::Fetch(fetch)),
        }
    }

    fn reply(&mut self, ctx: &mut Context, fetch: &ParkedFetch, found: Fetched) {
        self.note_answer(fetch);
        let body = FetchResponse { high_watermark: ctx.high_watermark, log_start: ctx.log.start(), found };
        ctx.respond(fetch.ticket, ErrorCode::None, ResponseBody::Fetch(body));
    }

    /// Remembers when and where this replica was answered last (R10).
    fn note_answer(&mut self, fetch: &ParkedFetch) {
        let Some(key) = fetch.replica else { return };
        self.moment += 1;
        let moment = self.moment;
        if let Some(replica) = self.replicas.iter_mut().find(|replica| replica.key.admits(key)) {
            replica.answered = Some((fetch.link, moment));
        }
    }
}

/// KIP-1166: whether the answer would tell the fetcher of a higher high watermark.
fn knows_less(ctx: &Context, request: &FetchRequest) -> bool {
    if ctx.quirks().has(Quirk::HarmlessParksUntilData) {
        return false;
    }
    match request.high_watermark {
        SaidHighWatermark::Unsaid => false,
        SaidHighWatermark::Known(known) => known < ctx.high_watermark,
    }
}
