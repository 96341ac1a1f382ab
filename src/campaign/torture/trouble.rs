//! What a round found wrong, in words.

use std::fmt;
use std::time::Duration;

use crate::server::members::SystemError;

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
    /// A node holds more memory than is owed for what it was asked.
    Swollen { node: u16, mebibytes: u64, owed: u64 },
    /// The log cannot be read.
    Unreadable { what: String },
    /// What was acknowledged and what is there differ.
    Wrong { place: String, what: String },
}

impl Trouble {
    /// Whether it is a broken promise, and not a lack of progress or of resources.
    pub fn is_violation(&self) -> bool {
        matches!(
            self,
            Trouble::Wrong { .. } | Trouble::Died { .. } | Trouble::BadEnd { .. } | Trouble::Unreadable { .. }
        )
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
            Trouble::Swollen { node, mebibytes, owed } => {
                write!(f, "node {node} holds {mebibytes} MiB of memory, {owed} are owed at most")
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
