//! What a session says and hears, in its own words: requests to frames, frames to responses.
//!
//! The message structs are the `kafka-protocol` crate's; nothing of them leaves this file. A session asks about one
//! topic with one partition, so the nesting of Kafka's messages is unpacked here: an answer that does not speak of that
//! partition is malformed, whatever else it says.

use std::fmt;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages as kafka;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};

use crate::ids::{Endpoint, Offset};
use crate::protocol::schema::{Shape, answers};
use crate::protocol::{Frame, schema};

/// The APIs that a session uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Api {
    /// Append one batch.
    Produce,
    /// Read committed batches.
    Fetch,
    /// Ask for the end of the log.
    ListOffsets,
    /// Who leads, and where.
    Metadata,
    /// Which versions of which APIs are spoken here.
    ApiVersions,
    /// An identity for an idempotent producer.
    InitProducerId,
}

impl Api {
    /// All of them, in the order of declaration.
    pub const ALL: [Api; 6] =
        [Api::Produce, Api::Fetch, Api::ListOffsets, Api::Metadata, Api::ApiVersions, Api::InitProducerId];

    /// Kafka's number. (Kafka: `ApiKeys`.)
    pub fn key(self) -> i16 {
        match self {
            Api::Produce => 0,
            Api::Fetch => 1,
            Api::ListOffsets => 2,
            Api::Metadata => 3,
            Api::ApiVersions => 18,
            Api::InitProducerId => 22,
        }
    }

    /// The versions a session can speak, both ends included, each bound with its reason.
    pub fn versions(self) -> (i16, i16) {
        match self {
            // 3 carries magic 2 for the first time; from 13 on topics go by id, which 0.x brokers of a test may lack.
            Api::Produce => (3, 12),
            // 4 is the first with magic 2 and isolation; from 13 on topics go by id.
            Api::Fetch => (4, 12),
            // 2 brings the isolation level, without which the end is not the committed one; 7 is what librdkafka speaks.
            Api::ListOffsets => (2, 7),
            // 7 brings the leader epoch, which tells a stale answer from a fresh one; 13 only adds an error code.
            Api::Metadata => (7, 12),
            // 5 (KIP-1242) names the node that is meant; we do not know it before we have asked.
            Api::ApiVersions => (0, 4),
            // 6 is not stable.
            Api::InitProducerId => (0, 5),
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A request, in a session's words.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Request {
    /// Negotiate.
    ApiVersions,
    /// Where is the leader of this topic?
    Metadata { topic: StrBytes },
    /// An identity, please.
    InitProducerId,
    /// Append this encoded batch; the broker gives up after `timeout`. With `acks` 0 it does not answer.
    Produce { topic: StrBytes, records: Bytes, timeout: Duration, acks: i16 },
    /// Committed batches from here on, at the latest after `wait_max`.
    Fetch { topic: StrBytes, leader_epoch: i32, from: Offset, wait_max: Duration, bytes_max: usize },
    /// The end of what is committed.
    Tail { topic: StrBytes, leader_epoch: i32 },
}

impl Request {
    /// Whether the broker answers it.
    pub fn is_answered(&self) -> bool {
        !matches!(self, Request::Produce { acks: 0, .. })
    }

    /// The API that serves it.
    pub fn api(&self) -> Api {
        match self {
            Request::ApiVersions => Api::ApiVersions,
            Request::Metadata { .. } => Api::Metadata,
            Request::InitProducerId => Api::InitProducerId,
            Request::Produce { .. } => Api::Produce,
            Request::Fetch { .. } => Api::Fetch,
            Request::Tail { .. } => Api::ListOffsets,
        }
    }
}

/// A leader, as an answer names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The leader's node id.
    pub leader: i32,
    /// Its epoch.
    pub epoch: i32,
    /// Where it listens, if the answer says so.
    pub endpoint: Option<Endpoint>,
}

/// A response, in a session's words.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Response {
    /// API keys with the least and the largest version.
    ApiVersions { error: i16, apis: Vec<(i16, i16, i16)> },
    /// Every broker, and the leader of the topic's only partition (−1 for none).
    Metadata { error: i16, brokers: Vec<(i32, Endpoint)>, leader: i32, epoch: i32 },
    /// An identity.
    InitProducerId { error: i16, id: i64, epoch: i16 },
    /// The base offset of the batch.
    Produce { error: i16, base: i64, hint: Option<Hint> },
    /// Encoded batches and the high watermark (−1 for unknown).
    Fetch { error: i16, high_watermark: i64, records: Bytes, hint: Option<Hint> },
    /// The end of what is committed.
    Tail { error: i16, end: i64 },
}

/// A frame that is not the answer it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Of which API an answer was expected.
    pub api: Api,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} answer: {}", self.api, self.what)
    }
}

impl std::error::Error for Malformed {}

/// Encodes a request as one frame.
pub fn encode(request: &Request, version: i16, correlation: i32, client_id: &StrBytes) -> Frame {
    match request {
        Request::ApiVersions => {
            let body = kafka::ApiVersionsRequest::default()
                .with_client_software_name(StrBytes::from_static_str("kraftbed"))
                .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
            frame(request.api(), version, correlation, client_id, &body)
        }
        Request::Metadata { topic } => {
            let topic = kafka::metadata_request::MetadataRequestTopic::default().with_name(Some(topic.clone().into()));
            let body = kafka::MetadataRequest::default().with_topics(Some(vec![topic]));
            frame(request.api(), version, correlation, client_id, &body)
        }
        Request::InitProducerId => {
            // No transaction, no earlier identity. (KIP-360: −1 asks for a new id.)
            let body = kafka::InitProducerIdRequest::default()
                .with_transactional_id(None)
                .with_transaction_timeout_ms(i32::MAX)
                .with_producer_id((-1).into())
                .with_producer_epoch(-1);
            frame(request.api(), version, correlation, client_id, &body)
        }
        Request::Produce { topic, records, timeout, acks } => {
            let body = produce(topic, *timeout, *acks);
            let frame = frame(request.api(), version, correlation, client_id, &body);
            around(&frame, records, version)
        }
        Request::Fetch { topic, leader_epoch, from, wait_max, bytes_max } => {
            let body = fetch(topic, *leader_epoch, *from, *wait_max, *bytes_max);
            frame(request.api(), version, correlation, client_id, &body)
        }
        Request::Tail { topic, leader_epoch } => {
            let body = list_offsets(topic, *leader_epoch);
            frame(request.api(), version, correlation, client_id, &body)
        }
    }
}

/// Decodes the answer to a request of this API and version: its correlation id and what it says.
pub fn decode(api: Api, version: i16, frame: &Bytes) -> Result<(i32, Response), Malformed> {
    let mut rest = frame.clone();
    match api {
        Api::ApiVersions => {
            // A broker that does not know the version answers error 35 in the format of version 0. (KIP-511.)
            let refused = frame.get(4..6).is_some_and(|code| code == UNSUPPORTED_VERSION.to_be_bytes());
            let version = if refused { 0 } else { version };
            let (id, body) =
                read::<kafka::ApiVersionsResponse>(api, &schema::API_VERSIONS_RESPONSE, version, &mut rest)?;
            let apis = body.api_keys.iter().map(|api| (api.api_key, api.min_version, api.max_version)).collect();
            Ok((id, Response::ApiVersions { error: body.error_code, apis }))
        }
        Api::Metadata => {
            let (id, body) = read::<kafka::MetadataResponse>(api, &answers::METADATA_RESPONSE, version, &mut rest)?;
            Ok((id, metadata(body)?))
        }
        Api::InitProducerId => {
            let (id, body) =
                read::<kafka::InitProducerIdResponse>(api, &answers::INIT_PRODUCER_ID_RESPONSE, version, &mut rest)?;
            let (producer, epoch) = (body.producer_id.0, body.producer_epoch);
            Ok((id, Response::InitProducerId { error: body.error_code, id: producer, epoch }))
        }
        Api::Produce => {
            let (id, body) = read::<kafka::ProduceResponse>(api, &answers::PRODUCE_RESPONSE, version, &mut rest)?;
            Ok((id, produced(body)?))
        }
        Api::Fetch => {
            let (id, body) = read::<kafka::FetchResponse>(api, &schema::FETCH_RESPONSE, version, &mut rest)?;
            Ok((id, fetched(body)?))
        }
        Api::ListOffsets => {
            let (id, body) =
                read::<kafka::ListOffsetsResponse>(api, &answers::LIST_OFFSETS_RESPONSE, version, &mut rest)?;
            let topic = only(api, "topic", body.topics)?;
            let partition = only(api, "partition", topic.partitions)?;
            Ok((id, Response::Tail { error: partition.error_code, end: partition.offset }))
        }
    }
}

/// A Produce of no records, with a place for them. See [`around`].
fn produce(topic: &StrBytes, timeout: Duration, acks: i16) -> kafka::ProduceRequest {
    let partition = kafka::produce_request::PartitionProduceData::default().with_records(Some(Bytes::new()));
    let topic = kafka::produce_request::TopicProduceData::default()
        .with_name(topic.clone().into())
        .with_partition_data(vec![partition]);
    kafka::ProduceRequest::default().with_acks(acks).with_timeout_ms(millis(timeout)).with_topic_data(vec![topic])
}

/// Puts records into the frame of a Produce of none, without copying them: they are the last field of the innermost
/// structure, so only lengths stand before them and empty sets of tags behind.
fn around(frame: &Frame, records: &Bytes, version: i16) -> Frame {
    let whole = frame.parts.first().expect("invariant: a frame was just encoded as one part");
    let is_flexible = version >= PRODUCE_FLEXIBLE_FROM;
    // A compact length is a varint of the length and one; the tags are those of partition, topic and request.
    let (length_bytes, tags) = if is_flexible { (1, 3) } else { (4, 0) };
    let (head, rest) = whole.split_at(whole.len() - length_bytes - tags);
    let mut front = BytesMut::with_capacity(head.len() + VARINT_BYTES_MAX);
    front.extend_from_slice(head);
    match is_flexible {
        false => front.put_u32(u32::try_from(records.len()).expect("invariant: a batch is below 2 GiB")),
        true => {
            let mut length = records.len() as u64 + 1;
            while length >= 0x80 {
                front.put_u8(length as u8 | 0x80);
                length >>= 7;
            }
            front.put_u8(length as u8);
        }
    }
    let mut parts = vec![Bytes::new(), records.clone()];
    if tags > 0 {
        parts.push(Bytes::copy_from_slice(&rest[length_bytes..]));
    }
    let bytes = front.len() - 4 + records.len() + tags;
    front[..4].copy_from_slice(&i32::try_from(bytes).expect("invariant: a request is below 2 GiB").to_be_bytes());
    parts[0] = front.freeze();
    Frame { parts }
}

/// A consumer without a fetch session: id 0 and epoch −1, as librdkafka sends it.
fn fetch(
    topic: &StrBytes,
    leader_epoch: i32,
    from: Offset,
    wait_max: Duration,
    bytes_max: usize,
) -> kafka::FetchRequest {
    let bytes_max = i32::try_from(bytes_max).unwrap_or(i32::MAX);
    let partition = kafka::fetch_request::FetchPartition::default()
        .with_current_leader_epoch(leader_epoch)
        .with_fetch_offset(from.as_i64())
        .with_partition_max_bytes(bytes_max);
    let topic =
        kafka::fetch_request::FetchTopic::default().with_topic(topic.clone().into()).with_partitions(vec![partition]);
    kafka::FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_wait_ms(millis(wait_max))
        .with_min_bytes(1)
        .with_max_bytes(bytes_max)
        .with_isolation_level(READ_COMMITTED)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

fn list_offsets(topic: &StrBytes, leader_epoch: i32) -> kafka::ListOffsetsRequest {
    let partition = kafka::list_offsets_request::ListOffsetsPartition::default()
        .with_current_leader_epoch(leader_epoch)
        .with_timestamp(LATEST);
    let topic = kafka::list_offsets_request::ListOffsetsTopic::default()
        .with_name(topic.clone().into())
        .with_partitions(vec![partition]);
    kafka::ListOffsetsRequest::default()
        .with_replica_id((-1).into())
        .with_isolation_level(READ_COMMITTED)
        .with_topics(vec![topic])
}

fn metadata(body: kafka::MetadataResponse) -> Result<Response, Malformed> {
    let topic = only(Api::Metadata, "topic", body.topics)?;
    let brokers =
        body.brokers.iter().filter_map(|broker| Some((broker.node_id.0, endpoint(&broker.host, broker.port)?)));
    let brokers = brokers.collect();
    // A topic that cannot be described has no partitions, and its error says why.
    let Some(partition) = topic.partitions.first() else {
        return Ok(Response::Metadata { error: topic.error_code, brokers, leader: -1, epoch: -1 });
    };
    let error = if topic.error_code != 0 { topic.error_code } else { partition.error_code };
    Ok(Response::Metadata { error, brokers, leader: partition.leader_id.0, epoch: partition.leader_epoch })
}

fn produced(body: kafka::ProduceResponse) -> Result<Response, Malformed> {
    let nodes: Vec<_> =
        body.node_endpoints.iter().map(|node| (node.node_id.0, endpoint(&node.host, node.port))).collect();
    let topic = only(Api::Produce, "topic", body.responses)?;
    let partition = only(Api::Produce, "partition", topic.partition_responses)?;
    let hint = hint(partition.current_leader.leader_id.0, partition.current_leader.leader_epoch, &nodes);
    Ok(Response::Produce { error: partition.error_code, base: partition.base_offset, hint })
}

fn fetched(body: kafka::FetchResponse) -> Result<Response, Malformed> {
    // An error of the whole request (sessions, versions) comes without partitions.
    if body.error_code != 0 {
        let (error, records) = (body.error_code, Bytes::new());
        return Ok(Response::Fetch { error, high_watermark: -1, records, hint: None });
    }
    let nodes: Vec<_> =
        body.node_endpoints.iter().map(|node| (node.node_id.0, endpoint(&node.host, node.port))).collect();
    let topic = only(Api::Fetch, "topic", body.responses)?;
    let partition = only(Api::Fetch, "partition", topic.partitions)?;
    Ok(Response::Fetch {
        error: partition.error_code,
        high_watermark: partition.high_watermark,
        records: partition.records.unwrap_or_default(),
        hint: hint(partition.current_leader.leader_id.0, partition.current_leader.leader_epoch, &nodes),
    })
}

fn hint(leader: i32, epoch: i32, nodes: &[(i32, Option<Endpoint>)]) -> Option<Hint> {
    let endpoint = nodes.iter().find(|(id, _)| *id == leader).and_then(|(_, endpoint)| endpoint.clone());
    (leader >= 0 && epoch >= 0).then_some(Hint { leader, epoch, endpoint })
}

fn endpoint(host: &StrBytes, port: i32) -> Option<Endpoint> {
    Some(Endpoint::new(host, u16::try_from(port).ok()?))
}

/// The only element of an array that must have exactly one.
fn only<T>(api: Api, what: &str, elements: Vec<T>) -> Result<T, Malformed> {
    let found = elements.len();
    let mut elements = elements.into_iter();
    match (elements.next(), elements.next()) {
        (Some(element), None) => Ok(element),
        _ => Err(Malformed { api, what: format!("expected one {what}, found {found}") }),
    }
}

fn read<T: Decodable + HeaderVersion>(
    api: Api,
    shape: &Shape,
    version: i16,
    rest: &mut Bytes,
) -> Result<(i32, T), Malformed> {
    let malformed = |error: &dyn fmt::Display| Malformed { api, what: error.to_string().trim_end().to_owned() };
    let header = kafka::ResponseHeader::decode(rest, T::header_version(version)).map_err(|error| malformed(&error))?;
    shape.check(version, rest).map_err(|error| malformed(&error))?;
    let body = T::decode(rest, version).map_err(|error| malformed(&error))?;
    Ok((header.correlation_id, body))
}

fn frame<T: Encodable + HeaderVersion>(
    api: Api,
    version: i16,
    correlation: i32,
    client_id: &StrBytes,
    body: &T,
) -> Frame {
    let header = kafka::RequestHeader::default()
        .with_request_api_key(api.key())
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(client_id.clone()));
    let mut buffer = BytesMut::with_capacity(REQUEST_BYTES);
    buffer.put_i32(0);
    header.encode(&mut buffer, T::header_version(version)).expect("invariant: a request header of ours can be encoded");
    body.encode(&mut buffer, version).expect("invariant: a request of ours can be encoded in a version we speak");
    let length = i32::try_from(buffer.len() - 4).expect("invariant: a request is smaller than 2 GiB");
    buffer[..4].copy_from_slice(&length.to_be_bytes());
    Frame { parts: vec![buffer.freeze()] }
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

/// The first version of Produce with compact lengths and tags.
const PRODUCE_FLEXIBLE_FROM: i16 = 9;

/// What most requests fit into; records travel beside it.
const REQUEST_BYTES: usize = 256;

/// The longest form of a 32-bit varint.
const VARINT_BYTES_MAX: usize = 5;

/// The isolation level that asks for committed data only.
const READ_COMMITTED: i8 = 1;

/// The timestamp that stands for the end of the log. (Kafka: `ListOffsetsRequest.LATEST_TIMESTAMP`.)
const LATEST: i64 = -1;

/// The error of an ApiVersions request whose version the broker does not know.
pub const UNSUPPORTED_VERSION: i16 = 35;
