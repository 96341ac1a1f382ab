//! The open batch, the room there is, and buffers that are used again.
//!
//! **Invariants**: what was taken from the buffer's memory is given back when the batch has ended, and never more; a
//! record that does not fit into the open batch closes it and opens the next. (Kafka: `RecordAccumulator`.)

use bytes::Bytes;

use crate::client::producer::{Run, Settings};
use crate::record::{BatchWriter, HEADER_BYTES, Shape};
use crate::time::Instant;

/// Records on their way into batches.
#[derive(Clone, Debug)]
pub struct Accumulator {
    batch_bytes: usize,
    record_bytes_max: usize,
    memory_bytes_max: usize,
    /// Bytes of all batches that have not ended, each as large as its buffer.
    memory_bytes: usize,
    open: Option<Collected>,
    next_record: u64,
    /// Buffers of batches that have ended.
    spare: Vec<Vec<u8>>,
}

/// A batch as it was collected.
#[derive(Clone, Debug)]
pub struct Collected {
    /// Its records.
    pub writer: BatchWriter,
    /// When its records came.
    pub runs: Vec<Run>,
    /// When its first record came.
    pub created: Instant,
    /// The number of its first record.
    pub first_record: u64,
    /// Bytes of its buffer.
    pub memory_bytes: usize,
}

/// Why a record was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Refused {
    /// The buffer's memory is used up until a batch ends. (Kafka: waits for `max.block.ms`.)
    Full,
    /// A batch of this record alone would have that many bytes. (Kafka: `RecordTooLargeException`.)
    TooLarge { bytes: usize },
}

impl Accumulator {
    /// Nothing collected yet.
    pub fn new(settings: &Settings) -> Accumulator {
        Accumulator {
            batch_bytes: settings.batch_bytes.max(HEADER_BYTES),
            record_bytes_max: settings.request_bytes_max.min(settings.buffer_bytes_max),
            memory_bytes_max: settings.buffer_bytes_max,
            memory_bytes: 0,
            open: None,
            next_record: 0,
            spare: Vec::new(),
        }
    }

    /// Takes a record; a batch that had no room for it is returned.
    pub fn push(
        &mut self,
        now: Instant,
        shape: &Shape<'_>,
        mut fill: impl FnMut(&mut [u8]),
    ) -> Result<Option<Collected>, Refused> {
        if let Some(open) = &mut self.open
            && open.writer.push(shape, &mut fill)
        {
            self.note(now, shape);
            return Ok(None);
        }
        let alone = BatchWriter::bytes_alone(shape);
        if alone > self.record_bytes_max {
            return Err(Refused::TooLarge { bytes: alone });
        }
        let memory_bytes = alone.max(self.batch_bytes);
        if self.memory_bytes + memory_bytes > self.memory_bytes_max {
            return Err(Refused::Full);
        }
        let full = self.open.take();
        self.memory_bytes += memory_bytes;
        let mut writer = BatchWriter::new(self.buffer(memory_bytes));
        assert!(writer.push(shape, &mut fill), "a batch that is as large as its record has room for it");
        let (runs, first_record) = (Vec::with_capacity(RUNS_EXPECTED), self.next_record);
        self.open = Some(Collected { writer, runs, created: now, first_record, memory_bytes });
        self.note(now, shape);
        Ok(full)
    }

    /// When the open batch was begun.
    pub fn open_since(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.created)
    }

    /// Whether the memory is so far used that no further batch could be begun.
    pub fn is_exhausted(&self) -> bool {
        self.memory_bytes + self.batch_bytes > self.memory_bytes_max
    }

    /// Closes the open batch.
    pub fn take(&mut self) -> Option<Collected> {
        self.open.take()
    }

    /// How many records were taken.
    pub fn pushed(&self) -> u64 {
        self.next_record
    }

    /// A batch has ended: its memory is free. Its buffer is used again if nobody else holds it.
    pub fn release(&mut self, memory_bytes: usize, buffer: Option<Bytes>) {
        self.memory_bytes -= memory_bytes;
        let buffer = buffer.filter(|_| memory_bytes == self.batch_bytes && self.spare.len() < SPARE_MAX);
        if let Some(Ok(buffer)) = buffer.map(Bytes::try_into_mut) {
            let mut buffer = Vec::from(buffer);
            buffer.resize(memory_bytes, 0);
            self.spare.push(buffer);
        }
    }

    fn buffer(&mut self, bytes: usize) -> Vec<u8> {
        let spare = if bytes == self.batch_bytes { self.spare.pop() } else { None };
        spare.unwrap_or_else(|| vec![0; bytes])
    }

    fn note(&mut self, now: Instant, shape: &Shape<'_>) {
        self.next_record += 1;
        let runs = &mut self.open.as_mut().expect("invariant: a record was just written to it").runs;
        match runs.last_mut() {
            Some(run) if run.at == now => {
                run.records += 1;
                run.value_bytes += shape.value_bytes as u64;
            }
            _ => runs.push(Run { at: now, records: 1, value_bytes: shape.value_bytes as u64 }),
        }
    }
}

/// Buffers kept for later; more batches than these are rarely under way.
const SPARE_MAX: usize = 64;

/// How many moments a batch spans when records come in bursts.
const RUNS_EXPECTED: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn accumulator(batch_bytes: usize, buffer_bytes_max: usize) -> Accumulator {
        let mut settings = Settings::new(Vec::new(), "c", "t");
        settings.batch_bytes = batch_bytes;
        settings.buffer_bytes_max = buffer_bytes_max;
        Accumulator::new(&settings)
    }

    fn push(accumulator: &mut Accumulator, at: u64, value_bytes: usize) -> Result<Option<u32>, Refused> {
        let shape = Shape { timestamp: Timestamp(1), key: None, value_bytes };
        let full = accumulator.push(Instant(at), &shape, |place| place.fill(b'v'))?;
        Ok(full.map(|full| full.writer.count()))
    }

    #[test]
    fn a_batch_is_closed_by_the_record_that_does_not_fit() {
        // 61 bytes of header, and 17 for a value of 10: two fit into 100, three do not.
        let mut accumulator = accumulator(100, 1000);
        assert_eq!(push(&mut accumulator, 1, 10), Ok(None));
        assert_eq!(push(&mut accumulator, 1, 10), Ok(None));
        assert_eq!(push(&mut accumulator, 2, 10), Ok(Some(2)));
        let open = accumulator.take().expect("the third record");
        assert_eq!((open.first_record, open.writer.count(), open.created), (2, 1, Instant(2)));
        assert_eq!(accumulator.pushed(), 3);
    }

    #[test]
    fn records_of_one_moment_are_one_run() {
        let mut accumulator = accumulator(1000, 1000);
        for at in [5, 5, 6] {
            push(&mut accumulator, at, 10).expect("room");
        }
        let runs = accumulator.take().expect("open").runs;
        let run = |at, records: u32| Run { at: Instant(at), records, value_bytes: u64::from(records) * 10 };
        assert_eq!(runs, [run(5, 2), run(6, 1)]);
    }

    #[test]
    fn a_record_larger_than_a_batch_has_one_of_its_own() {
        let mut accumulator = accumulator(100, 1000);
        push(&mut accumulator, 1, 10).expect("room");
        assert_eq!(push(&mut accumulator, 1, 400), Ok(Some(1)));
        assert_eq!(push(&mut accumulator, 1, 10), Ok(Some(1)));
        assert_eq!(push(&mut accumulator, 1, 2000), Err(Refused::TooLarge { bytes: 2070 }));
    }

    #[test]
    fn memory_is_given_back_when_batches_end() {
        let mut accumulator = accumulator(100, 250);
        assert_eq!(push(&mut accumulator, 1, 30), Ok(None));
        assert!(!accumulator.is_exhausted());
        assert_eq!(push(&mut accumulator, 1, 30), Ok(Some(1)));
        assert!(accumulator.is_exhausted());
        assert_eq!(
            push(&mut accumulator, 1, 30),
            Err(Refused::Full),
            "two batches of 100 bytes, and no room for a third"
        );
        assert_eq!(accumulator.pushed(), 2, "a refused record was not taken");
        let open = accumulator.take().expect("the second is still open");
        let (bytes, _) = open.writer.seal(None);
        accumulator.release(open.memory_bytes, Some(bytes));
        assert_eq!(push(&mut accumulator, 1, 30), Ok(None));
    }
}
