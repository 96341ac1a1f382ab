//! One node that leads alone, with a disk that is done at once: what a write costs without a world around it.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::protocol::StrBytes;
use kraftbed::ids::{DirectoryId, Endpoint, Listener, Offset, ReplicaId, ReplicaKey, uuid_to_text};
use kraftbed::log::recovery::RecoveryOptions;
use kraftbed::log::{
    CLUSTER_METADATA_ID, Demand, DiskSeq, EpochIndex, Layout, MetaProperties, ProducerTable, Recovered, Recovery,
};
use kraftbed::node::{Config, Input, Node, Output};
use kraftbed::prng::Prng;
use kraftbed::protocol::{Api, ConnectionId, codec};
use kraftbed::raft::{self, Acks, Effect, Replica, Ticket, Voter, VoterSet};
use kraftbed::time::{Instant, Now, Timestamp};

/// So many proposals, each made durable and answered.
pub fn replica_steps(count: u64) {
    let mut out = Vec::new();
    let mut done: Vec<DiskSeq> = Vec::new();
    let mut replica = Replica::recover(raft_config(), empty(), Prng::new(1, 1), at(0), &mut out);
    let mut finish = |replica: &mut Replica, now: Now, out: &mut Vec<Effect>| {
        loop {
            done.extend(out.drain(..).filter_map(|effect| match effect {
                Effect::Disk { seq, .. } => Some(seq),
                _ => None,
            }));
            if done.is_empty() {
                return;
            }
            for seq in done.drain(..) {
                replica.step(now, raft::Input::DiskDone { seq }, out);
            }
        }
    };
    finish(&mut replica, at(0), &mut out);
    replica.step(at(5_000_000_000), raft::Input::Tick, &mut out);
    finish(&mut replica, at(5_000_000_000), &mut out);
    for number in 0..count {
        let now = at(5_000_000_000 + number * 1_000);
        let propose = raft::Input::Propose {
            ticket: Ticket(number),
            acks: Acks::All,
            deadline: now.monotonic + Duration::from_secs(1),
            batches: vec![crate::batch()],
        };
        replica.step(now, propose, &mut out);
        finish(&mut replica, now, &mut out);
    }
    assert!(replica.view().high_watermark >= Some(Offset(count)), "every proposal is committed");
}

/// So many produce requests, each decoded, made durable and answered.
pub fn node_steps(count: u64) {
    let mut out = Vec::new();
    let (durable, layout) = recovered();
    let mut node = Node::recover(Config::new(raft_config()), durable, layout, Prng::new(1, 1), at(0), &mut out);
    finish(&mut node, at(0), &mut out);
    node.step(at(5_000_000_000), Input::Tick, &mut out);
    finish(&mut node, at(5_000_000_000), &mut out);
    let connection = ConnectionId(0);
    node.step(at(5_000_000_000), Input::Opened { connection, listener: 0 }, &mut out);
    let frame = produce_frame();
    for number in 0..count {
        let now = at(5_000_000_000 + number * 1_000);
        node.step(now, Input::Frame { connection, frame: frame.clone() }, &mut out);
        finish(&mut node, now, &mut out);
    }
    assert!(node.replica().view().high_watermark >= Some(Offset(count)), "every record is committed");
}

fn finish(node: &mut Node, now: Now, out: &mut Vec<Output>) {
    loop {
        let done: Vec<DiskSeq> = out
            .drain(..)
            .filter_map(|output| if let Output::File(queued) = output { queued.completes } else { None })
            .collect();
        if done.is_empty() {
            return;
        }
        for seq in done {
            node.step(now, Input::DiskDone { seq }, out);
        }
    }
}

fn produce_frame() -> Bytes {
    let mut parts = Vec::new();
    crate::batch().gather(&mut parts);
    let partition = PartitionProduceData::default().with_records(Some(parts.concat().into()));
    let topic = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_static_str("__cluster_metadata")))
        .with_partition_data(vec![partition]);
    let body = ProduceRequest::default().with_acks(-1).with_timeout_ms(1_000).with_topic_data(vec![topic]);
    codec::encode_request(Api::Produce, 9, 1, &StrBytes::from_static_str("bench"), &body).payload()
}

pub fn raft_config() -> raft::Config {
    let listener = Listener { name: "PLAINTEXT".into(), endpoint: Endpoint::new("localhost", 9092) };
    let voter = Voter { key: ReplicaKey::of(ReplicaId(1)), endpoints: vec![listener.clone()] };
    let mut config = raft::Config::new(ReplicaId(1), VoterSet::new(vec![voter]));
    config.listeners = vec![listener];
    config
}

fn meta() -> MetaProperties {
    let cluster_id = uuid_to_text([0; 16]).into();
    MetaProperties { cluster_id, node_id: ReplicaId(1), directory_id: DirectoryId([7; 16]) }
}

fn empty() -> Recovered {
    Recovered {
        meta: meta(),
        quorum: None,
        start: Offset::ZERO,
        flushed: Offset::ZERO,
        end: Offset::ZERO,
        epochs: EpochIndex::default(),
        producers: ProducerTable::new(1_000),
        tail: Vec::new(),
        cold: Vec::new(),
        controls: Vec::new(),
        recovering: None,
        cuts: Vec::new(),
    }
}

/// What recovery makes of a formatted directory: a disk that gives back what was written to it whole.
fn recovered() -> (Recovered, Layout) {
    let mut files = kraftbed::sim::disk::Disk::default();
    Layout::format(&meta(), CLUSTER_METADATA_ID).iter().for_each(|op| files.carry_out(op));
    let options = RecoveryOptions {
        topic_id: CLUSTER_METADATA_ID,
        tail_bytes_max: 1 << 20,
        producers_max: 1_000,
        segment_bytes: 1 << 30,
        preallocate_bytes: 0,
        is_only_voter: true,
    };
    let mut recovery = Recovery::new(&files.listing(), options);
    loop {
        match recovery.demand().expect("a formatted directory") {
            Demand::Read(range) => recovery.supply(files.read(range)),
            Demand::File(op) => files.carry_out(&op),
            Demand::Finished => return recovery.finish(),
        }
    }
}

fn at(nanos: u64) -> Now {
    Now { monotonic: Instant(nanos), wall: Timestamp((nanos / 1_000_000) as i64) }
}
