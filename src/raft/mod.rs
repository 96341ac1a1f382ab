//! The KRaft replica: [`Input`] → [`Effect`]. It knows no clock, file, socket or API version.
//!
//! # The protocol, told once
//!
//! A quorum keeps one log. Time is cut into *epochs* ([`Epoch`], the Raft paper's term), each with one leader at most; the
//! leader appends, the others copy. Kafka turns the paper around in one point: followers *pull*. A follower's
//! [`Request::Fetch`] says "give me what follows this offset", and by that "everything below it is durable here": the next
//! fetch is the acknowledgement of the last answer.
//!
//! **A leader is made.** A voter that hears from no leader becomes *prospective* and asks the others whether they would
//! elect it (KIP-996, [`message::VoteRequest::pre_vote`]); only if a majority would, it becomes a *candidate*: next
//! epoch, a vote for itself, on disk, then the real question. A voter grants one vote per epoch, to a log that is not behind
//! its own, and tells only when the vote is on disk. With a majority the candidate is *leader*: on disk first, then a
//! LEADER_CHANGE record at the start of its epoch. It makes itself known with BeginQuorumEpoch to voters that do not fetch.
//!
//! **A record is committed.** [`Input::Propose`] → stamped and appended; the disk and all parked fetches get it in the same
//! step. The leader knows of everybody's durable end: its own from [`Input::DiskDone`], the others' from their fetches.
//! What a majority holds, provided that it includes a record of the leader's own epoch, is committed: the *high watermark*
//! rises ([`voters::high_watermark`]), [`Effect::Apply`] hands the batches to the machine, proposals are answered, and
//! fetches that know of less are answered at once (KIP-1166), so that followers learn of it.
//!
//! **Logs that differ are made equal.** A fetch carries the epoch of the follower's last record. If the leader's log has
//! another one there, it answers *diverging*: where its log of that epoch, or of the largest below, ends. The follower
//! truncates and asks again, one epoch per round at most.
//!
//! **A leader goes.** By a message of a later epoch; by check-quorum, when a majority has not fetched for 1.5 fetch
//! timeouts; by [`Input::Resign`] or [`Input::Shutdown`]. Then it is *resigned*: EndQuorumEpoch names successors, best log
//! first, who campaign one after another. A node that finds itself leader of an epoch in its own quorum-state file starts
//! resigned, never as leader.
//!
//! **Observers** are whoever is not in the voter set: they fetch, and neither vote nor count.
//!
//! # Where things are
//!
//! [`replica`] is the step; `requests` and `responses` are the checks common to all roles; `role/` holds one struct per role,
//! whose handlers return what they want to become, and `transition` alone makes it so. `context` is what roles share, `gate`
//! holds frames behind the disk, `calls` are requests under way, `parked` is who waits. `invariants` says what holds after
//! every step.
//!
//! # The rules of durability
//!
//! | rule | place |
//! |---|---|
//! | R1 disk operations complete in order, a completion vouches for a prefix | the driver; [`crate::log::Log::on_disk_done`] |
//! | R2 a replica fetches only when its log is durable to the end, retries too | `role/fetching.rs` |
//! | R3 only an answer that confirmed the prefix raises the high watermark, never above it | `role/follower.rs` |
//! | R4 an answer counts only for the outstanding call; a change of role forgets all calls | `calls.rs`, `transition.rs` |
//! | R5 while election state is on its way to the disk nothing leaves | `gate.rs` |
//! | R6 the leader counts what it has flushed | `role/leader.rs` |
//! | R7 a truncation clips what is under way | [`crate::log::Log::truncate`] |
//! | R8 completions die with their incarnation, R9 a failed sync stops the node | the driver |
//! | R10 a fetch confirms leadership only behind an answer on its own link | `role/leader/confirms.rs` |
//! | R11 a replica that misses synced data fetches, and is silent otherwise | `replica.rs`, `requests.rs`, `transition.rs` |
//! | R12 what recovery read is synced before anything leaves | [`Replica::recover`] |
//!
//! Why a vote request may claim the log's end in memory although R2 is so strict about fetches: the candidate's own vote is
//! written behind every append (R1), and the request waits for the vote (R5).
//!
//! # The driver's duties
//!
//! 1. The monotonic `now` never decreases.
//! 2. Effects are carried out in the order emitted, and all frames of a step leave before the driver waits for any sync:
//!    what must wait is held back here, not by the driver.
//! 3. Disk operations complete in order, and `DiskDone { seq }` vouches for all up to `seq`.
//! 4. A `Response` is delivered at most once per [`CallId`]; a completion or an answer of an earlier incarnation never.
//! 5. `step` gets a `Tick` when [`Replica::deadline`] has come, not earlier.
//! 6. If an effect cannot be carried out, the node stops.
//! 7. A `Load` is answered with one `Loaded` of its id, at any time and in any order, also when its asker has long been
//!    answered: until then it counts as under way. The bytes are those of the moment they were read, which may be any
//!    since the load was asked for: what was cut off or overwritten meanwhile may be missing ([`Gone`]) or old, and is
//!    recognised by its offsets; a torn batch at the end is left out. A load of an earlier incarnation is not answered.
//!
//! # What differs from Java
//!
//! Where `KafkaRaftClient` crashes, hangs or spins, this replica answers an error, drops, or backs off:
//!
//! - a node that is told to stop while it campaigns may win in Java, and resigns at once: here it stands back;
//! - the last of a quorum to stop waits out its deadline in Java: here it stops when nobody else can be elected; nor does a
//!   voter wait that has not led and knows no leader, as when all of a quorum are asked to stop together;
//! - an INVALID_REQUEST answer, or an answer of the wrong kind, kills Java: here a pause for that peer;
//! - a message that names another leader of the epoch, or the receiver itself, kills Java: here INVALID_REQUEST to a request,
//!   [`Note::Contradiction`], nothing changed but a later epoch;
//! - a vote request of one's own id trips an assertion in Java: here INVALID_REQUEST;
//! - a divergence below the high watermark kills Java: here it is dropped, with a pause;
//! - fetched batches that leave a gap, lower the epoch or are not from this epoch or before are appended or swallowed in
//!   Java, and the fetch timer restarts: here the answer is dropped whole, and the leader loses its follower in time;
//! - a lower high watermark throws in Java: here it is ignored;
//! - error 75, and error 6 from a resigned leader that still names itself, make Java ask again at the speed of the network:
//!   here after `retry_backoff`;
//! - leaving leadership for Unattached leaves Java's waiters hanging: here every ticket is answered;
//! - a parked fetch that expires gets a stale answer in Java: here it is computed anew;
//! - diverging fetches do not count for check-quorum in Java, so long truncations depose a leader: here they count;
//! - an epoch at the edge of 31 bits overflows in Java: here nobody campaigns beyond it;
//! - a timeout of 0 is due at once, again and again, in Java: here the shortest is a millisecond;
//! - a BeginQuorumEpoch that lists more endpoints of the known leader makes Java's follower begin its stint anew
//!   (KAFKA-16927): here the first listener is all that is kept of a leader, and the timers run on;
//! - the leader counts its own end before the flush in Java, which loses acknowledged records with one voter: here after
//!   it (a quirk has the other order: [`Quirk::SingleVoterCountsAppended`](crate::quirk::Quirk));
//! - a lone voter writes its candidacy and its leadership as one quorum-state: nobody is asked in between;
//! - quorum-state is rewritten at the start only if it changes.
//!
//! # What is left out
//!
//! Snapshots, and changes of the voter set by request. What they need of the types is there and in use: the voters come
//! from control records, by offset, and go back with a truncation ([`VoterHistory`]); a log may start above 0
//! ([`crate::log::Log::start`]), and a fetch below that start gets OFFSET_OUT_OF_RANGE; an answer that offers a snapshot
//! ([`message::Fetched::Snapshot`]), which only another implementation can send, is understood and dropped with a pause;
//! the bytes of a snapshot that lies beside the log can be asked for ([`Stored::Snapshot`]), and nobody does.
//!
//! The recovery point follows the flushed end by bytes and at shutdown; segments, and so rolls, are not known here. The
//! pre-vote of a higher epoch moves the receiver's epoch, as in Java.

mod calls;
pub mod config;
mod context;
mod gate;
mod invariants;
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

pub use config::Config;
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
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
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
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
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
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Answer {
    /// To a peer's request.
    Response(Response),
    /// To a proposal that entered the log, or may have.
    Proposed(Proposed),
    /// To a read. `high_watermark` is `None` while unknown.
    Records { batches: Vec<RecordBatch>, start: Offset, high_watermark: Option<Offset> },
    /// To a confirm: the high watermark, read while leadership of this epoch was confirmed.
    Confirmed { offset: Offset, epoch: Epoch },
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
