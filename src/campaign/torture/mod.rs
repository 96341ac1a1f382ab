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
//! | [`strangers`] | who means no good |
//! | [`disks`] | what the files hold |
//! | [`trouble`] | what may be wrong |

pub mod disks;
pub mod fault;
pub mod load;
pub mod round;
pub mod strangers;
pub mod trouble;

pub use fault::Fault;
pub use round::{Round, Torture};
pub use trouble::Trouble;

use std::path::PathBuf;

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
