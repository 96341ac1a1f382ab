//! What clients ask for, and the history of what they were told; used in both worlds.

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Appends unique values, one at a time, reads the tail and consumes in between; not idempotent.
    Append,
    /// The same as an idempotent producer with several batches in flight and retries.
    Producer,
}
