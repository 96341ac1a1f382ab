//! One simulated machine: a disk, clocks, and a node that runs, boots, stands still, or is gone.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use crate::check::Effort;
use crate::ids::{DirectoryId, Endpoint, Listener, ReplicaId, ReplicaKey};
use crate::log::recovery::RecoveryOptions;
use crate::log::{CLUSTER_METADATA_ID, FileName, FileOp, FileRange, Layout, LoadId, MetaProperties, Recovery};
use crate::node::config::MachineKind;
use crate::node::{self, Node};
use crate::prng::Prng;
use crate::raft::{self, View, Voter, VoterSet};
use crate::scenario::FaultKind;
use crate::scenario::plan::Plan;
use crate::sim::HostId;
use crate::sim::clock::Clock;
use crate::sim::decide::{Decider, Stream};
use crate::sim::disk::Disk;
use crate::sim::image::Liberties;
use crate::sim::marks::Marks;
use crate::sim::network::Presence;
use crate::time::Instant;

/// A machine with a node on it.
#[derive(Debug)]
pub struct Host {
    /// Its number; also its node id.
    pub id: HostId,
    /// Its clocks.
    pub clock: Clock,
    /// Its disk.
    pub disk: Disk,
    /// What lies in its log files.
    pub marks: Marks,
    /// What its process does.
    pub state: State,
    /// Grows with every boot and every fall, so that what was scheduled before one means nothing after it.
    pub incarnation: u32,
    /// How often it was switched on.
    pub starts: u32,
    /// Whether the process stands still.
    pub is_paused: bool,
    /// The earliest timer that is scheduled, in true time.
    pub timer: Option<Instant>,
    /// Draws of this disk.
    pub stream: Stream,
    /// How often the disk was replaced.
    pub wipes: u64,
    /// How much the node works, for the check against busy loops.
    pub effort: Toil,
    /// After so many repairs of the running boot the process dies.
    pub dies_in_boot_after: Option<u64>,
    /// How the running process ends when its next sync is under way.
    pub falls_in_sync: Option<Fall>,
    /// What the running process reads.
    pub loads: Loads,
    /// Work that arrived while the process stood still.
    pub waiting: VecDeque<Waiting>,
}

/// A fall that waits for a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fall {
    /// What happens: the process is killed, or the power fails.
    pub kind: FaultKind,
    /// Which sync it waits for.
    pub moment: Moment,
}

/// Which sync a fall waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The next one.
    AnySync,
    /// The next one that finds unsynced bytes in so many sectors of one file, so that some may survive and some not.
    Tearing {
        /// Two at least.
        sectors: usize,
    },
}

/// What a machine's process does.
pub enum State {
    /// No process; the kernel refuses connections.
    Down,
    /// No power; nobody answers.
    Dark,
    /// The process reads its disk.
    Booting(Box<Boot>),
    /// The node runs.
    Up(Box<Node>),
}

/// A process between its start and its first step.
#[derive(Debug, Default)]
pub struct Boot {
    /// What makes an empty directory a formatted one.
    pub format: VecDeque<FileOp>,
    /// Recovery, once the directory is formatted.
    pub recovery: Option<Recovery>,
    /// Repairs carried out so far.
    pub repairs: u64,
}

/// Something that a paused process will see when it continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The disk has finished an operation.
    Disk,
    /// A boot repair is finished.
    Boot,
    /// A load is finished.
    Load(u32),
}

/// The reads of one process that are under way.
#[derive(Debug, Default)]
pub struct Loads {
    running: BTreeMap<u32, (LoadId, FileRange)>,
    begun: u32,
}

impl Loads {
    /// A read begins, and is told by this number until it ends.
    pub fn begin(&mut self, load: LoadId, range: FileRange) -> u32 {
        let number = self.begun;
        self.begun += 1;
        self.running.insert(number, (load, range));
        number
    }

    /// A read of this process ends.
    pub fn end(&mut self, number: u32) -> (LoadId, FileRange) {
        self.running.remove(&number).expect("invariant: a read ends once, in the process that began it")
    }

    /// How many are under way.
    pub fn count(&self) -> usize {
        self.running.len()
    }
}

/// Counts a node's work.
#[derive(Clone, Copy, Debug, Default)]
pub struct Toil {
    second: u64,
    steps: u64,
    connects: u64,
    last_tick: Option<Instant>,
    was_idle: bool,
    effort: Effort,
}

impl Toil {
    /// A tick is about to be handled.
    pub fn ticks(&mut self, at: Instant) {
        let is_repeated = self.last_tick.replace(at) == Some(at);
        if is_repeated && self.was_idle {
            self.effort.idle_ticks += 1;
        }
    }

    /// An input was handled and had so many outputs.
    pub fn stepped(&mut self, at: Instant, outputs: usize) {
        let second = at.0 / 1_000_000_000;
        if self.second != second {
            self.second = second;
            (self.steps, self.connects) = (0, 0);
        }
        self.steps += 1;
        self.was_idle = outputs == 0;
        self.effort.steps_in_busiest_second = self.effort.steps_in_busiest_second.max(self.steps);
    }

    /// A connection is asked for, in the step that was counted last.
    pub fn connects(&mut self) {
        self.connects += 1;
        self.effort.connects_in_busiest_second = self.effort.connects_in_busiest_second.max(self.connects);
    }

    /// The result.
    pub fn effort(&self) -> Effort {
        self.effort
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Down => "Down",
            State::Dark => "Dark",
            State::Booting(_) => "Booting",
            State::Up(_) => "Up",
        })
    }
}

impl Host {
    /// A machine with an empty disk, not started.
    pub fn new(plan: &Plan, decider: &Decider, id: HostId) -> Host {
        let mut clock_stream = decider.stream(&format!("clock {}", id.0));
        Host {
            id,
            clock: Clock::new(drift(plan, &mut clock_stream)),
            disk: Disk::default(),
            marks: Marks::default(),
            state: State::Down,
            incarnation: 0,
            starts: 0,
            is_paused: false,
            timer: None,
            stream: decider.stream(&format!("disk {}", id.0)),
            wipes: 0,
            effort: Toil::default(),
            dies_in_boot_after: None,
            falls_in_sync: None,
            loads: Loads::default(),
            waiting: VecDeque::new(),
        }
    }

    /// Whether what is sent to it arrives.
    pub fn presence(&self) -> Presence {
        match self.state {
            State::Up(_) if self.is_paused => Presence::Paused,
            State::Up(_) => Presence::Up,
            State::Down | State::Booting(_) => Presence::Down,
            State::Dark => Presence::Dark,
        }
    }

    /// The node, if it runs.
    pub fn node(&self) -> Option<&Node> {
        match &self.state {
            State::Up(node) => Some(node),
            _ => None,
        }
    }

    /// How the replica looks, if the node runs.
    pub fn view(&self) -> Option<View<'_>> {
        self.node().map(|node| node.replica().view())
    }

    /// Whether a process exists, running or booting.
    pub fn is_started(&self) -> bool {
        matches!(self.state, State::Up(_) | State::Booting(_))
    }

    /// Begins a boot. The directory is formatted first where it is not yet.
    pub fn begin_boot(&mut self, plan: &Plan) {
        self.incarnation += 1;
        self.starts += 1;
        self.marks.begin_boot();
        self.is_paused = false;
        self.timer = None;
        self.loads = Loads::default();
        self.waiting.clear();
        self.disk.forget_queue();
        let mut boot = Boot::default();
        if !self.disk.names.contains_key(&FileName::MetaProperties) {
            boot.format = Layout::format(&self.meta(plan), CLUSTER_METADATA_ID).into();
        }
        self.state = State::Booting(Box::new(boot));
    }

    /// Options of this host's recovery.
    pub fn recovery_options(&self, plan: &Plan) -> RecoveryOptions {
        RecoveryOptions {
            topic_id: CLUSTER_METADATA_ID,
            tail_bytes_max: plan.settings.log_tail_bytes,
            producers_max: raft::config::PRODUCERS_MAX,
            segment_bytes: plan.settings.segment_bytes,
            preallocate_bytes: plan.settings.preallocate_bytes,
            is_only_voter: plan.voters == 1 && self.id.0 == 0,
        }
    }

    /// The randomness of the incarnation that boots.
    pub fn incarnation_prng(&self, plan: &Plan) -> Prng {
        let name = format!("node {} incarnation {}", self.id.0, self.incarnation);
        Prng::new(plan.seed, crate::digest::Digest::of(name.as_bytes()))
    }

    fn meta(&self, plan: &Plan) -> MetaProperties {
        let mut prng = Prng::new(
            plan.seed,
            crate::digest::Digest::of(format!("directory {} {}", self.id.0, self.wipes).as_bytes()),
        );
        let mut directory = [0u8; 16];
        directory[..8].copy_from_slice(&prng.word().to_be_bytes());
        directory[8..].copy_from_slice(&prng.word().to_be_bytes());
        MetaProperties {
            cluster_id: crate::ids::uuid_to_text([0; 16]).into(),
            node_id: ReplicaId(self.id.0),
            directory_id: DirectoryId(directory),
        }
    }
}

/// What a node of this plan is told.
pub fn node_config(plan: &Plan, id: HostId) -> node::Config {
    let settings = &plan.settings;
    let voters = (0..plan.voters)
        .map(|voter| Voter { key: ReplicaKey::of(ReplicaId(voter)), endpoints: vec![listener(HostId(voter))] });
    let mut raft = raft::Config::new(ReplicaId(id.0), VoterSet::new(voters.collect()));
    raft.listeners = vec![listener(id)];
    raft.election_timeout = settings.election_timeout;
    raft.fetch_timeout = settings.fetch_timeout;
    raft.election_backoff_max = settings.election_backoff_max;
    raft.request_timeout = settings.request_timeout;
    raft.retry_backoff = settings.retry_backoff;
    raft.fetch_max_wait = settings.fetch_max_wait;
    raft.fetch_bytes_max = settings.fetch_bytes_max;
    raft.log_tail_bytes_max = settings.log_tail_bytes;
    // A short memory comes with a small log under way, so that producers are held where reads are cold.
    raft.unflushed_bytes_max = settings.log_tail_bytes / 16;
    raft.recovery_point_bytes = settings.recovery_point_bytes;
    raft.quirks = plan.quirks;
    let mut config = node::Config::new(raft);
    if plan.workload.iter().any(|work| work.kind.is_about_keys()) {
        config.machine = MachineKind::Kv;
    }
    config
}

/// How often a node may ask for connections within a second: of each other node once in a back-off, a fast clock's, and
/// anew whenever its role changes or a call supersedes another.
pub fn connects_max(plan: &Plan) -> u64 {
    let others = u64::from(plan.voters + plan.observers).saturating_sub(1);
    let pauses = 1_000_000_000 / plan.settings.retry_backoff.as_nanos().max(1) as u64;
    others * (pauses * 6 / 5 + CONNECTS_BESIDES)
}

/// Where a host listens: `n3:9092`.
pub fn listener(id: HostId) -> Listener {
    Listener { name: "PLAINTEXT".into(), endpoint: Endpoint::new(&format!("n{}", id.0), PORT) }
}

/// The host that listens at an endpoint.
pub fn host_at(endpoint: &Endpoint, hosts: usize) -> Option<HostId> {
    let number: u32 = endpoint.host.strip_prefix('n')?.parse().ok()?;
    (endpoint.port == PORT && (number as usize) < hosts).then_some(HostId(number))
}

/// What a power loss may do under this plan's faults.
pub fn liberties(plan: &Plan) -> Liberties {
    let is_on = |kind| plan.faults.contains_key(&kind);
    Liberties {
        torn: is_on(FaultKind::Torn),
        sectors: is_on(FaultKind::LostSectors),
        entries: is_on(FaultKind::LostEntries),
    }
}

fn drift(plan: &Plan, stream: &mut Stream) -> i64 {
    match plan.faults.contains_key(&FaultKind::Drift) {
        true => stream.around_zero(plan.settings.drift_ppm),
        false => 0,
    }
}

const PORT: u16 = 9092;

/// Connections to one node within a second for other reasons than that the last one failed.
const CONNECTS_BESIDES: u64 = 25;
