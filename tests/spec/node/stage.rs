//! The stage on which node scripts play: one node, its files in memory, and everybody else played by the script.
//!
//! Commands:
//! - `start [voters=N] [in_flight=N] [unflushed=BYTES] [connections=N] [machine=monotonic] [verbose=true]`: node 1 on an empty, formatted
//!   directory. The other voters are 2, 3, … at `localhost:909x`.
//! - `open CONN`, `close CONN`: an inbound connection (`in0`, …); `up CONN`, `down CONN`: one that the node asked for (`out0`, …).
//! - `ask CONN API vN key=value…`: a request on an inbound connection.
//! - `answer CONN key=value…`: what the peer answers to the last request on an outbound connection.
//! - `raw CONN HEX`: any frame. `wait DURATION_MS`: time passes, timers run. `disk hold|release`. `resign`, `shutdown`.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use goldenscript::{Command, Context, Runner};
use kraftbed::ids::{DirectoryId, Endpoint, Listener, ReplicaId, ReplicaKey, uuid_to_text};
use kraftbed::log::recovery::RecoveryOptions;
use kraftbed::log::{
    CLUSTER_METADATA_ID, Demand, DiskSeq, FileName, FileOp, FileRange, Layout, MetaProperties, Recovery,
};
use kraftbed::node::config::MachineKind;
use kraftbed::node::{Config, Input, Node, Output};
use kraftbed::prng::Prng;
use kraftbed::protocol::ConnectionId;
use kraftbed::quirk::Quirk;
use kraftbed::raft::{self, Voter, VoterSet};
use kraftbed::time::{Instant, Now, Timestamp};

use super::requests::Args;
use super::{requests, show};

/// The node under test and its surroundings.
#[derive(Default)]
pub struct Stage {
    node: Option<Node>,
    now: Instant,
    files: BTreeMap<FileName, Vec<u8>>,
    disk_is_held: bool,
    held: Vec<DiskSeq>,
    correlation: i32,
    /// What was asked on a connection: by connection and correlation id, API key and version.
    asked: BTreeMap<(ConnectionId, i32), (i16, i16)>,
    /// The last request that the node sent on a connection.
    calls: BTreeMap<ConnectionId, Bytes>,
    shown: String,
}

type Outcome<T> = Result<T, Box<dyn Error>>;

impl Runner for Stage {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Outcome<String> {
        let mut args = Args::of(command);
        match command.name.as_str() {
            "start" => self.start(&mut args)?,
            "open" => {
                let connection = connection(&mut args)?;
                self.step(Input::Opened { connection, listener: 0 });
            }
            "close" | "down" => {
                let connection = connection(&mut args)?;
                self.step(Input::Closed { connection });
            }
            "up" => {
                let connection = connection(&mut args)?;
                self.step(Input::Opened { connection, listener: 0 });
            }
            "ask" => {
                let connection = connection(&mut args)?;
                self.correlation += 1;
                let (frame, asked) = requests::request(&mut args, self.correlation)?;
                self.asked.insert((connection, self.correlation), asked);
                self.step(Input::Frame { connection, frame });
            }
            "answer" => {
                let connection = connection(&mut args)?;
                let call = self.calls.get(&connection).ok_or("nothing was asked there")?;
                let frame = requests::answer(&mut args, call)?;
                self.step(Input::Frame { connection, frame });
            }
            "raw" => {
                let connection = connection(&mut args)?;
                let frame = requests::unhex(&args.next().unwrap_or_default())?;
                self.step(Input::Frame { connection, frame });
            }
            "wait" => {
                let millis: u64 = args.next().ok_or("how long?")?.parse()?;
                self.wait(Duration::from_millis(millis));
            }
            "disk" => self.disk(&args.next().ok_or("hold or release?")?)?,
            "resign" => self.step(Input::Resign),
            "shutdown" => self.step(Input::Shutdown { deadline: self.now + Duration::from_secs(5) }),
            other => return Err(format!("unknown command {other}").into()),
        }
        args.reject_rest()?;
        Ok(std::mem::take(&mut self.shown))
    }
}

impl Stage {
    fn start(&mut self, args: &mut Args) -> Outcome<()> {
        let voters: u32 = args.parse_key("voters")?.unwrap_or(1);
        let voters = VoterSet::new((1..=voters).map(voter).collect());
        let mut raft = raft::Config::new(ReplicaId(1), voters);
        raft.listeners = voter(1).endpoints;
        raft.batch_bytes_max = args.parse_key("batch_bytes_max")?.unwrap_or(raft.batch_bytes_max);
        raft.unflushed_bytes_max = args.parse_key("unflushed")?.unwrap_or(raft.unflushed_bytes_max);
        if let Some(name) = args.take("quirk") {
            raft.quirks = raft.quirks.with(Quirk::parse(&name).ok_or("no such quirk")?);
        }
        let mut config = Config::new(raft);
        config.requests_in_flight_max = args.parse_key("in_flight")?.unwrap_or(config.requests_in_flight_max);
        config.connections_max = args.parse_key("connections")?.unwrap_or(config.connections_max);
        config.connections_reserved = args.parse_key("reserved")?.unwrap_or(config.connections_reserved);
        config.inflated_bytes_max = args.parse_key("inflated_bytes_max")?.unwrap_or(config.inflated_bytes_max);
        config.verbose = args.parse_key("verbose")?.unwrap_or(false);
        if args.take("machine").is_some_and(|arg| arg == "monotonic") {
            config.machine = MachineKind::Monotonic;
        }
        let meta = MetaProperties {
            cluster_id: uuid_to_text([0; 16]).into(),
            node_id: ReplicaId(1),
            directory_id: DirectoryId([7; 16]),
        };
        if self.files.is_empty() {
            Layout::format(&meta, CLUSTER_METADATA_ID).into_iter().for_each(|op| self.write(op));
        }
        let (durable, layout) = self.recover(config.raft.voters.len() == 1)?;
        let mut out = Vec::new();
        let node = Node::recover(config, durable, layout, Prng::new(1, 1), self.clock(), &mut out);
        self.node = Some(node);
        self.carry_out(out);
        Ok(())
    }

    fn recover(&mut self, is_only_voter: bool) -> Outcome<(kraftbed::log::Recovered, Layout)> {
        let listing: Vec<_> = self.files.iter().map(|(&file, bytes)| (file, bytes.len() as u64)).collect();
        let options = RecoveryOptions {
            topic_id: CLUSTER_METADATA_ID,
            tail_bytes_max: 1 << 20,
            producers_max: 1_000,
            segment_bytes: 1 << 20,
            preallocate_bytes: 0,
            is_only_voter,
        };
        let mut recovery = Recovery::new(&listing, options);
        loop {
            match recovery.demand().map_err(|error| error.to_string())? {
                Demand::Read(range) => recovery.supply(self.read(range)),
                Demand::File(op) => self.write(op),
                Demand::Finished => return Ok(recovery.finish()),
            }
        }
    }

    fn read(&self, range: FileRange) -> Bytes {
        let bytes = self.files.get(&range.file).map_or(&[][..], |bytes| bytes);
        let start = bytes.len().min(range.at as usize);
        let end = bytes.len().min((range.at + range.length) as usize);
        Bytes::copy_from_slice(&bytes[start..end])
    }

    fn write(&mut self, op: FileOp) {
        match op {
            FileOp::Write { file, at, bytes } => {
                let content = self.files.entry(file).or_default();
                let mut at = at as usize;
                for part in bytes {
                    content.resize(content.len().max(at + part.len()), 0);
                    content[at..at + part.len()].copy_from_slice(&part);
                    at += part.len();
                }
            }
            FileOp::Preallocate { file, length } => {
                let content = self.files.entry(file).or_default();
                content.resize(content.len().max(length as usize), 0);
            }
            FileOp::Truncate { file, length } => self.files.entry(file).or_default().truncate(length as usize),
            FileOp::Rename { from, to } => {
                let content = self.files.remove(&from).unwrap_or_default();
                self.files.insert(to, content);
            }
            FileOp::Remove { file } => drop(self.files.remove(&file)),
            FileOp::Sync { .. } | FileOp::SyncDirectory(_) => {}
        }
    }

    fn clock(&self) -> Now {
        Now { monotonic: self.now, wall: Timestamp((self.now.0 / 1_000_000) as i64) }
    }

    fn step(&mut self, input: Input) {
        let now = self.clock();
        let mut out = Vec::new();
        self.node.as_mut().expect("a node was started").step(now, input, &mut out);
        self.carry_out(out);
    }

    fn carry_out(&mut self, out: Vec<Output>) {
        let mut done = Vec::new();
        for output in out {
            match output {
                Output::File(queued) => {
                    self.write(queued.op);
                    done.extend(queued.completes);
                }
                Output::Load { load, range } => {
                    let bytes = Ok(self.read(range));
                    self.say(format!("load {} bytes", range.length));
                    self.step(Input::Loaded { load, bytes });
                }
                Output::Frame { connection, frame } => {
                    let frame = frame.payload();
                    let text = match connection.is_outbound() {
                        true => {
                            self.calls.insert(connection, frame.clone());
                            show::request(&frame)
                        }
                        false => show::response(&frame, |correlation| self.asked[&(connection, correlation)]),
                    };
                    self.say(format!("{connection} < {text}"));
                }
                other => {
                    if let Some(text) = show::output(&other) {
                        self.say(text);
                    }
                }
            }
        }
        self.held.extend(done);
        if !self.disk_is_held {
            for seq in std::mem::take(&mut self.held) {
                self.step(Input::DiskDone { seq });
            }
        }
    }

    fn disk(&mut self, what: &str) -> Outcome<()> {
        self.disk_is_held = what == "hold";
        if !self.disk_is_held {
            self.carry_out(Vec::new());
        }
        Ok(())
    }

    fn wait(&mut self, duration: Duration) {
        let until = self.now + duration;
        loop {
            let deadline = self.node.as_ref().and_then(Node::deadline).filter(|&deadline| deadline <= until);
            let Some(deadline) = deadline else { break };
            self.now = self.now.max(deadline);
            self.step(Input::Tick);
        }
        self.now = until;
    }

    fn say(&mut self, line: String) {
        self.shown.push_str(&line);
        self.shown.push('\n');
    }
}

fn voter(id: u32) -> Voter {
    let endpoint = Endpoint::new("localhost", 9091 + id as u16);
    Voter { key: ReplicaKey::of(ReplicaId(id)), endpoints: vec![Listener { name: "PLAINTEXT".into(), endpoint }] }
}

fn connection(args: &mut Args) -> Outcome<ConnectionId> {
    let name = args.next().ok_or("which connection?")?;
    match (name.strip_prefix("out"), name.strip_prefix("in")) {
        (Some(number), _) => Ok(ConnectionId(ConnectionId::FIRST_OUTBOUND.0 + number.parse::<u64>()?)),
        (_, Some(number)) => Ok(ConnectionId(number.parse()?)),
        _ => Err(format!("{name} is neither inN nor outN").into()),
    }
}

/// Gives a frame to a leader that must survive it.
pub fn hear(frame: Bytes) {
    let _ = answer_to(frame);
}

/// What a leader answers to a frame within the time that it may wait, if it answers at all.
pub fn answer_to(frame: Bytes) -> Option<Bytes> {
    answer_among(1, frame)
}

/// What voter 1 of so many answers to a frame; it leads if it is the only one.
pub fn answer_among(voters: u32, frame: Bytes) -> Option<Bytes> {
    let mut stage = Stage::default();
    stage.start(&mut Args::default().with("voters", voters)).expect("a node starts");
    stage.wait(Duration::from_secs(3));
    let connection = ConnectionId(0);
    let node = stage.node.as_mut().expect("a node was started");
    let mut out = Vec::new();
    let mut now = Now { monotonic: stage.now, wall: Timestamp(0) };
    node.step(now, Input::Opened { connection, listener: 0 }, &mut out);
    node.step(now, Input::Frame { connection, frame }, &mut out);
    let done: Vec<DiskSeq> = out
        .iter()
        .filter_map(|output| if let Output::File(queued) = output { queued.completes } else { None })
        .collect();
    for seq in done {
        node.step(now, Input::DiskDone { seq }, &mut out);
    }
    now.monotonic += Duration::from_secs(61);
    node.step(now, Input::Tick, &mut out);
    out.into_iter().find_map(|output| match output {
        Output::Frame { connection: to, frame } if to == connection => Some(frame.payload()),
        _ => None,
    })
}
