//! Idempotence: the last five batches of each producer, rebuilt from the log. (Kafka: `ProducerStateManager`.)

use crate::ids::Offset;

/// What is known of every producer at the end of the log, the uncommitted tail included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProducerTable {}

/// Why an idempotent batch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SequenceError {
    /// Error 45: a gap, or an unknown producer that does not start at 0 while the log starts at 0.
    OutOfOrder,
    /// Error 47: a producer epoch older than the newest one seen.
    StaleEpoch,
    /// Error 46: a duplicate older than the last five batches.
    DuplicateForgotten,
    /// Error 59: an unknown producer that does not start at 0 while the log no longer starts at 0.
    UnknownProducer,
}

/// What the table says of a batch before it is appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// New: append it.
    Append,
    /// Already in the log, at this base offset and up to this end.
    Duplicate { base: Offset, end: Offset },
}
