//! Values that are unique in a history, and the way back from bytes to values.
//!
//! A history speaks of numbers, the log holds bytes. The number says which client wrote the value and which of its
//! values it is; the bytes say the same in text, so that a dump of a log can be read: `c3-17.......`.

use bytes::Bytes;

use crate::digest::Digest;
use crate::history::{ClientId, Told};
use crate::ids::Offset;
use crate::record::{InvalidRecord, RecordBatch};

/// The number of a client's value. Clients have fewer than 2³¹ numbers.
pub fn number(client: ClientId, sequence: u32) -> u64 {
    assert!(client.0 < 1 << 31, "client {client} has no numbers of its own");
    u64::from(client.0) << 32 | u64::from(sequence)
}

/// A value in words: `c3-17`.
pub fn name(number: u64) -> String {
    match number & FOREIGN {
        0 => format!("c{}-{}", number >> 32, number & u64::from(u32::MAX)),
        _ => format!("foreign bytes {number:016x}"),
    }
}

/// The bytes of a value: its name, padded to `value_bytes` if there is room.
pub fn encode(number: u64, value_bytes: usize) -> Bytes {
    let mut text = name(number).into_bytes();
    text.resize(text.len().max(value_bytes), PADDING);
    Bytes::from(text)
}

/// The number of some bytes. Bytes that no client of ours wrote get a number that none of ours has.
pub fn decode(bytes: &[u8]) -> u64 {
    try_decode(bytes).unwrap_or_else(|| Digest::of(bytes) | FOREIGN)
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

fn try_decode(bytes: &[u8]) -> Option<u64> {
    let end = bytes.iter().position(|&byte| byte == PADDING).unwrap_or(bytes.len());
    let (text, padding) = bytes.split_at(end);
    let (client, sequence) = std::str::from_utf8(text).ok()?.strip_prefix('c')?.split_once('-')?;
    let (client, sequence): (u32, u32) = (client.parse().ok()?, sequence.parse().ok()?);
    let is_ours = client < 1 << 31 && padding.iter().all(|&byte| byte == PADDING);
    is_ours.then(|| number(ClientId(client), sequence))
}

/// Marks numbers of values that no client of ours wrote.
const FOREIGN: u64 = 1 << 63;

const PADDING: u8 = b'.';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_from_its_bytes() {
        let value = number(ClientId(3), 17);
        assert_eq!(&encode(value, 8)[..], b"c3-17...");
        assert_eq!(decode(&encode(value, 8)), value);
        assert_eq!(decode(&encode(value, 0)), value);
    }

    #[test]
    fn damaged_and_foreign_bytes_are_nobodys_value() {
        for bytes in [&b""[..], b"hello", b"c3-17..x.", b"c3-", b"c-1", b"c9999999999-1"] {
            assert!(decode(bytes) >= FOREIGN, "{bytes:?}");
        }
    }
}
