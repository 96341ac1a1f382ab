//! One broker, still without I/O: raft, the log's layout and a machine behind the Kafka API. It translates; it keeps no
//! promises of its own.

pub mod answers;
pub mod api;
pub mod config;
pub mod describe;
pub mod errors;
pub mod exchange;
pub mod node;
pub mod overhear;
pub mod peers;
pub mod properties;
pub mod records;
pub mod seats;
pub mod settings;
pub mod tally;
pub mod translate;

pub use config::Config;
pub use node::Node;
pub use properties::Properties;
pub use settings::{ServerConfig, SettingsError};

use bytes::Bytes;

use crate::ids::{Endpoint, Offset};
use crate::log::{DiskSeq, FileRange, Gone, LoadId, QueuedOp};
use crate::protocol::{ConnectionId, Frame};
use crate::raft::Note;
use crate::record::RecordBatch;
use crate::time::Instant;

/// What a driver tells a node.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Input {
    /// A connection stands: an inbound one was accepted on the listener of that index, or one that the node asked for is up.
    Opened { connection: ConnectionId, listener: usize },
    /// A whole frame arrived, without its length field.
    Frame { connection: ConnectionId, frame: Bytes },
    /// The connection is gone, or could not be made.
    Closed { connection: ConnectionId },
    /// This disk operation and all before it are durable.
    DiskDone { seq: DiskSeq },
    /// The bytes of a load.
    Loaded { load: LoadId, bytes: Result<Bytes, Gone> },
    /// Time has passed.
    Tick,
    /// Leave leadership, keep running.
    Resign,
    /// Leave leadership, sync, stop.
    Shutdown { deadline: Instant },
}

/// What a node asks of its driver, in order.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Output {
    /// Open a connection; answer `Opened` or `Closed` with this id.
    Connect { connection: ConnectionId, endpoint: Endpoint },
    /// Send a frame.
    Frame { connection: ConnectionId, frame: Frame },
    /// Close a connection after what was sent; no `Closed` comes back.
    Close { connection: ConnectionId },
    /// Stop reading from a connection (backpressure).
    Hold { connection: ConnectionId },
    /// Read from it again.
    Resume { connection: ConnectionId },
    /// Put a file operation into the [`crate::log::FileQueue`].
    File(QueuedOp),
    /// Read this range; answer `Loaded`.
    Load { load: LoadId, range: FileRange },
    /// Committed batches were applied; `machine` is the machine's digest after them.
    Applied { batches: Vec<RecordBatch>, end: Offset, machine: u64 },
    /// A line for people: a verbose machine's record, a gap it found.
    Printed(String),
    /// Something worth knowing.
    Note(Note),
    /// The node is done; drop it.
    Stopped,
}
