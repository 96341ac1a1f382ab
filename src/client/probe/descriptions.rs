//! What a node says of its cluster, and of what it does not offer. (Kafka: `KafkaApis`, `ControllerApis`.)

use kafka_protocol::messages::describe_quorum_request as quorum_request;
use kafka_protocol::messages::describe_quorum_response::ReplicaState;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, BrokerId, DescribeClusterRequest, DescribeClusterResponse,
    DescribeQuorumRequest, DescribeQuorumResponse, FindCoordinatorRequest, FindCoordinatorResponse,
    InitProducerIdRequest, InitProducerIdResponse, MetadataRequest, MetadataResponse, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::client::examiner::Truth;
use crate::client::probe::elections::topic;
use crate::client::probe::fetches::OBSERVER;
use crate::client::probe::partitions::stranger;
use crate::client::probe::prober::{Table, UNKNOWN_VERSION};
use crate::protocol::Api;

/// Asks one node.
pub(super) fn ask(table: &mut Table<'_>, node: usize) {
    metadata(table, node);
    cluster(table, node);
    absent(table, node);
    // The last of all: whoever asks a follower this is answered, and then sent on by the end of the connection.
    quorum(table, node);
}

/// Whether these are the voters, each where it listens.
fn are_voters(truth: &Truth, brokers: impl Iterator<Item = (i32, String, i32)>) -> bool {
    let mut found: Vec<_> = brokers.collect();
    found.sort();
    let nodes = truth.nodes[..truth.voters].iter().enumerate();
    found.into_iter().eq(nodes.map(|(id, at)| (id as i32, at.host.to_string(), i32::from(at.port))))
}

fn metadata(table: &mut Table<'_>, node: usize) {
    let truth = table.truth.clone();
    let ours = MetadataRequestTopic::default().with_name(Some(topic(&truth)));
    let unknown = MetadataRequestTopic::default().with_name(Some(stranger()));
    let unidentified = MetadataRequestTopic::default().with_name(None).with_topic_id(Uuid::from_bytes([7; 16]));
    let body = MetadataRequest::default().with_topics(Some(vec![ours, unknown, unidentified]));
    let voters: Vec<BrokerId> = (0..truth.voters as i32).map(BrokerId).collect();
    let is_right = move |answer: &MetadataResponse| {
        let brokers = answer.brokers.iter().map(|at| (at.node_id.0, at.host.to_string(), at.port));
        let errors: Vec<i16> = answer.topics.iter().map(|topic| topic.error_code).collect();
        let leader = BrokerId(truth.leader as i32);
        let is_ours = answer.topics.first().is_some_and(|topic| {
            let [at] = &topic.partitions[..] else { return false };
            let led = (at.error_code, at.leader_id, at.leader_epoch) == (0, leader, truth.epoch);
            // Everybody has everything.
            led && at.replica_nodes == voters && at.isr_nodes == voters
        });
        let named = (answer.controller_id, answer.cluster_id.as_deref()) == (leader, Some(&truth.cluster[..]));
        is_ours && named && errors == [0, UNKNOWN_PARTITION, UNKNOWN_TOPIC_ID] && are_voters(&truth, brokers)
    };
    table.ask((node, "Metadata of topics that are not all there"), (Api::Metadata, 12), &body, is_right);
}

fn cluster(table: &mut Table<'_>, node: usize) {
    let truth = table.truth.clone();
    let leader = BrokerId(truth.leader as i32);
    let is_right = move |answer: &DescribeClusterResponse| {
        let brokers = answer.brokers.iter().map(|at| (at.broker_id.0, at.host.to_string(), at.port));
        let named = (answer.error_code, answer.controller_id, &answer.cluster_id[..]) == (0, leader, &truth.cluster);
        named && are_voters(&truth, brokers)
    };
    let ask = |kind: i8| DescribeClusterRequest::default().with_endpoint_type(kind);
    table.ask((node, "DescribeCluster"), (Api::DescribeCluster, 1), &ask(1), is_right);
    let is_refused = |answer: &DescribeClusterResponse| answer.error_code == UNSUPPORTED_ENDPOINT_TYPE;
    let question = (node, "DescribeCluster of endpoints that are not there");
    table.ask(question, (Api::DescribeCluster, 1), &ask(3), is_refused);
}

/// Only a leader knows how far the others are, and in a quiet cluster they are all at the end.
fn quorum(table: &mut Table<'_>, node: usize) {
    let truth = table.truth.clone();
    let partitions = || vec![quorum_request::PartitionData::default()];
    let ours = quorum_request::TopicData::default().with_topic_name(topic(&truth)).with_partitions(partitions());
    let unknown = quorum_request::TopicData::default().with_topic_name(stranger()).with_partitions(partitions());
    let body = DescribeQuorumRequest::default().with_topics(vec![ours, unknown]);
    let (leader, end) = (truth.leader, truth.end.as_i64());
    let ids = move |rows: &[ReplicaState]| -> Vec<i32> { rows.iter().map(|row| row.replica_id.0).collect() };
    let is_right = move |answer: &DescribeQuorumResponse| {
        let found: Vec<_> = answer.topics.iter().flat_map(|topic| &topic.partitions).collect();
        let [ours, unknown] = found[..] else { return false };
        let named = (ours.leader_id.0, ours.leader_epoch) == (leader as i32, truth.epoch);
        let is_named = named && unknown.error_code == UNKNOWN_PARTITION && answer.nodes.len() == truth.voters;
        if node != leader {
            return is_named && ours.error_code == NOT_LEADER_OR_FOLLOWER && ours.current_voters.is_empty();
        }
        let is_at_end = |row: &ReplicaState| {
            row.log_end_offset == end && row.last_fetch_timestamp != -1 && row.last_caught_up_timestamp != -1
        };
        let observers = (truth.voters as i32..truth.nodes.len() as i32).chain([OBSERVER.0]);
        // One that lost its directory is another observer of the same id, and the one it was is remembered for a while.
        let mut observing = ids(&ours.observers);
        observing.dedup();
        let has_all = |id: &i32| ours.observers.iter().any(|row| row.replica_id.0 == *id && is_at_end(row));
        is_named
            && (ours.error_code, ours.high_watermark) == (0, end)
            && ids(&ours.current_voters).into_iter().eq(0..truth.voters as i32)
            && ours.current_voters.iter().all(is_at_end)
            && observing.iter().all(has_all)
            && observers.eq(observing)
    };
    table.ask((node, "DescribeQuorum"), (Api::DescribeQuorum, 2), &body, is_right);
}

/// There are no groups, no transactions, and no versions but those offered.
fn absent(table: &mut Table<'_>, node: usize) {
    let group = StrBytes::from_static_str("group");
    let is_absent = |answer: &FindCoordinatorResponse| {
        let coordinators = answer.coordinators.iter().map(|coordinator| coordinator.error_code);
        coordinators.eq([COORDINATOR_NOT_AVAILABLE])
    };
    let several = FindCoordinatorRequest::default().with_coordinator_keys(vec![group.clone()]);
    table.ask((node, "FindCoordinator"), (Api::FindCoordinator, 4), &several, is_absent);
    for version in [0, 2] {
        let is_absent = |answer: &FindCoordinatorResponse| answer.error_code == COORDINATOR_NOT_AVAILABLE;
        let one = FindCoordinatorRequest::default().with_key(group.clone());
        table.ask((node, "FindCoordinator of old clients"), (Api::FindCoordinator, version), &one, is_absent);
    }
    let transaction = TransactionalId(StrBytes::from_static_str("transaction"));
    let body = InitProducerIdRequest::default().with_transactional_id(Some(transaction));
    let is_refused = |answer: &InitProducerIdResponse| answer.error_code == INVALID_REQUEST;
    table.ask((node, "InitProducerId of a transaction"), (Api::InitProducerId, 4), &body, is_refused);
    let is_refused = |answer: &ApiVersionsResponse| answer.error_code == UNSUPPORTED_VERSION;
    let body = ApiVersionsRequest::default();
    table.ask((node, "ApiVersions of a later version"), (Api::ApiVersions, UNKNOWN_VERSION), &body, is_refused);
}

const UNKNOWN_PARTITION: i16 = 3;
const NOT_LEADER_OR_FOLLOWER: i16 = 6;
const COORDINATOR_NOT_AVAILABLE: i16 = 15;
const UNSUPPORTED_VERSION: i16 = 35;
const INVALID_REQUEST: i16 = 42;
const UNKNOWN_TOPIC_ID: i16 = 100;
const UNSUPPORTED_ENDPOINT_TYPE: i16 = 115;
