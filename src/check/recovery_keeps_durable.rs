//! Recovery keeps what was durable, adds nothing that was never written, and claims no more than the platter vouches for.
//!
//! For every start, and for every audit (the real recovery run over a copy of one image that a power loss could leave):
//! with `disk` what every such image would hold,
//! - the recovered log reaches the end of what is durable, and the newest batches agree with it;
//! - it ends no later than any log that lay there, and every batch it kept was once written;
//! - `flushed` is at most the durable end (R12), and synced data is reported missing (R11) exactly when a durable fault
//!   took some;
//! - after a stop that was asked for, all of the log is called flushed, and nothing is cut;
//! - the recovered quorum-state is at least the durable one.
//!
//! Source: rules R11 and R12 of [`crate::raft`]; `UnifiedLog`'s recovery, where Java's recovery can lose committed
//! data silently.

use std::collections::BTreeSet;

use crate::check::{BatchMark, Damage, DiskView, Interests, Ledger, Observation, Property, Seen, Violation, What};
use crate::ids::{Epoch, Offset};
use crate::log::Recovered;
use crate::record::RecordBatch;

/// See the module.
#[derive(Debug, Default)]
pub struct RecoveryKeepsDurable {
    /// What was written, unless it is committed: that stands in the judge's books.
    written: BTreeSet<(Offset, Offset, Epoch, u32)>,
    /// So many committed batches were taken out.
    settled: usize,
    /// Nodes that stopped of their own accord and have not started since.
    closed: BTreeSet<usize>,
    recoveries: u64,
}

impl RecoveryKeepsDurable {
    fn judge(&self, ledger: &Ledger, disk: &DiskView<'_>, recovered: &Recovered) -> Result<(), String> {
        let durable_end = disk.durable_end();
        if disk.damage == Damage::Wiped {
            // What a wipe left is anybody's guess; only inventions are still wrong.
            return self.was_written(ledger, disk, &recovered.tail);
        }
        if recovered.end < durable_end {
            let cuts: Vec<&str> = recovered.cuts.iter().map(|cut| cut.reason.as_str()).collect();
            return Err(format!("kept offsets up to {}, {durable_end} is durable; cuts: {cuts:?}", recovered.end));
        }
        if recovered.flushed > durable_end {
            let flushed = recovered.flushed;
            return Err(format!("calls {flushed} flushed, another power loss would keep {durable_end}"));
        }
        if let Some(epoch) = recovered.recovering.filter(|_| disk.damage == Damage::None) {
            return Err(format!("found synced data missing (recovering above epoch {epoch}), and none is"));
        }
        if disk.damage == Damage::Rotten && recovered.recovering.is_none() {
            return Err("does not notice that synced data is missing".to_owned());
        }
        durable_is_kept(disk, &recovered.tail)?;
        self.was_written(ledger, disk, &recovered.tail)?;
        election_is_kept(disk, recovered)
    }

    /// Whoever closed its log knows how far it is durable.
    fn remembers_its_stop(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        let Observation { node, disks, what, .. } = *seen.observation;
        let recovered = match what {
            What::Closed => {
                self.closed.insert(node);
                return Ok(());
            }
            What::Started { recovered, .. } if self.closed.remove(&node) => recovered,
            _ => return Ok(()),
        };
        let is_hurt = disks.get(node).is_none_or(|disk| disk.damage != Damage::None) || recovered.recovering.is_some();
        let (flushed, end) = (recovered.flushed, recovered.end);
        match is_hurt || (flushed == end && recovered.cuts.is_empty()) {
            true => Ok(()),
            false => Err(format!("calls {flushed} of {end} flushed after a stop that was asked for")),
        }
    }

    fn was_written(&self, ledger: &Ledger, disk: &DiskView<'_>, tail: &[RecordBatch]) -> Result<(), String> {
        let mut guess = 0;
        let mut is_known = |mark: &BatchMark| {
            let found = disk.log.find_near(guess, mark.base);
            guess = found.map_or(guess, |index| index + 1);
            found.is_some_and(|index| disk.log[index] == *mark)
                || ledger.committed().at(mark.base).as_ref() == Some(mark)
                || self.written.contains(&entry(mark))
        };
        match tail.iter().map(BatchMark::of).find(|mark| !is_known(mark)) {
            Some(mark) => Err(format!("kept offset {} of epoch {}, which was never written", mark.base, mark.epoch)),
            None => Ok(()),
        }
    }
}

fn entry(mark: &BatchMark) -> (Offset, Offset, Epoch, u32) {
    (mark.base, mark.end, mark.epoch, mark.crc)
}

/// The recovered batches are the durable ones, as far as those go.
fn durable_is_kept(disk: &DiskView<'_>, tail: &[RecordBatch]) -> Result<(), String> {
    let durable_end = disk.durable_end();
    let mut guess = 0;
    for mark in tail.iter().map(BatchMark::of).take_while(|mark| mark.base < durable_end) {
        let Some(index) = disk.log.find_near(guess, mark.base).filter(|&index| index < disk.durable) else {
            return Err(format!("has a batch at {}, where the durable log has none", mark.base));
        };
        let kept = disk.log[index];
        guess = index + 1;
        if kept != mark {
            return Err(format!("has epoch {} at offset {}, durable is epoch {}", mark.epoch, mark.base, kept.epoch));
        }
    }
    Ok(())
}

fn election_is_kept(disk: &DiskView<'_>, recovered: &Recovered) -> Result<(), String> {
    let Some(durable) = disk.quorum else { return Ok(()) };
    let Some(kept) = &recovered.quorum else {
        return Err(format!("lost the quorum-state of epoch {}", durable.epoch));
    };
    let is_older = kept.epoch < durable.epoch
        || kept.epoch == durable.epoch && durable.vote.is_some() && kept.vote != durable.vote && kept.leader.is_none();
    match is_older {
        true => Err(format!("has quorum-state epoch {} vote {:?}, durable is {durable:?}", kept.epoch, kept.vote)),
        false => Ok(()),
    }
}

impl BatchMark {
    /// The mark of a batch.
    pub fn of(batch: &RecordBatch) -> BatchMark {
        BatchMark { base: batch.base_offset(), end: batch.end(), epoch: batch.leader_epoch(), crc: batch.header.crc }
    }
}

impl Property for RecoveryKeepsDurable {
    fn name(&self) -> &'static str {
        "recovery_keeps_durable"
    }

    fn statement(&self) -> &'static str {
        "Recovery of any image a power loss can leave keeps all that was durable and invents nothing (R11 and R12)."
    }

    fn interests(&self) -> Interests {
        Interests::STARTED | Interests::AUDITED | Interests::LOG | Interests::CLOSED
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let Observation { node, disks, what, .. } = *seen.observation;
        let judged = match (what, disks.get(node)) {
            (What::Started { recovered, .. } | What::Audited { recovered }, Some(disk)) => {
                self.recoveries += 1;
                self.judge(seen.ledger, disk, recovered)
            }
            _ => Ok(()),
        };
        let judged = judged.and_then(|()| self.remembers_its_stop(seen));
        judged.or_else(|lie| self.fails(seen, format!("recovery of node {node} {lie}")))?;
        if let Some(mirror) = seen.ledger.node(node).filter(|_| seen.kinds.overlap(Interests::LOG)) {
            let committed = seen.ledger.committed();
            let is_new = |mark: &&BatchMark| committed.at(mark.base).as_ref() != Some(*mark);
            self.written.extend(mirror.added().filter(is_new).map(entry));
            for mark in committed.iter_from(self.settled) {
                self.written.remove(&entry(mark));
            }
            self.settled = committed.len();
        }
        Ok(())
    }

    fn entries(&self) -> usize {
        self.written.len()
    }

    fn exercised(&self) -> u64 {
        self.recoveries
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{Stage, batch, mark};

    fn stage() -> Stage {
        let mut stage = Stage::of(RecoveryKeepsDurable::default(), 1);
        stage.node(0).write(&[mark(0, 3, 1), mark(3, 6, 1)]).sync().persist(1, Some(0), None);
        stage.step(0).unwrap();
        stage
    }

    #[test]
    fn a_faithful_recovery() {
        let mut stage = stage();
        stage.start(0).unwrap();
        assert_eq!(stage.exercised(), 1);
    }

    #[test]
    fn a_recovery_that_cuts_synced_batches() {
        let mut stage = stage();
        let recovered = Recovered { end: Offset(3), flushed: Offset(3), ..stage.node(0).recovered() };
        let violation = stage.see(0, What::Audited { recovered: &recovered }).unwrap_err();
        assert!(violation.message.contains("kept offsets up to 3, 6 is durable"));
    }

    #[test]
    fn a_recovery_that_calls_the_cache_flushed() {
        let mut stage = stage();
        stage.node(0).write(&[mark(6, 7, 1)]);
        let recovered = Recovered { end: Offset(7), flushed: Offset(7), ..stage.node(0).recovered() };
        assert!(stage.start_with(0, &recovered).is_err());
    }

    #[test]
    fn a_recovery_that_forgets_a_stop() {
        let closed = |flushed: u64| {
            let mut stage = stage();
            stage.see(0, What::Closed).unwrap();
            stage.down(0).unwrap();
            let recovered = Recovered { flushed: Offset(flushed), ..stage.node(0).recovered() };
            stage.start_with(0, &recovered)
        };
        closed(6).unwrap();
        assert!(closed(3).unwrap_err().message.ends_with("calls 3 of 6 flushed after a stop that was asked for"));
    }

    #[test]
    fn a_recovery_that_invents() {
        let mut stage = stage();
        let invented = batch(6, 2, &[99]);
        let recovered = Recovered { end: Offset(7), tail: vec![invented], ..stage.node(0).recovered() };
        let violation = stage.start_with(0, &recovered).unwrap_err();
        assert!(violation.message.ends_with("kept offset 6 of epoch 2, which was never written"));
    }

    #[test]
    fn a_recovery_that_does_not_notice_rot() {
        let mut stage = stage();
        stage.node(0).truncate(1).damage = Damage::Rotten;
        assert!(stage.start(0).unwrap_err().message.ends_with("does not notice that synced data is missing"));
        let mut stage = self::stage();
        stage.node(0).truncate(1).damage = Damage::Rotten;
        let noticed = Recovered { recovering: Some(Epoch(1)), ..stage.node(0).recovered() };
        stage.start_with(0, &noticed).unwrap();
    }

    #[test]
    fn a_recovery_that_forgets_a_vote() {
        let mut stage = stage();
        let mut recovered = stage.node(0).recovered();
        recovered.quorum.as_mut().expect("a quorum-state was persisted").epoch = Epoch(0);
        assert!(stage.start_with(0, &recovered).is_err());
    }
}
