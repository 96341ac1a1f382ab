//! Kafka record batches (magic 2): bytes ⇄ [`RecordBatch`]. The header is parsed, the body is shared.
//!
//! A batch is 61 header bytes and a body. The header is decoded once into [`BatchHeader`]; the body stays a slice of the
//! buffer it arrived in. Base offset and leader epoch lie outside the checksum, so the leader stamps them by encoding 61
//! bytes anew, and the body travels from socket to disk to follower without being copied. That holds for compressed bodies,
//! too: [`compress`] looks into them only where somebody reads records.
//!
//! This module does not know what an epoch means, nor where a batch is kept.

pub mod batch;
pub mod builder;
pub mod compress;
pub mod control;
mod primitives;
pub mod record;
pub mod writer;

pub use batch::{BatchHeader, Batches, DecodeError, Fault, RecordBatch};
pub use builder::BatchBuilder;
pub use compress::{Compression, INFLATED_BYTES_MAX};
pub use control::{ControlRecord, VoterRecord};
pub use record::{Defect, InvalidRecord, Record, Records};
pub use writer::{BatchWriter, Shape};

/// Bytes of a batch header. (Kafka: `DefaultRecordBatch.RECORD_BATCH_OVERHEAD`.)
pub const HEADER_BYTES: usize = 61;

/// The id of an idempotent producer, its incarnation and where it stands in its sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProducerStamp {
    /// Producer id, at least 0.
    pub id: i64,
    /// Producer epoch, at least 0.
    pub epoch: i16,
    /// Sequence number of the batch's first record; wraps from `i32::MAX` to 0.
    pub base_sequence: i32,
}

impl ProducerStamp {
    /// The sequence number that is due after `records` records. (Kafka: `DefaultRecordBatch.incrementSequence`.)
    pub fn sequence_after(&self, records: u32) -> i32 {
        let next = (i64::from(self.base_sequence) + i64::from(records)) % (1 << 31);
        i32::try_from(next).expect("invariant: below 2³¹")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_wrap_to_zero() {
        let after = |base_sequence, records| ProducerStamp { id: 1, epoch: 0, base_sequence }.sequence_after(records);
        assert_eq!((after(0, 3), after(i32::MAX, 1), after(i32::MAX - 1, 3)), (3, 0, 1));
    }
}
