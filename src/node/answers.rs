//! What peers answer: Kafka's responses → [`crate::raft::message`].
//!
//! The other half of [`crate::node::translate`], for answers that come in.

use bytes::Bytes;
use kafka_protocol::messages::{
    BeginQuorumEpochResponse, BrokerId, EndQuorumEpochResponse, FetchResponse, VoteResponse,
};

use crate::ids::{Endpoint, Epoch, Offset, ReplicaId};
use crate::log::SnapshotId;
use crate::node::translate::Names;
use crate::protocol::{Api, codec, schema};
use crate::raft::Response;
use crate::raft::message::{ErrorCode, FetchResponse as Answered, Fetched, ResponseBody};
use crate::record::{Batches, DecodeError, RecordBatch};

/// What an answer says of its sender and the leader, wherever the message keeps it.
struct Said {
    error: i16,
    leader: BrokerId,
    epoch: i32,
}

/// The three answers of an election have one shape under three sets of names; `$body` says what is theirs alone.
macro_rules! election_answer {
    ($answer:expr, $asked_in:expr, $names:expr, |$partition:ident| $body:expr, $nothing:expr) => {{
        let answer = $answer;
        if answer.error_code != 0 {
            return Ok(message_error(answer.error_code, $asked_in, $nothing));
        }
        let topic = only(&answer.topics, "topics")?;
        let $partition = only(&topic.partitions, "partitions")?;
        check_place(topic.topic_name == $names.topic, $partition.partition_index)?;
        let said = Said { error: $partition.error_code, leader: $partition.leader_id, epoch: $partition.leader_epoch };
        let endpoints = answer.node_endpoints.iter().map(|at| (at.node_id, &at.host[..], i32::from(at.port)));
        Ok(response(said, endpoints, $asked_in, $body))
    }};
}

/// Decodes an answer to a call of `asked_in`, the epoch of the request. `rest` begins after the correlation id.
///
/// A message-level error names neither epoch nor leader; it is taken to speak of the epoch that was asked in, or the
/// replica would drop it as stale and never back off.
pub fn answer(api: Api, version: i16, rest: Bytes, asked_in: Epoch, names: &Names) -> Result<Response, DecodeError> {
    match api {
        Api::Vote => {
            let answer: VoteResponse = codec::decode_response(api, &schema::VOTE_RESPONSE, version, rest)?;
            let nothing = ResponseBody::Vote { granted: false };
            let body = |granted| ResponseBody::Vote { granted };
            election_answer!(answer, asked_in, names, |partition| body(partition.vote_granted), nothing)
        }
        Api::BeginQuorumEpoch => {
            let shape = &schema::BEGIN_QUORUM_EPOCH_RESPONSE;
            let answer: BeginQuorumEpochResponse = codec::decode_response(api, shape, version, rest)?;
            let body = ResponseBody::BeginQuorumEpoch;
            election_answer!(answer, asked_in, names, |partition| body, body)
        }
        Api::EndQuorumEpoch => {
            let shape = &schema::END_QUORUM_EPOCH_RESPONSE;
            let answer: EndQuorumEpochResponse = codec::decode_response(api, shape, version, rest)?;
            let body = ResponseBody::EndQuorumEpoch;
            election_answer!(answer, asked_in, names, |partition| body, body)
        }
        Api::Fetch => {
            let frame_bytes = rest.len();
            fetch(codec::decode_response(api, &schema::FETCH_RESPONSE, version, rest)?, frame_bytes, asked_in, names)
        }
        other => unreachable!("{other:?} is no RPC of the quorum"),
    }
}

fn fetch(
    mut answer: FetchResponse,
    frame_bytes: usize,
    asked_in: Epoch,
    names: &Names,
) -> Result<Response, DecodeError> {
    let nothing = Answered { high_watermark: None, log_start: Offset::ZERO, found: Fetched::Records(Vec::new()) };
    if answer.error_code != 0 {
        return Ok(message_error(answer.error_code, asked_in, ResponseBody::Fetch(nothing)));
    }
    only(&answer.responses, "topics")?;
    let mut topic = answer.responses.remove(0);
    only(&topic.partitions, "partitions")?;
    let partition = topic.partitions.remove(0);
    check_place(topic.topic_id == names.topic_id, partition.partition_index)?;
    let (diverging, snapshot) = (&partition.diverging_epoch, &partition.snapshot_id);
    let found = match (Epoch::from_i32(diverging.epoch), Offset::from_i64(diverging.end_offset)) {
        (Some(epoch), Some(end)) => Fetched::Diverging { epoch, end },
        _ => match (Offset::from_i64(snapshot.end_offset), Epoch::from_i32(snapshot.epoch)) {
            (Some(end), Some(epoch)) => Fetched::Snapshot(SnapshotId { end, epoch }),
            _ => Fetched::Records(batches(partition.records.unwrap_or_default(), frame_bytes)?),
        },
    };
    let leader = &partition.current_leader;
    let said = Said { error: partition.error_code, leader: leader.leader_id, epoch: leader.leader_epoch };
    let endpoints = answer.node_endpoints.iter().map(|at| (at.node_id, &at.host[..], at.port));
    let fetched = Answered {
        high_watermark: Offset::from_i64(partition.high_watermark),
        log_start: Offset::from_i64(partition.log_start_offset).unwrap_or_default(),
        found,
    };
    Ok(response(said, endpoints, asked_in, ResponseBody::Fetch(fetched)))
}

/// The whole batches at the front. A tail that is cut short or damaged is left out and will be fetched again; damage
/// from the first byte on is an error, or it would be fetched again at once, for ever.
fn batches(records: Bytes, frame_bytes: usize) -> Result<Vec<RecordBatch>, DecodeError> {
    let records = detached(records, frame_bytes);
    let mut batches = Vec::new();
    for batch in Batches::of(&records) {
        match batch {
            Ok(batch) => batches.push(batch),
            Err(error) if batches.is_empty() => return Err(error),
            Err(_) => break,
        }
    }
    Ok(batches)
}

/// The records, without the frame they came in if that is much larger: a slice keeps its whole frame alive, and the log
/// keeps the slice.
pub fn detached(records: Bytes, frame_bytes: usize) -> Bytes {
    match records.len() < frame_bytes / 2 {
        true => Bytes::copy_from_slice(&records),
        false => records,
    }
}

fn message_error(error: i16, asked_in: Epoch, body: ResponseBody) -> Response {
    Response { error: ErrorCode::from_code(error), epoch: asked_in, leader: None, endpoint: None, body }
}

fn response<'a>(
    said: Said,
    mut endpoints: impl Iterator<Item = (BrokerId, &'a str, i32)>,
    asked_in: Epoch,
    body: ResponseBody,
) -> Response {
    let endpoint = endpoints.find(|(id, ..)| *id == said.leader);
    let endpoint = endpoint.and_then(|(_, host, port)| Some(Endpoint::new(host, u16::try_from(port).ok()?)));
    Response {
        error: ErrorCode::from_code(said.error),
        epoch: Epoch::from_i32(said.epoch).unwrap_or(asked_in),
        leader: ReplicaId::from_i32(said.leader.0),
        endpoint,
        body,
    }
}

fn only<'a, T>(list: &'a [T], what: &'static str) -> Result<&'a T, DecodeError> {
    match list {
        [only] => Ok(only),
        list => Err(DecodeError::new(0, what, "one", list.len())),
    }
}

fn check_place(is_topic: bool, partition: i32) -> Result<(), DecodeError> {
    match is_topic && partition == 0 {
        true => Ok(()),
        false => {
            let found = format!("partition {partition}, perhaps of another topic");
            Err(DecodeError::new(0, "topic and partition", "those asked for", found))
        }
    }
}
