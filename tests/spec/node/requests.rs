//! Requests that scripts send, and answers that scripted peers give.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::str::FromStr;

use bytes::{BufMut, Bytes, BytesMut};
use goldenscript::{Argument, Command};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Encodable, StrBytes, decode_request_header_from_buffer};
use kraftbed::record::{BatchBuilder, Compression, ProducerStamp, RecordBatch};
use kraftbed::time::Timestamp;
use uuid::Uuid;

/// Arguments of a command: positional ones in order, the others by name.
#[derive(Default)]
pub struct Args {
    positional: VecDeque<String>,
    named: BTreeMap<String, String>,
}

impl Args {
    /// The arguments of a command.
    pub fn of(command: &Command) -> Args {
        let mut args = Args::default();
        for argument in &command.args {
            match argument {
                Argument::KeyValue(key, value) => drop(args.named.insert(key.clone(), value.clone())),
                Argument::Positional(value) => args.positional.push_back(value.clone()),
                other => panic!("an argument of a new kind: {other}"),
            }
        }
        args
    }

    /// Positional arguments only.
    pub fn words(words: &[&str]) -> Args {
        Args { positional: words.iter().map(|word| word.to_string()).collect(), named: BTreeMap::new() }
    }

    /// These and a named one.
    pub fn with(mut self, key: &str, value: impl ToString) -> Args {
        self.named.insert(key.into(), value.to_string());
        self
    }

    /// The next positional argument.
    pub fn next(&mut self) -> Option<String> {
        self.positional.pop_front()
    }

    /// A named argument.
    pub fn take(&mut self, key: &str) -> Option<String> {
        self.named.remove(key)
    }

    /// A named argument, as a value.
    pub fn parse_key<T: FromStr<Err: Error + 'static>>(&mut self, key: &str) -> Outcome<Option<T>> {
        Ok(self.take(key).map(|text| text.parse()).transpose()?)
    }

    /// An error if anything is left.
    pub fn reject_rest(self) -> Outcome<()> {
        match self.positional.is_empty() && self.named.is_empty() {
            true => Ok(()),
            false => Err(format!("unknown arguments {:?} {:?}", self.positional, self.named).into()),
        }
    }
}

type Outcome<T> = Result<T, Box<dyn Error>>;

/// `API vN key=value…` as a frame without its length, and the key and version it was encoded with.
pub fn request(args: &mut Args, correlation: i32) -> Outcome<(Bytes, (i16, i16))> {
    let name = args.next().ok_or("which API?")?;
    let version: i16 = args.next().ok_or("which version?")?.trim_start_matches('v').parse()?;
    let (key, body) = match name.as_str() {
        "ApiVersions" => (18, encode(&api_versions(), version.clamp(0, 4))?),
        "Metadata" => (3, encode(&metadata(args, version)?, version)?),
        "Produce" => (0, encode(&produce(args, version)?, version)?),
        "Fetch" => (1, encode(&fetch(args, version)?, version)?),
        "ListOffsets" => (2, encode(&list_offsets(args, version)?, version)?),
        "InitProducerId" => (22, encode(&init_producer_id(args)?, version)?),
        "FindCoordinator" => (10, encode(&find_coordinator(version), version)?),
        "DescribeCluster" => (60, encode(&DescribeClusterRequest::default(), version)?),
        "DescribeQuorum" => (55, encode(&describe_quorum(), version)?),
        "Vote" => (52, encode(&vote(args, version)?, version)?),
        "BeginQuorumEpoch" => (53, encode(&begin_quorum_epoch(args, version)?, version)?),
        "EndQuorumEpoch" => (54, encode(&EndQuorumEpochRequest::default(), version)?),
        other => return Err(format!("unknown API {other}").into()),
    };
    let mut frame = BytesMut::new();
    let header = RequestHeader::default().with_request_api_key(key).with_request_api_version(version);
    let header = header.with_correlation_id(correlation).with_client_id(Some(text("script")));
    let flexible = ApiKey::try_from(key).map_err(|_| "no such key")?.request_header_version(version);
    header.encode(&mut frame, flexible)?;
    frame.put_slice(&body);
    Ok((frame.freeze(), (key, version)))
}

/// What a peer answers to `call`: `versions=fetch,vote` negotiates (each with its highest version), otherwise an answer
/// to the RPC with `epoch`, `leader`, `granted`, `error`.
pub fn answer(args: &mut Args, call: &Bytes) -> Outcome<Bytes> {
    let header = decode_request_header_from_buffer(&mut call.clone())?;
    let (key, version) = (header.request_api_key, header.request_api_version);
    let epoch: i32 = args.parse_key("epoch")?.unwrap_or(0);
    let leader: i32 = args.parse_key("leader")?.unwrap_or(-1);
    let mut frame = BytesMut::new();
    frame.put_i32(header.correlation_id);
    match key {
        18 if args.parse_key("unsupported")?.unwrap_or(false) => {
            let range = api_versions_response::ApiVersion::default().with_api_key(18).with_max_version(3);
            let body = ApiVersionsResponse::default().with_error_code(35).with_api_keys(vec![range]);
            body.encode(&mut frame, 0)?;
        }
        18 => {
            let vote_max = args.parse_key("vote")?.unwrap_or(2);
            let ranges = [(1, 4, args.parse_key("fetch")?.unwrap_or(18)), (52, 0, vote_max), (53, 0, 1), (54, 0, 1)];
            let keys = ranges.map(|(key, min, max)| {
                let range = api_versions_response::ApiVersion::default().with_api_key(key);
                range.with_min_version(min).with_max_version(max)
            });
            ApiVersionsResponse::default().with_api_keys(keys.to_vec()).encode(&mut frame, version)?;
        }
        52 => {
            let partition = vote_response::PartitionData::default()
                .with_error_code(args.parse_key("error")?.unwrap_or(0))
                .with_leader_epoch(epoch)
                .with_leader_id(BrokerId(leader))
                .with_vote_granted(args.parse_key("granted")?.unwrap_or(false));
            let topic = vote_response::TopicData::default().with_topic_name(TopicName(text(TOPIC)));
            frame.put_u8(0);
            let body = VoteResponse::default().with_topics(vec![topic.with_partitions(vec![partition])]);
            body.encode(&mut frame, version)?;
        }
        other => return Err(format!("cannot answer API {other}").into()),
    }
    Ok(frame.freeze())
}

/// Bytes from hexadecimal digits.
pub fn unhex(text: &str) -> Outcome<Bytes> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?)).collect()
}

/// The topic of every script.
pub const TOPIC: &str = "__cluster_metadata";

fn encode<T: Encodable>(body: &T, version: i16) -> Outcome<Bytes> {
    let mut buffer = BytesMut::new();
    body.encode(&mut buffer, version)?;
    Ok(buffer.freeze())
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic_id() -> Uuid {
    Uuid::from_u128(1)
}

fn api_versions() -> ApiVersionsRequest {
    let body = ApiVersionsRequest::default().with_client_software_name(text("script"));
    body.with_client_software_version(text("1"))
}

/// `topics=NAME,…` or `topics=null`, `id=ours|other`.
fn metadata(args: &mut Args, version: i16) -> Outcome<MetadataRequest> {
    let named = args.take("topics").map_or(TOPIC.into(), |arg| arg);
    let id = args.take("id").map(|arg| if arg == "ours" { topic_id() } else { Uuid::from_u128(99) });
    let topics = match (&named[..], id) {
        (_, Some(id)) => {
            Some(vec![metadata_request::MetadataRequestTopic::default().with_topic_id(id).with_name(None)])
        }
        ("null", _) if version == 0 => Some(Vec::new()),
        ("null", _) => None,
        (names, _) => Some(
            names
                .split(',')
                .filter(|name| !name.is_empty())
                .map(|name| metadata_request::MetadataRequestTopic::default().with_name(Some(TopicName(text(name)))))
                .collect(),
        ),
    };
    Ok(MetadataRequest::default().with_topics(topics))
}

/// `values=a,b`, `with=gzip`, `acks=-1`, `pid=`, `pepoch=`, `seq=`, `topic=`, `partition=`, `timeout=`, `twice=true`.
fn produce(args: &mut Args, version: i16) -> Outcome<ProduceRequest> {
    let mut builder = BatchBuilder::new(Timestamp(1000));
    if let Some(id) = args.parse_key("pid")? {
        let epoch = args.parse_key("pepoch")?.unwrap_or(0);
        let base_sequence = args.parse_key("seq")?.unwrap_or(0);
        builder = builder.producer(ProducerStamp { id, epoch, base_sequence });
    }
    if let Some(codec) = args.take("with") {
        builder = builder.compression(Compression::parse(&codec).ok_or("which codec?")?);
    }
    for value in args.take("values").unwrap_or("x".into()).split(',') {
        builder.push(None, Some(value.as_bytes()));
    }
    let batch = builder.build();
    let mut bytes = batch_bytes(&batch).to_vec();
    if args.parse_key("twice")?.unwrap_or(false) {
        bytes.extend_from_slice(&batch_bytes(&batch));
    }
    if let Some(at) = args.parse_key::<usize>("flip")? {
        bytes[at] ^= 1;
    }
    let records = (!args.parse_key("empty")?.unwrap_or(false)).then(|| Bytes::from(bytes));
    let index = args.parse_key("partition")?.unwrap_or(0);
    let partition = produce_request::PartitionProduceData::default().with_index(index).with_records(records);
    let repeat: usize = args.parse_key("repeat")?.unwrap_or(1);
    let mut topic = produce_request::TopicProduceData::default().with_partition_data(vec![partition; repeat]);
    match version {
        ..=12 => topic.name = TopicName(text(&args.take("topic").unwrap_or(TOPIC.into()))),
        _ => topic.topic_id = topic_id(),
    }
    Ok(ProduceRequest::default()
        .with_acks(args.parse_key("acks")?.unwrap_or(-1))
        .with_timeout_ms(args.parse_key("timeout")?.unwrap_or(1000))
        .with_topic_data(vec![topic]))
}

fn batch_bytes(batch: &RecordBatch) -> Bytes {
    [&batch.encode_header()[..], &batch.body].concat().into()
}

/// `from=0`, `wait=0`, `min=1`, `max=`, `epoch=-1`, `session=0`, `isolation=0`, `partitions=0,7`; `replica=ID` with
/// `last_epoch=0` for a replica's.
fn fetch(args: &mut Args, version: i16) -> Outcome<FetchRequest> {
    let replica = args.parse_key("replica")?.map(BrokerId);
    let mut position = fetch_request::FetchPartition::default()
        .with_current_leader_epoch(args.parse_key("epoch")?.unwrap_or(-1))
        .with_fetch_offset(args.parse_key("from")?.unwrap_or(0))
        .with_partition_max_bytes(args.parse_key("max")?.unwrap_or(1 << 20));
    if replica.is_some() && version >= 12 {
        position.last_fetched_epoch = args.parse_key("last_epoch")?.unwrap_or(0);
    }
    let partitions = args.take("partitions").map_or("0".into(), |arg| arg);
    let partitions = partitions.split(',').map(|index| Ok(position.clone().with_partition(index.parse()?)));
    let mut topic = fetch_request::FetchTopic::default().with_partitions(partitions.collect::<Outcome<_>>()?);
    match version {
        ..=12 => topic.topic = TopicName(text(TOPIC)),
        _ => topic.topic_id = topic_id(),
    }
    let body = match (replica, version) {
        (Some(id), 15..) => {
            let state = fetch_request::ReplicaState::default().with_replica_id(id);
            FetchRequest::default().with_replica_state(state)
        }
        (id, _) => FetchRequest::default().with_replica_id(id.unwrap_or(BrokerId(-1))),
    };
    Ok(body
        .with_max_wait_ms(args.parse_key("wait")?.unwrap_or(0))
        .with_min_bytes(args.parse_key("min")?.unwrap_or(1))
        .with_max_bytes(1 << 20)
        .with_isolation_level(args.parse_key("isolation")?.unwrap_or(0))
        .with_session_id(args.parse_key("session")?.unwrap_or(0))
        .with_session_epoch(-1)
        .with_topics(vec![topic]))
}

/// `at=-1`, `epoch=-1`, `partitions=0,7`.
fn list_offsets(args: &mut Args, version: i16) -> Outcome<ListOffsetsRequest> {
    let position = list_offsets_request::ListOffsetsPartition::default()
        .with_timestamp(args.parse_key("at")?.unwrap_or(-1))
        .with_current_leader_epoch(if version < 4 { -1 } else { args.parse_key("epoch")?.unwrap_or(-1) });
    let topic = list_offsets_request::ListOffsetsTopic::default().with_name(TopicName(text(TOPIC)));
    Ok(ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_topics(vec![topic.with_partitions(vec![position])])
        .with_timeout_ms(if version < 10 { 0 } else { 1000 }))
}

/// `transactional=NAME`.
fn init_producer_id(args: &mut Args) -> Outcome<InitProducerIdRequest> {
    let transactional = args.take("transactional").map(|arg| TransactionalId(text(&arg)));
    Ok(InitProducerIdRequest::default().with_transactional_id(transactional))
}

fn find_coordinator(version: i16) -> FindCoordinatorRequest {
    match version {
        ..=3 => FindCoordinatorRequest::default().with_key(text("group")),
        _ => FindCoordinatorRequest::default().with_coordinator_keys(vec![text("group")]),
    }
}

fn describe_quorum() -> DescribeQuorumRequest {
    let partition = describe_quorum_request::PartitionData::default();
    let topic = describe_quorum_request::TopicData::default().with_topic_name(TopicName(text(TOPIC)));
    DescribeQuorumRequest::default().with_topics(vec![topic.with_partitions(vec![partition])])
}

/// `epoch=`, `candidate=`, `last=OFFSET`, `last_epoch=`, `pre=true`, `cluster=`, `topic=`, `partition=`.
fn vote(args: &mut Args, version: i16) -> Outcome<VoteRequest> {
    let partition = vote_request::PartitionData::default()
        .with_partition_index(args.parse_key("partition")?.unwrap_or(0))
        .with_replica_epoch(args.parse_key("epoch")?.unwrap_or(1))
        .with_replica_id(BrokerId(args.parse_key("candidate")?.unwrap_or(2)))
        .with_last_offset(args.parse_key("last")?.unwrap_or(0))
        .with_last_offset_epoch(args.parse_key("last_epoch")?.unwrap_or(0))
        .with_pre_vote(version >= 2 && args.parse_key("pre")?.unwrap_or(false));
    let topic = args.take("topic").map_or(TOPIC.into(), |arg| arg);
    let topic = vote_request::TopicData::default().with_topic_name(TopicName(text(&topic)));
    let cluster = args.take("cluster").map(|arg| text(&arg));
    Ok(VoteRequest::default().with_cluster_id(cluster).with_topics(vec![topic.with_partitions(vec![partition])]))
}

/// `epoch=`, `leader=`.
fn begin_quorum_epoch(args: &mut Args, version: i16) -> Outcome<BeginQuorumEpochRequest> {
    let leader: i32 = args.parse_key("leader")?.unwrap_or(2);
    let partition = begin_quorum_epoch_request::PartitionData::default()
        .with_leader_id(BrokerId(leader))
        .with_leader_epoch(args.parse_key("epoch")?.unwrap_or(1));
    let topic = begin_quorum_epoch_request::TopicData::default().with_topic_name(TopicName(text(TOPIC)));
    let endpoint = begin_quorum_epoch_request::LeaderEndpoint::default().with_name(text("PLAINTEXT"));
    let endpoint = endpoint.with_host(text("localhost")).with_port(9091 + leader as u16);
    let body = BeginQuorumEpochRequest::default().with_topics(vec![topic.with_partitions(vec![partition])]);
    Ok(match version {
        0 => body,
        _ => body.with_voter_id(BrokerId(1)).with_leader_endpoints(vec![endpoint]),
    })
}
