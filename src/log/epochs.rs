//! Which epoch begins where: the epoch index and its checkpoint. (Kafka: `LeaderEpochFileCache`.)

use crate::ids::{Epoch, Offset};

/// An epoch and the offset of its first record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: Epoch,
    /// Offset of its first record.
    pub start: Offset,
}

/// The epochs of a log, ascending in both epoch and start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EpochIndex {
    starts: Vec<EpochStart>,
}

impl EpochIndex {
    /// All entries, ascending.
    pub fn entries(&self) -> &[EpochStart] {
        &self.starts
    }
}
