//! Frames of real brokers and clients, under `tests/bytes/frames` (line 1 says where a frame comes from, line 2 is the
//! frame after its length field): our encoder gives the same bytes, our walk accepts them, and no mutation of them makes
//! a decoder panic or reserve what was only announced.

use std::path::PathBuf;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::{Encodable, StrBytes};
use kraftbed::client::{quorum_info, wire};
use kraftbed::ids::{DirectoryId, Endpoint, Epoch, Offset, ReplicaId, ReplicaKey};
use kraftbed::node::translate::{self, Names};
use kraftbed::node::{Config, answers as answers_of_peers};
use kraftbed::prng::Prng;
use kraftbed::protocol::Api;
use kraftbed::protocol::codec::{self, RequestStart};
use kraftbed::protocol::schema::{self, Shape, answers};
use kraftbed::protocol::versions::OFFERS;
use kraftbed::raft::message::ResponseBody;
use kraftbed::raft::{self, Request, Voter, VoterSet};
use kraftbed::record::{BatchBuilder, HEADER_BYTES};
use kraftbed::time::Timestamp;

use super::requests;

fn frames() -> Vec<(String, Bytes)> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bytes/frames"));
    let mut paths: Vec<PathBuf> =
        folder.read_dir().expect("frames").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let frames = paths.into_iter().map(|path| {
        let text = std::fs::read_to_string(&path).expect("a text file");
        let bytes = requests::unhex(text.lines().nth(1).expect("two lines")).expect("hexadecimal digits");
        (path.file_stem().expect("a name").to_string_lossy().into_owned(), bytes)
    });
    frames.collect()
}

fn frame(name: &str) -> Bytes {
    frames().into_iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no frame {name}")).1
}

/// The cluster that the frames between replicas were captured in.
fn names() -> Names {
    let voter = |id| Voter { key: ReplicaKey::of(ReplicaId(id)), endpoints: Vec::new() };
    let mut config = Config::new(raft::Config::new(ReplicaId(0), VoterSet::new((0..3).map(voter).collect())));
    config.cluster_id = "4L6g3nShT-eMCtK--X86sw".into();
    Names::of(&config)
}

/// Decodes a request of a replica as the node does.
fn raft_request(frame: &Bytes) -> Request {
    let start = RequestStart::parse(frame).expect("a header");
    let (api, version) = (Api::find(start.key).expect("an API"), start.version);
    match api {
        Api::Fetch => {
            let shape = &schema::FETCH_REQUEST;
            let asked = codec::decode_request(api, shape, version, frame).expect("a Fetch");
            translate::fetch(&asked, version, &names()).expect("passes the checks")
        }
        _ => translate::request(api, version, frame, &names()).expect("well-formed").expect("passes the checks"),
    }
}

#[test]
fn requests_of_real_replicas_are_written_as_they_were_read() {
    for name in ["Fetch-v18-request", "Vote-v2-request", "BeginQuorumEpoch-v1-request", "EndQuorumEpoch-v1-request"] {
        let real = frame(name);
        let start = RequestStart::parse(&real).expect("a header");
        let request = raft_request(&real);
        let ours =
            translate::call(&request, start.version, start.correlation, &names()).expect("the version can say it");
        assert_eq!(ours.payload(), real, "{name}");
    }
}

#[test]
fn answers_of_real_replicas_are_written_as_they_were_read() {
    for name in ["Fetch-v18", "Vote-v2", "BeginQuorumEpoch-v1", "EndQuorumEpoch-v1"] {
        let (asked, real) = (frame(&format!("{name}-request")), frame(&format!("{name}-response")));
        let start = RequestStart::parse(&asked).expect("a header");
        let api = Api::find(start.key).expect("an API");
        let answer =
            answers_of_peers::answer(api, start.version, real.slice(4..), Epoch::ZERO, &names()).expect("well-formed");
        let leader = answer.leader.zip(answer.endpoint.clone());
        let leader = leader.map(|(id, endpoint)| translate::LeaderAt { id, endpoint });
        let ours = translate::answer(api, start.version, start.correlation, &answer, leader.as_ref(), &names());
        assert_eq!(ours.payload(), real, "{name}");
    }
}

#[test]
fn a_real_fetch_means_what_kafka_meant() {
    let Request::Fetch(fetch) = raft_request(&frame("Fetch-v18-request")) else { panic!("a Fetch") };
    let directory =
        requests::unhex("3d77c9d8beafe84a3dcac006701b71bb").expect("digits")[..].try_into().expect("16 bytes");
    assert_eq!(fetch.replica, Some(ReplicaKey { id: ReplicaId(0), directory: Some(DirectoryId(directory)) }));
    assert_eq!((fetch.offset, fetch.last_epoch, fetch.epoch), (Some(Offset(0)), Some(Epoch(0)), Epoch(0)));
    assert_eq!(fetch.high_watermark, raft::message::SaidHighWatermark::Known(None));
}

/// Truncations, flipped bits and huge lengths everywhere. A decoder that reserved what an array announces would end the
/// process here.
#[test]
fn mutated_frames_are_refused_without_panic() {
    let mut prng = Prng::new(7, 7);
    for (name, real) in frames() {
        for _ in 0..400 {
            meet(&name, mutated(&real, &mut prng));
        }
    }
}

/// The same for every request that is offered, in every version: those of the fixtures are few.
#[test]
fn mutated_requests_of_every_version_are_refused_or_answered() {
    let mut prng = Prng::new(8, 8);
    for offer in OFFERS {
        for version in offer.served_from..=offer.max {
            let words = [offer.name, &format!("v{version}")];
            let (real, _) = requests::request(&mut requests::Args::words(&words), 9).expect("a request");
            for _ in 0..25 {
                super::stage::hear(mutated(&real, &mut prng));
            }
        }
    }
}

/// The same for what replicas answer each other, in every version.
#[test]
fn mutated_answers_of_every_version_are_refused_or_read() {
    let mut prng = Prng::new(9, 9);
    let fetched = raft::message::FetchResponse {
        high_watermark: Some(Offset(3)),
        log_start: Offset(0),
        found: raft::message::Fetched::Diverging { epoch: Epoch(2), end: Offset(3) },
    };
    let leader = translate::LeaderAt { id: ReplicaId(1), endpoint: Endpoint::new("host", 9092) };
    for (api, versions, body) in [
        (Api::Vote, 0..=2, ResponseBody::Vote { granted: true }),
        (Api::BeginQuorumEpoch, 0..=1, ResponseBody::BeginQuorumEpoch),
        (Api::EndQuorumEpoch, 0..=1, ResponseBody::EndQuorumEpoch),
        (Api::Fetch, 13..=18, ResponseBody::Fetch(fetched)),
    ] {
        let answer = raft::Response {
            error: raft::ErrorCode::None,
            epoch: Epoch(3),
            leader: Some(ReplicaId(1)),
            endpoint: None,
            body,
        };
        for version in versions {
            let real = translate::answer(api, version, 7, &answer, Some(&leader), &names()).payload();
            let read = answers_of_peers::answer(api, version, real.slice(4..), Epoch::ZERO, &names());
            assert_eq!(read.map(|read| (read.error, read.body)), Ok((answer.error, answer.body.clone())), "{api:?}");
            for _ in 0..400 {
                let bytes = mutated(&real, &mut prng);
                if bytes.len() >= 4 {
                    let _ = answers_of_peers::answer(api, version, bytes.slice(4..), Epoch::ZERO, &names());
                }
            }
        }
    }
}

/// The same for what a node answers clients and tools, in every version that ours speak.
#[test]
fn mutated_answers_to_clients_are_refused_or_read() {
    let mut prng = Prng::new(10, 10);
    let (topic, client) = (StrBytes::from_static_str("__cluster_metadata"), StrBytes::from_static_str("client"));
    let second = Duration::from_secs(1);
    for api in wire::Api::ALL {
        let (least, most) = api.versions();
        for version in least..=most {
            let topic = topic.clone();
            let request = match api {
                wire::Api::ApiVersions => wire::Request::ApiVersions,
                wire::Api::Metadata => wire::Request::Metadata { topic },
                wire::Api::InitProducerId => wire::Request::InitProducerId,
                wire::Api::Produce => wire::Request::Produce { topic, records: produced(), timeout: second, acks: 1 },
                wire::Api::Fetch => {
                    let (wait_max, from) = (Duration::ZERO, Offset::ZERO);
                    wire::Request::Fetch { topic, leader_epoch: -1, from, wait_max, bytes_max: 1 << 20 }
                }
                wire::Api::ListOffsets => wire::Request::Tail { topic, leader_epoch: -1 },
            };
            let asked = wire::encode(&request, version, 7, &client).payload();
            let real = super::stage::answer_to(asked).unwrap_or_else(|| panic!("no answer to {api} v{version}"));
            let (correlation, _) = wire::decode(api, version, &real).unwrap_or_else(|error| panic!("{api}: {error}"));
            assert_eq!(correlation, 7);
            for _ in 0..200 {
                let _ = wire::decode(api, version, &mutated(&real, &mut prng));
            }
        }
    }
    // What tools ask is a frame with its length.
    let answered = |asked: Bytes| super::stage::answer_to(asked.slice(4..)).expect("an answer");
    let versions = quorum_info::read_versions(answered(quorum_info::ask_versions())).expect("versions");
    let cluster = answered(quorum_info::ask_cluster(versions, quorum_info::Bootstrap::Servers));
    let quorum = answered(quorum_info::ask_quorum(versions));
    assert!(quorum_info::read_cluster(versions, cluster.clone()).is_ok());
    assert!(quorum_info::read_quorum(versions, quorum.clone()).is_ok());
    for _ in 0..400 {
        let _ = quorum_info::read_cluster(versions, mutated(&cluster, &mut prng));
        let _ = quorum_info::read_quorum(versions, mutated(&quorum, &mut prng));
    }
}

/// One batch, as a producer sends it.
fn produced() -> Bytes {
    let mut builder = BatchBuilder::new(Timestamp(0));
    builder.push(None, Some(b"value"));
    let batch = builder.build();
    let mut bytes = BytesMut::with_capacity(HEADER_BYTES + batch.body.len());
    bytes.put_slice(&batch.encode_header());
    bytes.put_slice(&batch.body);
    bytes.freeze()
}

/// A frame of three bytes an element would become a hundred times as much memory.
#[test]
fn a_frame_of_too_many_elements_is_refused() {
    use kafka_protocol::messages::{MetadataRequest, metadata_request::MetadataRequestTopic};
    for (count, is_fine) in [(schema::ELEMENTS_MAX, true), (schema::ELEMENTS_MAX + 1, false)] {
        let topics = vec![MetadataRequestTopic::default().with_name(Some(Default::default())); count];
        let mut bytes = BytesMut::new();
        MetadataRequest::default().with_topics(Some(topics)).encode(&mut bytes, 4).expect("encodable");
        assert_eq!(schema::METADATA_REQUEST.check(4, &bytes).is_ok(), is_fine, "{count}");
    }
}

/// A truncation, a flipped bit, or a huge length somewhere.
fn mutated(real: &[u8], prng: &mut Prng) -> Bytes {
    let mut bytes = real.to_vec();
    let at = prng.below(bytes.len() as u64) as usize;
    match prng.below(4) {
        0 => bytes.truncate(at),
        1 => bytes[at] ^= 1 << prng.below(8),
        2 => bytes[at] = 0xff,
        _ => bytes[at..].iter_mut().take(4).for_each(|byte| *byte = 0x7f),
    }
    Bytes::from(bytes)
}

/// Gives a frame to whatever reads frames of that kind from the network.
fn meet(name: &str, bytes: Bytes) {
    let (api, version) = match name.split('-').collect::<Vec<_>>()[..] {
        ["Fetch", ..] => (Api::Fetch, 18),
        ["Vote", ..] => (Api::Vote, 2),
        ["BeginQuorumEpoch", ..] => (Api::BeginQuorumEpoch, 1),
        ["EndQuorumEpoch", ..] => (Api::EndQuorumEpoch, 1),
        _ => return super::stage::hear(bytes),
    };
    if name.ends_with("response") {
        if bytes.len() >= 4 {
            let _ = answers_of_peers::answer(api, version, bytes.slice(4..), Epoch::ZERO, &names());
        }
        return;
    }
    super::stage::hear(bytes);
}

/// What real clients ask is answered, whatever they asked, in a frame that carries their correlation id.
#[test]
fn every_request_of_real_clients_is_answered() {
    for (name, bytes) in frames().into_iter().filter(|(name, _)| name.starts_with("java-") || name.starts_with("kcat-"))
    {
        let start = RequestStart::parse(&bytes).expect("a header");
        let is_served = Api::find(start.key).is_some_and(|api| api.offer().serves(start.version));
        let answer = super::stage::answer_to(bytes);
        match is_served {
            true => assert_eq!(answer.expect(&name)[..4], start.correlation.to_be_bytes(), "{name}"),
            false => assert_eq!(answer, None, "{name}"),
        }
    }
}

/// Every version that a client can be led to send has an answer that this version can carry, from a leader and from a
/// node that does not lead.
#[test]
fn every_version_offered_is_answered() {
    for offer in OFFERS {
        for version in offer.served_from..=offer.max {
            for voters in [1, 3] {
                let words = [offer.name, &format!("v{version}")];
                let (frame, _) = requests::request(&mut requests::Args::words(&words), 9).expect("a request");
                let answer = super::stage::answer_among(voters, frame).unwrap_or_else(|| panic!("{words:?}"));
                let text = super::show::response(&answer, |_| (offer.api.key(), version));
                assert!(text.contains(offer.name) || text.contains("API"), "{text}");
            }
        }
    }
}

/// Every message of these versions that the codec writes is accepted whole and only whole.
fn check<T: Encodable + Default>(shape: &Shape, versions: std::ops::RangeInclusive<i16>, message: T) {
    for version in versions {
        for message in [&T::default(), &message] {
            let mut bytes = BytesMut::new();
            if message.encode(&mut bytes, version).is_err() {
                continue;
            }
            shape.check(version, &bytes).unwrap_or_else(|error| panic!("v{version}: {error}"));
            for end in 0..bytes.len() {
                assert!(shape.check(version, &bytes[..end]).is_err(), "v{version} cut at {end}");
            }
            bytes.put_u8(0);
            assert!(shape.check(version, &bytes).is_err(), "v{version} with a byte too many");
        }
    }
}

/// The shapes know every version that the decoders know: what the codec writes, the walk accepts, whole and only whole.
#[test]
fn shapes_agree_with_the_decoders() {
    use kafka_protocol::messages::*;
    let name = || TopicName(StrBytes::from_static_str("topic"));
    let partition = produce_request::PartitionProduceData::default().with_records(Some(Bytes::from_static(b"abc")));
    let topic = produce_request::TopicProduceData::default().with_partition_data(vec![partition]);
    check(&schema::PRODUCE_REQUEST, 3..=13, ProduceRequest::default().with_topic_data(vec![topic]));
    let topic = fetch_request::FetchTopic::default().with_partitions(vec![fetch_request::FetchPartition::default()]);
    let forgotten = fetch_request::ForgottenTopic::default().with_partitions(vec![1, 2]);
    let fetch = FetchRequest::default().with_topics(vec![topic]).with_forgotten_topics_data(vec![forgotten]);
    check(&schema::FETCH_REQUEST, 4..=18, fetch);
    let partition = list_offsets_request::ListOffsetsPartition::default();
    let topic = list_offsets_request::ListOffsetsTopic::default().with_name(name()).with_partitions(vec![partition]);
    check(&schema::LIST_OFFSETS_REQUEST, 1..=10, ListOffsetsRequest::default().with_topics(vec![topic]));
    let topic = metadata_request::MetadataRequestTopic::default().with_name(Some(name()));
    check(&schema::METADATA_REQUEST, 0..=12, MetadataRequest::default().with_topics(Some(vec![topic])));
    let keys = vec![StrBytes::from_static_str("key")];
    check(&schema::FIND_COORDINATOR_REQUEST, 0..=4, FindCoordinatorRequest::default().with_coordinator_keys(keys));
    check(&schema::API_VERSIONS_REQUEST, 0..=4, ApiVersionsRequest::default());
    check(&schema::INIT_PRODUCER_ID_REQUEST, 0..=5, InitProducerIdRequest::default());
    check(&schema::DESCRIBE_CLUSTER_REQUEST, 0..=2, DescribeClusterRequest::default());
    let topic = describe_quorum_request::TopicData::default().with_partitions(vec![Default::default()]);
    check(&schema::DESCRIBE_QUORUM_REQUEST, 0..=2, DescribeQuorumRequest::default().with_topics(vec![topic]));
    let topic = vote_request::TopicData::default().with_topic_name(name()).with_partitions(vec![Default::default()]);
    check(&schema::VOTE_REQUEST, 0..=2, VoteRequest::default().with_topics(vec![topic]));
    let topic = begin_quorum_epoch_request::TopicData::default().with_partitions(vec![Default::default()]);
    check(&schema::BEGIN_QUORUM_EPOCH_REQUEST, 0..=1, BeginQuorumEpochRequest::default().with_topics(vec![topic]));
    let topic = end_quorum_epoch_request::TopicData::default().with_partitions(vec![Default::default()]);
    check(&schema::END_QUORUM_EPOCH_REQUEST, 0..=1, EndQuorumEpochRequest::default().with_topics(vec![topic]));
    let keys = vec![api_versions_response::ApiVersion::default()];
    check(&schema::API_VERSIONS_RESPONSE, 0..=4, ApiVersionsResponse::default().with_api_keys(keys));
    let topic = vote_response::TopicData::default().with_partitions(vec![Default::default()]);
    check(&schema::VOTE_RESPONSE, 0..=2, VoteResponse::default().with_topics(vec![topic]));
    let topic = begin_quorum_epoch_response::TopicData::default().with_partitions(vec![Default::default()]);
    let begin = BeginQuorumEpochResponse::default().with_topics(vec![topic]);
    check(&schema::BEGIN_QUORUM_EPOCH_RESPONSE, 0..=1, begin);
    let topic = end_quorum_epoch_response::TopicData::default().with_partitions(vec![Default::default()]);
    check(&schema::END_QUORUM_EPOCH_RESPONSE, 0..=1, EndQuorumEpochResponse::default().with_topics(vec![topic]));
    let partition = fetch_response::PartitionData::default().with_records(Some(Bytes::from_static(b"abc")));
    let topic = fetch_response::FetchableTopicResponse::default().with_partitions(vec![partition]);
    check(&schema::FETCH_RESPONSE, 4..=18, FetchResponse::default().with_responses(vec![topic]));
}

/// The same for what clients and tools are answered.
#[test]
fn shapes_of_answers_agree_with_the_decoders() {
    use kafka_protocol::messages::*;
    let text = StrBytes::from_static_str;
    let errors = vec![produce_response::BatchIndexAndErrorMessage::default()];
    for version in 3..=13 {
        let mut partition = produce_response::PartitionProduceResponse::default();
        let mut body = ProduceResponse::default();
        if version >= 8 {
            partition = partition.with_record_errors(errors.clone()).with_error_message(Some(text("why")));
        }
        if version >= 10 {
            partition.current_leader = produce_response::LeaderIdAndEpoch::default().with_leader_id(1.into());
            body.node_endpoints = vec![produce_response::NodeEndpoint::default().with_host(text("host"))];
        }
        let topic = produce_response::TopicProduceResponse::default().with_partition_responses(vec![partition]);
        check(&answers::PRODUCE_RESPONSE, version..=version, body.with_responses(vec![topic]));
    }
    let topic = list_offsets_response::ListOffsetsTopicResponse::default().with_partitions(vec![Default::default()]);
    check(&answers::LIST_OFFSETS_RESPONSE, 1..=7, ListOffsetsResponse::default().with_topics(vec![topic]));
    let partition =
        metadata_response::MetadataResponsePartition::default().with_replica_nodes(vec![1.into(), 2.into()]);
    let topic = metadata_response::MetadataResponseTopic::default().with_partitions(vec![partition]);
    let topic = topic.with_name(Some(TopicName(text("topic"))));
    let broker = metadata_response::MetadataResponseBroker::default().with_host(text("host"));
    let metadata = MetadataResponse::default().with_topics(vec![topic]).with_brokers(vec![broker]);
    check(&answers::METADATA_RESPONSE, 0..=12, metadata);
    check(&answers::INIT_PRODUCER_ID_RESPONSE, 0..=5, InitProducerIdResponse::default());
    let broker = describe_cluster_response::DescribeClusterBroker::default().with_host(text("host"));
    check(
        &answers::DESCRIBE_CLUSTER_RESPONSE,
        0..=2,
        DescribeClusterResponse::default().with_brokers(vec![broker]).with_cluster_id(text("cluster")),
    );
    let partition = describe_quorum_response::PartitionData::default()
        .with_current_voters(vec![Default::default()])
        .with_observers(vec![Default::default(), Default::default()]);
    let topic = describe_quorum_response::TopicData::default().with_partitions(vec![partition]);
    let quorum = DescribeQuorumResponse::default().with_topics(vec![topic]);
    check(&answers::DESCRIBE_QUORUM_RESPONSE, 0..=1, quorum.clone());
    let node = describe_quorum_response::Node::default().with_listeners(vec![Default::default()]);
    check(&answers::DESCRIBE_QUORUM_RESPONSE, 2..=2, quorum.with_nodes(vec![node]));
}

/// Fetch responses are written by hand: without records they must be what the codec writes.
#[test]
fn fetch_responses_are_what_the_codec_writes() {
    use kafka_protocol::messages::fetch_response::*;
    use kafka_protocol::messages::{FetchResponse, TopicName};
    let partition = PartitionData::default().with_records(Some(Bytes::new())).with_high_watermark(7);
    let leader = LeaderIdAndEpoch::default().with_leader_id(2.into()).with_leader_epoch(3);
    let diverging = EpochEndOffset::default().with_epoch(1).with_end_offset(4);
    let snapshot = SnapshotId::default().with_end_offset(9).with_epoch(2);
    for version in 4..=18 {
        let mut rich = partition.clone();
        if version >= 12 {
            rich = rich.with_current_leader(leader.clone());
            rich = rich.with_diverging_epoch(diverging.clone()).with_snapshot_id(snapshot.clone());
        }
        let topic = FetchableTopicResponse::default().with_topic(TopicName(StrBytes::from_static_str("topic")));
        let topic = topic.with_topic_id(uuid::Uuid::from_u128(1)).with_partitions(vec![partition.clone(), rich]);
        let mut response = FetchResponse::default().with_responses(vec![topic]).with_throttle_time_ms(5);
        if version >= 16 {
            let endpoint = NodeEndpoint::default().with_host(StrBytes::from_static_str("host")).with_port(9092);
            response.node_endpoints = vec![endpoint];
        }
        let ours = codec::encode_fetch_response(version, 7, &response, Some((0, 1)), &[]);
        assert_eq!(ours, codec::encode_response(Api::Fetch, version, 7, &response), "version {version}");
    }
}
