//! The loop of a real node, and [`serve`]: from a properties file to the exit of the process.
//!
//! A turn: wait for readiness, step the node with everything that arrived, let all frames leave, then touch the disk and
//! step the node with what became durable. Frames before disk is the order that makes a commit take one round trip
//! *beside* one flush instead of after it; what must wait for the disk is held inside the node.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ids::DirectoryId;
use crate::log::{DiskSeq, FileRange, Gone, LoadId};
use crate::node::properties::Properties;
use crate::node::settings::ServerConfig;
use crate::node::{Input, Node, Output};
use crate::prng::Prng;
use crate::raft::note::Note;
use crate::server::addresses::Policy;
use crate::server::binding::BindError;
use crate::server::clock::Clock;
use crate::server::console::{Console, Level, Log};
use crate::server::disk::Disk;
use crate::server::files::{DataDirectory, FileError};
use crate::server::load::myself::{Plan, SelfLoad};
use crate::server::metrics::{Watched, Watchers};
use crate::server::network::{Event, Limits, Network};
use crate::server::signals::Signals;
use crate::server::start::{StartError, start};

/// What to serve, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The properties file.
    pub file: PathBuf,
    /// Properties that replace those of the file.
    pub overrides: Vec<(String, String)>,
    /// The id of the data directory: given to an empty one, expected of any other.
    pub directory_id: Option<DirectoryId>,
    /// Which lines of the log are written.
    pub log_level: Level,
    /// Where to serve metrics, `HOST:PORT`.
    pub metrics: Option<String>,
    /// The load that the node makes while it leads.
    pub self_load: Option<Plan>,
}

/// One node at work.
#[derive(Debug)]
pub struct Server {
    node: Node,
    network: Network,
    disk: Disk,
    clock: Clock,
    console: Console,
    signals: Signals,
    watchers: Option<Watchers>,
    self_load: Option<SelfLoad>,
    /// Reused by every step.
    outputs: Vec<Output>,
    /// Ranges to read once the frames of the turn have left.
    loads: VecDeque<(LoadId, FileRange)>,
    /// Completed disk operations; reused by every turn.
    durable: Vec<DiskSeq>,
    life: Life,
}

/// How far a server has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Running,
    /// The node was asked to stop and hands over.
    Stopping,
    Stopped,
}

/// Why a server ended other than by being asked to.
#[derive(Debug)]
pub enum ServeError {
    /// The properties file cannot be read or understood.
    Configuration(String),
    /// The node could not start.
    Start(StartError),
    /// A listener could not be bound.
    Bind(BindError),
    /// Metrics cannot be served there.
    Metrics(String, io::Error),
    /// A file operation failed; what is on disk is what the next start finds.
    File(FileError),
    /// Polling failed, or a thread or a pipe could not be made.
    System(io::Error),
}

/// Runs the node that a properties file describes until it is asked to stop. Whatever ends it otherwise is also the last
/// line of its log.
pub fn serve(options: &Options) -> Result<(), ServeError> {
    let (log, file) = (Log(options.log_level), options.file.display());
    let outcome = read_properties(&options.file, &options.overrides).and_then(|config| {
        for warning in &config.warnings {
            log.line(Level::Warn, "KafkaConfig", format_args!("{file}: {warning}"));
        }
        for ignored in &config.ignored {
            log.line(Level::Debug, "KafkaConfig", format_args!("{file}: {ignored}"));
        }
        Server::start(config, options)?.run()
    });
    if let Err(error) = &outcome {
        log.line(Level::Error, "KafkaRaftServer", format_args!("Exiting: {error}"));
    }
    outcome
}

#[expect(clippy::disallowed_methods, reason = "the one file that is read before there is a data directory")]
pub(in crate::server) fn read_properties(
    file: &Path,
    overrides: &[(String, String)],
) -> Result<ServerConfig, ServeError> {
    let configuration = |reason: String| ServeError::Configuration(format!("{}: {reason}", file.display()));
    let bytes = std::fs::read(file).map_err(|error| configuration(error.to_string()))?;
    let mut properties = Properties::parse(&bytes).map_err(|error| configuration(error.to_string()))?;
    for (key, value) in overrides {
        properties.set_override(key, value);
    }
    ServerConfig::of(&properties).map_err(|error| configuration(error.to_string()))
}

impl Server {
    /// Locks the directory, recovers the node and listens.
    pub fn start(config: ServerConfig, options: &Options) -> Result<Server, ServeError> {
        let clock = Clock::start();
        let node = &config.node;
        let console = Console::new(node.raft.id, Log(options.log_level));
        let mut directory = DataDirectory::open(Path::new(&config.log_dir)).map_err(StartError::File)?;
        let limits = Limits {
            frame_bytes_max: node.frame_bytes_max,
            idle_max: config.connection_idle_max,
            names: Policy::Trusted,
        };
        let mut network = Network::new(limits)?;
        let mut signals = Signals::catch()?;
        network.watch_signals(signals.source())?;
        // Ports before recovery: a second server on the same ports must not touch the files.
        for (index, listener) in config.listeners.iter().enumerate() {
            network.listen(index, listener)?;
            console.log(
                Level::Info,
                "SocketServer",
                format_args!("Awaiting connections on {}://{}", listener.name, listener.endpoint),
            );
        }
        let voters = node.raft.voters.iter().filter_map(|voter| node.raft.voters.endpoint(voter.key.id));
        for endpoint in node.raft.bootstrap.iter().chain(voters) {
            network.trust(endpoint, clock.monotonic());
        }
        let self_load = options.self_load.map(|plan| SelfLoad::new(plan, &config.node.topic, Prng::new(0, 0)));
        let mut outputs = Vec::new();
        let watchers = options
            .metrics
            .as_ref()
            .map(|at| Watchers::listen(at, network.waker()).map_err(|error| ServeError::Metrics(at.clone(), error)));
        let watchers = watchers.transpose()?;
        let node = start(config, options.directory_id, &mut directory, &console, clock.now(), &mut outputs)?;
        let disk = Disk::start(directory, network.waker())?;
        let mut server = Server {
            node,
            network,
            disk,
            clock,
            console,
            signals,
            watchers,
            self_load,
            outputs,
            loads: VecDeque::new(),
            durable: Vec::new(),
            life: Life::Running,
        };
        server.execute_outputs();
        server.console.log(Level::Info, "KafkaRaftServer", "started");
        Ok(server)
    }

    /// Works until the node has stopped.
    pub fn run(&mut self) -> Result<(), ServeError> {
        while self.life != Life::Stopped {
            self.turn()?;
        }
        self.console.flush();
        self.console.log(Level::Info, "KafkaRaftServer", "shut down completed");
        Ok(())
    }

    fn turn(&mut self) -> Result<(), ServeError> {
        self.work_self_load();
        self.network.flush();
        self.work_disk()?;
        self.network.flush();
        self.console.flush();
        self.network.wait(self.patience(), self.clock.monotonic())?;
        while let Some(event) = self.network.next_event() {
            self.on_event(event)?;
        }
        for warning in self.network.hits().take_warnings() {
            self.console.log(Level::Warn, "SocketServer", warning);
        }
        if self.node.deadline().is_some_and(|deadline| deadline <= self.clock.monotonic()) {
            self.step(Input::Tick);
        }
        Ok(())
    }

    /// The node is the load's broker, too: what it says arrives at once.
    fn work_self_load(&mut self) {
        let Some(load) = &mut self.self_load else { return };
        load.work(self.clock.now());
        while let Some(input) = self.self_load.as_mut().and_then(SelfLoad::next_input) {
            self.step(input);
        }
    }

    /// Carries out what concerns the load's own connections; anything else comes back.
    fn execute_for_self_load(&mut self, output: Output) -> Option<Output> {
        let Some(load) = &mut self.self_load else { return Some(output) };
        let now = self.clock.monotonic();
        match output {
            Output::Frame { connection, frame } if load.owns(connection) => {
                if let Some(line) = load.on_frame(now, connection, &frame) {
                    self.console.print(&line);
                }
            }
            Output::Close { connection } if load.owns(connection) => load.on_closed(now, connection),
            Output::Hold { connection } if load.owns(connection) => load.hold(connection),
            Output::Resume { connection } if load.owns(connection) => load.resume(connection),
            Output::Note(note) => {
                match note {
                    Note::Leads { .. } => load.claim(now),
                    Note::Became { .. } => load.resign(),
                    _ => {}
                }
                return Some(Output::Note(note));
            }
            other => return Some(other),
        }
        None
    }

    /// How long the poll may sleep.
    fn patience(&self) -> Option<Duration> {
        if self.disk.has_work() || !self.loads.is_empty() || self.life == Life::Stopped {
            return Some(Duration::ZERO);
        }
        let load = self.self_load.as_ref().and_then(SelfLoad::deadline);
        let deadline = self.node.deadline().into_iter().chain(self.network.deadline()).chain(load).min();
        deadline.map(|deadline| self.clock.until(deadline))
    }

    fn on_event(&mut self, event: Event) -> Result<(), ServeError> {
        match event {
            Event::Opened { connection, listener } => self.step(Input::Opened { connection, listener }),
            Event::Frame { connection, frame } => self.step(Input::Frame { connection, frame }),
            Event::Closed { connection } => self.step(Input::Closed { connection }),
            Event::Woken => {
                self.disk.collect(&mut self.durable)?;
                self.tell_durable();
                self.tell_watchers();
            }
            Event::Signalled => self.on_signals(),
        }
        Ok(())
    }

    fn tell_watchers(&mut self) {
        if let Some(watchers) = &self.watchers {
            let connections = self.network.connections();
            let (node, syncs) = (&self.node, self.disk.syncs());
            watchers.answer(&Watched { node, hits: self.network.hits(), connections, syncs });
        }
    }

    /// The first signal asks the node to hand over and stop, a second one does not wait for that.
    fn on_signals(&mut self) {
        for _ in 0..self.signals.take() {
            match self.life {
                Life::Running => {
                    self.console.log(Level::Info, "KafkaRaftServer", "shutting down");
                    self.life = Life::Stopping;
                    self.step(Input::Shutdown { deadline: self.clock.monotonic() + SHUTDOWN_WITHIN });
                }
                Life::Stopping => {
                    self.console.log(Level::Warn, "KafkaRaftServer", "asked twice: stopping without handing over");
                    self.life = Life::Stopped;
                }
                Life::Stopped => {}
            }
        }
    }

    /// Reads and writes what was asked for, after the frames of the turn have left.
    fn work_disk(&mut self) -> Result<(), ServeError> {
        // What these loads lead to waits for the next turn: a long log read back must not keep everybody else waiting.
        for _ in 0..self.loads.len() {
            let Some((load, range)) = self.loads.pop_front() else { break };
            let bytes = self.disk.read(range)?.ok_or(Gone);
            self.step(Input::Loaded { load, bytes });
        }
        self.disk.work(&mut self.durable)?;
        self.tell_durable();
        Ok(())
    }

    fn tell_durable(&mut self) {
        let mut durable = std::mem::take(&mut self.durable);
        for seq in durable.drain(..) {
            self.step(Input::DiskDone { seq });
        }
        self.durable = durable;
    }

    fn step(&mut self, input: Input) {
        if self.life == Life::Stopped {
            return;
        }
        self.node.step(self.clock.now(), input, &mut self.outputs);
        self.execute_outputs();
    }

    fn execute_outputs(&mut self) {
        let mut outputs = std::mem::take(&mut self.outputs);
        for output in outputs.drain(..) {
            self.execute(output);
        }
        self.outputs = outputs;
    }

    fn execute(&mut self, output: Output) {
        let Some(output) = self.execute_for_self_load(output) else { return };
        match output {
            Output::Connect { connection, endpoint } => {
                self.network.connect(connection, &endpoint, self.clock.monotonic());
            }
            Output::Frame { connection, frame } => self.network.send(connection, frame),
            Output::Close { connection } => self.network.close(connection, self.clock.monotonic()),
            Output::Hold { connection } => self.network.hold(connection),
            Output::Resume { connection } => self.network.resume(connection),
            Output::File(operation) => self.disk.push(operation),
            Output::Load { load, range } => self.loads.push_back((load, range)),
            // For checkers: a server that judged itself would only agree with itself.
            Output::Applied { .. } => {}
            Output::Printed(line) => self.console.print(&line),
            Output::Note(note) => self.console.note(&note),
            Output::Stopped => self.life = Life::Stopped,
        }
    }
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeError::Configuration(reason) => f.write_str(reason),
            ServeError::Start(error) => error.fmt(f),
            ServeError::Bind(error) => error.fmt(f),
            ServeError::Metrics(at, error) => write!(f, "cannot serve metrics at {at}: {error}"),
            ServeError::File(error) => write!(f, "{error}; the node stops, because nothing it could say would be sure"),
            ServeError::System(error) => write!(f, "the operating system refuses: {error}"),
        }
    }
}

impl std::error::Error for ServeError {}

impl From<StartError> for ServeError {
    fn from(error: StartError) -> ServeError {
        ServeError::Start(error)
    }
}

impl From<BindError> for ServeError {
    fn from(error: BindError) -> ServeError {
        ServeError::Bind(error)
    }
}

impl From<FileError> for ServeError {
    fn from(error: FileError) -> ServeError {
        ServeError::File(error)
    }
}

impl From<io::Error> for ServeError {
    fn from(error: io::Error) -> ServeError {
        ServeError::System(error)
    }
}

/// How long a stopping node may take to hand leadership over and sync, 5 s.
const SHUTDOWN_WITHIN: Duration = Duration::from_secs(5);
