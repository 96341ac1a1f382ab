//! Chance, drawn from a seed: one ChaCha8 stream per subject, integers only.
//!
//! Every subject (a link, a disk, a client, a node incarnation, the nemesis) has a stream of its own, so a draw more in
//! one place moves nothing elsewhere. Distributions are the few lines below and never change: a stored seed must replay
//! for years, and libraries permit themselves value-breaking changes in minor releases.

use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// One stream of random integers.
#[derive(Clone, Debug)]
pub struct Prng {
    stream: ChaCha8Rng,
}

impl Prng {
    /// The stream `stream` of `seed`.
    pub fn new(seed: u64, stream: u64) -> Prng {
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut chacha = ChaCha8Rng::from_seed(key);
        chacha.set_stream(stream);
        Prng { stream: chacha }
    }

    /// 64 random bits.
    pub fn word(&mut self) -> u64 {
        self.stream.next_u64()
    }

    /// A number below `bound`, which must not be zero. (Lemire's multiply-and-shift; the bias is below 2⁻³² for the
    /// bounds used here and the cost is one draw, always.)
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "a number below zero was asked for");
        ((u128::from(self.word()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in the range, which must not be empty.
    pub fn range(&mut self, range: Range<u64>) -> u64 {
        range.start + self.below(range.end - range.start)
    }

    /// True `numerator` times in `denominator`.
    pub fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.below(denominator) < numerator
    }

    /// One element of a slice that is not empty.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    /// Puts a slice in random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, slice: &mut [T]) {
        for last in (1..slice.len()).rev() {
            slice.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_frozen_and_apart() {
        assert_eq!(Prng::new(1, 2).word(), Prng::new(1, 2).word());
        assert_ne!(Prng::new(1, 2).word(), Prng::new(1, 3).word());
        assert_ne!(Prng::new(1, 2).word(), Prng::new(2, 2).word());
    }

    #[test]
    fn numbers_below_a_bound_reach_all_of_them() {
        let mut prng = Prng::new(7, 0);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[prng.below(5) as usize] = true;
        }
        assert_eq!(seen, [true; 5]);
    }
}
