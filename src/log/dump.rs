//! What Kafka's `kafka-dump-log.sh` prints of a segment, a snapshot or an index, letter for letter.
//!
//! People who know Kafka read segments through this tool, and scripts parse what it prints. (Kafka: `DumpLogSegments`,
//! 4.3.) Files come in as bytes, with what lies beside them where the tool looks there too; lines go out as they are
//! made. Nothing here trusts a file: it may belong to another program, be half written, or be full of preallocated zeros.
//!
//! Where Java ends with a stack trace, this ends with a [`DumpError`], whose text is the exception's message. Metadata
//! records of a Kafka controller are not decoded: this log has none.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;

use bytes::Bytes;

use crate::ids::{Epoch, Offset};
use crate::log::dump_control::describe_control;
use crate::record::{BatchHeader, Compression, HEADER_BYTES, Record, RecordBatch};
use crate::time::Timestamp;

/// What is asked for. The flags are Kafka's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// `--deep-iteration`: print each record, not only batches.
    pub deep_iteration: bool,
    /// `--print-data-log`: print keys and values; includes deep iteration.
    pub print_data_log: bool,
    /// `--skip-record-metadata`: print nothing of a record but its key and value.
    pub skip_record_metadata: bool,
    /// `--index-sanity-check`: check an index as a broker does when it starts, print nothing of it.
    pub index_sanity_check: bool,
    /// `--verify-index-only`: compare an index with its segment, print nothing of it.
    pub verify_index_only: bool,
    /// `--max-bytes`: how much of a segment to read; `None` for all.
    pub bytes_max: Option<usize>,
}

/// A file to be dumped.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// As it was named by who asked.
    pub path: &'a str,
    /// From the root on, for errors.
    pub absolute: &'a str,
    /// What is in it.
    pub bytes: &'a Bytes,
}

/// Why a dump ended early.
#[derive(Debug)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum DumpError {
    /// A segment's or index's name does not begin with an offset.
    Name { name: String },
    /// A batch claims a size that none has: preallocated zeros, mostly.
    RecordSize { size: i32, file: String },
    /// A batch is cut in its header, or of a format before Kafka 0.11.
    Batch { position: usize, file: String },
    /// The records of a batch cannot be read.
    Records { base_offset: i64, why: String },
    /// An index would be rebuilt by a broker.
    Sanity(String),
    /// An index points behind the end of its segment.
    Slice { position: u32, file: String },
    /// Nobody reads what is printed.
    Output(String),
}

impl fmt::Display for DumpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DumpError::Name { name } => write!(f, "For input string: \"{name}\""),
            DumpError::RecordSize { size, file } => {
                write!(f, "Found record size {size} smaller than minimum record overhead (14) in file {file}.")
            }
            DumpError::Batch { position, file } => {
                write!(f, "The batch at position {position} of {file} has no header of magic 2")
            }
            DumpError::Records { base_offset, why } => write!(f, "The batch at offset {base_offset}: {why}"),
            DumpError::Sanity(why) => f.write_str(why),
            DumpError::Slice { position, file } => {
                write!(f, "Slice from position {position} exceeds end position of {file}")
            }
            DumpError::Output(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for DumpError {}

/// Dumps files one after another, and remembers what does not fit together.
#[derive(Debug)]
pub struct Dump<W> {
    out: W,
    options: Options,
    /// By file: offsets of the index, and what the log has there.
    mismatches: BTreeMap<String, BTreeMap<i64, i64>>,
    times: TimeErrors,
    /// By file: offsets that are not followed by the next one.
    jumps: BTreeMap<String, BTreeMap<i64, i64>>,
}

/// What is wrong with time indexes: by file, pairs in the order in which they were found.
#[derive(Debug, Default)]
struct TimeErrors {
    mismatches: BTreeMap<String, Vec<(i64, i64)>>,
    out_of_order: BTreeMap<String, Vec<(i64, i64)>>,
    not_found: BTreeMap<String, Vec<(i64, i64)>>,
}

impl<W: Write> Dump<W> {
    /// A dump that prints to `out`.
    pub fn new(out: W, options: Options) -> Dump<W> {
        Dump { out, options, mismatches: BTreeMap::new(), times: TimeErrors::default(), jumps: BTreeMap::new() }
    }

    /// A segment, or a snapshot, which has a segment's format.
    pub fn log(&mut self, file: File<'_>) -> Result<(), DumpError> {
        let name = file_name(file.path);
        let line = match name.strip_suffix(".checkpoint") {
            Some(snapshot) => describe_snapshot(snapshot)?,
            None => format!("Log starting offset: {}", base_offset(name)?),
        };
        self.print(&line)?;
        let end = self.options.bytes_max.map_or(file.bytes.len(), |max| max.min(file.bytes.len()));
        let (mut position, mut last) = (0, -1);
        while let Some(batch) = RawBatch::read(file, position, end)? {
            self.print(&batch.describe(position))?;
            if self.options.deep_iteration || self.options.print_data_log {
                self.records(file, &batch, &mut last)?;
            }
            position += batch.bytes.len();
        }
        let trailing = end - position;
        if trailing > 0 && self.options.bytes_max.is_none() {
            self.print(&format!("Found {trailing} invalid bytes at the end of {name}"))?;
        }
        Ok(())
    }

    fn records(&mut self, file: File<'_>, batch: &RawBatch, last: &mut i64) -> Result<(), DumpError> {
        for record in batch.parsed().records() {
            let record = record
                .map_err(|error| DumpError::Records { base_offset: batch.base_offset(), why: error.to_string() })?;
            let offset = batch.base_offset() + i64::from(record.offset_delta);
            if offset != *last + 1 {
                self.jumps.entry(file.absolute.into()).or_default().insert(*last, offset);
            }
            *last = offset;
            let mut line = String::new();
            if !self.options.skip_record_metadata {
                line = batch.describe_record(&record, offset);
            }
            if self.options.print_data_log && !batch.is_control() {
                let indent = if line.is_empty() { "| " } else { " " };
                line += &describe_content(&record, indent);
            }
            self.print(&line)?;
        }
        Ok(())
    }

    /// An offset index, with the segment beside it.
    pub fn index(&mut self, file: File<'_>, log: File<'_>) -> Result<(), DumpError> {
        let base = base_offset(file_name(file.path))?;
        let index = OffsetIndex { base, bytes: file.bytes };
        if index.entries() == 0 {
            return self.print(&format!("{} is empty.", file.path));
        }
        if self.options.index_sanity_check {
            index.check(file.absolute)?;
            return self.print(&format!("{} passed sanity check.", file.path));
        }
        for entry in 0..index.entries() {
            let (offset, position) = index.entry(entry);
            // The file may end in zeros that were never used.
            if offset == base && entry > 0 {
                break;
            }
            let batch = RawBatch::read(log, position as usize, log.bytes.len())?;
            let found = batch.ok_or_else(|| DumpError::Slice { position, file: log.path.into() })?.last_offset();
            if found != offset {
                self.mismatches.entry(file.absolute.into()).or_default().insert(offset, found);
            }
            if !self.options.verify_index_only {
                self.print(&format!("offset: {offset} position: {position}"))?;
            }
        }
        Ok(())
    }

    /// A time index, with the segment and the offset index beside it.
    pub fn time_index(&mut self, file: File<'_>, log: File<'_>, index: File<'_>) -> Result<(), DumpError> {
        let base = base_offset(file_name(file.path))?;
        let times = TimeIndex { base, bytes: file.bytes };
        let index = OffsetIndex { base, bytes: index.bytes };
        if self.options.index_sanity_check {
            times.check(file.absolute)?;
            return self.print(&format!("{} passed sanity check.", file.path));
        }
        let mut before = NO_TIMESTAMP;
        for entry in 0..times.entries() {
            let (timestamp, offset) = times.entry(entry);
            if offset == base && entry > 0 {
                break;
            }
            let newest = newest_in_batch(log, index.lookup(offset) as usize, offset)?;
            let errors = &mut self.times;
            let of_file = |list: &mut BTreeMap<String, Vec<(i64, i64)>>, pair| {
                list.entry(file.absolute.into()).or_default().push(pair);
            };
            match newest {
                Err(found) => of_file(&mut errors.not_found, (offset, found)),
                Ok(newest) => {
                    if newest != timestamp {
                        of_file(&mut errors.mismatches, (timestamp, newest));
                    }
                    if before >= timestamp {
                        of_file(&mut errors.out_of_order, (timestamp, before));
                    }
                }
            }
            if !self.options.verify_index_only {
                self.print(&format!("timestamp: {timestamp} offset: {offset}"))?;
            }
            before = timestamp;
        }
        Ok(())
    }

    /// A line as it is.
    pub fn print(&mut self, line: &str) -> Result<(), DumpError> {
        writeln!(self.out, "{line}").map_err(|error| DumpError::Output(error.to_string()))
    }

    /// What did not fit together, a line each, for the error output.
    pub fn findings(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (file, pairs) in &self.mismatches {
            lines.push(format!("Mismatches in :{file}"));
            let pairs = pairs.iter().rev();
            lines.extend(pairs.map(|(index, log)| format!("  Index offset: {index}, log offset: {log}")));
        }
        for (file, pairs) in &self.times.mismatches {
            lines.push(format!("Found timestamp mismatch in :{file}"));
            lines.extend(pairs.iter().map(|(index, log)| format!("  Index timestamp: {index}, log timestamp: {log}")));
        }
        for (file, pairs) in &self.times.out_of_order {
            lines.push(format!("Found out of order timestamp in :{file}"));
            let line = |(index, before)| format!("  Index timestamp: {index}, Previously indexed timestamp: {before}");
            lines.extend(pairs.iter().map(|&pair| line(pair)));
        }
        for pairs in self.times.not_found.values() {
            lines.push("The following indexed offsets are not found in the log.".into());
            lines.extend(pairs.iter().map(|(index, log)| format!("Indexed offset: {index}, found log offset: {log}")));
        }
        for (file, pairs) in &self.jumps {
            lines.push(format!("Non-consecutive offsets in {file}"));
            lines.extend(pairs.iter().map(|(from, to)| format!("  {from} is followed by {to}")));
        }
        lines
    }
}

/// The largest timestamp of the batch that ends in `offset`, searched from `position` on; otherwise the last offset of
/// the batch that holds `offset`, or −1.
fn newest_in_batch(log: File<'_>, mut position: usize, offset: i64) -> Result<Result<i64, i64>, DumpError> {
    while let Some(batch) = RawBatch::read(log, position, log.bytes.len())? {
        position += batch.bytes.len();
        if batch.last_offset() < offset {
            continue;
        }
        if batch.last_offset() > offset {
            return Ok(Err(batch.last_offset()));
        }
        let times = batch.parsed().records().flatten().map(|record| batch.timestamp_of(&record));
        return Ok(Ok(times.max().unwrap_or(NO_TIMESTAMP)));
    }
    Ok(Err(-1))
}

/// One batch, believed in nothing but its length.
struct RawBatch {
    bytes: Bytes,
}

impl RawBatch {
    /// The batch at `position`, `None` where the bytes before `end` do not hold a whole one. (Kafka:
    /// `FileLogInputStream.nextBatch`.)
    fn read(file: File<'_>, position: usize, end: usize) -> Result<Option<RawBatch>, DumpError> {
        let name = || file_name(file.path).to_owned();
        if end.saturating_sub(position) <= HEADER_UP_TO_MAGIC {
            return Ok(None);
        }
        let field = &file.bytes[position + 8..position + LENGTH_END];
        let size = i32::from_be_bytes(field.try_into().expect("invariant: four bytes"));
        if size < RECORD_OVERHEAD_V0 {
            return Err(DumpError::RecordSize { size, file: name() });
        }
        let whole = LENGTH_END + size as usize;
        if end - position < whole {
            return Ok(None);
        }
        if file.bytes[position + MAGIC_AT] != 2 || whole < HEADER_BYTES {
            return Err(DumpError::Batch { position, file: name() });
        }
        Ok(Some(RawBatch { bytes: file.bytes.slice(position..position + whole) }))
    }

    fn field<const N: usize>(&self, at: usize) -> [u8; N] {
        self.bytes[at..at + N].try_into().expect("invariant: a batch has a whole header")
    }

    fn i64(&self, at: usize) -> i64 {
        i64::from_be_bytes(self.field(at))
    }

    fn i32(&self, at: usize) -> i32 {
        i32::from_be_bytes(self.field(at))
    }

    fn base_offset(&self) -> i64 {
        self.i64(0)
    }

    fn last_offset(&self) -> i64 {
        self.base_offset().wrapping_add(i64::from(self.i32(23)))
    }

    fn attributes(&self) -> u16 {
        u16::from_be_bytes(self.field(21))
    }

    fn is_control(&self) -> bool {
        self.attributes() & 0x20 != 0
    }

    fn is_append_time(&self) -> bool {
        self.attributes() & 0x08 != 0
    }

    fn timestamp_type(&self) -> &'static str {
        if self.is_append_time() { "LogAppendTime" } else { "CreateTime" }
    }

    /// A sequence number so far from the first one; they wrap to 0, and −1 is none. (Kafka: `incrementSequence`.)
    fn sequence(&self, delta: i32) -> i32 {
        match self.i32(53) {
            -1 => -1,
            base => (base.wrapping_add(delta)) & i32::MAX,
        }
    }

    fn timestamp_of(&self, record: &Record) -> i64 {
        match self.is_append_time() {
            true => self.i64(35),
            false => self.i64(27).wrapping_add(record.timestamp_delta),
        }
    }

    /// The batch without its checksum verified, to walk its records with.
    fn parsed(&self) -> RecordBatch {
        let header = BatchHeader {
            base_offset: Offset(self.base_offset() as u64),
            length: self.i32(8) as u32,
            leader_epoch: Epoch(self.i32(12) as u32),
            crc: self.i32(17) as u32,
            attributes: self.attributes(),
            last_offset_delta: self.i32(23) as u32,
            base_timestamp: Timestamp(self.i64(27)),
            max_timestamp: Timestamp(self.i64(35)),
            producer_id: self.i64(43),
            producer_epoch: i16::from_be_bytes(self.field(51)),
            base_sequence: self.i32(53),
            record_count: self.i32(57) as u32,
        };
        RecordBatch { header, body: self.bytes.slice(HEADER_BYTES..) }
    }

    fn describe(&self, position: usize) -> String {
        let attributes = self.attributes();
        let horizon = match attributes & 0x40 {
            0 => "OptionalLong.empty".into(),
            _ => format!("OptionalLong[{}]", self.i64(27)),
        };
        let is_valid = RecordBatch::parse(&self.bytes).is_ok();
        format!(
            "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} producerId: {} \
             producerEpoch: {} partitionLeaderEpoch: {} isTransactional: {} isControl: {} deleteHorizonMs: {horizon} \
             position: {position} {}: {} size: {} magic: 2 compresscodec: {} crc: {} isvalid: {is_valid}",
            self.base_offset(),
            self.last_offset(),
            self.i32(57),
            self.i32(53),
            self.sequence(self.i32(23)),
            self.i64(43),
            i16::from_be_bytes(self.field(51)),
            self.i32(12),
            attributes & 0x10 != 0,
            self.is_control(),
            self.timestamp_type(),
            self.i64(35),
            self.bytes.len(),
            Compression::of(attributes).map_or("unknown", Compression::name),
            self.i32(17) as u32,
        )
    }

    fn describe_record(&self, record: &Record, offset: i64) -> String {
        let size = |part: &Option<Bytes>| part.as_ref().map_or(-1, |part| part.len() as i64);
        let mut line = format!(
            "| offset: {offset} {}: {} keySize: {} valueSize: {} sequence: {} headerKeys: [{}]",
            self.timestamp_type(),
            self.timestamp_of(record),
            size(&record.key),
            size(&record.value),
            self.sequence(record.offset_delta as i32),
            record.header_keys().join(",")
        );
        if self.is_control() {
            line += &describe_control(record);
        }
        line
    }
}

/// Entries of an offset index: relative offset, position; eight bytes.
struct OffsetIndex<'a> {
    base: i64,
    bytes: &'a Bytes,
}

impl OffsetIndex<'_> {
    fn entries(&self) -> usize {
        self.bytes.len() / 8
    }

    fn entry(&self, index: usize) -> (i64, u32) {
        let word = |at: usize| u32::from_be_bytes(self.bytes[at..at + 4].try_into().expect("invariant: four bytes"));
        (self.base + i64::from(word(index * 8)), word(index * 8 + 4))
    }

    /// The position of the last entry at or below `offset`; 0 if there is none.
    fn lookup(&self, offset: i64) -> u32 {
        let (mut from, mut to) = (0, self.entries());
        while from < to {
            let middle = (from + to) / 2;
            if self.entry(middle).0 <= offset { from = middle + 1 } else { to = middle }
        }
        from.checked_sub(1).map_or(0, |index| self.entry(index).1)
    }

    fn check(&self, path: &str) -> Result<(), DumpError> {
        let last = self.entry(self.entries() - 1).0;
        if last < self.base {
            return Err(DumpError::Sanity(format!(
                "Corrupt index found, index file ({path}) has non-zero size but the last offset is {last} which is less \
                 than the base offset {}",
                self.base
            )));
        }
        check_length("Index file", path, (self.bytes.len(), 8))
    }
}

/// Entries of a time index: timestamp, relative offset; twelve bytes.
struct TimeIndex<'a> {
    base: i64,
    bytes: &'a Bytes,
}

impl TimeIndex<'_> {
    fn entries(&self) -> usize {
        self.bytes.len() / 12
    }

    fn entry(&self, index: usize) -> (i64, i64) {
        let bytes = &self.bytes[index * 12..index * 12 + 12];
        let timestamp = i64::from_be_bytes(bytes[..8].try_into().expect("invariant: eight bytes"));
        let relative = u32::from_be_bytes(bytes[8..].try_into().expect("invariant: four bytes"));
        (timestamp, self.base + i64::from(relative))
    }

    fn check(&self, path: &str) -> Result<(), DumpError> {
        if let Some(last) = self.entries().checked_sub(1) {
            let (first, last) = (self.entry(0).0, self.entry(last).0);
            if last < first {
                return Err(DumpError::Sanity(format!(
                    "Corrupt time index found, time index file ({path}) has non-zero size but the last timestamp is \
                     {last} which is less than the first timestamp {first}"
                )));
            }
        }
        check_length("Time index file", path, (self.bytes.len(), 12))
    }
}

fn check_length(what: &str, path: &str, (bytes, entry_bytes): (usize, usize)) -> Result<(), DumpError> {
    match bytes % entry_bytes {
        0 => Ok(()),
        _ => Err(DumpError::Sanity(format!(
            "{what} {path} is corrupt, found {bytes} bytes which is neither positive nor a multiple of {entry_bytes}"
        ))),
    }
}

fn describe_content(record: &Record, indent: &str) -> String {
    let mut line = String::new();
    let parts = [("key", &record.key), ("payload", &record.value)];
    for (name, part) in parts.into_iter().filter_map(|(name, part)| Some((name, part.as_ref()?))) {
        line += if line.is_empty() { indent } else { " " };
        line += &format!("{name}: {}", String::from_utf8_lossy(part));
    }
    line
}

fn describe_snapshot(name: &str) -> Result<String, DumpError> {
    if name == "bootstrap" {
        return Ok("KRaft bootstrap snapshot".into());
    }
    let number = |text: &str| text.parse::<i64>().ok();
    let id = name.split_once('-').and_then(|(offset, epoch)| Some((number(offset)?, number(epoch)?)));
    let (offset, epoch) = id.ok_or_else(|| DumpError::Name { name: name.into() })?;
    Ok(format!("Snapshot end offset: {offset}, epoch: {epoch}"))
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The offset that a file is named after.
fn base_offset(name: &str) -> Result<i64, DumpError> {
    let number = name.split('.').next().unwrap_or(name);
    number.parse().map_err(|_| DumpError::Name { name: number.into() })
}

/// Bytes in front of and including the magic. (Kafka: `Records.HEADER_SIZE_UP_TO_MAGIC`.)
const HEADER_UP_TO_MAGIC: usize = 17;
const MAGIC_AT: usize = 16;
const LENGTH_END: usize = 12;
/// No record of any format is smaller. (Kafka: `LegacyRecord.RECORD_OVERHEAD_V0`.)
const RECORD_OVERHEAD_V0: i32 = 14;
/// Kafka: `RecordBatch.NO_TIMESTAMP`.
const NO_TIMESTAMP: i64 = -1;
