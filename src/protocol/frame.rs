//! Frames: a 4-byte length, big-endian, then that many bytes.
//!
//! ```text
//!   0       4
//!  ├───────┼───────────────────────────────┤
//!  length   header and body, `length` bytes
//! ```
//!
//! Outgoing frames are gather lists, so that record bodies travel without being copied; incoming bytes are cut into
//! frames that are slices of the buffer they were read into.

use std::fmt;

use bytes::{Bytes, BytesMut};

/// An outgoing frame as a gather list: the first part begins with the length, record bodies are shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The parts, in order.
    pub parts: Vec<Bytes>,
}

impl Frame {
    /// A frame of one part, which begins with its length.
    pub fn of(part: Bytes) -> Frame {
        Frame { parts: vec![part] }
    }

    /// Bytes of the whole frame, its length field included.
    pub fn size_bytes(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    /// The frame as its receiver sees it: in one piece, without the length field. A frame of one part is shared, a
    /// gather list is copied together. (The simulated network delivers this.)
    pub fn payload(&self) -> Bytes {
        if let [only] = &self.parts[..] {
            return only.slice(LENGTH_BYTES..);
        }
        let mut whole = BytesMut::with_capacity(self.size_bytes());
        for part in &self.parts {
            whole.extend_from_slice(part);
        }
        whole.freeze().slice(LENGTH_BYTES..)
    }
}

/// Cuts frames from a stream of bytes as they arrive from a socket.
///
/// A driver reads into [`FrameCutter::space`], says how much it got with [`FrameCutter::filled`], and takes whole frames
/// with [`FrameCutter::next_frame`] until there is none. Memory grows with bytes received, never with bytes announced.
#[derive(Debug)]
pub struct FrameCutter {
    /// `filled` bytes that are not cut yet, then zeros to read into.
    buffer: BytesMut,
    filled: usize,
    frame_bytes_max: usize,
}

/// A length field that no frame may have. There is no way to find the next frame: close the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameError {
    /// The length found, as Kafka reads it: signed.
    pub found: i32,
    /// The largest length allowed, bytes.
    pub allowed: usize,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frame length: expected 0 to {} bytes, found {}", self.allowed, self.found)
    }
}

impl std::error::Error for FrameError {}

impl FrameCutter {
    /// A cutter that refuses frames of more than `frame_bytes_max` bytes, the length field not counted.
    pub fn new(frame_bytes_max: usize) -> FrameCutter {
        FrameCutter { buffer: BytesMut::new(), filled: 0, frame_bytes_max }
    }

    /// Room to read into, never empty.
    pub fn space(&mut self) -> &mut [u8] {
        if self.buffer.len() - self.filled < SPACE_BYTES_MIN {
            self.buffer.resize(self.filled + READ_BYTES, 0);
        }
        &mut self.buffer[self.filled..]
    }

    /// The first `count` bytes of [`FrameCutter::space`] were read.
    pub fn filled(&mut self, count: usize) {
        assert!(count <= self.buffer.len() - self.filled, "more was read than there was room for");
        self.filled += count;
    }

    /// Takes bytes that already lie elsewhere, by copying them.
    pub fn push(&mut self, mut chunk: &[u8]) {
        while !chunk.is_empty() {
            let space = self.space();
            let count = chunk.len().min(space.len());
            space[..count].copy_from_slice(&chunk[..count]);
            self.filled(count);
            chunk = &chunk[count..];
        }
    }

    /// The next whole frame, without its length field; `None` until more bytes arrive.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(length) = self.buffer[..self.filled].first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let found = i32::from_be_bytes(*length);
        let length = usize::try_from(found).ok().filter(|&length| length <= self.frame_bytes_max);
        let length = length.ok_or(FrameError { found, allowed: self.frame_bytes_max })?;
        if self.filled < LENGTH_BYTES + length {
            return Ok(None);
        }
        self.filled -= LENGTH_BYTES + length;
        Ok(Some(self.buffer.split_to(LENGTH_BYTES + length).freeze().slice(LENGTH_BYTES..)))
    }
}

/// Bytes of the length field.
pub const LENGTH_BYTES: usize = 4;

/// How much room a read is given.
const READ_BYTES: usize = 64 << 10;

/// A buffer with less room than this grows before the next read.
const SPACE_BYTES_MIN: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_however_the_bytes_arrive() {
        let stream = [&[0, 0, 0, 3][..], b"one", &[0, 0, 0, 0], &[0, 0, 0, 5], b"three"].concat();
        for step in 1..=stream.len() {
            let mut cutter = FrameCutter::new(5);
            let mut frames = Vec::new();
            for chunk in stream.chunks(step) {
                cutter.push(chunk);
                while let Some(frame) = cutter.next_frame().expect("lengths are allowed") {
                    frames.push(frame);
                }
            }
            assert_eq!(frames, [&b"one"[..], b"", b"three"], "in chunks of {step}");
        }
    }

    #[test]
    fn forbidden_lengths_are_named_before_any_memory_is_taken() {
        for (length, text) in [(6i32, "found 6"), (-1, "found -1"), (i32::MAX, "found 2147483647")] {
            let mut cutter = FrameCutter::new(5);
            cutter.push(&length.to_be_bytes());
            let error = cutter.next_frame().expect_err("too long");
            assert_eq!(error.to_string(), format!("frame length: expected 0 to 5 bytes, {text}"));
        }
    }

    #[test]
    fn a_frame_larger_than_the_buffer_is_collected() {
        let body = vec![7u8; 200_000];
        let mut cutter = FrameCutter::new(1 << 20);
        cutter.push(&200_000u32.to_be_bytes());
        cutter.push(&body);
        assert_eq!(cutter.next_frame().expect("allowed").expect("whole"), body);
    }

    #[test]
    fn a_gather_list_arrives_in_one_piece() {
        let frame = Frame { parts: vec![Bytes::from_static(b"\0\0\0\x05ab"), Bytes::from_static(b"cde")] };
        assert_eq!((frame.size_bytes(), &frame.payload()[..]), (9, &b"abcde"[..]));
    }
}
