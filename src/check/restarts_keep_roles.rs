//! A node that starts is what its quorum-state file says, no more and no less.
//!
//! At every start, with (epoch, leader, vote) as recovery read them:
//! - where the log knows a later epoch than the file, that epoch is over: no leader, no vote;
//! - otherwise the epoch and the vote are those of the file, and
//!   - whoever led the epoch is resigned, whoever voted for itself a candidate, whoever followed somebody follows it, and
//!     whoever did nothing of all that waits;
//!   - whoever recovers from missing synced data (R11) neither campaigns nor leads.
//!
//! A lone voter goes on at once, so its first look proves nothing. That nobody leads again what it led is the business of
//! `leaders_are_elected`.
//!
//! Source: Kafka's `QuorumState.initialize`; KAFKA-10527.

use crate::check::{Interests, Property, Seen, Violation, What};
use crate::ids::{Epoch, ReplicaId};
use crate::log::Recovered;
use crate::raft::view::{RoleKind, View};

/// See the module.
#[derive(Debug, Default)]
pub struct RestartsKeepRoles {
    starts: u64,
}

fn keeps(view: &View<'_>, recovered: &Recovered) -> Result<(), String> {
    let file = recovered.quorum.as_ref();
    let (epoch, leader) = file.map_or((Epoch::ZERO, None), |file| (file.epoch, file.leader));
    let vote = file.and_then(|file| file.vote).map(|key| key.id);
    let (own, last) = (view.key.id, recovered.epochs.last().map_or(Epoch::ZERO, |last| last.epoch));
    let found = (view.epoch, view.leader, view.vote.map(|key| key.id), view.role.name());
    let says = format!("epoch {epoch}, leader {leader:?}, vote {vote:?}, last record of epoch {last}");
    if epoch < last {
        let is_over = found == (last, None, None, RoleKind::Unattached.name());
        return is_over.then_some(()).ok_or_else(|| format!("starts as {found:?}, and its disk says {says}"));
    }
    let is_known = |leader: ReplicaId| view.voters.find(leader).is_some();
    let role = match (leader, vote) {
        _ if view.is_recovering => match leader.filter(|leader| *leader != own && is_known(*leader)) {
            Some(_) => RoleKind::Follower,
            None => RoleKind::Unattached,
        },
        (Some(leader), _) if leader == own => RoleKind::Resigned,
        (_, Some(vote)) if vote == own && view.voters.contains(view.key) => RoleKind::Candidate,
        (Some(leader), _) if is_known(leader) => RoleKind::Follower,
        _ => RoleKind::Unattached,
    };
    let is_kept = view.role == role || view.role == RoleKind::Leader;
    let is_followed = view.role != RoleKind::Follower || view.leader == leader;
    let is_kept = is_kept && is_followed && view.epoch == epoch && found.2 == vote;
    is_kept.then_some(()).ok_or_else(|| format!("starts as {found:?}, and its disk says {says}"))
}

impl Property for RestartsKeepRoles {
    fn name(&self) -> &'static str {
        "restarts_keep_roles"
    }

    fn statement(&self) -> &'static str {
        "A node starts in the epoch, with the vote and in the role that its quorum-state tells (QuorumState.initialize)."
    }

    fn interests(&self) -> Interests {
        Interests::STARTED
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let What::Started { view, recovered } = seen.observation.what else { return Ok(()) };
        if view.voters.len() == 1 {
            return Ok(());
        }
        self.starts += 1;
        let node = seen.observation.node;
        keeps(&view, recovered).or_else(|lie| self.fails(seen, format!("node {node} {lie}")))
    }

    fn exercised(&self) -> u64 {
        self.starts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::Stage;

    /// Node 1 starts as `role` of epoch 4, and its file says so much.
    fn starts(role: RoleKind, leader: Option<u32>, vote: Option<u32>) -> Result<(), Violation> {
        let mut stage = Stage::of(RestartsKeepRoles::default(), 3);
        stage.node(1).persist(4, leader, vote);
        stage.node(1).role = role;
        stage.node(1).epoch = Epoch(4);
        stage.node(1).leader = leader.map(ReplicaId);
        stage.node(1).vote = vote.map(crate::check::fixture::key);
        stage.start(1)
    }

    #[test]
    fn the_role_follows_from_the_file() {
        starts(RoleKind::Unattached, None, Some(2)).unwrap();
        starts(RoleKind::Follower, Some(2), None).unwrap();
        starts(RoleKind::Candidate, None, Some(1)).unwrap();
        starts(RoleKind::Resigned, Some(1), None).unwrap();
    }

    #[test]
    fn who_follows_somebody_else_is_found() {
        let mut stage = Stage::of(RestartsKeepRoles::default(), 3);
        stage.node(1).persist(4, Some(2), None);
        (stage.node(1).role, stage.node(1).epoch) = (RoleKind::Follower, Epoch(4));
        stage.node(1).leader = Some(ReplicaId(0));
        assert!(stage.start(1).is_err());
    }

    #[test]
    fn another_role_does_not() {
        assert!(starts(RoleKind::Unattached, None, Some(1)).is_err());
        assert!(starts(RoleKind::Unattached, Some(2), None).is_err());
        assert!(starts(RoleKind::Follower, Some(1), None).is_err());
    }

    #[test]
    fn a_vote_that_is_forgotten() {
        let mut stage = Stage::of(RestartsKeepRoles::default(), 3);
        stage.node(1).persist(4, None, Some(2)).epoch = Epoch(4);
        assert!(stage.start(1).unwrap_err().message.contains("vote Some(ReplicaId(2))"));
    }
}
