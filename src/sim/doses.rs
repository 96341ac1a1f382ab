//! How often each fault really happened.

use std::collections::BTreeMap;

use crate::scenario::FaultKind;

/// Doses given in one run, by kind.
#[derive(Clone, Debug, Default)]
pub struct Doses {
    counts: [u64; FaultKind::ALL.len()],
}

impl Doses {
    /// One dose of this kind was given.
    pub fn give(&mut self, kind: FaultKind) {
        self.counts[kind as usize] += 1;
    }

    /// The doses of this kind.
    pub fn of(&self, kind: FaultKind) -> u64 {
        self.counts[kind as usize]
    }

    /// All kinds that were given, with their counts.
    pub fn to_map(&self) -> BTreeMap<FaultKind, u64> {
        FaultKind::ALL.into_iter().map(|kind| (kind, self.of(kind))).filter(|&(_, count)| count > 0).collect()
    }
}
