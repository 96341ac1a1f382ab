//! `bench`: what a real quorum does under fixed loads, beside what the machine could do at most.
//!
//! Every load is measured twice in turn: on a quorum of real nodes, and on the *pull floor*, as many bare processes that
//! replicate bytes by pull with the same syncs and no protocol at all. Nothing correct can be much faster at that shape, so
//! a figure says something only as a share of the floor of the same minute: absolute ones change threefold within the hour
//! on a shared machine.
//!
//! | file | is |
//! |---|---|
//! | [`limits`] | a disk's sync, a round trip, a sequential write |
//! | [`floor`] | the bare processes |
//! | [`run`] | all loads in turn |
//! | [`rig`] | a quorum with its counters |
//! | [`compare`] | thresholds, and one result against another |

pub mod compare;
pub mod floor;
pub mod limits;
pub mod rig;
pub mod run;

pub use run::bench;

use std::path::PathBuf;
use std::time::Duration;

use crate::campaign::bench::limits::Limits;
use crate::campaign::check::Verdict;
use crate::campaign::results::WriteError;
use crate::server::load::histogram::Percentiles;
use crate::server::load::reading::ReadError;
use crate::server::members::SystemError;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// Sizes of quorums.
    pub nodes: Vec<u16>,
    /// Bytes of a record's value.
    pub record_bytes: Vec<usize>,
    /// Loads.
    pub loads: Vec<Load>,
    /// How long each is measured, after a quarter of that to warm up.
    pub seconds: Duration,
    /// How often each is measured; the median counts.
    pub rounds: usize,
    /// Bytes of a batch. (`batch.size`)
    pub batch_bytes: usize,
    /// Port of the first node.
    pub base_port: u16,
    /// Properties for every node.
    pub overrides: Vec<(String, String)>,
    /// Where quorums and floors keep their files.
    pub directory: PathBuf,
    /// Whether every load writes a history, which is checked.
    pub check: bool,
}

/// A load that waits for its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Records under way at a time, all clients together.
    pub in_flight: u64,
    /// Clients, each with connections of its own.
    pub clients: u32,
}

/// What a load came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Nodes of the quorum, or processes of the floor.
    pub nodes: u16,
    /// Bytes of a record's value.
    pub record_bytes: usize,
    /// The load.
    pub load: Load,
    /// Records acknowledged.
    pub records: u64,
    /// In so many seconds.
    pub seconds: f64,
    /// How long each took, from when it was sent.
    pub latencies: Percentiles,
    /// Produce requests.
    pub requests: u64,
    /// Syncs of files, all nodes together.
    pub syncs: u64,
    /// CPU time of all processes, the client's included.
    pub cpu_seconds: f64,
    /// What its history came to, where one was written.
    pub checked: Option<Checked>,
}

/// A history that was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// Operations in it.
    pub operations: u64,
    /// How long that took.
    pub seconds: f64,
    /// What it came to.
    pub verdict: Verdict,
}

/// Everything that was measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// What the machine does at most.
    pub limits: Limits,
    /// The nodes.
    pub rows: Vec<Row>,
    /// The floor under each of them.
    pub floor: Vec<Row>,
    /// Whether it was told to stop before everything was measured.
    pub is_partial: bool,
}

/// Why something could not be measured.
#[derive(Debug)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum BenchError {
    /// The operating system refuses.
    System(SystemError),
    /// The quorum does not come up.
    NotReady { why: String },
    /// The load failed.
    Load(ReadError),
    /// A history that must be kept cannot be written.
    History(WriteError),
}

impl Row {
    /// Whether its history is one that no log and its producers could have given.
    pub fn is_violated(&self) -> bool {
        matches!(&self.checked, Some(Checked { verdict: Verdict::NotLinearizable { .. }, .. }))
    }

    /// The rate.
    pub fn records_per_second(&self) -> f64 {
        self.records as f64 / self.seconds
    }

    /// The rate of values, in units of 1024 · 1024 bytes, as Kafka's tools count.
    pub fn mb_per_second(&self) -> f64 {
        self.records_per_second() * self.record_bytes as f64 / (1024.0 * 1024.0)
    }

    /// How well records were batched.
    pub fn records_per_request(&self) -> f64 {
        if self.requests == 0 { 0.0 } else { self.records as f64 / self.requests as f64 }
    }
}

impl std::fmt::Display for BenchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BenchError::System(error) => error.fmt(f),
            BenchError::NotReady { why } => write!(f, "the quorum does not come up: {why}"),
            BenchError::Load(error) => error.fmt(f),
            BenchError::History(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BenchError {}

impl From<SystemError> for BenchError {
    fn from(error: SystemError) -> BenchError {
        BenchError::System(error)
    }
}

impl From<ReadError> for BenchError {
    fn from(error: ReadError) -> BenchError {
        BenchError::Load(error)
    }
}
