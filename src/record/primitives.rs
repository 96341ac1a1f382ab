//! The integers, varints and strings of records and control messages: read with a position, written without one.
//!
//! Big-endian integers; varints are zigzag, seven bits a byte, least significant first; compact lengths are unsigned
//! varints of length + 1. (Kafka: `ByteUtils`.) A reader never panics and never trusts a length that it read.

use std::fmt::Display;
use std::ops::Range;

use crate::record::DecodeError;

/// Reads a buffer from front to back. Errors name bytes as counted from `origin`.
#[derive(Debug)]
pub(in crate::record) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    field: usize,
    origin: usize,
}

impl<'a> Reader<'a> {
    /// A reader of `bytes`, whose first byte is byte `origin` of what errors should speak about.
    pub(in crate::record) fn new(bytes: &'a [u8], origin: usize) -> Reader<'a> {
        Reader { bytes, at: 0, field: 0, origin }
    }

    /// The next byte to be read, as an index into the buffer.
    pub(in crate::record) fn at(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub(in crate::record) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// An error about the field that was read last, at its first byte.
    pub(in crate::record) fn error(
        &self,
        what: &'static str,
        expected: impl Into<String>,
        found: impl Display,
    ) -> DecodeError {
        DecodeError::new(self.origin + self.field, what, expected, found)
    }

    /// The range of the next `length` bytes, skipped.
    #[inline]
    pub(in crate::record) fn span(&mut self, length: usize, what: &'static str) -> Result<Range<usize>, DecodeError> {
        self.field = self.at;
        if length > self.remaining() {
            return Err(self.too_short(length, what));
        }
        let from = self.at;
        self.at += length;
        Ok(from..self.at)
    }

    #[cold]
    fn too_short(&self, length: usize, what: &'static str) -> DecodeError {
        self.error(what, format!("{length} bytes"), format!("{} bytes left", self.remaining()))
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let span = self.span(N, what)?;
        Ok(self.bytes[span].try_into().expect("invariant: a span is as long as was asked for"))
    }

    pub(in crate::record) fn u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    pub(in crate::record) fn u16(&mut self, what: &'static str) -> Result<u16, DecodeError> {
        self.array(what).map(u16::from_be_bytes)
    }

    pub(in crate::record) fn i16(&mut self, what: &'static str) -> Result<i16, DecodeError> {
        self.array(what).map(i16::from_be_bytes)
    }

    pub(in crate::record) fn i32(&mut self, what: &'static str) -> Result<i32, DecodeError> {
        self.array(what).map(i32::from_be_bytes)
    }

    pub(in crate::record) fn i64(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        self.array(what).map(i64::from_be_bytes)
    }

    pub(in crate::record) fn uuid(&mut self, what: &'static str) -> Result<[u8; 16], DecodeError> {
        self.array(what)
    }

    /// An unsigned varint of at most `bits` bits. Longer forms of small numbers are accepted, as Kafka does.
    fn unsigned(&mut self, bits: u32, what: &'static str) -> Result<u64, DecodeError> {
        // Nearly every varint of a log is one byte.
        let first = self.at;
        if let Some(&byte) = self.bytes.get(first)
            && byte < 0x80
        {
            (self.field, self.at) = (first, first + 1);
            return Ok(u64::from(byte));
        }
        let mut value = 0u64;
        let mut shift = 0;
        loop {
            let byte = self.u8(what)?;
            self.field = first;
            let part = u64::from(byte & 0x7f);
            let fits = shift < bits && (bits - shift >= 7 || part >> (bits - shift) == 0);
            if !fits {
                return Err(self.error(what, format!("a varint of {bits} bits"), "a longer one"));
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    /// An unsigned varint, 32 bits.
    pub(in crate::record) fn uvarint(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        self.unsigned(32, what).map(|value| value as u32)
    }

    /// A zigzag varint, 32 bits.
    pub(in crate::record) fn varint(&mut self, what: &'static str) -> Result<i32, DecodeError> {
        self.uvarint(what).map(|raw| (raw >> 1) as i32 ^ -((raw & 1) as i32))
    }

    /// A zigzag varint, 64 bits.
    pub(in crate::record) fn varlong(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        self.unsigned(64, what).map(|raw| (raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// A zigzag length and that many bytes; `None` for length −1.
    pub(in crate::record) fn nullable(&mut self, what: &'static str) -> Result<Option<Range<usize>>, DecodeError> {
        let length = self.varint(what)?;
        match usize::try_from(length) {
            Ok(length) => self.span(length, what).map(Some),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(self.error(what, "a length of -1 or more", length)),
        }
    }

    /// The length of a compact array that may not be null. It is a claim, not yet a fact: grow as elements are read.
    pub(in crate::record) fn compact_length(&mut self, what: &'static str) -> Result<usize, DecodeError> {
        match self.uvarint(what)? {
            0 => Err(self.error(what, "a length", "null")),
            length => Ok(length as usize - 1),
        }
    }

    /// A compact string that may not be null.
    pub(in crate::record) fn compact_text(&mut self, what: &'static str) -> Result<&'a str, DecodeError> {
        let length = self.compact_length(what)?;
        let span = self.span(length, what)?;
        let text = std::str::from_utf8(&self.bytes[span]);
        text.map_err(|_| self.error(what, "UTF-8", "other bytes"))
    }

    /// A section of tagged fields; we know none, so all are skipped.
    pub(in crate::record) fn skip_tags(&mut self) -> Result<(), DecodeError> {
        for _ in 0..self.uvarint("tagged fields")? {
            self.uvarint("tag")?;
            let length = self.uvarint("tagged field's length")?;
            self.span(length as usize, "tagged field")?;
        }
        Ok(())
    }
}

/// Writes an unsigned varint.
pub(in crate::record) fn put_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes a zigzag varint; 32-bit and 64-bit ones look the same.
pub(in crate::record) fn put_varint(out: &mut Vec<u8>, value: i64) {
    put_uvarint(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// How many bytes a zigzag varint takes.
pub(in crate::record) fn varint_bytes(value: i64) -> usize {
    let zigzag = ((value << 1) ^ (value >> 63)) as u64;
    // Seven bits a byte, and one byte for zero.
    (70 - (zigzag | 1).leading_zeros() as usize) / 7
}

/// Writes a zigzag varint at a place of a buffer; the answer is the place after it.
#[inline]
pub(in crate::record) fn write_varint(buffer: &mut [u8], mut at: usize, value: i64) -> usize {
    let mut zigzag = ((value << 1) ^ (value >> 63)) as u64;
    while zigzag >= 0x80 {
        buffer[at] = zigzag as u8 | 0x80;
        zigzag >>= 7;
        at += 1;
    }
    buffer[at] = zigzag as u8;
    at + 1
}

/// Writes a zigzag length and the bytes; −1 for `None`.
pub(in crate::record) fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    let Some(bytes) = bytes else { return put_varint(out, -1) };
    put_varint(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

/// How many bytes [`put_nullable`] writes.
pub(in crate::record) fn nullable_bytes(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| varint_bytes(bytes.len() as i64) + bytes.len())
}

/// Writes a compact string.
pub(in crate::record) fn put_compact_text(out: &mut Vec<u8>, text: &str) {
    put_uvarint(out, text.len() as u64 + 1);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_at_their_limits_come_back() {
        for value in [0, 1, -1, 63, 64, -64, -65, i64::from(i32::MAX), i64::from(i32::MIN), i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            let mut placed = [0xff; 12];
            assert_eq!((write_varint(&mut placed, 1, value), varint_bytes(value)), (bytes.len() + 1, bytes.len()));
            assert_eq!(&placed[1..=bytes.len()], bytes);
            assert_eq!(Reader::new(&bytes, 0).varlong("v"), Ok(value));
            let narrow = Reader::new(&bytes, 0).varint("v");
            assert_eq!(narrow.ok(), i32::try_from(value).ok());
        }
    }

    #[test]
    fn a_varint_that_never_ends_is_refused() {
        assert!(Reader::new(&[0x80; 3], 0).varint("v").is_err());
        assert!(Reader::new(&[0xff; 20], 0).varlong("v").is_err());
        let error = Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x1f], 7).uvarint("v").unwrap_err();
        assert_eq!(error.at, 7);
    }
}
