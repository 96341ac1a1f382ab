//! I6: when a high watermark passes a record, a majority of the voters holds that record durably.
//!
//! At the first moment when any node's high watermark passes x: |{v ∈ voters in force on that node : every legal image of
//! v's disk after a power loss holds the committed batches below x}| ≥ n/2 + 1. Judged from platters, with content, not
//! from anybody's cursor. A disk that a durable fault took away counts until its node is started again: its fetches may
//! rightly be under way.
//!
//! Source: Kafka's `MajorityReachedHighWatermark`, which counts unflushed and diverged logs;
//! TLA+ `CommittedEntriesReachMajority`.

use crate::check::{BatchMark, Interests, Property, Seen, Violation, What};

/// See the module.
#[derive(Debug, Default)]
pub struct CommittedIsDurableOnMajority {
    /// The voters in force at the last commit that a look showed.
    voters: Vec<usize>,
    judged: u64,
}

impl Property for CommittedIsDurableOnMajority {
    fn name(&self) -> &'static str {
        "committed_is_durable_on_majority"
    }

    fn statement(&self) -> &'static str {
        "When a high watermark passes a record, a majority of the voters in force holds it durably, read from their platters (I6)."
    }

    fn interests(&self) -> Interests {
        Interests::COMMITTED
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let node = seen.observation.node;
        if let Some(to) = seen.ledger.unbacked() {
            let next = seen.ledger.committed_end();
            let message =
                format!("high watermark of node {node} is {to}, but no disk holds a whole batch from {next} up to it");
            return self.fails(seen, message);
        }
        if let What::Stepped { view } | What::Started { view, .. } = seen.observation.what {
            self.voters.clear();
            self.voters.extend(view.voters.iter().map(|voter| voter.key.id.0 as usize));
        }
        for mark in seen.ledger.freshly_committed() {
            self.judged += 1;
            let holders: Vec<usize> = self.voters.iter().copied().filter(|&voter| holds(seen, voter, mark)).collect();
            if holders.len() * 2 <= self.voters.len() && !self.voters.is_empty() {
                let message = format!(
                    "node {node} commits offset {} of epoch {}, durable on {} of {} voters {holders:?}",
                    mark.base,
                    mark.epoch,
                    holders.len(),
                    self.voters.len()
                );
                return self.fails(seen, message);
            }
        }
        Ok(())
    }

    fn exercised(&self) -> u64 {
        self.judged
    }
}

fn holds(seen: &Seen<'_>, voter: usize, mark: &BatchMark) -> bool {
    let Some(disk) = seen.observation.disks.get(voter) else { return false };
    disk.durable_at(mark.base).as_ref() == Some(mark)
        || seen.ledger.node(voter).is_some_and(|mirror| mirror.lost(mark, disk))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{Stage, mark};
    use crate::ids::Offset;
    use crate::raft::note::Note;

    fn three_voters() -> Stage {
        let mut stage = Stage::of(CommittedIsDurableOnMajority::default(), 3);
        for node in 0..2 {
            stage.node(node).write(&[mark(0, 1, 1), mark(1, 4, 1)]);
            stage.step(node).unwrap();
        }
        stage
    }

    #[test]
    fn a_majority_that_synced_is_enough() {
        let mut stage = three_voters();
        stage.node(0).sync();
        stage.node(1).sync();
        stage.node(0).high_watermark(4);
        stage.step(0).unwrap();
        assert_eq!(stage.exercised(), 2);
    }

    #[test]
    fn written_is_not_durable() {
        let mut stage = three_voters();
        stage.node(0).sync();
        stage.node(0).high_watermark(1);
        let violation = stage.step(0).unwrap_err();
        assert_eq!(violation.message, "node 0 commits offset 0 of epoch 1, durable on 1 of 3 voters [0]");
    }

    #[test]
    fn what_only_a_note_tells_is_judged_like_the_rest() {
        let mut stage = three_voters();
        stage.node(0).sync().high_watermark(1);
        stage.node(1).sync();
        stage.step(0).unwrap();
        stage.node(0).write(&[mark(4, 5, 1)]).sync();
        stage.step(0).unwrap();
        let note = Note::HighWatermark { to: Offset(5) };
        assert!(stage.see(0, What::Noted(&note)).unwrap_err().message.ends_with("durable on 1 of 3 voters [0]"));
    }

    #[test]
    fn other_content_at_the_offset_does_not_count() {
        let mut stage = Stage::of(CommittedIsDurableOnMajority::default(), 3);
        stage.node(0).write(&[mark(0, 1, 1)]).sync();
        stage.node(1).write(&[mark(0, 1, 2)]).sync();
        stage.node(0).high_watermark(1);
        assert!(stage.step(0).is_err());
    }

    #[test]
    fn a_leader_may_commit_what_only_its_followers_have_written() {
        let mut stage = Stage::of(CommittedIsDurableOnMajority::default(), 3);
        stage.node(1).write(&[mark(0, 1, 1)]).sync();
        stage.node(2).write(&[mark(0, 1, 1)]).sync();
        stage.node(0).high_watermark(1);
        stage.step(0).unwrap();
        assert_eq!(stage.exercised(), 1);
    }

    #[test]
    fn the_tail_of_a_leader_that_was_cut_off_is_not_what_its_successor_commits() {
        let mut stage = Stage::of(CommittedIsDurableOnMajority::default(), 5);
        stage.node(0).write(&[mark(0, 1, 1)]).sync();
        for node in 2..5 {
            stage.node(node).write(&[mark(0, 1, 2)]).sync();
        }
        stage.node(1).high_watermark(1);
        stage.step(1).unwrap();
    }

    #[test]
    fn a_high_watermark_inside_a_batch_commits_nothing_whole() {
        let mut stage = three_voters();
        stage.node(0).sync();
        stage.node(1).sync();
        stage.node(0).high_watermark(2);
        assert!(stage.step(0).unwrap_err().message.contains("no disk holds a whole batch from 1"));
    }

    #[test]
    fn a_wiped_disk_still_vouches_for_the_fetch_that_is_under_way() {
        let mut stage = three_voters();
        stage.node(0).sync();
        stage.node(1).sync();
        stage.step(1).unwrap();
        stage.down(1).unwrap();
        stage.node(1).wipe();
        stage.node(0).high_watermark(1);
        stage.step(0).unwrap();
        stage.down(1).unwrap();
        stage.node(0).high_watermark(4);
        stage.step(0).unwrap();
    }

    #[test]
    fn a_wiped_disk_vouches_no_more_once_its_node_is_back() {
        let mut stage = three_voters();
        stage.node(0).sync();
        stage.node(1).sync();
        stage.step(1).unwrap();
        stage.down(1).unwrap();
        stage.node(1).wipe();
        stage.start(1).unwrap();
        stage.node(0).high_watermark(4);
        assert!(stage.step(0).is_err());
    }
}
