//! The only code that changes a role, and the table of allowed changes. (Kafka: `QuorumState`.)
//!
//! | to | from | durable | timer |
//! |---|---|---|---|
//! | Unattached, later epoch | any | yes, vote dropped | the old election timer runs on, so that a disruptive node postpones nobody |
//! | Unattached, same epoch | Prospective | as it was | as above, anew if the pre-vote was refused |
//! | Follower, later epoch | any | yes, vote dropped | full fetch timeout |
//! | Follower, same epoch | Unattached, Prospective, Candidate | yes, vote kept | full fetch timeout |
//! | same role with a vote | Unattached, Prospective | yes | new election timeout |
//! | Prospective | Unattached, Follower, Candidate, and Resigned at the start of a lone voter | no | new election timeout |
//! | Candidate | Prospective | yes, epoch + 1, vote for itself | new election timeout |
//! | Leader | Candidate | yes, vote dropped | check-quorum, heartbeat at once |
//! | Resigned | Leader | no, the file says "leader is me" already | new election timeout |
//!
//! Every change of role forgets all calls: an answer meant for another role must meet nobody (R4; Kafka:
//! `RequestManager.resetAll`).

use crate::ids::{Endpoint, Epoch, ReplicaId, ReplicaKey};
use crate::quirk::Quirk;
use crate::raft::context::{Context, Election, next_epoch};
use crate::raft::role::campaign::Tally;
use crate::raft::role::candidate::Candidate;
use crate::raft::role::follower::Follower;
use crate::raft::role::leader::Leader;
use crate::raft::role::prospective::Prospective;
use crate::raft::role::resigned::Resigned;
use crate::raft::role::unattached::Unattached;
use crate::raft::role::{Role, Transition};
use crate::raft::{Note, RoleKind};
use crate::time::Instant;

impl Role {
    /// Which role this is.
    pub fn kind(&self) -> RoleKind {
        match self {
            Role::Unattached(_) => RoleKind::Unattached,
            Role::Follower(_) => RoleKind::Follower,
            Role::Prospective(_) => RoleKind::Prospective,
            Role::Candidate(_) => RoleKind::Candidate,
            Role::Leader(_) => RoleKind::Leader,
            Role::Resigned(_) => RoleKind::Resigned,
        }
    }
}

/// Makes a transition that a handler asked for.
pub(super) fn apply(role: &mut Role, ctx: &mut Context, transition: Transition) {
    if let Transition::Voted { candidate } = transition {
        return vote(role, ctx, candidate);
    }
    assert_allowed(role, ctx, &transition);
    forget_calls(ctx);
    let mut left = match transition {
        Transition::Unattached { epoch, leader } => become_unattached(role, ctx, epoch, leader),
        Transition::Follower { epoch, leader, endpoint } => become_follower(role, ctx, epoch, leader, endpoint),
        Transition::Prospective => become_prospective(role, ctx),
        Transition::Candidate => become_candidate(role, ctx),
        Transition::Leader { granting } => become_leader(role, ctx, granting),
        Transition::Resigned => become_resigned(role, ctx),
        Transition::Voted { .. } => unreachable!("handled above"),
    };
    if let Role::Leader(leader) = &mut left {
        leader.end(ctx);
    }
    ctx.note(Note::Became { role: role.kind(), epoch: ctx.election.epoch, leader: ctx.election.leader });
}

/// The role a replica starts in, from what its quorum-state says. (Kafka: `QuorumState.initialize`, in its order.)
pub(super) fn initial(ctx: &mut Context) -> Role {
    let me = ctx.key.id;
    let file = ctx.election.clone();
    let last_epoch = ctx.log.last_epoch();
    let mut role = Role::Unattached(Unattached { election_deadline: None });
    if file.epoch < last_epoch {
        // The log has seen more than the file: the vote in that epoch, if there was one, is lost, but the epoch is over.
        ctx.election = Election { epoch: last_epoch, ..Election::default() };
    } else if ctx.recovering.is_some() {
        // R11 wins over the rules below: neither leader nor candidate of anything, whatever the file says.
        ctx.election.leader = file.leader.filter(|leader| *leader != me);
        if let (Some(leader), Some(_)) = (ctx.election.leader, ctx.leader_endpoint()) {
            role = follow(ctx, leader);
        }
    } else if file.leader == Some(me) && ctx.quirks().has(Quirk::RestartsAsLeader) {
        role = Role::Leader(Box::new(Leader::begin(ctx, vec![me])));
    } else if file.leader == Some(me) {
        // KAFKA-10527: never lead the same epoch again; what was not flushed is gone, and (offset, epoch) must stay unique.
        let untold = ctx.remote_voters().map(|voter| voter.key.id).collect();
        let election_deadline = ctx.random_election_deadline();
        role = Role::Resigned(Resigned { successors: Vec::new(), untold, election_deadline });
    } else if file.vote.is_some_and(|vote| vote.admits(ctx.key)) && ctx.is_voter() {
        let tally = Tally::new(ctx.voters(), me);
        let election_deadline = ctx.random_election_deadline();
        ctx.election.leader = None;
        role = Role::Candidate(Candidate { tally, election_deadline });
    } else if let (Some(leader), Some(_)) = (file.leader, ctx.leader_endpoint()) {
        role = follow(ctx, leader);
    }
    ctx.note(Note::Became { role: role.kind(), epoch: ctx.election.epoch, leader: ctx.election.leader });
    if ctx.is_only_voter() && ctx.may_campaign() && !matches!(role, Role::Candidate(_) | Role::Leader(_)) {
        // Nobody else can be waited for.
        apply(&mut role, ctx, Transition::Prospective);
    }
    role
}

fn follow(ctx: &Context, leader: ReplicaId) -> Role {
    assert!(leader != ctx.key.id, "nobody follows itself");
    Role::Follower(Follower { fetch_deadline: ctx.instant() + ctx.fetch_timeout(), has_fetched: false, promised: None })
}

fn become_unattached(role: &mut Role, ctx: &mut Context, epoch: Epoch, leader: Option<ReplicaId>) -> Role {
    let election_deadline = match (inherited_deadline(role), ctx.may_campaign()) {
        (_, false) => None,
        (Some(deadline), true) => Some(deadline),
        (None, true) => Some(ctx.random_election_deadline()),
    };
    let vote = ctx.election.vote.filter(|_| epoch == ctx.election.epoch);
    ctx.election = Election { epoch, leader, leader_endpoint: None, vote };
    std::mem::replace(role, Role::Unattached(Unattached { election_deadline }))
}

fn become_follower(role: &mut Role, ctx: &mut Context, epoch: Epoch, leader: ReplicaId, endpoint: Endpoint) -> Role {
    let vote = ctx.election.vote.filter(|_| epoch == ctx.election.epoch);
    ctx.election = Election { epoch, leader: Some(leader), leader_endpoint: Some(endpoint), vote };
    let follower = follow(ctx, leader);
    std::mem::replace(role, follower)
}

fn become_prospective(role: &mut Role, ctx: &mut Context) -> Role {
    let tally = Tally::new(ctx.voters(), ctx.key.id);
    let election_deadline = ctx.random_election_deadline();
    std::mem::replace(role, Role::Prospective(Prospective { tally, election_deadline }))
}

fn become_candidate(role: &mut Role, ctx: &mut Context) -> Role {
    let epoch = next_epoch(ctx.election.epoch).expect("invariant: prospectives check that an epoch is left");
    ctx.election = Election { epoch, leader: None, leader_endpoint: None, vote: Some(ctx.key) };
    ctx.note(Note::Voted { epoch, candidate: ctx.key });
    let tally = Tally::new(ctx.voters(), ctx.key.id);
    let election_deadline = ctx.random_election_deadline();
    std::mem::replace(role, Role::Candidate(Candidate { tally, election_deadline }))
}

fn become_leader(role: &mut Role, ctx: &mut Context, granting: Vec<ReplicaId>) -> Role {
    let me = ctx.key.id;
    ctx.election = Election { epoch: ctx.election.epoch, leader: Some(me), leader_endpoint: None, vote: None };
    let leader = Leader::begin(ctx, granting);
    std::mem::replace(role, Role::Leader(Box::new(leader)))
}

fn become_resigned(role: &mut Role, ctx: &mut Context) -> Role {
    let successors = match role {
        Role::Leader(leader) => leader.successors(),
        _ => unreachable!("only leaders resign"),
    };
    ctx.high_watermark = None;
    // Who can take over is found out anew, by telling them.
    ctx.unanswered.clear();
    let untold = successors.iter().map(|key| key.id).collect();
    let election_deadline = ctx.random_election_deadline();
    std::mem::replace(role, Role::Resigned(Resigned { successors, untold, election_deadline }))
}

/// A vote is granted: same role, and time for the candidate to win. (Kafka: `unattachedAddVotedState`,
/// `prospectiveAddVotedState`.)
fn vote(role: &mut Role, ctx: &mut Context, candidate: ReplicaKey) {
    assert!(candidate.id != ctx.key.id, "a vote for oneself is a candidacy");
    assert!(ctx.election.vote.is_none_or(|vote| vote.id == candidate.id), "one vote per epoch");
    let is_planted = ctx.quirks().has(Quirk::RecoveringVotes);
    assert!(ctx.recovering.is_none() || is_planted, "a recovering replica does not vote (R11)");
    let fresh = ctx.random_election_deadline();
    match role {
        Role::Unattached(unattached) if ctx.may_campaign() => unattached.election_deadline = Some(fresh),
        Role::Unattached(_) => {}
        Role::Prospective(prospective) => prospective.election_deadline = fresh,
        other => panic!("a vote was granted by a {}", other.kind().name()),
    }
    let is_repeated = ctx.election.vote.is_some();
    if !is_repeated {
        ctx.election.vote = Some(candidate);
    }
    ctx.note(Note::Voted { epoch: ctx.election.epoch, candidate });
}

/// The election timer that runs on in Unattached; `None` where a new one must be drawn.
fn inherited_deadline(role: &Role) -> Option<Instant> {
    match role {
        Role::Unattached(unattached) => unattached.election_deadline,
        Role::Candidate(candidate) => Some(candidate.election_deadline),
        Role::Resigned(resigned) => Some(resigned.election_deadline),
        Role::Prospective(prospective) if !prospective.tally.is_lost() => Some(prospective.election_deadline),
        Role::Prospective(_) | Role::Follower(_) | Role::Leader(_) => None,
    }
}

fn forget_calls(ctx: &mut Context) {
    if ctx.quirks().has(Quirk::SupersededAnswerObeyed) {
        ctx.calls.remember_superseded();
    }
    ctx.fetch_is_retry = true;
    ctx.leader_is_suspect = false;
    ctx.calls.forget_all();
}

fn assert_allowed(role: &Role, ctx: &Context, to: &Transition) {
    let from = role.kind();
    let now = ctx.election.epoch;
    match to {
        Transition::Unattached { epoch, .. } => {
            assert!(*epoch >= now, "epochs never fall");
            assert!(*epoch > now || from == RoleKind::Prospective, "a {} left its own epoch", from.name());
        }
        Transition::Follower { epoch, leader, .. } => {
            assert!(*epoch >= now, "epochs never fall");
            assert!(*leader != ctx.key.id, "nobody follows itself");
            let is_free = matches!(from, RoleKind::Unattached | RoleKind::Prospective | RoleKind::Candidate);
            assert!(*epoch > now || is_free, "a {} followed somebody in its own epoch", from.name());
            let is_known = ctx.election.leader.is_none_or(|known| known == *leader);
            assert!(*epoch > now || is_known, "one leader per epoch");
        }
        Transition::Prospective => {
            assert!(ctx.may_campaign(), "only voters that neither recover nor leave campaign");
            assert!(!matches!(from, RoleKind::Leader | RoleKind::Prospective), "a {} campaigned", from.name());
        }
        Transition::Candidate => {
            assert!(ctx.may_campaign(), "only voters that neither recover nor leave campaign");
            assert!(from == RoleKind::Prospective, "a {} skipped the pre-vote", from.name());
        }
        Transition::Leader { .. } => {
            assert!(ctx.may_campaign(), "only voters that neither recover nor leave win");
            assert!(
                matches!(role, Role::Candidate(candidate) if candidate.tally.is_won()),
                "nobody elected this leader"
            );
            assert!(ctx.election.vote.is_some_and(|vote| vote.admits(ctx.key)), "a leader has voted for itself");
        }
        Transition::Resigned => assert!(from == RoleKind::Leader, "a {} resigned", from.name()),
        Transition::Voted { .. } => {}
    }
}
