//! Whole workloads against a log that is perfect, over a network that is not: requests and answers are delayed and
//! connections break at any moment. Whatever is lost, the history must be that of one log, and everything must end.
//!
//! Then the log lies, one lie at a time, and the monitor must say so: a judge that never objects is no judge.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages as kafka;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};

use kraftbed::check::{self, End, Judge, Observation, What};
use kraftbed::client::wire::Api;
use kraftbed::client::workload::Reads;
use kraftbed::client::{Audit, Brief, Client, Config, Event, Input, Kind, Output};
use kraftbed::history::engine::log::{Anomaly, LogMonitor, Violation};
use kraftbed::history::{ClientId, Recorder};
use kraftbed::ids::{Endpoint, Epoch, Offset};
use kraftbed::prng::Prng;
use kraftbed::protocol::ConnectionId;
use kraftbed::record::RecordBatch;
use kraftbed::time::Instant;

#[test]
fn histories_of_a_perfect_log_are_explained() {
    let mut answers = 0;
    for seed in 0..150 {
        for kind in Kind::ALL {
            let world = World::run(seed, kind, Lie::None).unwrap_or_else(|lie| panic!("seed {seed} {kind:?}: {lie:?}"));
            assert_eq!(world.history.running(), 0, "seed {seed}");
            answers += world.monitor.answers();
        }
    }
    assert!(answers > 10_000, "only {answers} answers were put to the test");
}

#[test]
fn every_lie_of_a_log_is_noticed() {
    for (lie, expected) in [
        (
            Lie::ForgetsAcknowledged,
            &[Anomaly::StaleTail, Anomaly::Reordered, Anomaly::LostWrite, Anomaly::SharedOffset][..],
        ),
        (Lie::StaleTail, &[Anomaly::StaleTail]),
        (Lie::AppendsTwice, &[Anomaly::Duplicate, Anomaly::Rewritten, Anomaly::LostWrite]),
        (Lie::RefusesAndAppends, &[Anomaly::DirtyRead]),
    ] {
        let found: Vec<Anomaly> =
            (0..40).filter_map(|seed| World::run(seed, Kind::Append, lie).err()).map(|found| found.anomaly).collect();
        assert!(found.len() > 20, "{lie:?} was noticed in {} of 40 runs", found.len());
        assert!(found.iter().all(|anomaly| expected.contains(anomaly)), "{lie:?} looks like {found:?}");
    }
}

#[test]
fn histories_of_keys_in_a_perfect_log_are_explained() {
    let mut answers = 0;
    for (seed, kind) in (0..150).flat_map(|seed| [(seed, Kind::Kv), (seed, Kind::Cas)]) {
        let mut world = World::run(seed, kind, Lie::None).unwrap_or_else(|lie| panic!("seed {seed} {kind:?}: {lie:?}"));
        assert_eq!(world.keys.finish(&End::default()), None, "seed {seed} {kind:?}");
        assert_eq!(world.keys.undecided(), None, "seed {seed} {kind:?}");
        answers += world.keys.exercised()["kv_linearizable"];
    }
    assert!(answers > 10_000, "only {answers} answers were put to the test");
}

#[test]
fn a_stale_end_of_the_log_is_noticed_by_those_who_ask_for_keys() {
    let is_noticed = |seed: &u64| {
        let mut world = World::run(*seed, Kind::Kv, Lie::StaleTail).expect("only keys are asked for");
        world.keys.finish(&End::default()).is_some()
    };
    let noticed = (0..100).filter(is_noticed).count();
    assert!(noticed >= 10, "it was noticed in {noticed} of 100 runs");
}

/// How the log lies, once in a while.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Lie {
    None,
    ForgetsAcknowledged,
    StaleTail,
    AppendsTwice,
    RefusesAndAppends,
}

/// Clients, the log, and what is on its way between them.
struct World {
    prng: Prng,
    now: Instant,
    clients: Vec<Client>,
    history: Recorder,
    monitor: LogMonitor,
    /// A judge of nothing but what is said of keys.
    keys: Judge,
    /// What arrives when, where; the number keeps the order of what arrives at one instant.
    arriving: BTreeMap<(Instant, u64), Arrival>,
    sequence: u64,
    /// Connections that stand, and when the last thing sent on them arrives: each is first in, first out.
    standing: BTreeMap<(usize, ConnectionId), Instant>,
    broker: Broker,
}

enum Arrival {
    Opened(usize, ConnectionId),
    Request(usize, ConnectionId, Bytes),
    Answer(usize, ConnectionId, Bytes),
    Closed(usize, ConnectionId),
}

impl World {
    fn run(seed: u64, kind: Kind, lie: Lie) -> Result<World, Violation> {
        let mut prng = Prng::new(seed, 9);
        let client = |index: u32| {
            let config = Config::new(vec![Endpoint::new("n1", 9092)], "client", "log");
            let (client, operations, reads) = (ClientId(index), Some(20), Reads::Tail);
            let brief = Brief { client, kind, operations, pace: None, value_bytes: 20, reads, audit: Audit::ReadAll };
            Client::new(config, brief, Prng::new(seed, u64::from(index)))
        };
        let mut world = World {
            broker: Broker { lie, prng: Prng::new(prng.word(), 0), ..Broker::default() },
            prng,
            now: Instant::ZERO,
            clients: (0..3).map(client).collect(),
            history: Recorder::new(),
            monitor: LogMonitor::new(),
            keys: judge_of_keys(),
            arriving: BTreeMap::new(),
            sequence: 0,
            standing: BTreeMap::new(),
        };
        for index in 0..world.clients.len() {
            world.clients[index].finish();
            world.step(index, Input::Tick)?;
        }
        for _ in 0..100_000 {
            if world.clients.iter().all(Client::is_done) {
                return Ok(world);
            }
            world.advance()?;
        }
        panic!("seed {seed}: clients do not come to an end");
    }

    /// The next thing that happens: an arrival, or a client's deadline.
    fn advance(&mut self) -> Result<(), Violation> {
        let arrival = self.arriving.keys().next().map(|(at, _)| *at);
        let timer =
            self.clients.iter().enumerate().filter_map(|(index, client)| Some((client.deadline()?, index))).min();
        if let Some((at, index)) = timer.filter(|(at, _)| arrival.is_none_or(|arrival| *at < arrival)) {
            assert!(at > self.now, "client {index} wants to be woken in the past: a driver would spin");
            self.now = at;
            return self.step(index, Input::Tick);
        }
        let ((at, _), arrival) = self.arriving.pop_first().expect("something happens until all is done");
        self.now = at;
        match arrival {
            Arrival::Opened(index, connection) => self.step(index, Input::Opened { connection }),
            Arrival::Answer(index, connection, frame) if self.standing.contains_key(&(index, connection)) => {
                self.step(index, Input::Frame { connection, frame })
            }
            Arrival::Closed(index, connection) => self.step(index, Input::Closed { connection }),
            // A request arrives even when its sender has gone.
            Arrival::Request(index, connection, frame) => {
                let answer = self.broker.serve(&frame);
                self.carry(index, connection, Arrival::Answer(index, connection, answer));
                Ok(())
            }
            Arrival::Answer(..) => Ok(()),
        }
    }

    fn step(&mut self, index: usize, input: Input) -> Result<(), Violation> {
        let (mut out, mut events) = (Vec::new(), Vec::new());
        self.clients[index].step(self.now, input, &mut out, &mut events);
        for event in events {
            let Some(number) = event.record(self.now, ClientId(index as u32), &mut self.history) else { continue };
            let operation = &self.history.operations()[number];
            let what = match event {
                Event::Invoked { .. } => {
                    self.monitor.on_invoked(number, operation);
                    What::Invoked { index: number, operation }
                }
                _ => {
                    self.monitor.on_returned(number, operation)?;
                    What::Returned { index: number, operation }
                }
            };
            let (at, node) = (self.now, Observation::NO_NODE);
            let seen = self.keys.observe(&Observation { at, node, incarnation: 0, disks: &[], what });
            assert_eq!(seen, None, "keys are judged in the end");
        }
        for output in out {
            match output {
                Output::Connect { connection, .. } => {
                    self.standing.insert((index, connection), self.now);
                    self.carry(index, connection, Arrival::Opened(index, connection));
                }
                Output::Frame { connection, frame } => {
                    let bytes = Bytes::from(frame.parts.concat()).slice(4..);
                    self.carry(index, connection, Arrival::Request(index, connection, bytes));
                }
                Output::Close { connection } => _ = self.standing.remove(&(index, connection)),
                Output::Told { .. } => unreachable!("a client keeps what its session was told"),
            }
        }
        Ok(())
    }

    /// Puts something on its way: it arrives after what was sent before it, or the connection breaks instead.
    fn carry(&mut self, index: usize, connection: ConnectionId, arrival: Arrival) {
        let Some(last) = self.standing.get_mut(&(index, connection)) else { return };
        let slow = if self.prng.chance(1, 100) { 1_500_000_000 } else { 0 };
        let at = (*last).max(Instant(self.now.0 + 1_000_000 + self.prng.below(4_000_000) + slow));
        *last = at;
        self.sequence += 1;
        if self.prng.chance(1, 25) {
            // Half of what is lost was delivered, and only the answer is missing.
            if self.prng.chance(1, 2) && matches!(arrival, Arrival::Request(..)) {
                self.arriving.insert((at, self.sequence), arrival);
                self.sequence += 1;
            }
            self.standing.remove(&(index, connection));
            self.arriving.insert((at, self.sequence), Arrival::Closed(index, connection));
            return;
        }
        self.arriving.insert((at, self.sequence), arrival);
    }
}

fn judge_of_keys() -> Judge {
    let others = check::all().into_iter().map(|(name, _)| name).filter(|name| *name != "kv_linearizable");
    Judge::new(&check::Options { waive: others.map(String::from).collect(), ..check::Options::default() })
}

/// One log behind the Kafka API.
struct Broker {
    lie: Lie,
    prng: Prng,
    batches: Vec<RecordBatch>,
    /// Where the batches of each producer are, by id and sequence.
    known: BTreeMap<(i64, i32), Offset>,
    /// The sequence number that is due of each producer.
    due: BTreeMap<i64, i32>,
    producers: i64,
}

impl Default for Broker {
    fn default() -> Broker {
        let (batches, known, due) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Broker { lie: Lie::None, prng: Prng::new(0, 0), batches, known, due, producers: 0 }
    }
}

impl Broker {
    fn end(&self) -> Offset {
        self.batches.last().map_or(Offset::ZERO, RecordBatch::end)
    }

    fn lies(&mut self, lie: Lie) -> bool {
        self.lie == lie && self.prng.chance(1, 4)
    }

    fn serve(&mut self, frame: &Bytes) -> Bytes {
        let (key, version) = (i16::from_be_bytes([frame[0], frame[1]]), i16::from_be_bytes([frame[2], frame[3]]));
        match key {
            0 => respond(frame, version, |request: kafka::ProduceRequest| self.produce(&request)),
            1 => respond(frame, version, |request: kafka::FetchRequest| self.fetch(&request)),
            2 => respond(frame, version, |_: kafka::ListOffsetsRequest| self.tail()),
            3 => respond(frame, version, |_: kafka::MetadataRequest| metadata()),
            18 => respond(frame, version, |_: kafka::ApiVersionsRequest| api_versions()),
            _ => respond(frame, version, |_: kafka::InitProducerIdRequest| {
                self.producers += 1;
                kafka::InitProducerIdResponse::default().with_producer_id(self.producers.into())
            }),
        }
    }

    fn produce(&mut self, request: &kafka::ProduceRequest) -> kafka::ProduceResponse {
        let records = request.topic_data[0].partition_data[0].records.clone().expect("records are there");
        let batch = RecordBatch::parse(&records).expect("clients send batches");
        let (error, base) = self.append(&batch);
        let partition = kafka::produce_response::PartitionProduceResponse::default()
            .with_error_code(error)
            .with_base_offset(base.map_or(-1, Offset::as_i64));
        let topic = kafka::produce_response::TopicProduceResponse::default().with_partition_responses(vec![partition]);
        kafka::ProduceResponse::default().with_responses(vec![topic])
    }

    fn append(&mut self, batch: &RecordBatch) -> (i16, Option<Offset>) {
        let base = self.end();
        if let Some(stamp) = batch.producer() {
            if let Some(&base) = self.known.get(&(stamp.id, stamp.base_sequence)) {
                return (0, Some(base));
            }
            let due = self.due.entry(stamp.id).or_default();
            if *due != stamp.base_sequence {
                return (45, None);
            }
            *due += batch.header.record_count as i32;
            self.known.insert((stamp.id, stamp.base_sequence), base);
        }
        if self.lies(Lie::ForgetsAcknowledged) {
            return (0, Some(base));
        }
        // Now and then this node is no leader for a moment, or gives up waiting for followers.
        let refuses = self.prng.chance(1, 12) && batch.producer().is_none();
        if refuses && self.lie != Lie::RefusesAndAppends {
            return (6, None);
        }
        self.batches.push(batch.stamped(base, Epoch(1)));
        if self.lies(Lie::AppendsTwice) {
            self.batches.push(batch.stamped(self.end(), Epoch(1)));
        }
        match refuses {
            true => (10, None),
            false if self.prng.chance(1, 12) => (7, None),
            false => (0, Some(base)),
        }
    }

    fn fetch(&mut self, request: &kafka::FetchRequest) -> kafka::FetchResponse {
        let from = Offset(request.topics[0].partitions[0].fetch_offset as u64);
        let mut records = BytesMut::new();
        for batch in self.batches.iter().filter(|batch| batch.end() > from).take(10) {
            records.extend_from_slice(&batch.encode_header());
            records.extend_from_slice(&batch.body);
        }
        let partition = kafka::fetch_response::PartitionData::default()
            .with_high_watermark(self.end().as_i64())
            .with_records(Some(records.freeze()));
        let topic = kafka::fetch_response::FetchableTopicResponse::default().with_partitions(vec![partition]);
        kafka::FetchResponse::default().with_responses(vec![topic])
    }

    fn tail(&mut self) -> kafka::ListOffsetsResponse {
        let stale = if self.lies(Lie::StaleTail) { 1 } else { 0 };
        let end = self.end().as_i64() - stale;
        let partition = kafka::list_offsets_response::ListOffsetsPartitionResponse::default().with_offset(end.max(0));
        let topic = kafka::list_offsets_response::ListOffsetsTopicResponse::default().with_partitions(vec![partition]);
        kafka::ListOffsetsResponse::default().with_topics(vec![topic])
    }
}

fn metadata() -> kafka::MetadataResponse {
    let host = StrBytes::from_static_str("n1");
    let broker = kafka::metadata_response::MetadataResponseBroker::default();
    let broker = broker.with_node_id(1.into()).with_host(host).with_port(9092);
    let partition = kafka::metadata_response::MetadataResponsePartition::default();
    let partition = partition.with_leader_id(1.into()).with_leader_epoch(1);
    let topic = kafka::metadata_response::MetadataResponseTopic::default();
    let topic = topic.with_name(Some(StrBytes::from_static_str("log").into())).with_partitions(vec![partition]);
    kafka::MetadataResponse::default().with_brokers(vec![broker]).with_topics(vec![topic])
}

fn api_versions() -> kafka::ApiVersionsResponse {
    let entry = |api: Api| {
        let (least, most) = api.versions();
        let entry = kafka::api_versions_response::ApiVersion::default();
        entry.with_api_key(api.key()).with_min_version(least).with_max_version(most)
    };
    kafka::ApiVersionsResponse::default().with_api_keys(Api::ALL.into_iter().map(entry).collect())
}

fn respond<Request, Response>(frame: &Bytes, version: i16, serve: impl FnOnce(Request) -> Response) -> Bytes
where
    Request: Decodable + HeaderVersion,
    Response: Encodable + HeaderVersion,
{
    let mut rest = frame.clone();
    let header = kafka::RequestHeader::decode(&mut rest, Request::header_version(version)).expect("a header");
    let response = serve(Request::decode(&mut rest, version).expect("a request"));
    let mut buffer = BytesMut::new();
    let answer = kafka::ResponseHeader::default().with_correlation_id(header.correlation_id);
    answer.encode(&mut buffer, Response::header_version(version)).expect("a header");
    response.encode(&mut buffer, version).expect("an answer");
    buffer.freeze()
}
