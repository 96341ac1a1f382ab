//! Sending fetches: from the leader while it answers, from any bootstrap server otherwise. (Kafka:
//! `maybeSendFetchToBestNode`, `maybeSendFetchToAnyBootstrap`.)
//!
//! One fetch is in flight at most, and none leaves while the own log is not durable to its end (R2): a fetch says "what
//! lies below my offset is safe here". The golden script `a_follower_fetches_only_what_it_can_vouch_for` replays why.

use crate::ids::{Epoch, Offset, ReplicaKey};
use crate::quirk::Quirk;
use crate::raft::calls::{Asked, Peer};
use crate::raft::context::{Context, Leaving};
use crate::raft::message::{FetchRequest, SaidHighWatermark};
use crate::raft::{Destination, Request};

/// Fetches from the leader, or from somebody else if the leader does not answer.
pub(in crate::raft) fn fetch_from_leader(ctx: &mut Context) {
    let Some(offset) = offset_to_fetch(ctx) else { return };
    let Some(leader) = ctx.election.leader else { return };
    let peer = Peer::Replica(leader);
    let is_suspect = std::mem::take(&mut ctx.leader_is_suspect);
    if (is_suspect || !ctx.calls.is_ready(peer)) && send_to_any_bootstrap(ctx, offset, Some(peer)) {
        return;
    }
    if !ctx.calls.is_ready(peer) {
        return;
    }
    let Some(endpoint) = ctx.leader_endpoint().cloned() else { return };
    let key = ctx.voters().find(leader).map_or(ReplicaKey::of(leader), |voter| voter.key);
    send(ctx, peer, Destination { replica: Some(key), endpoint }, offset);
}

/// Fetches from whoever is ready: the answer names the leader.
pub(in crate::raft) fn fetch_from_anybody(ctx: &mut Context) {
    if let Some(offset) = offset_to_fetch(ctx) {
        send_to_any_bootstrap(ctx, offset, None);
    }
}

/// Where the next fetch starts; `None` while none may leave.
fn offset_to_fetch(ctx: &Context) -> Option<Offset> {
    if ctx.calls.is_any_outstanding() || matches!(ctx.leaving, Some(Leaving::Closing(_) | Leaving::Stopped)) {
        return None;
    }
    // R2, on the retry path too.
    let is_durable = ctx.log.flushed() == ctx.log.end();
    let skips_rule = ctx.fetch_is_retry && ctx.quirks().has(Quirk::RetryFetchesUnflushed);
    (is_durable || skips_rule).then(|| ctx.log.flushed())
}

/// Starts at a random server and takes the first that is ready, other than `besides`.
fn send_to_any_bootstrap(ctx: &mut Context, offset: Offset, besides: Option<Peer>) -> bool {
    let by_endpoint = !ctx.config.bootstrap.is_empty();
    let count = if by_endpoint { ctx.config.bootstrap.len() } else { ctx.remote_voters().count() };
    if count == 0 {
        return false;
    }
    let first = ctx.prng.below(count as u64) as usize;
    for index in (0..count).map(|step| (first + step) % count) {
        let (peer, to) = if by_endpoint {
            let endpoint = ctx.config.bootstrap[index].clone();
            (Peer::Bootstrap(index), Destination { replica: None, endpoint })
        } else {
            let Some(voter) = ctx.remote_voters().nth(index) else { continue };
            let Some(listener) = voter.endpoints.first() else { continue };
            let endpoint = listener.endpoint.clone();
            (Peer::Replica(voter.key.id), Destination { replica: Some(voter.key), endpoint })
        };
        if ctx.calls.is_ready(peer) && Some(peer) != besides {
            send(ctx, peer, to, offset);
            return true;
        }
    }
    false
}

fn send(ctx: &mut Context, peer: Peer, to: Destination, offset: Offset) {
    let last_epoch = match offset.0.checked_sub(1) {
        _ if offset == ctx.log.end() => ctx.log.last_epoch(),
        Some(last) => ctx.log.epochs().epoch_at(Offset(last)).unwrap_or(Epoch::ZERO),
        None => Epoch::ZERO,
    };
    let request = FetchRequest {
        replica: Some(ctx.key),
        epoch: ctx.election.epoch,
        offset: Some(offset),
        last_epoch: Some(last_epoch),
        high_watermark: SaidHighWatermark::Known(ctx.high_watermark),
        max_wait: ctx.config.fetch_max_wait,
        max_bytes: ctx.config.fetch_bytes_max,
    };
    ctx.send(peer, to, Asked::Fetch(offset), Request::Fetch(request));
}
