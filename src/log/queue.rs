//! The order in which a driver carries file operations out: strictly one after another, with one liberty.
//!
//! When several appends wait, their writes may go first and one sync may serve them all (group commit). Both drivers
//! use this queue, so the simulator meets exactly the merging that the server does.
//!
//! ```text
//!  waiting   Write f   Sync f ▸a   Write f   Write f   Sync f ▸b   Rename …
//!  becomes   Write f   Write f   Write f   Sync f ▸b   Rename …          b vouches for a, too (R1)
//! ```
//!
//! Only a run of plain appends to one file at the *head* of the queue is merged, once, when its first write is taken: an
//! append that arrives later waits for the next run, so a sync is never put off for ever.
//!
//! **Invariants** (of the queue of one incarnation)
//! - completions are numbered upwards.
//! - nothing but such a sync is left out, and the one that stays completes the highest of them.

use std::collections::VecDeque;

use crate::log::{DiskSeq, FileName, FileOp};

/// A file operation, and the disk operation that is complete once it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedOp {
    /// What to do.
    pub op: FileOp,
    /// `DiskDone` to report afterwards.
    pub completes: Option<DiskSeq>,
}

/// File operations waiting for the disk. Each incarnation has a queue of its own.
#[derive(Debug, Default)]
pub struct FileQueue {
    waiting: VecDeque<QueuedOp>,
    /// How many operations at the head belong to a run that is already in its final order.
    merged: usize,
    pushed: Option<DiskSeq>,
    taken: Option<DiskSeq>,
}

impl FileQueue {
    /// Puts an operation at the end.
    pub fn push(&mut self, op: QueuedOp) {
        if let Some(seq) = op.completes {
            assert!(self.pushed < Some(seq), "disk operations complete in order (R1): {seq:?} after {:?}", self.pushed);
            self.pushed = Some(seq);
        }
        self.waiting.push_back(op);
    }

    /// Takes the next operation, merging the syncs of adjacent appends to one file.
    #[expect(clippy::should_implement_trait, reason = "a queue that fills again is no iterator")]
    pub fn next(&mut self) -> Option<QueuedOp> {
        if self.merged == 0 {
            self.merge();
        }
        self.merged = self.merged.saturating_sub(1);
        let next = self.waiting.pop_front()?;
        if let Some(seq) = next.completes {
            assert!(self.taken < Some(seq), "disk operations complete in order (R1): {seq:?} after {:?}", self.taken);
            self.taken = Some(seq);
        }
        Some(next)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Brings the run of appends at the head, if there is one, into its final order.
    fn merge(&mut self) {
        let run = self.run();
        let syncs = self.waiting.range(..run).filter(|queued| queued.completes.is_some()).count();
        if syncs < 2 {
            self.merged = run;
            return;
        }
        let last = self.waiting[run - 1].clone();
        let rest = self.waiting.split_off(run);
        self.waiting.retain(|queued| queued.completes.is_none());
        self.waiting.push_back(last);
        assert!(self.waiting.len() == run - syncs + 1, "only syncs are left out of a run");
        self.merged = self.waiting.len();
        self.waiting.extend(rest);
    }

    /// How many operations at the head are plain appends to one file, the sync of the last one included.
    fn run(&self) -> usize {
        let Some(FileOp::Write { file, .. }) = self.waiting.front().map(|queued| &queued.op) else {
            return 0;
        };
        let (mut run, mut writes) = (0, 0);
        for (index, queued) in self.waiting.iter().enumerate() {
            match Part::of(queued, *file) {
                Part::Write => writes += 1,
                Part::Sync if writes > 0 => (run, writes) = (index + 1, 0),
                Part::Sync | Part::Other => break,
            }
        }
        run
    }
}

/// What an operation is within a run of appends to one file.
enum Part {
    Write,
    Sync,
    Other,
}

impl Part {
    fn of(queued: &QueuedOp, run: FileName) -> Part {
        match (&queued.op, queued.completes) {
            (FileOp::Write { file, .. }, None) if *file == run => Part::Write,
            (FileOp::Sync { file }, Some(_)) if *file == run => Part::Sync,
            _ => Part::Other,
        }
    }
}
