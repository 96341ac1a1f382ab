//! The 64-bit digest that names a run: stable for ever, the same on every platform.
//!
//! A run folds every event into one [`Digest`]; two runs are the same run exactly when their digests agree. This is a
//! fingerprint, not cryptography. The algorithm is written out here because a library may change its mind, and a stored
//! digest must not.

/// A running 64-bit fingerprint of a sequence of words and bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(u64);

impl Default for Digest {
    fn default() -> Digest {
        Digest::new()
    }
}

impl Digest {
    /// The digest of nothing.
    pub const fn new() -> Digest {
        Digest(0x9e37_79b9_7f4a_7c15)
    }

    /// Folds one word in.
    #[inline]
    pub fn word(&mut self, word: u64) {
        self.0 = mix(self.0 ^ word, 0xa076_1d64_78bd_642f ^ self.0.rotate_left(23));
    }

    /// Folds bytes in, with their length, so that `"ab","c"` and `"a","bc"` differ.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self.word(u64::from_le_bytes(chunk.try_into().expect("invariant: chunks of eight")));
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut last = [0u8; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(last));
        }
    }

    /// The fingerprint so far.
    pub fn value(self) -> u64 {
        mix(self.0, 0xe703_7ed1_a0b4_28db)
    }

    /// The fingerprint of some bytes.
    pub fn of(bytes: &[u8]) -> u64 {
        let mut digest = Digest::new();
        digest.bytes(bytes);
        digest.value()
    }
}

/// The two halves of a 128-bit product folded together: every input bit reaches every output bit.
#[inline]
fn mix(left: u64, right: u64) -> u64 {
    let product = (u128::from(left | 1) * u128::from(right | 1)) ^ u128::from(left ^ right.rotate_left(32));
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_frozen() {
        assert_eq!(Digest::of(b""), Digest::of(b""));
        assert_ne!(Digest::of(b"ab"), Digest::of(b"ba"));
        assert_ne!(Digest::of(b"a"), Digest::of(b"a\0"));
    }
}
