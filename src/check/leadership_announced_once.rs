//! I11: leadership is announced once per epoch, by the node that leads, when the epoch's first record is committed.
//!
//! When a node notes `Leads {e, s}`: nobody has before, for e; the node leads e; and the committed batch at s begins there
//! and is of epoch e (its LEADER_CHANGE). Earlier, an announced leader might not know all that was acknowledged.
//!
//! Source: Kafka's `RaftClient.Listener.handleLeaderChange` ( fired when the listener reached
//! the epoch start offset); KAFKA-17333 (a resigned node that announces itself).

use std::collections::BTreeMap;

use crate::check::{Interests, Property, Seen, Violation, What};
use crate::ids::{Epoch, Offset};
use crate::raft::note::Note;
use crate::raft::view::RoleKind;

/// See the module.
#[derive(Debug, Default)]
pub struct LeadershipAnnouncedOnce {
    announced: BTreeMap<Epoch, usize>,
}

impl LeadershipAnnouncedOnce {
    fn judge(&mut self, seen: &Seen<'_>, epoch: Epoch, start: Offset) -> Result<(), String> {
        let node = seen.observation.node;
        if let Some(by) = self.announced.insert(epoch, node) {
            return Err(format!("which node {by} has announced before"));
        }
        let state = seen.ledger.node(node).and_then(|mirror| mirror.state);
        if !state.is_some_and(|state| state.role == RoleKind::Leader && state.epoch == epoch) {
            return Err("and does not lead it".into());
        }
        match seen.ledger.committed_at(start) {
            None => Err(format!("which begins at {start}, and only {} is committed", seen.ledger.committed_end())),
            Some(mark) if mark.epoch != epoch || mark.base != start => {
                Err(format!("which begins at {start}, where epoch {} is committed", mark.epoch))
            }
            Some(_) => Ok(()),
        }
    }
}

impl Property for LeadershipAnnouncedOnce {
    fn name(&self) -> &'static str {
        "leadership_announced_once"
    }

    fn statement(&self) -> &'static str {
        "Leadership of an epoch is announced once, by its leader, after the epoch's first record is committed (I11)."
    }

    fn interests(&self) -> Interests {
        Interests::NOTED
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let What::Noted(&Note::Leads { epoch, start }) = seen.observation.what else { return Ok(()) };
        let node = seen.observation.node;
        self.judge(seen, epoch, start)
            .or_else(|lie| self.fails(seen, format!("node {node} announces that it leads epoch {epoch}, {lie}")))
    }

    fn exercised(&self) -> u64 {
        self.announced.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{Stage, mark};

    fn elected() -> Stage {
        let mut stage = Stage::of(LeadershipAnnouncedOnce::default(), 3);
        stage.node(0).write(&[mark(0, 1, 4)]).sync();
        stage.leads(0, 4).unwrap();
        stage
    }

    const LEADS: Note = Note::Leads { epoch: Epoch(4), start: Offset(0) };

    #[test]
    fn once_and_after_commit() {
        let mut stage = elected();
        stage.node(0).high_watermark(1);
        stage.step(0).unwrap();
        stage.note(0, LEADS).unwrap();
        assert!(stage.note(0, LEADS).unwrap_err().message.ends_with("which node 0 has announced before"));
    }

    #[test]
    fn not_before_commit() {
        assert!(elected().note(0, LEADS).unwrap_err().message.contains("only 0 is committed"));
    }

    #[test]
    fn only_by_the_leader() {
        let mut stage = elected();
        stage.node(0).high_watermark(1);
        stage.step(0).unwrap();
        assert!(stage.note(1, LEADS).unwrap_err().message.ends_with("and does not lead it"));
    }
}
