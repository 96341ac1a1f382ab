//! One record batch: header parsed, body shared.
//!
//! ```text
//!  0        8      12      16 17     21  23      27        35        43        51 53      57      61
//!  ├────────┼───────┼───────┼──┼──────┼───┼───────┼─────────┼─────────┼─────────┼──┼───────┼───────┤ records …
//!  base     length  leader  2  crc    attr last   base      max       producer  ep base    record
//!  offset           epoch   magic          delta  timestamp timestamp id           sequence count
//! ```

use std::fmt;

use bytes::Bytes;

use crate::ids::{Epoch, Offset};
use crate::record::compress::Compression;
use crate::record::{HEADER_BYTES, ProducerStamp};
use crate::time::Timestamp;

/// The 61 bytes before the records, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Bytes after the length field: body bytes + 49.
    pub length: u32,
    /// Epoch of the leader that appended the batch. Outside the checksum.
    pub leader_epoch: Epoch,
    /// CRC-32C of everything from the attributes on.
    pub crc: u32,
    /// Compression, timestamp type, transactional, control bits.
    pub attributes: u16,
    /// Offset of the last record less the base offset.
    pub last_offset_delta: u32,
    /// Timestamp of the first record, or the append time.
    pub base_timestamp: Timestamp,
    /// The largest timestamp.
    pub max_timestamp: Timestamp,
    /// Producer id, −1 when there is none.
    pub producer_id: i64,
    /// Producer epoch, −1 when there is none.
    pub producer_epoch: i16,
    /// First sequence number, −1 when there is none.
    pub base_sequence: i32,
    /// How many records the body holds.
    pub record_count: u32,
}

/// A record batch whose checksum was verified when it was parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordBatch {
    /// The decoded header.
    pub header: BatchHeader,
    /// The records: a slice of the buffer that the batch arrived in.
    pub body: Bytes,
}

/// What is wrong with bytes that are not a record batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// They never were one, or not one of ours.
    Malformed,
    /// The checksum fails: they were damaged on the way or at rest, and another copy may be whole.
    Checksum,
}

/// Bytes that are not a record batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// What kind of error it is.
    pub fault: Fault,
    /// Where, in bytes from the start of the buffer.
    pub at: usize,
    /// What field or property was being read.
    pub what: &'static str,
    /// What would have been right.
    pub expected: String,
    /// What was there.
    pub found: String,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}: expected {}, found {}", self.at, self.what, self.expected, self.found)
    }
}

impl std::error::Error for DecodeError {}

impl DecodeError {
    /// Bytes that are malformed.
    pub fn new(at: usize, what: &'static str, expected: impl Into<String>, found: impl fmt::Display) -> DecodeError {
        DecodeError { fault: Fault::Malformed, at, what, expected: expected.into(), found: found.to_string() }
    }
}

impl RecordBatch {
    /// Parses one whole batch from the front of `buffer` and verifies its checksum. What follows is left alone:
    /// the batch is `HEADER_BYTES + body.len()` bytes long.
    pub fn parse(buffer: &Bytes) -> Result<RecordBatch, DecodeError> {
        parse_at(buffer, 0, Stamped::Yes)
    }

    /// Parses a concatenation of batches. A trailing batch that is cut short is left out, as Kafka's readers do.
    pub fn parse_all(buffer: &Bytes) -> Result<Vec<RecordBatch>, DecodeError> {
        let mut batches = Batches::of(buffer);
        let mut all = Vec::new();
        while !batches.is_cut_short() {
            all.extend(batches.next().transpose()?);
        }
        Ok(all)
    }

    /// Parses what a producer sends: exactly one batch that no leader has stamped yet, so that its leader epoch may be −1
    /// (the Java producer's way; read as 0). Nothing may follow it. (Kafka: `ProduceRequest.validateRecords`.)
    pub fn parse_produced(buffer: &Bytes) -> Result<RecordBatch, DecodeError> {
        let batch = parse_at(buffer, 0, Stamped::No)?;
        if batch.size_bytes() < buffer.len() {
            let found = format!("{} bytes more", buffer.len() - batch.size_bytes());
            return Err(DecodeError::new(batch.size_bytes(), "produced records", "exactly one batch", found));
        }
        Ok(batch)
    }

    /// The header as Kafka writes it.
    pub fn encode_header(&self) -> [u8; HEADER_BYTES] {
        self.header.encode()
    }

    /// Appends header and body as a gather list of two buffers; the body is not copied.
    pub fn gather(&self, out: &mut Vec<Bytes>) {
        out.push(Bytes::copy_from_slice(&self.encode_header()));
        out.push(self.body.clone());
    }

    /// Bytes of the whole batch.
    pub fn size_bytes(&self) -> usize {
        HEADER_BYTES + self.body.len()
    }

    /// Offset of the first record.
    pub fn base_offset(&self) -> Offset {
        self.header.base_offset
    }

    /// Offset after the last record.
    pub fn end(&self) -> Offset {
        self.header.base_offset + u64::from(self.header.last_offset_delta) + 1
    }

    /// Epoch of the leader that appended it.
    pub fn leader_epoch(&self) -> Epoch {
        self.header.leader_epoch
    }

    /// The same batch at another place in the log; the checksum does not cover what changes.
    #[must_use]
    pub fn stamped(&self, base_offset: Offset, leader_epoch: Epoch) -> RecordBatch {
        RecordBatch { header: BatchHeader { base_offset, leader_epoch, ..self.header }, body: self.body.clone() }
    }

    /// Whether this batch holds control records.
    pub fn is_control(&self) -> bool {
        self.header.attributes & CONTROL != 0
    }

    /// How the body is compressed; `None` for a number that names no codec.
    pub fn compression(&self) -> Option<Compression> {
        Compression::of(self.header.attributes)
    }

    /// The idempotent producer that wrote it, if one did.
    pub fn producer(&self) -> Option<ProducerStamp> {
        let header = &self.header;
        (header.producer_id >= 0).then_some(ProducerStamp {
            id: header.producer_id,
            epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
        })
    }

    /// A batch around a body, with length and checksum filled in.
    pub(in crate::record) fn seal(mut header: BatchHeader, body: Bytes) -> RecordBatch {
        header.length =
            u32::try_from(HEADER_BYTES - LENGTH_END + body.len()).expect("invariant: a batch is below 2 GiB");
        header.crc = checksum(&header, &body);
        RecordBatch { header, body }
    }
}

/// The walk over a concatenation of batches: each whole one in turn, then one error for bytes that are none, or nothing at
/// the end of the buffer. Whoever reads a file whose end is being written stops at the error
/// (`map_while(Result::ok)`).
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    buffer: &'a Bytes,
    at: usize,
    is_over: bool,
}

impl<'a> Batches<'a> {
    /// The batches of this buffer.
    pub fn of(buffer: &'a Bytes) -> Batches<'a> {
        Batches { buffer, at: 0, is_over: false }
    }

    /// Whether what is left is too short for what it says it is, as the end of a read that was cut at some byte.
    fn is_cut_short(&self) -> bool {
        let rest = &self.buffer[self.at..];
        claimed_length(rest)
            .is_none_or(|length| usize::try_from(length).is_ok_and(|length| rest.len() < LENGTH_END + length))
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<RecordBatch, DecodeError>;

    fn next(&mut self) -> Option<Result<RecordBatch, DecodeError>> {
        if self.is_over || self.at == self.buffer.len() {
            return None;
        }
        let next = parse_at(self.buffer, self.at, Stamped::Yes);
        match &next {
            Ok(batch) => self.at += batch.size_bytes(),
            Err(_) => self.is_over = true,
        }
        Some(next)
    }
}

impl BatchHeader {
    /// The header as Kafka writes it.
    pub(in crate::record) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[0..8].copy_from_slice(&self.base_offset.as_i64().to_be_bytes());
        out[8..12].copy_from_slice(&self.length.to_be_bytes());
        out[12..16].copy_from_slice(&self.leader_epoch.as_i32().to_be_bytes());
        out[16] = MAGIC;
        out[17..21].copy_from_slice(&self.crc.to_be_bytes());
        out[CRC_END..].copy_from_slice(&self.encode_checked());
        out
    }

    /// The part of the header that the checksum covers.
    fn encode_checked(&self) -> [u8; HEADER_BYTES - CRC_END] {
        let mut out = [0; HEADER_BYTES - CRC_END];
        out[0..2].copy_from_slice(&self.attributes.to_be_bytes());
        out[2..6].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        out[6..14].copy_from_slice(&self.base_timestamp.0.to_be_bytes());
        out[14..22].copy_from_slice(&self.max_timestamp.0.to_be_bytes());
        out[22..30].copy_from_slice(&self.producer_id.to_be_bytes());
        out[30..32].copy_from_slice(&self.producer_epoch.to_be_bytes());
        out[32..36].copy_from_slice(&self.base_sequence.to_be_bytes());
        out[36..40].copy_from_slice(&self.record_count.to_be_bytes());
        out
    }

    /// Whether the numbers can be true at once. Everything here may come from a peer whose checksum is right.
    fn check(&self, at: usize) -> Result<(), DecodeError> {
        let last = self.base_offset.0.checked_add(u64::from(self.last_offset_delta));
        if self.last_offset_delta > i32::MAX as u32 || last.is_none_or(|last| last >= i64::MAX as u64) {
            let found = format!("{} after {}", self.last_offset_delta as i32, self.base_offset);
            return Err(DecodeError::new(at + 23, "last offset delta", "0 or more, below 2^63 in sum", found));
        }
        if u64::from(self.record_count) > u64::from(self.last_offset_delta) + 1 {
            let expected = format!("0 to {}", u64::from(self.last_offset_delta) + 1);
            return Err(DecodeError::new(at + 57, "record count", expected, self.record_count as i32));
        }
        Ok(())
    }
}

/// Whether a leader has put its epoch on the batch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stamped {
    Yes,
    No,
}

/// The length field of the batch at the front, if it is there.
fn claimed_length(buffer: &[u8]) -> Option<i32> {
    let field = buffer.get(8..LENGTH_END)?;
    Some(i32::from_be_bytes(field.try_into().expect("invariant: four bytes")))
}

/// Parses the batch that begins at byte `at`.
fn parse_at(buffer: &Bytes, at: usize, stamped: Stamped) -> Result<RecordBatch, DecodeError> {
    let rest = &buffer[at..];
    let Some(fixed) = rest.first_chunk::<HEADER_BYTES>() else {
        return Err(DecodeError::new(at, "batch header", format!("{HEADER_BYTES} bytes"), rest.len()));
    };
    let base_offset = i64::from_be_bytes(field(fixed, 0));
    let base_offset =
        Offset::from_i64(base_offset).ok_or_else(|| DecodeError::new(at, "base offset", "0 or more", base_offset))?;
    let length = i32::from_be_bytes(field(fixed, 8));
    let after_length = rest.len() - LENGTH_END;
    let whole =
        usize::try_from(length).ok().filter(|&length| (HEADER_BYTES - LENGTH_END..=after_length).contains(&length));
    let Some(whole) = whole else {
        let expected = format!("{} to {after_length} bytes", HEADER_BYTES - LENGTH_END);
        return Err(DecodeError::new(at + 8, "batch length", expected, length));
    };
    let leader_epoch = match i32::from_be_bytes(field(fixed, 12)) {
        -1 if stamped == Stamped::No => Epoch::ZERO,
        epoch => Epoch::from_i32(epoch).ok_or_else(|| DecodeError::new(at + 12, "leader epoch", "0 or more", epoch))?,
    };
    let [magic] = field(fixed, 16);
    if magic != MAGIC {
        return Err(DecodeError::new(at + 16, "magic", MAGIC.to_string(), magic));
    }
    let header = BatchHeader {
        base_offset,
        length: length as u32,
        leader_epoch,
        crc: u32::from_be_bytes(field(fixed, 17)),
        attributes: u16::from_be_bytes(field(fixed, 21)),
        last_offset_delta: u32::from_be_bytes(field(fixed, 23)),
        base_timestamp: Timestamp(i64::from_be_bytes(field(fixed, 27))),
        max_timestamp: Timestamp(i64::from_be_bytes(field(fixed, 35))),
        producer_id: i64::from_be_bytes(field(fixed, 43)),
        producer_epoch: i16::from_be_bytes(field(fixed, 51)),
        base_sequence: i32::from_be_bytes(field(fixed, 53)),
        record_count: u32::from_be_bytes(field(fixed, 57)),
    };
    let found = crc32c::crc32c(&rest[CRC_END..LENGTH_END + whole]);
    if found != header.crc {
        let error = DecodeError::new(at + 17, "checksum", format!("{found:08x}"), format!("{:08x}", header.crc));
        return Err(DecodeError { fault: Fault::Checksum, ..error });
    }
    header.check(at)?;
    Ok(RecordBatch { header, body: buffer.slice(at + HEADER_BYTES..at + LENGTH_END + whole) })
}

/// The bytes of the field at this place of the header, as the ruler above draws it.
#[inline]
fn field<const N: usize>(fixed: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    *fixed[at..].first_chunk().expect("invariant: fields lie within the header")
}

/// CRC-32C of everything from the attributes on.
fn checksum(header: &BatchHeader, body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&header.encode_checked()), body)
}

/// CRC-32C of what lies behind the checksum.
pub(in crate::record) fn checksum_of(checked: &[u8]) -> u32 {
    crc32c::crc32c(checked)
}

/// The only format that is written since Kafka 0.11.
const MAGIC: u8 = 2;
/// Where the length field ends and what it counts begins.
pub(in crate::record) const LENGTH_END: usize = 12;
/// Where the checksum ends and what it covers begins.
pub(in crate::record) const CRC_END: usize = 21;

/// Bits of the attributes that name a codec.
pub(in crate::record) const COMPRESSION: u16 = 0x07;
/// The bit of log append time.
pub(in crate::record) const LOG_APPEND_TIME: u16 = 0x08;
/// The bit of a transaction's batch.
pub(in crate::record) const TRANSACTIONAL: u16 = 0x10;
/// The bit of a control batch.
pub(in crate::record) const CONTROL: u16 = 0x20;
