//! The six roles, one struct each, and what a handler may say about the next one.
//!
//! A handler returns [`Next`]; only `transition.rs` makes it so. What a role does when nothing has arrived (timers, calls
//! that are due) is its `poll`, which runs at the end of every step until no role wants to change.

pub(super) mod campaign;
pub(super) mod candidate;
pub(super) mod fetching;
pub(super) mod follower;
pub(super) mod leader;
pub(super) mod prospective;
pub(super) mod resigned;
pub(super) mod unattached;

use crate::ids::{Endpoint, Epoch, ReplicaId, ReplicaKey};
use crate::raft::role::candidate::Candidate;
use crate::raft::role::follower::Follower;
use crate::raft::role::leader::Leader;
use crate::raft::role::prospective::Prospective;
use crate::raft::role::resigned::Resigned;
use crate::raft::role::unattached::Unattached;

/// What a replica is at the moment.
#[derive(Debug)]
pub(super) enum Role {
    Unattached(Unattached),
    Follower(Follower),
    Prospective(Prospective),
    Candidate(Candidate),
    /// Large, so on the heap; made once per leadership.
    Leader(Box<Leader>),
    Resigned(Resigned),
}

/// What a handler wants to happen to the role.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Stay,
    Become(Transition),
}

/// A change of role or of the vote. (Kafka: the `transitionTo…` methods of `QuorumState`.)
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Transition {
    /// To a later epoch, or back from a failed pre-vote in this one.
    Unattached {
        epoch: Epoch,
        leader: Option<ReplicaId>,
    },
    /// To a leader that can be reached.
    Follower {
        epoch: Epoch,
        leader: ReplicaId,
        endpoint: Endpoint,
    },
    /// Same role, same epoch, and a vote.
    Voted {
        candidate: ReplicaKey,
    },
    Prospective,
    Candidate,
    /// With those who granted, for the LEADER_CHANGE record.
    Leader {
        granting: Vec<ReplicaId>,
    },
    Resigned,
}
