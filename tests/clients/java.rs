//! What Apache Kafka's own tools do against a quorum, in two of its versions: the load tools of the Kafka Raft README, the
//! console consumer, and those that describe quorums, clusters and segment files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kraftbed::campaign::torture::disks;
use kraftbed::ids::Offset;
use kraftbed::record::RecordBatch;
use libtest_mimic::Failed;

use crate::client::{TOPIC, run};
use crate::judge::{self, Promise};
use crate::load::{End, Load, Speech, Stream, Told};
use crate::stage::Stage;
use crate::tools::Tool;

/// A test: its name, and what it does with the tools of one version.
pub type Test = (&'static str, fn(&Kafka) -> Result<(), Failed>);

/// The tools of one version.
#[derive(Clone, Copy, Debug)]
pub struct Kafka {
    /// What its tests are called by.
    pub name: &'static str,
    pub version: &'static str,
    /// The class behind kafka-dump-log.sh.
    dump_log: &'static str,
}

/// The versions that are tested.
pub const VERSIONS: [Kafka; 2] = [
    Kafka { name: "java_4_3_1", version: "4.3.1", dump_log: "org.apache.kafka.tools.DumpLogSegments" },
    Kafka { name: "java_3_9_2", version: "3.9.2", dump_log: "kafka.tools.DumpLogSegments" },
];

/// What is asked of the tools of every version.
pub const TESTS: [Test; 6] = [
    ("verifiable_producer_as_in_kafkas_readme", verifiable_producer),
    ("verifiable_producer_loses_nothing_acknowledged", verifiable_producer_under_a_kill),
    ("producer_performance_with_every_acks_and_codec", producer_performance),
    ("producer_performance_loses_nothing_when_the_leader_is_killed", performance_under_a_kill),
    ("tools_describe_quorum_and_cluster", describe),
    ("dump_log_reads_every_segment", dump_log),
];

impl Kafka {
    pub fn tool(&self) -> Tool {
        Tool::Java(self.version)
    }

    /// A class of Kafka's, as its scripts run it.
    fn class(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = self.tool().program(name);
        command.args(arguments);
        command
    }

    fn run(&self, name: &str, arguments: &[&str]) -> Result<String, Failed> {
        run(self.class(name, arguments), "")
    }
}

/// The command line of Kafka's README, its scheme and its properties file included; only faster.
fn verifiable_producer(kafka: &Kafka) -> Result<(), Failed> {
    let stage = Stage::start(&format!("{}-verifiable", kafka.name))?;
    let config = stage.quorum.properties(1).with_file_name("producer.properties");
    fs::write(&config, "compression.type=none\n")?;
    let bootstrap = format!("http://localhost:{}", stage.quorum.port(1));
    let config = config.display().to_string();
    let printed = kafka.run(
        VERIFIABLE_PRODUCER,
        &["--bootstrap-server", &bootstrap, "--topic", TOPIC, "--max-messages", "500", "--throughput", "250"]
            .into_iter()
            .chain(["--producer.config", &config])
            .collect::<Vec<_>>(),
    )?;
    let told: Vec<Told> = printed.lines().filter_map(verified).collect();
    judge::all_acked(&told, 500)?;
    let last: serde_json::Value = serde_json::from_str(printed.lines().last().unwrap_or_default())?;
    expect((&last["name"], &last["sent"], &last["acked"]), (&"tool_data".into(), &500.into(), &500.into()))?;
    let log = judge::entries(&stage.log()?)?;
    judge::judge(&told, &log, Promise::ExactlyOnce)?;
    // `verbose=true`: every node prints what is committed.
    for id in 1..=3 {
        let committed = stage.quorum.wait_for("all values on stdout", || {
            let said = stage.quorum.said(id, "stdout");
            (said.lines().count() >= 500).then_some(said)
        });
        let values: Vec<String> = log.iter().map(|(offset, value)| format!("{offset}: {value}")).collect();
        expect(committed.lines().collect::<Vec<_>>(), values.iter().map(String::as_str).collect())?;
    }
    Ok(())
}

/// It sends without retries and without idempotence: what fails in between it says, and only that.
fn verifiable_producer_under_a_kill(kafka: &Kafka) -> Result<(), Failed> {
    let mut stage = Stage::start(&format!("{}-verifiable-kill", kafka.name))?;
    let bootstrap = stage.bootstrap();
    let command =
        kafka.class(VERIFIABLE_PRODUCER, &["--bootstrap-server", &bootstrap, "--topic", TOPIC, "--throughput", "200"]);
    let speech = Speech { understand: Box::new(verified), stream: Stream::Stdout, end: End::Term };
    let mut load = Load::start(command, speech)?;
    load.await_ack(20)?;
    stage.kill_leader(&mut load)?;
    let told = load.finish()?;
    let log = judge::entries(&stage.log()?)?;
    judge::judge(&told, &log, Promise::ExactlyOnce)
}

/// Every acks and every codec in one log; the console consumer reads it all back.
fn producer_performance(kafka: &Kafka) -> Result<(), Failed> {
    let stage = Stage::start(&format!("{}-performance", kafka.name))?;
    let bootstrap = stage.bootstrap();
    let defaults: &[&str] = &[];
    let ways = [defaults, &["acks=0"], &["acks=1"], &["acks=all", "linger.ms=0"]];
    let codecs = ["gzip", "snappy", "lz4", "zstd"].map(|codec| format!("compression.type={codec}"));
    let codecs: Vec<[&str; 1]> = codecs.iter().map(|codec| [codec.as_str()]).collect();
    for way in ways.into_iter().chain(codecs.iter().map(|codec| codec.as_slice())) {
        let servers = format!("bootstrap.servers={bootstrap}");
        let fixed = ["--topic", TOPIC, "--num-records", "1000", "--throughput", "-1", "--record-size", "100"];
        let mut arguments = fixed.to_vec();
        arguments.extend(["--producer-props", &servers]);
        arguments.extend(way);
        let printed = kafka.run(PRODUCER_PERFORMANCE, &arguments)?;
        let last = printed.lines().last().unwrap_or_default();
        if !last.starts_with("1000 records sent, ") || !last.contains(" 99.9th") {
            return Err(format!("{way:?}: {printed}").into());
        }
    }
    let log = stage.log()?;
    let count = ways.len() + codecs.len();
    let values = values(&log)?;
    expect(values.len(), 1000 * count)?;
    let mut by_codec: BTreeMap<&str, usize> = BTreeMap::new();
    for batch in log.iter().filter(|batch| !batch.is_control()) {
        let codec = batch.compression().map_or("unknown", |codec| codec.name());
        *by_codec.entry(codec).or_default() += batch.records().count();
    }
    let expected = [("gzip", 1000), ("lz4", 1000), ("none", 4000), ("snappy", 1000), ("zstd", 1000)];
    expect(by_codec.into_iter().collect::<Vec<_>>(), expected.to_vec())?;
    let max = values.len().to_string();
    let fixed = ["--topic", TOPIC, "--partition", "0", "--offset", "earliest", "--max-messages", &max];
    let arguments: Vec<&str> = ["--bootstrap-server", &bootstrap].into_iter().chain(fixed).collect();
    let read = kafka.run(CONSOLE_CONSUMER, &arguments)?;
    expect(read.lines().collect::<Vec<_>>(), values.iter().map(String::as_str).collect())
}

/// Idempotent by default: all records are there, none twice.
fn performance_under_a_kill(kafka: &Kafka) -> Result<(), Failed> {
    let mut stage = Stage::start(&format!("{}-performance-kill", kafka.name))?;
    let servers = format!("bootstrap.servers={}", stage.bootstrap());
    let fixed = ["--topic", TOPIC, "--num-records", "3000", "--throughput", "600", "--payload-monotonic"];
    let mut command = kafka.class(PRODUCER_PERFORMANCE, &fixed);
    command.args(["--producer-props", &servers, "reconnect.backoff.max.ms=500"]);
    let runner = std::thread::Builder::new().spawn(move || run(command, "").map_err(|error| format!("{error:?}")))?;
    stage.quorum.wait_for("a log that grows", || (stage.describe().high_watermark > 600).then_some(()));
    stage.crash_leader();
    let printed = runner.join().expect("running does not panic")?;
    let last = printed.lines().last().unwrap_or_default();
    if !last.starts_with("3000 records sent, ") {
        return Err(printed.into());
    }
    let values = values(&stage.log()?)?;
    let expected: Vec<String> = (0..3000).map(|value| value.to_string()).collect();
    expect(values, expected)
}

/// kafka-metadata-quorum by both of its bootstraps, and the admin client.
fn describe(kafka: &Kafka) -> Result<(), Failed> {
    let stage = Stage::start(&format!("{}-describes", kafka.name))?;
    let bootstrap = stage.bootstrap();
    let (leader, epoch) = stage.leader();
    for option in ["--bootstrap-server", "--bootstrap-controller"] {
        let status = kafka.run(METADATA_QUORUM, &[option, &bootstrap, "describe", "--status"])?;
        let fields: BTreeMap<&str, &str> =
            status.lines().filter_map(|line| line.split_once(':')).map(|(key, value)| (key, value.trim())).collect();
        expect(fields.get("ClusterId"), Some(&"AAAAAAAAAAAAAAAAAAAAAA"))?;
        expect(fields.get("LeaderId"), Some(&leader.to_string().as_str()))?;
        expect(fields.get("LeaderEpoch"), Some(&epoch.to_string().as_str()))?;
        expect(fields.get("HighWatermark"), Some(&"1"))?;
        expect(fields.get("MaxFollowerLag"), Some(&"0"))?;
        let voters = fields.get("CurrentVoters").copied().unwrap_or_default();
        if (1..=3).any(|id| !voters.contains(&format!("\"id\": {id}"))) {
            return Err(format!("not all voters: {status}").into());
        }
        let replication = kafka.run(METADATA_QUORUM, &[option, &bootstrap, "describe", "--replication"])?;
        let rows: Vec<Vec<&str>> = replication.lines().map(|line| line.split_whitespace().collect()).collect();
        let roles: Vec<&str> = rows.iter().skip(1).filter_map(|row| row.last().copied()).collect();
        expect(roles, vec!["Leader", "Follower", "Follower"])?;
        expect(rows[1].first().copied(), Some(leader.to_string().as_str()))?;
    }
    for kind in ["bootstrap.servers", "bootstrap.controllers"] {
        let told = kafka.run("Client", &["describe", &bootstrap, kind])?;
        let leads = format!("leader {leader} {epoch}");
        let controller = format!("controller {leader}");
        for line in ["cluster AAAAAAAAAAAAAAAAAAAAAA", &controller, "nodes [1, 2, 3]", &leads, "voters [1, 2, 3]"] {
            if !told.lines().any(|told| told == line) {
                return Err(format!("expected {line:?}, found {told}").into());
            }
        }
        if !["supported ", "finalized "].iter().all(|what| told.contains(what)) {
            return Err(format!("features are not described: {told}").into());
        }
    }
    Ok(())
}

/// Rolled segments while the nodes run, and the active one once its node has stopped.
fn dump_log(kafka: &Kafka) -> Result<(), Failed> {
    let mut stage = Stage::start_with(&format!("{}-dumps", kafka.name), &["metadata.log.segment.bytes=100000"])?;
    let servers = format!("bootstrap.servers={}", stage.bootstrap());
    let fixed = ["--topic", TOPIC, "--num-records", "3000", "--throughput", "-1", "--record-size", "100"];
    let mut arguments = fixed.to_vec();
    arguments.extend(["--producer-props", &servers]);
    kafka.run(PRODUCER_PERFORMANCE, &arguments)?;
    let log = stage.log()?;
    let folder = stage.quorum.log_directory(2).join("__cluster_metadata-0");
    let mut rolled = segments(&folder)?;
    let active = rolled.pop().ok_or("no segment at all")?;
    if rolled.len() < 2 {
        return Err(format!("{} segments have rolled", rolled.len()).into());
    }
    let mut dumped = dump(kafka, &rolled.join(","))?;
    let status = stage.quorum.terminate(2);
    expect(status.code(), Some(0))?;
    // While it ran, another may have come to lead, who begins with a batch of its own.
    let rest: Vec<String> = segments(&folder)?.into_iter().filter(|segment| *segment >= active).collect();
    dumped.extend(dump(kafka, &rest.join(","))?);
    let end = dumped.last().map_or(0, |&(_, last, _)| last + 1);
    let held = disks::batches(&stage.quorum.log_directory(2), Offset::ZERO, Offset(end))?;
    let told = |batch: &RecordBatch| (batch.base_offset().0, batch.end().0 - 1, u64::from(batch.header.crc));
    let log: Vec<_> = log.iter().map(told).collect();
    expect(dumped.iter().take(log.len()).copied().collect(), log)?;
    expect(dumped, held.iter().map(told).collect())
}

/// The segments of a partition, from the first.
fn segments(folder: &Path) -> Result<Vec<String>, Failed> {
    let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    let is_log = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "log");
    let mut segments: Vec<String> = names.iter().filter(is_log).map(|path| path.display().to_string()).collect();
    segments.sort();
    Ok(segments)
}

/// First offset, last offset and checksum of every batch that kafka-dump-log finds, all of them valid.
fn dump(kafka: &Kafka, files: &str) -> Result<Vec<(u64, u64, u64)>, Failed> {
    let printed = kafka.run(kafka.dump_log, &["--files", files, "--deep-iteration"])?;
    let mut found = Vec::new();
    for line in printed.lines().filter(|line| line.starts_with("baseOffset: ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |key: &str| {
            let at = words.iter().position(|word| *word == key)?;
            words.get(at + 1)?.parse::<u64>().ok()
        };
        let batch = (number("baseOffset:"), number("lastOffset:"), number("crc:"));
        match batch {
            (Some(base), Some(last), Some(crc)) if line.ends_with("isvalid: true") => found.push((base, last, crc)),
            _ => return Err(format!("kafka-dump-log says: {line}").into()),
        }
    }
    match printed.lines().find(|line| line.contains("invalid") || line.contains("Could not")) {
        Some(line) => Err(format!("kafka-dump-log says: {line}").into()),
        None => Ok(found),
    }
}

/// The values that clients wrote, as text.
fn values(log: &[RecordBatch]) -> Result<Vec<String>, Failed> {
    let mut values = Vec::new();
    for record in log.iter().filter(|batch| !batch.is_control()).flat_map(RecordBatch::records) {
        values.push(String::from_utf8(record?.value.unwrap_or_default().to_vec())?);
    }
    Ok(values)
}

/// What VerifiableProducer says of a record.
fn verified(line: &str) -> Option<Told> {
    let event: serde_json::Value = serde_json::from_str(line).ok()?;
    let value = event["value"].as_str()?.parse().ok()?;
    match event["name"].as_str()? {
        "producer_send_success" => Some(Told::Acked { value, offset: event["offset"].as_u64()? }),
        "producer_send_error" => Some(Told::Failed { value, why: event["message"].as_str()?.to_owned() }),
        _ => None,
    }
}

fn expect<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> Result<(), Failed> {
    match found == expected {
        true => Ok(()),
        false => {
            let shown = |what: T| {
                let text = format!("{what:?}");
                text.chars().take(300).collect::<String>()
            };
            Err(format!("expected {}, found {}", shown(expected), shown(found)).into())
        }
    }
}

const VERIFIABLE_PRODUCER: &str = "org.apache.kafka.tools.VerifiableProducer";
const PRODUCER_PERFORMANCE: &str = "org.apache.kafka.tools.ProducerPerformance";
const CONSOLE_CONSUMER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";
const METADATA_QUORUM: &str = "org.apache.kafka.tools.MetadataQuorumCommand";
