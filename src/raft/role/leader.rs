//! Leader: stamps, appends, serves fetches, and knows what is committed.
//!
//! Its own flush runs beside replication: an append goes to the disk and to parked fetches in the same step, and counts
//! for the leader only when the disk has answered (R6). The parts live in files of their own: `fetches` (replicas),
//! `reads` (consumers), `loads` (either, when memory has not what they want), `proposals` (producers), `confirms`
//! (linearizable reads); here are progress, the high watermark, check-quorum and heartbeats.
//!
//! **Invariants**
//! - a leader never truncates; its epoch starts with its LEADER_CHANGE record.
//! - the high watermark is unknown until it lies above the epoch's start (KAFKA-12619; the paper's figure 8).
//! - every ticket it took is answered when leadership ends.

pub(in crate::raft) mod confirms;
pub(in crate::raft) mod fetches;
pub(in crate::raft) mod loads;
pub(in crate::raft) mod proposals;
pub(in crate::raft) mod reads;

use std::time::Duration;

use crate::ids::{Offset, ReplicaId, ReplicaKey};
use crate::quirk::Quirk;
use crate::raft::calls::Asked;
use crate::raft::context::{Context, TIMER_MIN};
use crate::raft::message::BeginQuorumEpochRequest;
use crate::raft::parked::Parked;
use crate::raft::role::leader::confirms::{Confirm, Recognition};
use crate::raft::role::leader::fetches::ParkedFetch;
use crate::raft::role::leader::loads::Loads;
use crate::raft::role::leader::proposals::Proposals;
use crate::raft::role::leader::reads::ParkedRead;
use crate::raft::role::{Next, Transition};
use crate::raft::voters::high_watermark;
use crate::raft::{LinkId, Note, Progress, Request};
use crate::record::{BatchBuilder, ControlRecord};
use crate::time::{Instant, Now, Timestamp};

/// The state of a leader.
#[derive(Debug)]
pub(in crate::raft) struct Leader {
    /// Offset of this epoch's LEADER_CHANGE record.
    pub epoch_start: Offset,
    /// Whether `Note::Leads` was emitted.
    pub leads: bool,
    began: Instant,
    replicas: Vec<ReplicaState>,
    check_quorum_deadline: Instant,
    heartbeat_deadline: Instant,
    fetches: Parked<ParkedFetch>,
    reads: Parked<ParkedRead>,
    confirms: Parked<Confirm>,
    proposals: Proposals,
    loads: Loads,
    /// Counts what R10 must put in order: confirms that arrive, fetches that are answered.
    moment: u64,
    /// Reused by the high watermark.
    ends: Vec<(ReplicaKey, Offset)>,
}

/// What the leader knows of another replica. (Kafka: `LeaderState.ReplicaState`.)
#[derive(Debug)]
struct ReplicaState {
    key: ReplicaKey,
    is_voter: bool,
    end: Option<Offset>,
    last_fetch: Option<Now>,
    last_caught_up: Option<Timestamp>,
    /// Where the leader's log ended when this replica showed its own end last, and when that was.
    leader_then: Option<(Offset, Timestamp)>,
    /// Whether it has fetched since check-quorum was last satisfied.
    counts_for_quorum: bool,
    /// The link and the moment of the last answer to one of its fetches (R10).
    answered: Option<(LinkId, u64)>,
    /// When it recognised this leader last (R10).
    recognised: Option<Recognition>,
}

impl ReplicaState {
    fn voter(key: ReplicaKey) -> ReplicaState {
        ReplicaState { is_voter: true, ..ReplicaState::observer(key) }
    }

    fn observer(key: ReplicaKey) -> ReplicaState {
        ReplicaState {
            key,
            is_voter: false,
            end: None,
            last_fetch: None,
            last_caught_up: None,
            leader_then: None,
            counts_for_quorum: false,
            answered: None,
            recognised: None,
        }
    }

    /// Whether account is kept of it: of a voter always, of an observer until it has been silent for five minutes.
    fn is_kept(&self, now: Instant) -> bool {
        let is_heard = |fetch: Now| now.since(fetch.monotonic) < OBSERVER_SESSION_TIMEOUT;
        self.is_voter || self.last_fetch.is_some_and(is_heard)
    }
}

impl Leader {
    /// Takes over: the high watermark is unknown, and the epoch begins with a record that says who leads it.
    /// The election state is handed to the disk before that record.
    pub fn begin(ctx: &mut Context, granting: Vec<ReplicaId>) -> Leader {
        let epoch_start = ctx.log.end();
        ctx.high_watermark = None;
        let leader = Leader {
            epoch_start,
            leads: false,
            began: ctx.instant(),
            replicas: ctx.remote_voters().map(|voter| ReplicaState::voter(voter.key)).collect(),
            check_quorum_deadline: ctx.instant() + check_quorum_timeout(ctx),
            heartbeat_deadline: ctx.instant(),
            fetches: Parked::default(),
            reads: Parked::default(),
            confirms: Parked::default(),
            proposals: Proposals::default(),
            loads: Loads::default(),
            moment: 0,
            ends: Vec::new(),
        };
        let record = ControlRecord::LeaderChange {
            leader: ctx.key.id,
            voters: ctx.voters().iter().map(|voter| voter.key.id).collect(),
            granting,
        };
        let batch = BatchBuilder::control(epoch_start, ctx.election.epoch, ctx.now.wall, &[record]);
        ctx.append(vec![batch]);
        leader
    }

    pub fn poll(&mut self, ctx: &mut Context) -> Next {
        let now = ctx.instant();
        if ctx.leaving.is_some() {
            return Next::Become(Transition::Resigned);
        }
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return Next::Stay;
        }
        self.expire_fetches(ctx);
        self.expire_reads(ctx);
        self.expire_confirms(ctx);
        self.expire_loads(ctx);
        self.proposals.expire(ctx);
        if self.is_checked() && self.check_quorum_deadline <= now {
            ctx.note(Note::CheckQuorumFailed { epoch: ctx.election.epoch });
            return Next::Become(Transition::Resigned);
        }
        if self.heartbeat_deadline <= now {
            self.send_heartbeats(ctx);
        }
        Next::Stay
    }

    pub fn deadline(&self) -> Option<Instant> {
        let timers = [
            self.is_checked().then_some(self.check_quorum_deadline),
            (!self.replicas.is_empty()).then_some(self.heartbeat_deadline),
            self.fetches.deadline(),
            self.reads.deadline(),
            self.confirms.deadline(),
            self.loads.deadline(),
            self.proposals.deadline(),
        ];
        timers.into_iter().flatten().min()
    }

    /// The own log is durable further than before.
    pub fn on_flushed(&mut self, ctx: &mut Context) {
        self.proposals.on_flushed(ctx);
        self.update_high_watermark(ctx);
    }

    /// The log has grown: whoever waits for data gets it, durable or not. (It may travel; it may not be counted.)
    fn on_appended(&mut self, ctx: &mut Context) {
        if counts_appended(ctx) {
            self.update_high_watermark(ctx);
        }
        self.release_fetches(ctx);
    }

    /// The largest offset that a majority has durably, if it lies above the epoch's start.
    fn update_high_watermark(&mut self, ctx: &mut Context) {
        let own_end = if counts_appended(ctx) { ctx.log.end() } else { ctx.log.flushed() };
        self.ends.clear();
        self.ends.push((ctx.key, own_end));
        self.ends.extend(self.replicas.iter().filter_map(|replica| Some((replica.key, replica.end?))));
        let Some(to) = high_watermark(ctx.voters(), &self.ends) else { return };
        // KAFKA-12619: records of older epochs are committed by one of this epoch, never by counting alone.
        if to <= self.epoch_start && !ctx.quirks().has(Quirk::CommitsOlderEpoch) {
            return;
        }
        // A replica that lost its disk may fetch from below what is committed: nothing is taken back.
        if ctx.high_watermark.is_some_and(|known| to <= known) || to <= ctx.log.start() {
            return;
        }
        assert!(to <= ctx.log.end(), "a replica holds more than its leader");
        ctx.raise_high_watermark(to);
        if to > self.epoch_start && !self.leads {
            self.leads = true;
            ctx.note(Note::Leads { epoch: ctx.election.epoch, start: self.epoch_start });
        }
        self.proposals.on_committed(ctx);
        self.release_reads(ctx);
        self.release_fetches(ctx);
        self.release_confirms(ctx);
    }

    /// A replica has fetched, which shows that it is there. (Kafka counts only fetches whose prefix is valid; then a
    /// truncation that takes many rounds can depose a healthy leader. Ours counts all.)
    fn note_fetch(&mut self, ctx: &mut Context, key: ReplicaKey, link: LinkId) {
        let index = self.find_or_track(ctx, key);
        let any_confirms = ctx.quirks().has(Quirk::AnyFetchConfirms);
        let moment = self.moment;
        let replica = &mut self.replicas[index];
        // R10: it asks again on the link that an answer went out on, so it asks after that answer.
        if let Some((answered_on, after)) = replica.answered
            && answered_on == link
        {
            replica.recognised = Some(Recognition { after, answered_on, asked_on: link });
        }
        if any_confirms {
            replica.recognised = Some(Recognition { after: moment + 1, answered_on: link, asked_on: link });
        }
        replica.last_fetch = Some(ctx.now);
        replica.counts_for_quorum = replica.is_voter;
        let fetched = self.replicas.iter().filter(|replica| replica.counts_for_quorum).count();
        let majority = ctx.voters().majority();
        if fetched >= if ctx.is_voter() { majority - 1 } else { majority } {
            self.replicas.iter_mut().for_each(|replica| replica.counts_for_quorum = false);
            self.check_quorum_deadline = ctx.instant() + check_quorum_timeout(ctx);
        }
    }

    /// A replica's log matches this one up to `end`, durably.
    fn note_progress(&mut self, ctx: &Context, index: usize, end: Offset) {
        let replica = &mut self.replicas[index];
        let caught_up = match replica.leader_then {
            _ if end >= ctx.log.end() => Some(ctx.now.wall),
            // All that there was at its fetch before this one: so it was caught up when it sent that. (Kafka:
            // `ReplicaState.updateFollowerState`.)
            Some((leader_end, at)) if end >= leader_end => Some(at),
            _ => None,
        };
        replica.last_caught_up = replica.last_caught_up.max(caught_up);
        replica.leader_then = Some((ctx.log.end(), ctx.now.wall));
        replica.end = Some(end);
    }

    /// Where this replica's state is kept. Whoever is not a voter is an observer, forgotten after five minutes.
    fn find_or_track(&mut self, ctx: &Context, key: ReplicaKey) -> usize {
        let is_same = |replica: &ReplicaState| match replica.is_voter {
            true => replica.key.admits(key),
            false => replica.key == key,
        };
        if let Some(index) = self.replicas.iter().position(is_same) {
            return index;
        }
        self.replicas.retain(|replica| replica.is_kept(ctx.instant()));
        if self.replicas.len() >= ctx.config.replicas_max {
            // The observer that has been silent longest makes room.
            let silent = self.replicas.iter().enumerate().filter(|(_, replica)| !replica.is_voter);
            if let Some((index, _)) = silent.min_by_key(|(_, replica)| replica.last_fetch.map(|fetch| fetch.monotonic))
            {
                self.replicas.remove(index);
            }
        }
        self.replicas.push(ReplicaState::observer(key));
        self.replicas.len() - 1
    }

    /// Tells the voters that have not fetched for a period who leads. (KAFKA-16536, and `6b187e9ff9` for the period.)
    fn send_heartbeats(&mut self, ctx: &mut Context) {
        let now = ctx.instant();
        let period = heartbeat_period(ctx);
        self.heartbeat_deadline = now + period;
        for replica in &self.replicas {
            let is_silent = replica.last_fetch.is_none_or(|fetch| now.since(fetch.monotonic) >= period);
            if !replica.is_voter || !(is_silent || ctx.quirks().has(Quirk::HarmlessHeartbeatsAll)) {
                continue;
            }
            let request = BeginQuorumEpochRequest {
                epoch: ctx.election.epoch,
                leader: Some(ctx.key.id),
                voter: Some(replica.key),
                endpoints: ctx.config.listeners.clone(),
            };
            ctx.send_to_voter(replica.key.id, Asked::BeginQuorumEpoch, Request::BeginQuorumEpoch(request));
        }
    }

    /// Leadership is over and the successor, if known, stands in the election state: every ticket gets its answer.
    pub fn end(&mut self, ctx: &mut Context) {
        self.proposals.end(ctx);
        self.end_reads(ctx);
        self.end_confirms(ctx);
        self.end_fetches(ctx);
        self.end_loads(ctx);
    }

    /// The other voters, the one with the longest log first. (Kafka: `LeaderState.nonLeaderVotersByDescendingFetchOffset`.)
    pub fn successors(&self) -> Vec<ReplicaKey> {
        let mut voters: Vec<&ReplicaState> = self.replicas.iter().filter(|replica| replica.is_voter).collect();
        voters.sort_by(|left, right| right.end.cmp(&left.end).then(left.key.cmp(&right.key)));
        voters.into_iter().map(|replica| replica.key).collect()
    }

    /// One row per replica, voters first; this one's log ends at `own_end`, as durably as the others'.
    pub fn progress(&self, ctx: &Context, own_end: Offset) -> Vec<Progress> {
        let own = Progress {
            key: ctx.key,
            is_voter: ctx.is_voter(),
            end: Some(own_end),
            last_fetch: Some(ctx.now.wall),
            last_caught_up: Some(ctx.now.wall),
        };
        let others = self.replicas.iter().filter(|replica| replica.is_kept(ctx.instant())).map(|replica| Progress {
            key: replica.key,
            is_voter: replica.is_voter,
            end: replica.end,
            last_fetch: replica.last_fetch.map(|fetch| fetch.wall),
            last_caught_up: replica.last_caught_up,
        });
        let mut rows: Vec<Progress> = std::iter::once(own).chain(others).collect();
        rows.sort_by_key(|row| (!row.is_voter, row.key));
        rows
    }

    /// What holds of a leader after every step; see `invariants`.
    pub fn check(&self, ctx: &Context) {
        let now = ctx.instant();
        assert!(self.epoch_start < ctx.log.end(), "an epoch begins with its LEADER_CHANGE record");
        assert!(self.leads == ctx.high_watermark.is_some(), "who knows a high watermark of its epoch leads it");
        assert!(ctx.high_watermark.is_none_or(|known| known > self.epoch_start), "older epochs commit with one's own");
        let voters = || self.replicas.iter().filter(|replica| replica.is_voter);
        assert!(voters().count() == ctx.remote_voters().count(), "a leader keeps account of every other voter");
        for replica in &self.replicas {
            assert!(replica.end <= Some(ctx.log.end()), "a replica holds more than its leader");
            let has_recognised = replica.recognised.is_none_or(|last| last.answered_on == last.asked_on);
            assert!(has_recognised, "a fetch on another link than the answer proves nothing (R10)");
        }
        if !self.is_checked() {
            return;
        }
        let timeout = check_quorum_timeout(ctx);
        assert!(self.check_quorum_deadline > now, "a leader that a majority has left leads on");
        // The voters that made up the last quorum had fetched since the one before, at most one timeout earlier.
        let is_recent = |at: Instant| at + timeout * 2 > now;
        let heard = voters().filter(|voter| voter.last_fetch.is_some_and(|fetch| is_recent(fetch.monotonic))).count();
        let is_followed = heard + usize::from(ctx.is_voter()) >= ctx.voters().majority();
        assert!(is_followed || is_recent(self.began), "a leader that a majority has left does not notice");
    }

    /// Check-quorum means nothing to a voter that is alone.
    fn is_checked(&self) -> bool {
        self.replicas.iter().any(|replica| replica.is_voter)
    }
}

/// R6: a leader counts what it has flushed; Kafka's order, which loses records with one voter, is a quirk.
fn counts_appended(ctx: &Context) -> bool {
    ctx.quirks().has(Quirk::SingleVoterCountsAppended) && ctx.is_only_voter()
}

/// (Kafka: `LeaderState.CHECK_QUORUM_TIMEOUT_FACTOR`.)
fn check_quorum_timeout(ctx: &Context) -> Duration {
    ctx.fetch_timeout() * 3 / 2
}

/// Half the fetch timeout.
fn heartbeat_period(ctx: &Context) -> Duration {
    (ctx.fetch_timeout() / 2).max(TIMER_MIN)
}

/// (Kafka: `LeaderState.OBSERVER_SESSION_TIMEOUT_MS`.)
const OBSERVER_SESSION_TIMEOUT: Duration = Duration::from_secs(300);
