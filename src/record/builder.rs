//! Makes batches: what clients send, and what leaders write for themselves.

use bytes::Bytes;

use crate::ids::{Epoch, Offset};
use crate::record::batch::CONTROL;
use crate::record::compress::{Compression, deflate};
use crate::record::primitives::{put_nullable, put_varint};
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
        let part_bytes = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len) + VARINT_BYTES_MAX;
        let mut record = Vec::with_capacity(part_bytes(key) + part_bytes(value) + VARINT_BYTES_MAX + 3);
        record.push(0);
        put_varint(&mut record, 0);
        put_varint(&mut record, i64::from(self.count));
        put_nullable(&mut record, key);
        put_nullable(&mut record, value);
        put_varint(&mut record, 0);
        put_varint(&mut self.records, record.len() as i64);
        self.records.extend_from_slice(&record);
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

/// The longest form of a 32-bit varint.
const VARINT_BYTES_MAX: usize = 5;
