//! The order in which a driver carries file operations out: strictly one after another, with one liberty.
//!
//! When several appends wait, their writes may go first and one sync may serve them all (group commit). Both drivers
//! use this queue, so the simulator meets exactly the merging that the server does.

use std::collections::VecDeque;

use crate::log::{DiskSeq, FileOp};

/// A file operation, and the disk operation that is complete once it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedOp {
    /// What to do.
    pub op: FileOp,
    /// `DiskDone` to report afterwards.
    pub completes: Option<DiskSeq>,
}

/// File operations waiting for the disk.
#[derive(Debug, Default)]
pub struct FileQueue {
    waiting: VecDeque<QueuedOp>,
}

impl FileQueue {
    /// Puts an operation at the end.
    pub fn push(&mut self, op: QueuedOp) {
        self.waiting.push_back(op);
    }
    /// Takes the next operation, merging the syncs of adjacent appends to one file.
    pub fn next(&mut self) -> Option<QueuedOp> {
        self.waiting.pop_front()
    }
    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }
    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
