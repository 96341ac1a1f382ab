//! Values as bytes, and the way back.
//!
//! A history speaks of numbers ([`value`]), the log holds bytes. They are the value's name, padded, so that a dump of a
//! log can be read: `c3-17.......`.

use bytes::Bytes;

use crate::digest::Digest;
use crate::history::{ClientId, Told, value};
use crate::ids::Offset;
use crate::record::{InvalidRecord, RecordBatch};

/// The bytes of a value: its name, padded to `value_bytes` if there is room.
pub fn encode(number: u64, value_bytes: usize) -> Bytes {
    let mut text = value::name(number).into_bytes();
    text.resize(text.len().max(value_bytes), PADDING);
    Bytes::from(text)
}

/// The number of some bytes. Bytes that no client of ours wrote get a number that none of ours has.
pub fn decode(bytes: &[u8]) -> u64 {
    try_decode(bytes).unwrap_or_else(|| value::foreign(Digest::of(bytes)))
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
    is_ours.then(|| value::number(ClientId(client), sequence))
}

const PADDING: u8 = b'.';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_from_its_bytes() {
        let value = value::number(ClientId(3), 17);
        assert_eq!(&encode(value, 8)[..], b"c3-17...");
        assert_eq!(decode(&encode(value, 8)), value);
        assert_eq!(decode(&encode(value, 0)), value);
    }

    #[test]
    fn damaged_and_foreign_bytes_are_nobodys_value() {
        for bytes in [&b""[..], b"hello", b"c3-17..x.", b"c3-", b"c-1", b"c9999999999-1"] {
            assert_eq!(decode(bytes), value::foreign(Digest::of(bytes)), "{bytes:?}");
        }
    }
}
