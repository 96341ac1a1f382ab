//! Refusals in Kafka's words: one table per API, because clients take the same number differently.
//!
//! A producer must be able to tell "it never entered a log" from "it may have": only REQUEST_TIMED_OUT leaves that open.
//! A consumer of the Java client dies of a Fetch error that it does not know, so Fetch has the fewest.

use crate::log::SequenceError;
use crate::raft::Refusal;

/// NONE.
pub const NONE: i16 = 0;
/// OFFSET_OUT_OF_RANGE.
pub const OFFSET_OUT_OF_RANGE: i16 = 1;
/// CORRUPT_MESSAGE: the checksum is wrong; clients send again.
pub const CORRUPT_MESSAGE: i16 = 2;
/// UNKNOWN_TOPIC_OR_PARTITION.
pub const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
/// LEADER_NOT_AVAILABLE: an election is under way.
pub const LEADER_NOT_AVAILABLE: i16 = 5;
/// NOT_LEADER_OR_FOLLOWER.
pub const NOT_LEADER_OR_FOLLOWER: i16 = 6;
/// REQUEST_TIMED_OUT: of a Produce, nobody can say whether it was done.
pub const REQUEST_TIMED_OUT: i16 = 7;
/// MESSAGE_TOO_LARGE.
pub const MESSAGE_TOO_LARGE: i16 = 10;
/// COORDINATOR_NOT_AVAILABLE.
pub const COORDINATOR_NOT_AVAILABLE: i16 = 15;
/// NOT_ENOUGH_REPLICAS: refused before the append, and every client tries again.
pub const NOT_ENOUGH_REPLICAS: i16 = 19;
/// INVALID_REQUIRED_ACKS.
pub const INVALID_REQUIRED_ACKS: i16 = 21;
/// UNSUPPORTED_VERSION.
pub const UNSUPPORTED_VERSION: i16 = 35;
/// INVALID_REQUEST.
pub const INVALID_REQUEST: i16 = 42;
/// UNSUPPORTED_FOR_MESSAGE_FORMAT: clients read it as "there is no lookup by timestamp here".
pub const UNSUPPORTED_FOR_MESSAGE_FORMAT: i16 = 43;
/// OUT_OF_ORDER_SEQUENCE_NUMBER.
pub const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
/// DUPLICATE_SEQUENCE_NUMBER.
pub const DUPLICATE_SEQUENCE_NUMBER: i16 = 46;
/// INVALID_PRODUCER_EPOCH.
pub const INVALID_PRODUCER_EPOCH: i16 = 47;
/// UNKNOWN_PRODUCER_ID.
pub const UNKNOWN_PRODUCER_ID: i16 = 59;
/// FETCH_SESSION_ID_NOT_FOUND.
pub const FETCH_SESSION_ID_NOT_FOUND: i16 = 70;
/// FENCED_LEADER_EPOCH.
pub const FENCED_LEADER_EPOCH: i16 = 74;
/// UNKNOWN_LEADER_EPOCH.
pub const UNKNOWN_LEADER_EPOCH: i16 = 75;
/// UNSUPPORTED_COMPRESSION_TYPE.
pub const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
/// OFFSET_NOT_AVAILABLE: the leader cannot say yet; clients ask again.
pub const OFFSET_NOT_AVAILABLE: i16 = 78;
/// INVALID_RECORD.
pub const INVALID_RECORD: i16 = 87;
/// UNKNOWN_TOPIC_ID.
pub const UNKNOWN_TOPIC_ID: i16 = 100;
/// UNSUPPORTED_ENDPOINT_TYPE.
pub const UNSUPPORTED_ENDPOINT_TYPE: i16 = 115;

/// Why a Produce was refused: in each case, nothing entered a log.
pub fn of_produce(refusal: Refusal) -> i16 {
    match refusal {
        // A node that leaves is as good as one that does not lead: the client looks for the next leader.
        Refusal::NotLeader(_) | Refusal::ShuttingDown => NOT_LEADER_OR_FOLLOWER,
        Refusal::Sequence(SequenceError::OutOfOrder) => OUT_OF_ORDER_SEQUENCE_NUMBER,
        Refusal::Sequence(SequenceError::StaleEpoch) => INVALID_PRODUCER_EPOCH,
        Refusal::Sequence(SequenceError::DuplicateForgotten) => DUPLICATE_SEQUENCE_NUMBER,
        Refusal::Sequence(SequenceError::UnknownProducer) => UNKNOWN_PRODUCER_ID,
        Refusal::InvalidRecord => INVALID_RECORD,
        Refusal::Busy => NOT_ENOUGH_REPLICAS,
        Refusal::TimedOut => REQUEST_TIMED_OUT,
        Refusal::FencedEpoch => FENCED_LEADER_EPOCH,
        Refusal::UnknownEpoch => UNKNOWN_LEADER_EPOCH,
        Refusal::OutOfRange => OFFSET_OUT_OF_RANGE,
    }
}

/// Why a consumer's Fetch or ListOffsets was refused.
pub fn of_read(refusal: Refusal) -> i16 {
    match refusal {
        Refusal::NotLeader(_) | Refusal::ShuttingDown => NOT_LEADER_OR_FOLLOWER,
        Refusal::OutOfRange => OFFSET_OUT_OF_RANGE,
        Refusal::FencedEpoch => FENCED_LEADER_EPOCH,
        Refusal::UnknownEpoch => UNKNOWN_LEADER_EPOCH,
        Refusal::Busy | Refusal::TimedOut | Refusal::Sequence(_) | Refusal::InvalidRecord => OFFSET_NOT_AVAILABLE,
    }
}
