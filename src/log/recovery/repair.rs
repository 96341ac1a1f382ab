//! The repairs of a directory, in an order that leaves the same decision to whoever has to begin again.
//!
//! A log is shortened as a truncation is: segments are removed from the last one down and the directory synced, the cut
//! file is synced, and only then does `leader-epoch-checkpoint` forget the epochs behind the cut. The checkpoint must be
//! mended before the log grows again: (1) it says that epoch 2 begins at 41; (2) the log ends at 41; (3) a leader of epoch
//! 3 has records of epoch 1 there, and they are appended; (4) the next recovery takes them for damage.
//!
//! The recovery point is left alone, even above the log: it is the evidence that synced data is missing.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::log::checkpoint;
use crate::log::layout::{Directory, Replaced};
use crate::log::recovery::{Phase, Recovery};
use crate::log::segment::Segment;
use crate::log::{FileName, FileOp, FileRange};

/// The comparison of every index file with what the batches say.
#[derive(Debug)]
pub(super) struct Indexes {
    /// Files of the right length, and what they should hold.
    unread: VecDeque<(FileName, Bytes)>,
    /// Files that must be made anew, and from what.
    stale: Vec<(FileName, Bytes)>,
}

impl Indexes {
    pub fn new(files: &BTreeMap<FileName, u64>, segments: &[Segment]) -> Indexes {
        let mut indexes = Indexes { unread: VecDeque::new(), stale: Vec::new() };
        for (position, segment) in segments.iter().enumerate() {
            let is_active = position + 1 == segments.len();
            let (offset_index, time_index) = (FileName::Index(segment.base()), FileName::TimeIndex(segment.base()));
            for (file, content) in [(offset_index, segment.offset_index()), (time_index, segment.time_index())] {
                match files.get(&file) {
                    // The active segment's are written when it is sealed or closed.
                    None if is_active || content.is_empty() => {}
                    Some(0) if content.is_empty() => {}
                    Some(&length) if length == content.len() as u64 => indexes.unread.push_back((file, content)),
                    None | Some(_) => indexes.stale.push((file, content)),
                }
            }
        }
        indexes
    }

    /// Takes the bytes of the file asked for last, and asks for another.
    pub fn next(&mut self, supplied: Option<Bytes>) -> Option<FileRange> {
        if let Some(bytes) = supplied {
            let (file, content) = self.unread.pop_front().expect("invariant: the bytes of a file that was asked for");
            if bytes != content {
                self.stale.push((file, content));
            }
        }
        let (file, content) = self.unread.front()?;
        Some(FileRange { file: *file, at: 0, length: content.len() as u64 })
    }
}

impl Recovery {
    /// Every repair that this directory needs, in order.
    pub(super) fn plan_repairs(&self) -> VecDeque<FileOp> {
        let mut out = Vec::new();
        let temporary = |file: &&FileName| matches!(file, FileName::Temporary(_));
        out.extend(self.files.keys().filter(temporary).map(|&file| FileOp::Remove { file }));
        self.plan_cut(&mut out);
        self.plan_indexes(&mut out);
        let holds = self.texts.checkpoint.as_ref().map(|epochs| epochs.entries()).unwrap_or_default();
        let is_unreadable =
            self.texts.checkpoint.is_none() && self.files.contains_key(&FileName::LeaderEpochCheckpoint);
        if holds != self.scan.epochs.entries() || is_unreadable {
            let text = checkpoint::write_epochs(&self.scan.epochs);
            Replaced::LeaderEpochCheckpoint.replace(text, &mut out);
        }
        if !self.texts.is_topic_named {
            let text = checkpoint::write_partition_metadata(self.options.topic_id);
            Replaced::PartitionMetadata.replace(text, &mut out);
        }
        out.into()
    }

    /// Removes what lies behind the end of the log: whole segments, then bytes.
    fn plan_cut(&self, out: &mut Vec<FileOp>) {
        let lost: Vec<FileName> = self.lost_segments().collect();
        out.extend(lost.iter().rev().map(|&file| FileOp::Remove { file }));
        if !lost.is_empty() {
            out.push(FileOp::SyncDirectory(Directory::Partition));
        }
        for segment in self.scan.segments.iter().rev() {
            let file = FileName::Segment(segment.base());
            if self.files.get(&file).is_some_and(|&length| length > segment.bytes()) {
                out.push(FileOp::Truncate { file, length: segment.bytes() });
                out.push(FileOp::Sync { file });
            }
        }
    }

    fn lost_segments(&self) -> impl Iterator<Item = FileName> {
        let segments = self.files.keys().copied().filter(|file| matches!(file, FileName::Segment(_)));
        segments.skip(self.scan.segments.len())
    }

    /// Index files of no segment go; wrong ones are made anew.
    fn plan_indexes(&self, out: &mut Vec<FileOp>) {
        let Phase::Indexes(indexes) = &self.phase else { panic!("repairs are planned once the indexes are compared") };
        let is_orphan = |file: &FileName| match *file {
            FileName::Index(base) | FileName::TimeIndex(base) => {
                self.scan.segments.binary_search_by_key(&base, |segment| segment.base()).is_err()
            }
            _ => false,
        };
        out.extend(self.files.keys().copied().filter(is_orphan).map(|file| FileOp::Remove { file }));
        for (file, content) in &indexes.stale {
            let file = *file;
            if self.files.contains_key(&file) {
                out.push(FileOp::Remove { file });
            }
            if !content.is_empty() {
                out.push(FileOp::Write { file, at: 0, bytes: vec![content.clone()] });
            }
        }
    }
}
