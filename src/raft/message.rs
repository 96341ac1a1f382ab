//! The RPCs of the quorum, free of versions: what Kafka's messages mean, not how they are written.
//!
//! `node/translate.rs` knows topics, partitions, tagged fields and versions; the algorithm and the scripts do not.

use std::time::Duration;

use crate::ids::{Endpoint, Epoch, Listener, Offset, ReplicaId, ReplicaKey};
use crate::log::SnapshotId;
use crate::record::RecordBatch;

/// A Kafka error code as raft uses it. (Kafka: `Errors`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i16)]
pub enum ErrorCode {
    /// −1 UNKNOWN_SERVER_ERROR.
    UnknownServerError = -1,
    /// 0 NONE.
    None = 0,
    /// 1 OFFSET_OUT_OF_RANGE.
    OffsetOutOfRange = 1,
    /// 6 NOT_LEADER_OR_FOLLOWER.
    NotLeaderOrFollower = 6,
    /// 8 BROKER_NOT_AVAILABLE.
    BrokerNotAvailable = 8,
    /// 35 UNSUPPORTED_VERSION.
    UnsupportedVersion = 35,
    /// 42 INVALID_REQUEST.
    InvalidRequest = 42,
    /// 74 FENCED_LEADER_EPOCH.
    FencedLeaderEpoch = 74,
    /// 75 UNKNOWN_LEADER_EPOCH.
    UnknownLeaderEpoch = 75,
    /// 104 INCONSISTENT_CLUSTER_ID.
    InconsistentClusterId = 104,
    /// 125 INVALID_VOTER_KEY.
    InvalidVoterKey = 125,
}

impl ErrorCode {
    /// The code on the wire.
    pub fn code(self) -> i16 {
        self as i16
    }

    /// The meaning of a wire code; codes that raft does not know read as UNKNOWN_SERVER_ERROR.
    pub fn from_code(code: i16) -> ErrorCode {
        use ErrorCode as E;
        [
            E::None,
            E::OffsetOutOfRange,
            E::NotLeaderOrFollower,
            E::BrokerNotAvailable,
            E::UnsupportedVersion,
            E::InvalidRequest,
            E::FencedLeaderEpoch,
            E::UnknownLeaderEpoch,
            E::InconsistentClusterId,
            E::InvalidVoterKey,
        ]
        .into_iter()
        .find(|known| known.code() == code)
        .unwrap_or(E::UnknownServerError)
    }
}

/// A request of one replica to another.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// KIP-595 Vote, KIP-996 pre-vote.
    Vote(VoteRequest),
    /// The leader makes itself known.
    BeginQuorumEpoch(BeginQuorumEpochRequest),
    /// The leader leaves.
    EndQuorumEpoch(EndQuorumEpochRequest),
    /// Give me what follows; and I hold durably what lies before.
    Fetch(FetchRequest),
}

impl Request {
    /// Who asks, if it says so.
    pub fn sender(&self) -> Option<ReplicaId> {
        match self {
            Request::Vote(request) => request.candidate.map(|key| key.id),
            Request::BeginQuorumEpoch(request) => request.leader,
            Request::EndQuorumEpoch(request) => request.leader,
            Request::Fetch(request) => request.replica.map(|key| key.id),
        }
    }
}

/// Vote for me, or would you?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoteRequest {
    /// The candidate's epoch: bumped for a vote, current for a pre-vote.
    pub epoch: Epoch,
    /// Who asks. The id is `None` when it was negative on the wire.
    pub candidate: Option<ReplicaKey>,
    /// Whom the candidate believes it is asking; `None` means no check.
    pub voter: Option<ReplicaKey>,
    /// Epoch of the candidate's last record. `None`: negative on the wire.
    pub last_epoch: Option<Epoch>,
    /// The candidate's log end offset. `None`: negative on the wire.
    pub last_offset: Option<Offset>,
    /// Only asking whether (KIP-996).
    pub pre_vote: bool,
}

/// I lead this epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeginQuorumEpochRequest {
    /// The leader's epoch.
    pub epoch: Epoch,
    /// The leader. `None`: negative on the wire.
    pub leader: Option<ReplicaId>,
    /// Whom the leader believes it is telling.
    pub voter: Option<ReplicaKey>,
    /// All listeners of the leader; empty from peers of version 0.
    pub endpoints: Vec<Listener>,
}

/// I lead no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndQuorumEpochRequest {
    /// The epoch that ends.
    pub epoch: Epoch,
    /// Who led it. `None`: negative on the wire.
    pub leader: Option<ReplicaId>,
    /// Who should follow, best first.
    pub successors: Vec<ReplicaKey>,
    /// All listeners of the leader; often empty.
    pub endpoints: Vec<Listener>,
}

/// A replica's fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    /// Who fetches. `None`: negative on the wire, an anonymous reader that is not tracked.
    pub replica: Option<ReplicaKey>,
    /// The fetcher's epoch.
    pub epoch: Epoch,
    /// Where it wants to go on; everything below is durable there. `None`: negative on the wire.
    pub offset: Option<Offset>,
    /// Epoch of its last record. `None`: negative on the wire.
    pub last_epoch: Option<Epoch>,
    /// The high watermark it knows. `Known(None)` is "none yet"; `Unsaid` comes from peers below Fetch 18.
    pub high_watermark: SaidHighWatermark,
    /// How long to wait for data.
    pub max_wait: Duration,
    /// About how many bytes it wants; it gets at least one batch.
    pub max_bytes: usize,
}

/// What a fetch says of the fetcher's high watermark (KIP-1166).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaidHighWatermark {
    /// The version has no such field: never answer early because of it.
    Unsaid,
    /// The fetcher's high watermark, `None` when it has none.
    Known(Option<Offset>),
}

/// The answer of one replica to another. Every answer names epoch and leader as its sender has them on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// What went wrong, of the request or its partition.
    pub error: ErrorCode,
    /// The answerer's epoch.
    pub epoch: Epoch,
    /// The leader of that epoch, if known.
    pub leader: Option<ReplicaId>,
    /// Where that leader listens, if known.
    pub endpoint: Option<Endpoint>,
    /// The rest.
    pub body: ResponseBody,
}

/// What an answer says beside epoch and leader.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum ResponseBody {
    /// Whether the vote (or pre-vote) is granted.
    Vote { granted: bool },
    /// Nothing.
    BeginQuorumEpoch,
    /// Nothing.
    EndQuorumEpoch,
    /// The answer to a fetch.
    Fetch(FetchResponse),
}

impl ResponseBody {
    /// What an answer that has nothing but epoch, leader and perhaps an error to tell says beside them.
    pub fn without_result(request: &Request, log_start: Offset) -> ResponseBody {
        match request {
            Request::Vote(_) => ResponseBody::Vote { granted: false },
            Request::BeginQuorumEpoch(_) => ResponseBody::BeginQuorumEpoch,
            Request::EndQuorumEpoch(_) => ResponseBody::EndQuorumEpoch,
            Request::Fetch(_) => ResponseBody::Fetch(FetchResponse::without_result(log_start)),
        }
    }
}

/// The answer to a fetch.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchResponse {
    /// The leader's high watermark; `None` while unknown.
    pub high_watermark: Option<Offset>,
    /// Start of the leader's log.
    pub log_start: Offset,
    /// Records or redirection.
    pub found: Fetched,
}

impl FetchResponse {
    /// Nothing was found, and nothing is said of the high watermark.
    pub fn without_result(log_start: Offset) -> FetchResponse {
        FetchResponse { high_watermark: None, log_start, found: Fetched::Records(Vec::new()) }
    }
}

/// What a fetch found.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Fetched {
    /// The prefix is confirmed; these batches follow (perhaps none).
    Records(Vec<RecordBatch>),
    /// The logs differ: the leader's log of that epoch, or of the largest epoch below, ends here.
    Diverging { epoch: Epoch, end: Offset },
    /// Only this snapshot can help.
    Snapshot(SnapshotId),
}
