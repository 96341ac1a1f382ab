//! Metadata, DescribeCluster and DescribeQuorum: who belongs to the cluster, who leads, how far everybody is.
//!
//! Brokers are the voters, at the endpoint of the listener that the request came in on. There is one topic, with one
//! partition, replicated by every voter.

use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::describe_quorum_response as quorum_response;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    BrokerId, DescribeClusterRequest, DescribeClusterResponse, DescribeQuorumRequest, DescribeQuorumResponse,
    MetadataRequest, MetadataResponse, TopicName,
};
use uuid::Uuid;

use crate::ids::{Endpoint, Offset, ReplicaId};
use crate::node::exchange::{Context, Reply, Served, leader_id};
use crate::node::{errors, translate};
use crate::raft::Published;
use crate::raft::view::Progress;
use crate::time::Timestamp;

/// Metadata, of all topics, of those named, of those identified, or of none.
pub fn metadata(cx: &Context<'_>, asked: &MetadataRequest) -> Served {
    let (version, published) = (cx.caller.version, cx.replica.published());
    let ours = MetadataRequestTopic::default().with_name(Some(cx.names.topic.clone()));
    let topics = match &asked.topics {
        // "All" is null from version 1 on; version 0 has no null and says it with an empty list.
        None => vec![topic(cx, &ours)],
        Some(topics) if topics.is_empty() && version == 0 => vec![topic(cx, &ours)],
        Some(topics) => topics.iter().map(|asked| topic(cx, asked)).collect(),
    };
    let brokers = brokers(cx, &published).map(|(id, endpoint)| {
        let broker = MetadataResponseBroker::default().with_node_id(BrokerId(id.as_i32()));
        broker.with_host(translate::text(&endpoint.host)).with_port(i32::from(endpoint.port))
    });
    let response = MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_cluster_id(Some(cx.names.cluster.clone()))
        .with_controller_id(leader_id(&published))
        .with_topics(topics);
    let error = first_error(response.topics.iter().map(|topic| topic.error_code));
    Served::frame(cx.respond(&response), error)
}

fn topic(cx: &Context<'_>, asked: &MetadataRequestTopic) -> MetadataResponseTopic {
    let is_ours = match &asked.name {
        Some(name) => *name == cx.names.topic,
        None => asked.topic_id == cx.names.topic_id,
    };
    if is_ours {
        return MetadataResponseTopic::default()
            .with_name(Some(cx.names.topic.clone()))
            .with_topic_id(cx.names.topic_id)
            .with_partitions(vec![partition(cx)]);
    }
    // Names may be null from version 12 on.
    let nameless = (cx.caller.version < 12).then(TopicName::default);
    let error = match asked.name.is_some() || asked.topic_id == Uuid::nil() {
        true => errors::UNKNOWN_TOPIC_OR_PARTITION,
        false => errors::UNKNOWN_TOPIC_ID,
    };
    MetadataResponseTopic::default()
        .with_error_code(error)
        .with_name(asked.name.clone().or(nameless))
        .with_topic_id(asked.topic_id)
}

fn partition(cx: &Context<'_>) -> MetadataResponsePartition {
    let (published, progress) = (&cx.replica.published(), cx.replica.progress());
    let voters = || published.voters.iter().map(|voter| BrokerId(voter.key.id.as_i32()));
    // In sync is who holds everything committed, and the leader. Only it knows; the others name every voter.
    let lags = |id: BrokerId| {
        let row = progress.iter().find(|row| row.key.id.as_i32() == id.0);
        row.is_some_and(|row| row.end < published.high_watermark && Some(row.key.id) != published.leader)
    };
    let error = if published.leader.is_some() { errors::NONE } else { errors::LEADER_NOT_AVAILABLE };
    MetadataResponsePartition::default()
        .with_error_code(error)
        .with_leader_id(leader_id(published))
        .with_leader_epoch(published.epoch.as_i32())
        .with_replica_nodes(voters().collect())
        .with_isr_nodes(voters().filter(|&id| !lags(id)).collect())
}

/// Every voter whose endpoint is known.
fn brokers<'a>(cx: &'a Context<'a>, published: &'a Published<'a>) -> impl Iterator<Item = (ReplicaId, Endpoint)> + 'a {
    let ids = published.voters.iter().map(|voter| voter.key.id);
    ids.filter_map(|id| Some((id, cx.endpoint_of(published, id)?)))
}

/// DescribeCluster: brokers and controllers are the same nodes here, so both endpoint types have the same answer.
pub fn cluster(cx: &Context<'_>, asked: &DescribeClusterRequest) -> Served {
    let published = cx.replica.published();
    if !(1..=2).contains(&asked.endpoint_type) {
        let response = DescribeClusterResponse::default().with_error_code(errors::UNSUPPORTED_ENDPOINT_TYPE);
        return Served::frame(cx.respond(&response), errors::UNSUPPORTED_ENDPOINT_TYPE);
    }
    let brokers = brokers(cx, &published).map(|(id, endpoint)| {
        let broker = DescribeClusterBroker::default().with_broker_id(BrokerId(id.as_i32()));
        broker.with_host(translate::text(&endpoint.host)).with_port(i32::from(endpoint.port))
    });
    let response = DescribeClusterResponse::default()
        .with_endpoint_type(asked.endpoint_type)
        .with_cluster_id(cx.names.cluster.clone())
        .with_controller_id(leader_id(&published))
        .with_brokers(brokers.collect());
    Served::frame(cx.respond(&response), errors::NONE)
}

/// DescribeQuorum: only a leader knows how far the others are.
pub fn quorum(cx: &Context<'_>, asked: &DescribeQuorumRequest) -> Served {
    let published = cx.replica.published();
    let topics = asked.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let is_ours = topic.topic_name == cx.names.topic && partition.partition_index == 0;
            let described = match is_ours {
                true => quorum_partition(cx),
                false => quorum_response::PartitionData::default().with_error_code(errors::UNKNOWN_TOPIC_OR_PARTITION),
            };
            described.with_partition_index(partition.partition_index)
        });
        let partitions = partitions.collect();
        quorum_response::TopicData::default().with_topic_name(topic.topic_name.clone()).with_partitions(partitions)
    });
    let mut response = DescribeQuorumResponse::default().with_topics(topics.collect());
    if cx.caller.version >= 2 {
        response.nodes = published.voters.iter().map(quorum_node).collect();
    }
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    let error = first_error(partitions.map(|partition| partition.error_code));
    // Kafka's brokers forward this to the leader, so its admin client, told that somebody else leads, asks whichever node it
    // is connected to once more. Without that connection it turns to the node that it has not tried for longest.
    match error == errors::NOT_LEADER_OR_FOLLOWER {
        true => Served::Reply(Reply::Last(cx.respond(&response), error)),
        false => Served::frame(cx.respond(&response), error),
    }
}

fn first_error(mut errors: impl Iterator<Item = i16>) -> i16 {
    errors.find(|&error| error != errors::NONE).unwrap_or(errors::NONE)
}

fn quorum_partition(cx: &Context<'_>) -> quorum_response::PartitionData {
    let (published, progress) = (&cx.replica.published(), cx.replica.progress());
    let named = quorum_response::PartitionData::default();
    let named = named.with_leader_id(leader_id(published)).with_leader_epoch(published.epoch.as_i32());
    if !published.is_leader {
        return named.with_error_code(errors::NOT_LEADER_OR_FOLLOWER);
    }
    let rows = |is_voter: bool| {
        let rows = progress.iter().filter(move |row| row.is_voter == is_voter);
        rows.map(|row| replica_state(cx, row)).collect()
    };
    named
        .with_high_watermark(published.high_watermark.map_or(-1, Offset::as_i64))
        .with_current_voters(rows(true))
        .with_observers(rows(false))
}

fn replica_state(cx: &Context<'_>, row: &Progress) -> quorum_response::ReplicaState {
    let millis = |at: Option<Timestamp>| at.map_or(-1, |at| at.0);
    let state = quorum_response::ReplicaState::default()
        .with_replica_id(BrokerId(row.key.id.as_i32()))
        .with_log_end_offset(row.end.map_or(-1, Offset::as_i64))
        .with_last_fetch_timestamp(millis(row.last_fetch))
        .with_last_caught_up_timestamp(millis(row.last_caught_up));
    match row.key.directory.filter(|_| cx.caller.version >= 2) {
        Some(directory) => state.with_replica_directory_id(Uuid::from_bytes(directory.0)),
        None => state,
    }
}

fn quorum_node(voter: &crate::raft::Voter) -> quorum_response::Node {
    let listeners = voter.endpoints.iter().map(|at| {
        let listener = quorum_response::Listener::default().with_name(translate::text(&at.name));
        listener.with_host(translate::text(&at.endpoint.host)).with_port(at.endpoint.port)
    });
    let node = quorum_response::Node::default().with_node_id(BrokerId(voter.key.id.as_i32()));
    node.with_listeners(listeners.collect())
}
