//! The loop: pop the earliest event, let it happen, carry out what the nodes ask for, show the judge.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use crate::check::{self, Canary, DiskView, Effort, End, Violation, What};
use crate::client::Examiner;
use crate::digest::Digest;
use crate::log::recovery::{Demand, RecoveryOptions};
use crate::log::{FileName, Recovered, Recovery};
use crate::node::translate::Names;
use crate::node::{Input, Node, Output};
use crate::outcome::Outcome;
use crate::prng::Prng;
use crate::protocol::{ConnectionId, Frame};
use crate::quirk::Quirk;
use crate::raft::RoleKind;
use crate::raft::note::Note;
use crate::scenario::FaultKind;
use crate::scenario::plan::Plan;
use crate::sim::clients::Clients;
use crate::sim::court::Court;
use crate::sim::decide::{Decider, Stream};
use crate::sim::disk::Disk;
use crate::sim::doses::Doses;
use crate::sim::drills::Drills;
use crate::sim::host::{Host, State, host_at, liberties, node_config};
use crate::sim::image::imagine;
use crate::sim::nemesis::Nemesis;
use crate::sim::network::{Arrival, Hold, Network, Parcel, Presence, Scene};
use crate::sim::queue::Queue;
use crate::sim::recorder::{Recorder, Trace};
use crate::sim::run::Finished;
use crate::sim::script::Script;
use crate::sim::settle::Settle;
use crate::sim::wiretap::{Heard, Wiretap, describe_request};
use crate::sim::{HostId, NODES_MAX};
use crate::time::Instant;
use crate::trace::{Event, EventKind, Place};

/// Something that will happen in a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Happening {
    /// The front parcel of a lane is due.
    Arrive { connection: u32, lane: u8 },
    /// A datagram is due.
    Datagram { slot: u32 },
    /// A lane was blocked for long.
    LaneTimeout { connection: u32, lane: u8 },
    /// Nobody answered the wish to connect.
    ConnectTimeout { connection: u32 },
    /// A node's deadline may be due.
    Timer { host: HostId },
    /// A client's deadline may be due.
    ClientTimer { client: u32 },
    /// A disk has finished the operation under way.
    Disk { host: HostId, incarnation: u32 },
    /// A repair of recovery, or one of formatting, is finished.
    Boot { host: HostId, incarnation: u32 },
    /// A read is finished.
    Load { host: HostId, incarnation: u32, load: u32 },
    /// A host that is down is to be started; `fall` is the fall that this belongs to.
    Restart { host: HostId, incarnation: u32 },
    /// A paused process continues.
    Continue { host: HostId, incarnation: u32 },
    /// The nemesis acts.
    Nemesis,
    /// A fault of the nemesis ends.
    Relief { number: u32 },
    /// The script looks whether its next step is due.
    Script,
    /// The faults' time is over, or the end of settle is judged.
    Phase,
}

/// A simulated cluster with its clients.
#[derive(Debug)]
pub struct World<'p> {
    pub(crate) plan: &'p Plan,
    pub(crate) now: Instant,
    pub(crate) queue: Queue<Happening>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) network: Network,
    pub(crate) clients: Clients,
    pub(crate) examiner: Option<Examiner>,
    pub(crate) court: Court,
    pub(crate) recorder: Recorder,
    pub(crate) doses: Doses,
    pub(crate) nemesis: Nemesis,
    pub(crate) script: Script,
    pub(crate) settle: Settle,
    pub(crate) drills: Drills,
    pub(crate) marks_seen: BTreeMap<&'static str, u64>,
    pub(crate) wiretap: Wiretap,
    audits: Stream,
    decider: Decider,
    digest: Digest,
    pub(crate) events: u64,
    pub(crate) outputs: Vec<Output>,
    pub(crate) roles: Vec<Option<RoleKind>>,
    pub(crate) leaders: Vec<(u32, u32)>,
}

/// The parts of the world that its parts may touch while they act.
macro_rules! scene {
    ($world:expr) => {
        &mut Scene { now: $world.now, queue: &mut $world.queue, plan: $world.plan, doses: &mut $world.doses }
    };
}

impl<'p> World<'p> {
    /// A world at time zero: machines with empty disks, switched off.
    pub fn new(plan: &'p Plan, trace: Trace) -> World<'p> {
        let nodes = (plan.voters + plan.observers) as usize;
        assert!(nodes <= NODES_MAX, "a world holds at most {NODES_MAX} nodes");
        let decider = Decider::new(plan, trace);
        let clients = Clients::new(plan, &decider, nodes);
        World {
            plan,
            now: Instant::ZERO,
            queue: Queue::new(plan.shuffle_ties.then(|| decider.stream("ties"))),
            hosts: (0..nodes as u32).map(|id| Host::new(plan, &decider, HostId(id))).collect(),
            // One seat more, for the examiner.
            network: Network::new(plan, &decider, clients.len() + 1),
            examiner: None,
            clients,
            court: Court::new(&judge_options(plan)),
            recorder: Recorder::new(trace),
            doses: Doses::default(),
            nemesis: Nemesis::new(plan, &decider),
            script: Script::new(plan, &decider),
            settle: Settle::new(plan),
            drills: Drills::new(&decider),
            marks_seen: BTreeMap::new(),
            wiretap: Wiretap::new(Names::of(&node_config(plan, HostId(0)))),
            audits: decider.stream("audit"),
            decider,
            digest: Digest::new(),
            events: 0,
            outputs: Vec::with_capacity(32),
            roles: vec![None; nodes],
            leaders: Vec::new(),
        }
    }

    /// Switches everything on.
    pub fn begin(&mut self) {
        for id in 0..self.hosts.len() as u32 {
            self.start(HostId(id));
        }
        for client in 0..self.clients.len() as u32 {
            self.queue.push(Instant::ZERO, Happening::ClientTimer { client });
        }
        self.queue.push(Instant::ZERO, Happening::Script);
        self.begin_nemesis();
        self.begin_phases();
    }

    /// What will happen next, and to whom if it is something that arrives: for those who measure where time goes.
    pub fn next(&self) -> Option<(Happening, Option<HostId>)> {
        let (_, &what) = self.queue.peek()?;
        let receiver = match what {
            Happening::Arrive { connection, lane } => Some(self.network.receiver(connection, lane as usize)),
            Happening::Datagram { slot } => self.network.datagram_receiver(slot),
            _ => None,
        };
        Some((what, receiver))
    }

    /// Lets the next thing happen. False when the run is over.
    pub fn step(&mut self, until: Option<Instant>) -> bool {
        if self.court.violation().is_some() || self.settle.is_over() {
            return false;
        }
        if until.is_some_and(|until| self.queue.peek().is_none_or(|(next, _)| next > until)) {
            return false;
        }
        let Some((at, what)) = self.queue.pop() else { return false };
        self.now = at;
        self.recorder.caused_by(None);
        self.happen(what);
        true
    }

    /// Judges the end and hands over what is kept.
    pub fn finish(mut self) -> Finished {
        let is_stopped = self.court.violation().is_none() && !self.settle.is_over();
        if self.court.violation().is_none() && self.settle.is_over() {
            self.judge_end();
        }
        if let Some(violation) = self.court.violation() {
            let place = violation.node.map_or(Place::World, |node| Place::Node(node as u32));
            let (property, message) = (violation.property, violation.message.clone());
            self.recorder.record(self.now, place, || EventKind::Violated { property, message });
        }
        let disks = std::mem::take(&mut self.hosts).into_iter().map(|host| host.disk.into_contents()).collect();
        let outcome = Outcome {
            scenario: self.plan.name.clone(),
            seed: self.plan.seed,
            verdict: self.court.verdict(),
            digest: self.digest.value(),
            events: self.events,
            messages: self.network.delivered,
            operations: self.clients.ended(),
            virtual_time: Duration::from_nanos(self.now.0),
            doses: self.doses.to_map(),
            exercised: self.exercised(),
            leader_changes: self.leader_changes(),
            settled_in: self.settle.took(),
            is_stopped,
            trace: self.recorder.into_events(),
        };
        Finished { outcome, history: self.clients.into_history(), disks, decisions: self.decider.decisions() }
    }

    /// How often another node came to lead, after the first election.
    pub fn leader_changes(&self) -> u64 {
        self.leaders.windows(2).filter(|pair| pair[0].1 != pair[1].1).count() as u64
    }

    /// The node that leads the highest epoch.
    pub fn leader(&self) -> Option<HostId> {
        let leaders = self.hosts.iter().filter_map(|host| Some((host.id, host.view()?)));
        let leaders = leaders.filter(|(_, view)| view.role == RoleKind::Leader);
        leaders.max_by_key(|(_, view)| view.epoch).map(|(id, _)| id)
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Arrive { connection, lane } => {
                let presence = self.presence();
                if let Some(arrival) = self.network.arrive(scene!(self), connection, lane as usize, &presence) {
                    self.deliver(arrival);
                }
            }
            Happening::Datagram { slot } => {
                let presence = self.presence();
                if let Some(arrival) = self.network.datagram(scene!(self), slot, &presence) {
                    self.deliver(arrival);
                }
            }
            Happening::LaneTimeout { connection, lane } => {
                self.network.lane_timeout(scene!(self), connection, lane as usize);
            }
            Happening::ConnectTimeout { connection } => self.network.connect_timeout(scene!(self), connection),
            Happening::Timer { host } => self.timer(host),
            Happening::ClientTimer { client } => self.client_timer(client),
            Happening::Disk { host, incarnation } => self.disk_done(host, incarnation),
            Happening::Boot { host, incarnation } => self.boot_done(host, incarnation),
            Happening::Load { host, incarnation, load } => self.load_done(host, incarnation, load),
            Happening::Restart { host, incarnation } => self.restart(host, incarnation),
            Happening::Continue { host, incarnation } => self.continue_if(host, incarnation),
            Happening::Nemesis => self.nemesis_acts(),
            Happening::Relief { number } => self.nemesis_relieves(number),
            Happening::Script => self.script_acts(),
            Happening::Phase => self.phase_acts(),
        }
    }

    /// Counts an event and folds it into the digest.
    pub(crate) fn mark(&mut self, place: u64, kind: u64, payload: u64) {
        self.events += 1;
        self.digest.word(self.now.0);
        self.digest.word(place << 8 | kind);
        self.digest.word(payload);
    }

    fn presence(&self) -> [Presence; NODES_MAX + CLIENTS_MAX] {
        let mut presence = [Presence::Up; NODES_MAX + CLIENTS_MAX];
        for host in &self.hosts {
            presence[host.id.index()] = host.presence();
        }
        presence
    }

    // ── nodes ──

    pub(crate) fn deliver(&mut self, arrival: Arrival) {
        let checksum = match &arrival.parcel {
            Parcel::Frame { bytes, .. } => u64::from(crc32c::crc32c(bytes)),
            _ => 0,
        };
        self.mark(u64::from(arrival.host.0), 1, checksum);
        let (to, from) = (self.place(arrival.host), self.place(arrival.from));
        if let Parcel::Frame { bytes, sent, asks } = &arrival.parcel {
            self.recorder.caused_by(*sent);
            let described = || {
                asks.as_ref().map_or_else(|| Heard::Nothing.describe(bytes), |asked| describe_request(&asked.request))
            };
            self.recorder.begin(self.now, to, || EventKind::Received { from, what: described() });
            if let Some(asked) = asks {
                self.wiretap.delivered(arrival.host, arrival.connection, Rc::clone(asked));
            }
        }
        if arrival.host.index() >= self.hosts.len() {
            return self.deliver_to_client(arrival);
        }
        let connection = arrival.connection;
        let input = match arrival.parcel {
            Parcel::Syn => Input::Opened { connection, listener: 0 },
            Parcel::Accepted => Input::Opened { connection, listener: 0 },
            Parcel::Frame { bytes, .. } => Input::Frame { connection, frame: bytes },
            Parcel::Closed => {
                self.wiretap.closed(arrival.host, connection);
                Input::Closed { connection }
            }
        };
        self.node_step(arrival.host, input);
    }

    fn timer(&mut self, host: HostId) {
        let state = &mut self.hosts[host.index()];
        if state.timer != Some(self.now) {
            return;
        }
        state.timer = None;
        if state.is_paused {
            return;
        }
        let Some(node) = state.node() else { return };
        let is_due = node.deadline().is_some_and(|deadline| state.clock.read(self.now).monotonic >= deadline);
        if !is_due {
            return self.arm_timer(host);
        }
        self.hosts[host.index()].effort.ticks(self.now);
        self.mark(u64::from(host.0), 2, 0);
        let place = self.place(host);
        self.recorder.begin(self.now, place, || EventKind::Tick);
        self.node_step(host, Input::Tick);
    }

    /// Gives a node an input and carries out what it asks for. A panic of the node is a violation like any other.
    pub(crate) fn node_step(&mut self, host: HostId, input: Input) {
        let state = &mut self.hosts[host.index()];
        let now = state.clock.read(self.now);
        let State::Up(node) = &mut state.state else { return };
        let outputs = &mut self.outputs;
        let result = catch_unwind(AssertUnwindSafe(|| node.step(now, input, outputs)));
        if let Err(panic) = result {
            return self.node_panicked(host, &panic_message(&*panic));
        }
        let state = &mut self.hosts[host.index()];
        state.effort.stepped(self.now, self.outputs.len());
        if let Some(view) = self.hosts[host.index()].view() {
            self.script.reached(host, view.high_watermark, view.log_end);
            self.court.see(&self.hosts, self.now, Some(host), What::Stepped { view });
        }
        self.execute(host);
        self.notice_role(host);
        self.arm_timer(host);
    }

    pub(crate) fn node_panicked(&mut self, host: HostId, message: &str) {
        self.outputs.clear();
        let what = What::Panicked { message };
        self.court.see(&self.hosts, self.now, Some(host), what);
        self.hosts[host.index()].state = State::Down;
    }

    pub(crate) fn execute(&mut self, host: HostId) {
        let mut outputs = std::mem::take(&mut self.outputs);
        for output in outputs.drain(..) {
            match output {
                Output::Connect { connection, endpoint } => {
                    let acceptor = host_at(&endpoint, self.hosts.len());
                    self.hosts[host.index()].effort.connects();
                    self.network.connect(scene!(self), host, connection, acceptor);
                }
                Output::Frame { connection, frame } => self.node_sends(host, connection, frame),
                Output::Close { connection } => {
                    self.wiretap.closed(host, connection);
                    self.network.close(scene!(self), host, connection);
                }
                Output::Hold { connection } => self.network.hold(scene!(self), host, connection, Hold::Hold),
                Output::Resume { connection } => self.network.hold(scene!(self), host, connection, Hold::Resume),
                Output::File(op) => self.hosts[host.index()].disk.queue.push(op),
                Output::Load { load, range } => self.begin_load(host, load, range),
                Output::Applied { batches, end, machine } => {
                    let what = What::Applied { batches: &batches, end, machine };
                    self.court.see(&self.hosts, self.now, Some(host), what);
                }
                Output::Note(note) => self.noted(host, note),
                Output::Printed(_) => {}
                Output::Stopped => self.node_stopped(host),
            }
        }
        self.outputs = outputs;
        self.kick_disk(host);
    }

    fn node_sends(&mut self, host: HostId, connection: ConnectionId, frame: Frame) {
        let bytes = frame.payload();
        let heard = self.wiretap.hear(host, connection, &bytes);
        let what = match &heard {
            Heard::Asked(asked) => Some(What::Asked { request: &asked.request }),
            Heard::Answered(asked, response) => Some(What::Answered { request: &asked.request, response }),
            Heard::Nothing => None,
        };
        if let Some(what) = what {
            self.court.see(&self.hosts, self.now, Some(host), what);
        }
        let to = self.network.peer(host, connection).map_or(Place::World, |peer| self.place(peer));
        let place = self.place(host);
        let sent = self.recorder.record(self.now, place, || EventKind::Sent { to, what: heard.describe(&bytes) });
        let parcel = Parcel::Frame { bytes, sent, asks: heard.request() };
        self.network.send(scene!(self), host, connection, parcel);
    }

    fn noted(&mut self, host: HostId, note: Note) {
        *self.marks_seen.entry(note.name()).or_default() += 1;
        let what = What::Noted(&note);
        self.court.see(&self.hosts, self.now, Some(host), what);
        if let Note::HighWatermark { .. } = note {
            self.maybe_audit(host);
        }
        let place = self.place(host);
        self.recorder.record(self.now, place, || EventKind::Note(note));
    }

    pub(crate) fn notice_role(&mut self, host: HostId) {
        let Some(view) = self.hosts[host.index()].view() else { return };
        let (role, epoch) = (view.role, view.epoch);
        let before = self.roles[host.index()].replace(role);
        if before == Some(role) {
            return;
        }
        if let Some(left) = before {
            *self.marks_seen.entry(left.name()).or_default() += 1;
        }
        // Who leads after a drill was asked for by the judge.
        if role == RoleKind::Leader && !self.drills.have_begun() {
            self.leaders.push((epoch.0, host.0));
        }
        let place = self.place(host);
        let view = self.hosts[host.index()].view().expect("invariant: the node was just seen");
        self.recorder.record(self.now, place, || EventKind::State {
            what: format!("{}@{} end={}", view.role.name(), view.epoch, view.log_end),
        });
    }

    pub(crate) fn arm_timer(&mut self, host: HostId) {
        let state = &mut self.hosts[host.index()];
        let Some(deadline) = state.node().and_then(Node::deadline) else { return };
        let at = state.clock.true_time(deadline).max(self.now);
        if state.timer.is_none_or(|scheduled| at < scheduled) {
            state.timer = Some(at);
            self.queue.push(at, Happening::Timer { host });
        }
    }

    // ── the judge ──

    /// Now and then, what a power loss would leave at this moment is recovered for the judge's eyes.
    fn maybe_audit(&mut self, host: HostId) {
        if !self.audits.chance(1, AUDIT_ONCE_IN) {
            return;
        }
        let state = &self.hosts[host.index()];
        let image = imagine(&state.disk, liberties(self.plan), &mut self.audits);
        if !image.names.contains_key(&FileName::MetaProperties) {
            return;
        }
        match recover_copy(image, state.recovery_options(self.plan)) {
            Ok(recovered) => {
                let what = What::Audited { recovered: &recovered };
                self.court.see(&self.hosts, self.now, Some(host), what);
            }
            Err(message) => self.node_panicked(host, &message),
        }
    }

    /// Something that the world itself judges. False when the scenario waives it.
    pub(crate) fn violate(&mut self, violation: Violation) -> bool {
        let is_waived = self.plan.waive.iter().any(|name| name == violation.property);
        if !is_waived {
            self.court.accuse(violation);
        }
        !is_waived
    }

    fn judge_end(&mut self) {
        let views: Vec<_> = self.hosts.iter().map(Host::view).collect();
        let disks: Vec<DiskView<'_>> = self.hosts.iter().map(|host| host.marks.view()).collect();
        let connects_max = crate::sim::host::connects_max(self.plan);
        let effort = |host: &Host| Effort { connects_max, ..host.effort.effort() };
        let efforts: Vec<Effort> = self.hosts.iter().map(effort).collect();
        let end = End {
            at: self.now,
            views: &views,
            disks: &disks,
            history: self.clients.history(),
            settle: self.settle.for_judge(),
            unfinished: self.clients.unfinished(),
            efforts: &efforts,
        };
        self.court.close(&end);
    }

    pub(crate) fn fault(&mut self, kind: Option<FaultKind>, what: impl FnOnce() -> String) {
        self.recorder.begin(self.now, Place::World, || EventKind::Fault { kind, what: what() });
    }

    pub(crate) fn place(&self, host: HostId) -> Place {
        match host.index().checked_sub(self.hosts.len()) {
            None => Place::Node(host.0),
            Some(client) => Place::Client(client as u32),
        }
    }

    fn exercised(&self) -> BTreeMap<String, u64> {
        let mut exercised: BTreeMap<String, u64> = self
            .court
            .judge()
            .exercised()
            .into_iter()
            .map(|(name, count)| (format!("property:{name}"), count))
            .collect();
        for (&name, &count) in &self.marks_seen {
            let is_role = RoleKind::ALL.iter().any(|role| role.name() == name);
            exercised.insert(format!("{}:{name}", if is_role { "left" } else { "note" }), count);
        }
        exercised
    }

    /// What was recorded so far.
    pub fn trace(&self) -> &[Event] {
        self.recorder.events()
    }
}

fn judge_options(plan: &Plan) -> check::Options {
    let sings = plan.quirks.has(Quirk::Canary) && Prng::new(plan.seed, Digest::of(b"canary")).chance(1, 100);
    check::Options { waive: plan.waive.clone(), canary: if sings { Canary::Sings } else { Canary::Silent } }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned())
}

/// The real recovery, run to its end over a copy of a disk.
fn recover_copy(mut disk: Disk, options: RecoveryOptions) -> Result<Recovered, String> {
    let recovered = catch_unwind(AssertUnwindSafe(|| {
        let mut recovery = Recovery::new(&disk.listing(), options);
        loop {
            match recovery.demand() {
                Ok(Demand::Read(range)) => recovery.supply(disk.read(range)),
                Ok(Demand::File(op)) => disk.carry_out(&op),
                Ok(Demand::Finished) => return Ok(recovery.finish().0),
                Err(error) => return Err(format!("after a power loss the node would refuse to start: {error}")),
            }
        }
    }));
    recovered.unwrap_or_else(|panic| Err(panic_message(&*panic)))
}

/// How many rises of high watermarks there are to one audit. Each reads a whole disk, so they must be rare.
const AUDIT_ONCE_IN: u64 = 100;

/// Most clients in one world, the examiner included.
pub const CLIENTS_MAX: usize = crate::scenario::scenario::CLIENTS_MAX as usize + 1;
