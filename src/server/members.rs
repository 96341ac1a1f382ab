//! Nodes of a local quorum, each a process of its own: this program as `serve`.
//!
//! Everything stays in one directory, so that a quorum can be looked at, started again on its data, or taken apart by
//! hand:
//!
//! ```text
//!  DIR/node-1.properties   what `serve` was given          DIR/node-1.log   what it said on stdout and stderr
//!  DIR/node-1/             its log.dirs
//! ```
//!
//! Nodes run in process groups of their own: a Ctrl-C in the terminal reaches only who watches them.
//!
//! **Invariants**
//! - no process outlives the value, however it ends;
//! - a process that has ended is reported once, by [`Members::ended`] or [`Members::await_end`].

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "real processes, files and time")]

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process};

pub use rustix::process::Signal;

use crate::ids::Endpoint;
use crate::server::admin;

/// What a quorum is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many nodes, with ids from 1.
    pub nodes: u16,
    /// Port of node 1; the others follow it.
    pub base_port: u16,
    /// What clients and other nodes are told to connect to, in the order of the nodes; the nodes' own ports if there are
    /// none.
    pub advertised: Vec<Endpoint>,
    /// Port on which node 1 serves metrics, if any does; the others follow it.
    pub metrics_base_port: Option<u16>,
    /// Where everything is kept.
    pub directory: PathBuf,
    /// Properties for every node, after the generated ones.
    pub overrides: Vec<(String, String)>,
}

/// Something that the operating system refused.
#[derive(Debug)]
pub struct SystemError {
    /// What was tried, or with what.
    pub what: String,
    /// Its answer.
    pub source: io::Error,
}

/// A node whose process has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its id.
    pub node: u16,
    /// How.
    pub status: ExitStatus,
    /// The last line that it said.
    pub last_line: String,
}

/// The nodes of one quorum.
#[derive(Debug)]
pub struct Members {
    plan: Plan,
    program: PathBuf,
    /// By id, from 1.
    processes: Vec<Option<Child>>,
}

impl Plan {
    /// `host:port,…` of all nodes, as clients are told.
    pub fn bootstrap(&self) -> String {
        let endpoints: Vec<String> = self.clients_endpoints().iter().map(Endpoint::to_string).collect();
        endpoints.join(",")
    }

    /// Where clients find the nodes, in the order of their ids.
    pub fn clients_endpoints(&self) -> Vec<Endpoint> {
        match self.advertised.is_empty() {
            true => self.ids().map(|node| self.endpoint(node)).collect(),
            false => self.advertised.clone(),
        }
    }

    /// Where a node listens.
    pub fn endpoint(&self, node: u16) -> Endpoint {
        Endpoint::new("localhost", self.base_port + node - 1)
    }

    /// Where a node serves metrics.
    pub fn metrics(&self, node: u16) -> Option<Endpoint> {
        self.metrics_base_port.map(|port| Endpoint::new("localhost", port + node - 1))
    }

    /// A node's `log.dirs`.
    pub fn log_directory(&self, node: u16) -> PathBuf {
        self.directory.join(format!("node-{node}"))
    }

    /// A node's properties file.
    pub fn properties_file(&self, node: u16) -> PathBuf {
        self.directory.join(format!("node-{node}.properties"))
    }

    /// What a node says goes here.
    pub fn said_file(&self, node: u16) -> PathBuf {
        self.directory.join(format!("node-{node}.log"))
    }

    /// The nodes.
    pub fn ids(&self) -> impl Iterator<Item = u16> + use<> {
        1..=self.nodes
    }

    fn properties(&self, node: u16) -> String {
        // Nodes tell clients of each other what stands here.
        let voters: Vec<String> =
            self.ids().zip(self.clients_endpoints()).map(|(node, at)| format!("{node}@{at}")).collect();
        let mut text = format!(
            "# Written by kraftbed.\nnode.id={node}\nlisteners=PLAINTEXT://{}\ncontroller.quorum.voters={}\nlog.dirs={}\n",
            self.endpoint(node),
            voters.join(","),
            self.log_directory(node).display()
        );
        if let Some(advertised) = self.advertised.get(usize::from(node) - 1) {
            text += &format!("advertised.listeners=PLAINTEXT://{advertised}\n");
        }
        for (key, value) in &self.overrides {
            text += &format!("{key}={value}\n");
        }
        text
    }
}

impl Members {
    /// Directories and properties of a quorum, none of whose nodes runs yet.
    pub fn prepare(plan: Plan) -> Result<Members, SystemError> {
        let program = std::env::current_exe().map_err(|source| system("find this program", source))?;
        fs::create_dir_all(&plan.directory).map_err(|source| system(shown(&plan.directory), source))?;
        for node in plan.ids() {
            let file = plan.properties_file(node);
            fs::write(&file, plan.properties(node)).map_err(|source| system(shown(&file), source))?;
        }
        let processes = plan.ids().map(|_| None).collect();
        Ok(Members { plan, program, processes })
    }

    /// What it was made of.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Starts a node that does not run; the process's id.
    pub fn launch(&mut self, node: u16) -> Result<u32, SystemError> {
        assert!(!self.is_running(node), "node {node} runs already");
        let said = self.plan.said_file(node);
        let log = File::options().append(true).create(true).open(&said);
        let log = log.and_then(|log| Ok((log.try_clone()?, log)));
        let (out, err) = log.map_err(|source| system(shown(&said), source))?;
        let mut command = Command::new(&self.program);
        command.arg("serve").arg(self.plan.properties_file(node));
        if let Some(metrics) = self.plan.metrics(node) {
            command.args(["--metrics", &metrics.to_string()]);
        }
        command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
        let process = command.spawn().map_err(|source| system(shown(&self.program), source))?;
        let id = process.id();
        *self.slot(node) = Some(process);
        Ok(id)
    }

    /// Whether a node has been started and has not been reported as ended.
    pub fn is_running(&self, node: u16) -> bool {
        self.processes[usize::from(node) - 1].is_some()
    }

    /// The nodes that run.
    pub fn running(&self) -> Vec<u16> {
        self.plan.ids().filter(|&node| self.is_running(node)).collect()
    }

    /// The id of a node's process, while it runs.
    pub fn process_id(&self, node: u16) -> Option<u32> {
        self.processes[usize::from(node) - 1].as_ref().map(Child::id)
    }

    /// Memory that a node which runs holds at this moment; 0 where the system has no `/proc`.
    pub fn resident_bytes(&self, node: u16) -> u64 {
        let id = self.process_id(node).expect("invariant: the node runs");
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kibibytes.unwrap_or(0) << 10
    }

    /// Sends a signal to a node that runs.
    pub fn signal(&self, node: u16, signal: Signal) {
        let id = self.process_id(node).and_then(|id| Pid::from_raw(id as i32));
        if let Some(id) = id {
            // A process that has just ended cannot be asked for anything any more, and will be reported.
            let _ = kill_process(id, signal);
        }
    }

    /// Ends a node at once, and waits until it is gone.
    pub fn kill(&mut self, node: u16) {
        if let Some(mut process) = self.slot(node).take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Waits for a node that was asked to stop.
    pub fn await_end(&mut self, node: u16, within: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + within;
        loop {
            let process = self.slot(node).as_mut()?;
            if let Ok(Some(status)) = process.try_wait() {
                *self.slot(node) = None;
                return Some(status);
            }
            if Instant::now() > end {
                return None;
            }
            sleep(END_POLL);
        }
    }

    /// Nodes that have ended since this was asked last.
    pub fn ended(&mut self) -> Vec<Ended> {
        let mut all = Vec::new();
        for node in self.plan.ids() {
            let Some(process) = self.slot(node) else { continue };
            if let Ok(Some(status)) = process.try_wait() {
                *self.slot(node) = None;
                all.push(Ended { node, status, last_line: last_line(&self.plan.said_file(node)) });
            }
        }
        all
    }

    /// Removes everything that a node that does not run has stored.
    pub fn wipe(&self, node: u16) -> Result<(), SystemError> {
        assert!(!self.is_running(node), "node {node} must not run while its directory is wiped");
        let directory = self.plan.log_directory(node);
        fs::remove_dir_all(&directory).map_err(|source| system(shown(&directory), source))
    }

    /// Who leads, and in which epoch, asking those among `nodes` that run. The newest epoch that anybody knows is right; who
    /// is cut off knows only older ones.
    pub fn leader(&self, nodes: &[u16]) -> Option<(i32, u16)> {
        let running = nodes.iter().copied().filter(|&node| self.is_running(node));
        let told = running.filter_map(|node| admin::leader(&self.plan.endpoint(node)).ok());
        let newest = told.filter_map(|(leader, epoch)| Some((epoch, leader?))).max();
        newest.and_then(|(epoch, leader)| Some((epoch, u16::try_from(leader).ok()?)))
    }

    fn slot(&mut self, node: u16) -> &mut Option<Child> {
        &mut self.processes[usize::from(node) - 1]
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        for node in self.plan.ids() {
            self.kill(node);
        }
    }
}

fn last_line(path: &Path) -> String {
    let said = fs::read(path).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    said.lines().last().unwrap_or_default().to_owned()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// What could not be done, and why.
pub fn system(what: impl Into<String>, source: io::Error) -> SystemError {
    SystemError { what: what.into(), source }
}

impl std::fmt::Display for SystemError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.source)
    }
}

impl std::error::Error for SystemError {}

/// How often a process that was asked to stop is looked at.
const END_POLL: Duration = Duration::from_millis(10);
