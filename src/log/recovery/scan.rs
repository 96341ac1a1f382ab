//! The walk over every batch of every segment: where does the log that can be trusted end?
//!
//! A batch is kept if it parses, its checksum holds, it begins where the one before ends, its epoch does not fall and is
//! the one that `leader-epoch-checkpoint` names for its offset. The last three matter because base offset and epoch lie
//! outside the checksum. The first batch that fails ends the log, whatever lies behind it.
//!
//! Never more than one chunk or one batch is asked for at a time, and never more than the file holds, so a length field
//! cannot make recovery allocate.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::ids::Offset;
use crate::log::recovery::{Cut, RecoveryError, RecoveryOptions};
use crate::log::segment::Segment;
use crate::log::{EpochIndex, FileName, FileRange, ProducerTable};
use crate::record::{ControlRecord, HEADER_BYTES, RecordBatch};

/// Reads segments from the first to the end of what can be trusted, and gathers what their batches say.
#[derive(Debug)]
pub(super) struct Scan {
    /// Segment files, ascending: base offset and length.
    files: Vec<(Offset, u64)>,
    /// Which of them is being read, and from where on.
    current: usize,
    at: u64,
    /// The bytes supplied last.
    window: Window,
    /// Bytes that are no batch: harmless if they and all behind them are zero.
    suspect: Option<Suspect>,
    stop: Option<Stop>,
    tail_bytes: usize,
    tail_bytes_max: usize,

    pub segments: Vec<Segment>,
    pub epochs: EpochIndex,
    pub producers: ProducerTable,
    pub tail: VecDeque<RecordBatch>,
    pub cold: Vec<Offset>,
    pub controls: Vec<(Offset, ControlRecord)>,
}

/// A part of the current file.
#[derive(Debug, Default)]
struct Window {
    at: u64,
    /// How much was asked for.
    length: u64,
    bytes: Bytes,
}

/// Why the batch at the current position is none, and up to where all is zero from there on.
#[derive(Debug)]
struct Suspect {
    reason: String,
    zero_until: u64,
}

/// Where and why the log ends before its files do.
#[derive(Debug)]
struct Stop {
    file: usize,
    at: u64,
    reason: String,
}

/// What to do after a look at the current position.
enum Next {
    Read(FileRange),
    Again,
    Stop(String),
}

impl Scan {
    pub fn new(files: &BTreeMap<FileName, u64>, options: &RecoveryOptions) -> Scan {
        let segment = |(file, length): (&FileName, &u64)| match file {
            FileName::Segment(base) => Some((*base, *length)),
            _ => None,
        };
        Scan {
            files: files.iter().filter_map(segment).collect(),
            current: 0,
            at: 0,
            window: Window::default(),
            suspect: None,
            stop: None,
            tail_bytes: 0,
            tail_bytes_max: options.tail_bytes_max,
            segments: Vec::new(),
            epochs: EpochIndex::default(),
            producers: ProducerTable::new(options.producers_max),
            tail: VecDeque::new(),
            cold: Vec::new(),
            controls: Vec::new(),
        }
    }

    /// Offset of the first record: a log that does not begin at 0 comes from a snapshot.
    pub fn start(&self) -> Offset {
        self.files.first().map_or(Offset::ZERO, |(base, _)| *base)
    }

    /// Offset after the last record kept so far.
    pub fn end(&self) -> Offset {
        self.segments.last().map_or(self.start(), Segment::end)
    }

    /// Goes on as far as the bytes at hand allow; `None` when the end of the log is known.
    pub fn step(
        &mut self,
        supplied: Option<Bytes>,
        checkpoint: Option<&EpochIndex>,
    ) -> Result<Option<FileRange>, RecoveryError> {
        if let Some(bytes) = supplied {
            self.accept(bytes);
        }
        while self.stop.is_none() && self.current < self.files.len() {
            let next = match self.suspect.take() {
                Some(suspect) => self.look_for_zeros(suspect),
                None => self.look_for_batch(checkpoint)?,
            };
            match next {
                Next::Again => {}
                Next::Read(range) => {
                    self.window = Window { at: range.at, length: range.length, bytes: Bytes::new() };
                    return Ok(Some(range));
                }
                Next::Stop(reason) => self.stop = Some(Stop { file: self.current, at: self.at, reason }),
            }
        }
        Ok(None)
    }

    /// What of the segment files is not kept, apart from zeros. What it means is for others to judge.
    pub fn cuts(&self, lengths: &BTreeMap<FileName, u64>) -> Vec<Cut> {
        let Some(stop) = &self.stop else {
            return vec![];
        };
        let name = |index: usize| FileName::Segment(self.files[index].0);
        let length = |index: usize| lengths.get(&name(index)).copied().unwrap_or(0);
        let cut = |index: usize, at: u64, reason: String| Cut {
            file: name(index),
            at,
            bytes: length(index).saturating_sub(at),
            end: self.end(),
            reason,
            below_recovery_point: false,
        };
        let first = cut(stop.file, stop.at, stop.reason.clone());
        let behind = (stop.file + 1..self.files.len())
            .map(|index| cut(index, 0, format!("lies behind the cut in {}", name(stop.file))));
        std::iter::once(first).chain(behind).collect()
    }

    /// Takes the bytes of the range asked for. Fewer than asked for: the file is shorter than it was said to be.
    fn accept(&mut self, bytes: Bytes) {
        if (bytes.len() as u64) < self.window.length {
            self.files[self.current].1 = self.window.at + bytes.len() as u64;
        }
        self.window.bytes = bytes;
    }

    /// Judges the batch at the current position, or asks for its bytes.
    fn look_for_batch(&mut self, checkpoint: Option<&EpochIndex>) -> Result<Next, RecoveryError> {
        let (base, length) = self.files[self.current];
        if self.segments.len() == self.current {
            if base != self.end() {
                return Ok(Next::Stop(format!(
                    "a segment that begins at {base} follows a log that ends at {}",
                    self.end()
                )));
            }
            self.segments.push(Segment::new(base));
        }
        let remaining = length.saturating_sub(self.at);
        if remaining == 0 {
            return Ok(self.next_file());
        }
        if remaining < HEADER_BYTES as u64 {
            return Ok(
                self.suspect(format!("expected a batch header of {HEADER_BYTES} bytes, found {remaining} bytes"))
            );
        }
        let bytes = self.window.from(self.at);
        let Some(claimed) = bytes.get(8..12).filter(|_| bytes.len() >= HEADER_BYTES) else {
            return Ok(Next::Read(self.range(self.at, remaining.min(CHUNK_BYTES))));
        };
        let claimed = u32::from_be_bytes(claimed.try_into().expect("invariant: four bytes"));
        let size = u64::from(claimed) + 12;
        if size < HEADER_BYTES as u64 || size > remaining {
            return Ok(self.suspect(format!("batch length: expected 49 to {}, found {claimed}", remaining - 12)));
        }
        if (bytes.len() as u64) < size {
            return Ok(Next::Read(self.range(self.at, remaining.min(CHUNK_BYTES).max(size))));
        }
        let batch = match RecordBatch::parse(&bytes.slice(..size as usize)) {
            Ok(batch) => batch,
            Err(error) => {
                return Ok(self.suspect(format!("{}: expected {}, found {}", error.what, error.expected, error.found)));
            }
        };
        if let Some(reason) = self.contradiction(&batch, checkpoint) {
            return Ok(Next::Stop(reason));
        }
        self.keep(batch)?;
        Ok(Next::Again)
    }

    /// Why a batch with a valid checksum is nevertheless not the one that belongs here (R11).
    fn contradiction(&self, batch: &RecordBatch, checkpoint: Option<&EpochIndex>) -> Option<String> {
        let (base, epoch) = (batch.base_offset(), batch.leader_epoch());
        if base != self.end() {
            return Some(format!("offset: expected {}, found {base}", self.end()));
        }
        if let Some(last) = self.epochs.last().filter(|last| epoch < last.epoch) {
            return Some(format!("epoch: expected {} or above, found {epoch}", last.epoch));
        }
        // Below the first entry the checkpoint says nothing: Kafka trims it when a snapshot is taken.
        let named = checkpoint.and_then(|epochs| epochs.epoch_at(base)).filter(|&named| named != epoch);
        if let Some(named) = named {
            return Some(format!("epoch at {base}: leader-epoch-checkpoint says {named}, the batch {epoch}"));
        }
        let segment = self.segments.last().expect("invariant: a batch is read in a segment");
        (!segment.can_hold(batch))
            .then(|| "offset or position: expected 31 bits within a segment, found more".to_string())
    }

    fn keep(&mut self, batch: RecordBatch) -> Result<(), RecoveryError> {
        if batch.is_control() {
            let controls = ControlRecord::parse_batch(&batch).map_err(|error| RecoveryError {
                file: FileName::Segment(self.files[self.current].0),
                at: self.at + error.at as u64,
                reason: format!("{}: expected {}, found {}", error.what, error.expected, error.found),
            })?;
            let offsets = (batch.base_offset().0..).map(Offset);
            self.controls.extend(offsets.zip(controls));
        }
        self.epochs.begin(batch.leader_epoch(), batch.base_offset());
        self.producers.record(&batch);
        self.segments.last_mut().expect("invariant: a batch is read in a segment").push(&batch);
        self.at += batch.size_bytes() as u64;
        self.tail_bytes += batch.size_bytes();
        self.tail.push_back(batch);
        while self.tail_bytes > self.tail_bytes_max {
            let oldest = self.tail.pop_front().expect("invariant: bytes in the tail are some batch's");
            self.tail_bytes -= oldest.size_bytes();
            self.cold.push(oldest.base_offset());
        }
        Ok(())
    }

    fn suspect(&mut self, reason: String) -> Next {
        self.suspect = Some(Suspect { reason, zero_until: self.at });
        Next::Again
    }

    /// Zeros up to the end of the file are space reserved ahead, and no reason to stop.
    fn look_for_zeros(&mut self, mut suspect: Suspect) -> Next {
        let (_, length) = self.files[self.current];
        while suspect.zero_until < length {
            let bytes = self.window.from(suspect.zero_until);
            if bytes.is_empty() {
                let range = self.range(suspect.zero_until, (length - suspect.zero_until).min(CHUNK_BYTES));
                self.suspect = Some(suspect);
                return Next::Read(range);
            }
            if bytes.iter().any(|&byte| byte != 0) {
                return Next::Stop(suspect.reason);
            }
            suspect.zero_until += bytes.len() as u64;
        }
        self.next_file()
    }

    fn next_file(&mut self) -> Next {
        self.current += 1;
        self.at = 0;
        self.window = Window::default();
        Next::Again
    }

    fn range(&self, at: u64, length: u64) -> FileRange {
        FileRange { file: FileName::Segment(self.files[self.current].0), at, length }
    }
}

impl Window {
    /// What it holds from a position of the file on; nothing if it does not reach there.
    fn from(&self, at: u64) -> Bytes {
        let skip = at.checked_sub(self.at).and_then(|skip| usize::try_from(skip).ok());
        match skip.filter(|&skip| skip <= self.bytes.len()) {
            Some(skip) => self.bytes.slice(skip..),
            None => Bytes::new(),
        }
    }
}

/// How much of a segment is read at once.
const CHUNK_BYTES: u64 = 1 << 20;
