//! What clients may get wrong: partitions that do not exist, bounds, batches that no producer may write.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    BrokerId, FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse, ProduceRequest, ProduceResponse,
    TopicName, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;

use crate::client::examiner::Truth;
use crate::client::probe::elections::topic;
use crate::client::probe::fetches::brings;
use crate::client::probe::prober::Table;
use crate::ids::{Epoch, Offset, ReplicaId};
use crate::protocol::Api;
use crate::record::{BatchBuilder, ControlRecord, RecordBatch};
use crate::time::Timestamp;

/// Asks one node.
pub(super) fn ask(table: &mut Table<'_>, node: usize) {
    reads(table, node);
    offsets(table, node);
    writes(table, node);
    if node == table.truth.leader {
        bounded_reads(table, node);
        offsets_of_epochs(table, node);
        unfit_writes(table, node);
    }
}

fn read(truth: &Truth, from: i64) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_fetch_offset(from)
        .with_current_leader_epoch(truth.epoch)
        .with_partition_max_bytes(1 << 20);
    let asked = FetchTopic::default().with_topic(topic(truth)).with_partitions(vec![partition]);
    FetchRequest::default().with_replica_id(BrokerId(-1)).with_max_bytes(1 << 20).with_topics(vec![asked])
}

/// What any node answers: sessions are not kept, partitions that are not there are unknown, followers name the leader.
fn reads(table: &mut Table<'_>, node: usize) {
    let truth = table.truth.clone();
    let session = read(&truth, 0).with_session_id(5).with_session_epoch(1);
    let is_unknown = |answer: &FetchResponse| answer.error_code == FETCH_SESSION_ID_NOT_FOUND;
    table.ask((node, "Fetch of a session"), FETCH, &session, is_unknown);
    let mut elsewhere = read(&truth, 0);
    elsewhere.topics[0].topic = stranger();
    elsewhere.topics[0].partitions.push(FetchPartition::default().with_partition(1));
    let errors = |answer: &FetchResponse| -> Vec<i16> {
        answer.responses.iter().flat_map(|topic| &topic.partitions).map(|at| at.error_code).collect()
    };
    let are_unknown = move |answer: &FetchResponse| errors(answer) == [UNKNOWN_PARTITION; 2];
    table.ask((node, "Fetch of another topic"), FETCH, &elsewhere, are_unknown);
    let mut beside = read(&truth, 0);
    beside.topics[0].partitions[0].partition = 1;
    let is_unknown = move |answer: &FetchResponse| errors(answer) == [UNKNOWN_PARTITION];
    table.ask((node, "Fetch of another partition"), FETCH, &beside, is_unknown);
    let mut twice = read(&truth, truth.end.as_i64());
    let again = twice.topics[0].partitions[0].clone();
    twice.topics[0].partitions.push(again);
    let first = if node == truth.leader { 0 } else { NOT_LEADER_OR_FOLLOWER };
    let is_repeated = move |answer: &FetchResponse| errors(answer) == [first, INVALID_REQUEST];
    table.ask((node, "Fetch of a partition that is named twice"), FETCH, &twice, is_repeated);
    let mut below = read(&truth, -5);
    below.topics[0].partitions[0].current_leader_epoch = -1;
    let is_outside = move |answer: &FetchResponse| errors(answer) == [OFFSET_OUT_OF_RANGE];
    table.ask((node, "Fetch from a negative offset"), FETCH, &below, is_outside);
    let mut old = read(&truth, 0);
    old.topics[0].partitions[0].current_leader_epoch -= 1;
    let (named, is_leader) = ((truth.leader as i32, truth.epoch), node == truth.leader);
    let names_leader = move |answer: &FetchResponse| {
        let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
        let said: Vec<_> = partitions
            .map(|at| (at.error_code, at.current_leader.leader_id.0, at.current_leader.leader_epoch))
            .collect();
        // Kafka fences before it says that it does not lead; either way the client learns who does.
        let is_right = |error: i16| said == [(error, named.0, named.1)];
        is_right(FENCED_LEADER_EPOCH) || (!is_leader && is_right(NOT_LEADER_OR_FOLLOWER))
    };
    table.ask((node, "Fetch of an older epoch, hinted"), FETCH, &old, names_leader);
}

/// What a leader gives is bounded by every one of the limits, and says where the log begins and what is stable.
fn bounded_reads(table: &mut Table<'_>, node: usize) {
    let truth = table.truth.clone();
    let end = truth.end.as_i64();
    let brings_one = move |answer: &FetchResponse| {
        let partitions: Vec<_> = answer.responses.iter().flat_map(|topic| &topic.partitions).collect();
        let [at] = partitions[..] else { return false };
        let bounds = (at.error_code, at.log_start_offset, at.high_watermark, at.last_stable_offset);
        bounds == (0, 0, end, end) && brings(at) == Some(1)
    };
    let mut small = read(&truth, 0);
    small.topics[0].partitions[0].partition_max_bytes = 1;
    table.ask((node, "Fetch of one byte of a partition"), FETCH, &small, brings_one);
    let whole = read(&truth, 0).with_max_bytes(1);
    table.ask((node, "Fetch of one byte in all"), FETCH, &whole, brings_one);
    let stable = read(&truth, 0).with_max_bytes(1).with_isolation_level(1);
    let is_stable = move |answer: &FetchResponse| {
        let mut partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
        brings_one(answer) && partitions.all(|at| at.aborted_transactions.as_ref().is_some_and(Vec::is_empty))
    };
    table.ask((node, "Fetch of what is stable"), FETCH, &stable, is_stable);
    let brings_nothing = move |answer: &FetchResponse| {
        let mut partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
        partitions.all(|at| (at.error_code, at.high_watermark) == (0, end) && brings(at) == Some(0))
    };
    let patient = read(&truth, end).with_min_bytes(1).with_max_wait_ms(MOMENT.as_millis() as i32);
    let question = (node, "Fetch of what is not there yet", MOMENT);
    table.ask_patiently(question, FETCH, &patient, brings_nothing);
}

fn listed(truth: &Truth, timestamp: i64, epoch: i32) -> ListOffsetsRequest {
    let partition = ListOffsetsPartition::default().with_timestamp(timestamp).with_current_leader_epoch(epoch);
    let asked = ListOffsetsTopic::default().with_name(topic(truth)).with_partitions(vec![partition]);
    ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![asked])
}

/// One partition with this error, offset and epoch.
fn lists(error: i16, offset: i64, epoch: i32) -> impl Fn(&ListOffsetsResponse) -> bool + 'static {
    move |answer| {
        let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
        let said: Vec<_> = partitions.map(|at| (at.error_code, at.offset, at.leader_epoch)).collect();
        said == [(error, offset, epoch)]
    }
}

fn offsets(table: &mut Table<'_>, node: usize) {
    let truth = table.truth.clone();
    let epoch = truth.epoch;
    let earliest = match node == truth.leader {
        true => lists(0, 0, epoch),
        false => lists(NOT_LEADER_OR_FOLLOWER, -1, -1),
    };
    table.ask((node, "ListOffsets, the earliest"), LIST, &listed(&truth, EARLIEST, epoch), earliest);
    let question = (node, "ListOffsets by time");
    table.ask(question, LIST, &listed(&truth, 5, epoch), lists(UNSUPPORTED_FOR_MESSAGE_FORMAT, -1, -1));
    let mut elsewhere = listed(&truth, LATEST, epoch);
    elsewhere.topics[0].name = stranger();
    table.ask((node, "ListOffsets of another topic"), LIST, &elsewhere, lists(UNKNOWN_PARTITION, -1, -1));
    let mut beside = listed(&truth, EARLIEST, epoch);
    beside.topics[0].partitions[0].partition_index = -1;
    table.ask((node, "ListOffsets of another partition"), LIST, &beside, lists(UNKNOWN_PARTITION, -1, -1));
}

fn offsets_of_epochs(table: &mut Table<'_>, node: usize) {
    let truth = table.truth.clone();
    let (epoch, end) = (truth.epoch, truth.end.as_i64());
    for (timestamp, question) in [(EARLIEST, "ListOffsets, the earliest of"), (LATEST, "ListOffsets, the latest of")] {
        let older = listed(&truth, timestamp, epoch - 1);
        table.ask((node, question), LIST, &older, lists(FENCED_LEADER_EPOCH, -1, -1));
        let newer = listed(&truth, timestamp, epoch + 1);
        table.ask((node, question), LIST, &newer, lists(UNKNOWN_LEADER_EPOCH, -1, -1));
    }
    table.ask((node, "ListOffsets, the latest"), LIST, &listed(&truth, LATEST, epoch), lists(0, end, epoch));
}

fn written(truth: &Truth, records: Bytes) -> ProduceRequest {
    let partition = PartitionProduceData::default().with_records(Some(records));
    let asked = TopicProduceData::default().with_name(topic(truth)).with_partition_data(vec![partition]);
    ProduceRequest::default().with_acks(-1).with_timeout_ms(30_000).with_topic_data(vec![asked])
}

/// Not appended, for that reason.
fn refuses(error: i16) -> impl Fn(&ProduceResponse) -> bool + 'static {
    move |answer| {
        let partitions = answer.responses.iter().flat_map(|topic| &topic.partition_responses);
        let said: Vec<_> = partitions.map(|at| (at.error_code, at.base_offset)).collect();
        said == [(error, -1)]
    }
}

fn writes(table: &mut Table<'_>, node: usize) {
    let truth = table.truth.clone();
    let mut elsewhere = written(&truth, plain());
    elsewhere.topic_data[0].name = stranger();
    table.ask((node, "Produce to another topic"), PRODUCE, &elsewhere, refuses(UNKNOWN_PARTITION));
    let mut beside = written(&truth, plain());
    beside.topic_data[0].partition_data[0].index = 1;
    table.ask((node, "Produce to another partition"), PRODUCE, &beside, refuses(UNKNOWN_PARTITION));
    if node != truth.leader {
        let named = (NOT_LEADER_OR_FOLLOWER, truth.leader as i32, truth.epoch);
        let names_leader = move |answer: &ProduceResponse| {
            let partitions = answer.responses.iter().flat_map(|topic| &topic.partition_responses);
            let leader =
                partitions.map(|at| (at.error_code, at.current_leader.leader_id.0, at.current_leader.leader_epoch));
            leader.eq([named]) && answer.node_endpoints.len() == 1
        };
        let question = (node, "Produce to a follower, hinted");
        table.ask(question, PRODUCE_HINTED, &written(&truth, plain()), names_leader);
    }
    let acks = written(&truth, plain()).with_acks(2);
    table.ask((node, "Produce with acks=2"), PRODUCE, &acks, refuses(INVALID_REQUIRED_ACKS));
}

/// What may not enter a log, of a leader that could append it.
fn unfit_writes(table: &mut Table<'_>, node: usize) {
    let truth = table.truth.clone();
    let transaction = TransactionalId(StrBytes::from_static_str("transaction"));
    let transactional = written(&truth, plain()).with_transactional_id(Some(transaction));
    table.ask((node, "Produce in a transaction"), PRODUCE, &transactional, refuses(INVALID_RECORD));
    table.ask((node, "Produce of nothing"), PRODUCE, &written(&truth, Bytes::new()), refuses(INVALID_RECORD));
    let mut two = BytesMut::from(&plain()[..]);
    two.extend_from_slice(&plain());
    table.ask((node, "Produce of two batches"), PRODUCE, &written(&truth, two.freeze()), refuses(INVALID_RECORD));
    let forged = ControlRecord::LeaderChange { leader: ReplicaId(9), voters: vec![ReplicaId(9)], granting: Vec::new() };
    let control = bytes_of(&BatchBuilder::control(Offset(0), Epoch(0), Timestamp(0), &[forged]));
    table.ask((node, "Produce of a control batch"), PRODUCE, &written(&truth, control), refuses(INVALID_RECORD));
    let late = written(&truth, plain()).with_timeout_ms(0);
    table.ask((node, "Produce without a moment"), PRODUCE, &late, refuses(REQUEST_TIMED_OUT));
}

/// A batch of a value that is nobody's.
fn plain() -> Bytes {
    let mut builder = BatchBuilder::new(Timestamp(0));
    builder.push(None, Some(&[0xfe; 16]));
    bytes_of(&builder.build())
}

fn bytes_of(batch: &RecordBatch) -> Bytes {
    let mut parts = Vec::with_capacity(2);
    batch.gather(&mut parts);
    let mut bytes = BytesMut::new();
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes.freeze()
}

/// A topic that is not there.
pub(super) fn stranger() -> TopicName {
    TopicName(StrBytes::from_static_str("no-such-topic"))
}

const PRODUCE: (Api, i16) = (Api::Produce, 9);
/// The first version whose answers say who leads.
const PRODUCE_HINTED: (Api, i16) = (Api::Produce, 10);
const FETCH: (Api, i16) = (Api::Fetch, 12);
const LIST: (Api, i16) = (Api::ListOffsets, 7);

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

/// How long a consumer asks to be kept waiting.
const MOMENT: Duration = Duration::from_millis(200);

const OFFSET_OUT_OF_RANGE: i16 = 1;
const UNKNOWN_PARTITION: i16 = 3;
const NOT_LEADER_OR_FOLLOWER: i16 = 6;
const REQUEST_TIMED_OUT: i16 = 7;
const INVALID_REQUIRED_ACKS: i16 = 21;
const INVALID_REQUEST: i16 = 42;
const UNSUPPORTED_FOR_MESSAGE_FORMAT: i16 = 43;
const FETCH_SESSION_ID_NOT_FOUND: i16 = 70;
const FENCED_LEADER_EPOCH: i16 = 74;
const UNKNOWN_LEADER_EPOCH: i16 = 75;
const INVALID_RECORD: i16 = 87;
