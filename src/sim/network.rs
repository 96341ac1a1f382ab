//! The network: connections that carry whole frames, and everything that can go wrong with them.
//!
//! *Stream mode.* A connection is two lanes, each first in, first out. What packet loss, duplication and reordering do to
//! TCP shows as delay, stalls and resets; across connections order is free, and what an old connection still carries may
//! arrive after a newer one's. A cut link keeps what is on its way until it is mended, or until the connection gives up.
//!
//! *Datagram mode* (replica links only): every frame is lost, duplicated or overtaken by itself.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use crate::node::overhear::Overheard;
use crate::protocol::ConnectionId;
use crate::scenario::FaultKind;
use crate::scenario::plan::Plan;
use crate::sim::HostId;
use crate::sim::connections::{Connections, End};
use crate::sim::decide::{Decider, Stream};
use crate::sim::doses::Doses;
use crate::sim::queue::Queue;
use crate::sim::world::Happening;
use crate::time::Instant;
use crate::trace::EventId;

/// What travels on a lane.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Parcel {
    /// The wish to connect.
    Syn,
    /// The other side has accepted.
    Accepted,
    /// A frame, without its length field; the event that sent it; and what it asks, between replicas.
    Frame { bytes: Bytes, sent: Option<EventId>, asks: Option<Rc<Overheard>> },
    /// The other side is gone.
    Closed,
}

/// A parcel that reached a host which is there to take it.
#[derive(Debug)]
pub struct Arrival {
    /// Who takes it.
    pub host: HostId,
    /// Who sent it.
    pub from: HostId,
    /// The connection, by the taker's number for it.
    pub connection: ConnectionId,
    /// What it is.
    pub parcel: Parcel,
}

/// Whether a host can take what arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It runs.
    Up,
    /// It stands still; the kernel keeps what arrives.
    Paused,
    /// No process listens: the kernel refuses.
    Down,
    /// Nobody is there at all.
    Dark,
}

/// All links and connections of a world.
#[derive(Debug)]
pub struct Network {
    decider: Decider,
    hosts: usize,
    nodes: usize,
    links: Vec<Link>,
    connections: Connections,
    /// Per host: the connections it knows, by its own numbers.
    tables: Vec<BTreeMap<ConnectionId, (u32, usize)>>,
    inbound: Vec<u64>,
    datagrams: Vec<Option<(u32, usize, Parcel)>>,
    /// Places in `datagrams` that are free again.
    free_slots: Vec<u32>,
    is_datagram: bool,
    latency: (Duration, Duration),
    faults: Strengths,
    /// Frames handed to their receiver.
    pub delivered: u64,
}

/// How strong each fault of the network is; 0 is off.
#[derive(Clone, Copy, Debug, Default)]
struct Strengths {
    reset: u64,
    stall: u64,
    jitter: u64,
    drop: u64,
    duplicate: u64,
    reorder: u64,
}

#[derive(Debug)]
struct Link {
    /// How many cuts are in force.
    cuts: u32,
    stream: Option<Box<Stream>>,
}

impl Network {
    /// A network of healthy links between the plan's nodes and `clients` clients.
    pub fn new(plan: &Plan, decider: &Decider, clients: usize) -> Network {
        let nodes = (plan.voters + plan.observers) as usize;
        let hosts = nodes + clients;
        let strength = |kind| u64::from(plan.faults.get(&kind).copied().unwrap_or(0));
        Network {
            decider: decider.clone(),
            hosts,
            nodes,
            links: (0..hosts * hosts).map(|_| Link { cuts: 0, stream: None }).collect(),
            connections: Connections::default(),
            tables: vec![BTreeMap::new(); hosts],
            inbound: vec![0; hosts],
            datagrams: Vec::new(),
            free_slots: Vec::new(),
            is_datagram: plan.datagram,
            latency: plan.settings.latency,
            faults: Strengths {
                reset: strength(FaultKind::Reset),
                stall: strength(FaultKind::Stall),
                jitter: strength(FaultKind::Jitter),
                drop: strength(FaultKind::Drop),
                duplicate: strength(FaultKind::Duplicate),
                reorder: strength(FaultKind::Reorder),
            },
            delivered: 0,
        }
    }

    /// From here on links are timely and nothing goes wrong by itself.
    pub fn calm(&mut self, latency: (Duration, Duration)) {
        self.faults = Strengths::default();
        self.latency = latency;
    }

    /// Opens a connection to another host; `Accepted` or `Closed` comes back.
    pub fn connect(&mut self, world: &mut Scene<'_>, opener: HostId, id: ConnectionId, acceptor: Option<HostId>) {
        let end = |host, id, is_open| End { host, id, is_open, is_held: false };
        let acceptor_end = end(acceptor.unwrap_or(opener), ConnectionId(u64::MAX), false);
        let number = self.connections.open([end(opener, id, true), acceptor_end]);
        self.tables[opener.index()].insert(id, (number, 0));
        match acceptor {
            Some(_) => {
                self.put(world, number, 0, Parcel::Syn);
                self.schedule(
                    world,
                    world.now + CONNECT_TIMEOUT,
                    number,
                    Happening::ConnectTimeout { connection: number },
                );
            }
            None => self.put_local(world, number, 1, Parcel::Closed),
        }
    }

    /// Sends a frame; on a connection that is gone it is lost without a word, as on a socket that was just reset.
    pub fn send(&mut self, world: &mut Scene<'_>, from: HostId, id: ConnectionId, parcel: Parcel) {
        let Some(&(number, side)) = self.tables[from.index()].get(&id) else { return };
        match self.is_datagram && self.is_between_nodes(number) {
            true => self.send_datagram(world, number, side, parcel),
            false => self.put(world, number, side, parcel),
        }
    }

    /// Closes a connection from one side; what was sent before still arrives, then the other side learns of it.
    pub fn close(&mut self, world: &mut Scene<'_>, from: HostId, id: ConnectionId) {
        let Some((number, side)) = self.tables[from.index()].remove(&id) else { return };
        self.connections[number].ends[side].is_open = false;
        self.put(world, number, side, Parcel::Closed);
    }

    /// How many connections something may still happen on.
    pub fn connections(&self) -> usize {
        self.connections.count()
    }

    /// Who is at the other end.
    pub fn peer(&self, host: HostId, id: ConnectionId) -> Option<HostId> {
        let &(number, side) = self.tables[host.index()].get(&id)?;
        Some(self.connections[number].ends[1 - side].host)
    }

    /// The reader on this side wants nothing more for now, or goes on.
    pub fn hold(&mut self, world: &mut Scene<'_>, host: HostId, id: ConnectionId, hold: Hold) {
        let Some(&(number, side)) = self.tables[host.index()].get(&id) else { return };
        self.connections[number].ends[side].is_held = hold == Hold::Hold;
        if hold == Hold::Resume {
            self.unblock(world, number, 1 - side);
        }
    }

    /// A process ends. Killed, its kernel tells the others; without power nobody does.
    pub fn host_down(&mut self, world: &mut Scene<'_>, host: HostId, presence: Presence) {
        for (_, (number, side)) in std::mem::take(&mut self.tables[host.index()]) {
            self.connections[number].ends[side].is_open = false;
            if presence == Presence::Down {
                self.put(world, number, side, Parcel::Closed);
            }
            self.connections.release(number);
        }
    }

    /// A host continues: what its kernel kept arrives.
    pub fn host_continues(&mut self, world: &mut Scene<'_>, host: HostId) {
        for (_, (number, side)) in self.tables[host.index()].clone() {
            self.unblock(world, number, 1 - side);
        }
        for number in self.connections.in_order() {
            if !self.connections[number].is_accepted && self.connections[number].ends[1].host == host {
                self.unblock(world, number, 0);
            }
        }
    }

    /// Cuts a link in one direction. Cuts add up: each needs a mend of its own.
    pub fn cut(&mut self, from: HostId, to: HostId) {
        let link = self.link_index(from, to);
        self.links[link].cuts += 1;
    }

    /// Takes one cut back.
    pub fn mend(&mut self, world: &mut Scene<'_>, from: HostId, to: HostId) {
        let link = self.link_index(from, to);
        self.links[link].cuts = self.links[link].cuts.saturating_sub(1);
        if self.links[link].cuts == 0 {
            self.unblock_link(world, from, to);
        }
    }

    /// Takes every cut back.
    pub fn mend_all(&mut self, world: &mut Scene<'_>) {
        for from in 0..self.hosts as u32 {
            for to in 0..self.hosts as u32 {
                let link = self.link_index(HostId(from), HostId(to));
                if std::mem::take(&mut self.links[link].cuts) > 0 {
                    self.unblock_link(world, HostId(from), HostId(to));
                }
            }
        }
    }

    /// Resets one of the connections that stand, chosen by `pick` among their number; what it carries is lost.
    pub fn reset_one(&mut self, world: &mut Scene<'_>, pick: impl FnOnce(usize) -> usize) -> bool {
        let mut standing = self.connections.in_order();
        standing.retain(|&number| self.connections[number].ends.iter().all(|end| end.is_open));
        if standing.is_empty() {
            return false;
        }
        self.reset(world, standing[pick(standing.len())]);
        true
    }

    /// To whom this lane leads.
    pub fn receiver(&self, number: u32, lane: usize) -> HostId {
        self.hosts_of(number, lane).1
    }

    /// To whom this datagram is on its way.
    pub fn datagram_receiver(&self, slot: u32) -> Option<HostId> {
        self.datagrams[slot as usize].as_ref().map(|&(number, lane, _)| self.receiver(number, lane))
    }

    /// The front parcel of a lane is due.
    pub fn arrive(
        &mut self,
        world: &mut Scene<'_>,
        number: u32,
        lane: usize,
        presence: &[Presence],
    ) -> Option<Arrival> {
        let arrival = self.take_front(world, number, lane, presence);
        self.connections.served(number);
        arrival
    }

    fn take_front(
        &mut self,
        world: &mut Scene<'_>,
        number: u32,
        lane: usize,
        presence: &[Presence],
    ) -> Option<Arrival> {
        let connection = &self.connections[number];
        let (from, to) = (connection.ends[lane], connection.ends[1 - lane]);
        if connection.lanes[lane].in_flight.is_empty() {
            return None;
        }
        let is_cut = self.is_cut(from.host, to.host);
        if is_cut || to.is_held || presence[to.host.index()] == Presence::Paused {
            self.block(world, number, lane, is_cut);
            return None;
        }
        let parcel = self.connections[number].lanes[lane].in_flight.pop_front()?;
        self.take(world, number, lane, parcel, presence)
    }

    /// A datagram is due.
    pub fn datagram(&mut self, world: &mut Scene<'_>, slot: u32, presence: &[Presence]) -> Option<Arrival> {
        let (number, lane, parcel) = self.datagrams[slot as usize].take()?;
        self.free_slots.push(slot);
        let (from, to) = self.hosts_of(number, lane);
        let is_lost = self.is_cut(from, to) || presence[to.index()] != Presence::Up;
        let arrival = if is_lost { None } else { self.take(world, number, lane, parcel, presence) };
        self.connections.served(number);
        arrival
    }

    /// A lane was blocked by a cut for long: the connection gives up.
    pub fn lane_timeout(&mut self, world: &mut Scene<'_>, number: u32, lane: usize) {
        let connection = &mut self.connections[number];
        connection.lanes[lane].is_timing_out = false;
        let (from, to) = (connection.ends[lane].host, connection.ends[1 - lane].host);
        if connection.lanes[lane].blocked > 0 && self.is_cut(from, to) {
            self.reset(world, number);
        }
        self.connections.served(number);
    }

    /// Nobody answered the wish to connect.
    pub fn connect_timeout(&mut self, world: &mut Scene<'_>, number: u32) {
        let connection = &mut self.connections[number];
        if connection.ends[0].is_open && !connection.is_accepted {
            connection.lanes[0].in_flight.clear();
            self.put_local(world, number, 1, Parcel::Closed);
        }
        self.connections.served(number);
    }

    fn take(
        &mut self,
        world: &mut Scene<'_>,
        number: u32,
        lane: usize,
        parcel: Parcel,
        presence: &[Presence],
    ) -> Option<Arrival> {
        let connection = &mut self.connections[number];
        let (from, to) = (connection.ends[lane].host, connection.ends[1 - lane].host);
        match (&parcel, presence[to.index()]) {
            (Parcel::Syn, Presence::Up) => self.accept(world, number),
            (Parcel::Syn, Presence::Down) => {
                self.put(world, number, 1, Parcel::Closed);
                return None;
            }
            (_, Presence::Dark) => return None,
            (Parcel::Closed, _) => {
                // Numbers begin anew with every incarnation: only who still has this connection may forget its number.
                if !std::mem::replace(&mut connection.ends[1 - lane].is_open, false) {
                    return None;
                }
                self.tables[to.index()].remove(&self.connections[number].ends[1 - lane].id);
            }
            (Parcel::Accepted, _) if connection.ends[1 - lane].is_open => connection.is_accepted = true,
            (Parcel::Frame { .. } | Parcel::Accepted, _) if !connection.ends[1 - lane].is_open => {
                // The receiving process has ended or closed: its kernel answers with a reset.
                self.put(world, number, 1 - lane, Parcel::Closed);
                return None;
            }
            (Parcel::Frame { .. } | Parcel::Syn | Parcel::Accepted, _) => {}
        }
        self.delivered += u64::from(matches!(parcel, Parcel::Frame { .. }));
        let id = self.connections[number].ends[1 - lane].id;
        Some(Arrival { host: to, from, connection: id, parcel })
    }

    fn accept(&mut self, world: &mut Scene<'_>, number: u32) {
        let end = &mut self.connections[number].ends[1];
        end.id = ConnectionId(self.inbound[end.host.index()]);
        end.is_open = true;
        self.inbound[end.host.index()] += 1;
        self.tables[end.host.index()].insert(end.id, (number, 1));
        self.put(world, number, 1, Parcel::Accepted);
    }

    fn reset(&mut self, world: &mut Scene<'_>, number: u32) {
        for lane in 0..2 {
            let lane = &mut self.connections[number].lanes[lane];
            lane.in_flight.clear();
            lane.blocked = 0;
        }
        self.put_local(world, number, 0, Parcel::Closed);
        self.put_local(world, number, 1, Parcel::Closed);
    }

    /// Puts a parcel on a lane; it arrives after everything before it.
    fn put(&mut self, world: &mut Scene<'_>, number: u32, lane: usize, parcel: Parcel) {
        let (from, to) = self.hosts_of(number, lane);
        let delay = self.delay(world, from, to);
        let faults = self.faults;
        if faults.reset > 0 && self.stream(from, to).chance(faults.reset, 4_000) {
            world.doses.give(FaultKind::Reset);
            return self.reset(world, number);
        }
        let lane_state = &mut self.connections[number].lanes[lane];
        let at = (world.now + delay).max(lane_state.last);
        lane_state.last = at;
        lane_state.in_flight.push_back(parcel);
        self.schedule(world, at, number, Happening::Arrive { connection: number, lane: lane as u8 });
    }

    /// Puts a parcel that a host's own kernel makes: no link delays it.
    fn put_local(&mut self, world: &mut Scene<'_>, number: u32, lane: usize, parcel: Parcel) {
        let lane_state = &mut self.connections[number].lanes[lane];
        lane_state.in_flight.push_back(parcel);
        let arrive = Happening::Arrive { connection: number, lane: lane as u8 };
        self.schedule(world, world.now + LOCAL_DELAY, number, arrive);
    }

    /// Everything that names a connection is scheduled here.
    fn schedule(&mut self, world: &mut Scene<'_>, at: Instant, number: u32, what: Happening) {
        self.connections[number].awaited += 1;
        world.queue.push(at, what);
    }

    fn send_datagram(&mut self, world: &mut Scene<'_>, number: u32, lane: usize, parcel: Parcel) {
        let (from, to) = self.hosts_of(number, lane);
        let faults = self.faults;
        if faults.drop > 0 && self.stream(from, to).chance(faults.drop * 3, 100) {
            world.doses.give(FaultKind::Drop);
            return;
        }
        let mut copies = 1;
        if faults.duplicate > 0 && self.stream(from, to).chance(faults.duplicate * 3, 100) {
            world.doses.give(FaultKind::Duplicate);
            copies = 2;
        }
        for _ in 0..copies {
            let mut delay = self.delay(world, from, to);
            if faults.reorder > 0 && self.stream(from, to).chance(faults.reorder * 5, 100) {
                world.doses.give(FaultKind::Reorder);
                delay += delay * 20;
            }
            let slot = self.free_slots.pop().unwrap_or(self.datagrams.len() as u32);
            if slot as usize == self.datagrams.len() {
                self.datagrams.push(None);
            }
            self.datagrams[slot as usize] = Some((number, lane, parcel.clone()));
            self.schedule(world, world.now + delay, number, Happening::Datagram { slot });
        }
    }

    /// How long a parcel travels, stalls and jitter included.
    fn delay(&mut self, world: &mut Scene<'_>, from: HostId, to: HostId) -> Duration {
        let (least, most) = (nanos(self.latency.0), nanos(self.latency.1));
        let faults = self.faults;
        let stream = self.stream(from, to);
        let mut delay = stream.between(least, most);
        if faults.jitter > 0
            && let Some(more) = stream.maybe((faults.jitter, 12), 0, most * 10 * faults.jitter)
        {
            delay += more;
            world.doses.give(FaultKind::Jitter);
        }
        if faults.stall > 0
            && let Some(more) = stream.maybe((faults.stall, 1_500), 10_000_000, 1_500_000_000)
        {
            delay += more;
            world.doses.give(FaultKind::Stall);
        }
        Duration::from_nanos(delay)
    }

    fn block(&mut self, world: &mut Scene<'_>, number: u32, lane: usize, is_cut: bool) {
        let (from, to) = self.hosts_of(number, lane);
        self.connections[number].lanes[lane].blocked += 1;
        if is_cut && !std::mem::replace(&mut self.connections[number].lanes[lane].is_timing_out, true) {
            let patience = Duration::from_nanos(self.stream(from, to).between(2_000_000_000, 12_000_000_000));
            let give_up = Happening::LaneTimeout { connection: number, lane: lane as u8 };
            self.schedule(world, world.now + patience, number, give_up);
        }
    }

    fn unblock_link(&mut self, world: &mut Scene<'_>, from: HostId, to: HostId) {
        for number in self.connections.in_order() {
            for lane in 0..2 {
                if self.hosts_of(number, lane) == (from, to) {
                    self.unblock(world, number, lane);
                }
            }
        }
    }

    fn unblock(&mut self, world: &mut Scene<'_>, number: u32, lane: usize) {
        let blocked = std::mem::take(&mut self.connections[number].lanes[lane].blocked);
        if blocked == 0 {
            return;
        }
        let (from, to) = self.hosts_of(number, lane);
        let at = world.now + self.delay(world, from, to);
        for _ in 0..blocked {
            self.schedule(world, at, number, Happening::Arrive { connection: number, lane: lane as u8 });
        }
        let last = &mut self.connections[number].lanes[lane].last;
        *last = at.max(*last);
    }

    fn hosts_of(&self, number: u32, lane: usize) -> (HostId, HostId) {
        let ends = &self.connections[number].ends;
        (ends[lane].host, ends[1 - lane].host)
    }

    fn is_between_nodes(&self, number: u32) -> bool {
        self.connections[number].ends.iter().all(|end| end.host.index() < self.nodes)
    }

    fn is_cut(&self, from: HostId, to: HostId) -> bool {
        self.links[self.link_index(from, to)].cuts > 0
    }

    fn link_index(&self, from: HostId, to: HostId) -> usize {
        from.index() * self.hosts + to.index()
    }

    fn stream(&mut self, from: HostId, to: HostId) -> &mut Stream {
        let link = self.link_index(from, to);
        let decider = &self.decider;
        self.links[link].stream.get_or_insert_with(|| Box::new(decider.stream(&format!("link {}>{}", from.0, to.0))))
    }
}

/// What a part of the world may touch of the rest while it acts.
#[derive(Debug)]
pub struct Scene<'a> {
    /// True time.
    pub now: Instant,
    /// What will happen.
    pub queue: &'a mut Queue<Happening>,
    /// The plan.
    pub plan: &'a Plan,
    /// Faults that really happened.
    pub doses: &'a mut Doses,
}

/// Whether a reader stops or goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Deliver nothing more for now.
    Hold,
    /// Go on.
    Resume,
}

fn nanos(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

/// How long an opener waits for an answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How soon a host's own kernel tells it of a broken connection.
const LOCAL_DELAY: Duration = Duration::from_micros(5);
