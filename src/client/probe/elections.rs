//! What candidates and leaders of the past say: nobody in a quiet cluster may listen. (Kafka: `handleVoteRequest`,
//! `handleBeginQuorumEpochRequest`, `handleEndQuorumEpochRequest`.)

use kafka_protocol::messages::{
    BeginQuorumEpochRequest, BeginQuorumEpochResponse, BrokerId, EndQuorumEpochRequest, EndQuorumEpochResponse,
    TopicName, VoteRequest, VoteResponse, begin_quorum_epoch_request, end_quorum_epoch_request, vote_request,
    vote_response,
};
use kafka_protocol::protocol::StrBytes;

use crate::client::examiner::Truth;
use crate::client::probe::prober::Table;
use crate::protocol::Api;

/// Asks one node.
pub(super) fn ask(table: &mut Table<'_>, node: usize) {
    votes(table, node);
    votes_of_nobody(table, node);
    heartbeats(table, node);
    farewells(table, node);
}

/// What a candidate says of itself.
#[derive(Clone, Copy)]
struct Candidacy {
    id: i32,
    epoch: i32,
    last_epoch: i32,
    end: i64,
    pre_vote: bool,
}

/// Nobody grants anything while the leader is heard, however good the candidate.
fn votes(table: &mut Table<'_>, node: usize) {
    let truth = table.truth.clone();
    let rival = other(&truth, node);
    let (epoch, end) = (truth.epoch, truth.end.as_i64() + 1000);
    let late = Candidacy { id: rival, epoch: epoch - 1, last_epoch: epoch - 1, end, pre_vote: true };
    let question = (node, "a pre-vote of an older epoch");
    table.ask(question, VOTE, &vote(&truth, late, node), refuses(&truth, FENCED_LEADER_EPOCH));
    let now = Candidacy { id: rival, epoch, last_epoch: epoch, end, pre_vote: true };
    table.ask((node, "a pre-vote while the leader is heard"), VOTE, &vote(&truth, now, node), refuses(&truth, 0));
    let bind = Candidacy { last_epoch: epoch - 1, pre_vote: false, ..now };
    table.ask((node, "a vote while the leader is heard"), VOTE, &vote(&truth, bind, node), refuses(&truth, 0));
    if epoch >= 2 {
        let late = Candidacy { last_epoch: epoch - 2, pre_vote: false, ..late };
        let question = (node, "a vote of an older epoch");
        table.ask(question, VOTE, &vote(&truth, late, node), refuses(&truth, FENCED_LEADER_EPOCH));
    }
}

/// Candidates that cannot be, or mean somebody else.
fn votes_of_nobody(table: &mut Table<'_>, node: usize) {
    let truth = table.truth.clone();
    let epoch = truth.epoch;
    let now = Candidacy { id: other(&truth, node), epoch, last_epoch: epoch, end: 1 << 40, pre_vote: true };
    let implausible = Candidacy { pre_vote: false, ..now };
    let question = (node, "a vote for a log of the epoch to be elected");
    table.ask(question, VOTE, &vote(&truth, implausible, node), refuses(&truth, INVALID_REQUEST));
    let endless = Candidacy { end: -1, ..now };
    table.ask((node, "a vote for no log"), VOTE, &vote(&truth, endless, node), refuses(&truth, INVALID_REQUEST));
    let own = Candidacy { id: node as i32, ..now };
    table.ask((node, "a vote for the voter"), VOTE, &vote(&truth, own, node), refuses(&truth, INVALID_REQUEST));
    let stranger = vote(&truth, now, node).with_voter_id(BrokerId(now.id));
    table.ask((node, "a vote for another voter"), VOTE, &stranger, refuses(&truth, INVALID_VOTER_KEY));
    let foreign = vote(&truth, now, node).with_cluster_id(Some(StrBytes::from_static_str(FOREIGN)));
    let is_refused = |answer: &VoteResponse| answer.error_code == INCONSISTENT_CLUSTER_ID && answer.topics.is_empty();
    table.ask((node, "a vote of another cluster"), VOTE, &foreign, is_refused);
}

fn vote(truth: &Truth, candidacy: Candidacy, node: usize) -> VoteRequest {
    let partition = vote_request::PartitionData::default()
        .with_replica_epoch(candidacy.epoch)
        .with_replica_id(BrokerId(candidacy.id))
        .with_last_offset_epoch(candidacy.last_epoch)
        .with_last_offset(candidacy.end)
        .with_pre_vote(candidacy.pre_vote);
    let topic = vote_request::TopicData::default().with_topic_name(topic(truth)).with_partitions(vec![partition]);
    let body = VoteRequest::default().with_cluster_id(Some(cluster(truth))).with_voter_id(BrokerId(node as i32));
    body.with_topics(vec![topic])
}

/// Not granted, with that error, and the true leader named.
fn refuses(truth: &Truth, error: i16) -> impl Fn(&VoteResponse) -> bool + 'static {
    let (leader, epoch) = (BrokerId(truth.leader as i32), truth.epoch);
    let listens_at = truth.nodes[truth.leader].clone();
    move |answer| {
        let [topic] = &answer.topics[..] else { return false };
        let [partition] = &topic.partitions[..] else { return false };
        let names_leader = (partition.leader_id, partition.leader_epoch) == (leader, epoch);
        let is_at = |at: &vote_response::NodeEndpoint| {
            at.node_id == leader && at.host[..] == *listens_at.host && at.port == listens_at.port
        };
        let is_refused = (answer.error_code, partition.error_code, partition.vote_granted) == (0, error, false);
        is_refused && names_leader && answer.node_endpoints.iter().any(is_at)
    }
}

fn heartbeats(table: &mut Table<'_>, node: usize) {
    let truth = table.truth.clone();
    let rival = rival(&truth, node);
    let begin = |leader: i32, epoch: i32, receiver: i32| {
        let partition = begin_quorum_epoch_request::PartitionData::default()
            .with_leader_id(BrokerId(leader))
            .with_leader_epoch(epoch);
        let data = begin_quorum_epoch_request::TopicData::default().with_topic_name(topic(&truth));
        BeginQuorumEpochRequest::default()
            .with_cluster_id(Some(cluster(&truth)))
            .with_voter_id(BrokerId(receiver))
            .with_topics(vec![data.with_partitions(vec![partition])])
    };
    let (named, epoch) = ((truth.leader as i32, truth.epoch), truth.epoch);
    let told = move |error: i16| {
        move |answer: &BeginQuorumEpochResponse| {
            let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
            let said: Vec<_> = partitions.map(|at| (at.error_code, at.leader_id.0, at.leader_epoch)).collect();
            answer.error_code == 0 && said == [(error, named.0, named.1)]
        }
    };
    let me = node as i32;
    let question = (node, "BeginQuorumEpoch of an older epoch");
    table.ask(question, BEGIN, &begin(rival, epoch - 1, me), told(FENCED_LEADER_EPOCH));
    let question = (node, "BeginQuorumEpoch of a rival leader");
    table.ask(question, BEGIN, &begin(rival, epoch, me), told(INVALID_REQUEST));
    let question = (node, "BeginQuorumEpoch of nobody");
    table.ask(question, BEGIN, &begin(-1, epoch, me), told(INVALID_REQUEST));
    if node != truth.leader {
        table.ask((node, "BeginQuorumEpoch of the leader"), BEGIN, &begin(named.0, epoch, me), told(0));
        let question = (node, "BeginQuorumEpoch for another voter");
        table.ask(question, BEGIN, &begin(named.0, epoch, me + 1), told(INVALID_VOTER_KEY));
    }
    let foreign = begin(named.0, epoch, me).with_cluster_id(Some(StrBytes::from_static_str(FOREIGN)));
    let is_refused = |answer: &BeginQuorumEpochResponse| answer.error_code == INCONSISTENT_CLUSTER_ID;
    table.ask((node, "BeginQuorumEpoch of another cluster"), BEGIN, &foreign, is_refused);
}

fn farewells(table: &mut Table<'_>, node: usize) {
    let truth = table.truth.clone();
    let rival = rival(&truth, node);
    let end = |leader: i32, epoch: i32| {
        let successor = end_quorum_epoch_request::ReplicaInfo::default().with_candidate_id(BrokerId(node as i32));
        let partition = end_quorum_epoch_request::PartitionData::default()
            .with_leader_id(BrokerId(leader))
            .with_leader_epoch(epoch)
            .with_preferred_candidates(vec![successor]);
        let data = end_quorum_epoch_request::TopicData::default().with_topic_name(topic(&truth));
        EndQuorumEpochRequest::default()
            .with_cluster_id(Some(cluster(&truth)))
            .with_topics(vec![data.with_partitions(vec![partition])])
    };
    let named = (truth.leader as i32, truth.epoch);
    let told = move |error: i16| {
        move |answer: &EndQuorumEpochResponse| {
            let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
            let said: Vec<_> = partitions.map(|at| (at.error_code, at.leader_id.0, at.leader_epoch)).collect();
            answer.error_code == 0 && said == [(error, named.0, named.1)]
        }
    };
    let question = (node, "EndQuorumEpoch of an older epoch");
    table.ask(question, END, &end(rival, truth.epoch - 1), told(FENCED_LEADER_EPOCH));
    let question = (node, "EndQuorumEpoch of a rival leader");
    table.ask(question, END, &end(rival, truth.epoch), told(INVALID_REQUEST));
    let foreign = end(named.0, truth.epoch).with_cluster_id(Some(StrBytes::from_static_str(FOREIGN)));
    let is_refused = |answer: &EndQuorumEpochResponse| answer.error_code == INCONSISTENT_CLUSTER_ID;
    table.ask((node, "EndQuorumEpoch of another cluster"), END, &foreign, is_refused);
}

/// A voter other than this node; with one voter, somebody who does not exist.
fn other(truth: &Truth, node: usize) -> i32 {
    (0..truth.voters).find(|&voter| voter != node).unwrap_or(truth.voters) as i32
}

/// Somebody who neither leads nor is this node.
fn rival(truth: &Truth, node: usize) -> i32 {
    (0..truth.voters + 2).find(|&voter| voter != node && voter != truth.leader).unwrap_or_default() as i32
}

pub(super) fn topic(truth: &Truth) -> TopicName {
    TopicName(StrBytes::from_string(truth.topic.clone()))
}

pub(super) fn cluster(truth: &Truth) -> StrBytes {
    StrBytes::from_string(truth.cluster.clone())
}

const VOTE: (Api, i16) = (Api::Vote, 2);
const BEGIN: (Api, i16) = (Api::BeginQuorumEpoch, 1);
const END: (Api, i16) = (Api::EndQuorumEpoch, 1);

/// A cluster that nobody here belongs to.
pub(super) const FOREIGN: &str = "another-cluster";

const INVALID_REQUEST: i16 = 42;
const FENCED_LEADER_EPOCH: i16 = 74;
const INCONSISTENT_CLUSTER_ID: i16 = 104;
const INVALID_VOTER_KEY: i16 = 125;
