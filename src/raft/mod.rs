//! The KRaft replica: [`Input`] → [`Effect`]. It knows no clock, file, socket or API version.

mod calls;
pub mod config;
mod context;
mod gate;
pub mod message;
pub mod note;
mod parked;
pub mod replica;
mod requests;
mod responses;
mod role;
mod transition;
pub mod view;
pub mod voters;

pub use config::{Config, LeaderCounts};
pub use message::{ErrorCode, Request, Response};
pub use note::Note;
pub use replica::Replica;
pub use view::{Progress, Published, RoleKind, View};
pub use voters::{Voter, VoterHistory, VoterSet};

use bytes::Bytes;

use crate::ids::{Endpoint, Epoch, Offset, ReplicaId, ReplicaKey};
use crate::log::{DiskOp, DiskSeq, Gone, LoadId, SequenceError, Stored};
use crate::record::RecordBatch;
use crate::time::Instant;

/// Names a question that waits for an [`Answer`]; chosen by the node, unique within its incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Names a request that this replica sent; unique within its incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// Names one connection, opaquely; only R10 compares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// When a Produce is answered. (Kafka: `acks`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// `acks=0`: never; the ticket is answered all the same, for bookkeeping.
    None,
    /// `acks=1`: after the leader's own flush.
    Leader,
    /// `acks=-1`: after commit.
    All,
}

/// Bounds of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    /// Wait until that many bytes are committed or the deadline passes.
    pub bytes_min: usize,
    /// At most that many bytes, but at least one batch.
    pub bytes_max: usize,
    /// When to answer with what there is.
    pub deadline: Instant,
}

/// What a driver tells the replica.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time has passed; `deadline` may be due.
    Tick,
    /// A peer's RPC. `link` names the connection it came on.
    Request { ticket: Ticket, link: LinkId, body: Request },
    /// The answer to a call, or why there is none.
    Response { call: CallId, body: Result<Response, CallError> },
    /// A client wants batches appended; they are validated (`record::RecordBatch::validate_from_client`).
    Propose { ticket: Ticket, acks: Acks, deadline: Instant, batches: Vec<RecordBatch> },
    /// A client wants committed records.
    Read { ticket: Ticket, epoch: Option<Epoch>, from: Offset, limits: ReadLimits },
    /// A client wants to know the high watermark, linearizably (R10).
    Confirm { ticket: Ticket, epoch: Option<Epoch>, deadline: Instant },
    /// This disk operation and all before it are durable.
    DiskDone { seq: DiskSeq },
    /// The bytes of a load: a concatenation of batches that begins at or before the batch asked for.
    Loaded { load: LoadId, bytes: Result<Bytes, Gone> },
    /// Leave leadership to somebody else, keep running.
    Resign,
    /// Leave leadership, sync, stop; at the deadline at the latest.
    Shutdown { deadline: Instant },
}

/// Why a call has no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError {
    /// The connection broke or could not be made.
    Disconnected,
    /// The peer speaks no common version of this API.
    Unsupported,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The replica meant; `None` for a bootstrap server whose id is not known.
    pub replica: Option<ReplicaKey>,
    /// Where it listens.
    pub endpoint: Endpoint,
}

/// What the replica asks of its driver, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send a request. It supersedes any call outstanding to the same destination.
    Send { to: Destination, call: CallId, body: Request },
    /// Every ticket exactly once, unless the node stops.
    Answer { ticket: Ticket, body: Answer },
    /// Carry this out after all disk operations before it.
    Disk { seq: DiskSeq, op: DiskOp },
    /// Read this back, at any time.
    Load { load: LoadId, what: Stored },
    /// Committed records, in order, once per incarnation, control batches included.
    Apply { batches: Vec<RecordBatch> },
    /// The replica is done: forget it.
    Stopped,
    /// Something a person or a checker may want to know.
    Note(Note),
}

/// What became of a ticket.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To a peer's request.
    Response(Response),
    /// To a proposal that entered the log, or may have.
    Proposed(Proposed),
    /// To a read. `high_watermark` is `None` while unknown.
    Records { batches: Vec<RecordBatch>, start: Offset, high_watermark: Option<Offset> },
    /// To a confirm: the high watermark, read while leadership was confirmed.
    Confirmed(Offset),
    /// It never entered a log, or was not done.
    Refused(Refusal),
}

/// Fate of a proposal after its append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proposed {
    /// Committed at this base offset.
    Committed(Offset),
    /// Flushed on the leader at this base offset (`acks=1`).
    Appended(Offset),
    /// A retry of a batch that is committed at this base offset.
    Duplicate(Offset),
    /// Leadership lost, deadline passed or truncated: it may yet commit under a later leader.
    Unknown,
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not the leader; the hint is the leader as of the last durable point.
    NotLeader(Option<ReplicaId>),
    /// The offset lies outside start..end.
    OutOfRange,
    /// The caller's epoch is older than ours.
    FencedEpoch,
    /// The caller's epoch is newer than ours.
    UnknownEpoch,
    /// An idempotent producer's sequence does not fit.
    Sequence(SequenceError),
    /// The batch may not enter the log.
    InvalidRecord,
    /// The deadline passed before anything was done.
    TimedOut,
    /// The node is leaving.
    ShuttingDown,
    /// A limit of `config.rs` is reached; try again later.
    Busy,
}
