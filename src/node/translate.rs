//! The RPCs of the quorum: Kafka's messages ⇄ [`crate::raft::message`].
//!
//! Topics, partitions, tagged fields and versions end here. Checks that need no replica are made here too: whose cluster,
//! which topic, how many partitions. Negative numbers become `None`; what the algorithm makes of that is its business.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::begin_quorum_epoch_request as begin_request;
use kafka_protocol::messages::begin_quorum_epoch_response as begin_response;
use kafka_protocol::messages::end_quorum_epoch_request as end_request;
use kafka_protocol::messages::end_quorum_epoch_response as end_response;
use kafka_protocol::messages::fetch_request;
use kafka_protocol::messages::fetch_response;
use kafka_protocol::messages::vote_request;
use kafka_protocol::messages::vote_response;
use kafka_protocol::messages::{
    BeginQuorumEpochRequest, BeginQuorumEpochResponse, BrokerId, EndQuorumEpochRequest, EndQuorumEpochResponse,
    FetchRequest, FetchResponse, TopicName, VoteRequest, VoteResponse,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::ids::{DirectoryId, Endpoint, Epoch, Listener, Offset, ReplicaId, ReplicaKey};
use crate::node::Config;
use crate::protocol::{Api, Frame, codec, schema};
use crate::raft::message::{self, ErrorCode, FetchResponse as Answered, Fetched, ResponseBody, SaidHighWatermark};
use crate::raft::{Request, Response};
use crate::record::{DecodeError, RecordBatch};

/// What every message repeats, encoded once.
#[derive(Clone, Debug)]
pub struct Names {
    /// The cluster.
    pub cluster: StrBytes,
    /// The topic.
    pub topic: TopicName,
    /// Its id.
    pub topic_id: Uuid,
    /// How we present ourselves to peers. (Kafka: `raft-client-<node.id>`.)
    pub client: StrBytes,
}

/// Where a refusal of a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// For the whole message, which then names no topic.
    Message(ErrorCode),
    /// For the partition, with epoch and leader.
    Partition(ErrorCode),
}

/// A leader that an answer names, and where it listens for whoever asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderAt {
    /// Who.
    pub id: ReplicaId,
    /// Where.
    pub endpoint: Endpoint,
}

impl Names {
    /// The names of a configuration.
    pub fn of(config: &Config) -> Names {
        Names {
            cluster: text(&config.cluster_id),
            topic: TopicName(text(&config.topic)),
            topic_id: Uuid::from_bytes(config.topic_id),
            client: StrBytes::from_string(format!("raft-client-{}", config.raft.id)),
        }
    }

    /// Null passes; a name must be ours.
    fn check_cluster(&self, named: Option<&StrBytes>) -> Result<(), Refused> {
        match named.is_none_or(|named| *named == self.cluster) {
            true => Ok(()),
            false => Err(Refused::Message(ErrorCode::InconsistentClusterId)),
        }
    }

    fn is_ours(&self, topic: &TopicName, partition: i32) -> bool {
        *topic == self.topic && partition == 0
    }
}

/// Decodes and checks a Vote, BeginQuorumEpoch or EndQuorumEpoch.
pub fn request(api: Api, version: i16, frame: &Bytes, names: &Names) -> Result<Result<Request, Refused>, DecodeError> {
    match api {
        Api::Vote => {
            let shape = &schema::VOTE_REQUEST;
            Ok(vote(&codec::decode_request(api, shape, version, frame)?, names))
        }
        Api::BeginQuorumEpoch => {
            let shape = &schema::BEGIN_QUORUM_EPOCH_REQUEST;
            Ok(begin_quorum_epoch(&codec::decode_request(api, shape, version, frame)?, names))
        }
        Api::EndQuorumEpoch => {
            let shape = &schema::END_QUORUM_EPOCH_REQUEST;
            Ok(end_quorum_epoch(&codec::decode_request(api, shape, version, frame)?, names))
        }
        other => unreachable!("{other:?} is no RPC of the election"),
    }
}

/// The one partition that a request of an election names: ours, of our cluster.
macro_rules! our_partition {
    ($asked:expr, $names:expr) => {{
        $names.check_cluster($asked.cluster_id.as_ref())?;
        let [topic] = &$asked.topics[..] else { return Err(INVALID) };
        let [partition] = &topic.partitions[..] else { return Err(INVALID) };
        if !$names.is_ours(&topic.topic_name, partition.partition_index) {
            return Err(INVALID);
        }
        partition
    }};
}

fn vote(asked: &VoteRequest, names: &Names) -> Result<Request, Refused> {
    let partition = our_partition!(asked, names);
    Ok(Request::Vote(message::VoteRequest {
        epoch: epoch(partition.replica_epoch)?,
        candidate: replica(partition.replica_id, partition.replica_directory_id),
        voter: replica(asked.voter_id, partition.voter_directory_id),
        last_epoch: Epoch::from_i32(partition.last_offset_epoch),
        last_offset: Offset::from_i64(partition.last_offset),
        pre_vote: partition.pre_vote,
    }))
}

fn begin_quorum_epoch(asked: &BeginQuorumEpochRequest, names: &Names) -> Result<Request, Refused> {
    let partition = our_partition!(asked, names);
    let endpoints = asked.leader_endpoints.iter();
    Ok(Request::BeginQuorumEpoch(message::BeginQuorumEpochRequest {
        epoch: epoch(partition.leader_epoch)?,
        leader: ReplicaId::from_i32(partition.leader_id.0),
        voter: replica(asked.voter_id, partition.voter_directory_id),
        endpoints: endpoints.map(|at| listener(&at.name, &at.host, at.port)).collect(),
    }))
}

fn end_quorum_epoch(asked: &EndQuorumEpochRequest, names: &Names) -> Result<Request, Refused> {
    let partition = our_partition!(asked, names);
    // Version 0 names successors by id alone, version 1 by id and directory; the other list is empty.
    let by_id = partition.preferred_successors.iter().map(|&id| replica(BrokerId(id), Uuid::nil()));
    let by_key = partition.preferred_candidates.iter().map(|who| replica(who.candidate_id, who.candidate_directory_id));
    let endpoints = asked.leader_endpoints.iter();
    Ok(Request::EndQuorumEpoch(message::EndQuorumEpochRequest {
        epoch: epoch(partition.leader_epoch)?,
        leader: ReplicaId::from_i32(partition.leader_id.0),
        successors: by_id.chain(by_key).flatten().collect(),
        endpoints: endpoints.map(|at| listener(&at.name, &at.host, at.port)).collect(),
    }))
}

/// Who a Fetch says it is: negative for a consumer.
pub fn fetcher(asked: &FetchRequest, version: i16) -> BrokerId {
    match version {
        ..=14 => asked.replica_id,
        _ => asked.replica_state.replica_id,
    }
}

/// Checks a replica's Fetch, which names the topic by id from version 13 on.
pub fn fetch(asked: &FetchRequest, version: i16, names: &Names) -> Result<Request, Refused> {
    names.check_cluster(asked.cluster_id.as_ref())?;
    let [topic] = &asked.topics[..] else { return Err(INVALID) };
    let [partition] = &topic.partitions[..] else { return Err(INVALID) };
    let is_ours = match version {
        ..=12 => topic.topic == names.topic,
        _ => topic.topic_id == names.topic_id,
    };
    if !is_ours || partition.partition != 0 {
        return Err(INVALID);
    }
    let max_wait = u64::try_from(asked.max_wait_ms).map_err(|_| Refused::Partition(ErrorCode::InvalidRequest))?;
    Ok(Request::Fetch(message::FetchRequest {
        replica: replica(fetcher(asked, version), partition.replica_directory_id),
        epoch: epoch(partition.current_leader_epoch)?,
        offset: Offset::from_i64(partition.fetch_offset),
        last_epoch: Epoch::from_i32(partition.last_fetched_epoch),
        high_watermark: match partition.high_watermark {
            i64::MAX => SaidHighWatermark::Unsaid,
            known => SaidHighWatermark::Known(Offset::from_i64(known)),
        },
        max_wait: Duration::from_millis(max_wait),
        max_bytes: usize::try_from(asked.max_bytes).unwrap_or(0),
    }))
}

/// Vote, BeginQuorumEpoch and EndQuorumEpoch are answered in one shape under three sets of names.
macro_rules! election_answer {
    ($response:ident, $names_of:ident, $partition:expr, $answer:expr, $leader:expr, $names:expr) => {{
        let partition = $partition
            .with_error_code($answer.error.code())
            .with_leader_id(leader_or_nobody($answer))
            .with_leader_epoch($answer.epoch.as_i32());
        let topic = $names_of::TopicData::default().with_topic_name($names.topic.clone());
        let endpoints = $leader.map(|at: &LeaderAt| {
            let endpoint = $names_of::NodeEndpoint::default().with_node_id(BrokerId(at.id.as_i32()));
            endpoint.with_host(text(&at.endpoint.host)).with_port(at.endpoint.port)
        });
        $response::default()
            .with_topics(vec![topic.with_partitions(vec![partition])])
            .with_node_endpoints(endpoints.into_iter().collect())
    }};
}

/// The answer to a peer. `leader` is given when it is known where the leader listens.
pub fn answer(
    api: Api,
    version: i16,
    correlation: i32,
    answer: &Response,
    leader: Option<&LeaderAt>,
    names: &Names,
) -> Frame {
    let told = leader.filter(|_| version >= 1);
    match (api, &answer.body) {
        (Api::Vote, ResponseBody::Vote { granted }) => {
            let partition = vote_response::PartitionData::default().with_vote_granted(*granted);
            let body = election_answer!(VoteResponse, vote_response, partition, answer, told, names);
            codec::encode_response(api, version, correlation, &body)
        }
        (Api::BeginQuorumEpoch, _) => {
            let partition = begin_response::PartitionData::default();
            let body = election_answer!(BeginQuorumEpochResponse, begin_response, partition, answer, told, names);
            codec::encode_response(api, version, correlation, &body)
        }
        (Api::EndQuorumEpoch, _) => {
            let partition = end_response::PartitionData::default();
            let body = election_answer!(EndQuorumEpochResponse, end_response, partition, answer, told, names);
            codec::encode_response(api, version, correlation, &body)
        }
        (Api::Fetch, ResponseBody::Fetch(fetched)) => {
            fetch_answer(version, correlation, answer, fetched, leader, names)
        }
        (api, body) => unreachable!("a {api:?} is answered with {body:?}"),
    }
}

fn fetch_answer(
    version: i16,
    correlation: i32,
    answer: &Response,
    fetched: &Answered,
    leader: Option<&LeaderAt>,
    names: &Names,
) -> Frame {
    let mut partition = fetch_response::PartitionData::default()
        .with_error_code(answer.error.code())
        .with_high_watermark(fetched.high_watermark.map_or(-1, Offset::as_i64))
        .with_last_stable_offset(-1)
        .with_log_start_offset(fetched.log_start.as_i64())
        .with_aborted_transactions(Some(Vec::new()))
        .with_current_leader(
            fetch_response::LeaderIdAndEpoch::default()
                .with_leader_id(leader_or_nobody(answer))
                .with_leader_epoch(answer.epoch.as_i32()),
        );
    let mut batches: &[RecordBatch] = &[];
    match &fetched.found {
        Fetched::Records(found) => batches = found,
        Fetched::Diverging { epoch, end } => {
            partition.diverging_epoch.epoch = epoch.as_i32();
            partition.diverging_epoch.end_offset = end.as_i64();
        }
        Fetched::Snapshot(id) => {
            partition.snapshot_id.end_offset = id.end.as_i64();
            partition.snapshot_id.epoch = id.epoch.as_i32();
        }
    }
    let topic = fetch_response::FetchableTopicResponse::default()
        .with_topic(names.topic.clone())
        .with_topic_id(names.topic_id)
        .with_partitions(vec![partition]);
    // The field exists from 16 on; KRaft fills it from 17 on.
    let endpoints = leader.filter(|_| version >= 17).map(fetch_endpoint);
    let body = FetchResponse::default().with_responses(vec![topic]);
    let body = body.with_node_endpoints(endpoints.into_iter().collect());
    codec::encode_fetch_response(version, correlation, &body, Some((0, 0)), batches)
}

/// The answer to a request whose checks failed before the replica saw it.
pub fn refuse(api: Api, version: i16, correlation: i32, error: ErrorCode) -> Frame {
    let code = error.code();
    match api {
        Api::Vote => codec::encode_response(api, version, correlation, &VoteResponse::default().with_error_code(code)),
        Api::BeginQuorumEpoch => {
            let body = BeginQuorumEpochResponse::default().with_error_code(code);
            codec::encode_response(api, version, correlation, &body)
        }
        Api::EndQuorumEpoch => {
            let body = EndQuorumEpochResponse::default().with_error_code(code);
            codec::encode_response(api, version, correlation, &body)
        }
        Api::Fetch => {
            let body = FetchResponse::default().with_error_code(code);
            codec::encode_fetch_response(version, correlation, &body, None, &[])
        }
        other => unreachable!("{other:?} is no RPC of the quorum"),
    }
}

/// What an answer without records says of an API's body: for refusals at the partition.
pub fn empty_body(api: Api, log_start: Offset, high_watermark: Option<Offset>) -> ResponseBody {
    match api {
        Api::Vote => ResponseBody::Vote { granted: false },
        Api::BeginQuorumEpoch => ResponseBody::BeginQuorumEpoch,
        Api::EndQuorumEpoch => ResponseBody::EndQuorumEpoch,
        _ => ResponseBody::Fetch(Answered { high_watermark, log_start, found: Fetched::Records(Vec::new()) }),
    }
}

/// Which API a request belongs to.
pub fn api_of(request: &Request) -> Api {
    match request {
        Request::Vote(_) => Api::Vote,
        Request::BeginQuorumEpoch(_) => Api::BeginQuorumEpoch,
        Request::EndQuorumEpoch(_) => Api::EndQuorumEpoch,
        Request::Fetch(_) => Api::Fetch,
    }
}

/// The epoch a request speaks of: what an answer that names none is taken to mean.
pub fn epoch_of(request: &Request) -> Epoch {
    match request {
        Request::Vote(request) => request.epoch,
        Request::BeginQuorumEpoch(request) => request.epoch,
        Request::EndQuorumEpoch(request) => request.epoch,
        Request::Fetch(request) => request.epoch,
    }
}

/// The request as a frame of that version; `None` if the version cannot say it. A pre-vote below Vote 2 would be taken
/// for a vote, which is how its sender learns to fall back (KIP-996).
pub fn call(request: &Request, version: i16, correlation: i32, names: &Names) -> Option<Frame> {
    let api = api_of(request);
    let client = &names.client;
    Some(match request {
        Request::Vote(vote) if vote.pre_vote && version < 2 => return None,
        Request::Vote(vote) => {
            codec::encode_request(api, version, correlation, client, &vote_call(vote, version, names))
        }
        Request::BeginQuorumEpoch(begin) => {
            codec::encode_request(api, version, correlation, client, &begin_call(begin, version, names))
        }
        Request::EndQuorumEpoch(end) => {
            codec::encode_request(api, version, correlation, client, &end_call(end, version, names))
        }
        Request::Fetch(fetch) => {
            codec::encode_request(api, version, correlation, client, &fetch_call(fetch, version, names))
        }
    })
}

fn vote_call(vote: &message::VoteRequest, version: i16, names: &Names) -> VoteRequest {
    let mut partition = vote_request::PartitionData::default()
        .with_replica_epoch(vote.epoch.as_i32())
        .with_replica_id(id_or_none(vote.candidate))
        .with_last_offset_epoch(vote.last_epoch.map_or(-1, Epoch::as_i32))
        .with_last_offset(vote.last_offset.map_or(-1, Offset::as_i64))
        .with_pre_vote(vote.pre_vote);
    let mut body = VoteRequest::default().with_cluster_id(Some(names.cluster.clone()));
    if version >= 1 {
        partition.replica_directory_id = directory_or_nil(vote.candidate);
        partition.voter_directory_id = directory_or_nil(vote.voter);
        body.voter_id = id_or_none(vote.voter);
    }
    let topic = vote_request::TopicData::default().with_topic_name(names.topic.clone());
    body.with_topics(vec![topic.with_partitions(vec![partition])])
}

fn begin_call(begin: &message::BeginQuorumEpochRequest, version: i16, names: &Names) -> BeginQuorumEpochRequest {
    let mut partition = begin_request::PartitionData::default()
        .with_leader_id(begin.leader.map_or(NOBODY, |id| BrokerId(id.as_i32())))
        .with_leader_epoch(begin.epoch.as_i32());
    let mut body = BeginQuorumEpochRequest::default().with_cluster_id(Some(names.cluster.clone()));
    if version >= 1 {
        partition.voter_directory_id = directory_or_nil(begin.voter);
        body.voter_id = id_or_none(begin.voter);
        body.leader_endpoints = begin
            .endpoints
            .iter()
            .map(|at| {
                let endpoint = begin_request::LeaderEndpoint::default().with_name(text(&at.name));
                endpoint.with_host(text(&at.endpoint.host)).with_port(at.endpoint.port)
            })
            .collect();
    }
    let topic = begin_request::TopicData::default().with_topic_name(names.topic.clone());
    body.with_topics(vec![topic.with_partitions(vec![partition])])
}

fn end_call(end: &message::EndQuorumEpochRequest, version: i16, names: &Names) -> EndQuorumEpochRequest {
    let mut partition = end_request::PartitionData::default()
        .with_leader_id(end.leader.map_or(NOBODY, |id| BrokerId(id.as_i32())))
        .with_leader_epoch(end.epoch.as_i32());
    let mut body = EndQuorumEpochRequest::default().with_cluster_id(Some(names.cluster.clone()));
    match version {
        ..=0 => partition.preferred_successors = end.successors.iter().map(|key| key.id.as_i32()).collect(),
        _ => {
            partition.preferred_candidates = end
                .successors
                .iter()
                .map(|&key| {
                    let candidate = end_request::ReplicaInfo::default().with_candidate_id(id_or_none(Some(key)));
                    candidate.with_candidate_directory_id(directory_or_nil(Some(key)))
                })
                .collect();
            body.leader_endpoints = end
                .endpoints
                .iter()
                .map(|at| {
                    let endpoint = end_request::LeaderEndpoint::default().with_name(text(&at.name));
                    endpoint.with_host(text(&at.endpoint.host)).with_port(at.endpoint.port)
                })
                .collect();
        }
    }
    let topic = end_request::TopicData::default().with_topic_name(names.topic.clone());
    body.with_topics(vec![topic.with_partitions(vec![partition])])
}

fn fetch_call(fetch: &message::FetchRequest, version: i16, names: &Names) -> FetchRequest {
    let replica_id = id_or_none(fetch.replica);
    let mut partition = fetch_request::FetchPartition::default()
        .with_current_leader_epoch(fetch.epoch.as_i32())
        .with_fetch_offset(fetch.offset.map_or(-1, Offset::as_i64))
        .with_last_fetched_epoch(fetch.last_epoch.map_or(-1, Epoch::as_i32));
    if version >= 17 {
        partition.replica_directory_id = directory_or_nil(fetch.replica);
    }
    if let (18.., SaidHighWatermark::Known(known)) = (version, fetch.high_watermark) {
        partition.high_watermark = known.map_or(-1, Offset::as_i64);
    }
    let topic = fetch_request::FetchTopic::default()
        .with_topic(names.topic.clone())
        .with_topic_id(names.topic_id)
        .with_partitions(vec![partition]);
    let mut body = FetchRequest::default()
        .with_cluster_id(Some(names.cluster.clone()))
        .with_max_wait_ms(i32::try_from(fetch.max_wait.as_millis()).unwrap_or(i32::MAX))
        .with_max_bytes(i32::try_from(fetch.max_bytes).unwrap_or(i32::MAX))
        .with_session_epoch(-1)
        .with_topics(vec![topic]);
    match version {
        ..=14 => body.replica_id = replica_id,
        _ => body.replica_state.replica_id = replica_id,
    }
    body
}

const INVALID: Refused = Refused::Message(ErrorCode::InvalidRequest);
const NOBODY: BrokerId = BrokerId(-1);

fn epoch(value: i32) -> Result<Epoch, Refused> {
    Epoch::from_i32(value).ok_or(Refused::Partition(ErrorCode::InvalidRequest))
}

fn replica(id: BrokerId, directory: Uuid) -> Option<ReplicaKey> {
    let directory = (!directory.is_nil()).then(|| DirectoryId(directory.into_bytes()));
    ReplicaId::from_i32(id.0).map(|id| ReplicaKey { id, directory })
}

fn leader_or_nobody(answer: &Response) -> BrokerId {
    answer.leader.map_or(NOBODY, |id| BrokerId(id.as_i32()))
}

fn id_or_none(key: Option<ReplicaKey>) -> BrokerId {
    key.map_or(NOBODY, |key| BrokerId(key.id.as_i32()))
}

fn directory_or_nil(key: Option<ReplicaKey>) -> Uuid {
    key.and_then(|key| key.directory).map_or(Uuid::nil(), |directory| Uuid::from_bytes(directory.0))
}

fn listener(name: &str, host: &str, port: u16) -> Listener {
    Listener { name: name.into(), endpoint: Endpoint::new(host, port) }
}

/// A NodeEndpoint of a Fetch response.
pub fn fetch_endpoint(at: &LeaderAt) -> fetch_response::NodeEndpoint {
    fetch_response::NodeEndpoint::default()
        .with_node_id(BrokerId(at.id.as_i32()))
        .with_host(text(&at.endpoint.host))
        .with_port(i32::from(at.endpoint.port))
}

/// Text for a message.
pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
