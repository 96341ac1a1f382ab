//! Was that allowed? Observations in, violations out.
//!
//! A driver feeds a [`Judge`] with [`Observation`]s; the judge asks every [`Property`] that is interested in what
//! happened. Properties judge from outside: what lies in a node's files and what the platter would keep of it
//! ([`DiskView`]), what was said on the wire, what clients were told. A replica's own cursors ([`View`]) are what is
//! judged, never the evidence.
//!
//! ```text
//!                      ┌─ Ledger: the last look at every node, what is committed, who voted for whom
//!  Observation ─ Judge ┤      │ says what changed (Interests)
//!                      └──────┴─▶ the properties that declared an interest in that ─▶ Violation
//! ```
//!
//! **What drivers owe the judge**
//! 1. [`What::Started`] and [`What::Stepped`] come before anything that the same step said, noted, applied or answered.
//! 2. A node's dense number is its replica id.
//! 3. [`DiskView`]s are made from file operations and the rules of power loss alone, never from a replica's cursors.
//! 4. [`What::Down`] comes when a node goes down, before its disk is wiped.
//! 5. After a violation the run is over: the judge's books are no longer right.
//!
//! **What the books cost.** Of a committed batch its mark, 24 bytes, once for all nodes ([`MarkLog`]), with 16 for the digest
//! that machines have behind it and 8 for where each value lies; who follows the files keeps 4 more for each copy. What lies
//! in files and is not committed takes more, and is little. Operations on keys are kept, 48 bytes each and every value once, until
//! the end decides about them. So a run's books grow with its log, and with nothing else.
//!
//! A property is one file: its statement and source first, then its checks (those of one moment and those of a change
//! apart), then a good and a bad history, because the judge is judged too.

mod acked_writes_survive;
mod calm;
mod canary;
mod committed_is_durable_on_majority;
mod committed_stays;
mod completed_is_durable;
mod consumers_see_committed;
mod drills;
mod epochs_and_votes_move_forward;
mod files_are_in_order;
#[cfg(test)]
mod fixture;
mod flushed_is_durable;
mod high_watermark_moves_forward;
mod interests;
mod judge;
mod kv_linearizable;
mod leader_change_is_true;
mod leader_commits_own_epoch;
mod leaders_are_elected;
mod leaders_are_heeded;
mod leadership_announced_once;
mod ledger;
mod liveness;
mod log_is_contiguous;
mod log_linearizable;
mod machines_agree;
mod mark_log;
mod never_panics;
mod offset_and_epoch_identify_content;
mod one_leader_per_epoch;
mod producers_in_order;
mod recovery_keeps_durable;
mod restarts_keep_roles;
mod roles_are_valid;
mod said_only_durable;
mod tail_reads_linearizable;
mod vote_uniqueness;

pub use canary::Canary;
pub use interests::Interests;
pub use judge::{Judge, Options, all, is_liveness};
pub use kv_linearizable::KV_LINEARIZABLE;
pub use ledger::{Ledger, Mirror, State};
pub use mark_log::MarkLog;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::history::Operation;
use crate::ids::{Epoch, Offset};
use crate::log::{FileName, QuorumState, Recovered};
use crate::raft::message::{Request, Response};
use crate::raft::note::Note;
use crate::raft::view::View;
use crate::record::RecordBatch;
use crate::time::Instant;

/// Judged by whoever runs a scenario: what its `until` waits for comes true in time, and so does what a step waits for.
pub const UNTIL: &str = "until";

/// Judged by whoever runs a scenario: leadership changes as often as its `expect` says.
pub const LEADER_CHANGES: &str = "leader_changes";

/// What a scenario itself demands, and the demand in words.
pub const OF_SCENARIOS: [(&str, &str); 2] = [
    (UNTIL, "What the scenario waits for comes true in time."),
    (LEADER_CHANGES, "While faults last, leadership changes as often as the scenario expects."),
];

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
    pub log: &'a MarkLog,
    /// How many of them, from the front, every legal image after a power loss would still hold.
    pub durable: usize,
    /// The quorum-state that every legal image would hold; `None` when it may be absent.
    pub quorum: Option<&'a QuorumState>,
    /// What a disk operation that was called complete has left to the next power loss.
    pub lapse: Option<Lapse>,
    /// What a durable fault has done to it and nothing has made good yet.
    pub damage: Damage,
}

/// What a power loss could still do after a disk operation was called complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lapse {
    /// Undo a create, rename or removal of this file.
    Entry(FileName),
    /// Undo a write or a cut of this segment.
    Bytes(FileName),
    /// Nothing: but this segment lies behind the end of the log.
    Behind(FileName),
}

/// What a durable fault has done to a disk, until its node has made up for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Damage {
    /// Nothing, or nothing any more.
    #[default]
    None,
    /// The disk was replaced by an empty one, until the next start.
    Wiped,
    /// Synced bytes are damaged or gone, and the platter does not yet hold the marker that says so (R11).
    Rotten,
    /// The platter holds the marker; until it holds it no more, the node has not earned its vote back.
    Marked,
}

impl DiskView<'_> {
    /// The end of what survives any power loss.
    pub fn durable_end(&self) -> Offset {
        match self.durable {
            0 => self.log.first().map_or(Offset::ZERO, |mark| mark.base),
            count => self.log[count - 1].end,
        }
    }

    /// The durable batch that begins at `base`.
    pub fn durable_at(&self, base: Offset) -> Option<BatchMark> {
        self.log.find(base).filter(|&index| index < self.durable).map(|index| self.log[index])
    }

    /// The durable batch that ends at `end`.
    pub fn durable_before(&self, end: Offset) -> Option<BatchMark> {
        self.log.find_end(end).filter(|&index| index < self.durable).map(|index| self.log[index])
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
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
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
    /// The node has stopped of its own accord, as it was asked to; that it is down comes next.
    Closed,
    /// No file operation of the node is on its way, and these are its files.
    Shelved(&'a Shelf<'a>),
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
    /// Every node follows one leader and has what it has, faults are over, and clients are done: from here on nothing
    /// changes by itself.
    Calm,
    /// The calm is over: the leader of a quiet cluster was asked to go.
    HandedOver(Handover),
    /// One fault in a quiet cluster, or its end.
    Drilled(Drill),
    /// A question whose answer is known was answered, `prompt` being what that may take; `None` when all of them were.
    Examined { finding: Option<&'a Examined>, prompt: Duration },
}

/// Why no file operation of a node is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// It has nothing to do.
    Calm,
    /// It has just stopped cleanly.
    Closed,
}

/// A node's files at rest, and what they owe.
#[derive(Clone, Copy, Debug)]
pub struct Shelf<'a> {
    /// Every file, as a process would find it, in the order of their names.
    pub files: &'a [(FileName, Bytes)],
    /// Why nothing moves.
    pub rest: Rest,
    /// Bytes from which on a segment is full.
    pub segment_bytes: u64,
    /// Bytes that may be reserved behind the log.
    pub preallocate_bytes: u64,
    /// Lines that some files owe.
    pub owed: &'a [(FileName, String)],
}

/// A leader was asked to go, and what is owed for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handover {
    /// The epoch that it led.
    pub epoch: Epoch,
    /// The node, where it is to stop as well and not only to resign.
    pub stops: Option<usize>,
    /// What another leader, and the stop after that, may take.
    pub prompt: Duration,
    /// How long the best successor has the field to itself.
    pub alone_for: Duration,
    /// What another leader may take where the best successor could not be told in time, and others contest it.
    pub elected_within: Duration,
}

/// One node is cut off from all other nodes of a quiet cluster, and comes back. Clients reach it all the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Drill {
    /// The node, a voter that follows, is cut off for longer than it has patience.
    FollowerCut { node: usize },
    /// The node, which leads that epoch, is cut off. It is to resign, and another is to be elected, each within its time.
    LeaderCut { node: usize, epoch: Epoch, resigns_within: Duration, elected_within: Duration },
    /// All links are mended.
    Healed,
}

/// An answer of a node to somebody who knows what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// What was asked.
    pub question: &'static str,
    /// Of which node.
    pub node: usize,
    /// How long the answer took.
    pub took: Duration,
    /// What is wrong with it.
    pub lie: Option<String>,
}

/// The end of a run, for what can only be judged then.
#[derive(Clone, Copy, Debug, Default)]
pub struct End<'a> {
    /// True time.
    pub at: Instant,
    /// The view of every node that is up, by dense number.
    pub views: &'a [Option<View<'a>>],
    /// The disks.
    pub disks: &'a [DiskView<'a>],
    /// All operations of all clients.
    pub history: &'a [Operation],
    /// How the run settled; `None` when it was cut short, and liveness is not judged.
    pub settle: Option<Settle>,
    /// Operations that clients were to do, or had begun, and that were not over when settle ended.
    pub unfinished: u64,
    /// What every node worked, by dense number; empty when nobody counted.
    pub efforts: &'a [Effort],
}

/// The end of a run, when faults are over and progress is owed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settle {
    /// True time from which links were timely and nothing was down or paused that was to come back.
    pub began: Instant,
    /// How long after that a leader may take to be elected: so many election rounds.
    pub leader_within: Duration,
}

/// What a node worked during one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// The most steps it took within one second of true time.
    pub steps_in_busiest_second: u64,
    /// The most connections that it asked for within one second of true time.
    pub connects_in_busiest_second: u64,
    /// How many it may ask for, leaving alone whoever failed as long as it is set to; 0 when nobody counted.
    pub connects_max: u64,
    /// Ticks at the instant of the tick before, neither of which had an effect.
    pub idle_ticks: u64,
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

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: {}", self.property, self.at, self.message)
    }
}

/// One observation with what the judge's books say of it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// What happened.
    pub observation: &'a Observation<'a>,
    /// Which kinds of change it was.
    pub kinds: Interests,
    /// The books, this observation included.
    pub ledger: &'a Ledger,
}

/// A statement about every run.
pub trait Property: fmt::Debug {
    /// Its name, snake case.
    fn name(&self) -> &'static str;
    /// The statement in one sentence, with its source.
    fn statement(&self) -> &'static str;
    /// What it wants to see.
    fn interests(&self) -> Interests;
    /// Looks at one observation that is of interest.
    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation>;
    /// Judges the end of the run.
    fn finish(&mut self, _end: &End<'_>, _ledger: &Ledger) -> Result<(), Violation> {
        Ok(())
    }
    /// Why it cannot say whether it holds, after [`Property::finish`]; `None` when it can.
    fn undecided(&self) -> Option<&str> {
        None
    }
    /// How many batches or values it remembers of which the ledger knows nothing, or not enough.
    fn entries(&self) -> usize {
        0
    }
    /// How often the property was really put to the test (0 means it proved nothing).
    fn exercised(&self) -> u64;
    /// The failure of this property at this observation.
    fn fails(&self, seen: &Seen<'_>, message: String) -> Result<(), Violation> {
        let Observation { at, node, .. } = *seen.observation;
        let node = (node != Observation::NO_NODE).then_some(node);
        Err(Violation { property: self.name(), message, at, node })
    }
    /// The failure of this property at the end of a run.
    fn fails_in_the_end(&self, end: &End<'_>, node: Option<usize>, message: String) -> Result<(), Violation> {
        Err(Violation { property: self.name(), message, at: end.at, node })
    }
}
