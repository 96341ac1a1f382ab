//! Operations with invoke and return times: what clients asked and what they were told.
//!
//! A history knows nothing of Kafka, of nodes, or of how it was recorded. It is evidence: [`Recorder`] writes it down
//! while a run goes on, and [`engine`] decides whether one log, read and written one operation at a time, could have
//! given these answers.
//!
//! Three words carry the weight. An operation that *returned* happened between its invoke and its return. One that
//! *failed* did not happen and never will. One that is *open* may happen at any time after its invoke, or never: a
//! time-out, a lost connection, an answer that nobody understood. Calling an open operation failed makes false alarms;
//! calling a failed one open hides bugs. Who records a history keeps that mapping in one table (`client::outcome`).

pub mod engine;
pub mod format;
pub mod model;
pub mod objects;
pub mod recorder;
pub mod value;

pub use model::Model;
pub use recorder::Recorder;

use std::fmt;

use crate::time::Instant;

/// A client, by its number in the workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientId(pub u32);

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What was asked of the log, or of the keys that its commands put values under.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Ask {
    /// Append these values, each unique in the history, as one: all of them at adjacent offsets, or none.
    Append { values: Vec<u64> },
    /// Where does the log end (linearizably)?
    Tail,
    /// Read committed values from this offset on. No promise to be up to date.
    Read { from: u64 },
    /// What does this key hold (linearizably)?
    Get { key: u32 },
    /// The key holds this value from here on.
    Put { key: u32, value: u64 },
    /// If the key holds `from` (`None`: nothing was ever put there), it holds `to` from here on.
    Cas { key: u32, from: Option<u64>, to: u64 },
}

impl Ask {
    /// The key that it is about, if one.
    pub fn key(&self) -> Option<u32> {
        match self {
            Ask::Append { .. } | Ask::Tail | Ask::Read { .. } => None,
            Ask::Get { key } | Ask::Put { key, .. } | Ask::Cas { key, .. } => Some(*key),
        }
    }
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Told {
    /// The first value is at this offset, the others follow without a gap.
    Appended { offset: u64 },
    /// Everything that was acknowledged lies below.
    Tail { end: u64 },
    /// These (offset, value) pairs, ascending, are all the values from the offset asked for to `next`, which is where
    /// to go on. Offsets without a value belong to the log itself (leader changes) and never get one.
    Read { values: Vec<(u64, u64)>, next: u64 },
    /// The key held this, or nothing.
    Got { value: Option<u64> },
    /// The put is in the log, at this offset.
    Put { offset: u64 },
    /// The compare-and-set is in the log, at this offset, and found this there. (It has succeeded if that is what it expected.)
    Compared { offset: u64, found: Option<u64> },
    /// Something that no log could have answered: bytes that are no records, records out of order or above the high
    /// watermark. Always a violation.
    Unreadable { reason: String },
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It happened between invoke and return.
    Ok(Told),
    /// It did not happen and never will.
    Failed,
    /// It may happen at any time after the invoke, or never.
    Open,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who asked.
    pub client: ClientId,
    /// What.
    pub ask: Ask,
    /// When it was asked, on the history's own clock.
    pub invoked: Instant,
    /// When it was answered; `None` for an open operation.
    pub returned: Option<Instant>,
    /// The answer.
    pub outcome: Outcome,
}
