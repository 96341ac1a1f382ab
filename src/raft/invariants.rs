//! What holds of a replica after every step, whatever its peers and clients said. A breach is our bug, so it is a panic.
//!
//! Each check is a look at a few fields, or at each voter once. They are pairs of the code that keeps them (written in one
//! place, checked in another), which is what lets a simulation notice a replica that errs before the damage is visible
//! from outside. A planted bug breaks on purpose what it breaks, and is to be caught by what it does to others: with a
//! quirk on, nothing is checked here.

use crate::log::DiskSeq;
use crate::raft::Effect;
use crate::raft::calls::{Asked, Calls};
use crate::raft::context::{Context, Leaving, next_epoch};
use crate::raft::role::Role;
use crate::raft::role::campaign::Tally;
use crate::time::Instant;

/// Checks the end of a step, in which `said` was emitted.
pub(super) fn check(role: &Role, ctx: &Context, said: &[Effect]) {
    if !ctx.quirks().is_empty() || matches!(ctx.leaving, Some(Leaving::Closing(_) | Leaving::Stopped)) {
        return;
    }
    check_log(ctx);
    check_gate(ctx, said);
    check_calls(role, ctx, &ctx.calls);
    check_election(role, ctx);
    check_timers(role, ctx);
    if let Role::Leader(leader) = role {
        leader.check(ctx);
    }
}

/// What is known to be committed stays within the log, and what is applied within that; only epochs that have been reached
/// are in the log; the recovery point vouches for nothing that is not durable.
fn check_log(ctx: &Context) {
    assert!(ctx.high_watermark.is_none_or(|known| known <= ctx.committed), "the high watermark was never committed");
    assert!(ctx.applied <= ctx.committed, "the machine has what is not committed");
    assert!(ctx.committed <= ctx.log.end(), "committed records are missing");
    assert!(ctx.log.last_epoch() <= ctx.election.epoch, "the log knows a later epoch than the election");
    assert!(
        ctx.recovering.is_some() || ctx.recovery_point <= ctx.log.flushed(),
        "the recovery point promises too much"
    );
}

/// R5, R12: while election state, or what recovery found, is on its way to the disk, nothing leaves.
fn check_gate(ctx: &Context, said: &[Effect]) {
    let is_durable = ctx.frames_wait_for <= ctx.disk_done;
    assert!(ctx.gate.is_open() == is_durable, "the gate is open if and only if what frames speak of is durable");
    let is_frame = |effect: &Effect| matches!(effect, Effect::Send { .. } | Effect::Answer { .. });
    assert!(is_durable || !said.iter().any(is_frame), "a frame has left before what it speaks of is durable");
}

/// R4: a role awaits only answers that it can use. R2: a fetch under way claims exactly what is durable here.
fn check_calls(role: &Role, ctx: &Context, calls: &Calls) {
    for asked in calls.outstanding() {
        let fits = match (asked, role) {
            (Asked::Vote, Role::Prospective(_) | Role::Candidate(_)) => true,
            (Asked::BeginQuorumEpoch, Role::Leader(_)) => true,
            (Asked::EndQuorumEpoch, Role::Resigned(_)) => true,
            (Asked::Fetch(from), Role::Follower(_) | Role::Unattached(_)) => {
                from == ctx.log.end() && from == ctx.log.flushed()
            }
            _ => false,
        };
        assert!(fits, "a {} awaits an answer to {asked:?}", role.kind().name());
    }
}

/// What each role implies of vote and leader. (Kafka: the constructors of `EpochState`.)
fn check_election(role: &Role, ctx: &Context) {
    let (leader, vote) = (ctx.election.leader, ctx.election.vote);
    let is_me = leader == Some(ctx.key.id);
    let is_sound = match role {
        // A lone voter that is out of epochs stays what it was.
        Role::Unattached(_) | Role::Prospective(_) => !is_me || ctx.is_only_voter(),
        Role::Follower(_) => leader.is_some() && !is_me,
        Role::Candidate(_) => leader.is_none() && vote.is_some_and(|vote| vote.admits(ctx.key)),
        Role::Leader(_) => is_me && vote.is_none() && ctx.log.last_epoch() == ctx.election.epoch,
        Role::Resigned(_) => is_me && ctx.high_watermark.is_none(),
    };
    assert!(is_sound, "a {} of leader {leader:?} and vote {vote:?}", role.kind().name());
    let may_recover = matches!(role, Role::Unattached(_) | Role::Follower(_));
    assert!(ctx.recovering.is_none() || may_recover, "a recovering {}", role.kind().name());
}

/// Whoever may campaign has a timer that runs and is not too long; whoever may not, has none or is done with its election.
fn check_timers(role: &Role, ctx: &Context) {
    let election_max = ctx.instant() + 2 * ctx.election_timeout();
    let runs = |deadline: Instant, most: Instant| ctx.instant() < deadline && deadline <= most;
    let is_sound = match role {
        Role::Unattached(unattached) => match unattached.election_deadline {
            Some(deadline) => ctx.may_campaign() && runs(deadline, election_max),
            None => !ctx.may_campaign(),
        },
        Role::Follower(follower) => {
            let most = ctx.instant() + ctx.fetch_timeout().max(ctx.config.election_backoff_max);
            !ctx.may_campaign() || runs(follower.fetch_deadline, most)
        }
        Role::Prospective(prospective) => {
            ctx.may_campaign() && runs(prospective.election_deadline, election_max) && is_open(&prospective.tally, ctx)
        }
        Role::Candidate(candidate) => {
            !ctx.may_campaign() || (runs(candidate.election_deadline, election_max) && !candidate.tally.is_won())
        }
        Role::Resigned(resigned) => runs(resigned.election_deadline, election_max),
        Role::Leader(_) => true,
    };
    assert!(is_sound, "a {} whose time is up, or never will be", role.kind().name());
}

/// An undecided election, or one that was won when no epoch was left to hold it in.
fn is_open(tally: &Tally, ctx: &Context) -> bool {
    !tally.is_lost() && (!tally.is_won() || next_epoch(ctx.election.epoch).is_none())
}

/// What frames wait for before the first operation of an incarnation is emitted.
pub(super) const NOTHING: DiskSeq = DiskSeq(0);
