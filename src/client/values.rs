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

use std::fmt;

use bytes::Bytes;

use crate::digest::Digest;
use crate::history::{Told, value};
use crate::ids::Offset;
use crate::record::{InvalidRecord, RecordBatch};

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
    value::write_name(number, &mut name).is_ok() && name.rest.iter().all(|&byte| byte == PADDING)
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
    match try_read(from, batches) {
        Ok(values) => Told::Read { values, next: batches.last().map_or(from, RecordBatch::end).0 },
        Err(invalid) => Told::Unreadable { reason: invalid.to_string() },
    }
}

fn try_read(from: Offset, batches: &[RecordBatch]) -> Result<Vec<(u64, u64)>, InvalidRecord> {
    let mut values = Vec::new();
    for batch in batches.iter().filter(|batch| !batch.is_control()) {
        for record in batch.records() {
            let record = record?;
            let offset = batch.base_offset() + u64::from(record.offset_delta);
            if offset >= from {
                values.push((offset.0, decode(record.value.as_deref().unwrap_or_default())));
            }
        }
    }
    Ok(values)
}

const NUMBER_BYTES: usize = 8;

const PADDING: u8 = b'.';

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::ClientId;

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
