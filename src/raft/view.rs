//! How a replica looks from outside: everything for checkers ([`View`]), the durable part for frames ([`Published`]).

use crate::ids::{Endpoint, Epoch, Offset, ReplicaId, ReplicaKey};
use crate::raft::VoterSet;
use crate::time::Timestamp;

/// Which of the six roles. (Kafka: `EpochState`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RoleKind {
    /// No known way to follow; may have voted.
    Unattached,
    /// Fetches from a leader.
    Follower,
    /// Asks whether an election would succeed (KIP-996).
    Prospective,
    /// Asks for votes.
    Candidate,
    /// Leads.
    Leader,
    /// Led, and leaves.
    Resigned,
}

impl RoleKind {
    /// All six, in the order of declaration.
    pub const ALL: [RoleKind; 6] = [
        RoleKind::Unattached,
        RoleKind::Follower,
        RoleKind::Prospective,
        RoleKind::Candidate,
        RoleKind::Leader,
        RoleKind::Resigned,
    ];

    /// Lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            RoleKind::Unattached => "unattached",
            RoleKind::Follower => "follower",
            RoleKind::Prospective => "prospective",
            RoleKind::Candidate => "candidate",
            RoleKind::Leader => "leader",
            RoleKind::Resigned => "resigned",
        }
    }
}

/// The replica's state as it is in memory. For checkers and reports only.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Who this is.
    pub key: ReplicaKey,
    /// Role.
    pub role: RoleKind,
    /// Epoch.
    pub epoch: Epoch,
    /// Known leader of the epoch.
    pub leader: Option<ReplicaId>,
    /// Vote in the epoch.
    pub vote: Option<ReplicaKey>,
    /// High watermark, if known.
    pub high_watermark: Option<Offset>,
    /// Cursors of the log.
    pub log_start: Offset,
    /// Durable end of the log, as the replica believes.
    pub flushed: Offset,
    /// End of the log.
    pub log_end: Offset,
    /// Epoch of the last record.
    pub last_epoch: Epoch,
    /// The voter set in force.
    pub voters: &'a VoterSet,
    /// Whether the replica is recovering (R11).
    pub is_recovering: bool,
    /// The leader's epoch start offset, while leading.
    pub epoch_start: Option<Offset>,
}

/// State as of the last durable point, all of one moment: what a frame may reveal (R5).
#[derive(Clone, Copy, Debug)]
pub struct Published<'a> {
    /// Epoch.
    pub epoch: Epoch,
    /// Leader of the epoch, if known.
    pub leader: Option<ReplicaId>,
    /// Where the leader listens, if known.
    pub leader_endpoint: Option<&'a Endpoint>,
    /// Whether this replica is that leader and may serve as such.
    pub is_leader: bool,
    /// High watermark, if known.
    pub high_watermark: Option<Offset>,
    /// Start of the log.
    pub log_start: Offset,
    /// Durable end of the log.
    pub log_end: Offset,
    /// The voter set in force at that end.
    pub voters: &'a VoterSet,
    /// Whether the replica is recovering (R11).
    pub is_recovering: bool,
}

/// One row of DescribeQuorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Who.
    pub key: ReplicaKey,
    /// Whether it votes.
    pub is_voter: bool,
    /// The durable end of its log, `None` while unknown.
    pub end: Option<Offset>,
    /// When it last fetched.
    pub last_fetch: Option<Timestamp>,
    /// When it last was caught up.
    pub last_caught_up: Option<Timestamp>,
}
