//! What peers ask: the checks of Kafka's handlers in their order, the epoch rules common to all roles, the vote.

use std::time::Duration;

use crate::ids::{Endpoint, Epoch, ReplicaId, ReplicaKey};
use crate::quirk::Quirk;
use crate::raft::calls::Peer;
use crate::raft::context::{Context, Leaving, Reachable, TIMER_MIN};
use crate::raft::message::{BeginQuorumEpochRequest, EndQuorumEpochRequest, FetchRequest, ResponseBody, VoteRequest};
use crate::raft::role::{Role, Transition};
use crate::raft::{ErrorCode, LinkId, Note, Replica, Request, Ticket, transition};
use crate::time::Instant;

impl Replica {
    pub(super) fn on_request(&mut self, ticket: Ticket, link: LinkId, request: Request) {
        if let Some(sender) = request.sender() {
            self.ctx.note_reachable(Peer::Replica(sender), Reachable::Yes);
        }
        let is_closing = matches!(self.ctx.leaving, Some(Leaving::Closing(_)));
        let mut body = ResponseBody::without_result(&request, self.ctx.log.start());
        let error = match request {
            _ if is_closing => ErrorCode::BrokerNotAvailable,
            Request::Vote(request) => {
                let (error, granted) = self.on_vote(request);
                body = ResponseBody::Vote { granted };
                error
            }
            Request::BeginQuorumEpoch(request) => self.on_begin_quorum_epoch(request),
            Request::EndQuorumEpoch(request) => self.on_end_quorum_epoch(request),
            // A fetch may wait; it is answered where it is served.
            Request::Fetch(request) => return self.on_fetch(ticket, link, request),
        };
        self.ctx.respond(ticket, error, body);
    }

    /// (Kafka: `KafkaRaftClient.handleVoteRequest`.)
    fn on_vote(&mut self, request: VoteRequest) -> (ErrorCode, bool) {
        let (Some(last_epoch), Some(_)) = (request.last_epoch, request.last_offset) else {
            return (ErrorCode::InvalidRequest, false);
        };
        // A candidate has bumped its epoch beyond its log's, a prospective has not.
        let is_plausible = last_epoch < request.epoch || (request.pre_vote && last_epoch == request.epoch);
        if !is_plausible {
            return (ErrorCode::InvalidRequest, false);
        }
        if request.epoch < self.ctx.election.epoch {
            return (ErrorCode::FencedLeaderEpoch, false);
        }
        // Kafka asserts that the candidate is somebody else, and dies of it.
        let Some(candidate) = request.candidate.filter(|candidate| candidate.id != self.ctx.key.id) else {
            return (ErrorCode::InvalidRequest, false);
        };
        if request.epoch > self.ctx.election.epoch {
            let unattached = Transition::Unattached { epoch: request.epoch, leader: None };
            transition::apply(&mut self.role, &mut self.ctx, unattached);
        }
        // After the epoch: a message to somebody who used to live here still tells the epoch.
        if !is_for(request.voter, &self.ctx) {
            return (ErrorCode::InvalidVoterKey, false);
        }
        let epoch = self.ctx.election.epoch;
        let granted = would_grant(&self.role, &self.ctx, &request, candidate);
        if !granted {
            self.ctx.note(Note::VoteRefused { epoch, candidate: candidate.id, pre_vote: request.pre_vote });
        } else if !request.pre_vote {
            transition::apply(&mut self.role, &mut self.ctx, Transition::Voted { candidate });
        }
        (ErrorCode::None, granted)
    }

    /// (Kafka: `handleBeginQuorumEpochRequest`.)
    fn on_begin_quorum_epoch(&mut self, request: BeginQuorumEpochRequest) -> ErrorCode {
        if request.epoch < self.ctx.election.epoch {
            return ErrorCode::FencedLeaderEpoch;
        }
        let Some(leader) = request.leader else { return ErrorCode::InvalidRequest };
        if self.ctx.quirks().has(Quirk::BeginQuorumErasesVote) && request.epoch == self.ctx.election.epoch {
            self.ctx.election.vote = None;
        }
        let endpoint = request.endpoints.first().map(|listener| listener.endpoint.clone());
        if !self.follow_message(request.epoch, Some(leader), endpoint) {
            return ErrorCode::InvalidRequest;
        }
        if !is_for(request.voter, &self.ctx) {
            return ErrorCode::InvalidVoterKey;
        }
        ErrorCode::None
    }

    /// (Kafka: `handleEndQuorumEpochRequest`.) The successors campaign one after another, the best one at once.
    fn on_end_quorum_epoch(&mut self, request: EndQuorumEpochRequest) -> ErrorCode {
        if request.epoch < self.ctx.election.epoch {
            return ErrorCode::FencedLeaderEpoch;
        }
        let Some(leader) = request.leader else { return ErrorCode::InvalidRequest };
        let endpoint = request.endpoints.first().map(|listener| listener.endpoint.clone());
        if !self.follow_message(request.epoch, Some(leader), endpoint) {
            return ErrorCode::InvalidRequest;
        }
        let deadline = successor_deadline(&self.ctx, &request.successors);
        if let Role::Follower(follower) = &mut self.role
            && self.ctx.election.leader == Some(leader)
        {
            follower.fetch_deadline = deadline;
        }
        ErrorCode::None
    }

    /// (Kafka: `handleFetchRequest`.) A request of another epoch changes nothing here: the fetcher must move.
    fn on_fetch(&mut self, ticket: Ticket, link: LinkId, request: FetchRequest) {
        let ctx = &mut self.ctx;
        let is_plausible = request.offset.is_some() && request.last_epoch.is_some_and(|last| last <= request.epoch);
        if !is_plausible {
            return ctx.respond_fetch_error(ticket, ErrorCode::InvalidRequest);
        }
        if request.epoch < ctx.election.epoch {
            return ctx.respond_fetch_error(ticket, ErrorCode::FencedLeaderEpoch);
        }
        if request.epoch > ctx.election.epoch {
            return ctx.respond_fetch_error(ticket, ErrorCode::UnknownLeaderEpoch);
        }
        let Role::Leader(leader) = &mut self.role else {
            return ctx.respond_fetch_error(ticket, ErrorCode::NotLeaderOrFollower);
        };
        if request.replica.is_some_and(|replica| replica.id == ctx.key.id) {
            return ctx.respond_fetch_error(ticket, ErrorCode::UnknownServerError);
        }
        leader.on_fetch(ctx, ticket, link, request);
    }

    /// A message of this epoch or a later one names a leader, or none. Moves where that calls for it; `false` when the
    /// message contradicts what is known. (Kafka: `maybeTransition`, which throws there and takes the process down.)
    pub(super) fn follow_message(
        &mut self,
        epoch: Epoch,
        leader: Option<ReplicaId>,
        endpoint: Option<Endpoint>,
    ) -> bool {
        let ctx = &mut self.ctx;
        if epoch < ctx.election.epoch {
            return true;
        }
        let is_self = leader == Some(ctx.key.id);
        let is_later = epoch > ctx.election.epoch;
        let known = ctx.election.leader.filter(|_| !is_later);
        if is_self && (is_later || known != leader) {
            ctx.contradiction("a message says that this replica leads an epoch that it does not");
            if is_later {
                transition::apply(&mut self.role, ctx, Transition::Unattached { epoch, leader: None });
            }
            return false;
        }
        if !is_later && known.is_some() && leader.is_some() && known != leader {
            ctx.contradiction("a message names another leader of this epoch");
            return false;
        }
        let endpoint = leader.and_then(|leader| endpoint.or_else(|| ctx.voters().endpoint(leader).cloned()));
        let can_follow = match &self.role {
            _ if is_later => true,
            Role::Unattached(_) | Role::Candidate(_) => true,
            // A prospective that knows its leader leaves only by losing its pre-vote. (KIP-996.)
            Role::Prospective(_) => known.is_none() || ctx.election.leader_endpoint.is_none(),
            Role::Follower(_) | Role::Leader(_) | Role::Resigned(_) => false,
        };
        let transition = match (leader, endpoint) {
            (Some(leader), Some(endpoint)) if can_follow => Transition::Follower { epoch, leader, endpoint },
            (leader, _) if is_later => Transition::Unattached { epoch, leader },
            _ => return true,
        };
        transition::apply(&mut self.role, ctx, transition);
        true
    }
}

/// Whether a message that names its receiver means this replica.
fn is_for(receiver: Option<ReplicaKey>, ctx: &Context) -> bool {
    receiver.is_none_or(|receiver| receiver.admits(ctx.key))
}

/// The vote table: role, epoch and log against the request. (Kafka: `canGrantVote` of each state.)
fn would_grant(role: &Role, ctx: &Context, request: &VoteRequest, candidate: ReplicaKey) -> bool {
    // R11: a replica that lost synced data does not know what it promised.
    if ctx.recovering.is_some() && !ctx.quirks().has(Quirk::RecoveringVotes) {
        return false;
    }
    let is_up_to_date = (request.last_epoch, request.last_offset) >= (Some(ctx.log.last_epoch()), Some(ctx.log.end()));
    match role {
        // A leader knows of a better one only by a higher epoch.
        Role::Leader(_) => false,
        // The leader answers: no reason to help unseating it. Once it has not, a pre-vote does no harm.
        Role::Follower(follower) => request.pre_vote && !follower.has_fetched && is_up_to_date,
        // The vote of this epoch is spent, or there was a leader.
        Role::Candidate(_) | Role::Resigned(_) => request.pre_vote && is_up_to_date,
        Role::Unattached(_) | Role::Prospective(_) if request.pre_vote => is_up_to_date,
        Role::Unattached(_) | Role::Prospective(_) => match (ctx.election.vote, ctx.election.leader) {
            // The same vote, asked for again: the candidate's log was judged the first time.
            (Some(vote), _) => vote.admits(candidate),
            (None, Some(_)) => false,
            (None, None) => is_up_to_date,
        },
    }
}

/// When a follower of a leaving leader campaigns, by its place among the successors. (Kafka:
/// `LeaderState` / `strictExponentialElectionBackoffMs`.)
fn successor_deadline(ctx: &Context, successors: &[ReplicaKey]) -> Instant {
    let place = successors.iter().position(|successor| successor.admits(ctx.key));
    let wait = successor_wait(ctx.config.election_backoff_max, place, successors.len());
    let is_first = successors.is_empty() || place == Some(0);
    assert!(is_first == wait.is_zero(), "the first successor campaigns at once, and nobody else");
    ctx.instant() + wait
}

/// Each waits twice as long as the one before, the last one, and whoever is not named, `longest`. (In Kafka a long list
/// makes nothing of the first waits; then all would campaign at once and split the votes.)
fn successor_wait(longest: Duration, place: Option<usize>, count: usize) -> Duration {
    let wait = match place {
        _ if count == 0 => return Duration::ZERO,
        Some(0) => return Duration::ZERO,
        None => longest,
        Some(place) => {
            let step = longest / 1u32.checked_shl(count as u32 - 1).unwrap_or(u32::MAX);
            let factor = 1u32.checked_shl(place as u32 - 1).unwrap_or(u32::MAX);
            step.saturating_mul(factor).min(longest)
        }
    };
    wait.max(TIMER_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (Kafka: `QuorumState.strictExponentialElectionBackoffMs`, in its own words, where it does not round to nothing.)
    fn naive(longest_ms: u64, place: usize, count: usize) -> u64 {
        if place == 0 {
            return 0;
        }
        if place >= count {
            return longest_ms;
        }
        longest_ms.min((longest_ms >> (count - 1)) << (place - 1))
    }

    #[test]
    fn successors_wait_as_in_kafka() {
        for count in 0..9 {
            for place in 0..count + 1 {
                let known = (place < count).then_some(place);
                let expected = if count == 0 { 0 } else { naive(1024, place, count) };
                let wait = successor_wait(Duration::from_millis(1024), known, count);
                assert_eq!(wait, Duration::from_millis(expected), "{place} of {count}");
            }
        }
    }
}
