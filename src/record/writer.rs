//! A batch written record by record into one buffer, its header last: for producers that write millions of records.
//!
//! Where a [`BatchBuilder`] takes whole values, a writer lends the place where a value will lie, so that nothing is
//! allocated or copied per record. The buffer is the caller's and is given back by [`BatchWriter::seal`] as the encoded
//! batch; one that is full of zeros or of an old batch is as good as a fresh one.
//!
//! **Invariants**: `at` is where the next record begins, the header's place is kept free in front; timestamps that fall
//! are written as negative deltas, and the largest is the batch's.
//!
//! [`BatchBuilder`]: crate::record::BatchBuilder

use bytes::Bytes;

use crate::ids::{Epoch, Offset};
use crate::record::batch::{CRC_END, LENGTH_END, checksum_of};
use crate::record::primitives::{varint_bytes, write_varint};
use crate::record::{BatchHeader, HEADER_BYTES, ProducerStamp};
use crate::time::Timestamp;

/// A batch that is being written.
#[derive(Clone, Debug)]
pub struct BatchWriter {
    buffer: Vec<u8>,
    at: usize,
    count: u32,
    base_timestamp: Timestamp,
    max_timestamp: Timestamp,
}

/// What a record is made of, as far as its size goes.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'a> {
    /// When it was made.
    pub timestamp: Timestamp,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Bytes of its value.
    pub value_bytes: usize,
}

impl BatchWriter {
    /// A batch that will be written to `buffer`, whatever that holds; its length is the room there is.
    pub fn new(buffer: Vec<u8>) -> BatchWriter {
        assert!(buffer.len() >= HEADER_BYTES, "a buffer has room for a header at least");
        BatchWriter {
            buffer,
            at: HEADER_BYTES,
            count: 0,
            base_timestamp: Timestamp(0),
            max_timestamp: Timestamp(i64::MIN),
        }
    }

    /// The bytes of a batch of nothing but this record.
    pub fn bytes_alone(shape: &Shape<'_>) -> usize {
        let body = body_bytes(shape, 0, 0);
        HEADER_BYTES + varint_bytes(body as i64) + body
    }

    /// Writes a record and lends `fill` its value's bytes, which hold anything. Without enough room in the buffer nothing
    /// is written, and the answer is false.
    #[must_use]
    pub fn push(&mut self, shape: &Shape<'_>, fill: impl FnOnce(&mut [u8])) -> bool {
        let base = if self.count == 0 { shape.timestamp } else { self.base_timestamp };
        let delta = shape.timestamp.0 - base.0;
        let body = body_bytes(shape, delta, self.count);
        let end = self.at + varint_bytes(body as i64) + body;
        if end > self.buffer.len() {
            return false;
        }
        let record = &mut self.buffer[self.at..end];
        let mut at = write_varint(record, 0, body as i64);
        record[at] = 0;
        at = write_varint(record, at + 1, delta);
        at = write_varint(record, at, i64::from(self.count));
        match shape.key {
            None => at = write_varint(record, at, -1),
            Some(key) => {
                at = write_varint(record, at, key.len() as i64);
                record[at..at + key.len()].copy_from_slice(key);
                at += key.len();
            }
        }
        at = write_varint(record, at, shape.value_bytes as i64);
        fill(&mut record[at..at + shape.value_bytes]);
        record[at + shape.value_bytes] = 0;
        self.at = end;
        self.count += 1;
        self.base_timestamp = base;
        self.max_timestamp = self.max_timestamp.max(shape.timestamp);
        true
    }

    /// How many records it holds.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Bytes of the batch so far, the header's place included.
    pub fn size_bytes(&self) -> usize {
        self.at
    }

    /// Writes the header in front: the encoded batch as a producer sends it, and its checksum. At least one record must
    /// have been pushed.
    pub fn seal(mut self, producer: Option<ProducerStamp>) -> (Bytes, u32) {
        assert!(self.count > 0, "a batch without records has no offsets");
        let stamp = producer.unwrap_or(ProducerStamp { id: -1, epoch: -1, base_sequence: -1 });
        let mut header = BatchHeader {
            base_offset: Offset::ZERO,
            length: u32::try_from(self.at - LENGTH_END).expect("invariant: a batch is below 2 GiB"),
            leader_epoch: Epoch::ZERO,
            crc: 0,
            attributes: 0,
            last_offset_delta: self.count - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: stamp.id,
            producer_epoch: stamp.epoch,
            base_sequence: stamp.base_sequence,
            record_count: self.count,
        };
        self.buffer[..HEADER_BYTES].copy_from_slice(&header.encode());
        header.crc = checksum_of(&self.buffer[CRC_END..self.at]);
        self.buffer[..HEADER_BYTES].copy_from_slice(&header.encode());
        (Bytes::from(self.buffer).slice(..self.at), header.crc)
    }
}

/// Bytes of a record after its length.
fn body_bytes(shape: &Shape<'_>, timestamp_delta: i64, offset_delta: u32) -> usize {
    let key = shape.key.map_or(varint_bytes(-1), |key| varint_bytes(key.len() as i64) + key.len());
    let value = varint_bytes(shape.value_bytes as i64) + shape.value_bytes;
    ATTRIBUTES_BYTES
        + varint_bytes(timestamp_delta)
        + varint_bytes(i64::from(offset_delta))
        + key
        + value
        + HEADERS_BYTES
}

/// A record's attributes: one byte, always 0.
const ATTRIBUTES_BYTES: usize = 1;

/// The count of a record's headers: one byte, 0.
const HEADERS_BYTES: usize = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, RecordBatch};

    fn shape(timestamp: i64, value: &str) -> Shape<'static> {
        Shape { timestamp: Timestamp(timestamp), key: None, value_bytes: value.len() }
    }

    fn push(writer: &mut BatchWriter, timestamp: i64, value: &str) -> bool {
        writer.push(&shape(timestamp, value), |place| place.copy_from_slice(value.as_bytes()))
    }

    #[test]
    fn a_writer_and_a_builder_write_the_same_bytes() {
        let stamp = ProducerStamp { id: 7, epoch: 1, base_sequence: 40 };
        let mut builder = BatchBuilder::new(Timestamp(1000)).producer(stamp);
        // What the buffer held before does not show.
        let mut writer = BatchWriter::new(vec![0xa5; 4096]);
        for number in 0..200 {
            let value = "v".repeat(number % 13);
            builder.push(None, Some(value.as_bytes()));
            assert!(push(&mut writer, 1000, &value));
        }
        let batch = builder.build();
        let mut parts = Vec::new();
        batch.gather(&mut parts);
        let (bytes, crc) = writer.seal(Some(stamp));
        assert_eq!((&bytes[..], crc), (&parts.concat()[..], batch.header.crc));
    }

    #[test]
    fn timestamps_and_keys_come_back() {
        let mut writer = BatchWriter::new(vec![0; 256]);
        assert!(push(&mut writer, 500, "a"));
        assert!(push(&mut writer, 400, "b"), "a clock that was set back is no reason to lose a record");
        let keyed = Shape { key: Some(b"17"), ..shape(900, "c") };
        assert!(writer.push(&keyed, |place| place.copy_from_slice(b"c")));
        let (bytes, _) = writer.seal(None);
        let batch = RecordBatch::parse_produced(&bytes).expect("whole");
        assert_eq!(batch.validate_from_client(crate::record::INFLATED_BYTES_MAX), Ok(()));
        assert_eq!((batch.header.base_timestamp, batch.header.max_timestamp), (Timestamp(500), Timestamp(900)));
        let deltas: Vec<i64> = batch.records().map(|record| record.expect("whole").timestamp_delta).collect();
        assert_eq!(deltas, [0, -100, 400]);
        let last = batch.records().last().expect("three").expect("whole");
        assert_eq!((last.key.as_deref(), last.value.as_deref()), (Some(&b"17"[..]), Some(&b"c"[..])));
    }

    #[test]
    fn a_record_that_does_not_fit_leaves_no_trace() {
        let alone = BatchWriter::bytes_alone(&shape(1, "seven 7"));
        let mut writer = BatchWriter::new(vec![0; alone]);
        assert!(!push(&mut writer, 1, "eight  8"));
        assert!(push(&mut writer, 1, "seven 7"), "exactly as much room as it takes");
        assert!(!push(&mut writer, 1, ""));
        assert_eq!((writer.count(), writer.size_bytes()), (1, alone));
    }
}
