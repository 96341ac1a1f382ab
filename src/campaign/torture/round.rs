//! One round: load, fault, recovery, quiet, comparison.
//!
//! **Invariants**
//! - a round begins and ends with all nodes running and caught up;
//! - a node is wiped only with three nodes or more, one at a time, and starts again only when a leader of an epoch above
//!   every one that it ever persisted has its first record on the disks of all others: whatever the node vouched for is
//!   then known to a majority of the rest, or was never committed.

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "a real quorum takes real time")]

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::campaign::torture::load::{self, Load, Told};
use crate::campaign::torture::strangers::Strangers;
use crate::campaign::torture::{Fault, Options, Trouble, disks};
use crate::client::producer::{Idempotence, Settings};
use crate::client::quorum_info::QuorumInfo;
use crate::ids::Offset;
use crate::prng::Prng;
use crate::server::admin;
use crate::server::clock::Clock;
use crate::server::load::ledger::{Ledger, Promise};
use crate::server::load::reading::{ReadError, Reader};
use crate::server::members::{Members, Plan, Signal, system};
use crate::server::relay::Relay;

/// A quorum that is tortured.
#[derive(Debug)]
pub struct Torture {
    options: Options,
    members: Members,
    /// In front of the nodes, in their order: clients know no other way.
    relays: Vec<Relay>,
}

/// What a round draws, and what it came to.
#[derive(Clone, Debug)]
pub struct Round {
    /// Its number, from 1.
    pub number: u64,
    /// What was done.
    pub fault: Fault,
    /// To whom; the first of them, if several.
    pub victim: u16,
    /// How long after the load began.
    pub after: Duration,
    /// How often an acknowledged record may be there.
    pub promise: Promise,
    /// Producers.
    pub clients: u32,
    /// Records a second.
    pub rate: u64,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// From the fault to the first acknowledgement of something that was sent after it; among strangers the longest wait
    /// for one.
    pub next_ack: Duration,
    /// Records acknowledged, refused, and with an unknown fate.
    pub records: [u64; 3],
    /// Where the log ended when it was compared.
    pub end: Offset,
}

impl Torture {
    /// Starts the quorum.
    pub fn start(options: Options) -> Result<Torture, Trouble> {
        assert!(!options.faults.is_empty(), "nothing would be done");
        let refused = |source: io::Error| system("make a relay", source);
        let mut relays = Vec::new();
        for node in 0..options.nodes {
            let port = options.base_port + node;
            relays.push(Relay::start(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).map_err(refused)?);
        }
        let plan = Plan {
            nodes: options.nodes,
            base_port: options.base_port,
            advertised: relays.iter().map(Relay::endpoint).collect(),
            metrics_base_port: None,
            directory: options.directory.clone(),
            overrides: options.overrides.clone(),
        };
        let mut members = Members::prepare(plan)?;
        for node in members.plan().ids() {
            members.launch(node)?;
        }
        Ok(Torture { options, members, relays })
    }

    /// The processes.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// Does round `number`. `tell` hears of it when everything is drawn.
    pub fn round(&mut self, number: u64, mut tell: impl FnMut(&Round)) -> Result<Round, Trouble> {
        let quiet = self.await_quiet()?;
        let mut round = self.draw(number, quiet.leader);
        tell(&round);
        let settings = self.settings(&round);
        let from = Offset(quiet.high_watermark as u64);
        let mut prng = Prng::new(self.options.seed, number << 1 | 1);
        let load = Load::start(load::Plan {
            settings: settings.clone(),
            clients: round.clients,
            rate: round.rate,
            value_bytes: round.value_bytes,
            seed: prng.word(),
        });
        let load = load.map_err(|source| system("start the load", source))?;
        load.next_ack(load.now(), ACK_WITHIN).ok_or(Trouble::NoAck { within: ACK_WITHIN })?;
        sleep(round.after);
        round.next_ack = self.hurt(&round, &load, &mut prng)?;
        sleep(Duration::from_millis(prng.range(100..600)));
        let told = load.finish().map_err(|source| system("run the load", source))?;
        round.records = [told.acked, told.failed, told.open];
        let quiet = self.await_quiet()?;
        round.end = Offset(quiet.high_watermark as u64);
        self.compare(&round, &settings, told, from)?;
        Ok(round)
    }

    fn draw(&self, number: u64, leader: i32) -> Round {
        let mut prng = Prng::new(self.options.seed, number << 1);
        let faults = &self.options.faults;
        let mut ticket = prng.below(faults.iter().map(|fault| fault.weight()).sum());
        let drawn = faults.iter().find(|fault| match ticket.checked_sub(fault.weight()) {
            Some(rest) => {
                ticket = rest;
                false
            }
            None => true,
        });
        let fault = *drawn.expect("invariant: the ticket lies below the sum");
        let leads = |node: u16| i32::from(node) == leader;
        let followers: Vec<u16> = self.members.plan().ids().filter(|&node| !leads(node)).collect();
        let victim = match fault {
            Fault::KillFollower | Fault::WipeFollower => *prng.pick(&followers),
            _ => u16::try_from(leader).expect("invariant: ids of nodes are small"),
        };
        Round {
            number,
            fault,
            victim,
            after: Duration::from_millis(prng.range(50..1500)),
            promise: if prng.chance(2, 3) { Promise::ExactlyOnce } else { Promise::AtLeastOnce },
            clients: prng.range(1..5) as u32,
            rate: *prng.pick(&[100, 1_000, 5_000, 20_000]),
            value_bytes: *prng.pick(&[16, 100, 1_000]),
            next_ack: Duration::ZERO,
            records: [0; 3],
            end: Offset::ZERO,
        }
    }

    fn settings(&self, round: &Round) -> Settings {
        let plan = self.members.plan();
        let mut settings = Settings::new(plan.clients_endpoints(), "kraftbed-torture", TOPIC);
        settings.idempotence = match round.promise {
            Promise::ExactlyOnce => Idempotence::On,
            Promise::AtLeastOnce => Idempotence::Off,
        };
        settings.request_timeout = round.fault.request_timeout();
        settings
    }

    /// Does the round's fault and makes it good; how long the load had to wait.
    fn hurt(&mut self, round: &Round, load: &Load, prng: &mut Prng) -> Result<Duration, Trouble> {
        let since = load.now();
        let ack = || load.next_ack(since, ACK_WITHIN).ok_or(Trouble::NoAck { within: ACK_WITHIN });
        let pause = Duration::from_millis(prng.below(1500));
        let victim = round.victim;
        match round.fault {
            Fault::KillLeader | Fault::KillFollower => {
                self.members.kill(victim);
                // Nobody acknowledges anything while a lone voter is down.
                let waited = if self.options.nodes > 2 { Some(ack()?) } else { None };
                sleep(pause);
                self.members.launch(victim)?;
                waited.map_or_else(ack, Ok)
            }
            Fault::StopLeader => {
                self.members.signal(victim, Signal::STOP);
                let waited = ack();
                sleep(pause);
                self.members.signal(victim, Signal::CONT);
                waited
            }
            Fault::WipeFollower => {
                self.members.kill(victim);
                let waited = ack()?;
                self.members.wipe(victim)?;
                self.cover_loss(victim)?;
                self.members.launch(victim)?;
                Ok(waited)
            }
            Fault::RollingRestart => {
                let mut nodes: Vec<u16> = self.members.plan().ids().collect();
                prng.shuffle(&mut nodes);
                for node in nodes {
                    self.restart(node)?;
                    self.await_quiet()?;
                }
                ack()
            }
            Fault::KillAll => {
                for node in self.members.plan().ids() {
                    self.members.signal(node, Signal::KILL);
                }
                for node in self.members.plan().ids() {
                    self.members.kill(node);
                }
                for node in self.members.plan().ids() {
                    self.members.launch(node)?;
                }
                ack()
            }
            Fault::CutConnections => {
                for _ in 0..prng.range(1..6) {
                    self.relays.iter().for_each(Relay::cut);
                    sleep(Duration::from_millis(prng.range(20..300)));
                }
                ack()
            }
            Fault::Strangers => self.let_strangers_in(load, prng),
        }
    }

    /// Strangers come and go; how long the load had to wait while they were there, at most.
    fn let_strangers_in(&mut self, load: &Load, prng: &mut Prng) -> Result<Duration, Trouble> {
        let ports = self.members.plan().ids().map(|node| self.members.plan().endpoint(node).port).collect();
        let strangers = Strangers::send(ports, prng.word()).map_err(|source| system("send strangers", source))?;
        let end = Instant::now() + Duration::from_millis(prng.range(3000..8000));
        let mut longest = Duration::ZERO;
        while Instant::now() < end {
            let waited = load.next_ack(load.now(), ACK_WITHIN).ok_or(Trouble::NoAck { within: ACK_WITHIN })?;
            longest = longest.max(waited);
            sleep(POLL);
        }
        drop(strangers);
        for node in self.members.running() {
            let mebibytes = self.members.resident_bytes(node) >> 20;
            if mebibytes > MEBIBYTES_MAX {
                return Err(Trouble::Swollen { node, mebibytes, owed: MEBIBYTES_MAX });
            }
        }
        Ok(longest)
    }

    /// Asks a node to stop, and starts it again.
    fn restart(&mut self, node: u16) -> Result<(), Trouble> {
        self.members.signal(node, Signal::TERM);
        match self.members.await_end(node, STOP_WITHIN) {
            Some(status) if status.success() => {}
            Some(status) => return Err(Trouble::BadEnd { node, how: status.to_string() }),
            None => {
                return Err(Trouble::BadEnd { node, how: format!("it still runs after {STOP_WITHIN:?}") });
            }
        }
        self.members.launch(node)?;
        Ok(())
    }

    /// Has the leader hand over, and waits until its successor's epoch is on the disks of everybody but the node that lost
    /// its own.
    fn cover_loss(&mut self, lost: u16) -> Result<(), Trouble> {
        let others: Vec<u16> = self.members.plan().ids().filter(|&node| node != lost).collect();
        let before = self.await_quiet_of(&others)?;
        let leader = u16::try_from(before.leader).expect("invariant: ids of nodes are small");
        self.restart(leader)?;
        let end = Instant::now() + QUIET_WITHIN;
        loop {
            // All others hold what is committed, and the new epoch's first record is: leaders announce nothing before.
            let quiet = self.await_quiet_of(&others)?;
            if quiet.epoch > before.epoch && quiet.high_watermark > before.high_watermark {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(Trouble::NoQuiet { what: format!("epoch {} does not end", before.epoch) });
            }
            sleep(POLL);
        }
    }

    fn await_quiet(&mut self) -> Result<QuorumInfo, Trouble> {
        let all: Vec<u16> = self.members.plan().ids().collect();
        self.await_quiet_of(&all)
    }

    /// Waits until somebody leads and these nodes have fetched everything that is committed.
    fn await_quiet_of(&mut self, nodes: &[u16]) -> Result<QuorumInfo, Trouble> {
        let end = Instant::now() + QUIET_WITHIN;
        loop {
            if let Some(ended) = self.members.ended().into_iter().next() {
                let (node, how, last_line) = (ended.node, ended.status.to_string(), ended.last_line);
                return Err(Trouble::Died { node, how, last_line });
            }
            let what = match self.describe(nodes) {
                Ok(info) => match laggard(&info, nodes) {
                    None => return Ok(info),
                    Some(what) => what,
                },
                Err(what) => what,
            };
            if Instant::now() > end {
                return Err(Trouble::NoQuiet { what });
            }
            sleep(POLL);
        }
    }

    /// The leader's own view of the quorum.
    fn describe(&self, nodes: &[u16]) -> Result<QuorumInfo, String> {
        let (_, leader) = self.members.leader(nodes).ok_or("nobody leads")?;
        admin::quorum(&self.members.plan().endpoint(leader)).map_err(|error| error.to_string())
    }

    /// What was told against what is there: as a client reads it, and in every node's files.
    fn compare(&self, round: &Round, settings: &Settings, told: Told, from: Offset) -> Result<(), Trouble> {
        let unreadable = |error: ReadError| Trouble::Unreadable { what: error.to_string() };
        let reader = Reader::new(settings, Prng::new(self.options.seed, 0), Clock::start());
        let mut reader = reader.map_err(|source| system("make a consumer", source))?;
        let mut read = told.ledger.clone();
        reader
            .read(from, round.end, |fetched| {
                for batch in fetched.batches.iter().filter(|batch| !batch.is_control() && batch.base_offset() >= from) {
                    read.find(batch, round.promise);
                }
            })
            .map_err(unreadable)?;
        judge(read, "read by a client")?;
        let mut first = None;
        for node in self.members.plan().ids() {
            let batches = disks::batches(&self.members.plan().log_directory(node), from, round.end)?;
            let mut ledger = told.ledger.clone();
            let data = batches.iter().filter(|batch| !batch.is_control());
            data.for_each(|batch| ledger.find(batch, round.promise));
            judge(ledger, &format!("in the files of node {node}"))?;
            match &first {
                None => first = Some(batches),
                Some(first) => {
                    if let Some(what) = disks::difference(first, &batches, round.end) {
                        let place = format!("in the files of node 1 and of node {node}");
                        return Err(Trouble::Wrong { place, what });
                    }
                }
            }
        }
        Ok(())
    }
}

fn judge(ledger: Ledger, place: &str) -> Result<(), Trouble> {
    let report = ledger.close();
    if report.is_clean() {
        return Ok(());
    }
    Err(Trouble::Wrong { place: place.to_owned(), what: report.to_string() })
}

/// Who has not fetched everything yet, in words. A high watermark that is not known counts as not fetched.
fn laggard(info: &QuorumInfo, nodes: &[u16]) -> Option<String> {
    if info.high_watermark < 0 {
        return Some(format!("leader {} does not know the high watermark", info.leader));
    }
    let end = info.voters.iter().find(|voter| voter.id == info.leader).map_or(-1, |leader| leader.end);
    let behind =
        info.voters.iter().find(|voter| nodes.iter().any(|&node| i32::from(node) == voter.id) && voter.end < end);
    match behind {
        Some(voter) => Some(format!("node {} is at {}, the log ends at {end}", voter.id, voter.end)),
        None if info.high_watermark < end => {
            Some(format!("{} is committed, the log ends at {end}", info.high_watermark))
        }
        None => None,
    }
}

/// What is written to.
const TOPIC: &str = "__cluster_metadata";

/// How long the first acknowledgement may take.
const ACK_WITHIN: Duration = Duration::from_secs(60);

/// What a node may hold, whatever it is asked.
const MEBIBYTES_MAX: u64 = 200;

/// How long a quorum may take to come to rest.
const QUIET_WITHIN: Duration = Duration::from_secs(60);

/// How long a node may take to stop when asked to.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// How often the quorum is looked at.
const POLL: Duration = Duration::from_millis(20);
