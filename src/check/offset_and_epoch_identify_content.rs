//! I3: an offset and an epoch identify a batch and everything before it, everywhere and for ever.
//!
//! ∀ batches a, b that ever lay in any node's files: base(a) = base(b) ∧ epoch(a) = epoch(b) ⇒ a = b ∧ before(a) =
//! before(b), where *before* is the batch that ends where this one begins. By induction equal (offset, epoch) means equal
//! prefixes, at the cost of one look-up per new batch.
//!
//! Source: Raft, Log Matching; TLA+ `LogMatching` (which compares only committed prefixes).
//! It catches restarts as leader of the same epoch (KAFKA-10527), fetches answered without looking at the last epoch,
//! and divergence that is off by one.

use std::collections::BTreeMap;

use crate::check::{BatchMark, Interests, Ledger, MarkLog, Property, Seen, Violation};
use crate::ids::{Epoch, Offset};

/// See the module.
#[derive(Debug, Default)]
pub struct OffsetAndEpochIdentifyContent {
    /// What was written and is not, or not yet, committed as it is here.
    written: BTreeMap<(Offset, Epoch), Written>,
    /// So many batches from the start of what is committed need no entry of their own in `written`.
    settled: usize,
    /// Who wrote those first: from that index on, up to the next.
    settled_by: Vec<(usize, usize)>,
    compared: u64,
}

#[derive(Clone, Copy, Debug)]
struct Written {
    mark: BatchMark,
    before: Option<(Offset, Epoch)>,
    by: usize,
}

impl OffsetAndEpochIdentifyContent {
    fn check(&mut self, seen: &Seen<'_>, mark: BatchMark, before: Option<BatchMark>) -> Result<(), Violation> {
        let by = seen.observation.node;
        let before = before.map(|mark| (mark.base, mark.epoch));
        let key = (mark.base, mark.epoch);
        let Some(known) = self.known(seen.ledger, key) else {
            self.written.insert(key, Written { mark, before, by });
            return Ok(());
        };
        self.compared += 1;
        let (base, epoch) = key;
        if known.mark != mark {
            let message = format!(
                "offset {base} of epoch {epoch}: node {} has records up to {} with checksum {:08x}, node {by} up to {} with {:08x}",
                known.by, known.mark.end, known.mark.crc, mark.end, mark.crc
            );
            return self.fails(seen, message);
        }
        if known.before != before {
            let name = |before: Option<(Offset, Epoch)>| match before {
                Some((base, epoch)) => format!("{base}@{epoch}"),
                None => "nothing".into(),
            };
            let message = format!(
                "offset {base} of epoch {epoch} follows {} on node {} and {} on node {by}",
                name(known.before),
                known.by,
                name(before)
            );
            return self.fails(seen, message);
        }
        Ok(())
    }

    fn known(&self, ledger: &Ledger, key: (Offset, Epoch)) -> Option<Written> {
        self.written.get(&key).copied().or_else(|| {
            let (committed, (base, epoch)) = (ledger.committed(), key);
            let index = committed.find(base).filter(|&index| index < self.settled)?;
            let mark = Some(committed[index]).filter(|mark| mark.epoch == epoch)?;
            let above = self.settled_by.partition_point(|&(from, _)| from <= index);
            Some(Written { mark, before: before(committed, index), by: self.settled_by[above - 1].1 })
        })
    }

    /// Forgets what stands in the judge's books anyway, because it is committed.
    fn settle(&mut self, ledger: &Ledger) {
        let committed = ledger.committed();
        while let Some(mark) = committed.get(self.settled) {
            let key = (mark.base, mark.epoch);
            let same = |known: &&Written| known.mark == *mark && known.before == before(committed, self.settled);
            let Some(&Written { by, .. }) = self.written.get(&key).filter(same) else { return };
            self.written.remove(&key);
            if self.settled_by.last().is_none_or(|&(_, last)| last != by) {
                self.settled_by.push((self.settled, by));
            }
            self.settled += 1;
        }
    }
}

/// The batch before that of the index.
fn before(log: &MarkLog, index: usize) -> Option<(Offset, Epoch)> {
    index.checked_sub(1).map(|before| (log[before].base, log[before].epoch))
}

impl Property for OffsetAndEpochIdentifyContent {
    fn name(&self) -> &'static str {
        "offset_and_epoch_identify_content"
    }

    fn statement(&self) -> &'static str {
        "Batches of equal offset and epoch are equal, and so is all that precedes them (I3, Raft's Log Matching)."
    }

    fn interests(&self) -> Interests {
        Interests::LOG
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let Some(mirror) = seen.ledger.node(seen.observation.node) else { return Ok(()) };
        let mut before = mirror.kept.checked_sub(1).map(|index| mirror.log[index]);
        for mark in mirror.added().copied() {
            // The first batch of a log that was trimmed has a predecessor that this node does not know.
            if before.is_some() || mark.base == Offset::ZERO {
                self.check(seen, mark, before)?;
            }
            before = Some(mark);
        }
        self.settle(seen.ledger);
        Ok(())
    }

    fn entries(&self) -> usize {
        self.written.len()
    }

    fn exercised(&self) -> u64 {
        self.compared
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{Stage, mark};

    #[test]
    fn equal_logs_and_honest_divergence_are_fine() {
        let mut stage = Stage::of(OffsetAndEpochIdentifyContent::default(), 3);
        stage.node(0).write(&[mark(0, 1, 1), mark(1, 2, 1), mark(2, 3, 1)]);
        stage.step(0).unwrap();
        stage.node(1).write(&[mark(0, 1, 1), mark(1, 2, 1), mark(2, 3, 2)]);
        stage.step(1).unwrap();
        stage.node(0).truncate(2).write(&[mark(2, 3, 2)]);
        stage.step(0).unwrap();
        assert_eq!(stage.exercised(), 3);
    }

    #[test]
    fn same_place_and_epoch_but_other_bytes() {
        let mut stage = Stage::of(OffsetAndEpochIdentifyContent::default(), 3);
        stage.node(0).write(&[mark(0, 1, 1)]);
        stage.step(0).unwrap();
        stage.node(1).write(&[BatchMark { crc: 7, ..mark(0, 1, 1) }]);
        let violation = stage.step(1).unwrap_err();
        assert!(violation.message.starts_with("offset 0 of epoch 1: node 0 has"), "{violation}");
    }

    #[test]
    fn same_batch_behind_another_past() {
        let mut stage = Stage::of(OffsetAndEpochIdentifyContent::default(), 3);
        stage.node(0).write(&[mark(0, 1, 1), mark(1, 2, 3)]);
        stage.step(0).unwrap();
        stage.node(1).write(&[mark(0, 1, 2), mark(1, 2, 3)]);
        assert_eq!(stage.step(1).unwrap_err().message, "offset 1 of epoch 3 follows 0@1 on node 0 and 0@2 on node 1");
    }

    #[test]
    fn what_was_truncated_is_not_forgotten() {
        let mut stage = Stage::of(OffsetAndEpochIdentifyContent::default(), 3);
        stage.node(0).write(&[mark(0, 1, 4)]);
        stage.step(0).unwrap();
        stage.node(0).truncate(0);
        stage.step(0).unwrap();
        stage.node(0).write(&[BatchMark { crc: 9, ..mark(0, 1, 4) }]);
        assert!(stage.step(0).is_err());
    }
}
