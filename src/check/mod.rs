//! Was that allowed? Observations in, violations out.
//!
//! Drivers feed a [`Judge`] with [`Observation`]s; it asks every [`Property`]. Properties judge from outside: what was
//! written to disk and what the platter would keep ([`DiskView`]), what was said on the wire, what clients were told. A
//! replica's own cursors ([`View`]) are what is judged, never the evidence.

use crate::history::Operation;
use crate::ids::{Epoch, Offset};
use crate::log::{QuorumState, Recovered};
use crate::raft::message::{Request, Response};
use crate::raft::note::Note;
use crate::raft::view::View;
use crate::record::RecordBatch;
use crate::time::Instant;

/// A batch as it lies in a node's files: place, epoch and checksum of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchMark {
    /// Offset of its first record.
    pub base: Offset,
    /// Offset after its last record.
    pub end: Offset,
    /// Leader epoch in its header.
    pub epoch: Epoch,
    /// CRC-32C of its content, as in its header.
    pub crc: u32,
}

/// What a node's disk holds, maintained by the driver from the file operations alone.
#[derive(Clone, Copy, Debug)]
pub struct DiskView<'a> {
    /// The batches of the log as a reader of the files would see them, ascending and contiguous.
    pub log: &'a [BatchMark],
    /// How many of them, from the front, every legal image after a power loss would still hold.
    pub durable: usize,
    /// The quorum-state that every legal image would hold; `None` when it may be absent.
    pub quorum: Option<&'a QuorumState>,
    /// Whether the node was given a wipe or rot, and has not yet earned its vote back.
    pub is_impaired: bool,
}

impl DiskView<'_> {
    /// The end of what survives any power loss.
    pub fn durable_end(&self) -> Offset {
        match self.durable {
            0 => self.log.first().map_or(Offset::ZERO, |mark| mark.base),
            count => self.log[count - 1].end,
        }
    }
}

/// Something that happened in a run.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// True time, not any node's clock.
    pub at: Instant,
    /// The node it happened on, by dense number; clients use [`Observation::NO_NODE`].
    pub node: usize,
    /// How often that node was started before.
    pub incarnation: u32,
    /// The disks of all nodes at that moment, by dense number.
    pub disks: &'a [DiskView<'a>],
    /// What happened.
    pub what: What<'a>,
}

impl Observation<'_> {
    /// The `node` of an observation that happened on none.
    pub const NO_NODE: usize = usize::MAX;
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum What<'a> {
    /// A node started; `recovered` is what it read from its disk.
    Started { view: View<'a>, recovered: &'a Recovered },
    /// A node handled an input.
    Stepped { view: View<'a> },
    /// Committed batches reached the machine, whose digest is `machine` at offset `end`.
    Applied { batches: &'a [RecordBatch], end: Offset, machine: u64 },
    /// A request to a peer left the node.
    Asked { request: &'a Request },
    /// An answer to a peer left the node.
    Answered { request: &'a Request, response: &'a Response },
    /// The replica took note of something.
    Noted(&'a Note),
    /// The node went down; `power` means the cache is gone.
    Down { power: bool },
    /// The real recovery ran over a copy of one legal image of the node's disk after a power loss at this moment.
    Audited { recovered: &'a Recovered },
    /// The node panicked.
    Panicked { message: &'a str },
    /// A client asked: operation number `index` of the history was begun.
    Invoked { index: usize, operation: &'a Operation },
    /// A client was told: operation number `index` has ended.
    Returned { index: usize, operation: &'a Operation },
    /// A plain consumer was given committed batches, asked for from `from`.
    Consumed { from: Offset, batches: &'a [RecordBatch], high_watermark: Offset },
}

/// The end of a run, for what can only be judged then.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// True time.
    pub at: Instant,
    /// The view of every node that is up, by dense number.
    pub views: &'a [Option<View<'a>>],
    /// The disks.
    pub disks: &'a [DiskView<'a>],
    /// All operations of all clients.
    pub history: &'a [Operation],
}

/// A property that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The property's name.
    pub property: &'static str,
    /// What was seen, in words a person understands: `epoch 7: two leaders, nodes 1 and 3`.
    pub message: String,
    /// True time.
    pub at: Instant,
    /// The node to look at, if one.
    pub node: Option<usize>,
}

/// A statement about every run.
pub trait Property {
    /// Its name, snake case.
    fn name(&self) -> &'static str;
    /// The statement in one sentence, with its source.
    fn statement(&self) -> &'static str;
    /// Looks at one observation. Called for every observation; must be cheap for those it does not care about.
    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), Violation>;
    /// Judges the end of the run.
    fn finish(&mut self, end: &End<'_>) -> Result<(), Violation>;
    /// How often the property was really put to the test (0 means it proved nothing).
    fn exercised(&self) -> u64;
}
