//! What a person or a checker may want to know: the trace's vocabulary of the replica.

use std::fmt;

use crate::ids::{Epoch, Offset, ReplicaId, ReplicaKey};
use crate::raft::RoleKind;

/// Something that happened inside a replica. Every variant appears in a golden script (`tests/tidy.rs`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Note {
    /// The role or the epoch changed.
    Became { role: RoleKind, epoch: Epoch, leader: Option<ReplicaId> },
    /// Once per epoch, when the high watermark passes the epoch's start: this node leads and may say so.
    Leads { epoch: Epoch, start: Offset },
    /// A vote was granted and is on its way to disk.
    Voted { epoch: Epoch, candidate: ReplicaKey },
    /// A vote or pre-vote was refused.
    VoteRefused { epoch: Epoch, candidate: ReplicaId, pre_vote: bool },
    /// The log departs from the leader's; records below `keep` stay.
    Diverged { keep: Offset },
    /// The high watermark moved.
    HighWatermark { to: Offset },
    /// Leadership is left because a majority stopped fetching.
    CheckQuorumFailed { epoch: Epoch },
    /// An answer to a superseded or unknown call was dropped.
    StaleAnswer,
    /// A message that contradicts what is known was dropped.
    Contradiction { what: &'static str },
    /// The disk did not give back committed batches from this offset on; they are asked for again at the next advance.
    Unreadable { from: Offset },
    /// The node started recovering: it fetches but neither votes nor campaigns (R11).
    Recovering { above: Epoch },
    /// Recovering is over.
    Recovered,
}

impl Note {
    /// The variant's name, for coverage.
    pub fn name(&self) -> &'static str {
        match self {
            Note::Became { .. } => "became",
            Note::Leads { .. } => "leads",
            Note::Voted { .. } => "voted",
            Note::VoteRefused { .. } => "vote_refused",
            Note::Diverged { .. } => "diverged",
            Note::HighWatermark { .. } => "high_watermark",
            Note::CheckQuorumFailed { .. } => "check_quorum_failed",
            Note::StaleAnswer => "stale_answer",
            Note::Contradiction { .. } => "contradiction",
            Note::Unreadable { .. } => "unreadable",
            Note::Recovering { .. } => "recovering",
            Note::Recovered => "recovered",
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
