//! The one table that says what an answer means: it happened, it did not, or nobody knows.
//!
//! Everything the judge concludes from a history stands on this table. Two mistakes are possible, and both are quiet:
//! to call failed what may have happened makes false alarms; to call open what was refused hides bugs. So a Produce is
//! *refused* (and may be tried elsewhere) only for codes with which our nodes promise that nothing entered a log; after
//! an append they answer REQUEST_TIMED_OUT, whatever became of it (`raft::message::Proposed::Unknown`). A code that is
//! not in the table is taken for the worst: it may have happened.
//!
//! Reads change nothing: whatever goes wrong with them, they did not happen.

use crate::client::wire::Api;

/// What a wire code says about the attempt that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certain {
    /// It happened.
    Ok,
    /// It did not happen and is not worth trying again.
    Failed,
    /// It did not happen; another node, or this one later, may do it.
    Retry,
    /// It may have happened, or may yet.
    Open,
}

/// What this wire code, in the answer to a request of this API, says.
pub fn outcome_of(api: Api, code: i16) -> Certain {
    match api {
        Api::Produce => outcome_of_produce(code),
        Api::Fetch | Api::ListOffsets | Api::Metadata | Api::ApiVersions | Api::InitProducerId => outcome_of_read(code),
    }
}

/// What the answer to a Produce says about its batch.
fn outcome_of_produce(code: i16) -> Certain {
    match code {
        0 => Certain::Ok,

        // UNKNOWN_TOPIC_OR_PARTITION, LEADER_NOT_AVAILABLE, NOT_LEADER_OR_FOLLOWER, BROKER_NOT_AVAILABLE: this node did
        // not take it, the leader might. (A Kafka broker may answer 6 after an append; ours answers 7 then.)
        3 | 5 | 6 | 8 => Certain::Retry,
        // NOT_ENOUGH_REPLICAS is decided before the append, THROTTLING_QUOTA_EXCEEDED too.
        19 | 89 => Certain::Retry,
        // FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, UNKNOWN_TOPIC_ID: one of us is behind.
        74 | 75 | 100 => Certain::Retry,

        // CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, INVALID_TOPIC, RECORD_LIST_TOO_LARGE, INVALID_REQUIRED_ACKS: refused before
        // the append, and the same batch will be refused again.
        2 | 10 | 17 | 18 | 21 => Certain::Failed,
        // TOPIC_AUTHORIZATION_FAILED, CLUSTER_AUTHORIZATION_FAILED, INVALID_TIMESTAMP, UNSUPPORTED_VERSION,
        // INVALID_REQUEST, UNSUPPORTED_FOR_MESSAGE_FORMAT, POLICY_VIOLATION.
        29 | 31 | 32 | 35 | 42 | 43 | 44 => Certain::Failed,
        // OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH, UNKNOWN_PRODUCER_ID: the sequence check refused it.
        45 | 47 | 59 => Certain::Failed,
        // UNSUPPORTED_COMPRESSION_TYPE, INVALID_RECORD.
        76 | 87 => Certain::Failed,

        // REQUEST_TIMED_OUT, NOT_ENOUGH_REPLICAS_AFTER_APPEND: it is in a log, and may be committed yet or truncated.
        7 | 20 => Certain::Open,
        // DUPLICATE_SEQUENCE_NUMBER: it is in the log, but the broker has forgotten where.
        46 => Certain::Open,
        // NETWORK_EXCEPTION, KAFKA_STORAGE_ERROR, UNKNOWN_SERVER_ERROR, and all that we have never heard of.
        _ => Certain::Open,
    }
}

/// What the answer to a request without effect says.
fn outcome_of_read(code: i16) -> Certain {
    match code {
        0 => Certain::Ok,
        // OFFSET_OUT_OF_RANGE: a leader that was deposed and does not know it may end before what we have read.
        1 => Certain::Retry,
        // As for a Produce, and here also what is open there: REQUEST_TIMED_OUT, COORDINATOR_LOAD_IN_PROGRESS,
        // COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR, KAFKA_STORAGE_ERROR, FETCH_SESSION_ID_NOT_FOUND,
        // OFFSET_NOT_AVAILABLE, UNKNOWN_SERVER_ERROR.
        3 | 5 | 6 | 7 | 8 | 14 | 15 | 16 | 56 | 70 | 74 | 75 | 78 | 89 | 100 | -1 => Certain::Retry,
        _ => Certain::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_of_a_produce_is_failed_or_tried_again() {
        let certain: Vec<i16> = (-2..200).filter(|&code| outcome_of(Api::Produce, code) != Certain::Open).collect();
        assert_eq!(
            certain,
            [0, 2, 3, 5, 6, 8, 10, 17, 18, 19, 21, 29, 31, 32, 35, 42, 43, 44, 45, 47, 59, 74, 75, 76, 87, 89, 100]
        );
    }

    #[test]
    fn a_read_is_never_open() {
        for api in Api::ALL.into_iter().filter(|&api| api != Api::Produce) {
            assert!((-2..200).all(|code| outcome_of(api, code) != Certain::Open), "{api}");
        }
    }
}
