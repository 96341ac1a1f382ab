//! Frames: a 4-byte length, big-endian, then that many bytes.

use bytes::Bytes;

/// An outgoing frame as a gather list: the first part begins with the length, record bodies are shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The parts, in order.
    pub parts: Vec<Bytes>,
}

impl Frame {
    /// Bytes of the whole frame, its length field included.
    pub fn size_bytes(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }
}

/// Cuts frames from a stream of bytes as they arrive from a socket.
#[derive(Debug, Default)]
pub struct FrameCutter {}
