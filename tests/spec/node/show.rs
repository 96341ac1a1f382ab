//! Frames and outputs as lines of a script.

use std::fmt::Write;

use bytes::{Buf, Bytes};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, HeaderVersion, decode_request_header_from_buffer};
use kraftbed::node::Output;
use kraftbed::record::{Compression, RecordBatch};

/// What a node asks of its driver, if a reader of scripts wants to know it.
pub fn output(output: &Output) -> Option<String> {
    match output {
        Output::Connect { connection, endpoint } => Some(format!("{connection} connect {endpoint}")),
        Output::Close { connection } => Some(format!("{connection} close")),
        Output::Hold { connection } => Some(format!("{connection} hold")),
        Output::Resume { connection } => Some(format!("{connection} resume")),
        Output::Applied { batches, end, .. } => Some(format!("applied {} batches up to {end}", batches.len())),
        Output::Printed(line) => Some(format!("printed {line}")),
        Output::Stopped => Some("stopped".into()),
        Output::Note(_) | Output::File(_) | Output::Load { .. } | Output::Frame { .. } => None,
    }
}

/// A request that the node sends to a peer. Correlation ids are random and left out.
pub fn request(frame: &Bytes) -> String {
    let mut rest = frame.clone();
    let header = decode_request_header_from_buffer(&mut rest).expect("a header");
    let version = header.request_api_version;
    let client = header.client_id.expect("a client id");
    match header.request_api_key {
        18 => format!("ApiVersions v{version} of {client:?}"),
        52 => {
            let vote = VoteRequest::decode(&mut rest, version).expect("a Vote");
            let partition = &vote.topics[0].partitions[0];
            let what = if partition.pre_vote { "pre-vote" } else { "vote" };
            let (epoch, last) = (partition.replica_epoch, partition.last_offset);
            format!("Vote v{version} {what} epoch={epoch} last={last}@{}", partition.last_offset_epoch)
        }
        53 => format!("BeginQuorumEpoch v{version}"),
        54 => format!("EndQuorumEpoch v{version}"),
        1 => {
            let fetch = FetchRequest::decode(&mut rest, version).expect("a Fetch");
            let partition = &fetch.topics[0].partitions[0];
            let (from, epoch) = (partition.fetch_offset, partition.last_fetched_epoch);
            format!("Fetch v{version} {from}@{epoch} epoch={}", partition.current_leader_epoch)
        }
        other => format!("API {other} v{version}"),
    }
}

/// A response to a client; `asked` tells key and version by correlation id.
pub fn response(frame: &Bytes, asked: impl Fn(i32) -> (i16, i16)) -> String {
    let mut rest = frame.clone();
    let correlation = rest.get_i32();
    let (key, version) = asked(correlation);
    let text = match key {
        18 => api_versions(&mut rest, version),
        3 => metadata(decode(rest, version)),
        0 => produce(decode(rest, version)),
        1 => fetch(decode(rest, version)),
        2 => list_offsets(decode(rest, version)),
        22 => init_producer_id(decode(rest, version)),
        10 => find_coordinator(decode(rest, version)),
        52 => vote(decode(rest, version)),
        60 => describe_cluster(decode(rest, version)),
        55 => describe_quorum(decode(rest, version)),
        53 => begin_quorum_epoch(decode(rest, version)),
        other => format!("API {other}"),
    };
    format!("#{correlation} {text}")
}

fn decode<T: Decodable + HeaderVersion>(mut rest: Bytes, version: i16) -> T {
    if T::header_version(version) == 1 {
        assert_eq!(rest.get_u8(), 0, "no tags in the header");
    }
    let body = T::decode(&mut rest, version).expect("a response");
    assert!(rest.is_empty(), "bytes follow the response");
    body
}

fn api_versions(rest: &mut Bytes, version: i16) -> String {
    let format = if (0..=4).contains(&version) { version } else { 0 };
    let body = ApiVersionsResponse::decode(rest, format).expect("ApiVersions");
    let mut text = format!("ApiVersions in format {format}, error={}:", body.error_code);
    for range in body.api_keys {
        write!(text, " {}={}-{}", range.api_key, range.min_version, range.max_version).expect("a string");
    }
    text
}

fn metadata(body: MetadataResponse) -> String {
    let brokers: Vec<_> = body.brokers.iter().map(|b| format!("{}@{}:{}", *b.node_id, &*b.host, b.port)).collect();
    let mut text = format!("Metadata controller={} brokers={}", *body.controller_id, brokers.join(","));
    for topic in body.topics {
        let name = topic.name.map_or("null".into(), |name| name.to_string());
        write!(text, "\n  topic {name:?} error={} id={}", topic.error_code, topic.topic_id.as_u128())
            .expect("a string");
        for p in topic.partitions {
            let (index, error, leader, epoch) = (p.partition_index, p.error_code, *p.leader_id, p.leader_epoch);
            let (replicas, isr) = (&p.replica_nodes, &p.isr_nodes);
            write!(text, "\n    {index} error={error} leader={leader}@{epoch} replicas={replicas:?} isr={isr:?}")
                .expect("a string");
        }
    }
    text
}

fn produce(body: ProduceResponse) -> String {
    let mut text = "Produce".to_owned();
    for topic in body.responses {
        for p in topic.partition_responses {
            write!(text, " {}: error={} base={}", p.index, p.error_code, p.base_offset).expect("a string");
            if p.current_leader.leader_epoch >= 0 {
                write!(text, " leader={}@{}", *p.current_leader.leader_id, p.current_leader.leader_epoch)
                    .expect("a string");
            }
            if let Some(message) = p.error_message {
                write!(text, " ({})", &*message).expect("a string");
            }
        }
    }
    for endpoint in body.node_endpoints {
        write!(text, " at {}:{}", &*endpoint.host, endpoint.port).expect("a string");
    }
    text
}

fn fetch(body: FetchResponse) -> String {
    let mut text = format!("Fetch error={} session={}", body.error_code, body.session_id);
    for topic in body.responses {
        for p in topic.partitions {
            write!(text, "\n  {}: error={} hw={}", p.partition_index, p.error_code, p.high_watermark)
                .expect("a string");
            write!(text, " start={}", p.log_start_offset).expect("a string");
            if p.current_leader.leader_epoch >= 0 {
                write!(text, " leader={}@{}", *p.current_leader.leader_id, p.current_leader.leader_epoch)
                    .expect("a string");
            }
            let records = p.records.expect("records are never null");
            for batch in RecordBatch::parse_all(&records).expect("whole batches") {
                let values = batch.records().map(|record| {
                    let value = record.expect("a record").value.unwrap_or_default();
                    String::from_utf8_lossy(&value).into_owned()
                });
                let values = if batch.is_control() { "control".into() } else { values.collect::<Vec<_>>().join(",") };
                let (base, end, epoch) = (batch.base_offset(), batch.end(), batch.leader_epoch());
                let codec = batch.compression().filter(|&codec| codec != Compression::None);
                let codec = codec.map_or(String::new(), |codec| format!(" {}", codec.name()));
                write!(text, " [{base}..{end}@{epoch}{codec} {values}]").expect("a string");
            }
        }
    }
    for endpoint in body.node_endpoints {
        write!(text, " at {}:{}", &*endpoint.host, endpoint.port).expect("a string");
    }
    text
}

fn list_offsets(body: ListOffsetsResponse) -> String {
    let p = &body.topics[0].partitions[0];
    format!("ListOffsets error={} offset={} epoch={}", p.error_code, p.offset, p.leader_epoch)
}

fn init_producer_id(body: InitProducerIdResponse) -> String {
    format!("InitProducerId error={} id={} epoch={}", body.error_code, *body.producer_id, body.producer_epoch)
}

fn find_coordinator(body: FindCoordinatorResponse) -> String {
    let message = |message: Option<_>| message.map_or("no message".to_owned(), |m| format!("{m:?}"));
    match body.coordinators.first() {
        Some(first) => format!("FindCoordinator error={} {}", first.error_code, message(first.error_message.clone())),
        None => format!("FindCoordinator error={} {}", body.error_code, message(body.error_message)),
    }
}

fn vote(body: VoteResponse) -> String {
    let Some(topic) = body.topics.first() else { return format!("Vote error={}", body.error_code) };
    let p = &topic.partitions[0];
    let (error, granted) = (p.error_code, p.vote_granted);
    let places = body.node_endpoints.iter().map(|at| format!(" at {}:{}", &*at.host, at.port)).collect::<String>();
    format!("Vote error={error} granted={granted} leader={}@{}{places}", *p.leader_id, p.leader_epoch)
}

fn begin_quorum_epoch(body: BeginQuorumEpochResponse) -> String {
    let Some(topic) = body.topics.first() else { return format!("BeginQuorumEpoch error={}", body.error_code) };
    let p = &topic.partitions[0];
    let places = body.node_endpoints.iter().map(|at| format!(" at {}:{}", &*at.host, at.port)).collect::<String>();
    format!("BeginQuorumEpoch error={} leader={}@{}{places}", p.error_code, *p.leader_id, p.leader_epoch)
}

fn describe_cluster(body: DescribeClusterResponse) -> String {
    let brokers: Vec<_> = body.brokers.iter().map(|b| format!("{}@{}:{}", *b.broker_id, &*b.host, b.port)).collect();
    format!(
        "DescribeCluster error={} controller={} brokers={}",
        body.error_code,
        *body.controller_id,
        brokers.join(",")
    )
}

fn describe_quorum(body: DescribeQuorumResponse) -> String {
    let p = &body.topics[0].partitions[0];
    let voters: Vec<_> = p.current_voters.iter().map(|v| format!("{}:{}", *v.replica_id, v.log_end_offset)).collect();
    let (error, leader, epoch) = (p.error_code, *p.leader_id, p.leader_epoch);
    format!("DescribeQuorum error={error} leader={leader}@{epoch} hw={} voters={}", p.high_watermark, voters.join(","))
}
