//! What a replica may ask of a leader, and of somebody who does not lead. (Kafka: `KafkaRaftClient.handleFetchRequest`.)
//!
//! The asker presents itself as an observer that nobody knows: its position counts for nothing.

use std::time::Duration;

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ReplicaState};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::client::examiner::Truth;
use crate::client::probe::elections::{FOREIGN, cluster};
use crate::client::probe::prober::Table;
use crate::protocol::Api;
use crate::record::RecordBatch;

/// Asks one node.
pub(super) fn ask(table: &mut Table<'_>, node: usize) {
    fenced(table, node);
    malformed(table, node);
    if node == table.truth.leader {
        served(table, node);
    }
}

/// Where a replica says it is, and what it knows.
#[derive(Clone, Copy)]
struct Position {
    epoch: i32,
    offset: i64,
    last_epoch: i32,
    high_watermark: i64,
    wait: Duration,
    bytes_max: i32,
}

impl Position {
    fn end(truth: &Truth) -> Position {
        let (epoch, end) = (truth.epoch, truth.end.as_i64());
        Position {
            epoch,
            offset: end,
            last_epoch: epoch,
            high_watermark: end,
            wait: Duration::ZERO,
            bytes_max: 1 << 20,
        }
    }

    fn request(self, truth: &Truth) -> FetchRequest {
        let partition = FetchPartition::default()
            .with_current_leader_epoch(self.epoch)
            .with_fetch_offset(self.offset)
            .with_last_fetched_epoch(self.last_epoch)
            .with_high_watermark(self.high_watermark);
        let topic = FetchTopic::default().with_topic_id(Uuid::from_bytes(truth.topic_id));
        FetchRequest::default()
            .with_cluster_id(Some(cluster(truth)))
            .with_replica_state(ReplicaState::default().with_replica_id(OBSERVER))
            .with_max_wait_ms(self.wait.as_millis() as i32)
            .with_max_bytes(self.bytes_max)
            .with_session_epoch(-1)
            .with_topics(vec![topic.with_partitions(vec![partition])])
    }
}

/// Epochs that are not the leader's, and nodes that do not lead.
fn fenced(table: &mut Table<'_>, node: usize) {
    let truth = table.truth.clone();
    let end = Position::end(&truth);
    let older = Position { epoch: end.epoch - 1, last_epoch: end.epoch - 1, ..end }.request(&truth);
    let question = (node, "a replica's Fetch of an older epoch");
    table.ask(question, FETCH, &older, refused(&truth, FENCED_LEADER_EPOCH));
    let newer = Position { epoch: end.epoch + 1, ..end }.request(&truth);
    table.ask((node, "a replica's Fetch of a later epoch"), FETCH, &newer, refused(&truth, UNKNOWN_LEADER_EPOCH));
    if node != truth.leader {
        let question = (node, "a replica's Fetch from a follower");
        table.ask(question, FETCH, &end.request(&truth), refused(&truth, NOT_LEADER_OR_FOLLOWER));
        return;
    }
    let mut own = end.request(&truth);
    own.replica_state.replica_id = BrokerId(node as i32);
    table.ask((node, "the leader's Fetch from itself"), FETCH, &own, refused(&truth, UNKNOWN_SERVER_ERROR));
}

/// Positions and places that cannot be.
fn malformed(table: &mut Table<'_>, node: usize) {
    let truth = table.truth.clone();
    let end = Position::end(&truth);
    let nowhere = Position { offset: -1, ..end }.request(&truth);
    table.ask((node, "a replica's Fetch from nowhere"), FETCH, &nowhere, refused(&truth, INVALID_REQUEST));
    let ahead = Position { last_epoch: end.epoch + 1, ..end }.request(&truth);
    let question = (node, "a replica's Fetch behind a record of a later epoch");
    table.ask(question, FETCH, &ahead, refused(&truth, INVALID_REQUEST));
    let is_refused = |error: i16| move |answer: &FetchResponse| answer.error_code == error;
    let mut elsewhere = end.request(&truth);
    elsewhere.topics[0].topic_id = Uuid::from_bytes([7; 16]);
    let question = (node, "a replica's Fetch of another topic");
    table.ask(question, FETCH, &elsewhere, is_refused(INVALID_REQUEST));
    let foreign = end.request(&truth).with_cluster_id(Some(StrBytes::from_static_str(FOREIGN)));
    let question = (node, "a replica's Fetch of another cluster");
    table.ask(question, FETCH, &foreign, is_refused(INCONSISTENT_CLUSTER_ID));
}

/// What a leader gives.
fn served(table: &mut Table<'_>, node: usize) {
    let truth = table.truth.clone();
    let end = Position::end(&truth);
    let (epoch, last) = (truth.epoch, truth.end.as_i64());
    let is_at = |diverging: (i32, i64)| {
        move |at: &PartitionData| {
            (at.diverging_epoch.epoch, at.diverging_epoch.end_offset) == diverging && brings(at) == Some(0)
        }
    };
    let beyond = Position { offset: last + 3, ..end }.request(&truth);
    let question = (node, "a replica's Fetch beyond the end");
    table.ask(question, FETCH, &beyond, found(&truth, is_at((epoch, last))));
    let ancient = Position { last_epoch: 0, ..end }.request(&truth);
    let question = (node, "a replica's Fetch behind a record of an epoch before all others");
    table.ask(question, FETCH, &ancient, found(&truth, is_at((0, 0))));
    let is_nothing = is_at((-1, -1));
    let first = Position { offset: 0, last_epoch: 0, bytes_max: 1, ..end }.request(&truth);
    let question = (node, "a replica's Fetch of one batch");
    table.ask(question, FETCH, &first, found(&truth, |at: &PartitionData| brings(at) == Some(1)));
    // Before KIP-1166 such a fetch was parked all the same, so no more is owed than the high watermark itself.
    let unaware = Position { high_watermark: last - 1, ..end }.request(&truth);
    let question = (node, "a replica's Fetch that knows less than is committed");
    table.ask(question, FETCH, &unaware, found(&truth, is_nothing));
    let patient = Position { wait: MOMENT, ..end }.request(&truth);
    let question = (node, "a replica's Fetch at the end", MOMENT);
    table.ask_patiently(question, FETCH, &patient, found(&truth, is_nothing));
}

/// That error, and the true leader with its epoch and endpoint.
fn refused(truth: &Truth, error: i16) -> impl Fn(&FetchResponse) -> bool + 'static {
    let is_true = names_leader(truth);
    move |answer| is_true(answer).is_some_and(|at| at.error_code == error && brings(at) == Some(0))
}

/// No error, the end of what is committed, and what `is_right` looks for.
fn found(
    truth: &Truth,
    is_right: impl Fn(&PartitionData) -> bool + 'static,
) -> impl Fn(&FetchResponse) -> bool + 'static {
    let is_true = names_leader(truth);
    let end = truth.end.as_i64();
    move |answer| {
        let said = |at: &PartitionData| (at.error_code, at.high_watermark, at.log_start_offset) == (0, end, 0);
        is_true(answer).is_some_and(|at| said(at) && is_right(at))
    }
}

/// The one partition, if it names the true leader and the message says where that listens.
fn names_leader(truth: &Truth) -> impl Fn(&FetchResponse) -> Option<&PartitionData> + 'static {
    let (leader, epoch) = (BrokerId(truth.leader as i32), truth.epoch);
    let listens_at = truth.nodes[truth.leader].clone();
    move |answer| {
        let [topic] = &answer.responses[..] else { return None };
        let [partition] = &topic.partitions[..] else { return None };
        let named = &partition.current_leader;
        let is_at = answer
            .node_endpoints
            .iter()
            .any(|at| at.node_id == leader && at.host[..] == *listens_at.host && at.port == i32::from(listens_at.port));
        let is_true = answer.error_code == 0 && (named.leader_id, named.leader_epoch) == (leader, epoch) && is_at;
        is_true.then_some(partition)
    }
}

/// How many batches there are; `None` when the bytes are none.
pub(super) fn brings(partition: &PartitionData) -> Option<usize> {
    let records = partition.records.clone().unwrap_or_default();
    RecordBatch::parse_all(&records).ok().map(|batches| batches.len())
}

const FETCH: (Api, i16) = (Api::Fetch, 18);

/// An id that no voter has.
pub(super) const OBSERVER: BrokerId = BrokerId(77);

/// How long a replica asks to be parked: longer than any answer may take that is not parked.
const MOMENT: Duration = Duration::from_millis(200);

const UNKNOWN_SERVER_ERROR: i16 = -1;
const NOT_LEADER_OR_FOLLOWER: i16 = 6;
const INVALID_REQUEST: i16 = 42;
const FENCED_LEADER_EPOCH: i16 = 74;
const UNKNOWN_LEADER_EPOCH: i16 = 75;
const INCONSISTENT_CLUSTER_ID: i16 = 104;
