//! The Kafka API of a node: what a request asks, and what is answered.
//!
//! A request is either answered from what is known ([`Served::Reply`]) or becomes one question to the replica
//! ([`Served::Wait`]), whose answer is written into the [`Question`] that was kept. Nothing here changes state; leader,
//! epoch and high watermark come from [`crate::raft::Replica::published`] alone, because only that is durable.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, FetchRequest, FindCoordinatorRequest, FindCoordinatorResponse,
    InitProducerIdRequest, InitProducerIdResponse, ProducerId,
};
use kafka_protocol::protocol::StrBytes;

use crate::node::exchange::{Caller, Context, Question, Reply, Served};
use crate::node::translate::{LeaderAt, Refused};
use crate::node::{describe, errors, records, translate};
use crate::prng::Prng;
use crate::protocol::versions::OFFERS;
use crate::protocol::{Api, Frame, codec, schema};
use crate::raft::{Answer, Input, LinkId, Response, Ticket};
use crate::record::DecodeError;

/// Serves one request whose version is offered. An error means that the frame is not what it claims to be.
pub fn serve(cx: &Context<'_>, ticket: Ticket, frame: &Bytes, prng: &mut Prng) -> Result<Served, DecodeError> {
    match cx.caller.api {
        Api::Produce => Ok(records::produce(cx, ticket, cx.decode(&schema::PRODUCE_REQUEST, frame)?, frame.len())),
        Api::Fetch => {
            let asked: FetchRequest = cx.decode(&schema::FETCH_REQUEST, frame)?;
            match translate::fetcher(&asked, cx.caller.version).0 {
                0.. => Ok(raft(cx, ticket, replica_fetch(cx, &asked))),
                _ => Ok(records::fetch(cx, ticket, &asked)),
            }
        }
        Api::ListOffsets => Ok(records::list_offsets(cx, ticket, &cx.decode(&schema::LIST_OFFSETS_REQUEST, frame)?)),
        Api::Metadata => Ok(describe::metadata(cx, &cx.decode(&schema::METADATA_REQUEST, frame)?)),
        Api::FindCoordinator => Ok(find_coordinator(cx, &cx.decode(&schema::FIND_COORDINATOR_REQUEST, frame)?)),
        Api::ApiVersions => {
            let _: ApiVersionsRequest = cx.decode(&schema::API_VERSIONS_REQUEST, frame)?;
            Ok(Served::frame(cx.respond(&offered()), errors::NONE))
        }
        Api::InitProducerId => Ok(init_producer_id(cx, &cx.decode(&schema::INIT_PRODUCER_ID_REQUEST, frame)?, prng)),
        Api::Vote | Api::BeginQuorumEpoch | Api::EndQuorumEpoch => {
            let asked = translate::request(cx.caller.api, cx.caller.version, frame, cx.names)?;
            Ok(raft(cx, ticket, asked))
        }
        Api::DescribeQuorum => Ok(describe::quorum(cx, &cx.decode(&schema::DESCRIBE_QUORUM_REQUEST, frame)?)),
        Api::DescribeCluster => Ok(describe::cluster(cx, &cx.decode(&schema::DESCRIBE_CLUSTER_REQUEST, frame)?)),
    }
}

/// Writes the replica's answer into what was kept.
pub fn answer(cx: &Context<'_>, question: Question, answer: Answer) -> Reply {
    match question {
        Question::Raft => match answer {
            Answer::Response(response) => Reply::Frame(raft_frame(cx, &response), response.error.code()),
            other => unreachable!("a peer's request is answered with {other:?}"),
        },
        Question::Produce { is_silent: true, .. } => records::produced_silently(&answer),
        Question::Produce { response, place, .. } => records::produced(cx, response, place, answer),
        Question::Fetch { response, place } => records::fetched(cx, response, place, answer),
        Question::ListOffsets { response, place } => records::listed_offsets(cx, response, place, answer),
    }
}

/// The answer to an ApiVersions request of a version that we do not know: version 0, error 35, and the range to try
/// instead.
pub fn unknown_api_versions(correlation: i32) -> Frame {
    let offer = Api::ApiVersions.offer();
    let range = ApiVersion::default().with_api_key(offer.api.key());
    let range = range.with_min_version(offer.min).with_max_version(offer.max);
    let body = ApiVersionsResponse::default().with_error_code(errors::UNSUPPORTED_VERSION);
    codec::encode_response(Api::ApiVersions, 0, correlation, &body.with_api_keys(vec![range]))
}

fn offered() -> ApiVersionsResponse {
    let ranges = OFFERS.iter().map(|offer| {
        let range = ApiVersion::default().with_api_key(offer.api.key());
        range.with_min_version(offer.min).with_max_version(offer.max)
    });
    ApiVersionsResponse::default().with_api_keys(ranges.collect())
}

/// A replica's Fetch, its wishes bounded as a consumer's are.
fn replica_fetch(cx: &Context<'_>, asked: &FetchRequest) -> Result<crate::raft::Request, Refused> {
    let mut request = translate::fetch(asked, cx.caller.version, cx.names)?;
    if let crate::raft::Request::Fetch(fetch) = &mut request {
        fetch.max_wait = fetch.max_wait.min(Duration::from_millis(u64::from(cx.config.wait_ms_max)));
        fetch.max_bytes = fetch.max_bytes.min(cx.config.fetch_bytes_max);
    }
    Ok(request)
}

fn raft(cx: &Context<'_>, ticket: Ticket, asked: Result<crate::raft::Request, Refused>) -> Served {
    let Caller { api, version, correlation, .. } = cx.caller;
    match asked {
        Ok(body) => Served::Wait(Question::Raft, Input::Request { ticket, link: LinkId(cx.caller.connection.0), body }),
        Err(Refused::Message(error)) => {
            Served::frame(translate::refuse(api, version, correlation, error), error.code())
        }
        Err(Refused::Partition(error)) => {
            let published = cx.replica.published();
            let body = translate::empty_body(api, published.log_start, published.high_watermark);
            let (epoch, leader) = (published.epoch, published.leader);
            Served::frame(raft_frame(cx, &Response { error, epoch, leader, endpoint: None, body }), error.code())
        }
    }
}

fn raft_frame(cx: &Context<'_>, response: &Response) -> Frame {
    let published = cx.replica.published();
    let leader = response.leader.and_then(|id| {
        let endpoint = cx.endpoint_of(&published, id).or_else(|| response.endpoint.clone());
        endpoint.map(|endpoint| LeaderAt { id, endpoint })
    });
    let Caller { api, version, correlation, .. } = cx.caller;
    translate::answer(api, version, correlation, response, leader.as_ref(), cx.names)
}

/// A number for an idempotent producer: 63 random bits, so any node may answer and none needs to remember.
fn init_producer_id(cx: &Context<'_>, asked: &InitProducerIdRequest, prng: &mut Prng) -> Served {
    let body = InitProducerIdResponse::default();
    let body = match asked.transactional_id {
        // There are no transactions; clients give up at this code instead of asking again.
        Some(_) => {
            body.with_error_code(errors::INVALID_REQUEST).with_producer_id(ProducerId(-1)).with_producer_epoch(-1)
        }
        None => body.with_producer_id(ProducerId((prng.word() >> 1) as i64)).with_producer_epoch(0),
    };
    let error = body.error_code;
    Served::frame(cx.respond(&body), error)
}

/// There are no groups and no transactions, so there is nobody to coordinate them.
fn find_coordinator(cx: &Context<'_>, asked: &FindCoordinatorRequest) -> Served {
    let message = Some(StrBytes::from_static_str("kraftbed has neither groups nor transactions: use assign()"));
    let nobody = (-1).into();
    let body = match cx.caller.version {
        0 => FindCoordinatorResponse::default().with_error_code(errors::COORDINATOR_NOT_AVAILABLE),
        1..=3 => FindCoordinatorResponse::default()
            .with_error_code(errors::COORDINATOR_NOT_AVAILABLE)
            .with_error_message(message),
        _ => {
            let coordinators = asked.coordinator_keys.iter().map(|key| {
                let refused = Coordinator::default().with_key(key.clone()).with_node_id(nobody).with_port(-1);
                refused.with_error_code(errors::COORDINATOR_NOT_AVAILABLE).with_error_message(message.clone())
            });
            let body = FindCoordinatorResponse::default().with_coordinators(coordinators.collect());
            return Served::frame(cx.respond(&body), errors::COORDINATOR_NOT_AVAILABLE);
        }
    };
    Served::frame(cx.respond(&body.with_node_id(nobody).with_port(-1)), errors::COORDINATOR_NOT_AVAILABLE)
}
