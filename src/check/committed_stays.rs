//! I4: what is committed stays: same content on every node, never truncated, never missing from a later leader.
//!
//! Let C be the map offset → batch, filled from the disk of the node whose high watermark first passes it.
//! *State check*: every node's files agree with C below that node's high watermark. *Delta checks*: no running node
//! removes a batch of C from its files, and a node that went down loses none that was durable (unless a durable fault took
//! it); a node that becomes leader holds all of C that older epochs committed, and a leader what one of them commits late.
//!
//! Source: Raft, State Machine Safety and Leader Completeness; TLA+ `LeaderHasAllAckedValues`,
//! `NoLogDivergence`; Kafka's `ConsistentCommittedData`, which looks only at running nodes, only at the end.

use crate::check::{BatchMark, Damage, Interests, Ledger, Mirror, Observation, Property, Seen, Violation, What};
use crate::ids::{Epoch, Offset};
use crate::raft::view::RoleKind;

/// See the module.
#[derive(Debug, Default)]
pub struct CommittedStays {
    verified: Vec<Verified>,
    leader: Option<(usize, Epoch)>,
    compared: u64,
}

/// How far a node's files were compared with what is committed.
#[derive(Clone, Copy, Debug, Default)]
struct Verified {
    /// Batches from the front.
    batches: usize,
    /// The largest high watermark of this incarnation.
    high_watermark: Offset,
}

impl CommittedStays {
    /// State check: the node's files agree with C as far as its high watermark vouches for them.
    fn agree(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let node = seen.observation.node;
        let Some(mirror) = seen.ledger.node(node) else { return Ok(()) };
        let verified = &mut self.verified[node];
        while let Some(mark) = mirror.log.get(verified.batches).filter(|mark| mark.end <= verified.high_watermark) {
            // Above the books' end the high watermark is unbacked, which another property reports.
            let Some(committed) = seen.ledger.committed_at(mark.base) else { break };
            if committed != mark {
                let message = format!(
                    "offset {}: committed with epoch {} and checksum {:08x}, node {node} has epoch {} and {:08x} below its high watermark {}",
                    mark.base, committed.epoch, committed.crc, mark.epoch, mark.crc, verified.high_watermark
                );
                return self.fails(seen, message);
            }
            verified.batches += 1;
            self.compared += 1;
        }
        Ok(())
    }

    /// Delta check: nothing of C leaves a node's files.
    fn nothing_removed(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let Observation { node, disks, what, .. } = *seen.observation;
        let Some(mirror) = seen.ledger.node(node) else { return Ok(()) };
        self.verified[node].batches = self.verified[node].batches.min(mirror.kept);
        if disks.get(node).is_some_and(|disk| matches!(disk.damage, Damage::Wiped | Damage::Rotten)) {
            return Ok(());
        }
        // A node that runs removes only what it means to; one that lost its cache loses what was not synced.
        let removed = match what {
            What::Stepped { .. } => &mirror.removed[..],
            _ => &mirror.removed[..mirror.removed_durable.min(mirror.removed.len())],
        };
        // A replica of an older epoch may have a copy that nobody counted, and lose it to the leader of that epoch; what it
        // has itself known as committed it may never lose. It may have moved on since it decided to cut, but the disk
        // works in order: the epoch of that decision is the newest one in its files.
        let (epoch, known) =
            mirror.state.map_or((Epoch::ZERO, None), |state| (mirror.election.epoch, state.high_watermark));
        let is_committed = |mark: &&BatchMark| {
            seen.ledger.committed().find(mark.base).is_some_and(|index| {
                let is_binding =
                    seen.ledger.committed_in(index) <= epoch || known.is_some_and(|known| mark.base < known);
                seen.ledger.committed()[index] == **mark && is_binding
            })
        };
        let Some(mark) = removed.iter().find(is_committed) else { return Ok(()) };
        let message = format!("node {node} removed offset {} of epoch {}, which is committed", mark.base, mark.epoch);
        self.fails(seen, message)
    }

    /// Delta check: who becomes leader has all of C.
    fn leader_is_complete(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let node = seen.observation.node;
        let Some(mirror) = seen.ledger.node(node) else { return Ok(()) };
        let Some(state) = mirror.state.filter(|state| state.role == RoleKind::Leader) else {
            if self.leader.is_some_and(|(leader, _)| leader == node) {
                self.leader = None;
            }
            return Ok(());
        };
        let became = mirror.before.is_none_or(|before| before.role != RoleKind::Leader || before.epoch != state.epoch);
        if !became {
            return Ok(());
        }
        if self.leader.is_none_or(|(_, epoch)| epoch < state.epoch) {
            self.leader = Some((node, state.epoch));
        }
        self.compared += 1;
        let owed = first_missing(seen.ledger, mirror, state.epoch, 0);
        owed.map_or(Ok(()), |mark| self.lacks(seen, node, state.epoch, &mark))
    }

    /// Delta check: what an older epoch commits late lies in the newest leader's log all the same.
    fn late_commits_are_led(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let Some((leader, epoch)) = self.leader else { return Ok(()) };
        let Some(mirror) = seen.ledger.node(leader).filter(|mirror| mirror.state.is_some()) else { return Ok(()) };
        let owed = first_missing(seen.ledger, mirror, epoch, seen.ledger.committed_before());
        owed.map_or(Ok(()), |mark| self.lacks(seen, leader, epoch, &mark))
    }

    fn lacks(&self, seen: &Seen<'_>, leader: usize, epoch: Epoch, mark: &BatchMark) -> Result<(), Violation> {
        let BatchMark { base, epoch: of, .. } = mark;
        self.fails(
            seen,
            format!("node {leader} leads epoch {epoch} without offset {base} of epoch {of}, which is committed"),
        )
    }
}

/// The first batch, from that index on, that an epoch before `epoch` committed and the node does not hold. Logs that agree
/// in one batch agree below it (I3), so the search goes from the end to the first batch that is there. What a later epoch
/// committed is not owed: a vote that came late may make a leader of an epoch that is over.
fn first_missing(ledger: &Ledger, mirror: &Mirror, epoch: Epoch, from: usize) -> Option<BatchMark> {
    let committed = ledger.committed();
    let older = (from..committed.len()).rev().filter(|&index| ledger.committed_in(index) < epoch);
    older.map(|index| committed[index]).take_while(|mark| !mirror.holds(mark)).last()
}

impl Property for CommittedStays {
    fn name(&self) -> &'static str {
        "committed_stays"
    }

    fn statement(&self) -> &'static str {
        "What is committed never changes, is never truncated, and is in the log of every later leader (I4, Raft's State Machine Safety and Leader Completeness)."
    }

    fn interests(&self) -> Interests {
        Interests::LOG | Interests::HIGH_WATERMARK | Interests::COMMITTED | Interests::ELECTION | Interests::STARTED
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let node = seen.observation.node;
        if self.verified.len() <= node {
            self.verified.resize(node + 1, Verified::default());
        }
        if seen.kinds.overlap(Interests::STARTED) {
            self.verified[node].high_watermark = Offset::ZERO;
        }
        if seen.kinds.overlap(Interests::LOG) {
            self.nothing_removed(seen)?;
        }
        if let Some(state) = seen.ledger.node(node).and_then(|mirror| mirror.state) {
            let verified = &mut self.verified[node];
            verified.high_watermark = verified.high_watermark.max(state.high_watermark.unwrap_or_default());
        }
        self.agree(seen)?;
        if seen.kinds.overlap(Interests::ELECTION) {
            self.leader_is_complete(seen)?;
        }
        if seen.kinds.overlap(Interests::COMMITTED) {
            self.late_commits_are_led(seen)?;
        }
        Ok(())
    }

    fn exercised(&self) -> u64 {
        self.compared
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{Stage, mark};

    /// Nodes 0 and 1 hold and have committed two batches, node 2 has only the first.
    fn committed() -> Stage {
        let mut stage = Stage::of(CommittedStays::default(), 3);
        stage.node(2).write(&[mark(0, 1, 1)]).sync();
        stage.step(2).unwrap();
        for node in 0..2 {
            stage.node(node).write(&[mark(0, 1, 1), mark(1, 4, 1)]).sync().high_watermark(4);
            stage.step(node).unwrap();
        }
        stage
    }

    #[test]
    fn nodes_that_agree_are_fine() {
        let mut stage = committed();
        stage.node(2).write(&[mark(1, 4, 1)]).high_watermark(4);
        stage.step(2).unwrap();
        assert_eq!(stage.exercised(), 6);
    }

    #[test]
    fn other_content_below_a_high_watermark() {
        let mut stage = committed();
        stage.node(2).write(&[mark(1, 4, 2)]).high_watermark(4);
        assert!(stage.step(2).unwrap_err().message.contains("node 2 has epoch 2"));
    }

    #[test]
    fn other_content_above_the_own_high_watermark_may_yet_be_truncated() {
        let mut stage = committed();
        stage.node(2).write(&[mark(1, 4, 2)]).high_watermark(1);
        stage.step(2).unwrap();
        stage.node(2).truncate(1).write(&[mark(1, 4, 1)]).high_watermark(4);
        stage.step(2).unwrap();
    }

    #[test]
    fn committed_batches_are_not_truncated() {
        let mut stage = committed();
        stage.node(1).truncate(1);
        let violation = stage.step(1).unwrap_err();
        assert_eq!(violation.message, "node 1 removed offset 1 of epoch 1, which is committed");
    }

    #[test]
    fn a_power_loss_takes_what_was_not_durable() {
        let mut stage = committed();
        stage.node(2).write(&[mark(1, 4, 1)]);
        stage.step(2).unwrap();
        stage.node(2).truncate(1);
        stage.down(2).unwrap();
        stage.node(1).truncate(1);
        assert!(stage.down(1).is_err(), "but not what was");
    }

    #[test]
    fn a_leader_lacks_nothing() {
        assert!(committed().leads(2, 2).unwrap_err().message.contains("node 2 leads epoch 2 without offset 1"));
        committed().leads(1, 2).unwrap();
    }

    #[test]
    fn a_leader_of_an_epoch_that_is_over_owes_nothing_to_the_next_one() {
        let mut stage = Stage::of(CommittedStays::default(), 3);
        stage.node(0).write(&[mark(0, 1, 1), mark(1, 2, 3)]).sync();
        stage.leads(0, 3).unwrap();
        stage.node(0).high_watermark(2);
        stage.step(0).unwrap();
        stage.leads(1, 2).unwrap();
        assert!(stage.leads(2, 4).is_err());
    }

    #[test]
    fn what_an_old_leader_commits_late_is_known_to_the_new_one() {
        let mut stage = Stage::of(CommittedStays::default(), 3);
        stage.leads(2, 2).unwrap();
        stage.node(0).write(&[mark(0, 1, 1)]).sync().high_watermark(1);
        assert!(stage.step(0).unwrap_err().message.contains("node 2 leads epoch 2 without offset 0"));
    }
}
