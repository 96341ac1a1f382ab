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

use crate::ids::Offset;
use crate::record::batch::{COMPRESSION, CONTROL, LOG_APPEND_TIME, TRANSACTIONAL};
use crate::record::compress::{InflateError, inflate};
use crate::record::primitives::Reader;
use crate::record::{Compression, DecodeError, HEADER_BYTES, INFLATED_BYTES_MAX, RecordBatch};

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
    /// How many headers follow.
    pub header_count: u32,
    /// The headers as they were written, checked; [`Record::header_keys`] takes them apart.
    pub headers: Bytes,
}

impl Record {
    /// The names of the headers, in order. Java strings: what is not UTF-8 becomes U+FFFD.
    pub fn header_keys(&self) -> Vec<String> {
        let mut reader = Reader::new(&self.headers, 0);
        let mut keys = Vec::new();
        for _ in 0..self.header_count {
            let Ok(Some(key)) = reader.nullable("header key") else { break };
            keys.push(String::from_utf8_lossy(&self.headers[key]).into_owned());
            if reader.nullable("header value").is_err() {
                break;
            }
        }
        keys
    }
}

/// Why a client's batch may not enter the log, or why its records cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidRecord {
    /// What was wrong, in words, with the record's index where one is to blame.
    pub reason: String,
    /// What kind of wrong.
    pub defect: Defect,
}

/// What kind of mistake makes a batch invalid. Clients are told by different error codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// It breaks the format, or claims what a client may not claim.
    Malformed,
    /// No codec has its number.
    UnknownCodec,
    /// There are more bytes in the compressed body than may be.
    TooLarge,
}

impl fmt::Display for InvalidRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for InvalidRecord {}

impl RecordBatch {
    /// The records, in order; those of a compressed batch are inflated now, [`INFLATED_BYTES_MAX`] bytes at most. Errors
    /// are possible only for a batch that was never validated; the walk ends after one.
    pub fn records(&self) -> Records {
        let body = self.inflated(INFLATED_BYTES_MAX);
        let (body, error) = body.map_or_else(|error| (Bytes::new(), Some(error)), |body| (body, None));
        Records { body, at: 0, error }
    }

    /// Shows `each` the offset and the value of every record, in order; nothing is shared or kept. For readers of whole logs,
    /// to whom a [`Record`] is more than they want. Errors as those of [`RecordBatch::records`].
    pub fn each_value(&self, mut each: impl FnMut(Offset, Option<&[u8]>)) -> Result<(), InvalidRecord> {
        let body = self.inflated(INFLATED_BYTES_MAX)?;
        let mut spans = Spans::new(&body);
        loop {
            match spans.next_span() {
                Ok(Some(span)) => {
                    each(self.base_offset() + u64::from(span.offset_delta), span.value.map(|range| &body[range]));
                }
                Ok(None) => return Ok(()),
                Err(error) => return invalid(error.to_string()),
            }
        }
    }

    /// Walks a batch that a client wants appended: not control, not transactional, offset deltas 0..n−1, counts and
    /// lengths that match; if it is compressed, with at most `inflated_bytes_max` bytes of records in it. Without this
    /// walk a client could forge a KRAFT_VOTERS record. (Kafka: `LogValidator`, `UnifiedLog.analyzeAndValidateRecords`.)
    /// A max timestamp that no record has is let through: it misleads only searches by time.
    pub fn validate_from_client(&self, inflated_bytes_max: usize) -> Result<(), InvalidRecord> {
        self.validate_client_header()?;
        let body = self.inflated(inflated_bytes_max)?;
        let mut spans = Spans::new(&body);
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

    /// The body without its compression; an uncompressed one is shared.
    fn inflated(&self, bytes_max: usize) -> Result<Bytes, InvalidRecord> {
        let number = self.header.attributes & COMPRESSION;
        let Some(codec) = self.compression() else {
            return Err(InvalidRecord { reason: format!("no codec is number {number}"), defect: Defect::UnknownCodec });
        };
        if codec == Compression::None {
            return Ok(self.body.clone());
        }
        inflate(codec, &self.body, bytes_max).map(Bytes::from).map_err(|error| {
            let defect = match error {
                InflateError::TooLarge(_) => Defect::TooLarge,
                InflateError::Damaged(_) => Defect::Malformed,
            };
            InvalidRecord { reason: format!("{} body: {error}", codec.name()), defect }
        })
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
        Ok(())
    }
}

/// The records of one batch, in order.
#[derive(Clone, Debug)]
pub struct Records {
    body: Bytes,
    at: usize,
    /// What will be said next, and last.
    error: Option<InvalidRecord>,
}

impl Iterator for Records {
    type Item = Result<Record, InvalidRecord>;

    fn next(&mut self) -> Option<Result<Record, InvalidRecord>> {
        if let Some(error) = self.error.take() {
            return Some(Err(error));
        }
        let mut spans = Spans { reader: Reader::new(&self.body[self.at..], HEADER_BYTES + self.at) };
        match spans.next_span() {
            Ok(None) => None,
            Ok(Some(span)) => {
                let next = self.at + spans.reader.at();
                let record = span.record(&self.body, self.at);
                self.at = next;
                Some(Ok(record))
            }
            Err(error) => {
                self.at = self.body.len();
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
    pub(in crate::record) headers: Range<usize>,
}

impl Span {
    /// The record itself, when the span was counted from byte `origin` of the body on.
    fn record(self, body: &Bytes, origin: usize) -> Record {
        let part = |range: Range<usize>| body.slice(origin + range.start..origin + range.end);
        Record {
            offset_delta: self.offset_delta,
            timestamp_delta: self.timestamp_delta,
            key: self.key.map(part),
            value: self.value.map(part),
            header_count: self.header_count,
            headers: if self.header_count == 0 { Bytes::new() } else { part(self.headers) },
        }
    }
}

/// Walks a body that is not compressed without making anything. Errors count bytes from the front of the batch.
#[derive(Debug)]
pub(in crate::record) struct Spans<'a> {
    reader: Reader<'a>,
}

impl<'a> Spans<'a> {
    pub(in crate::record) fn new(body: &'a [u8]) -> Spans<'a> {
        Spans { reader: Reader::new(body, HEADER_BYTES) }
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
        let headers = reader.at();
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
        Ok(Some(Span { offset_delta, timestamp_delta, key, value, header_count, headers: headers..end }))
    }
}

/// Kafka's way to say that a record has no timestamp. (`RecordBatch.NO_TIMESTAMP`.)
const NO_TIMESTAMP: i64 = -1;

fn invalid<T>(reason: String) -> Result<T, InvalidRecord> {
    Err(InvalidRecord { reason, defect: Defect::Malformed })
}
