//! A local quorum that somebody watches: started, described as it goes, stopped with Ctrl-C.
//!
//! A node that dies by itself is reported and not restarted: the others go on or they do not, which is what one wants to
//! see. A signal asks each node once (SIGTERM), and waits.

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "processes are waited for in real time")]

use std::fmt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::ids::Endpoint;
use crate::server::members::{Ended, Members, Plan, Signal, SystemError, system};
use crate::server::signals::Signals;

/// What a quorum does, to be told to people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Event {
    /// A node's process runs.
    Started { node: u16, endpoint: Endpoint, process: u32, properties: PathBuf },
    /// A leader was elected, or another one.
    Leads { node: u16, epoch: i32 },
    /// A node's process ended by itself.
    Died(Ended),
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
    System(SystemError),
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
            QuorumError::System(error) => error.fmt(f),
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

impl From<SystemError> for QuorumError {
    fn from(error: SystemError) -> QuorumError {
        QuorumError::System(error)
    }
}

/// Starts a quorum and watches it until a signal comes. What happens is told as it happens.
pub fn watch(plan: &Plan, mut tell: impl FnMut(Event)) -> Result<(), QuorumError> {
    let mut signals = Signals::catch().map_err(|source| system("catch signals", source))?;
    let mut members = start(plan, &mut tell)?;
    let patience = Instant::now() + LEADER_WITHIN;
    let mut leader = None;
    while signals.take() == 0 {
        members.ended().into_iter().for_each(|ended| tell(Event::Died(ended)));
        let running = members.running();
        if running.is_empty() {
            return Err(QuorumError::AllDied);
        }
        let newest = members.leader(&running);
        if let Some((epoch, node)) = newest.filter(|_| newest > leader) {
            leader = newest;
            tell(Event::Leads { node, epoch });
        }
        if leader.is_none() && Instant::now() > patience {
            stop(&mut members, &mut tell)?;
            return Err(QuorumError::NoLeader);
        }
        sleep(PAUSE);
    }
    tell(Event::Stopping);
    stop(&mut members, &mut tell)
}

fn start(plan: &Plan, tell: &mut impl FnMut(Event)) -> Result<Members, QuorumError> {
    if plan.base_port.checked_add(plan.nodes - 1).is_none() {
        return Err(QuorumError::Ports);
    }
    let mut members = Members::prepare(plan.clone())?;
    for node in plan.ids() {
        let process = members.launch(node)?;
        let (endpoint, properties) = (plan.endpoint(node), plan.properties_file(node));
        tell(Event::Started { node, endpoint, process, properties });
    }
    Ok(members)
}

/// Asks every node to stop, and waits.
fn stop(members: &mut Members, tell: &mut impl FnMut(Event)) -> Result<(), QuorumError> {
    for node in members.running() {
        members.signal(node, Signal::TERM);
    }
    let end = Instant::now() + STOP_WITHIN;
    while Instant::now() < end && !members.running().is_empty() {
        for Ended { node, status, .. } in members.ended() {
            tell(Event::Stopped { node, status });
        }
        sleep(PAUSE / 10);
    }
    let nodes = members.running();
    if nodes.is_empty() { Ok(()) } else { Err(QuorumError::Killed { nodes }) }
}

/// How often the watcher looks.
const PAUSE: Duration = Duration::from_millis(200);
/// How long the first election may take.
const LEADER_WITHIN: Duration = Duration::from_secs(60);
/// How long nodes may take to hand over and to sync.
const STOP_WITHIN: Duration = Duration::from_secs(30);
