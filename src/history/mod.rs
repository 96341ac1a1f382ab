//! Operations with invoke and return times: what clients asked and what they were told.
//!
//! A history knows nothing of Kafka, of nodes, or of how it was recorded.

use crate::time::Instant;

/// A client, by its number in the workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientId(pub u32);

/// What was asked of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Append this value (unique in the history).
    Append { value: u64 },
    /// Where does the log end (linearizably)?
    Tail,
    /// Read from this offset.
    Read { from: u64 },
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The value is at this offset.
    Appended { offset: u64 },
    /// Everything that was acknowledged lies below.
    Tail { end: u64 },
    /// These values at these offsets, ascending; `next` is where to go on.
    Read { values: Vec<(u64, u64)>, next: u64 },
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
