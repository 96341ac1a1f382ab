//! `torture`: a real quorum under load, hurt again and again, and checked after every round.
//!
//! A round draws a fault, a victim, a moment and a load from its seed; hurts the quorum while producers go on; makes good
//! what it did; waits for quiet; and then compares what the producers were told with what the log holds: read by a client,
//! and read from every node's files. Every acknowledged record is there, at its offset; exactly once and in order, where
//! the producer numbers its batches; and all nodes hold the same bytes.
//!
//! The draws are reproducible, real time is not: a seed names what was done and when, not what came of it.
//!
//! | file | is |
//! |---|---|
//! | [`fault`] | what is done to a quorum |
//! | [`load`] | producers that go on |
//! | [`round`] | one round |
//! | [`disks`] | what the files hold |

pub mod disks;
pub mod fault;
pub mod load;
pub mod round;

pub use fault::Fault;
pub use round::{Round, Torture};

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::server::members::SystemError;

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rounds in all.
    pub rounds: u64,
    /// What is drawn is drawn from here.
    pub seed: u64,
    /// Nodes of the quorum.
    pub nodes: u16,
    /// Port of the first node; the others follow it.
    pub base_port: u16,
    /// Faults to draw from; not empty.
    pub faults: Vec<Fault>,
    /// Properties for every node.
    pub overrides: Vec<(String, String)>,
    /// Where the quorum lives.
    pub directory: PathBuf,
}

/// What a round found wrong, or why it could not go on.
#[derive(Debug)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Trouble {
    /// The operating system refuses.
    System(SystemError),
    /// A process that should run has ended.
    Died { node: u16, how: String, last_line: String },
    /// A node that was asked to stop did not, or not with 0.
    BadEnd { node: u16, how: String },
    /// Nobody leads, or nodes do not catch up, in time.
    NoQuiet { what: String },
    /// No record was acknowledged in time.
    NoAck { within: Duration },
    /// The log cannot be read.
    Unreadable { what: String },
    /// What was acknowledged and what is there differ.
    Wrong { place: String, what: String },
}

impl Trouble {
    /// Whether it is a broken promise, and not a lack of progress or of resources.
    pub fn is_violation(&self) -> bool {
        matches!(self, Trouble::Wrong { .. } | Trouble::Died { .. } | Trouble::BadEnd { .. })
    }

    /// Whether nothing is known to be wrong with the quorum: the testbed could not go on.
    pub fn is_environment(&self) -> bool {
        matches!(self, Trouble::System(_))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::System(error) => error.fmt(f),
            Trouble::Died { node, how, last_line } => write!(f, "node {node} died by itself, {how}: {last_line}"),
            Trouble::BadEnd { node, how } => write!(f, "node {node} was asked to stop: {how}"),
            Trouble::NoQuiet { what } => write!(f, "the quorum does not come to rest: {what}"),
            Trouble::NoAck { within } => {
                write!(f, "no record that was sent after the fault is acknowledged within {within:?}")
            }
            Trouble::Unreadable { what } => f.write_str(what),
            Trouble::Wrong { place, what } => write!(f, "{place}: {what}"),
        }
    }
}

impl std::error::Error for Trouble {}

impl From<SystemError> for Trouble {
    fn from(error: SystemError) -> Trouble {
        Trouble::System(error)
    }
}
