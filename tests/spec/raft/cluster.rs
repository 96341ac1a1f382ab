//! The dialect: a few replicas, the messages between them, a disk each. Time moves only when a script says so.
//!
//! | command | what it does |
//! |---|---|
//! | `cluster voters=3 observers=0 disks=auto\|held loads=auto\|held quirk=… …` | describes the replicas; nothing starts; with `load=gone` the first load finds nothing |
//! | `image 3 0..3@1 3..5@3 epoch=3 leader=1 vote=2 recovering=3 point=3` | what lies on a disk before the start |
//! | `start [3]` | starts all, or one; again after `crash` (what was not synced is gone) or `kill` (the page cache stays) |
//! | `tick 3` | time moves to the replica's deadline, and it is told; its own time-outs fall due |
//! | `advance 500ms` | time moves for all; each replica is told when its deadline comes |
//! | `deliver [1-2]` | what is under way at this moment arrives, in order; only from 1 to 2 if said so |
//! | `drop [1-2]` | it never arrives |
//! | `refuse [1-2]` | what was asked meets a closed port |
//! | `settle` | deliver until nothing is under way, at most 30 rounds |
//! | `elect 1` | tick 1 and settle |
//! | `disk 3 [count]` | the oldest operations of a held disk are done |
//! | `load 3 [count]` | the oldest loads of a disk whose loads are held come back |
//! | `propose 1 records=1 acks=all producer=7 sequence=0 within=5s` | a client asks; answers show as `client#N` |
//! | `read 1 from=0 epoch=… bytes=1 within=1s`, `confirm 1 within=1s` | likewise |
//! | `fetch 1 replica=2 from=3@1 epoch=1 hw=none wait=500ms link=7` | a fetch by hand; likewise `vote`, `begin`, `end` |
//! | `resign 1`, `shutdown 1 within=5s` | |
//! | `view` | one line per replica |

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use goldenscript::{ArgumentConsumer, Command, Context, Runner};
use kraftbed::ids::{Epoch, Offset, ReplicaId, ReplicaKey};
use kraftbed::log::{DiskSeq, Gone, LoadId, QuorumState, Stored};
use kraftbed::prng::Prng;
use kraftbed::quirk::Quirk;
use kraftbed::raft::{
    Answer, CallError, CallId, Config, Effect, Input, LinkId, Replica, Request, Response, RoleKind, Ticket, Voter,
    VoterSet,
};
use kraftbed::record::RecordBatch;
use kraftbed::time::{Instant, Now, Timestamp};

use crate::raft::ask::{batch, duration, link, listener, node_id, within};
use crate::raft::disk::Disk;
use crate::raft::show;

/// A script's world.
#[derive(Default)]
pub struct Cluster {
    nodes: BTreeMap<u32, Node>,
    messages: Vec<Message>,
    /// Who waits for which ticket.
    askers: BTreeMap<Ticket, Asker>,
    links: BTreeMap<(u32, u32), u64>,
    next_ticket: u64,
    next_link: u64,
    pub now: Instant,
    disks_are_held: bool,
    loads_are_held: bool,
    /// The next load finds nothing.
    spoils_load: bool,
    tail_batches: usize,
    lines: String,
    /// What was ever applied anywhere, by offset: epoch, checksum and end.
    history: BTreeMap<Offset, (Epoch, u32, Offset)>,
    /// Who led which epoch.
    leaders: BTreeMap<Epoch, ReplicaId>,
}

struct Node {
    config: Config,
    disk: Disk,
    replica: Option<Replica>,
    incarnation: u64,
    /// The call outstanding at each peer, as its driver sees it.
    calls: BTreeMap<u32, CallId>,
    shown_held: usize,
    loads: VecDeque<(LoadId, Stored)>,
    applied: Offset,
}

#[derive(Clone)]
struct Message {
    from: u32,
    to: u32,
    call: CallId,
    what: What,
}

#[derive(Clone)]
enum What {
    Request { body: Request, link: LinkId },
    Response { body: Response, incarnation: u64 },
}

enum Asker {
    Peer { node: u32, call: CallId, incarnation: u64 },
    Client { number: u64 },
}

pub type Outcome = Result<(), Box<dyn Error>>;

impl Runner for Cluster {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Result<String, Box<dyn Error>> {
        self.run_command(command)
    }
}

impl Cluster {
    fn run_command(&mut self, command: &Command) -> Result<String, Box<dyn Error>> {
        let mut args = command.consume_args();
        match command.name.as_str() {
            "cluster" => self.describe(&mut args)?,
            "image" => self.lay_image(&mut args)?,
            "start" => self.start_some(&mut args)?,
            "crash" => self.stop(&mut args, Disk::lose_power)?,
            "kill" => self.stop(&mut args, Disk::lose_process)?,
            "tick" => {
                let id = node_id(&mut args)?;
                self.tick(id)?;
            }
            "advance" => self.advance(duration(args.next_pos().ok_or("how long?")?)?)?,
            "deliver" => {
                let link = link(&mut args)?;
                self.deliver(link)?;
            }
            "drop" => {
                let link = link(&mut args)?;
                self.messages.retain(|message| !is_on(message, link));
            }
            "settle" => self.settle()?,
            "elect" => {
                let id = node_id(&mut args)?;
                self.tick(id)?;
                self.settle()?;
            }
            "refuse" => {
                let link = link(&mut args)?;
                self.refuse(link)?;
            }
            "disk" => self.complete(&mut args)?,
            "load" => self.load(&mut args)?,
            "resign" => self.ask(&mut args, |_, _| Ok(Input::Resign))?,
            "shutdown" => {
                self.ask(&mut args, |now, args| Ok(Input::Shutdown { deadline: now + within(args, "5s")? }))?
            }
            "propose" => self.propose(&mut args)?,
            "read" => self.read(&mut args)?,
            "confirm" => self.confirm(&mut args)?,
            "fetch" | "vote" | "begin" | "end" => self.request_by_hand(&command.name, &mut args)?,
            "view" => self.show_views(),
            "progress" => self.show_progress(node_id(&mut args)?)?,
            other => return Err(format!("no such command: {other}").into()),
        }
        args.reject_next()?;
        Ok(std::mem::take(&mut self.lines))
    }
}

impl Cluster {
    fn describe(&mut self, args: &mut ArgumentConsumer<'_>) -> Outcome {
        *self = Cluster { tail_batches: usize::MAX, ..Cluster::default() };
        let voters: u32 = args.take_key("voters").unwrap_or("3").parse()?;
        let observers: u32 = args.take_key("observers").unwrap_or("0").parse()?;
        let voter = |id: u32| Voter { key: ReplicaKey::of(ReplicaId(id)), endpoints: vec![listener(id)] };
        let set = VoterSet::new((1..=voters).map(voter).collect());
        self.disks_are_held = args.take_key("disks") == Some("held");
        self.loads_are_held = args.take_key("loads") == Some("held");
        self.spoils_load = args.take_key("load") == Some("gone");
        let mut config = Config::new(ReplicaId(0), set);
        while let Some((key, value)) = args.next_key() {
            match key {
                "quirk" => config.quirks = config.quirks.with(Quirk::parse(value).ok_or("no such quirk")?),
                "tail" => self.tail_batches = value.parse()?,
                "tail_bytes" => config.log_tail_bytes_max = value.parse()?,
                "unflushed_bytes" => config.unflushed_bytes_max = value.parse()?,
                "loads_max" => config.loads_max = value.parse()?,
                "fetch_timeout" => config.fetch_timeout = duration(value)?,
                "election_timeout" => config.election_timeout = duration(value)?,
                "recovery_point_bytes" => config.recovery_point_bytes = value.parse()?,
                other => return Err(format!("no such setting: {other}").into()),
            }
        }
        for id in 1..=voters + observers {
            let config = Config { id: ReplicaId(id), listeners: vec![listener(id)], ..config.clone() };
            let node = Node {
                config,
                disk: Disk::default(),
                replica: None,
                incarnation: 0,
                calls: BTreeMap::new(),
                shown_held: 0,
                loads: VecDeque::new(),
                applied: Offset::ZERO,
            };
            self.nodes.insert(id, node);
        }
        Ok(())
    }

    fn lay_image(&mut self, args: &mut ArgumentConsumer<'_>) -> Outcome {
        let id = node_id(args)?;
        let image = &mut self.nodes.get_mut(&id).ok_or("no such node")?.disk.platter;
        while let Some(range) = args.next_pos() {
            let (range, epoch) = range.split_once('@').ok_or("expected 0..3@1")?;
            let (from, to) = range.split_once("..").ok_or("expected 0..3@1")?;
            let (from, to): (u64, u64) = (from.parse()?, to.parse()?);
            let stamped = batch(to - from, None).stamped(Offset(from), Epoch(epoch.parse()?));
            image.batches.push(stamped);
        }
        image.recovery_point = match args.take_key("point") {
            Some(point) => Offset(point.parse()?),
            None => image.end(),
        };
        if let Some(epoch) = args.take_key("recovering") {
            image.recovering = Some(Epoch(epoch.parse()?));
        }
        let replica = |text: Option<&str>| text.map(str::parse).transpose().map(|id| id.map(ReplicaId));
        let (leader, vote) = (replica(args.take_key("leader"))?, replica(args.take_key("vote"))?);
        if let Some(epoch) = args.take_key("epoch") {
            let epoch = Epoch(epoch.parse()?);
            let vote = vote.map(ReplicaKey::of);
            image.quorum = Some(QuorumState { epoch, leader, vote, version: 0, voters: Vec::new() });
        }
        Ok(())
    }

    fn start_some(&mut self, args: &mut ArgumentConsumer<'_>) -> Outcome {
        let ids: Vec<u32> = match args.next_pos() {
            Some(id) => vec![id.parse()?],
            None => self.nodes.keys().copied().collect(),
        };
        for id in ids {
            let now = self.clock();
            let tail_batches = self.tail_batches;
            let node = self.nodes.get_mut(&id).ok_or("no such node")?;
            node.disk.cache = node.disk.platter.clone();
            node.incarnation += 1;
            node.shown_held = 0;
            node.applied = Offset::ZERO;
            let recovered = node.disk.platter.recover(ReplicaId(id), tail_batches);
            let prng = Prng::new(u64::from(id), node.incarnation);
            let mut out = Vec::new();
            node.replica = Some(Replica::recover(node.config.clone(), recovered, prng, now, &mut out));
            self.carry_out(id, out)?;
            let node = &self.nodes[&id];
            let shown = show::view(&node.replica.as_ref().ok_or("started")?.view());
            writeln!(self.lines, "{shown}")?;
        }
        Ok(())
    }

    fn stop(&mut self, args: &mut ArgumentConsumer<'_>, lose: impl Fn(&mut Disk)) -> Outcome {
        let id = node_id(args)?;
        let node = self.nodes.get_mut(&id).ok_or("no such node")?;
        node.replica = None;
        node.calls.clear();
        node.loads.clear();
        lose(&mut node.disk);
        Ok(())
    }

    fn tick(&mut self, id: u32) -> Outcome {
        let deadline = self.replica(id)?.deadline().ok_or("nothing is due")?;
        self.now = self.now.max(deadline);
        self.step(id, Input::Tick)
    }

    fn advance(&mut self, by: Duration) -> Outcome {
        let until = self.now + by;
        for _ in 0..1_000 {
            let due = |(id, node): (&u32, &Node)| Some((node.replica.as_ref()?.deadline()?, *id));
            let Some((deadline, id)) = self.nodes.iter().filter_map(due).min().filter(|due| due.0 <= until) else {
                self.now = until;
                return Ok(());
            };
            self.now = self.now.max(deadline);
            self.step(id, Input::Tick)?;
        }
        Err("a busy loop".into())
    }

    fn deliver(&mut self, link: Option<(u32, u32)>) -> Outcome {
        let (arriving, staying) = std::mem::take(&mut self.messages).into_iter().partition(|sent| is_on(sent, link));
        self.messages = staying;
        let arriving: Vec<Message> = arriving;
        for message in arriving {
            if self.nodes[&message.to].replica.is_none() {
                continue;
            }
            match message.what {
                What::Request { body, link } => {
                    let incarnation = self.nodes[&message.from].incarnation;
                    let asker = Asker::Peer { node: message.from, call: message.call, incarnation };
                    let ticket = self.ticket(asker);
                    self.step(message.to, Input::Request { ticket, link, body })?;
                }
                What::Response { body, incarnation } if incarnation == self.nodes[&message.to].incarnation => {
                    let calls = &mut self.nodes.get_mut(&message.to).ok_or("no such node")?.calls;
                    calls.retain(|_, call| *call != message.call);
                    self.step(message.to, Input::Response { call: message.call, body: Ok(body) })?;
                }
                What::Response { .. } => {}
            }
        }
        Ok(())
    }

    fn settle(&mut self) -> Outcome {
        for _ in 0..30 {
            if self.messages.is_empty() {
                return Ok(());
            }
            self.deliver(None)?;
        }
        Err("the cluster does not settle".into())
    }

    fn complete(&mut self, args: &mut ArgumentConsumer<'_>) -> Outcome {
        let id = node_id(args)?;
        let count: usize = args.next_pos().map_or(Ok(usize::MAX), str::parse)?;
        for _ in 0..count {
            let node = self.nodes.get_mut(&id).ok_or("no such node")?;
            let Some(seq) = node.disk.complete_next() else { break };
            writeln!(self.lines, "n{id} disk#{} done", seq.0)?;
            self.step(id, Input::DiskDone { seq })?;
        }
        Ok(())
    }

    fn load(&mut self, args: &mut ArgumentConsumer<'_>) -> Outcome {
        let id = node_id(args)?;
        let count: usize = args.next_pos().map_or(Ok(usize::MAX), str::parse)?;
        for _ in 0..count {
            if !self.bring_load(id)? {
                break;
            }
        }
        Ok(())
    }

    /// Brings what the oldest load asked for; `false` if there is none.
    fn bring_load(&mut self, id: u32) -> Result<bool, Box<dyn Error>> {
        let node = self.nodes.get_mut(&id).ok_or("no such node")?;
        let Some((load, Stored::Log { from, .. })) = node.loads.pop_front() else { return Ok(false) };
        let mut bytes = Vec::new();
        for batch in node.disk.cache.batches.iter().filter(|batch| batch.end() > from).take(2) {
            bytes.extend_from_slice(&batch.encode_header());
            bytes.extend_from_slice(&batch.body);
        }
        let is_spoilt = std::mem::take(&mut self.spoils_load);
        let bytes = if bytes.is_empty() || is_spoilt { Err(Gone) } else { Ok(bytes.into()) };
        self.step(id, Input::Loaded { load, bytes })?;
        Ok(true)
    }

    fn refuse(&mut self, link: Option<(u32, u32)>) -> Outcome {
        let is_refused = |sent: &Message| is_on(sent, link) && matches!(sent.what, What::Request { .. });
        let refused: Vec<Message> = self.messages.extract_if(.., |sent| is_refused(sent)).collect();
        for Message { from, to, call, .. } in refused {
            self.nodes.get_mut(&from).ok_or("no such node")?.calls.remove(&to);
            self.step(from, Input::Response { call, body: Err(CallError::Disconnected) })?;
        }
        Ok(())
    }

    fn ask(
        &mut self,
        args: &mut ArgumentConsumer<'_>,
        input: impl Fn(Instant, &mut ArgumentConsumer<'_>) -> Result<Input, Box<dyn Error>>,
    ) -> Outcome {
        let id = node_id(args)?;
        let input = input(self.now, args)?;
        self.step(id, input)
    }

    /// Runs one line of a script, for a storm.
    pub fn run_line(&mut self, line: &str) -> Outcome {
        goldenscript::generate(self, &format!("{line}\n---\n"))?;
        Ok(())
    }

    /// How many messages are under way, for a storm that picks among them.
    pub fn message_count(&self) -> usize {
        self.messages.len()
    }

    /// Delivers one message, whichever; connections are reordered, not what is on one.
    pub fn deliver_one(&mut self, index: usize) -> Outcome {
        let link = (self.messages[index].from, self.messages[index].to);
        let first = self.messages.iter().position(|message| is_on(message, Some(link))).unwrap_or(index);
        let message = self.messages.remove(first);
        let later = std::mem::take(&mut self.messages);
        self.messages = vec![message];
        self.deliver(None)?;
        let new = std::mem::replace(&mut self.messages, later);
        self.messages.extend(new);
        Ok(())
    }

    /// Loses one message.
    pub fn lose_one(&mut self, index: usize) {
        self.messages.remove(index);
    }

    pub fn is_up(&self, id: u32) -> bool {
        self.nodes[&id].replica.is_some()
    }

    fn show_views(&mut self) {
        for (id, node) in &self.nodes {
            let line = node.replica.as_ref().map_or(format!("n{id} down"), |replica| show::view(&replica.view()));
            self.lines.push_str(&line);
            self.lines.push('\n');
        }
    }

    fn show_progress(&mut self, id: u32) -> Outcome {
        for row in self.replica(id)?.progress() {
            writeln!(self.lines, "{}", show::progress(&row))?;
        }
        Ok(())
    }

    pub fn step(&mut self, id: u32, input: Input) -> Outcome {
        let now = self.clock();
        let node = self.nodes.get_mut(&id).ok_or("no such node")?;
        let mut out = Vec::new();
        node.replica.as_mut().ok_or("the node is down")?.step(now, input, &mut out);
        self.judge_leader(id)?;
        self.carry_out(id, out)
    }

    fn carry_out(&mut self, id: u32, out: Vec<Effect>) -> Outcome {
        for effect in out {
            self.carry_out_one(id, effect)?;
        }
        self.show_held(id)?;
        while !self.loads_are_held && self.bring_load(id)? {}
        while !self.disks_are_held && self.nodes[&id].replica.is_some() {
            let node = self.nodes.get_mut(&id).ok_or("no such node")?;
            let Some(seq) = node.disk.complete_next() else { break };
            self.step(id, Input::DiskDone { seq })?;
        }
        Ok(())
    }

    fn carry_out_one(&mut self, id: u32, effect: Effect) -> Outcome {
        match effect {
            Effect::Send { to, call, body } => {
                let peer = to.replica.ok_or("scripts use no bootstrap servers")?.id.0;
                let (kind, what) = show::request(&body);
                writeln!(self.lines, "n{id} → n{peer} {kind}#{} {what}", call.0)?;
                let node = self.nodes.get_mut(&id).ok_or("no such node")?;
                let is_superseding = node.calls.insert(peer, call).is_some();
                let link = self.link(id, peer, is_superseding);
                self.messages.push(Message { from: id, to: peer, call, what: What::Request { body, link } });
            }
            Effect::Answer { ticket, body } => self.carry_answer(id, ticket, body)?,
            Effect::Disk { seq: DiskSeq(seq), op } => {
                writeln!(self.lines, "n{id} disk#{seq} {}", show::disk(&op))?;
                self.nodes.get_mut(&id).ok_or("no such node")?.disk.submit(DiskSeq(seq), op);
            }
            Effect::Load { load, what } => {
                writeln!(self.lines, "n{id} load#{} {}", load.0, show::stored(&what))?;
                self.nodes.get_mut(&id).ok_or("no such node")?.loads.push_back((load, what));
            }
            Effect::Apply { batches } => {
                writeln!(self.lines, "n{id} apply {}", show::batches(&batches))?;
                self.judge_applied(id, &batches)?;
            }
            Effect::Stopped => writeln!(self.lines, "n{id} stopped")?,
            Effect::Note(note) => writeln!(self.lines, "n{id} note: {}", show::note(&note))?,
        }
        Ok(())
    }

    /// What one replica applies, all apply, in the same place, and without gaps.
    fn judge_applied(&mut self, id: u32, batches: &[RecordBatch]) -> Outcome {
        let node = self.nodes.get_mut(&id).ok_or("no such node")?;
        for batch in batches {
            if node.applied != batch.base_offset() {
                return Err(format!("n{id} applied {} at {}", batch.base_offset(), node.applied).into());
            }
            node.applied = batch.end();
            let seen = (batch.leader_epoch(), batch.header.crc, batch.end());
            let known = *self.history.entry(batch.base_offset()).or_insert(seen);
            if known != seen {
                return Err(format!("n{id} applied something else at {}", batch.base_offset()).into());
            }
        }
        Ok(())
    }

    /// One leader per epoch.
    fn judge_leader(&mut self, id: u32) -> Outcome {
        let Ok(replica) = self.replica(id) else { return Ok(()) };
        let view = replica.view();
        let (epoch, role) = (view.epoch, view.role);
        if role == RoleKind::Leader && *self.leaders.entry(epoch).or_insert(ReplicaId(id)) != ReplicaId(id) {
            return Err(format!("n{id} leads epoch {epoch}, which had another leader").into());
        }
        Ok(())
    }

    fn carry_answer(&mut self, id: u32, ticket: Ticket, body: Answer) -> Outcome {
        match self.askers.remove(&ticket).ok_or("a ticket was answered twice")? {
            Asker::Client { number } => writeln!(self.lines, "n{id} → client#{number} {}", show::answer(&body))?,
            Asker::Peer { node, call, incarnation } => {
                let Answer::Response(body) = body else { return Err("a peer got a client's answer".into()) };
                let (kind, what) = show::response(&body);
                writeln!(self.lines, "n{id} → n{node} {kind}#{} {what}", call.0)?;
                self.messages.push(Message { from: id, to: node, call, what: What::Response { body, incarnation } });
            }
        }
        Ok(())
    }

    /// Frames that began to wait in this step.
    fn show_held(&mut self, id: u32) -> Outcome {
        let node = self.nodes.get_mut(&id).ok_or("no such node")?;
        let Some(replica) = &node.replica else { return Ok(()) };
        let (Some(DiskSeq(seq)), held) = replica.held() else {
            node.shown_held = 0;
            return Ok(());
        };
        if self.disks_are_held {
            for effect in held.iter().skip(node.shown_held) {
                let frame = match effect {
                    Effect::Send { to, call, body } => {
                        let (kind, what) = show::request(body);
                        let peer = to.replica.map_or("?".to_string(), |key| key.id.to_string());
                        format!("→ n{peer} {kind}#{} {what}", call.0)
                    }
                    Effect::Answer { body, .. } => format!("→ {}", show::answer(body)),
                    other => return Err(format!("held, and no frame: {other:?}").into()),
                };
                writeln!(self.lines, "n{id} ⏸ disk#{seq} {frame}")?;
            }
        }
        node.shown_held = held.len();
        Ok(())
    }

    fn link(&mut self, from: u32, to: u32, is_new: bool) -> LinkId {
        if is_new {
            self.links.remove(&(from, to));
        }
        let next = &mut self.next_link;
        LinkId(*self.links.entry((from, to)).or_insert_with(|| {
            *next += 1;
            *next
        }))
    }

    fn ticket(&mut self, asker: Asker) -> Ticket {
        self.next_ticket += 1;
        self.askers.insert(Ticket(self.next_ticket), asker);
        Ticket(self.next_ticket)
    }

    pub fn client(&mut self) -> Ticket {
        let clients = self.next_ticket + 1;
        self.ticket(Asker::Client { number: clients })
    }

    fn replica(&self, id: u32) -> Result<&Replica, Box<dyn Error>> {
        Ok(self.nodes.get(&id).and_then(|node| node.replica.as_ref()).ok_or("the node is down")?)
    }

    fn clock(&self) -> Now {
        Now { monotonic: self.now, wall: Timestamp((self.now.0 / 1_000_000) as i64) }
    }
}

fn is_on(message: &Message, link: Option<(u32, u32)>) -> bool {
    link.is_none_or(|link| link == (message.from, message.to))
}
