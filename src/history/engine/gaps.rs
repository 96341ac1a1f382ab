//! A set of offsets that hold no value, as disjoint ranges, each with the operation that found it first.
//!
//! Ranges, because a wrong answer may claim that an astronomical number of offsets is empty.

use std::collections::BTreeMap;

/// Ranges of offsets.
#[derive(Clone, Debug, Default)]
pub struct Gaps {
    /// First offset → end of the range, and who found it. Disjoint.
    ranges: BTreeMap<u64, (u64, usize)>,
}

impl Gaps {
    /// Adds `from..to`; what is in the set already keeps its finder.
    pub fn insert(&mut self, from: u64, to: u64, by: usize) {
        let mut at = from;
        while at < to {
            if let Some((_, &(end, _))) = self.ranges.range(..=at).next_back().filter(|(_, range)| range.0 > at) {
                at = end;
                continue;
            }
            let next = self.ranges.range(at..).next().map_or(to, |(&start, _)| start.min(to));
            self.ranges.insert(at, (next, by));
            at = next;
        }
    }

    /// Who found this offset empty first.
    pub fn get(&self, offset: u64) -> Option<usize> {
        let (_, &(end, by)) = self.ranges.range(..=offset).next_back()?;
        (offset < end).then_some(by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prng::Prng;

    #[test]
    fn ranges_agree_with_a_set_of_offsets() {
        let mut prng = Prng::new(1, 0);
        for _ in 0..200 {
            let (mut gaps, mut naive) = (Gaps::default(), BTreeMap::new());
            for by in 0..12 {
                let from = prng.below(30);
                let to = from + prng.below(8);
                gaps.insert(from, to, by);
                (from..to).for_each(|offset| _ = naive.entry(offset).or_insert(by));
                assert!((0..40).all(|offset| gaps.get(offset) == naive.get(&offset).copied()));
            }
        }
    }
}
