//! The random numbers of Java's `SplittableRandom`, with which Kafka's load tool makes its payloads.
//!
//! The same seed gives the same letters as there, so that both tools send the same bytes. (Steele, Lea, Flood: "Fast
//! Splittable Pseudorandom Number Generators", OOPSLA 2014.)

/// A generator that is a counter and a mixing function.
#[derive(Clone, Debug)]
pub struct SplittableRandom {
    state: u64,
}

impl SplittableRandom {
    /// As `new SplittableRandom(seed)`.
    pub fn new(seed: u64) -> SplittableRandom {
        SplittableRandom { state: seed }
    }

    /// As `nextInt(bound)`: each number below the bound is as likely as the others.
    #[inline]
    pub fn below(&mut self, bound: u32) -> u32 {
        assert!(bound > 0 && bound <= i32::MAX as u32, "Java's bounds are positive");
        if bound.is_power_of_two() {
            return self.next() & (bound - 1);
        }
        loop {
            let drawn = self.next() >> 1;
            let number = drawn % bound;
            // The last, incomplete run of the bound's multiples is not used.
            if drawn - number <= i32::MAX as u32 - (bound - 1) {
                return number;
            }
        }
    }

    /// Fills a payload with capital letters, as `ProducerPerformance` does.
    pub fn letters(&mut self, place: &mut [u8]) {
        for letter in place {
            *letter = b'A' + self.below(26) as u8;
        }
    }

    #[inline]
    fn next(&mut self) -> u32 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0x62a9_d9ed_7997_05f5);
        mixed = (mixed ^ (mixed >> 28)).wrapping_mul(0xcb24_d0a5_c88c_35b3);
        (mixed >> 32) as u32
    }
}

/// The golden ratio in 64 bits, odd.
const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_letters_are_javas() {
        let mut payload = [0; 32];
        SplittableRandom::new(0).letters(&mut payload);
        assert_eq!(std::str::from_utf8(&payload), Ok("YQHHNEBSEPDNSEIFGAMSUJXKOLTXSPLG"));
        let mut random = SplittableRandom::new(42);
        let drawn: Vec<u32> = [7, 16, 1000, 1 << 30, i32::MAX as u32].map(|bound| random.below(bound)).into();
        assert_eq!(drawn, [2, 9, 481, 49_180_872, 1_376_986_781]);
    }
}
