//! A leader's high watermark moves only onto records of its own epoch.
//!
//! Delta check: when the high watermark of a node that leads epoch e moves to h, the batch that ends at h is of epoch e.
//! Records of older epochs commit with it, never alone: a majority that holds them may still be overruled by a leader
//! with a later last epoch (figure 8 of the Raft paper). Most seeds never build that figure; this sees the first step.
//!
//! Source: Raft §5.4.2; KAFKA-12619.

use crate::check::{Interests, Property, Seen, Violation};
use crate::raft::view::RoleKind;

/// See the module.
#[derive(Debug, Default)]
pub struct LeaderCommitsOwnEpoch {
    moves: u64,
}

impl Property for LeaderCommitsOwnEpoch {
    fn name(&self) -> &'static str {
        "leader_commits_own_epoch"
    }

    fn statement(&self) -> &'static str {
        "A leader's high watermark moves only onto a record of its own epoch (Raft 5.4.2, KAFKA-12619)."
    }

    fn interests(&self) -> Interests {
        Interests::HIGH_WATERMARK
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let node = seen.observation.node;
        let Some(mirror) = seen.ledger.node(node) else { return Ok(()) };
        let Some(state) = mirror.state.filter(|state| state.role == RoleKind::Leader) else { return Ok(()) };
        let before = mirror.before.and_then(|before| before.high_watermark);
        let Some(to) = state.high_watermark.filter(|&to| before.is_none_or(|before| to > before)) else {
            return Ok(());
        };
        let committed = seen.ledger.committed();
        let Some(mark) = committed.find_end(to).map(|index| committed[index]) else { return Ok(()) };
        self.moves += 1;
        if mark.epoch == state.epoch {
            return Ok(());
        }
        let (epoch, of) = (state.epoch, mark.epoch);
        self.fails(seen, format!("node {node} leads epoch {epoch} and commits up to {to}, which is of epoch {of}"))
    }

    fn exercised(&self) -> u64 {
        self.moves
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{Stage, mark};

    #[test]
    fn older_records_commit_with_one_of_the_own_epoch() {
        let mut stage = Stage::of(LeaderCommitsOwnEpoch::default(), 3);
        stage.node(0).write(&[mark(0, 1, 1), mark(1, 2, 3)]).sync();
        stage.leads(0, 3).unwrap();
        stage.node(0).high_watermark(2);
        stage.step(0).unwrap();
        assert_eq!(stage.exercised(), 1);
    }

    #[test]
    fn older_records_alone_do_not() {
        let mut stage = Stage::of(LeaderCommitsOwnEpoch::default(), 3);
        stage.node(0).write(&[mark(0, 1, 1), mark(1, 2, 3)]).sync();
        stage.leads(0, 3).unwrap();
        stage.node(0).high_watermark(1);
        assert!(stage.step(0).unwrap_err().message.ends_with("commits up to 1, which is of epoch 1"));
    }

    #[test]
    fn a_follower_takes_what_it_is_told() {
        let mut stage = Stage::of(LeaderCommitsOwnEpoch::default(), 3);
        stage.follows(0, 1, 3).unwrap();
        stage.node(0).write(&[mark(0, 1, 1)]).high_watermark(1);
        stage.step(0).unwrap();
    }
}
