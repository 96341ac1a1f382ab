//! [`DiskOp`] → [`FileOp`]: which file, which bytes, which sync; Kafka's names and layout.
//!
//! A driver carries file operations out one after another, and a power loss may come between any two of them, keep any
//! subset of the sectors that no sync covered, and undo any create, rename or removal that no sync of its directory
//! covered. So the order within each plan is the point of this file:
//!
//! - **An epoch is named before it is written.** An append that begins an epoch first replaces `leader-epoch-checkpoint`,
//!   then writes batches; a truncation first cuts the log, then shortens the checkpoint. At every moment the checkpoint on
//!   the platter knows the epoch of every batch on the platter, so recovery may take a contradiction for damage (R11).
//! - **A cut is durable before anything is written in its place.** Removed segments are followed by a sync of the
//!   directory, a shortened one by its own sync. Otherwise: (1) segments 0 and 100 exist; (2) a truncation to 50 removes
//!   segment 100; (3) 50 to 99 are appended anew and synced; (4) power is lost, the removal with it, and segment 100 rises
//!   from the dead, contiguous with its successors. (Kafka has this hole.)
//! - **The recovery point never claims what may go.** A cut below it lowers it first.
//! - **A new segment counts once its directory is synced.** A segment, its entry included, is durable before its successor
//!   is begun.
//!
//! Index files are outside all this: they are written when a segment is sealed or closed, and rebuilt by recovery.
//!
//! An ordinary append is one gather-list write and one sync of the active segment, and copies no record.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

use crate::ids::{Epoch, Offset};
use crate::log::checkpoint;
use crate::log::segment::Segment;
use crate::log::{DiskOp, DiskSeq, EpochIndex, EpochStart, MetaProperties, SnapshotId, Stored};
use crate::record::RecordBatch;

/// A file of a node's data, as Kafka names it. `Display` gives the path below `log.dirs`, `parse` reads it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileName {
    /// `meta.properties`, in the root.
    MetaProperties,
    /// `recovery-point-offset-checkpoint`, in the root.
    RecoveryPoint,
    /// `__cluster_metadata-0/partition.metadata`.
    PartitionMetadata,
    /// `__cluster_metadata-0/quorum-state`.
    QuorumState,
    /// `__cluster_metadata-0/recovering`: ours; the marker of R11.
    Recovering,
    /// `__cluster_metadata-0/leader-epoch-checkpoint`.
    LeaderEpochCheckpoint,
    /// `__cluster_metadata-0/%020d.log`.
    Segment(Offset),
    /// `__cluster_metadata-0/%020d.index`.
    Index(Offset),
    /// `__cluster_metadata-0/%020d.timeindex`.
    TimeIndex(Offset),
    /// `__cluster_metadata-0/%020d-%010d.checkpoint`, by the end offset and the epoch of what it stands for.
    Snapshot(SnapshotId),
    /// The `.tmp` sibling of a file that is replaced atomically.
    Temporary(Replaced),
}

/// The files that are replaced as a whole: written beside themselves, synced, renamed, directory synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Replaced {
    /// `meta.properties`.
    MetaProperties,
    /// `recovery-point-offset-checkpoint`.
    RecoveryPoint,
    /// `partition.metadata`.
    PartitionMetadata,
    /// `quorum-state`.
    QuorumState,
    /// `recovering`.
    Recovering,
    /// `leader-epoch-checkpoint`.
    LeaderEpochCheckpoint,
}

/// The two directories of a node. Creates, renames and removals are durable only after a sync of their directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Directory {
    /// `log.dirs` itself.
    Root,
    /// `__cluster_metadata-0`.
    Partition,
}

/// One operation on files. A driver carries them out one after another (R1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum FileOp {
    /// Write a gather list at a position, creating the file if it is not there.
    Write { file: FileName, at: u64, bytes: Vec<Bytes> },
    /// Reserve space up to `length` bytes, zero-filled as far as a reader can see; the length grows.
    Preallocate { file: FileName, length: u64 },
    /// Cut the file to `length`.
    Truncate { file: FileName, length: u64 },
    /// Make the file's bytes durable.
    Sync { file: FileName },
    /// Make a directory's entries durable.
    SyncDirectory(Directory),
    /// Rename over whatever is there.
    Rename { from: FileName, to: FileName },
    /// Remove the file; a file that is not there is no error.
    Remove { file: FileName },
}

/// A range of a file, for loads and recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRange {
    /// Which file.
    pub file: FileName,
    /// First byte.
    pub at: u64,
    /// How many bytes; fewer come back at the end of the file.
    pub length: u64,
}

/// Where the log's bytes lie: segments, their lengths and sparse indexes.
///
/// **Invariants**
/// - segments are contiguous: each begins where the one before ends; the last one is the active one.
/// - `epochs` is what `leader-epoch-checkpoint` will hold once all that was planned is done.
#[derive(Debug)]
pub struct Layout {
    settings: Settings,
    start: Offset,
    segments: Vec<Segment>,
    /// Length of the active segment's file, space reserved ahead included.
    reserved: u64,
    epochs: EpochIndex,
    recovery_point: Offset,
    /// The snapshots that recovery found, and their lengths.
    snapshots: BTreeMap<SnapshotId, u64>,
    kept: Vec<FileName>,
    planned: Option<DiskSeq>,
}

/// Sizes that a layout keeps to.
#[derive(Clone, Copy, Debug)]
pub(in crate::log) struct Settings {
    /// Size at which segments roll, bytes.
    pub segment_bytes: u64,
    /// Space reserved ahead of the log's end, bytes; 0 for none.
    pub preallocate_bytes: u64,
}

/// What recovery found, as far as the layout goes on from it.
pub(in crate::log) struct Found {
    /// Offset of the first record.
    pub start: Offset,
    /// The segments kept.
    pub segments: Vec<Segment>,
    /// The epochs of the records kept; what the checkpoint file holds.
    pub epochs: EpochIndex,
    /// The recovery point on disk; 0 if there is none.
    pub recovery_point: Offset,
    /// Snapshots and their lengths.
    pub snapshots: BTreeMap<SnapshotId, u64>,
    /// Every file that recovery kept or wrote.
    pub kept: Vec<FileName>,
}

impl FileName {
    /// Reads a path below `log.dirs`; `None` for files that are not ours.
    pub fn parse(path: &str) -> Option<FileName> {
        if let Some(name) = Replaced::ALL.into_iter().find(|name| path == name.path()) {
            return Some(name.file());
        }
        if let Some(replaced) = path.strip_suffix(TEMPORARY_SUFFIX) {
            return Replaced::ALL.into_iter().find(|name| replaced == name.path()).map(FileName::Temporary);
        }
        let name = path.strip_prefix(PARTITION_DIRECTORY)?.strip_prefix('/')?;
        let (digits, kind) = name.split_once('.')?;
        let (offset, epoch) = digits.split_once('-').map_or((digits, None), |(offset, epoch)| (offset, Some(epoch)));
        let offset = digits_of(offset, 20).filter(|&offset| offset <= BASE_OFFSET_MAX).map(Offset)?;
        match (kind, epoch) {
            ("log", None) => Some(FileName::Segment(offset)),
            ("index", None) => Some(FileName::Index(offset)),
            ("timeindex", None) => Some(FileName::TimeIndex(offset)),
            ("checkpoint", Some(epoch)) => {
                let epoch = u32::try_from(digits_of(epoch, 10)?).ok().filter(|&epoch| epoch <= i32::MAX as u32)?;
                Some(FileName::Snapshot(SnapshotId { end: offset, epoch: Epoch(epoch) }))
            }
            _ => None,
        }
    }

    /// The directory that holds the file's entry.
    pub fn directory(self) -> Directory {
        match self {
            FileName::MetaProperties | FileName::RecoveryPoint => Directory::Root,
            FileName::Temporary(replaced) => replaced.file().directory(),
            _ => Directory::Partition,
        }
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileName::MetaProperties => f.write_str(Replaced::MetaProperties.path()),
            FileName::RecoveryPoint => f.write_str(Replaced::RecoveryPoint.path()),
            FileName::PartitionMetadata => f.write_str(Replaced::PartitionMetadata.path()),
            FileName::QuorumState => f.write_str(Replaced::QuorumState.path()),
            FileName::Recovering => f.write_str(Replaced::Recovering.path()),
            FileName::LeaderEpochCheckpoint => f.write_str(Replaced::LeaderEpochCheckpoint.path()),
            FileName::Segment(base) => write!(f, "{PARTITION_DIRECTORY}/{:020}.log", base.0),
            FileName::Index(base) => write!(f, "{PARTITION_DIRECTORY}/{:020}.index", base.0),
            FileName::TimeIndex(base) => write!(f, "{PARTITION_DIRECTORY}/{:020}.timeindex", base.0),
            FileName::Snapshot(id) => write!(f, "{PARTITION_DIRECTORY}/{:020}-{:010}.checkpoint", id.end.0, id.epoch.0),
            FileName::Temporary(replaced) => write!(f, "{}{TEMPORARY_SUFFIX}", replaced.path()),
        }
    }
}

impl Replaced {
    /// All of them.
    pub const ALL: [Replaced; 6] = [
        Replaced::MetaProperties,
        Replaced::RecoveryPoint,
        Replaced::PartitionMetadata,
        Replaced::QuorumState,
        Replaced::Recovering,
        Replaced::LeaderEpochCheckpoint,
    ];

    /// The file itself.
    pub fn file(self) -> FileName {
        match self {
            Replaced::MetaProperties => FileName::MetaProperties,
            Replaced::RecoveryPoint => FileName::RecoveryPoint,
            Replaced::PartitionMetadata => FileName::PartitionMetadata,
            Replaced::QuorumState => FileName::QuorumState,
            Replaced::Recovering => FileName::Recovering,
            Replaced::LeaderEpochCheckpoint => FileName::LeaderEpochCheckpoint,
        }
    }

    fn path(self) -> &'static str {
        match self {
            Replaced::MetaProperties => "meta.properties",
            Replaced::RecoveryPoint => "recovery-point-offset-checkpoint",
            Replaced::PartitionMetadata => "__cluster_metadata-0/partition.metadata",
            Replaced::QuorumState => "__cluster_metadata-0/quorum-state",
            Replaced::Recovering => "__cluster_metadata-0/recovering",
            Replaced::LeaderEpochCheckpoint => "__cluster_metadata-0/leader-epoch-checkpoint",
        }
    }

    /// Writes `text` beside the file, syncs it, renames it over the file and makes that durable: at every moment the
    /// file holds the old text or the new one.
    pub(in crate::log) fn replace(self, text: String, out: &mut Vec<FileOp>) {
        let beside = FileName::Temporary(self);
        out.push(FileOp::Write { file: beside, at: 0, bytes: vec![Bytes::from(text)] });
        out.push(FileOp::Sync { file: beside });
        out.push(FileOp::Rename { from: beside, to: self.file() });
        out.push(FileOp::SyncDirectory(self.file().directory()));
    }
}

impl Layout {
    /// The operations that make an empty directory a formatted one: meta.properties, partition.metadata, syncs.
    ///
    /// `meta.properties` comes last and marks the directory as formatted; until it is there, all of this may be done
    /// again over whatever an interrupted attempt left.
    pub fn format(meta: &MetaProperties, topic_id: [u8; 16]) -> Vec<FileOp> {
        let mut out = Vec::new();
        out.push(FileOp::Remove { file: FileName::Temporary(Replaced::PartitionMetadata) });
        Replaced::PartitionMetadata.replace(checkpoint::write_partition_metadata(topic_id), &mut out);
        out.push(FileOp::Remove { file: FileName::Temporary(Replaced::MetaProperties) });
        Replaced::MetaProperties.replace(checkpoint::write_meta(meta), &mut out);
        out
    }

    /// Goes on from what recovery found.
    pub(in crate::log) fn recover(settings: Settings, found: Found) -> Layout {
        let Found { start, segments, epochs, recovery_point, snapshots, kept } = found;
        let reserved = segments.last().map_or(0, Segment::bytes);
        Layout { settings, start, segments, reserved, epochs, recovery_point, snapshots, kept, planned: None }
    }

    /// Offset after the last record planned.
    pub fn end(&self) -> Offset {
        self.segments.last().map_or(self.start, Segment::end)
    }

    /// Translates one disk operation. The last file operation pushed completes it; every DiskOp yields at least one.
    pub fn plan(&mut self, seq: DiskSeq, op: DiskOp, out: &mut Vec<FileOp>) {
        assert!(self.planned < Some(seq), "disk operations are planned in order: {seq:?} after {:?}", self.planned);
        self.planned = Some(seq);
        let before = out.len();
        match op {
            DiskOp::Adopt => self.adopt(out),
            DiskOp::Append { batches, first_of_epoch } => self.append(&batches, &first_of_epoch, out),
            DiskOp::Truncate { end, epochs } => self.truncate(end, epochs, out),
            DiskOp::QuorumState(state) => Replaced::QuorumState.replace(state.to_text(), out),
            DiskOp::Recovering(epoch) => self.mark(epoch, out),
            DiskOp::RecoveryPoint(point) => {
                assert!(point <= self.end(), "the recovery point {point} is beyond the log's end {}", self.end());
                self.move_recovery_point(point, out);
            }
            DiskOp::Close => self.close(out),
        }
        assert!(out.len() > before, "every disk operation yields a file operation that completes it");
    }

    /// Where to read what the replica wants back; `None` if it is not there.
    pub fn locate(&self, what: &Stored) -> Option<FileRange> {
        match *what {
            Stored::Log { from, bytes_max } => self.locate_batches(from, bytes_max),
            Stored::Snapshot { id, position, bytes_max } => {
                let rest = self.snapshots.get(&id)?.checked_sub(position).filter(|rest| *rest > 0)?;
                Some(FileRange { file: FileName::Snapshot(id), at: position, length: rest.min(bytes_max as u64) })
            }
        }
    }

    /// About `bytes_max` bytes of whole batches from the batch that contains `from`. The range begins at or before that
    /// batch: the reader skips to it.
    fn locate_batches(&self, from: Offset, bytes_max: usize) -> Option<FileRange> {
        if from < self.start || from >= self.end() {
            return None;
        }
        let above = self.segments.partition_point(|segment| segment.base() <= from);
        let segment = &self.segments[above - 1];
        let (at, length) = segment.locate(from, bytes_max);
        Some(FileRange { file: FileName::Segment(segment.base()), at, length })
    }

    /// R12: what recovery read may have come from the page cache.
    fn adopt(&mut self, out: &mut Vec<FileOp>) {
        out.extend(std::mem::take(&mut self.kept).into_iter().map(|file| FileOp::Sync { file }));
        out.push(FileOp::SyncDirectory(Directory::Partition));
        out.push(FileOp::SyncDirectory(Directory::Root));
    }

    fn append(&mut self, batches: &[RecordBatch], first_of_epoch: &[EpochStart], out: &mut Vec<FileOp>) {
        assert!(!batches.is_empty(), "an append appends something");
        for begun in first_of_epoch {
            let is_new = self.epochs.begin(begun.epoch, begun.start).is_some();
            assert!(is_new, "epoch {} begins once", begun.epoch);
        }
        if !first_of_epoch.is_empty() {
            Replaced::LeaderEpochCheckpoint.replace(checkpoint::write_epochs(&self.epochs), out);
        }
        let mut run = Run { at: self.segments.last().map_or(0, Segment::bytes), bytes: Vec::new() };
        let mut has_new_segment = false;
        for batch in batches {
            let (base, epoch) = (batch.base_offset(), batch.leader_epoch());
            assert!(base == self.end(), "an append begins at the log's end {}, not at {base}", self.end());
            assert!(
                self.epochs.epoch_at(base) == Some(epoch),
                "the epoch of a batch is in the checkpoint before the batch is in the log: {epoch} at {base}"
            );
            if self.segments.last().is_some_and(|active| self.is_full_for(active, batch)) {
                self.seal(std::mem::take(&mut run), out);
                // Else the successor's entry could outlive its own, and the log would seem to begin or go on there.
                if std::mem::take(&mut has_new_segment) {
                    out.push(FileOp::SyncDirectory(Directory::Partition));
                }
            }
            if self.segments.is_empty() || self.segments.last().is_some_and(|active| self.is_full_for(active, batch)) {
                self.segments.push(Segment::new(base));
                self.reserved = 0;
                has_new_segment = true;
            }
            batch.gather(&mut run.bytes);
            self.active().push(batch);
        }
        let file = FileName::Segment(self.active().base());
        self.write(run, out);
        out.push(FileOp::Sync { file });
        if has_new_segment {
            out.push(FileOp::SyncDirectory(Directory::Partition));
        }
    }

    /// Whether a batch belongs into a new segment. A batch larger than a segment gets one of its own.
    fn is_full_for(&self, active: &Segment, batch: &RecordBatch) -> bool {
        let bytes = active.bytes() + batch.size_bytes() as u64;
        active.bytes() > 0 && (bytes > self.settings.segment_bytes || !active.can_hold(batch))
    }

    /// Writes the batches gathered for the active segment, and reserves space ahead once they need more than there is.
    fn write(&mut self, run: Run, out: &mut Vec<FileOp>) {
        let (base, bytes) = (self.active().base(), self.active().bytes());
        let file = FileName::Segment(base);
        out.push(FileOp::Write { file, at: run.at, bytes: run.bytes });
        if bytes <= self.reserved {
            return;
        }
        self.reserved = bytes;
        if self.settings.preallocate_bytes > 0 {
            let ahead = bytes + self.settings.preallocate_bytes;
            self.reserved = ahead.min(self.settings.segment_bytes.max(bytes));
            out.push(FileOp::Preallocate { file, length: self.reserved });
        }
    }

    /// Brings the active segment to its final length, durable before a successor is written.
    fn seal(&mut self, run: Run, out: &mut Vec<FileOp>) {
        let before = out.len();
        if !run.bytes.is_empty() {
            self.write(run, out);
        }
        self.trim(out);
        let active = self.active();
        if out.len() > before {
            out.push(FileOp::Sync { file: FileName::Segment(active.base()) });
        }
        write_indexes(active, out);
    }

    /// Gives back the space reserved ahead.
    fn trim(&mut self, out: &mut Vec<FileOp>) {
        let (base, bytes) = (self.active().base(), self.active().bytes());
        if self.reserved > bytes {
            out.push(FileOp::Truncate { file: FileName::Segment(base), length: bytes });
            self.reserved = bytes;
        }
    }

    fn truncate(&mut self, end: Offset, epochs: Vec<EpochStart>, out: &mut Vec<FileOp>) {
        assert!(end >= self.start, "a truncation to {end} below the log's start {}", self.start);
        assert!(epochs.iter().all(|entry| entry.start < end), "a truncation leaves no epoch from {end} on");
        let epochs = EpochIndex::from_entries(epochs).expect("invariant: the epochs of a log ascend");
        // A recovery point that is above the log already is the evidence that synced data is missing, and stays (R11).
        if self.recovery_point > end && self.recovery_point <= self.end() {
            self.move_recovery_point(end, out);
        }
        let kept = self.segments.partition_point(|segment| segment.base() <= end).max(1).min(self.segments.len());
        let removed = self.segments.split_off(kept);
        for segment in removed.iter().rev() {
            remove_segment(segment.base(), out);
        }
        if !removed.is_empty() {
            self.reserved = self.segments.last().map_or(0, Segment::bytes);
            out.push(FileOp::SyncDirectory(Directory::Partition));
        }
        if let Some(active) = self.segments.last_mut() {
            let base = active.base();
            active.truncate(end);
            if active.bytes() < self.reserved {
                self.reserved = active.bytes();
                out.push(FileOp::Truncate { file: FileName::Segment(base), length: active.bytes() });
                remove_indexes(base, out);
            }
            out.push(FileOp::Sync { file: FileName::Segment(base) });
        }
        if epochs != self.epochs {
            self.epochs = epochs;
            Replaced::LeaderEpochCheckpoint.replace(checkpoint::write_epochs(&self.epochs), out);
        }
        if self.segments.is_empty() {
            out.push(FileOp::SyncDirectory(Directory::Partition));
        }
    }

    fn mark(&mut self, epoch: Option<Epoch>, out: &mut Vec<FileOp>) {
        let Some(epoch) = epoch else {
            // Without the marker a recovery point above the log, or one that cannot be read, would say once more that
            // synced data is missing.
            self.move_recovery_point(self.recovery_point.min(self.end()), out);
            out.push(FileOp::Remove { file: FileName::Recovering });
            out.push(FileOp::SyncDirectory(Directory::Partition));
            return;
        };
        Replaced::Recovering.replace(checkpoint::write_marker(epoch), out);
    }

    fn move_recovery_point(&mut self, point: Offset, out: &mut Vec<FileOp>) {
        self.recovery_point = point;
        Replaced::RecoveryPoint.replace(checkpoint::write_recovery_point(point), out);
    }

    fn close(&mut self, out: &mut Vec<FileOp>) {
        if !self.segments.is_empty() {
            self.trim(out);
            let active = self.active();
            let base = active.base();
            out.push(FileOp::Sync { file: FileName::Segment(base) });
            for file in write_indexes(active, out) {
                out.push(FileOp::Sync { file });
            }
        }
        out.push(FileOp::SyncDirectory(Directory::Partition));
        out.push(FileOp::SyncDirectory(Directory::Root));
    }

    fn active(&mut self) -> &mut Segment {
        self.segments.last_mut().expect("invariant: a log that is written has a segment")
    }
}

/// Batches gathered for one write.
#[derive(Default)]
struct Run {
    at: u64,
    bytes: Vec<Bytes>,
}

/// Writes both index files whole and returns their names. An empty one is not written: Kafka makes it anew.
pub(in crate::log) fn write_indexes(segment: &Segment, out: &mut Vec<FileOp>) -> Vec<FileName> {
    let mut written = Vec::new();
    let base = segment.base();
    for (file, bytes) in
        [(FileName::Index(base), segment.offset_index()), (FileName::TimeIndex(base), segment.time_index())]
    {
        if !bytes.is_empty() {
            out.push(FileOp::Write { file, at: 0, bytes: vec![bytes] });
            written.push(file);
        }
    }
    written
}

/// Removes a segment with its indexes. The caller syncs the directory.
pub(in crate::log) fn remove_segment(base: Offset, out: &mut Vec<FileOp>) {
    out.push(FileOp::Remove { file: FileName::Segment(base) });
    remove_indexes(base, out);
}

/// A number in a file's name, which has so many digits.
fn digits_of(text: &str, count: usize) -> Option<u64> {
    let is_number = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

fn remove_indexes(base: Offset, out: &mut Vec<FileOp>) {
    out.push(FileOp::Remove { file: FileName::Index(base) });
    out.push(FileOp::Remove { file: FileName::TimeIndex(base) });
}

/// The directory of the only partition below `log.dirs`; the paths above repeat it.
pub const PARTITION_DIRECTORY: &str = "__cluster_metadata-0";

/// What a file's name ends with while it is not yet in place.
const TEMPORARY_SUFFIX: &str = ".tmp";

/// The largest base offset taken for a segment's: offsets within it must stay below 2^63.
const BASE_OFFSET_MAX: u64 = 1 << 62;
