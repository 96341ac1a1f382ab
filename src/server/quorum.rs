//! A local quorum of separate processes: this program as `serve`, once per node, and somebody who watches.
//!
//! Everything stays in one directory, so that a quorum can be looked at, started again on its data, or taken apart by
//! hand:
//!
//! ```text
//!  DIR/node-1.properties   what `serve` was given          DIR/node-1.log   what it said on stdout and stderr
//!  DIR/node-1/             its log.dirs
//! ```
//!
//! Nodes run in process groups of their own: a Ctrl-C in the terminal reaches only the watcher, who then asks each node
//! once (SIGTERM), and waits. A node that dies by itself is reported and not restarted: the others go on or they do not,
//! which is what one wants to see.

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "real processes, files and time")]

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::ids::Endpoint;
use crate::server::admin;
use crate::server::signals::Signals;

/// What to start.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many nodes, with ids from 1.
    pub nodes: u16,
    /// Port of node 1; the others follow it.
    pub base_port: u16,
    /// Where everything is kept.
    pub directory: PathBuf,
    /// Properties for every node, after the generated ones.
    pub overrides: Vec<(String, String)>,
}

/// What a quorum does, to be told to people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Event {
    /// A node's process runs.
    Started { node: u16, endpoint: Endpoint, process: u32, properties: PathBuf },
    /// A leader was elected, or another one.
    Leads { node: i32, epoch: i32 },
    /// A node's process ended by itself; the last line that it said.
    Died { node: u16, status: ExitStatus, last_line: String },
    /// The watcher was asked to stop and asks the nodes.
    Stopping,
    /// A node ended because it was asked to.
    Stopped { node: u16, status: ExitStatus },
}

/// Why a quorum could not be started, or did not end well.
#[derive(Debug)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum QuorumError {
    /// A file or a process could not be made.
    System { what: String, source: io::Error },
    /// More nodes than ports above the first.
    Ports,
    /// Every node has died.
    AllDied,
    /// Nodes that did not stop in time were killed.
    Killed { nodes: Vec<u16> },
    /// Nobody led in time.
    NoLeader,
}

impl fmt::Display for QuorumError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QuorumError::System { what, source } => write!(f, "{what}: {source}"),
            QuorumError::Ports => write!(f, "the last node's port would be above 65535"),
            QuorumError::AllDied => write!(f, "every node has died"),
            QuorumError::Killed { nodes } => {
                write!(f, "killed nodes that did not stop within {STOP_WITHIN:?}: {nodes:?}")
            }
            QuorumError::NoLeader => write!(f, "no node leads after {LEADER_WITHIN:?}"),
        }
    }
}

impl std::error::Error for QuorumError {}

/// A quorum that runs. However the value ends, no process outlives it.
#[derive(Debug)]
pub struct Quorum {
    members: Vec<Member>,
    leader: Option<(i32, i32)>,
}

#[derive(Debug)]
struct Member {
    id: u16,
    endpoint: Endpoint,
    said: PathBuf,
    process: Option<Child>,
}

impl Plan {
    /// `host:port,…` of all nodes.
    pub fn bootstrap(&self) -> String {
        let endpoints: Vec<String> = (1..=self.nodes).map(|node| self.endpoint(node).to_string()).collect();
        endpoints.join(",")
    }

    fn endpoint(&self, node: u16) -> Endpoint {
        Endpoint::new("localhost", self.base_port + node - 1)
    }

    fn properties(&self, node: u16) -> String {
        let voters: Vec<String> = (1..=self.nodes).map(|node| format!("{node}@{}", self.endpoint(node))).collect();
        let listener = format!("PLAINTEXT://{}", self.endpoint(node));
        let mut text = format!(
            "# Written by kraftbed quorum start.\nnode.id={node}\nlisteners={listener}\ncontroller.quorum.voters={}\n\
             log.dirs={}\n",
            voters.join(","),
            self.directory.join(format!("node-{node}")).display()
        );
        for (key, value) in &self.overrides {
            text += &format!("{key}={value}\n");
        }
        text
    }
}

/// Starts a quorum and watches it until a signal comes. What happens is told as it happens.
pub fn watch(plan: &Plan, mut tell: impl FnMut(Event)) -> Result<(), QuorumError> {
    let mut signals = Signals::catch().map_err(|source| system("catch signals", source))?;
    let mut quorum = Quorum::start(plan, &mut tell)?;
    let patience = Instant::now() + LEADER_WITHIN;
    while signals.take() == 0 {
        quorum.bury(&mut tell);
        if quorum.members.iter().all(|member| member.process.is_none()) {
            return Err(QuorumError::AllDied);
        }
        quorum.follow_leader(&mut tell);
        if quorum.leader.is_none() && Instant::now() > patience {
            quorum.stop(&mut tell)?;
            return Err(QuorumError::NoLeader);
        }
        sleep(PAUSE);
    }
    tell(Event::Stopping);
    quorum.stop(&mut tell)
}

impl Quorum {
    fn start(plan: &Plan, tell: &mut impl FnMut(Event)) -> Result<Quorum, QuorumError> {
        if plan.base_port.checked_add(plan.nodes - 1).is_none() {
            return Err(QuorumError::Ports);
        }
        let shown = |path: &Path| path.display().to_string();
        let program = std::env::current_exe().map_err(|source| system("find this program", source))?;
        fs::create_dir_all(&plan.directory).map_err(|source| system(shown(&plan.directory), source))?;
        let mut quorum = Quorum { members: Vec::new(), leader: None };
        for id in 1..=plan.nodes {
            let properties = plan.directory.join(format!("node-{id}.properties"));
            let said = plan.directory.join(format!("node-{id}.log"));
            fs::write(&properties, plan.properties(id)).map_err(|source| system(shown(&properties), source))?;
            let log = File::options().append(true).create(true).open(&said);
            let log = log.and_then(|log| Ok((log.try_clone()?, log)));
            let (out, err) = log.map_err(|source| system(shown(&said), source))?;
            let mut command = Command::new(&program);
            command.arg("serve").arg(&properties).stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
            let process = command.spawn().map_err(|source| system(shown(&program), source))?;
            let endpoint = plan.endpoint(id);
            tell(Event::Started { node: id, endpoint: endpoint.clone(), process: process.id(), properties });
            quorum.members.push(Member { id, endpoint, said, process: Some(process) });
        }
        Ok(quorum)
    }

    /// Reports processes that have ended.
    fn bury(&mut self, tell: &mut impl FnMut(Event)) {
        for member in &mut self.members {
            let Some(process) = &mut member.process else { continue };
            if let Ok(Some(status)) = process.try_wait() {
                member.process = None;
                tell(Event::Died { node: member.id, status, last_line: last_line(&member.said) });
            }
        }
    }

    /// Asks who leads. The newest epoch that anybody knows is right; who is cut off knows only older ones.
    fn follow_leader(&mut self, tell: &mut impl FnMut(Event)) {
        let running = self.members.iter().filter(|member| member.process.is_some());
        let told = running.filter_map(|member| admin::leader(&member.endpoint).ok());
        let newest = told.filter_map(|(leader, epoch)| Some((epoch, leader?))).max();
        let Some((epoch, node)) = newest else { return };
        if self.leader.is_none_or(|known| known < (epoch, node)) {
            self.leader = Some((epoch, node));
            tell(Event::Leads { node, epoch });
        }
    }

    /// Asks every node to stop, and waits.
    fn stop(&mut self, tell: &mut impl FnMut(Event)) -> Result<(), QuorumError> {
        for member in &self.members {
            if let Some(id) = member.process.as_ref().and_then(|process| Pid::from_raw(process.id() as i32)) {
                // A process that has just ended is not to be asked any more.
                let _ = kill_process(id, Signal::TERM);
            }
        }
        let end = Instant::now() + STOP_WITHIN;
        while Instant::now() < end && self.members.iter().any(|member| member.process.is_some()) {
            for member in &mut self.members {
                let Some(process) = &mut member.process else { continue };
                if let Ok(Some(status)) = process.try_wait() {
                    member.process = None;
                    tell(Event::Stopped { node: member.id, status });
                }
            }
            sleep(PAUSE / 10);
        }
        let left = self.members.iter().filter(|member| member.process.is_some());
        let nodes: Vec<u16> = left.map(|member| member.id).collect();
        if nodes.is_empty() { Ok(()) } else { Err(QuorumError::Killed { nodes }) }
    }
}

impl Drop for Quorum {
    fn drop(&mut self) {
        for process in self.members.iter_mut().filter_map(|member| member.process.as_mut()) {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn last_line(path: &Path) -> String {
    let said = fs::read(path).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    said.lines().last().unwrap_or_default().to_owned()
}

fn system(what: impl Into<String>, source: io::Error) -> QuorumError {
    QuorumError::System { what: what.into(), source }
}

/// How often the watcher looks.
const PAUSE: Duration = Duration::from_millis(200);
/// How long the first election may take.
const LEADER_WITHIN: Duration = Duration::from_secs(60);
/// How long nodes may take to hand over and to sync.
const STOP_WITHIN: Duration = Duration::from_secs(30);
