//! Kafka clients, also without I/O.

pub mod workload;

use bytes::Bytes;

use crate::ids::{Endpoint, Offset};
use crate::protocol::{ConnectionId, Frame};
use crate::record::RecordBatch;

/// Names one operation of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AskId(pub u64);

/// What a session can be asked to do.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Produce these values as one batch, `acks=all`, idempotently if the session is so configured.
    Produce { values: Vec<Bytes> },
    /// Fetch committed records from here on.
    Fetch { from: Offset },
    /// The linearizable end of the log: ListOffsets(latest, committed).
    Tail,
}

/// What a driver tells a session.
#[derive(Clone, Debug)]
pub enum Input {
    /// Do this.
    Ask { id: AskId, ask: Ask },
    /// A connection that was asked for stands.
    Opened { connection: ConnectionId },
    /// A whole frame arrived, without its length field.
    Frame { connection: ConnectionId, frame: Bytes },
    /// The connection is gone, or could not be made.
    Closed { connection: ConnectionId },
    /// Time has passed.
    Tick,
}

/// What a session asks of its driver.
#[derive(Clone, Debug)]
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

/// How an operation ended. One table maps every wire code to one of the three. (DESIGN 2.)
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// Appended at this base offset.
    Produced { base: Offset },
    /// Committed batches from the offset asked for on, and the high watermark.
    Fetched { batches: Vec<RecordBatch>, high_watermark: Offset },
    /// The end of the log.
    Tail { end: Offset },
    /// It did not happen and never will.
    Failed { error: i16 },
    /// It may have happened.
    Open,
}
