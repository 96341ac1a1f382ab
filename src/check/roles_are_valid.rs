//! A role fits who the node is and what it knows.
//!
//! State check: only members of the voter set in force campaign or lead; a leader knows itself as leader; a candidate has
//! voted for itself; a node that recovers from missing synced data neither campaigns nor leads (R11), and grants no vote.
//!
//! Source: TLA+ `ValidRolesAndStates`, `StatesMatchRoles`; KAFKA-17067 (observers that campaign);
//! rule R11 of [`crate::raft`].

use crate::check::{Interests, Property, Seen, Violation, What};
use crate::raft::message::ResponseBody;
use crate::raft::view::{RoleKind, View};

/// See the module.
#[derive(Debug, Default)]
pub struct RolesAreValid {
    looked: u64,
}

fn is_valid(view: &View<'_>) -> Result<(), String> {
    let campaigns = matches!(view.role, RoleKind::Prospective | RoleKind::Candidate | RoleKind::Leader);
    let (role, epoch) = (view.role.name(), view.epoch);
    if campaigns && !view.voters.contains(view.key) {
        return Err(format!("is {role} in epoch {epoch} and not a voter"));
    }
    if campaigns && view.is_recovering {
        return Err(format!("is {role} in epoch {epoch} while it is recovering"));
    }
    if view.role == RoleKind::Leader && view.leader != Some(view.key.id) {
        return Err(format!("leads epoch {epoch} and believes that {:?} does", view.leader));
    }
    if view.role == RoleKind::Candidate && view.vote.map(|key| key.id) != Some(view.key.id) {
        return Err(format!("is a candidate in epoch {epoch} and voted for {:?}", view.vote));
    }
    if view.role == RoleKind::Follower && view.leader.is_none_or(|leader| leader == view.key.id) {
        return Err(format!("follows {:?} in epoch {epoch}", view.leader));
    }
    Ok(())
}

impl Property for RolesAreValid {
    fn name(&self) -> &'static str {
        "roles_are_valid"
    }

    fn statement(&self) -> &'static str {
        "Only voters that are not recovering campaign, vote and lead, and a role fits the known leader and vote (TLA+ ValidRolesAndStates, R11)."
    }

    fn interests(&self) -> Interests {
        Interests::ELECTION | Interests::ANSWERED
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let node = seen.observation.node;
        let judged = match seen.observation.what {
            What::Stepped { view } | What::Started { view, .. } => is_valid(&view),
            What::Answered { response, .. } if response.body == (ResponseBody::Vote { granted: true }) => {
                match seen.ledger.node(node).and_then(|mirror| mirror.state) {
                    Some(state) if state.is_recovering => Err("grants a vote while it is recovering".to_owned()),
                    _ => Ok(()),
                }
            }
            _ => return Ok(()),
        };
        self.looked += 1;
        judged.or_else(|lie| self.fails(seen, format!("node {node} {lie}")))
    }

    fn exercised(&self) -> u64 {
        self.looked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{Stage, answer, key, vote};

    #[test]
    fn an_observer_may_only_watch() {
        let mut stage = Stage::of(RolesAreValid::default(), 3);
        let observer = stage.observer();
        stage.follows(observer, 0, 1).unwrap();
        assert!(stage.is(observer, RoleKind::Prospective, 1).unwrap_err().message.ends_with("and not a voter"));
    }

    #[test]
    fn a_recovering_voter_neither_campaigns_nor_votes() {
        let mut stage = Stage::of(RolesAreValid::default(), 3);
        stage.node(1).is_recovering = true;
        stage.is(1, RoleKind::Unattached, 1).unwrap();
        let granted = answer(1, None, ResponseBody::Vote { granted: true });
        assert!(stage.answer(1, &vote(2, 1, (0, 0)), &granted).is_err());
        assert!(stage.is(1, RoleKind::Prospective, 1).is_err());
    }

    #[test]
    fn a_candidate_votes_for_itself() {
        let mut stage = Stage::of(RolesAreValid::default(), 3);
        stage.node(1).vote = Some(key(1));
        stage.is(1, RoleKind::Candidate, 1).unwrap();
        stage.node(1).vote = Some(key(2));
        assert!(stage.is(1, RoleKind::Candidate, 2).is_err());
    }
}
