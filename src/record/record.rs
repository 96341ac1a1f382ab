//! One record inside a batch, and the walk over all of them.
//!
//! ```text
//!  length   attributes  timestamp  offset   key      key  value    value  header   headers …
//!  varint   1 byte      delta      delta    length        length          count
//!                       varlong    varint   varint        varint          varint
//! ```

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use crate::record::batch::{COMPRESSION, CONTROL, LOG_APPEND_TIME, TRANSACTIONAL};
use crate::record::primitives::Reader;
use crate::record::{DecodeError, HEADER_BYTES, RecordBatch};

/// One record, its key and value shared with the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Offset less the batch's base offset.
    pub offset_delta: u32,
    /// Timestamp less the batch's base timestamp, milliseconds.
    pub timestamp_delta: i64,
    /// The key; `None` when absent.
    pub key: Option<Bytes>,
    /// The value; `None` for a tombstone.
    pub value: Option<Bytes>,
    /// How many headers follow (their bytes are checked and skipped).
    pub header_count: u32,
}

/// Why a client's batch may not enter the log (error 87 INVALID_RECORD, or 76 for compression).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidRecord {
    /// What was wrong, in words, with the record's index where one is to blame.
    pub reason: String,
    /// Whether compression alone is the reason.
    pub is_compressed: bool,
}

impl fmt::Display for InvalidRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for InvalidRecord {}

impl RecordBatch {
    /// The records, in order. Errors are possible only for a batch that was never validated; the walk ends after one.
    pub fn records(&self) -> Records<'_> {
        Records { batch: self, spans: Spans::new(self), is_over: false }
    }

    /// Walks a batch that a client wants appended: uncompressed, not control, not transactional, offset deltas 0..n−1,
    /// counts and lengths that match. Without this walk a client could forge a KRAFT_VOTERS record. (Kafka:
    /// `LogValidator`, `UnifiedLog.analyzeAndValidateRecords`.) A max timestamp that no record has is let through: it
    /// misleads only searches by time.
    pub fn validate_from_client(&self) -> Result<(), InvalidRecord> {
        self.validate_client_header()?;
        let mut spans = Spans::new(self);
        for index in 0..self.header.record_count {
            let span = match spans.next_span() {
                Ok(Some(span)) => span,
                Ok(None) => return invalid(format!("{} records claimed, {index} found", self.header.record_count)),
                Err(error) => return invalid(format!("record {index}: {error}")),
            };
            if span.offset_delta != index {
                return invalid(format!("record {index}: offset delta {}", span.offset_delta));
            }
            let timestamp = self.header.base_timestamp.0.checked_add(span.timestamp_delta);
            if timestamp.is_none_or(|timestamp| timestamp < NO_TIMESTAMP) {
                return invalid(format!("record {index}: timestamp delta {}", span.timestamp_delta));
            }
        }
        match spans.reader.remaining() {
            0 => Ok(()),
            rest => invalid(format!("{rest} bytes after the last of {} records", self.header.record_count)),
        }
    }

    /// What can be said without looking into the body.
    fn validate_client_header(&self) -> Result<(), InvalidRecord> {
        let header = &self.header;
        let attributes = header.attributes;
        if attributes & CONTROL != 0 {
            return invalid("clients may not write control batches".into());
        }
        if attributes & TRANSACTIONAL != 0 {
            return invalid("transactions are not supported".into());
        }
        if attributes & LOG_APPEND_TIME != 0 {
            return invalid("clients may not claim log append time".into());
        }
        if attributes & !COMPRESSION != 0 {
            return invalid(format!("unknown attributes {attributes:#06x}"));
        }
        if header.base_offset.0 != 0 {
            return invalid(format!("base offset {}, a producer sends 0", header.base_offset));
        }
        if header.record_count == 0 || header.record_count - 1 != header.last_offset_delta {
            return invalid(format!("{} records with last delta {}", header.record_count, header.last_offset_delta));
        }
        if header.base_timestamp.0 < NO_TIMESTAMP || header.max_timestamp.0 < NO_TIMESTAMP {
            return invalid(format!("timestamps {} to {}", header.base_timestamp.0, header.max_timestamp.0));
        }
        let producer = (header.producer_id, header.producer_epoch, header.base_sequence);
        let is_idempotent = producer.0 >= 0 && producer.1 >= 0 && producer.2 >= 0;
        if producer != (-1, -1, -1) && !is_idempotent {
            return invalid(format!("producer id {}, epoch {}, sequence {}", producer.0, producer.1, producer.2));
        }
        if self.is_compressed() {
            let reason = format!("compression {} is not supported", attributes & COMPRESSION);
            return Err(InvalidRecord { reason, is_compressed: true });
        }
        Ok(())
    }
}

/// The records of one batch, in order.
#[derive(Debug)]
pub struct Records<'a> {
    batch: &'a RecordBatch,
    spans: Spans<'a>,
    is_over: bool,
}

impl Iterator for Records<'_> {
    type Item = Result<Record, InvalidRecord>;

    fn next(&mut self) -> Option<Result<Record, InvalidRecord>> {
        if self.is_over {
            return None;
        }
        if self.batch.is_compressed() {
            self.is_over = true;
            let reason = "the records are compressed".into();
            return Some(Err(InvalidRecord { reason, is_compressed: true }));
        }
        match self.spans.next_span() {
            Ok(Some(span)) => Some(Ok(span.record(&self.batch.body))),
            Ok(None) => None,
            Err(error) => {
                self.is_over = true;
                Some(invalid(error.to_string()))
            }
        }
    }
}

/// Where the parts of one record lie in the body.
#[derive(Debug)]
pub(in crate::record) struct Span {
    pub(in crate::record) offset_delta: u32,
    pub(in crate::record) timestamp_delta: i64,
    pub(in crate::record) key: Option<Range<usize>>,
    pub(in crate::record) value: Option<Range<usize>>,
    pub(in crate::record) header_count: u32,
}

impl Span {
    fn record(self, body: &Bytes) -> Record {
        Record {
            offset_delta: self.offset_delta,
            timestamp_delta: self.timestamp_delta,
            key: self.key.map(|range| body.slice(range)),
            value: self.value.map(|range| body.slice(range)),
            header_count: self.header_count,
        }
    }
}

/// Walks an uncompressed body without making anything. Errors count bytes from the front of the batch.
#[derive(Debug)]
pub(in crate::record) struct Spans<'a> {
    reader: Reader<'a>,
}

impl<'a> Spans<'a> {
    pub(in crate::record) fn new(batch: &'a RecordBatch) -> Spans<'a> {
        Spans { reader: Reader::new(&batch.body, HEADER_BYTES) }
    }

    /// The next record, `None` after the last byte.
    pub(in crate::record) fn next_span(&mut self) -> Result<Option<Span>, DecodeError> {
        let reader = &mut self.reader;
        if reader.remaining() == 0 {
            return Ok(None);
        }
        let length = reader.varint("record length")?;
        let end = usize::try_from(length).ok().filter(|&length| length <= reader.remaining());
        let Some(end) = end.map(|length| reader.at() + length) else {
            return Err(reader.error("record length", format!("0 to {}", reader.remaining()), length));
        };
        reader.u8("record attributes")?;
        let timestamp_delta = reader.varlong("timestamp delta")?;
        let offset_delta = reader.varint("offset delta")?;
        let offset_delta =
            u32::try_from(offset_delta).map_err(|_| reader.error("offset delta", "0 or more", offset_delta))?;
        let key = reader.nullable("key")?;
        let value = reader.nullable("value")?;
        let header_count = reader.varint("header count")?;
        let header_count =
            u32::try_from(header_count).map_err(|_| reader.error("header count", "0 or more", header_count))?;
        for _ in 0..header_count {
            if reader.nullable("header key")?.is_none() {
                return Err(reader.error("header key", "a key", "null"));
            }
            reader.nullable("header value")?;
        }
        if reader.at() != end {
            let found = format!("one that ends {} bytes off", reader.at().abs_diff(end));
            return Err(reader.error("record length", format!("a record of {length} bytes"), found));
        }
        Ok(Some(Span { offset_delta, timestamp_delta, key, value, header_count }))
    }
}

/// Kafka's way to say that a record has no timestamp. (`RecordBatch.NO_TIMESTAMP`.)
const NO_TIMESTAMP: i64 = -1;

fn invalid<T>(reason: String) -> Result<T, InvalidRecord> {
    Err(InvalidRecord { reason, is_compressed: false })
}
