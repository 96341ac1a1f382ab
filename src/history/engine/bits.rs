//! A set of small numbers: which open operations were done, which optional ones were used.

/// Numbers below `64 * N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits<const N: usize>([u64; N]);

impl<const N: usize> Bits<N> {
    /// None of them.
    pub const EMPTY: Bits<N> = Bits([0; N]);

    /// Whether the number is in it.
    pub fn has(&self, number: usize) -> bool {
        self.0[number / 64] >> (number % 64) & 1 != 0
    }

    /// Puts the number in.
    pub fn set(&mut self, number: usize) {
        self.0[number / 64] |= 1 << (number % 64);
    }

    /// Takes the number out.
    pub fn clear(&mut self, number: usize) {
        self.0[number / 64] &= !(1 << (number % 64));
    }

    /// Whether all of it is in `other`.
    pub fn is_within(&self, other: &Bits<N>) -> bool {
        self.0.iter().zip(&other.0).all(|(mine, theirs)| mine & !theirs == 0)
    }

    /// What is in it and not in `other`, ascending.
    pub fn without(&self, other: &Bits<N>) -> Members<N> {
        let mut rest = self.0;
        rest.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine &= !theirs);
        Members { rest, word: 0 }
    }

    /// Its words, for hashing.
    pub fn words(&self) -> &[u64; N] {
        &self.0
    }
}

/// The numbers of a set, ascending.
pub struct Members<const N: usize> {
    rest: [u64; N],
    word: usize,
}

impl<const N: usize> Iterator for Members<N> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while self.word < N {
            let word = &mut self.rest[self.word];
            if *word != 0 {
                let bit = word.trailing_zeros() as usize;
                *word &= *word - 1;
                return Some(self.word * 64 + bit);
            }
            self.word += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_what_was_put_in_and_not_taken_out() {
        let (mut all, mut some) = (Bits::<2>::EMPTY, Bits::<2>::EMPTY);
        for number in [0, 63, 64, 127, 5] {
            all.set(number);
        }
        all.clear(5);
        some.set(64);
        assert_eq!(all.without(&some).collect::<Vec<_>>(), [0, 63, 127]);
        assert!(some.is_within(&all) && !all.is_within(&some) && all.has(127) && !all.has(5));
    }
}
