//! One record inside a batch, and the walk over all of them.

use std::fmt;

use bytes::Bytes;

use crate::record::RecordBatch;

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

impl RecordBatch {
    /// The records, in order. Errors are possible only for a batch that was never validated.
    pub fn records(&self) -> impl Iterator<Item = Result<Record, InvalidRecord>> + '_ {
        std::iter::empty()
    }

    /// Walks a batch that a client wants appended: magic 2, uncompressed, not control, not transactional, offset deltas
    /// 0..n−1, counts and lengths that match. Without this walk a client could forge a KRAFT_VOTERS record.
    pub fn validate_from_client(&self) -> Result<(), InvalidRecord> {
        todo!()
    }
}
