//! From any byte state of a directory to a log that can be trusted, every cut explained (R11, R12).
//!
//! Recovery reads the small files, then every batch of every segment (`scan`), decides where the log ends, and only then
//! repairs the directory (`repair`), one demanded file operation at a time. It may be killed between any two of them and
//! begin anew: no repair destroys what the decision rests on, so the second attempt decides the same.
//!
//! What a cut means depends on the *recovery point*, below which everything was once durable:
//!
//! | where | what it is | what follows |
//! |---|---|---|
//! | at or above the recovery point | a torn tail, as every power loss may leave it; valid batches behind it are cut too, because unsynced sectors survive in any order | nothing |
//! | below it | synced data is missing: the disk lied, or somebody meddled | [`Recovered::recovering`] (R11); with a single voter, [`RecoveryError`] |
//!
//! Zeros at the end of a file are space reserved ahead; they are trimmed without a word.
//!
//! What recovery keeps is not durable yet: after a kill it was read from a cache that the next power loss takes away. So
//! `flushed` starts at the recovery point, and the first operation of an incarnation is [`crate::log::DiskOp::Adopt`] (R12).
//! The recovery point of a node that recovers vouches for nothing: it speaks of the bytes that are missing, and what a
//! leader has filled in since may never have been synced. There `flushed` starts where the log does.

mod repair;
mod scan;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use bytes::Bytes;

use crate::ids::{Epoch, Offset, uuid_to_text};
use crate::log::checkpoint::{self, TextError};
use crate::log::layout::{Found, Settings};
use crate::log::recovery::repair::Indexes;
use crate::log::recovery::scan::Scan;
use crate::log::{EpochIndex, FileName, FileOp, FileRange, Layout, MetaProperties, ProducerTable, QuorumState};
use crate::record::{ControlRecord, RecordBatch};

/// What a node knows after recovery.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// Who this directory belongs to.
    pub meta: MetaProperties,
    /// The election state; `None` when the file never existed.
    pub quorum: Option<QuorumState>,
    /// Offset of the first record.
    pub start: Offset,
    /// Everything below is durable: the recovery point, at most `end`; `start` while recovering (R12).
    pub flushed: Offset,
    /// Offset after the last record kept.
    pub end: Offset,
    /// Epochs of the records kept.
    pub epochs: EpochIndex,
    /// Producers of the records kept.
    pub producers: ProducerTable,
    /// The newest batches, as many as fit the memory tail, contiguous up to `end`.
    pub tail: Vec<RecordBatch>,
    /// Where the batches kept below the tail begin: a truncation may have to find one of these places.
    pub cold: Vec<Offset>,
    /// Every control record kept, with its offset.
    pub controls: Vec<(Offset, ControlRecord)>,
    /// The marker of R11, or the epoch it must be written with because synced data is missing.
    pub recovering: Option<Epoch>,
    /// What was cut away and why.
    pub cuts: Vec<Cut>,
}

/// Bytes that recovery did not keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// In which file.
    pub file: FileName,
    /// From which byte.
    pub at: u64,
    /// How many bytes.
    pub bytes: u64,
    /// Which offset the log ends at because of it.
    pub end: Offset,
    /// Why, in words.
    pub reason: String,
    /// Whether bytes below the recovery point are gone, which a mere power loss cannot explain.
    pub below_recovery_point: bool,
}

/// Why a node cannot start at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryError {
    /// The file to blame.
    pub file: FileName,
    /// The byte in it.
    pub at: u64,
    /// Expected and found, in words.
    pub reason: String,
}

impl fmt::Display for RecoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} byte {}: {}", self.file, self.at, self.reason)
    }
}

/// What recovery asks of its driver next.
#[derive(Debug)]
pub enum Demand {
    /// Read this range and call [`Recovery::supply`]; a missing file supplies no bytes.
    Read(FileRange),
    /// Carry out this repair, then ask again.
    File(FileOp),
    /// Done: call [`Recovery::finish`].
    Finished,
}

/// What recovery needs to know before it reads.
#[derive(Clone, Debug)]
pub struct RecoveryOptions {
    /// The topic that `partition.metadata` must name.
    pub topic_id: [u8; 16],
    /// Bound of the memory tail, bytes.
    pub tail_bytes_max: usize,
    /// Idempotent producers known at once.
    pub producers_max: usize,
    /// Size at which segments roll, bytes.
    pub segment_bytes: u64,
    /// Space reserved ahead of the log's end, bytes; 0 for none.
    pub preallocate_bytes: u64,
    /// Whether a single voter: missing synced data is then an error, not a `recovering` node.
    pub is_only_voter: bool,
}

/// The recovery of one directory, without I/O.
///
/// A driver asks [`Recovery::demand`], does what it says, and asks again until it says [`Demand::Finished`].
#[derive(Debug)]
pub struct Recovery {
    options: RecoveryOptions,
    files: BTreeMap<FileName, u64>,
    phase: Phase,
    demanded: Option<FileRange>,
    supplied: Option<Bytes>,
    texts: Texts,
    scan: Scan,
    cuts: Vec<Cut>,
    recovering: Option<Epoch>,
}

/// What recovery is busy with.
#[derive(Debug)]
enum Phase {
    /// Reading the small files, the one of this index next.
    Texts(usize),
    /// Reading batches.
    Scan,
    /// Comparing the index files with what they should hold.
    Indexes(Indexes),
    /// Repairing the directory.
    Repair(VecDeque<FileOp>),
}

/// What the small files say.
#[derive(Debug, Default)]
struct Texts {
    meta: Option<MetaProperties>,
    quorum: Option<QuorumState>,
    /// `None` when the file never existed: then nothing was promised.
    recovery_point: Option<Offset>,
    /// Whether a file that R11 rests on cannot be read, so that synced data must be taken for missing.
    is_evidence_lost: bool,
    marker: Option<Epoch>,
    checkpoint: Option<EpochIndex>,
    /// Whether `partition.metadata` says whose partition this is.
    is_topic_named: bool,
}

impl Recovery {
    /// Begins with the directory's files and their lengths.
    pub fn new(listing: &[(FileName, u64)], options: RecoveryOptions) -> Recovery {
        let files: BTreeMap<FileName, u64> = listing.iter().copied().collect();
        Recovery {
            scan: Scan::new(&files, &options),
            options,
            files,
            phase: Phase::Texts(0),
            demanded: None,
            supplied: None,
            texts: Texts::default(),
            cuts: Vec::new(),
            recovering: None,
        }
    }

    /// What to do next.
    pub fn demand(&mut self) -> Result<Demand, RecoveryError> {
        let unanswered = self.demanded.is_some() && self.supplied.is_none();
        assert!(!unanswered, "a range that was demanded is supplied before the next demand");
        self.demanded = None;
        loop {
            let range = match &mut self.phase {
                Phase::Texts(index) => {
                    let index = *index;
                    self.on_text(index)?
                }
                Phase::Scan => self.on_scan()?,
                Phase::Indexes(indexes) => match indexes.next(self.supplied.take()) {
                    Some(range) => Some(range),
                    None => {
                        self.phase = Phase::Repair(self.plan_repairs());
                        None
                    }
                },
                Phase::Repair(_) => return Ok(self.next_repair()),
            };
            if let Some(range) = range {
                self.demanded = Some(range);
                return Ok(Demand::Read(range));
            }
        }
    }

    /// The bytes of the range demanded last.
    pub fn supply(&mut self, bytes: Bytes) {
        let demanded = self.demanded.expect("bytes are supplied only after a range was demanded");
        assert!(self.supplied.is_none(), "a range is supplied once");
        let length = usize::try_from(demanded.length).unwrap_or(usize::MAX).min(bytes.len());
        self.supplied = Some(bytes.slice(..length));
    }

    /// The result, after [`Demand::Finished`].
    pub fn finish(self) -> (Recovered, Layout) {
        let Phase::Repair(repairs) = &self.phase else { panic!("recovery is finished only after it says so") };
        assert!(repairs.is_empty(), "recovery is finished only when every repair is done");
        // A snapshot gets its name only once it is durable, and is never written again.
        let is_snapshot = |file: &FileName| matches!(file, FileName::Snapshot(_));
        let kept = self.files.keys().copied().filter(|file| !is_snapshot(file)).collect();
        let (start, end) = (self.scan.start(), self.scan.end());
        let recovery_point = self.texts.recovery_point.unwrap_or(Offset::ZERO);
        let settings =
            Settings { segment_bytes: self.options.segment_bytes, preallocate_bytes: self.options.preallocate_bytes };
        let snapshot = |(&file, &length): (&FileName, &u64)| match file {
            FileName::Snapshot(id) => Some((id, length)),
            _ => None,
        };
        let found = Found {
            start,
            segments: self.scan.segments,
            epochs: self.scan.epochs.clone(),
            recovery_point,
            snapshots: self.files.iter().filter_map(snapshot).collect(),
            kept,
        };
        let recovered = Recovered {
            meta: self.texts.meta.expect("invariant: no recovery finishes without meta.properties"),
            quorum: self.texts.quorum,
            start,
            flushed: if self.recovering.is_some() { start } else { recovery_point.clamp(start, end) },
            end,
            epochs: self.scan.epochs,
            producers: self.scan.producers,
            tail: self.scan.tail.into(),
            cold: self.scan.cold,
            controls: self.scan.controls,
            recovering: self.recovering,
            cuts: self.cuts,
        };
        (recovered, Layout::recover(settings, found))
    }

    /// Hands out the next repair and keeps count of the files that will be there.
    fn next_repair(&mut self) -> Demand {
        let Phase::Repair(repairs) = &mut self.phase else { return Demand::Finished };
        let Some(op) = repairs.pop_front() else {
            return Demand::Finished;
        };
        match &op {
            FileOp::Remove { file } => drop(self.files.remove(file)),
            FileOp::Rename { from, to } => {
                self.files.remove(from);
                self.files.insert(*to, 0);
            }
            FileOp::Write { file, .. } => drop(self.files.insert(*file, 0)),
            _ => {}
        }
        Demand::File(op)
    }

    /// Reads one small file, or goes on to the next.
    fn on_text(&mut self, index: usize) -> Result<Option<FileRange>, RecoveryError> {
        let Some(&file) = TEXTS.get(index) else {
            self.phase = Phase::Scan;
            return Ok(None);
        };
        self.phase = Phase::Texts(index + 1);
        let Some(&length) = self.files.get(&file) else {
            if file == FileName::MetaProperties {
                let reason = "expected a formatted directory, found no such file".to_string();
                return Err(RecoveryError { file, at: 0, reason });
            }
            return Ok(None);
        };
        let Some(bytes) = self.supplied.take() else {
            self.phase = Phase::Texts(index);
            return Ok(Some(FileRange { file, at: 0, length: length.min(TEXT_BYTES_MAX) }));
        };
        self.read_text(file, &bytes)?;
        Ok(None)
    }

    fn read_text(&mut self, file: FileName, bytes: &[u8]) -> Result<(), RecoveryError> {
        let refuse = |error: TextError| RecoveryError { file, at: error.at, reason: error.reason };
        match file {
            // Who we are, and whom we voted for: nothing may be guessed.
            FileName::MetaProperties => self.texts.meta = Some(checkpoint::read_meta(bytes).map_err(refuse)?),
            FileName::QuorumState => self.texts.quorum = Some(QuorumState::parse(bytes).map_err(refuse)?),
            // Without the recovery point nobody can say what was promised, so the worst is assumed.
            FileName::RecoveryPoint => match checkpoint::read_recovery_point(bytes) {
                Ok(point) => self.texts.recovery_point = point,
                Err(error) => self.lose_evidence(file, bytes, error),
            },
            FileName::Recovering => match checkpoint::read_marker(bytes) {
                Ok(epoch) => self.texts.marker = Some(epoch),
                Err(error) => self.lose_evidence(file, bytes, error),
            },
            // Rebuilt from the batches, as Kafka does; what is lost is the cross-check.
            FileName::LeaderEpochCheckpoint => match checkpoint::read_epochs(bytes) {
                Ok(epochs) => self.texts.checkpoint = Some(epochs),
                Err(error) => self.cuts.push(unreadable(file, bytes, error, "rebuilt from the batches")),
            },
            FileName::PartitionMetadata => self.read_topic(bytes)?,
            _ => unreachable!("only small files are read as text"),
        }
        Ok(())
    }

    /// A log of another topic is not ours to append to. (Kafka: `InconsistentTopicIdException`.) Text that cannot be read
    /// promises nothing, and is written anew.
    fn read_topic(&mut self, bytes: &[u8]) -> Result<(), RecoveryError> {
        let file = FileName::PartitionMetadata;
        match checkpoint::read_partition_metadata(bytes) {
            Ok((topic_id, at)) if topic_id != self.options.topic_id => {
                let [ours, found] = [self.options.topic_id, topic_id].map(uuid_to_text);
                Err(RecoveryError { file, at, reason: format!("expected topic_id: {ours}, found {found}") })
            }
            Ok(_) => {
                self.texts.is_topic_named = true;
                Ok(())
            }
            Err(error) => {
                self.cuts.push(unreadable(file, bytes, error, "written anew"));
                Ok(())
            }
        }
    }

    fn lose_evidence(&mut self, file: FileName, bytes: &[u8], error: TextError) {
        self.texts.is_evidence_lost = true;
        self.cuts.push(unreadable(file, bytes, error, "synced data is taken for missing"));
    }

    fn on_scan(&mut self) -> Result<Option<FileRange>, RecoveryError> {
        self.check_beginning()?;
        let range = self.scan.step(self.supplied.take(), self.texts.checkpoint.as_ref())?;
        if range.is_some() {
            return Ok(range);
        }
        self.judge()?;
        self.phase = Phase::Indexes(Indexes::new(&self.files, &self.scan.segments));
        Ok(None)
    }

    /// A log that begins above 0 comes from a snapshot, and then the checkpoint begins there, too.
    fn check_beginning(&self) -> Result<(), RecoveryError> {
        let first = self.texts.checkpoint.as_ref().and_then(|epochs| epochs.entries().first());
        let start = self.scan.start();
        match first {
            Some(first) if first.start < start => Err(RecoveryError {
                file: FileName::Segment(start),
                at: 0,
                reason: format!(
                    "expected a log that begins at {}, as leader-epoch-checkpoint does, found {start} in the name of \
                     the first segment",
                    first.start
                ),
            }),
            _ => Ok(()),
        }
    }

    /// Decides what the end of the log means.
    fn judge(&mut self) -> Result<(), RecoveryError> {
        let (start, end) = (self.scan.start(), self.scan.end());
        let point = self.texts.recovery_point.unwrap_or(start);
        let is_missing = end < point;
        let first_log_cut = self.cuts.len();
        self.cuts.extend(self.scan.cuts(&self.files));
        for cut in &mut self.cuts[first_log_cut..] {
            cut.below_recovery_point = is_missing;
        }
        for cut in &mut self.cuts {
            cut.end = end;
        }
        if is_missing && self.cuts.len() == first_log_cut {
            let last = self.scan.segments.last();
            self.cuts.push(Cut {
                file: FileName::Segment(last.map_or(start, |segment| segment.base())),
                at: last.map_or(0, |segment| segment.bytes()),
                bytes: 0,
                end,
                reason: format!("everything below {point} was durable, but the log ends at {end}"),
                below_recovery_point: true,
            });
        }
        let is_missing = is_missing || self.texts.is_evidence_lost;
        if is_missing && self.options.is_only_voter {
            let cut = self.cuts.iter().find(|cut| cut.below_recovery_point).unwrap_or(&self.cuts[0]);
            let reason = format!("synced data is missing and no other voter has it: {}", cut.reason);
            return Err(RecoveryError { file: cut.file, at: cut.at, reason });
        }
        self.recovering = match is_missing {
            true => Some(self.newest_epoch()),
            false => self.texts.marker,
        };
        Ok(())
    }

    /// The highest epoch that this directory gives evidence of. Batches that are not kept give none: their epoch lies
    /// outside the checksum, and a flipped bit there names one that nobody will ever reach. Nothing is lost by that: an
    /// epoch is in quorum-state before any of its batches is written.
    fn newest_epoch(&self) -> Epoch {
        let quorum = self.texts.quorum.as_ref().map(|quorum| quorum.epoch);
        let checkpoint = self.texts.checkpoint.as_ref().and_then(EpochIndex::last).map(|entry| entry.epoch);
        let kept = self.scan.epochs.last().map(|entry| entry.epoch);
        let known = [quorum, checkpoint, self.texts.marker, kept];
        known.into_iter().flatten().max().unwrap_or(Epoch::ZERO)
    }
}

/// A small file that cannot be read and need not stop the node.
fn unreadable(file: FileName, bytes: &[u8], error: TextError, consequence: &str) -> Cut {
    Cut {
        file,
        at: error.at,
        bytes: (bytes.len() as u64).saturating_sub(error.at),
        end: Offset::ZERO,
        reason: format!("{}; {consequence}", error.reason),
        below_recovery_point: false,
    }
}

/// The small files, in the order they are read.
const TEXTS: [FileName; 6] = [
    FileName::MetaProperties,
    FileName::PartitionMetadata,
    FileName::RecoveryPoint,
    FileName::QuorumState,
    FileName::Recovering,
    FileName::LeaderEpochCheckpoint,
];

/// How much of a small file is read: enough for a checkpoint of tens of thousands of epochs.
const TEXT_BYTES_MAX: u64 = 1 << 20;
