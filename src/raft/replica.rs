//! The replica: step, deadline, view, published; the end of every step, common to all roles.
//!
//! A step is: time-outs of calls, the input, then the roles' `poll` until none wants to change, then election state to the
//! disk and frames through the gate. So a handler never has to remember what must wait for what.

use crate::ids::{Endpoint, Epoch, Offset, ReplicaId, ReplicaKey};
use crate::log::{DiskOp, DiskSeq, Log, Recovered};
use crate::prng::Prng;
use crate::quirk::Quirk;
use crate::raft::calls::{Asked, Calls, Peer};
use crate::raft::context::{Context, Election, Leaving, Reachable, Recovering, learn_control};
use crate::raft::gate::Gate;
use crate::raft::role::{Next, Role, Transition};
use crate::raft::{
    CallId, Config, Effect, Input, Note, Progress, Published, Refusal, Ticket, View, VoterHistory, invariants,
    transition,
};
use crate::time::{Instant, Now};

/// One KRaft replica.
#[derive(Debug)]
pub struct Replica {
    pub(super) role: Role,
    pub(super) ctx: Context,
    /// `None` until what recovery found is adopted.
    durable: Option<Durable>,
}

/// What may be told: everything as of the moment the gate was open last.
#[derive(Debug)]
struct Durable {
    epoch: Epoch,
    leader: Option<ReplicaId>,
    endpoint: Option<Endpoint>,
    is_leader: bool,
    high_watermark: Option<Offset>,
    log_start: Offset,
    log_end: Offset,
    is_recovering: bool,
}

impl Replica {
    /// Starts from what recovery found; the first effects go to `out`.
    pub fn recover(config: Config, durable: Recovered, prng: Prng, now: Now, out: &mut Vec<Effect>) -> Replica {
        let mut ctx = context(config, &durable, prng, now);
        let first = out.len();
        std::mem::swap(out, &mut ctx.out);
        // R12: what recovery read may not be durable; nothing leaves before it is.
        let adopted = ctx.disk(DiskOp::Adopt);
        ctx.log.submitted(adopted);
        if !ctx.quirks().has(Quirk::RecoveredCountsUnsynced) {
            ctx.gate.close_until(adopted);
        }
        if let Some(Recovering { above, .. }) = ctx.recovering {
            let marked = ctx.disk(DiskOp::Recovering(Some(above)));
            ctx.gate.close_until(marked);
            ctx.note(Note::Recovering { above });
        }
        let role = transition::initial(&mut ctx);
        let mut replica = Replica { role, ctx, durable: None };
        replica.settle();
        replica.finish(first);
        std::mem::swap(out, &mut replica.ctx.out);
        replica
    }

    /// Handles one input.
    pub fn step(&mut self, now: Now, input: Input, out: &mut Vec<Effect>) {
        if self.ctx.leaving == Some(Leaving::Stopped) {
            return;
        }
        assert!(now.monotonic >= self.ctx.now.monotonic, "monotonic time fell back");
        self.ctx.now = now;
        let first = out.len();
        std::mem::swap(out, &mut self.ctx.out);
        self.expire_calls();
        self.on_input(input);
        self.settle();
        self.finish(first);
        std::mem::swap(out, &mut self.ctx.out);
    }

    /// When `Tick` is due; `None` when nothing will happen by itself.
    pub fn deadline(&self) -> Option<Instant> {
        let leaving = match self.ctx.leaving {
            Some(Leaving::Closing(_) | Leaving::Stopped) => return None,
            Some(Leaving::Until(deadline)) => Some(deadline),
            None => None,
        };
        let role = match &self.role {
            Role::Unattached(unattached) => unattached.deadline(),
            Role::Follower(follower) => follower.deadline(&self.ctx),
            Role::Prospective(prospective) => Some(prospective.election_deadline),
            Role::Candidate(candidate) => candidate.deadline(&self.ctx),
            Role::Leader(leader) => leader.deadline(),
            Role::Resigned(resigned) => Some(resigned.election_deadline),
        };
        [role, self.ctx.calls.deadline(), leaving].into_iter().flatten().min()
    }

    /// Whether an answer to this call would count. A call that waits for its connection must not leave when it would not.
    pub fn awaits(&self, call: CallId) -> bool {
        self.ctx.calls.is_outstanding(call)
    }

    /// Whether what recovery found is durable (R12). Before that there is nothing that a frame could say.
    pub fn has_adopted(&self) -> bool {
        self.durable.is_some()
    }

    /// Whether a proposal would be refused as [`Refusal::Busy`]: the disk cannot keep up, or too many wait for a commit.
    /// A node lets producers wait instead.
    pub fn is_full(&self) -> bool {
        matches!(&self.role, Role::Leader(leader) if leader.is_full(&self.ctx))
    }

    /// State as of the last durable point: all that a frame may reveal. Nobody may ask before there was one.
    pub fn published(&self) -> Published<'_> {
        let durable = self.durable.as_ref().expect("invariant: a node serves nobody before it has adopted its log");
        Published {
            epoch: durable.epoch,
            leader: durable.leader,
            leader_endpoint: durable.endpoint.as_ref(),
            is_leader: durable.is_leader,
            high_watermark: durable.high_watermark,
            log_start: durable.log_start,
            log_end: durable.log_end,
            voters: self.ctx.voters.at(durable.log_end),
            is_recovering: durable.is_recovering,
        }
    }

    /// Progress of every replica as of the same point, voters first; empty unless this one leads.
    pub fn progress(&self) -> Vec<Progress> {
        let published = self.published();
        match &self.role {
            // A later leadership of its own, which is not durable yet, has nothing to do with the one that is told.
            Role::Leader(leader) if published.is_leader && published.epoch == self.ctx.election.epoch => {
                leader.progress(&self.ctx, published.log_end)
            }
            _ => Vec::new(),
        }
    }

    /// Everything, for checkers and reports; `node` may not call it.
    pub fn view(&self) -> View<'_> {
        View {
            key: self.ctx.key,
            role: self.role.kind(),
            epoch: self.ctx.election.epoch,
            leader: self.ctx.election.leader,
            vote: self.ctx.election.vote,
            high_watermark: self.ctx.high_watermark,
            log_start: self.ctx.log.start(),
            flushed: self.ctx.log.flushed(),
            log_end: self.ctx.log.end(),
            last_epoch: self.ctx.log.last_epoch(),
            voters: self.ctx.voters(),
            is_recovering: self.ctx.recovering.is_some(),
            epoch_start: match &self.role {
                Role::Leader(leader) => Some(leader.epoch_start),
                _ => None,
            },
        }
    }

    /// The frames that wait for the disk, and for which operation. For scripts and reports.
    pub fn held(&self) -> (Option<DiskSeq>, &[Effect]) {
        self.ctx.gate.held()
    }

    fn on_input(&mut self, input: Input) {
        let is_closing = matches!(self.ctx.leaving, Some(Leaving::Closing(_)));
        match input {
            Input::Tick => {}
            Input::DiskDone { seq } => self.on_disk_done(seq),
            Input::Loaded { load, bytes } => self.on_loaded(load, bytes),
            Input::Response { call, body } => self.on_response(call, body),
            Input::Request { ticket, link, body } => self.on_request(ticket, link, body),
            Input::Propose { ticket, .. } | Input::Read { ticket, .. } | Input::Confirm { ticket, .. }
                if is_closing =>
            {
                self.ctx.refuse(ticket, Refusal::ShuttingDown);
            }
            Input::Propose { ticket, acks, deadline, batches } => match &mut self.role {
                Role::Leader(leader) => leader.on_propose(&mut self.ctx, ticket, acks, deadline, batches),
                _ => self.ctx.refuse_not_leader(ticket),
            },
            Input::Read { ticket, epoch, .. } | Input::Confirm { ticket, epoch, .. }
                if self.refuses_epoch(ticket, epoch) => {}
            Input::Read { ticket, from, limits, .. } => match &mut self.role {
                Role::Leader(leader) => leader.on_read(&mut self.ctx, ticket, from, limits),
                _ => self.ctx.refuse_not_leader(ticket),
            },
            Input::Confirm { ticket, deadline, .. } => match &mut self.role {
                Role::Leader(leader) => leader.on_confirm(&mut self.ctx, ticket, deadline),
                _ => self.ctx.refuse_not_leader(ticket),
            },
            Input::Resign => {
                if matches!(self.role, Role::Leader(_)) {
                    transition::apply(&mut self.role, &mut self.ctx, Transition::Resigned);
                }
            }
            Input::Shutdown { deadline } => {
                if self.ctx.leaving.is_none() {
                    // Only who has led owes anybody a successor.
                    let has_led = matches!(self.role, Role::Leader(_) | Role::Resigned(_));
                    let deadline = if has_led { deadline } else { self.ctx.instant() };
                    self.ctx.leaving = Some(Leaving::Until(deadline));
                }
            }
        }
    }

    /// A client that knows a newer epoch must be let go, one that knows an older epoch must learn. (KIP-320.)
    fn refuses_epoch(&mut self, ticket: Ticket, epoch: Option<Epoch>) -> bool {
        let refusal = match epoch {
            Some(epoch) if epoch < self.ctx.election.epoch => Refusal::FencedEpoch,
            Some(epoch) if epoch > self.ctx.election.epoch => Refusal::UnknownEpoch,
            _ => return false,
        };
        self.ctx.refuse(ticket, refusal);
        true
    }

    fn on_disk_done(&mut self, seq: DiskSeq) {
        let ctx = &mut self.ctx;
        assert!(seq.0 <= ctx.disk_seq, "a completion of an operation that was never asked for (R8)");
        assert!(seq > ctx.disk_done, "disk operations complete in order, each once (R1)");
        ctx.disk_done = seq;
        ctx.gate.on_disk_done(seq, &ctx.calls, &mut ctx.out);
        if ctx.leaving.is_some_and(|leaving| matches!(leaving, Leaving::Closing(last) if last <= seq)) {
            ctx.leaving = Some(Leaving::Stopped);
            ctx.out.push(Effect::Stopped);
        }
        if !ctx.log.on_disk_done(seq) {
            return;
        }
        ctx.advance_recovery_point();
        match &mut self.role {
            Role::Leader(leader) => leader.on_flushed(ctx),
            Role::Follower(follower) => follower.on_flushed(ctx),
            Role::Unattached(_) | Role::Prospective(_) | Role::Candidate(_) | Role::Resigned(_) => {}
        }
    }

    fn expire_calls(&mut self) {
        let ctx = &mut self.ctx;
        if ctx.calls.deadline().is_none_or(|deadline| deadline > ctx.now.monotonic) {
            return;
        }
        if ctx.quirks().has(Quirk::SupersededAnswerObeyed) {
            ctx.calls.remember_superseded();
        }
        let leader = ctx.election.leader.map(Peer::Replica);
        for (peer, asked) in ctx.calls.expire(ctx.now.monotonic) {
            ctx.note_reachable(peer, Reachable::No);
            if matches!(asked, Asked::Fetch(_)) {
                ctx.fetch_is_retry = true;
                ctx.leader_is_suspect |= Some(peer) == leader;
            }
        }
    }

    /// Lets the roles do what is due until none wants to change.
    pub(super) fn settle(&mut self) {
        for _ in 0..TRANSITIONS_MAX {
            self.end_recovering();
            self.leave();
            if matches!(self.ctx.leaving, Some(Leaving::Closing(_) | Leaving::Stopped)) {
                return;
            }
            let ctx = &mut self.ctx;
            let next = match &mut self.role {
                Role::Unattached(unattached) => unattached.poll(ctx),
                Role::Follower(follower) => follower.poll(ctx),
                Role::Prospective(prospective) => prospective.poll(ctx),
                Role::Candidate(candidate) => candidate.poll(ctx),
                Role::Leader(leader) => leader.poll(ctx),
                Role::Resigned(resigned) => resigned.poll(ctx),
            };
            match next {
                Next::Stay => return,
                Next::Become(transition) => transition::apply(&mut self.role, &mut self.ctx, transition),
            }
        }
        panic!("roles changed {TRANSITIONS_MAX} times in one step");
    }

    /// R11: a later leader's high watermark is flushed here: nothing that was ever committed is missing.
    fn end_recovering(&mut self) {
        let flushed = self.ctx.log.flushed();
        let is_over =
            self.ctx.recovering.is_some_and(|state| state.until_flushed.is_some_and(|until| until <= flushed));
        if is_over {
            self.ctx.recovering = None;
            // The one on disk may lie above the end of this log, where it was before the loss: the next start would miss
            // what nobody has.
            self.ctx.recovery_point = flushed;
            self.ctx.disk(DiskOp::RecoveryPoint(flushed));
            let unmarked = self.ctx.disk(DiskOp::Recovering(None));
            self.ctx.gate.close_until(unmarked);
            self.ctx.note(Note::Recovered);
        }
    }

    /// A requested shutdown: leave leadership (the leader's poll does), wait for a successor, close the log. (Kafka:
    /// `GracefulShutdown`; observers, lone voters and followers need not wait. Nor does the last of a quorum to stop, nor
    /// a voter that never led and knows no leader: Java waits out its deadline then.)
    fn leave(&mut self) {
        let Some(Leaving::Until(deadline)) = self.ctx.leaving else { return };
        if matches!(self.role, Role::Leader(_)) && deadline > self.ctx.instant() && !self.ctx.is_only_voter() {
            return;
        }
        let has_remote_leader = self.ctx.election.leader.is_some_and(|leader| leader != self.ctx.key.id);
        let is_free = has_remote_leader || !self.ctx.is_voter() || self.ctx.is_beyond_succession();
        if !is_free && deadline > self.ctx.instant() {
            return;
        }
        if matches!(self.role, Role::Leader(_)) {
            transition::apply(&mut self.role, &mut self.ctx, Transition::Resigned);
        }
        self.ctx.persist();
        if self.ctx.recovering.is_none() && self.ctx.recovery_point != self.ctx.log.end() {
            self.ctx.recovery_point = self.ctx.log.end();
            self.ctx.disk(DiskOp::RecoveryPoint(self.ctx.recovery_point));
        }
        let last = self.ctx.disk(DiskOp::Close);
        self.ctx.leaving = Some(Leaving::Closing(last));
    }

    /// Election state to the disk, frames through the gate (R5); what may be told is what is durable.
    fn finish(&mut self, first: usize) {
        let ctx = &mut self.ctx;
        ctx.persist();
        ctx.gate.hold(&mut ctx.out, first);
        invariants::check(&self.role, ctx, &ctx.out[first..]);
        if !ctx.gate.is_open() {
            return;
        }
        let (epoch, leader) = (ctx.election.epoch, ctx.election.leader);
        let told = self.durable.take().filter(|told| (told.epoch, told.leader) == (epoch, leader));
        let endpoint = told.and_then(|told| told.endpoint).or_else(|| ctx.leader_endpoint().cloned());
        self.durable = Some(Durable {
            epoch,
            leader,
            endpoint,
            is_leader: matches!(&self.role, Role::Leader(leader) if leader.leads),
            high_watermark: ctx.high_watermark,
            log_start: ctx.log.start(),
            log_end: ctx.log.flushed(),
            is_recovering: ctx.recovering.is_some(),
        });
    }
}

fn context(config: Config, recovered: &Recovered, prng: Prng, now: Now) -> Context {
    assert!(recovered.flushed <= recovered.end, "what is flushed lies within the log");
    let mut voters = VoterHistory::new(config.voters.clone());
    for (offset, control) in &recovered.controls {
        learn_control(&mut voters, *offset, control);
    }
    let election = recovered.quorum.as_ref().map_or_else(Election::default, |file| Election {
        epoch: file.epoch,
        leader: file.leader,
        leader_endpoint: None,
        vote: file.vote,
    });
    Context {
        key: ReplicaKey { id: config.id, directory: Some(recovered.meta.directory_id) },
        now,
        out: Vec::new(),
        prng,
        log: Log::recover(recovered, config.log_tail_bytes_max, config.quirks),
        voters,
        written: election.clone(),
        election,
        gate: Gate::default(),
        calls: Calls::default(),
        high_watermark: None,
        committed: recovered.start,
        applied: recovered.start,
        apply_load: None,
        recovering: recovered.recovering.map(|above| Recovering { above, until_flushed: None }),
        leaving: None,
        unanswered: Vec::new(),
        recovery_point: recovered.flushed,
        bytes_since_recovery_point: 0,
        fetch_is_retry: false,
        leader_is_suspect: false,
        disk_seq: 0,
        disk_done: invariants::NOTHING,
        frames_wait_for: invariants::NOTHING,
        load_seq: 0,
        config,
    }
}

/// A lone voter needs three: prospective, candidate, leader. Twice that, and something is wrong.
const TRANSITIONS_MAX: usize = 8;
