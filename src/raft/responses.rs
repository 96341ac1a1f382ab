//! What peers answer: the errors in the order of Kafka's handlers, then the role that asked.
//!
//! Where Kafka throws (an answer of INVALID_REQUEST, an inconsistent leader, a body of another kind) or goes on without a
//! pause (error 75, a resigned leader that still names itself), ours backs off from that peer.

use bytes::Bytes;

use crate::log::{Gone, LoadId};
use crate::quirk::Quirk;
use crate::raft::calls::{Asked, Peer};
use crate::raft::context::{Reachable, batches_from, next_epoch};
use crate::raft::message::ResponseBody;
use crate::raft::role::campaign::Ballot;
use crate::raft::role::{Next, Role, Transition};
use crate::raft::{CallError, CallId, Effect, ErrorCode, Note, Replica, Response, transition};

impl Replica {
    /// R4: only the answer to the outstanding call counts.
    pub(super) fn on_response(&mut self, call: CallId, body: Result<Response, CallError>) {
        let mut asked = self.ctx.calls.finish(call);
        if asked.is_none() && self.ctx.quirks().has(Quirk::SupersededAnswerObeyed) {
            asked = self.ctx.calls.finish_superseded(call);
        }
        let Some((peer, asked)) = asked else {
            return self.ctx.note(Note::StaleAnswer);
        };
        let is_there = body.as_ref().is_ok_and(|response| response.error != ErrorCode::BrokerNotAvailable);
        let is_old = body.as_ref().is_err_and(|error| *error == CallError::Unsupported);
        self.ctx.note_reachable(peer, if is_there || is_old { Reachable::Yes } else { Reachable::No });
        match body {
            Ok(response) if response.error == ErrorCode::UnsupportedVersion => self.on_unsupported(peer, asked),
            Ok(response) => self.on_answer(peer, asked, response),
            Err(CallError::Unsupported) => self.on_unsupported(peer, asked),
            Err(CallError::Disconnected) => self.fail(peer, asked),
        }
    }

    /// The disk has brought batches that are no longer in memory.
    pub(super) fn on_loaded(&mut self, load: LoadId, bytes: Result<Bytes, Gone>) {
        if self.ctx.apply_load == Some(load) {
            self.ctx.apply_load = None;
            return self.apply_loaded(bytes);
        }
        // A load for a leadership that is over was forgotten with it.
        if let Role::Leader(leader) = &mut self.role {
            leader.on_loaded(&mut self.ctx, load, bytes);
        }
    }

    fn apply_loaded(&mut self, bytes: Result<Bytes, Gone>) {
        let ctx = &mut self.ctx;
        let bytes_max = ctx.config.fetch_bytes_max;
        let batches =
            bytes.map_or_else(|_| Vec::new(), |bytes| batches_from(&bytes, ctx.applied, ctx.committed, bytes_max));
        let Some(last) = batches.last() else {
            // Committed batches do not go away; what cannot be read now is asked for again at the next advance.
            return ctx.note(Note::Unreadable { from: ctx.applied });
        };
        ctx.applied = last.end();
        ctx.out.push(Effect::Apply { batches });
        ctx.apply();
    }

    /// An answer that counts.
    fn on_answer(&mut self, peer: Peer, asked: Asked, response: Response) {
        let own = self.ctx.election.epoch;
        if response.epoch < own || response.error == ErrorCode::UnknownLeaderEpoch {
            // It lags behind. Asking again at once would only ask again.
            return self.fail(peer, asked);
        }
        let is_redirection = matches!(response.error, ErrorCode::FencedLeaderEpoch | ErrorCode::NotLeaderOrFollower);
        if response.epoch > own || is_redirection {
            self.follow_message(response.epoch, response.leader, response.endpoint);
            if self.ctx.election.epoch == own {
                // Kafka asks a resigned leader again and again at the speed of the network (8.5.13).
                self.fail(peer, asked);
            }
            return;
        }
        let knew_leader = self.ctx.election.leader.is_some();
        if !knew_leader && !self.follow_message(response.epoch, response.leader, response.endpoint.clone()) {
            return self.fail(peer, asked);
        }
        if response.error != ErrorCode::None {
            return self.fail(peer, asked);
        }
        self.deliver(peer, asked, response.body);
    }

    /// Hands an answer without error, of this epoch, to the role that can use it.
    fn deliver(&mut self, peer: Peer, asked: Asked, body: ResponseBody) {
        let ctx = &mut self.ctx;
        let next = match (&mut self.role, asked, body) {
            (Role::Prospective(prospective), Asked::Vote, ResponseBody::Vote { granted }) => {
                prospective.on_ballot(peer, ballot(granted))
            }
            (Role::Candidate(candidate), Asked::Vote, ResponseBody::Vote { granted }) => {
                candidate.on_ballot(peer, ballot(granted))
            }
            (Role::Follower(follower), Asked::Fetch(offset), ResponseBody::Fetch(response)) => {
                follower.on_fetched(ctx, peer, offset, response)
            }
            (Role::Resigned(resigned), Asked::EndQuorumEpoch, ResponseBody::EndQuorumEpoch) => resigned.on_told(peer),
            // Whom the leader told is known from their fetches.
            (Role::Leader(_), Asked::BeginQuorumEpoch, ResponseBody::BeginQuorumEpoch) => Next::Stay,
            // This answer has made a follower of a candidate.
            (_, Asked::Vote, ResponseBody::Vote { .. }) => Next::Stay,
            _ => {
                ctx.contradiction("an answer does not fit its question");
                return self.fail(peer, asked);
            }
        };
        if let Next::Become(transition) = next {
            transition::apply(&mut self.role, &mut self.ctx, transition);
        }
    }

    /// Some voter is too old for pre-votes: hold the election without. (KIP-996.)
    fn on_unsupported(&mut self, peer: Peer, asked: Asked) {
        match (&self.role, asked) {
            (Role::Prospective(_), Asked::Vote) if next_epoch(self.ctx.election.epoch).is_some() => {
                transition::apply(&mut self.role, &mut self.ctx, Transition::Candidate);
            }
            _ => self.fail(peer, asked),
        }
    }

    /// Nothing came of it: leave the peer alone for a while.
    fn fail(&mut self, peer: Peer, asked: Asked) {
        if matches!(asked, Asked::Fetch(_)) {
            self.ctx.fetch_is_retry = true;
        }
        self.ctx.back_off(peer);
    }
}

fn ballot(granted: bool) -> Ballot {
    if granted { Ballot::Granted } else { Ballot::Rejected }
}
