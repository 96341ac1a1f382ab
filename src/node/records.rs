//! Produce, Fetch and ListOffsets: the APIs that name partitions.
//!
//! There is one topic with one partition. A request may name others, or ours twice; every partition it names is answered,
//! with UNKNOWN_TOPIC_OR_PARTITION for strangers and INVALID_REQUEST for repetitions, and at most one becomes a question
//! to the replica. The response is built at once with everything that needs no replica, and kept until its answer.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::produce_response::{
    LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{
    BrokerId, FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse, ProduceRequest, ProduceResponse,
    TopicName, fetch_request, fetch_response,
};
use uuid::Uuid;

use crate::ids::{Epoch, Offset};
use crate::node::answers::detached;
use crate::node::exchange::{Context, Question, Reply, Served, leader_id};
use crate::node::{errors, translate};
use crate::protocol::codec;
use crate::quirk::Quirk;
use crate::raft::{Acks, Answer, Input, Proposed, Published, ReadLimits, Refusal, Ticket};
use crate::record::{Compression, Defect, Fault, RecordBatch};
use crate::time::Instant;

/// Which partition a request names, judged in the order in which it names them.
struct Roll<'a> {
    cx: &'a Context<'a>,
    /// Topics are named by id from this version on.
    ids_from: i16,
    ours: Option<(usize, usize)>,
    /// The first error that was found.
    error: i16,
}

impl Roll<'_> {
    /// The error of a partition; `NONE` for the first mention of ours, whose place is kept.
    fn judge(&mut self, topic: (&TopicName, Uuid), partition: i32, place: (usize, usize)) -> i16 {
        let names = self.cx.names;
        let is_by_id = self.cx.caller.version >= self.ids_from;
        let is_topic = if is_by_id { topic.1 == names.topic_id } else { *topic.0 == names.topic };
        let error = match (is_topic, partition, self.ours) {
            (false, ..) if is_by_id => errors::UNKNOWN_TOPIC_ID,
            (false, ..) | (true, ..=-1 | 1.., _) => errors::UNKNOWN_TOPIC_OR_PARTITION,
            (true, 0, Some(_)) => errors::INVALID_REQUEST,
            (true, 0, None) => {
                self.ours = Some(place);
                errors::NONE
            }
        };
        if self.error == errors::NONE {
            self.error = error;
        }
        error
    }
}

/// Produce: the batch of our partition becomes a proposal.
pub fn produce(cx: &Context<'_>, ticket: Ticket, asked: ProduceRequest, frame_bytes: usize) -> Served {
    let is_silent = asked.acks == 0;
    let audible = |served: Served| if is_silent { served.silenced() } else { served };
    let mut roll = Roll { cx, ids_from: 13, ours: None, error: errors::NONE };
    let mut records = None;
    let mut topics = Vec::with_capacity(asked.topic_data.len());
    for (index, topic) in asked.topic_data.into_iter().enumerate() {
        let mut partitions = Vec::with_capacity(topic.partition_data.len());
        for (within, partition) in topic.partition_data.into_iter().enumerate() {
            let error = roll.judge((&topic.name, topic.topic_id), partition.index, (index, within));
            if error == errors::NONE {
                records = partition.records;
            }
            let answer = PartitionProduceResponse::default().with_index(partition.index).with_error_code(error);
            partitions.push(answer.with_base_offset(-1));
        }
        let answer = TopicProduceResponse::default().with_name(topic.name).with_topic_id(topic.topic_id);
        topics.push(answer.with_partition_responses(partitions));
    }
    let mut response = ProduceResponse::default().with_responses(topics);
    let Some(place) = roll.ours else {
        return audible(Served::frame(cx.respond(&response), roll.error));
    };
    let acks = match asked.acks {
        0 => Acks::None,
        1 => Acks::Leader,
        -1 => Acks::All,
        _ => return refused_batch(cx, response, place, errors::INVALID_REQUIRED_ACKS, "acks is -1, 0 or 1".into()),
    };
    if asked.transactional_id.is_some() {
        let why = "there are no transactions here".into();
        return audible(refused_batch(cx, response, place, errors::INVALID_RECORD, why));
    }
    match batch(cx, records.unwrap_or_default(), frame_bytes) {
        Ok(batch) => {
            response.responses[place.0].partition_responses[place.1].error_code = errors::NONE;
            let deadline = wait(cx, asked.timeout_ms);
            let question = Question::Produce { response, place, is_silent };
            Served::Wait(question, Input::Propose { ticket, acks, deadline, batches: vec![batch] })
        }
        Err((error, why)) => audible(refused_batch(cx, response, place, error, why)),
    }
}

/// The one batch that a partition of a Produce holds, checked record by record. (Kafka from Produce 3 on:
/// `ProduceRequest.validateRecords`, one batch per partition.)
fn batch(cx: &Context<'_>, records: Bytes, frame_bytes: usize) -> Result<RecordBatch, (i16, String)> {
    let batch_bytes_max = cx.config.raft.batch_bytes_max;
    if records.len() > batch_bytes_max {
        let why = format!("the batch has {} bytes, at most {batch_bytes_max} are allowed", records.len());
        return Err((errors::MESSAGE_TOO_LARGE, why));
    }
    let records = detached(records, frame_bytes);
    let batch = RecordBatch::parse_produced(&records).map_err(|error| {
        // A checksum fails on the way, and sending again helps; anything else would fail again.
        let is_damaged = error.fault == Fault::Checksum;
        let code = if is_damaged { errors::CORRUPT_MESSAGE } else { errors::INVALID_RECORD };
        (code, error.to_string())
    })?;
    if batch.compression() == Some(Compression::Zstd) && cx.caller.version < PRODUCE_ZSTD_FROM {
        let why = format!("zstd comes with Produce from version {PRODUCE_ZSTD_FROM} on");
        return Err((errors::UNSUPPORTED_COMPRESSION_TYPE, why));
    }
    let invalid = batch.validate_from_client(cx.config.inflated_bytes_max);
    invalid.map_err(|invalid| match invalid.defect {
        Defect::UnknownCodec => (errors::UNSUPPORTED_COMPRESSION_TYPE, invalid.to_string()),
        // The Java client halves such a batch and sends the halves.
        Defect::TooLarge => (errors::MESSAGE_TOO_LARGE, invalid.to_string()),
        Defect::Malformed => (errors::INVALID_RECORD, invalid.to_string()),
    })?;
    Ok(batch)
}

fn refused_batch(
    cx: &Context<'_>,
    mut response: ProduceResponse,
    place: (usize, usize),
    error: i16,
    why: String,
) -> Served {
    let partition = &mut response.responses[place.0].partition_responses[place.1];
    partition.error_code = error;
    partition.error_message = Some(translate::text(&why)).filter(|_| cx.caller.version >= 8);
    Served::frame(cx.respond(&response), error)
}

/// The fate of a proposal with `acks=0`: nothing is said, unless something is wrong.
pub fn produced_silently(answer: &Answer) -> Reply {
    match answer {
        Answer::Proposed(_) => Reply::Silent,
        _ => Reply::Close,
    }
}

/// The fate of a proposal.
pub fn produced(cx: &Context<'_>, mut response: ProduceResponse, place: (usize, usize), answer: Answer) -> Reply {
    let partition = &mut response.responses[place.0].partition_responses[place.1];
    let published = cx.replica.published();
    match answer {
        Answer::Proposed(Proposed::Committed(base) | Proposed::Appended(base) | Proposed::Duplicate(base)) => {
            partition.base_offset = base.as_i64();
            partition.log_start_offset = published.log_start.as_i64();
        }
        // It may yet commit under a later leader: the one error that leaves the outcome open.
        Answer::Proposed(Proposed::Unknown)
            if !published.is_leader && cx.config.raft.quirks.has(Quirk::UnknownSaidRefused) =>
        {
            partition.error_code = errors::NOT_LEADER_OR_FOLLOWER;
        }
        Answer::Proposed(Proposed::Unknown) => partition.error_code = errors::REQUEST_TIMED_OUT,
        Answer::Refused(refusal) => partition.error_code = errors::of_produce(refusal),
        other => unreachable!("a proposal is answered with {other:?}"),
    }
    let error = partition.error_code;
    if error == errors::NOT_LEADER_OR_FOLLOWER && cx.caller.version >= 10 {
        partition.current_leader = LeaderIdAndEpoch::default()
            .with_leader_id(leader_id(&published))
            .with_leader_epoch(published.epoch.as_i32());
        response.node_endpoints = cx.leader_at(&published).into_iter().map(produce_endpoint).collect();
    }
    Reply::Frame(cx.respond(&response), error)
}

fn produce_endpoint(at: translate::LeaderAt) -> NodeEndpoint {
    let endpoint = NodeEndpoint::default().with_node_id(BrokerId(at.id.as_i32()));
    endpoint.with_host(translate::text(&at.endpoint.host)).with_port(i32::from(at.endpoint.port))
}

/// A consumer's Fetch: the position in our partition becomes a read.
pub fn fetch(cx: &Context<'_>, ticket: Ticket, asked: &FetchRequest) -> Served {
    let respond = |response: &FetchResponse, error: i16| {
        let frame = codec::encode_fetch_response(cx.caller.version, cx.caller.correlation, response, None, &[]);
        Served::frame(frame, error)
    };
    // Sessions are optional: answering session 0 makes every request a full one. Nobody can have another.
    if asked.session_id != 0 {
        let error = errors::FETCH_SESSION_ID_NOT_FOUND;
        return respond(&FetchResponse::default().with_error_code(error), error);
    }
    let mut roll = Roll { cx, ids_from: 13, ours: None, error: errors::NONE };
    let (mut position, mut has_errors) = (None, false);
    let mut topics = Vec::with_capacity(asked.topics.len());
    for (index, topic) in asked.topics.iter().enumerate() {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for (within, partition) in topic.partitions.iter().enumerate() {
            let error = roll.judge((&topic.topic, topic.topic_id), partition.partition, (index, within));
            match error {
                errors::NONE => position = Some(partition),
                _ => has_errors = true,
            }
            partitions.push(blank_partition(partition.partition, error, asked.isolation_level));
        }
        let answer = fetch_response::FetchableTopicResponse::default().with_topic(topic.topic.clone());
        topics.push(answer.with_topic_id(topic.topic_id).with_partitions(partitions));
    }
    let response = FetchResponse::default().with_responses(topics);
    let (Some(place), Some(position)) = (roll.ours, position) else {
        return respond(&response, roll.error);
    };
    let Some(from) = Offset::from_i64(position.fetch_offset) else {
        return Served::Reply(fetched(cx, response, place, Answer::Refused(Refusal::OutOfRange)));
    };
    let epoch = Epoch::from_i32(position.current_leader_epoch);
    let limits = read_limits(cx, asked, position, has_errors);
    Served::Wait(Question::Fetch { response, place }, Input::Read { ticket, epoch, from, limits })
}

fn blank_partition(index: i32, error: i16, isolation_level: i8) -> fetch_response::PartitionData {
    // Nothing is transactional: a reader of committed data is told that nothing was aborted.
    let aborted = (isolation_level == READ_COMMITTED).then(Vec::new);
    fetch_response::PartitionData::default()
        .with_partition_index(index)
        .with_error_code(error)
        .with_high_watermark(-1)
        .with_last_stable_offset(-1)
        .with_log_start_offset(-1)
        .with_aborted_transactions(aborted)
}

/// How much and how long: bounded by the client's wishes and by ours. An answer that has errors to tell does not wait.
fn read_limits(
    cx: &Context<'_>,
    asked: &FetchRequest,
    position: &fetch_request::FetchPartition,
    has_errors: bool,
) -> ReadLimits {
    let bytes = |wish: i32| usize::try_from(wish).unwrap_or(0);
    let bytes_max = bytes(asked.max_bytes).min(bytes(position.partition_max_bytes)).min(cx.config.fetch_bytes_max);
    match has_errors {
        true => ReadLimits { bytes_min: 0, bytes_max, deadline: cx.now.monotonic },
        false => ReadLimits {
            bytes_min: bytes(asked.min_bytes).min(bytes_max),
            bytes_max,
            deadline: wait(cx, asked.max_wait_ms),
        },
    }
}

/// What a read found.
pub fn fetched(cx: &Context<'_>, mut response: FetchResponse, place: (usize, usize), answer: Answer) -> Reply {
    let partition = &mut response.responses[place.0].partitions[place.1];
    let mut found = Vec::new();
    match answer {
        Answer::Records { batches, start, high_watermark } => {
            partition.high_watermark = high_watermark.map_or(-1, Offset::as_i64);
            // Without transactions everything committed is stable.
            partition.last_stable_offset = partition.high_watermark;
            partition.log_start_offset = start.as_i64();
            found = batches;
        }
        Answer::Refused(refusal) => {
            partition.error_code = errors::of_read(refusal);
            let published = cx.replica.published();
            if matches!(partition.error_code, errors::NOT_LEADER_OR_FOLLOWER | errors::FENCED_LEADER_EPOCH) {
                partition.current_leader = fetch_response::LeaderIdAndEpoch::default()
                    .with_leader_id(leader_id(&published))
                    .with_leader_epoch(published.epoch.as_i32());
                response.node_endpoints = cx.leader_at(&published).iter().map(translate::fetch_endpoint).collect();
            }
        }
        other => unreachable!("a read is answered with {other:?}"),
    }
    if cx.caller.version < FETCH_ZSTD_FROM {
        // What lies in front of the first zstd batch can still be read. (KIP-110.)
        let readable = found.iter().take_while(|batch| batch.compression() != Some(Compression::Zstd)).count();
        if readable == 0 && !found.is_empty() {
            partition.error_code = errors::UNSUPPORTED_COMPRESSION_TYPE;
        }
        found.truncate(readable);
    }
    let error = partition.error_code;
    let (version, correlation) = (cx.caller.version, cx.caller.correlation);
    Reply::Frame(codec::encode_fetch_response(version, correlation, &response, Some(place), &found), error)
}

/// ListOffsets: the latest offset is read with leadership confirmed, the earliest is known, a lookup by time is refused.
pub fn list_offsets(cx: &Context<'_>, ticket: Ticket, asked: &ListOffsetsRequest) -> Served {
    let mut roll = Roll { cx, ids_from: i16::MAX, ours: None, error: errors::NONE };
    let mut position = None;
    let mut topics = Vec::with_capacity(asked.topics.len());
    for (index, topic) in asked.topics.iter().enumerate() {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for (within, partition) in topic.partitions.iter().enumerate() {
            let error = roll.judge((&topic.name, Uuid::nil()), partition.partition_index, (index, within));
            if error == errors::NONE {
                position = Some(partition);
            }
            let answer = ListOffsetsPartitionResponse::default().with_partition_index(partition.partition_index);
            partitions.push(answer.with_error_code(error).with_timestamp(-1).with_offset(-1));
        }
        topics.push(ListOffsetsTopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions));
    }
    let mut response = ListOffsetsResponse::default().with_topics(topics);
    let (Some(place), Some(position)) = (roll.ours, position) else {
        return Served::frame(cx.respond(&response), roll.error);
    };
    let epoch = Epoch::from_i32(position.current_leader_epoch);
    match position.timestamp {
        LATEST => {
            let deadline = wait(cx, if cx.caller.version >= 10 { asked.timeout_ms } else { CONFIRM_MS });
            Served::Wait(Question::ListOffsets { response, place }, Input::Confirm { ticket, epoch, deadline })
        }
        EARLIEST | EARLIEST_LOCAL => {
            let earliest = earliest(&cx.replica.published(), epoch);
            Served::Reply(listed_offsets(cx, response, place, earliest))
        }
        _ => {
            let partition = &mut response.topics[place.0].partitions[place.1];
            partition.error_code = errors::UNSUPPORTED_FOR_MESSAGE_FORMAT;
            Served::frame(cx.respond(&response), errors::UNSUPPORTED_FOR_MESSAGE_FORMAT)
        }
    }
}

/// The start of the log never moves back, so it needs no confirmation; but only a leader says it.
fn earliest(published: &Published<'_>, epoch: Option<Epoch>) -> Answer {
    match epoch {
        _ if !published.is_leader => Answer::Refused(Refusal::NotLeader(published.leader)),
        Some(epoch) if epoch < published.epoch => Answer::Refused(Refusal::FencedEpoch),
        Some(epoch) if epoch > published.epoch => Answer::Refused(Refusal::UnknownEpoch),
        _ => Answer::Confirmed { offset: published.log_start, epoch: published.epoch },
    }
}

/// An offset, or why there is none.
pub fn listed_offsets(
    cx: &Context<'_>,
    mut response: ListOffsetsResponse,
    place: (usize, usize),
    answer: Answer,
) -> Reply {
    let partition = &mut response.topics[place.0].partitions[place.1];
    match answer {
        Answer::Confirmed { offset, epoch } => {
            partition.offset = offset.as_i64();
            if cx.caller.version >= 4 {
                partition.leader_epoch = epoch.as_i32();
            }
        }
        Answer::Refused(refusal) => {
            partition.error_code = match errors::of_read(refusal) {
                // Known to clients from version 5 on.
                errors::OFFSET_NOT_AVAILABLE if cx.caller.version < 5 => errors::LEADER_NOT_AVAILABLE,
                error => error,
            }
        }
        other => unreachable!("a confirmation is answered with {other:?}"),
    }
    let error = partition.error_code;
    Reply::Frame(cx.respond(&response), error)
}

/// When a request that may wait `wish_ms` is answered at the latest.
fn wait(cx: &Context<'_>, wish_ms: i32) -> Instant {
    let wish = u32::try_from(wish_ms).unwrap_or(0);
    cx.now.monotonic + Duration::from_millis(u64::from(wish.min(cx.config.wait_ms_max)))
}

/// The first version of Produce whose senders may use zstd. (Kafka: `ProduceRequest.validateRecords`.)
const PRODUCE_ZSTD_FROM: i16 = 7;
/// The first version of Fetch whose senders read zstd.
const FETCH_ZSTD_FROM: i16 = 10;
/// ListOffsets: the end of what is committed.
const LATEST: i64 = -1;
/// ListOffsets: the start of the log.
const EARLIEST: i64 = -2;
/// ListOffsets: the start of what is not tiered (KIP-405), which is everything.
const EARLIEST_LOCAL: i64 = -4;
/// How long a ListOffsets below version 10, which names no time, may wait for leadership to be confirmed.
const CONFIRM_MS: i32 = 10_000;
/// `isolation.level=read_committed`.
const READ_COMMITTED: i8 = 1;
