//! What all roles share: the log, the election state, the calls, the gate, and the few ways to act on the world.
//!
//! A role's handler gets the context, changes what is its own, and says what it wants through these methods. Nothing here
//! decides anything; the rules live in the roles, the order of effects in `gate`.
//!
//! **Invariants**
//! - election state reaches the disk before any log operation that follows from it: `persist` runs ahead of those.
//! - the high watermark never falls, except to "unknown" when leadership begins.

use std::time::Duration;

use crate::ids::{Endpoint, Epoch, Offset, ReplicaId, ReplicaKey};
use crate::log::log::Slice;
use crate::log::{DiskOp, DiskSeq, LoadId, Log, QuorumState, Stored};
use crate::prng::Prng;
use crate::quirk::{Quirk, Quirks};
use crate::raft::calls::{Asked, Calls, Peer};
use crate::raft::gate::Gate;
use crate::raft::message::{FetchResponse, ResponseBody};
use crate::raft::{
    Answer, Config, Destination, Effect, ErrorCode, Note, Refusal, Request, Response, Ticket, Voter, VoterHistory,
    VoterSet,
};
use crate::record::{Batches, ControlRecord, RecordBatch};
use crate::time::{Instant, Now};

/// What a replica knows of the current epoch. Epoch, leader and vote are durable; the endpoint is not. (Kafka:
/// `ElectionState`.)
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Election {
    pub epoch: Epoch,
    pub leader: Option<ReplicaId>,
    pub leader_endpoint: Option<Endpoint>,
    pub vote: Option<ReplicaKey>,
}

/// Synced data is missing: no votes until a later leader has made up for it (R11).
#[derive(Clone, Copy, Debug)]
pub(super) struct Recovering {
    /// The highest epoch this replica may have taken part in.
    pub above: Epoch,
    /// The high watermark that a leader of a later epoch has reported; once flushed past it, recovering is over.
    pub until_flushed: Option<Offset>,
}

/// What the last call to a peer has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reachable {
    Yes,
    No,
}

/// How far a requested shutdown has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// Waits for somebody else to lead, at most until then.
    Until(Instant),
    /// The last disk operation is under way.
    Closing(DiskSeq),
    /// Nothing will come any more.
    Stopped,
}

/// What all roles share.
#[derive(Debug)]
pub(super) struct Context {
    pub config: Config,
    pub key: ReplicaKey,
    pub now: Now,
    pub out: Vec<Effect>,
    pub prng: Prng,
    pub log: Log,
    pub voters: VoterHistory,
    /// In memory; [`Context::persist`] hands it to the disk.
    pub election: Election,
    /// What the disk was handed last.
    pub written: Election,
    pub gate: Gate,
    pub calls: Calls,
    pub high_watermark: Option<Offset>,
    /// The greatest high watermark this incarnation has known: committed for ever.
    pub committed: Offset,
    /// The next offset to apply.
    pub applied: Offset,
    pub apply_load: Option<LoadId>,
    pub recovering: Option<Recovering>,
    pub leaving: Option<Leaving>,
    /// Voters that did not answer when they were called last, and how often in a row; whether one of them could lead is
    /// not known.
    pub unanswered: Vec<(ReplicaId, u32)>,
    /// The recovery point on disk, or on its way there; the start of the log while recovering, when nobody uses it.
    pub recovery_point: Offset,
    /// Bytes appended since the recovery point was handed to the disk.
    pub bytes_since_recovery_point: usize,
    /// The last fetch failed, was given up, or went with its role: the next one is a retry.
    pub fetch_is_retry: bool,
    /// The leader did not answer in time: ask somebody else once.
    pub leader_is_suspect: bool,
    pub disk_seq: u64,
    /// The last operation completed.
    pub disk_done: DiskSeq,
    /// The last operation that frames must not overtake (R5, R12).
    pub frames_wait_for: DiskSeq,
    pub load_seq: u64,
}

impl Context {
    pub fn quirks(&self) -> Quirks {
        self.config.quirks
    }

    pub fn instant(&self) -> Instant {
        self.now.monotonic
    }

    pub fn voters(&self) -> &VoterSet {
        self.voters.last()
    }

    /// Whether this replica votes. An observer is whoever is not in the voter set. (Kafka: `QuorumState.isVoter`.)
    pub fn is_voter(&self) -> bool {
        self.voters().contains(self.key)
    }

    pub fn is_only_voter(&self) -> bool {
        self.voters().len() == 1 && self.is_voter()
    }

    /// Whether this replica may ask for votes and win: voters that are not recovering (R11) and not about to stop. A
    /// leader that leaves at once helps nobody, and a lone voter that leaves has nobody to lead. (Java goes on with an
    /// election that is under way and resigns if it wins it, one epoch for nothing.)
    pub fn may_campaign(&self) -> bool {
        self.recovering.is_none() && self.leaving.is_none() && self.is_voter()
    }

    /// Whether a peer answers, as of the last call to it.
    pub fn note_reachable(&mut self, peer: Peer, is: Reachable) {
        let voter = match peer {
            Peer::Replica(id) => Some(id),
            Peer::Bootstrap(index) => {
                let endpoint = &self.config.bootstrap[index];
                let is_there = |voter: &&Voter| voter.endpoints.iter().any(|at| at.endpoint == *endpoint);
                self.voters().iter().find(is_there).map(|voter| voter.key.id)
            }
        };
        let Some(id) = voter else { return };
        match is {
            Reachable::Yes => self.unanswered.retain(|(known, _)| *known != id),
            Reachable::No => match self.unanswered.iter_mut().find(|(known, _)| *known == id) {
                Some((_, in_a_row)) => *in_a_row = in_a_row.saturating_add(1),
                None => self.unanswered.push((id, 1)),
            },
        }
    }

    /// Whether nobody else can be elected, even with this replica's vote: too few of the other voters answer.
    pub fn is_beyond_succession(&self) -> bool {
        let is_silent = |id| self.unanswered.iter().any(|&(known, in_a_row)| known == id && in_a_row >= SILENT_AFTER);
        let reachable = self.remote_voters().filter(|voter| !is_silent(voter.key.id)).count();
        reachable == 0 || reachable + 1 < self.voters().majority()
    }

    /// The other voters.
    pub fn remote_voters(&self) -> impl Iterator<Item = &Voter> {
        let me = self.key.id;
        self.voters().iter().filter(move |voter| voter.key.id != me)
    }

    /// Half of the longest election timeout.
    pub fn election_timeout(&self) -> Duration {
        self.config.election_timeout.max(TIMER_MIN)
    }

    /// How long a follower waits for its leader.
    pub fn fetch_timeout(&self) -> Duration {
        self.config.fetch_timeout.max(TIMER_MIN)
    }

    /// T and up to as much again. (Kafka: `QuorumState.randomElectionTimeoutMs`.)
    pub fn random_election_deadline(&mut self) -> Instant {
        let base = self.election_timeout();
        let spread = u64::try_from(base.as_nanos()).unwrap_or(u64::MAX);
        self.instant() + base + Duration::from_nanos(self.prng.below(spread))
    }

    pub fn note(&mut self, note: Note) {
        self.out.push(Effect::Note(note));
    }

    pub fn contradiction(&mut self, what: &'static str) {
        self.note(Note::Contradiction { what });
    }

    /// Emits a disk operation.
    pub fn disk(&mut self, op: DiskOp) -> DiskSeq {
        self.disk_seq += 1;
        let seq = DiskSeq(self.disk_seq);
        if matches!(op, DiskOp::Adopt | DiskOp::QuorumState(_) | DiskOp::Recovering(_)) {
            self.frames_wait_for = seq;
        }
        self.out.push(Effect::Disk { seq, op });
        seq
    }

    /// Hands the election state to the disk if it has changed, and closes the gate until it is there (R5).
    pub fn persist(&mut self) {
        let (now, before) = (&self.election, &self.written);
        if (now.epoch, now.leader, now.vote) == (before.epoch, before.leader, before.vote) {
            return;
        }
        let leads = now.leader == Some(self.key.id);
        if self.quirks().is_empty() {
            assert!(now.epoch >= before.epoch, "epochs never fall");
        }
        if self.quirks().is_empty() && now.epoch == before.epoch {
            let is_other = now.leader.is_some() && before.leader.is_some() && now.leader != before.leader;
            assert!(!is_other, "one leader per epoch");
            assert!(leads || before.vote.is_none() || now.vote == before.vote, "a vote stands until its epoch ends");
        }
        let votes = now.vote.is_some_and(|vote| vote.id != self.key.id) && now.vote != before.vote;
        let speaks_early = (leads && self.quirks().has(Quirk::LeaderSpeaksBeforeDurable))
            || (votes && self.quirks().has(Quirk::VoteAnsweredBeforeSync));
        let state = QuorumState {
            epoch: now.epoch,
            leader: now.leader,
            vote: now.vote,
            // Voters that can change are known by their directories, which only version 1 has room for.
            version: u8::from(self.voters.kraft_version() > 0),
            voters: self.voters().iter().map(|voter| voter.key.id).collect(),
        };
        self.written = self.election.clone();
        let seq = self.disk(DiskOp::QuorumState(state));
        if !speaks_early {
            self.gate.close_until(seq);
        }
    }

    /// Appends whole batches to the log and hands them to the disk.
    pub fn append(&mut self, batches: Vec<RecordBatch>) {
        self.persist();
        let mut first_of_epoch = Vec::new();
        for batch in &batches {
            if batch.is_control() {
                learn_voters(&mut self.voters, batch);
            }
            self.bytes_since_recovery_point += batch.size_bytes();
            first_of_epoch.extend(self.log.append(batch.clone()));
        }
        let seq = self.disk(DiskOp::Append { batches, first_of_epoch });
        self.log.submitted(seq);
    }

    /// Cuts the log to `keep`, which is above everything committed. The layout lowers a recovery point above it (R11).
    pub fn truncate(&mut self, keep: Offset) {
        assert!(keep >= self.committed || !self.quirks().is_empty(), "a committed record was about to be truncated");
        self.persist();
        let end = self.log.truncate(keep);
        self.voters.truncate(end);
        self.recovery_point = self.recovery_point.min(end);
        self.disk(DiskOp::Truncate { end, epochs: self.log.epochs().entries().to_vec() });
        // What a load brings may be older than the truncation: ask again.
        if self.apply_load.take().is_some() {
            self.apply();
        }
    }

    /// Writes the recovery point when the durable log has grown enough beyond it. Late is safe, early is not.
    pub fn advance_recovery_point(&mut self) {
        let is_due = self.bytes_since_recovery_point >= self.config.recovery_point_bytes;
        if !is_due || self.recovering.is_some() || self.log.flushed() <= self.recovery_point {
            return;
        }
        self.bytes_since_recovery_point = self.log.unflushed_bytes();
        self.recovery_point = self.log.flushed();
        self.disk(DiskOp::RecoveryPoint(self.recovery_point));
    }

    /// The high watermark is at least `to`: lets the machine have what is committed.
    pub fn raise_high_watermark(&mut self, to: Offset) {
        assert!(self.high_watermark.is_none_or(|known| known < to), "the high watermark only rises");
        assert!(to <= self.log.end(), "the high watermark stays within the log");
        self.high_watermark = Some(to);
        self.committed = self.committed.max(to);
        self.log.stable(to);
        self.note(Note::HighWatermark { to });
        self.apply();
    }

    /// Hands committed batches to the machine, in order; what has left memory is asked back from the disk.
    pub fn apply(&mut self) {
        while self.applied < self.committed.min(self.log.end()) && self.apply_load.is_none() {
            match self.log.read(self.applied, self.committed, self.config.fetch_bytes_max) {
                Slice::Batches(batches) => {
                    // A committed prefix that ends inside a batch comes only from a planted bug: wait for the rest.
                    let Some(last) = batches.last() else { return };
                    self.applied = last.end();
                    self.out.push(Effect::Apply { batches });
                }
                Slice::Cold => self.apply_load = Some(self.load(self.applied, self.config.fetch_bytes_max)),
            }
        }
    }

    /// Asks the disk for batches.
    pub fn load(&mut self, from: Offset, bytes_max: usize) -> LoadId {
        self.load_seq += 1;
        let load = LoadId(self.load_seq);
        self.out.push(Effect::Load { load, what: Stored::Log { from, bytes_max } });
        load
    }

    /// Sends a request to a peer that is ready.
    pub fn send(&mut self, peer: Peer, to: Destination, asked: Asked, body: Request) {
        let call = self.calls.start(peer, asked, self.instant() + self.config.request_timeout.max(TIMER_MIN));
        self.out.push(Effect::Send { to, call, body });
    }

    /// Sends a request to a voter, unless it cannot be reached at present.
    pub fn send_to_voter(&mut self, id: ReplicaId, asked: Asked, body: Request) {
        let peer = Peer::Replica(id);
        let Some(voter) = self.voters().find(id) else { return };
        let Some(listener) = voter.endpoints.first() else { return };
        let to = Destination { replica: Some(voter.key), endpoint: listener.endpoint.clone() };
        if self.calls.is_ready(peer) {
            self.send(peer, to, asked, body);
        }
    }

    pub fn back_off(&mut self, peer: Peer) {
        let until = self.instant() + self.config.retry_backoff.max(TIMER_MIN);
        self.calls.back_off(peer, until);
    }

    pub fn answer(&mut self, ticket: Ticket, body: Answer) {
        self.out.push(Effect::Answer { ticket, body });
    }

    pub fn refuse(&mut self, ticket: Ticket, refusal: Refusal) {
        self.answer(ticket, Answer::Refused(refusal));
    }

    /// Refuses because somebody else leads, as far as is known; never points at this replica itself.
    pub fn refuse_not_leader(&mut self, ticket: Ticket) {
        let refusal = match self.leaving {
            Some(_) => Refusal::ShuttingDown,
            None => Refusal::NotLeader(self.election.leader.filter(|leader| *leader != self.key.id)),
        };
        self.refuse(ticket, refusal);
    }

    /// Answers a peer. Epoch and leader are those in memory: by the time the answer leaves they are on disk (R5).
    pub fn respond(&mut self, ticket: Ticket, error: ErrorCode, body: ResponseBody) {
        let response = Response {
            error,
            epoch: self.election.epoch,
            leader: self.election.leader,
            endpoint: self.leader_endpoint().cloned(),
            body,
        };
        self.answer(ticket, Answer::Response(response));
    }

    /// Answers a fetch that found nothing because of `error`.
    pub fn respond_fetch_error(&mut self, ticket: Ticket, error: ErrorCode) {
        let body = FetchResponse::without_result(self.log.start());
        self.respond(ticket, error, ResponseBody::Fetch(body));
    }

    /// Where the known leader listens, if known: told by itself, told by others, or configured.
    pub fn leader_endpoint(&self) -> Option<&Endpoint> {
        let leader = self.election.leader?;
        if leader == self.key.id {
            return self.config.listeners.first().map(|listener| &listener.endpoint);
        }
        self.election.leader_endpoint.as_ref().or_else(|| self.voters().endpoint(leader))
    }
}

/// The shortest of timers: one of nothing would be a busy loop, and Kafka's settings allow zero.
pub(super) const TIMER_MIN: Duration = Duration::from_millis(1);

/// Unanswered calls in a row after which a voter counts as silent. One is not enough: its connection may be left over
/// from before the voter started again, and only writing to it shows that.
const SILENT_AFTER: u32 = 2;

/// The epoch after this one; `None` at the edge of Kafka's 31 bits, which only a forged message can reach.
pub(super) fn next_epoch(epoch: Epoch) -> Option<Epoch> {
    (epoch.0 < i32::MAX as u32).then(|| epoch.next())
}

/// Takes note of what a control batch says of the quorum. (KIP-853: in force from the append on.)
pub(super) fn learn_voters(voters: &mut VoterHistory, batch: &RecordBatch) {
    let Ok(controls) = ControlRecord::parse_batch(batch) else { return };
    for (offset, control) in (batch.base_offset().0..).zip(controls) {
        learn_control(voters, Offset(offset), &control);
    }
}

/// Takes note of what one control record says of the quorum, if anything.
pub(super) fn learn_control(voters: &mut VoterHistory, offset: Offset, control: &ControlRecord) {
    if let ControlRecord::KRaftVersion(level) = control {
        voters.finalize(offset, *level);
    }
    if let Some(set) = voter_set(control) {
        voters.append(offset, set);
    }
}

/// The voter set that a control record names, if it names one and names nobody twice.
fn voter_set(control: &ControlRecord) -> Option<VoterSet> {
    let ControlRecord::Voters(records) = control else { return None };
    let mut voters: Vec<Voter> = records
        .iter()
        .map(|voter| Voter {
            key: ReplicaKey { id: voter.id, directory: Some(voter.directory) },
            endpoints: voter.endpoints.clone(),
        })
        .collect();
    voters.sort_by_key(|voter| voter.key.id);
    let is_distinct = voters.windows(2).all(|pair| pair[0].key.id != pair[1].key.id);
    is_distinct.then(|| VoterSet::new(voters))
}

/// The batches among `bytes`, as a load brought them, that hold `from` and what follows, up to `below` and about
/// `bytes_max` bytes; empty when the bytes do not hold them.
pub(super) fn batches_from(bytes: &bytes::Bytes, from: Offset, below: Offset, bytes_max: usize) -> Vec<RecordBatch> {
    // A load may run into bytes that are still being written; what lies before them is good.
    let whole = Batches::of(bytes).map_while(Result::ok);
    let wanted = whole.filter(|batch| batch.end() > from && batch.end() <= below);
    let mut at = from;
    let mut size = 0;
    let fits = |batch: &RecordBatch| {
        let is_next = batch.base_offset() <= at && (size == 0 || batch.base_offset() == at);
        let is_within = size == 0 || size + batch.size_bytes() <= bytes_max;
        at = batch.end();
        size += batch.size_bytes();
        is_next && is_within
    };
    wanted.take_while(fits).collect()
}
