//! Specification of `client`: golden scripts in which a session talks to brokers that say what the script tells them.
//!
//! A script's lines are what the world does; its output is what the session says. Requests are decoded and answers are
//! encoded with the `kafka-protocol` crate's broker side, so the frames are real.
//!
//! ```text
//! session brokers=2 [delivery=exactly-once] [in-flight=N] [versions=old]   a new session; brokers are n1:9092, n2:9092, …
//! append ID VALUE…   fetch ID OFFSET   tail ID                             an ask
//! open CONN…   close CONN   frame CONN HEX                                 what happens to connections
//! answer CONN KIND [key=value …]                                           answers the oldest request on a connection
//! wait DURATION   wait                                                     time passes, or until the session's deadline
//! ```

#[path = "client/cores.rs"]
mod cores;
#[path = "client/histories.rs"]
mod histories;
#[path = "client/producer.rs"]
mod producer;
#[path = "client/world.rs"]
mod world;

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use goldenscript::{Argument, Command, Context, Runner};
use kafka_protocol::messages as kafka;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};

use kraftbed::client::producer::Producer;
use kraftbed::client::wire::Api;
use kraftbed::client::{Ask, AskId, Config, Delivery, Input, Output, Session, Told};
use kraftbed::ids::{Endpoint, Epoch, Offset, ReplicaId};
use kraftbed::prng::Prng;
use kraftbed::protocol::ConnectionId;
use kraftbed::record::{BatchBuilder, ControlRecord, RecordBatch};
use kraftbed::time::{Instant, Timestamp};

#[test]
fn golden_scripts() {
    run_scripts("tests/golden/client", 8);
}

fn run_scripts(folder: &str, least: usize) {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the scripts are there")
        .map(|entry| entry.expect("the directory can be listed").path())
        .collect();
    paths.sort();
    assert!(paths.len() >= least, "only {} scripts", paths.len());
    for path in paths {
        goldenscript::run(&mut Script::new(), &path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// A session and the brokers it talks to.
struct Script {
    now: Instant,
    session: Option<Session>,
    /// Instead of a session.
    producer: Option<Producer>,
    /// What was asked on each connection and not answered: API, version, correlation id.
    asked: BTreeMap<ConnectionId, VecDeque<(i16, i16, i32)>>,
    versions: Versions,
}

/// What the brokers of a script speak.
#[derive(Clone, Copy, PartialEq)]
enum Versions {
    /// Everything up to Kafka 4.
    New,
    /// ApiVersions 0 and little else: what a client meets on an old broker.
    Old,
}

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _context: &Context) -> Result<String, Box<dyn Error>> {
        let words: Vec<&str> = command.args.iter().filter_map(positional).collect();
        let options: BTreeMap<&str, &str> = command.args.iter().filter_map(key_value).collect();
        match command.name.as_str() {
            "session" => self.start(&options),
            "producer" => self.start_producer(&options),
            "push" => self.push(&words),
            "flush" => self.flush(),
            "drained" => self.drained(),
            "append" => {
                let values = words[1..].iter().map(|value| Bytes::copy_from_slice(value.as_bytes())).collect();
                self.ask(words[0], Ask::Produce { values })
            }
            "fetch" => {
                let from = Offset(words[1].parse()?);
                self.ask(words[0], Ask::Fetch { from })
            }
            "tail" => self.ask(words[0], Ask::Tail),
            "open" => {
                let open = |word: &&str| Ok(Input::Opened { connection: connection(word)? });
                let inputs: Result<Vec<Input>, Box<dyn Error>> = words.iter().map(open).collect();
                inputs?.into_iter().map(|input| self.step(input)).collect()
            }
            "close" => {
                let connection = connection(words[0])?;
                self.asked.remove(&connection);
                self.step(Input::Closed { connection })
            }
            "answer" => self.answer(connection(words[0])?, words[1], &options),
            "frame" => {
                let frame = Bytes::from(words[1].as_bytes().to_vec());
                self.step(Input::Frame { connection: connection(words[0])?, frame })
            }
            "wait" => self.wait(words.first().copied()),
            name => Err(format!("unknown command {name}").into()),
        }
    }
}

impl Script {
    fn new() -> Script {
        Script { now: Instant::ZERO, session: None, producer: None, asked: BTreeMap::new(), versions: Versions::New }
    }

    fn start(&mut self, options: &BTreeMap<&str, &str>) -> Result<String, Box<dyn Error>> {
        let brokers: u16 = options.get("brokers").unwrap_or(&"1").parse()?;
        let bootstrap = (1..=brokers).map(broker).collect();
        let mut config = Config::new(bootstrap, "client", "log");
        config.produce_in_flight_max = options.get("in-flight").unwrap_or(&"1").parse()?;
        if options.get("delivery") == Some(&"exactly-once") {
            config.delivery = Delivery::ExactlyOnce;
        }
        if options.get("versions") == Some(&"old") {
            self.versions = Versions::Old;
        }
        self.session = Some(Session::new(config, Prng::new(1, 0)));
        Ok(String::new())
    }

    fn ask(&mut self, id: &str, ask: Ask) -> Result<String, Box<dyn Error>> {
        let id = AskId(id.parse()?);
        self.step(Input::Ask { id, ask })
    }

    /// Lets time pass; without a duration, until the session wants to be woken.
    fn wait(&mut self, duration: Option<&str>) -> Result<String, Box<dyn Error>> {
        let Some(word) = duration else {
            let deadline = match &self.producer {
                Some(producer) => producer.deadline(),
                None => self.session.as_ref().ok_or("no session")?.deadline(),
            };
            let deadline = deadline.ok_or("the session waits for nothing")?;
            assert!(deadline > self.now, "the session wants to be woken in the past: a driver would spin");
            self.now = deadline;
            let said = self.step(Input::Tick)?;
            return Ok(format!("at {}\n{said}", self.now));
        };
        let millis: u64 = word.strip_suffix("ms").ok_or("durations are in ms")?.parse()?;
        self.now += Duration::from_millis(millis);
        self.step(Input::Tick)
    }

    fn step(&mut self, input: Input) -> Result<String, Box<dyn Error>> {
        let mut out = Vec::new();
        match &mut self.producer {
            Some(producer) => producer.step(self.now, input, &mut out),
            None => self.session.as_mut().ok_or("no session")?.step(self.now, input, &mut out),
        }
        let lines: Result<Vec<String>, _> = out.into_iter().map(|output| self.show(output)).collect();
        Ok(lines?.concat() + &self.ended())
    }

    fn show(&mut self, output: Output) -> Result<String, Box<dyn Error>> {
        Ok(match output {
            Output::Connect { connection, endpoint } => format!("{connection} connect {endpoint}\n"),
            Output::Close { connection } => {
                self.asked.remove(&connection);
                format!("{connection} close\n")
            }
            Output::Told { id, told } => format!("told {} {}\n", id.0, show_told(&told)),
            Output::Frame { connection, frame } => {
                let request = decode_request(&frame.parts.concat())?;
                let line = format!("{connection} {} v{}{}\n", request.name, request.version, request.what);
                self.asked.entry(connection).or_default().push_back((
                    request.key,
                    request.version,
                    request.correlation,
                ));
                line
            }
        })
    }

    fn answer(
        &mut self,
        connection: ConnectionId,
        kind: &str,
        options: &BTreeMap<&str, &str>,
    ) -> Result<String, Box<dyn Error>> {
        let asked = self.asked.get_mut(&connection).and_then(VecDeque::pop_front);
        let (key, version, correlation) = asked.ok_or("nothing was asked on this connection")?;
        let answers = Answers { version, correlation, options, now: self.now, versions: self.versions };
        let frame = answers.encode(key, kind)?;
        self.step(Input::Frame { connection, frame })
    }
}

/// What a request says, for people.
struct Decoded {
    name: &'static str,
    key: i16,
    version: i16,
    correlation: i32,
    what: String,
}

fn decode_request(frame: &[u8]) -> Result<Decoded, Box<dyn Error>> {
    let mut bytes = Bytes::copy_from_slice(&frame[4..]);
    assert_eq!(u32::from_be_bytes(frame[..4].try_into()?) as usize, bytes.len(), "the frame says how long it is");
    let (key, version) = (i16::from_be_bytes([frame[4], frame[5]]), i16::from_be_bytes([frame[6], frame[7]]));
    let bytes = &mut bytes;
    let (name, (correlation, what)) = match key {
        0 => ("Produce", decode::<kafka::ProduceRequest>(bytes, version, show_produce)?),
        1 => ("Fetch", decode::<kafka::FetchRequest>(bytes, version, show_fetch)?),
        2 => ("ListOffsets", decode::<kafka::ListOffsetsRequest>(bytes, version, show_list_offsets)?),
        3 => ("Metadata", decode::<kafka::MetadataRequest>(bytes, version, |_| String::new())?),
        18 => ("ApiVersions", decode::<kafka::ApiVersionsRequest>(bytes, version, |_| String::new())?),
        22 => ("InitProducerId", decode::<kafka::InitProducerIdRequest>(bytes, version, |_| String::new())?),
        other => return Err(format!("a session asked for API {other}").into()),
    };
    assert!(bytes.is_empty(), "nothing follows the request");
    Ok(Decoded { name, key, version, correlation, what })
}

fn decode<T: Decodable + HeaderVersion>(
    bytes: &mut Bytes,
    version: i16,
    show: impl Fn(&T) -> String,
) -> Result<(i32, String), Box<dyn Error>> {
    let header = kafka::RequestHeader::decode(bytes, T::header_version(version))?;
    Ok((header.correlation_id, show(&T::decode(bytes, version)?)))
}

fn show_produce(request: &kafka::ProduceRequest) -> String {
    let records = request.topic_data[0].partition_data[0].records.clone().expect("records are there");
    let batch = RecordBatch::parse(&records).expect("a session sends batches that parse");
    batch
        .validate_from_client(kraftbed::record::INFLATED_BYTES_MAX)
        .expect("a session sends batches that a leader takes");
    let stamp = batch
        .producer()
        .map_or(String::new(), |stamp| format!(" producer={} sequence={}", stamp.id, stamp.base_sequence));
    format!(" acks={}{stamp} [{}]", request.acks, show_values(&batch))
}

fn show_fetch(request: &kafka::FetchRequest) -> String {
    let partition = &request.topics[0].partitions[0];
    let epoch = partition.current_leader_epoch;
    format!(" {}@{epoch} isolation={}", partition.fetch_offset, request.isolation_level)
}

fn show_list_offsets(request: &kafka::ListOffsetsRequest) -> String {
    let partition = &request.topics[0].partitions[0];
    let epoch = partition.current_leader_epoch;
    format!(" {}@{epoch} isolation={}", partition.timestamp, request.isolation_level)
}

fn show_values(batch: &RecordBatch) -> String {
    let value =
        |record: kraftbed::record::Record| String::from_utf8_lossy(&record.value.unwrap_or_default()).into_owned();
    batch.records().map(|record| value(record.expect("the records parse"))).collect::<Vec<_>>().join(" ")
}

fn show_told(told: &Told) -> String {
    match told {
        Told::Produced { base } => format!("appended at {base}"),
        Told::Tail { end } => format!("the log ends at {end}"),
        Told::Failed { error } => format!("failed, error {error}"),
        Told::Open => "open".to_owned(),
        Told::Unreadable { reason } => format!("unreadable: {reason}"),
        Told::Fetched { from, batches, high_watermark } => {
            let high_watermark = high_watermark.map_or("-".to_owned(), |offset| offset.to_string());
            let show = |batch: &RecordBatch| match batch.is_control() {
                true => format!(" {} control", batch.base_offset()),
                false => format!(" {} [{}]", batch.base_offset(), show_values(batch)),
            };
            format!("read from {from}, hw={high_watermark}:{}", batches.iter().map(show).collect::<String>())
        }
    }
}

/// Makes the answer to one request.
struct Answers<'a> {
    version: i16,
    correlation: i32,
    options: &'a BTreeMap<&'a str, &'a str>,
    now: Instant,
    versions: Versions,
}

impl Answers<'_> {
    fn encode(&self, key: i16, kind: &str) -> Result<Bytes, Box<dyn Error>> {
        let is_expected = matches!(
            (key, kind),
            (0, "produced") | (1, "fetched") | (2, "end") | (3, "metadata") | (18, "versions") | (22, "identity")
        );
        // A broker that answers another request than the oldest: same correlation id, other words.
        if !is_expected && kind != "garbage" {
            return Err(format!("the oldest request is of API {key}").into());
        }
        match kind {
            "produced" => self.frame(&self.produced()?),
            "fetched" => self.frame(&self.fetched()?),
            "end" => self.frame(&self.end()?),
            "metadata" => self.frame(&self.metadata()?),
            "versions" => self.api_versions(),
            "identity" => self.frame(
                &kafka::InitProducerIdResponse::default()
                    .with_error_code(self.number("error", 0)?)
                    .with_producer_id(self.number::<i64>("id", -1)?.into())
                    .with_producer_epoch(self.number("epoch", 0)?),
            ),
            _ => Ok(Bytes::from_static(b"garbage")),
        }
    }

    fn api_versions(&self) -> Result<Bytes, Box<dyn Error>> {
        let known = |api: Api| match (self.versions, api) {
            (Versions::New, Api::Produce) => (0, 13),
            (Versions::New, Api::Fetch) => (4, 18),
            (Versions::New, api) => api.versions(),
            (Versions::Old, Api::ApiVersions) => (0, 2),
            (Versions::Old, api) => (0, api.versions().0),
        };
        let entry = |api: Api| {
            let (least, most) = known(api);
            let entry = kafka::api_versions_response::ApiVersion::default();
            entry.with_api_key(api.key()).with_min_version(least).with_max_version(most)
        };
        let body = kafka::ApiVersionsResponse::default();
        if self.version > known(Api::ApiVersions).1 {
            let body = body.with_error_code(35).with_api_keys(vec![entry(Api::ApiVersions)]);
            return Answers { version: 0, ..*self }.frame(&body);
        }
        self.frame(&body.with_api_keys(Api::ALL.into_iter().map(entry).collect()))
    }

    fn metadata(&self) -> Result<kafka::MetadataResponse, Box<dyn Error>> {
        let leader: i32 = self.number("leader", -1)?;
        let node = |id: u16| {
            let host = StrBytes::from_string(broker(id).host.to_string());
            let broker = kafka::metadata_response::MetadataResponseBroker::default();
            broker.with_node_id(i32::from(id).into()).with_host(host).with_port(9092)
        };
        let partition = kafka::metadata_response::MetadataResponsePartition::default()
            .with_error_code(if leader < 0 { 5 } else { 0 })
            .with_leader_id(leader.into())
            .with_leader_epoch(self.number("epoch", -1)?);
        let topic = kafka::metadata_response::MetadataResponseTopic::default()
            .with_name(Some(StrBytes::from_static_str("log").into()))
            .with_partitions(vec![partition]);
        let brokers = self.number::<u16>("brokers", 2)?;
        Ok(kafka::MetadataResponse::default().with_brokers((1..=brokers).map(node).collect()).with_topics(vec![topic]))
    }

    fn produced(&self) -> Result<kafka::ProduceResponse, Box<dyn Error>> {
        let mut partition = kafka::produce_response::PartitionProduceResponse::default()
            .with_error_code(self.number("error", 0)?)
            .with_base_offset(self.number("base", -1)?);
        let mut nodes = Vec::new();
        let leader: i32 = self.number("leader", -1)?;
        if leader >= 0 {
            let hint = kafka::produce_response::LeaderIdAndEpoch::default();
            partition.current_leader = hint.with_leader_id(leader.into()).with_leader_epoch(self.number("epoch", -1)?);
            let host = StrBytes::from_string(broker(leader as u16).host.to_string());
            let node = kafka::produce_response::NodeEndpoint::default();
            nodes.push(node.with_node_id(leader.into()).with_host(host).with_port(9092));
        }
        let topic = kafka::produce_response::TopicProduceResponse::default()
            .with_name(StrBytes::from_static_str("log").into())
            .with_partition_responses(vec![partition]);
        Ok(kafka::ProduceResponse::default().with_responses(vec![topic]).with_node_endpoints(nodes))
    }

    /// `batches=0:a,b;2:control` are two batches: values at 0 and 1, a leader change at 2.
    fn fetched(&self) -> Result<kafka::FetchResponse, Box<dyn Error>> {
        let mut records = BytesMut::new();
        for word in self.options.get("batches").copied().unwrap_or_default().split(';').filter(|word| !word.is_empty())
        {
            let (base, values) = word.split_once(':').ok_or("a batch is BASE:VALUES")?;
            let base = Offset(base.parse()?);
            let timestamp = Timestamp(self.now.0 as i64 / 1_000_000);
            let batch = match values {
                "control" => {
                    let (leader, voters) = (ReplicaId(1), vec![ReplicaId(1)]);
                    let change = ControlRecord::LeaderChange { leader, voters: voters.clone(), granting: voters };
                    BatchBuilder::control(base, Epoch(1), timestamp, &[change])
                }
                values => {
                    let mut builder = BatchBuilder::new(timestamp);
                    values.split(',').for_each(|value| builder.push(None, Some(value.as_bytes())));
                    builder.build().stamped(base, Epoch(1))
                }
            };
            records.extend_from_slice(&batch.encode_header());
            records.extend_from_slice(&batch.body);
        }
        if self.options.contains_key("damaged") {
            let last = records.len() - 1;
            records[last] ^= 1;
        }
        let partition = kafka::fetch_response::PartitionData::default()
            .with_error_code(self.number("error", 0)?)
            .with_high_watermark(self.number("hw", -1)?)
            .with_records(Some(records.freeze()));
        let topic = kafka::fetch_response::FetchableTopicResponse::default()
            .with_topic(StrBytes::from_static_str("log").into())
            .with_partitions(vec![partition]);
        Ok(kafka::FetchResponse::default().with_responses(vec![topic]))
    }

    fn end(&self) -> Result<kafka::ListOffsetsResponse, Box<dyn Error>> {
        let partition = kafka::list_offsets_response::ListOffsetsPartitionResponse::default()
            .with_error_code(self.number("error", 0)?)
            .with_offset(self.number("at", -1)?);
        let topic = kafka::list_offsets_response::ListOffsetsTopicResponse::default()
            .with_name(StrBytes::from_static_str("log").into())
            .with_partitions(vec![partition]);
        Ok(kafka::ListOffsetsResponse::default().with_topics(vec![topic]))
    }

    fn frame<T: Encodable + HeaderVersion>(&self, body: &T) -> Result<Bytes, Box<dyn Error>> {
        let mut buffer = BytesMut::new();
        let header = kafka::ResponseHeader::default().with_correlation_id(self.correlation);
        header.encode(&mut buffer, T::header_version(self.version))?;
        body.encode(&mut buffer, self.version)?;
        if self.options.contains_key("trailing") {
            buffer.put_u8(0);
        }
        Ok(buffer.freeze())
    }

    fn number<T: std::str::FromStr>(&self, key: &str, default: T) -> Result<T, Box<dyn Error>> {
        let Some(text) = self.options.get(key) else { return Ok(default) };
        text.parse().map_err(|_| format!("{key}={text} is not a number").into())
    }
}

fn broker(id: u16) -> Endpoint {
    Endpoint::new(&format!("n{id}"), 9092)
}

fn connection(name: &str) -> Result<ConnectionId, Box<dyn Error>> {
    let number: u64 = name.strip_prefix("out").ok_or("connections are called out0, out1, …")?.parse()?;
    Ok(ConnectionId(ConnectionId::FIRST_OUTBOUND.0 + number))
}

fn positional(argument: &Argument) -> Option<&str> {
    match argument {
        Argument::Positional(word) => Some(word),
        _ => None,
    }
}

fn key_value(argument: &Argument) -> Option<(&str, &str)> {
    match argument {
        Argument::KeyValue(key, value) => Some((key, value)),
        _ => None,
    }
}
