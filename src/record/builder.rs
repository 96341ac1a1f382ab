//! Makes batches: what clients send, and what leaders write for themselves.

use bytes::{Bytes, BytesMut};

use crate::ids::{Epoch, Offset};
use crate::record::{ControlRecord, ProducerStamp, RecordBatch};
use crate::time::Timestamp;

/// Collects records and seals them into one batch.
#[derive(Debug)]
pub struct BatchBuilder {
    timestamp: Timestamp,
    producer: Option<ProducerStamp>,
    records: BytesMut,
    count: u32,
}

impl BatchBuilder {
    /// A builder of a data batch whose records all carry `timestamp`.
    pub fn new(timestamp: Timestamp) -> BatchBuilder {
        BatchBuilder { timestamp, producer: None, records: BytesMut::new(), count: 0 }
    }

    /// Marks the batch as an idempotent producer's.
    #[must_use]
    pub fn producer(mut self, producer: ProducerStamp) -> BatchBuilder {
        self.producer = Some(producer);
        self
    }

    /// Adds a record.
    pub fn push(&mut self, _key: Option<&[u8]>, _value: Option<&[u8]>) {
        todo!()
    }

    /// Seals the batch at base offset 0 and epoch 0, as a producer sends it. At least one record must have been pushed.
    pub fn build(self) -> RecordBatch {
        let _ = (self.timestamp, self.producer, self.records, self.count, Bytes::new());
        todo!()
    }

    /// One control batch with these records, at its place in the log.
    pub fn control(
        _base_offset: Offset,
        _epoch: Epoch,
        _timestamp: Timestamp,
        _records: &[ControlRecord],
    ) -> RecordBatch {
        todo!()
    }
}
