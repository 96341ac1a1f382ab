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

/// Bytes that are not a record batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
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

impl RecordBatch {
    /// Parses one whole batch from the front of `buffer` and verifies its checksum. What follows is left alone:
    /// the batch is `HEADER_BYTES + body.len()` bytes long.
    pub fn parse(_buffer: &Bytes) -> Result<RecordBatch, DecodeError> {
        todo!()
    }

    /// Parses a concatenation of batches. A trailing batch that is cut short is left out, as Kafka's readers do.
    pub fn parse_all(_buffer: &Bytes) -> Result<Vec<RecordBatch>, DecodeError> {
        todo!()
    }

    /// The header as Kafka writes it.
    pub fn encode_header(&self) -> [u8; HEADER_BYTES] {
        todo!()
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
    pub fn stamped(&self, _base_offset: Offset, _leader_epoch: Epoch) -> RecordBatch {
        todo!()
    }

    /// Whether this batch holds control records.
    pub fn is_control(&self) -> bool {
        self.header.attributes & 0x20 != 0
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
}
