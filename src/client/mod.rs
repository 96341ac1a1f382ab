//! Kafka clients, also without I/O: a session that keeps its promises, and workloads that ask things of it.
//!
//! A [`Session`] is one producer and consumer of one topic with one partition. It finds the leader, speaks to it, tries
//! again where that is allowed, and ends every operation with one of four kinds of answer:
//!
//! - it happened, and this is the result;
//! - [`Told::Failed`]: it did not happen and never will, because it was refused each time it was tried;
//! - [`Told::Open`]: nobody knows. Only a Produce can be open;
//! - [`Told::Unreadable`]: a broker answered what no log contains, which is evidence and not an error to be retried.
//!
//! ```text
//!            Ask ─▶ waiting ──▶ sent ──▶ acknowledged ─────────────────────────▶ Told the result
//!                     ▲          ├─────▶ refused ──────▶ waiting (or Failed)
//!                     └──────────┴─────▶ lost, timed out ─▶ a read, or an idempotent batch: waiting, in doubt
//!                                                           any other batch: Open
//! ```
//!
//! What an answer means is decided in one place, [`outcome`]. What is said on the wire is decided in [`wire`]. Who leads
//! is [`cluster`]'s, one connection is [`link`]'s, the way to the leader is [`contact`]'s, an operation's life is [`operation`]'s, and the order in which a
//! producer's batches may be sent is [`session`]'s.
//!
//! A [`producer`] collects records into batches instead, as Kafka's clients do, and shares all of this but the operations.
//!
//! What is about keys takes several requests, and is answered by the log: that is [`table`]'s.
//!
//! [`workload`] decides what to ask and when, and reports every invoke and return for the history. Both worlds use it:
//! the simulator and the real sockets drive the same bytes through the same code.

pub mod client;
pub mod cluster;
pub mod config;
pub mod consume;
pub mod contact;
pub mod examiner;
pub mod link;
pub mod objects;
pub mod operation;
pub mod outcome;
mod probe;
pub mod producer;
pub mod quorum_info;
pub mod session;
pub mod table;
pub mod values;
pub mod wire;
pub mod workload;

pub use client::{Client, Event};
pub use config::{Config, Delivery};
pub use examiner::{Examiner, Finding, Paper, Truth};
pub use session::Session;
pub use workload::{Audit, Brief, Kind, Reads, Workload};

use bytes::Bytes;

use crate::ids::{Endpoint, Offset};
use crate::protocol::{ConnectionId, Frame};
use crate::record::RecordBatch;

/// Names one operation of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AskId(pub u64);

/// What a session can be asked to do.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Ask {
    /// Produce these values (at least one) as one batch, `acks=all`, idempotently if the session is so configured.
    Produce { values: Vec<Bytes> },
    /// Fetch committed records from here on.
    Fetch { from: Offset },
    /// The linearizable end of the log: ListOffsets(latest, committed).
    Tail,
}

/// What a driver tells a session.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Input {
    /// Do this. The id must not be that of an operation under way.
    Ask { id: AskId, ask: Ask },
    /// A connection that was asked for stands.
    Opened { connection: ConnectionId },
    /// A whole frame arrived, without its length field.
    Frame { connection: ConnectionId, frame: Bytes },
    /// The connection is gone, or could not be made. Not told for connections that the session closed.
    Closed { connection: ConnectionId },
    /// Time has passed.
    Tick,
}

/// What a session asks of its driver.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Output {
    /// Open a connection.
    Connect { connection: ConnectionId, endpoint: Endpoint },
    /// Send a frame.
    Frame { connection: ConnectionId, frame: Frame },
    /// Close a connection.
    Close { connection: ConnectionId },
    /// An operation has ended.
    Told { id: AskId, told: Told },
}

/// How an operation ended. One table maps every wire code to Ok, Failed or Open: [`outcome::outcome_of`].
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Told {
    /// Appended at this base offset.
    Produced { base: Offset },
    /// Committed batches, contiguous, the first of which contains `from`, the offset asked for; and the high watermark
    /// where the broker knew it. No batches means that nothing was committed there in time.
    Fetched { from: Offset, batches: Vec<RecordBatch>, high_watermark: Option<Offset> },
    /// The end of the log.
    Tail { end: Offset },
    /// It did not happen and never will. The wire code of the last refusal, or 7 when it was never tried.
    Failed { error: i16 },
    /// It may have happened.
    Open,
    /// The answer cannot be: bytes that are no record batches, a gap between batches, records above the high watermark.
    Unreadable { reason: String },
}
