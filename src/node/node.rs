//! The node: frames in, frames and file operations out.
//!
//! A step hands its input on (a client's request to [`crate::node::api`], a peer's answer to [`crate::node::peers`], the
//! rest to the replica) and carries out what the replica asks for. Whatever that brings back at once, such as a call that
//! no version can carry, goes through the replica in the same step.
//!
//! **Invariants**
//! - Every ticket is in `waiting` until the replica answers it; its connection may be gone by then.
//! - A connection that was closed, by either side, is forgotten at once: later frames of it are ignored.
//! - Who is in `inbound` has a seat.
//!
//! **Backpressure.** A connection is held while the node has not adopted what recovery found (there is nothing that it
//! could say: Kafka, too, serves nobody before it has started), while too many of its requests are unanswered, and while
//! one of them is a Produce that found the replica full and waits for room.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::log::{FileOp, Gone, Layout, LoadId, QueuedOp, Recovered, Stored};
use crate::machine::{KvMachine, LogMachine, MonotonicMachine, StateMachine};
use crate::node::config::MachineKind;
use crate::node::exchange::{Caller, Context, Question, Reply, Served};
use crate::node::peers::{Outcome, Peers};
use crate::node::seats::{Asker, Seats};
use crate::node::tally::Tally;
use crate::node::translate::Names;
use crate::node::{Config, Input, Output, api, errors};
use crate::prng::Prng;
use crate::protocol::codec::RequestStart;
use crate::protocol::connection::Inbound;
use crate::protocol::{Api, ConnectionId};
use crate::raft::{self, Answer, Effect, Replica, Ticket};
use crate::record::{DecodeError, RecordBatch};
use crate::time::{Instant, Now};

/// One broker of the quorum.
#[derive(Debug)]
pub struct Node {
    config: Config,
    names: Names,
    replica: Replica,
    layout: Layout,
    machine: Box<dyn StateMachine>,
    prng: Prng,
    /// Connections that others opened, ascending.
    inbound: Vec<(ConnectionId, Inbound)>,
    seats: Seats,
    peers: Peers,
    /// Questions that the replica has not answered yet.
    waiting: BTreeMap<Ticket, Waiting>,
    /// Proposals that found the replica full, in order.
    postponed: VecDeque<Postponed>,
    next_ticket: Ticket,
    tally: Tally,
    /// Whether requests are read: not before what recovery found is adopted.
    is_serving: bool,
    is_stopped: bool,
    // Buffers that steps reuse.
    inbox: VecDeque<raft::Input>,
    effects: Vec<Effect>,
    file_ops: Vec<FileOp>,
    lines: Vec<String>,
}

#[derive(Debug)]
struct Waiting {
    caller: Caller,
    question: Question,
    since: Instant,
}

#[derive(Debug)]
struct Postponed {
    connection: ConnectionId,
    deadline: Instant,
    input: raft::Input,
}

impl Node {
    /// Starts from what recovery found.
    pub fn recover(
        config: Config,
        durable: Recovered,
        layout: Layout,
        mut prng: Prng,
        now: Now,
        out: &mut Vec<Output>,
    ) -> Node {
        let correlation = (prng.word() >> 33) as i32;
        let replica_prng = Prng::new(prng.word(), 0);
        let mut effects = Vec::new();
        let replica = Replica::recover(config.raft.clone(), durable, replica_prng, now, &mut effects);
        let machine: Box<dyn StateMachine> = match config.machine {
            MachineKind::Log => Box::new(LogMachine::default()),
            MachineKind::Kv => Box::new(KvMachine::new(config.raft.quirks)),
            MachineKind::Monotonic => Box::new(MonotonicMachine::default()),
        };
        let mut node = Node {
            names: Names::of(&config),
            seats: Seats::new(config.connections_max, config.connections_reserved),
            config,
            replica,
            layout,
            machine,
            prng,
            inbound: Vec::new(),
            peers: Peers::new(correlation),
            waiting: BTreeMap::new(),
            postponed: VecDeque::new(),
            next_ticket: Ticket(0),
            tally: Tally::default(),
            is_serving: false,
            is_stopped: false,
            inbox: VecDeque::new(),
            effects,
            file_ops: Vec::new(),
            lines: Vec::new(),
        };
        node.carry_out(now, out);
        node.run_replica(now, out);
        node.is_serving = node.replica.has_adopted();
        node
    }

    /// Handles one input; outputs go to `out`, which the caller reuses.
    pub fn step(&mut self, now: Now, input: Input, out: &mut Vec<Output>) {
        if self.is_stopped {
            return;
        }
        match input {
            Input::Opened { connection, listener } => self.on_opened(connection, listener, out),
            Input::Frame { connection, frame } if connection.is_outbound() => {
                let replica = &self.replica;
                self.peers.forget_unsent(|call| replica.awaits(call));
                let outcome = self.peers.on_frame(connection, frame, &self.names, out);
                self.receive(outcome);
            }
            Input::Frame { connection, frame } => self.on_request(now, connection, &frame, out),
            Input::Closed { connection } if connection.is_outbound() => {
                let outcome = self.peers.on_closed(connection);
                self.receive(outcome);
            }
            Input::Closed { connection } => self.forget(connection),
            Input::DiskDone { seq } => self.inbox.push_back(raft::Input::DiskDone { seq }),
            Input::Loaded { load, bytes } => self.inbox.push_back(raft::Input::Loaded { load, bytes }),
            Input::Tick => self.inbox.push_back(raft::Input::Tick),
            Input::Resign => self.inbox.push_back(raft::Input::Resign),
            Input::Shutdown { deadline } => self.inbox.push_back(raft::Input::Shutdown { deadline }),
        }
        self.run_replica(now, out);
        self.admit_postponed(now, out);
        if !self.is_serving && self.replica.has_adopted() {
            self.is_serving = true;
            self.inbound.iter().map(|(id, _)| *id).collect::<Vec<_>>().into_iter().for_each(|id| self.balance(id, out));
        }
    }

    /// When `Tick` is due.
    pub fn deadline(&self) -> Option<Instant> {
        let postponed = self.postponed.iter().map(|postponed| postponed.deadline).min();
        [self.replica.deadline(), postponed].into_iter().flatten().min()
    }

    /// The replica, so that a driver can look at it; `node` itself does not.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// What was counted, for those who watch.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    fn on_opened(&mut self, connection: ConnectionId, listener: usize, out: &mut Vec<Output>) {
        if connection.is_outbound() {
            return self.peers.on_opened(connection, &self.names, out);
        }
        if let Some(leaver) = self.seats.take(connection) {
            self.tally.count_limit("max.connections");
            self.close(leaver, out);
            if leaver == connection {
                return;
            }
        }
        match self.find(connection) {
            Ok(_) => panic!("connection {connection} is opened twice"),
            Err(index) => self.inbound.insert(index, (connection, Inbound::new(listener))),
        }
        self.balance(connection, out);
    }

    /// A request of a client or a peer. What cannot be read or is not offered closes its connection, and nothing else.
    fn on_request(&mut self, now: Now, connection: ConnectionId, frame: &Bytes, out: &mut Vec<Output>) {
        let Ok(index) = self.find(connection) else { return };
        if !self.is_serving {
            // It is held; a driver that reads on all the same is told once more that nobody is here.
            return self.close(connection, out);
        }
        let Ok(start) = RequestStart::parse(frame) else { return self.close(connection, out) };
        let Some(api) = Api::find(start.key) else { return self.close(connection, out) };
        let (version, correlation) = (start.version, start.correlation);
        if !api.offer().serves(version) && api != Api::ApiVersions {
            return self.close(connection, out);
        }
        let inbound = &mut self.inbound[index].1;
        let (listener, slot) = (inbound.listener, inbound.open_slot());
        let caller = Caller { connection, slot, listener, api, version, correlation };
        if !api.offer().serves(version) {
            let frame = api::unknown_api_versions(correlation);
            return self.reply(caller, Reply::Frame(frame, errors::UNSUPPORTED_VERSION), out);
        }
        let ticket = self.next_ticket;
        let cx = Context { now, config: &self.config, names: &self.names, replica: &self.replica, caller };
        let served = api::serve(&cx, ticket, frame, &mut self.prng);
        if !self.seats.on_request(connection, self.asker(api, &served)) {
            self.tally.count_limit("max.connections");
            return self.close(connection, out);
        }
        match served {
            Ok(Served::Reply(reply)) => self.reply(caller, reply, out),
            Ok(Served::Wait(question, input)) => {
                self.next_ticket = Ticket(ticket.0 + 1);
                self.waiting.insert(ticket, Waiting { caller, question, since: now.monotonic });
                self.hear(connection, input);
                self.balance(connection, out);
            }
            Err(_) => self.close(connection, out),
        }
    }

    /// Who would ask this. (An observer's Fetch is a stranger's.)
    fn asker(&self, api: Api, served: &Result<Served, DecodeError>) -> Asker {
        match served {
            Ok(Served::Wait(Question::Raft, raft::Input::Request { body, .. })) => {
                let voters = &self.config.raft.voters;
                let is_voter = body.sender().is_some_and(|sender| voters.find(sender).is_some());
                if is_voter { Asker::Voter } else { Asker::Stranger }
            }
            _ if api == Api::ApiVersions => Asker::Anybody,
            _ => Asker::Stranger,
        }
    }

    /// Hands a question to the replica, or keeps a proposal that it has no room for.
    fn hear(&mut self, connection: ConnectionId, input: raft::Input) {
        let is_behind = !self.postponed.is_empty() || self.replica.is_full();
        match input {
            raft::Input::Propose { deadline, .. } if is_behind && self.postponed.len() < self.config.postponed_max => {
                self.tally.count_limit("unflushed bytes");
                self.postponed.push_back(Postponed { connection, deadline, input });
            }
            input => self.inbox.push_back(input),
        }
    }

    /// Proposals enter in order as soon as there is room; when its time is up one is handed over anyway, and refused.
    fn admit_postponed(&mut self, now: Now, out: &mut Vec<Output>) {
        while !self.postponed.is_empty() {
            let is_due = |postponed: &Postponed| postponed.deadline <= now.monotonic;
            let index = if self.replica.is_full() { self.postponed.iter().position(is_due) } else { Some(0) };
            let Some(Postponed { connection, input, .. }) = index.and_then(|index| self.postponed.remove(index)) else {
                return;
            };
            self.inbox.push_back(input);
            self.run_replica(now, out);
            self.balance(connection, out);
        }
    }

    fn receive(&mut self, outcome: Option<Outcome>) {
        self.inbox.extend(outcome.map(|(call, body)| raft::Input::Response { call, body }));
    }

    /// Steps the replica until nothing is left for it to hear.
    fn run_replica(&mut self, now: Now, out: &mut Vec<Output>) {
        while let Some(input) = self.inbox.pop_front() {
            if self.is_stopped {
                self.inbox.clear();
                return;
            }
            self.replica.step(now, input, &mut self.effects);
            self.carry_out(now, out);
        }
    }

    /// Carries out effects in the order in which the replica emitted them.
    fn carry_out(&mut self, now: Now, out: &mut Vec<Output>) {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Send { to, call, body } => {
                    let outcome = self.peers.send(to, call, body, &self.names, out);
                    self.receive(outcome);
                }
                Effect::Answer { ticket, body } => self.on_answer(now, ticket, body, out),
                Effect::Disk { seq, op } => {
                    self.layout.plan(seq, op, &mut self.file_ops);
                    let last = self.file_ops.len().checked_sub(1).expect("invariant: a plan is never empty");
                    for (index, op) in self.file_ops.drain(..).enumerate() {
                        let completes = (index == last).then_some(seq);
                        out.push(Output::File(QueuedOp { op, completes }));
                    }
                }
                Effect::Load { load, what } => self.load(load, &what, out),
                Effect::Apply { batches } => self.apply(batches, out),
                Effect::Stopped => {
                    self.is_stopped = true;
                    out.push(Output::Stopped);
                }
                Effect::Note(note) => out.push(Output::Note(note)),
            }
        }
        self.effects = effects;
    }

    fn on_answer(&mut self, now: Now, ticket: Ticket, body: Answer, out: &mut Vec<Output>) {
        let waiting = self.waiting.remove(&ticket).expect("invariant: a ticket is answered once");
        let Waiting { caller, question, since } = waiting;
        if let Answer::Proposed(raft::Proposed::Committed(_)) = body {
            self.tally.count_commit(now.monotonic.since(since));
        }
        if self.find(caller.connection).is_err() {
            return;
        }
        let cx = Context { now, config: &self.config, names: &self.names, replica: &self.replica, caller };
        let reply = api::answer(&cx, question, body);
        self.reply(caller, reply, out);
    }

    fn load(&mut self, load: LoadId, what: &Stored, out: &mut Vec<Output>) {
        match self.layout.locate(what) {
            Some(range) => out.push(Output::Load { load, range }),
            None => self.inbox.push_back(raft::Input::Loaded { load, bytes: Err(Gone) }),
        }
    }

    fn apply(&mut self, batches: Vec<RecordBatch>, out: &mut Vec<Output>) {
        let Some(end) = batches.last().map(RecordBatch::end) else { return };
        for batch in &batches {
            self.machine.apply(batch, &mut self.lines);
            if self.config.verbose {
                print_values(batch, &mut self.lines);
            }
        }
        out.extend(self.lines.drain(..).map(Output::Printed));
        out.push(Output::Applied { batches, end, machine: self.machine.digest() });
    }

    /// Puts a reply in its place and sends whatever has its turn.
    fn reply(&mut self, caller: Caller, reply: Reply, out: &mut Vec<Output>) {
        let connection = caller.connection;
        let is_last = matches!(reply, Reply::Last(..));
        let frame = match reply {
            Reply::Frame(frame, error) | Reply::Last(frame, error) => {
                self.tally.count_request(caller.api, error);
                Some(frame)
            }
            Reply::Silent => {
                self.tally.count_request(caller.api, errors::NONE);
                None
            }
            Reply::Close => return self.close(connection, out),
        };
        let Ok(index) = self.find(connection) else { return };
        let inbound = &mut self.inbound[index].1;
        inbound.answer(caller.slot, frame);
        while let Some(frame) = inbound.next_frame() {
            out.push(Output::Frame { connection, frame });
        }
        match is_last && inbound.in_flight() == 0 {
            true => self.close(connection, out),
            false => self.balance(connection, out),
        }
    }

    /// Holds a connection or lets it go on, as what it has under way calls for.
    fn balance(&mut self, connection: ConnectionId, out: &mut Vec<Output>) {
        let Ok(index) = self.find(connection) else { return };
        let inbound = &mut self.inbound[index].1;
        let is_postponed = self.postponed.iter().any(|postponed| postponed.connection == connection);
        let is_full = inbound.in_flight() >= self.config.requests_in_flight_max;
        match (inbound.is_held, is_full || is_postponed || !self.is_serving) {
            (false, true) => out.push(Output::Hold { connection }),
            (true, false) => out.push(Output::Resume { connection }),
            (true, true) | (false, false) => return,
        }
        inbound.is_held = !inbound.is_held;
        if inbound.is_held && is_full {
            self.tally.count_limit("requests in flight");
        }
    }

    fn close(&mut self, connection: ConnectionId, out: &mut Vec<Output>) {
        self.forget(connection);
        out.push(Output::Close { connection });
    }

    fn forget(&mut self, connection: ConnectionId) {
        self.seats.leave(connection);
        if let Ok(index) = self.find(connection) {
            self.inbound.remove(index);
        }
    }

    fn find(&self, connection: ConnectionId) -> Result<usize, usize> {
        self.inbound.binary_search_by_key(&connection, |(id, _)| *id)
    }
}

/// `verbose=true`: a line per record, control records left out.
fn print_values(batch: &RecordBatch, lines: &mut Vec<String>) {
    if batch.is_control() {
        return;
    }
    for record in batch.records().flatten() {
        let offset = batch.base_offset() + u64::from(record.offset_delta);
        let value = record.value.as_deref().map(String::from_utf8_lossy);
        lines.push(format!("{offset}: {}", value.as_deref().unwrap_or("null")));
    }
}
