//! I11: leadership is announced once per epoch, by the node that leads, when the epoch's first record is committed.
//!
//! When a node notes `Leads {e, s}`: nobody has before, for e; the node leads e; and the committed batch at s begins there
//! and is of epoch e (its LEADER_CHANGE). Earlier, an announced leader might not know all that was acknowledged.
//!
//! A look shows a node after its step. In one step a leader may commit, announce itself, find that no majority fetches any
//! more, and resign; so it leads if it does at this look or did at the one before, and has not noted that it became
//! something else.
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
    /// In which epoch a node noted that it became something else than a leader, where that was its last such note.
    left: BTreeMap<usize, Epoch>,
}

impl LeadershipAnnouncedOnce {
    fn judge(&mut self, seen: &Seen<'_>, epoch: Epoch, start: Offset) -> Result<(), String> {
        let node = seen.observation.node;
        if let Some(by) = self.announced.insert(epoch, node) {
            return Err(format!("which node {by} has announced before"));
        }
        let looks = seen.ledger.node(node).map(|mirror| [mirror.state, mirror.before]).unwrap_or_default();
        let leads = looks.into_iter().flatten().any(|state| state.role == RoleKind::Leader && state.epoch == epoch);
        let has_left = self.left.get(&node).is_some_and(|left| *left >= epoch);
        if !leads || has_left {
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
        let node = seen.observation.node;
        let (epoch, start) = match seen.observation.what {
            What::Noted(Note::Became { role: RoleKind::Leader, .. }) => {
                self.left.remove(&node);
                return Ok(());
            }
            What::Noted(Note::Became { epoch, .. }) => {
                self.left.insert(node, *epoch);
                return Ok(());
            }
            What::Noted(Note::Leads { epoch, start }) => (*epoch, *start),
            _ => return Ok(()),
        };
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
