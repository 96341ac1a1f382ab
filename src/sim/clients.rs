//! The clients of a world: the same sessions and workloads as on real sockets, and the history they share.

use std::time::Duration;

use crate::check::What;
use crate::client::{self, Audit, Brief, Client, Config, Delivery, Event, Output};
use crate::digest::Digest;
use crate::history::{ClientId, Operation, Recorder};
use crate::prng::Prng;
use crate::record::Compression;
use crate::scenario::FaultKind;
use crate::scenario::plan::{Plan, Work};
use crate::sim::HostId;
use crate::sim::decide::{Decider, Stream};
use crate::sim::host::{host_at, listener};
use crate::sim::network::{Arrival, Parcel, Scene};
use crate::sim::wiretap::Heard;
use crate::sim::world::{CLIENTS_MAX, Happening, World};
use crate::time::Instant;
use crate::trace::{EventKind, Place};

/// All clients.
#[derive(Debug)]
pub struct Clients {
    clients: Vec<Client>,
    /// The earliest timer scheduled for each.
    timers: Vec<Option<Instant>>,
    history: Recorder,
    outputs: Vec<Output>,
    events: Vec<Event>,
    patience: Duration,
    /// Which answers are lost.
    losses: Stream,
}

impl Clients {
    /// The clients of a plan, each with its share of its group's work.
    pub fn new(plan: &Plan, decider: &Decider, nodes: usize) -> Clients {
        let mut clients = Vec::new();
        let mut patience = Duration::ZERO;
        for work in &plan.workload {
            for index in 0..work.clients {
                let config = session_config(plan, decider, clients.len(), nodes);
                patience = patience.max(config.operation_timeout * 3);
                let prng = Prng::new(plan.seed, Digest::of(format!("client {}", clients.len()).as_bytes()));
                let brief = brief(plan, work, index, clients.len());
                clients.push(Client::new(config, brief, prng));
            }
        }
        assert!(clients.len() < CLIENTS_MAX, "a world holds at most {CLIENTS_MAX} clients");
        let timers = vec![Some(Instant::ZERO); clients.len()];
        Clients {
            clients,
            timers,
            history: Recorder::new(),
            outputs: Vec::new(),
            events: Vec::new(),
            patience,
            losses: decider.stream("answers"),
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// Operations that have ended.
    pub fn ended(&self) -> u64 {
        (self.history.operations().len() - self.history.running()) as u64
    }

    /// Operations asked for and not ended, and clients that are not done.
    pub fn unfinished(&self) -> u64 {
        let waiting = self.clients.iter().filter(|client| !client.is_done()).count();
        self.history.running().max(waiting) as u64
    }

    /// Whether everything that was to be done has ended.
    pub fn are_done(&self) -> bool {
        self.clients.iter().all(Client::is_done)
    }

    /// How long clients may take after the faults.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// What was asked and told.
    pub fn history(&self) -> &[Operation] {
        self.history.operations()
    }

    /// What was asked and told.
    pub fn into_history(self) -> Vec<Operation> {
        self.history.into_operations()
    }
}

impl World<'_> {
    pub(crate) fn deliver_to_client(&mut self, arrival: Arrival) {
        let client = arrival.host.index() - self.hosts.len();
        if client == self.clients.len() {
            return self.deliver_to_examiner(arrival);
        }
        let connection = arrival.connection;
        if matches!(arrival.parcel, Parcel::Frame { .. }) && self.answer_is_lost() {
            // Reset with the answer in flight: whether it was done is the client's riddle.
            let scene = &mut Scene { now: self.now, queue: &mut self.queue, plan: self.plan, doses: &mut self.doses };
            self.network.close(scene, arrival.host, connection);
            self.doses.give(FaultKind::Reset);
            return self.client_step(client, client::Input::Closed { connection });
        }
        let input = match arrival.parcel {
            Parcel::Syn => return,
            Parcel::Accepted => client::Input::Opened { connection },
            Parcel::Frame { bytes, .. } => client::Input::Frame { connection, frame: bytes },
            Parcel::Closed => client::Input::Closed { connection },
        };
        self.client_step(client, input);
    }

    /// Whether a connection is reset just before it delivers an answer to a client.
    fn answer_is_lost(&mut self) -> bool {
        let strength = u64::from(self.plan.faults.get(&FaultKind::Reset).copied().unwrap_or(0));
        strength > 0 && !self.settle.has_begun() && self.clients.losses.chance(strength, 60)
    }

    pub(crate) fn client_timer(&mut self, client: u32) {
        let index = client as usize;
        if self.clients.timers[index] != Some(self.now) {
            return;
        }
        self.clients.timers[index] = None;
        self.mark(CLIENT_PLACE + u64::from(client), 2, 0);
        self.client_step(index, client::Input::Tick);
    }

    /// From here on clients finish what they were asked, at once.
    pub(crate) fn finish_clients(&mut self) {
        for index in 0..self.clients.len() {
            self.clients.clients[index].finish();
            self.client_step(index, client::Input::Tick);
        }
    }

    fn client_step(&mut self, index: usize, input: client::Input) {
        let clients = &mut self.clients;
        clients.clients[index].step(self.now, input, &mut clients.outputs, &mut clients.events);
        let mut events = std::mem::take(&mut clients.events);
        for event in events.drain(..) {
            self.client_event(index, event);
        }
        self.clients.events = events;
        let host = HostId((self.hosts.len() + index) as u32);
        let mut outputs = std::mem::take(&mut self.clients.outputs);
        for output in outputs.drain(..) {
            self.client_output(host, output);
        }
        self.clients.outputs = outputs;
        self.arm_client(index);
    }

    fn client_event(&mut self, index: usize, event: Event) {
        let client = ClientId(index as u32);
        if let Event::Consumed { from, batches, high_watermark } = &event {
            let what = What::Consumed { from: *from, batches, high_watermark: *high_watermark };
            return self.court.see(&self.hosts, self.now, None, what);
        }
        let Some(number) = event.record(self.now, client, &mut self.clients.history) else { return };
        let operation = &self.clients.history.operations()[number];
        let what = match event {
            Event::Invoked { .. } => What::Invoked { index: number, operation },
            _ => What::Returned { index: number, operation },
        };
        self.court.see(&self.hosts, self.now, None, what);
        self.recorder.record(self.now, Place::Client(index as u32), || EventKind::Operation {
            index: number,
            operation: operation.clone(),
        });
    }

    pub(crate) fn client_output(&mut self, host: HostId, output: Output) {
        let scene = &mut Scene { now: self.now, queue: &mut self.queue, plan: self.plan, doses: &mut self.doses };
        match output {
            Output::Connect { connection, endpoint } => {
                let acceptor = host_at(&endpoint, self.hosts.len());
                self.network.connect(scene, host, connection, acceptor);
            }
            Output::Frame { connection, frame } => {
                let bytes = frame.payload();
                let to = self.network.peer(host, connection).map_or(Place::World, |peer| self.place(peer));
                let place = self.place(host);
                let sent = self
                    .recorder
                    .record(self.now, place, || EventKind::Sent { to, what: Heard::Nothing.describe(&bytes) });
                let scene =
                    &mut Scene { now: self.now, queue: &mut self.queue, plan: self.plan, doses: &mut self.doses };
                self.network.send(scene, host, connection, Parcel::Frame { bytes, sent, asks: None });
            }
            Output::Close { connection } => self.network.close(scene, host, connection),
            Output::Told { .. } => unreachable!("a client keeps what its session was told"),
        }
    }

    fn arm_client(&mut self, index: usize) {
        let Some(deadline) = self.clients.clients[index].deadline() else { return };
        let at = deadline.max(self.now);
        if self.clients.timers[index].is_none_or(|scheduled| at < scheduled) {
            self.clients.timers[index] = Some(at);
            self.queue.push(at, Happening::ClientTimer { client: index as u32 });
        }
    }
}

fn session_config(plan: &Plan, decider: &Decider, client: usize, nodes: usize) -> Config {
    let mut bootstrap: Vec<_> = (0..nodes as u32).map(|node| listener(HostId(node)).endpoint).collect();
    bootstrap.rotate_left(client % nodes);
    let mut config = Config::new(bootstrap, &format!("client-{client}"), "__cluster_metadata");
    config.request_timeout = plan.settings.request_timeout;
    config.delivery = Delivery::AtMostOnce;
    config.quirks = plan.quirks;
    // One client in sixteen compresses: judges and audits read every record many times, and inflating is what they would
    // spend their time with. The neutral draw is none.
    let draw = decider.stream(&format!("compression {client}")).index(64);
    config.compression = Compression::ALL.get(draw).copied().unwrap_or_default();
    config
}

/// One client's share of its group's work.
fn brief(plan: &Plan, work: &Work, index: u32, client: usize) -> Brief {
    let share =
        |total: u64| total / u64::from(work.clients) + u64::from(u64::from(index) < total % u64::from(work.clients));
    let fixed_rate = work.operations.map(|_| plan.duration * work.clients);
    let paced = work.rate.map(|(count, per)| per * work.clients / u32::try_from(count.max(1)).unwrap_or(u32::MAX));
    let by_duration = work.operations.and_then(|operations| Some(fixed_rate? / u32::try_from(operations.max(1)).ok()?));
    Brief {
        client: ClientId(client as u32),
        kind: work.kind,
        operations: work.operations.map(share),
        pace: paced.or(by_duration),
        value_bytes: work.value_bytes,
        reads: work.reads,
        audit: if plan.datagram { Audit::Skip } else { Audit::ReadAll },
    }
}

/// Where clients stand in the digest, apart from nodes.
const CLIENT_PLACE: u64 = 1 << 32;
