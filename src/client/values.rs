//! Values as bytes, and the way back.
//!
//! A history speaks of numbers ([`value`]), the log holds bytes:
//!
//! ```text
//!  0        8
//!  ├────────┼─────────────── value_bytes
//!  number   its name, padded with dots: c3-17.......
//! ```
//!
//! The number is big-endian, for judges; the name is for people who read the dump of a log.
//!
//! Commands of the key-value machine ([`Command`]) are no values: who reads values passes over them, as over the batches that
//! leaders write.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

use crate::digest::Digest;
use crate::history::{Told, value};
use crate::ids::Offset;
use crate::machine::Command;
use crate::quirk::{Quirk, Quirks};
use crate::record::{Compression, InvalidRecord, RecordBatch};

/// The bytes of a value, `value_bytes` of them, but never fewer than the eight of its number.
pub fn encode(number: u64, value_bytes: usize) -> Bytes {
    let mut bytes = Vec::with_capacity(value_bytes.max(NUMBER_BYTES));
    bytes.extend_from_slice(&number.to_be_bytes());
    if value_bytes > NUMBER_BYTES {
        bytes.extend_from_slice(value::name(number).as_bytes());
        bytes.resize(value_bytes, PADDING);
    }
    Bytes::from(bytes)
}

/// The number of some bytes. Bytes that no client of ours wrote, one of them changed included, get a number that none
/// of ours has.
pub fn decode(bytes: &[u8]) -> u64 {
    let number = bytes.first_chunk().map(|number| u64::from_be_bytes(*number));
    let is_ours = |number: &u64| *number < 1 << 63 && is_encoding(*number, bytes);
    number.filter(is_ours).unwrap_or_else(|| value::foreign(Digest::of(bytes)))
}

/// Whether [`encode`] makes these bytes of the number. Said without making them again: every client reads every value.
fn is_encoding(number: u64, bytes: &[u8]) -> bool {
    let mut name = Matching { rest: bytes.get(NUMBER_BYTES..).unwrap_or_default() };
    value::write_name(number, &mut name).is_ok() && is_padding(name.rest)
}

/// Whether there is nothing else. Piece by piece, because a loop that may stop at any byte takes them one by one.
fn is_padding(bytes: &[u8]) -> bool {
    let is_whole = |piece: &[u8]| piece.iter().fold(0, |differs, byte| differs | (byte ^ PADDING)) == 0;
    bytes.chunks(64).all(is_whole)
}

/// Compares what is written to it with bytes that are there already, as far as these go.
struct Matching<'a> {
    rest: &'a [u8],
}

impl fmt::Write for Matching<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let length = text.len().min(self.rest.len());
        let (there, rest) = self.rest.split_at(length);
        if there != &text.as_bytes()[..length] {
            return Err(fmt::Error);
        }
        self.rest = rest;
        Ok(())
    }
}

/// What a consumer of values sees in these batches from `from` on; they must be contiguous.
pub fn read(from: Offset, batches: &[RecordBatch]) -> Told {
    Reader::default().read(from, batches)
}

/// A consumer that remembers what it has inflated. Who reads a log again mostly gets the same bytes again, and inflating
/// them would take longer than all else that a client does. What is remembered is believed only of a batch that is the
/// same in every byte, so one that changed is read as what it became.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    quirks: Quirks,
    inflated: BTreeMap<Offset, (RecordBatch, Vec<(u64, u64)>)>,
}

impl Reader {
    /// A consumer that remembers nothing yet.
    pub fn new(quirks: Quirks) -> Reader {
        Reader { quirks, ..Reader::default() }
    }

    /// See [`read`].
    pub fn read(&mut self, from: Offset, batches: &[RecordBatch]) -> Told {
        match self.try_read(from, batches) {
            Ok(values) => Told::Read { values, next: batches.last().map_or(from, RecordBatch::end).0 },
            Err(invalid) => Told::Unreadable { reason: invalid.to_string() },
        }
    }

    fn try_read(&mut self, from: Offset, batches: &[RecordBatch]) -> Result<Vec<(u64, u64)>, InvalidRecord> {
        let mut values = Vec::new();
        let from = if self.quirks.has(Quirk::ReadsKeepBatchHeads) { Offset::ZERO } else { from };
        for batch in batches.iter().filter(|batch| !batch.is_control()) {
            match batch.compression() {
                Some(Compression::None) => read_batch(batch, from, &mut values)?,
                _ => values.extend(self.inflated(batch)?.iter().filter(|(offset, _)| *offset >= from.0)),
            }
        }
        Ok(values)
    }

    /// All values of a compressed batch.
    fn inflated(&mut self, batch: &RecordBatch) -> Result<&[(u64, u64)], InvalidRecord> {
        let base = batch.base_offset();
        if self.inflated.get(&base).is_none_or(|(known, _)| known != batch) {
            let mut values = Vec::new();
            read_batch(batch, base, &mut values)?;
            if self.inflated.len() >= INFLATED_BATCHES_MAX {
                self.inflated.clear();
            }
            // Without the frame it came in, which would stay alive with it.
            let known = RecordBatch { header: batch.header, body: Bytes::copy_from_slice(&batch.body) };
            self.inflated.insert(base, (known, values));
        }
        Ok(&self.inflated[&base].1)
    }
}

fn read_batch(batch: &RecordBatch, from: Offset, values: &mut Vec<(u64, u64)>) -> Result<(), InvalidRecord> {
    batch.each_value(|offset, value| {
        let value = value.unwrap_or_default();
        if offset >= from && Command::parse(value).is_none() {
            values.push((offset.0, decode(value)));
        }
    })
}

/// So many compressed batches are remembered.
const INFLATED_BATCHES_MAX: usize = 1024;

const NUMBER_BYTES: usize = 8;

const PADDING: u8 = b'.';

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::ClientId;
    use crate::record::BatchBuilder;
    use crate::time::Timestamp;

    #[test]
    fn what_was_inflated_once_is_not_taken_for_another_batch_at_its_place() {
        let batch = |number: u64| {
            let mut builder = BatchBuilder::new(Timestamp(0)).compression(Compression::Gzip);
            builder.push(None, Some(&encode(number, 16)));
            builder.push(None, Some(&encode(number + 1, 16)));
            builder.build()
        };
        let mut reader = Reader::default();
        for (from, number) in [(0, 7), (1, 7), (0, 8), (0, 7)] {
            let all = [(0, number), (1, number + 1)];
            let values = all.into_iter().filter(|(offset, _)| *offset >= from).collect();
            assert_eq!(reader.read(Offset(from), &[batch(number)]), Told::Read { values, next: 2 });
        }
    }

    #[test]
    fn a_value_comes_back_from_its_bytes() {
        let value = value::number(ClientId(3), 17);
        assert_eq!(&encode(value, 16)[..], b"\0\0\0\x03\0\0\0\x11c3-17...");
        for value_bytes in [0, 8, 9, 16, 100] {
            assert_eq!(decode(&encode(value, value_bytes)), value);
        }
    }

    #[test]
    fn damaged_and_foreign_bytes_are_nobodys_value() {
        let ours = encode(value::number(ClientId(3), 17), 16);
        for index in 0..ours.len() {
            let mut damaged = ours.to_vec();
            damaged[index] ^= 1;
            assert_eq!(decode(&damaged), value::foreign(Digest::of(&damaged)));
        }
        assert_eq!(decode(b"hello"), value::foreign(Digest::of(b"hello")));
    }
}
