//! Makes batches: what clients send, and what leaders write for themselves.

use bytes::Bytes;

use crate::ids::{Epoch, Offset};
use crate::record::batch::CONTROL;
use crate::record::compress::{Compression, deflate};
use crate::record::primitives::{nullable_bytes, put_nullable, put_varint, varint_bytes};
use crate::record::{BatchHeader, ControlRecord, ProducerStamp, RecordBatch};
use crate::time::Timestamp;

/// Collects records and seals them into one batch.
#[derive(Debug)]
pub struct BatchBuilder {
    timestamp: Timestamp,
    producer: Option<ProducerStamp>,
    compression: Compression,
    records: Vec<u8>,
    count: u32,
}

impl BatchBuilder {
    /// A builder of a data batch whose records all carry `timestamp`.
    pub fn new(timestamp: Timestamp) -> BatchBuilder {
        BatchBuilder { timestamp, producer: None, compression: Compression::None, records: Vec::new(), count: 0 }
    }

    /// Marks the batch as an idempotent producer's.
    #[must_use]
    pub fn producer(mut self, producer: ProducerStamp) -> BatchBuilder {
        self.producer = Some(producer);
        self
    }

    /// Compresses the records when the batch is sealed.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> BatchBuilder {
        self.compression = compression;
        self
    }

    /// Adds a record.
    pub fn push(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) {
        let records = &mut self.records;
        let offset_delta = i64::from(self.count);
        // Attributes, a timestamp delta of 0 and a count of no headers are one byte each.
        let length = 3 + varint_bytes(offset_delta) + nullable_bytes(key) + nullable_bytes(value);
        records.reserve(varint_bytes(length as i64) + length);
        put_varint(records, length as i64);
        records.push(0);
        put_varint(records, 0);
        put_varint(records, offset_delta);
        put_nullable(records, key);
        put_nullable(records, value);
        put_varint(records, 0);
        self.count += 1;
    }

    /// How many records were pushed.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Seals the batch at base offset 0 and epoch 0, as a producer sends it. At least one record must have been pushed.
    pub fn build(self) -> RecordBatch {
        self.seal(Offset::ZERO, Epoch::ZERO, 0)
    }

    /// One control batch with these records, at its place in the log.
    pub fn control(base_offset: Offset, epoch: Epoch, timestamp: Timestamp, records: &[ControlRecord]) -> RecordBatch {
        let mut builder = BatchBuilder::new(timestamp);
        for record in records {
            builder.push(Some(&record.encode_key()), Some(&record.encode_value()));
        }
        builder.seal(base_offset, epoch, CONTROL)
    }

    fn seal(self, base_offset: Offset, leader_epoch: Epoch, attributes: u16) -> RecordBatch {
        assert!(self.count > 0, "a batch without records has no offsets");
        let producer = self.producer.unwrap_or(ProducerStamp { id: -1, epoch: -1, base_sequence: -1 });
        let header = BatchHeader {
            base_offset,
            length: 0,
            leader_epoch,
            crc: 0,
            attributes: attributes | self.compression.bits(),
            last_offset_delta: self.count - 1,
            base_timestamp: self.timestamp,
            max_timestamp: self.timestamp,
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            base_sequence: producer.base_sequence,
            record_count: self.count,
        };
        let body = match self.compression {
            Compression::None => self.records,
            codec => deflate(codec, &self.records),
        };
        RecordBatch::seal(header, Bytes::from(body))
    }
}
