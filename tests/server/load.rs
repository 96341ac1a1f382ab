//! The load tools on real nodes: processes of the built binary, their output lines and exit codes, and what they find when a
//! leader is killed under them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::quorum::{Quorum, Start};

const TOPIC: [&str; 2] = ["--topic", "__cluster_metadata"];

/// The built binary with a command and the topic.
fn tool(command: &str) -> Command {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_kraftbed"));
    tool.arg(command).args(TOPIC);
    tool
}

fn perf(quorum: &Quorum, arguments: &str) -> Command {
    let mut tool = tool("producer-perf-test");
    tool.args(["--bootstrap-server", &quorum.bootstrap()]).args(arguments.split_whitespace());
    tool
}

fn run(mut command: Command) -> Output {
    command.output().expect("the binary can be run")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// The last line of what succeeded.
fn last_line(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout).lines().last().expect("a line").to_owned()
}

/// As Kafka's system tests read it: the last line, cut at commas, then at blanks. (`ProducerPerformanceService`.)
fn parsed(line: &str) -> Vec<f64> {
    let parts = line.split(',').map(|part| part.split_whitespace().next().expect("a number first"));
    parts.map(|number| number.parse().unwrap_or_else(|_| panic!("{number} in {line}"))).collect()
}

#[test]
fn the_last_line_is_what_kafkas_system_tests_parse() {
    let quorum = Quorum::start("load-lines", 1);
    let output = run(perf(&quorum, "--num-records 20000 --throughput -1 --record-size 10 --verify"));
    let line = last_line(&output);
    let numbers = parsed(&line);
    assert_eq!((numbers[0], numbers.len()), (20000.0, 8), "{line}");
    let found = text(&output.stdout);
    assert!(found.contains("verified: 20000 acknowledged records, 20000 read back, 0 missing, 0 twice"), "{found}");
    let output = run(perf(&quorum, "--num-records 300 --warmup-records 100 --throughput -1 --payload-monotonic"));
    assert!(
        text(&output.stdout).starts_with(
            "Warmup first 100 records. Steady state results will print after the complete test summary.\n"
        )
    );
    let line = last_line(&output);
    assert!(line.starts_with("200 steady state records sent, "), "{line}");
}

#[test]
fn records_of_every_kind_are_acknowledged_and_found() {
    let quorum = Quorum::start("load-kinds", 1);
    for arguments in [
        "--record-size 100 --command-property acks=1 --clients 3 --throughput -1",
        "--record-size 100 --command-property acks=0 --throughput -1",
        "--record-size 5000 --command-property batch.size=0 linger.ms=0 --throughput -1",
        "--payload-monotonic --in-flight 1 --command-property linger.ms=0 --throughput -1",
        "--record-size 10 --key-distribution random --record-key-range 7 --throughput 20000",
    ] {
        let output = run(perf(&quorum, &format!("--num-records 500 --verify --output json {arguments}")));
        let json: Value = serde_json::from_str(&last_line(&output)).expect("one object");
        let verify = &json["verify"];
        assert_eq!((&json["records"], &json["failed"]), (&Value::from(500), &Value::from(0)), "{arguments}: {json}");
        assert_eq!(
            (&verify["clean"], &verify["found"]),
            (&Value::from(true), &Value::from(500)),
            "{arguments}: {json}"
        );
        assert_eq!(json["corrected"].is_null(), arguments.contains("--throughput -1"), "{arguments}: {json}");
    }
}

#[test]
fn a_leader_killed_under_load_costs_no_record_and_no_order() {
    let mut quorum = Quorum::start("load-killed", 3);
    let (leader, epoch) = quorum.await_leader(0);
    let history = Path::new(env!("CARGO_TARGET_TMPDIR")).join("load-killed.jsonl");
    let mut command = perf(&quorum, "--num-records 6000 --throughput 1500 --record-size 64 --verify --strict");
    command.args(["--output", "json", "--reporting-interval", "200", "--history"]).arg(&history);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut tool = command.spawn().expect("the binary can be run");
    let mut progress = BufReader::new(tool.stderr.take().expect("a pipe")).lines();
    let window = progress.find(|line| line.as_ref().is_ok_and(|line| line.contains("records sent")));
    assert!(window.is_some(), "a window's line");
    quorum.kill(leader);
    let rest: Vec<String> = progress.map(|line| line.expect("text")).collect();
    let output = tool.wait_with_output().expect("the process is ours");
    assert_eq!(output.status.code(), Some(0), "{}\n{}", text(&output.stdout), rest.join("\n"));
    let json: Value = serde_json::from_str(&text(&output.stdout)).expect("one object");
    assert_eq!(json["verify"]["found"], Value::from(6000), "{json}");
    assert_eq!(
        (&json["verify"]["duplicated"], &json["verify"]["reordered"]),
        (&Value::from(0), &Value::from(0)),
        "{json}"
    );
    assert_ne!(quorum.await_leader(epoch).0, leader);
    let lines = std::fs::read_to_string(&history).expect("a history was written");
    let is_acked = |line: &&str| line.contains("\"f\":\"append\"") && line.contains("\"outcome\":\"ok\"");
    assert_eq!(lines.lines().filter(is_acked).count(), 6000);
    is_one_log(&history, "producer");
    quorum.launch(leader);
}

/// `check` finds nothing wrong with a history.
fn is_one_log(history: &Path, model: &str) {
    let mut check = Command::new(env!("CARGO_BIN_EXE_kraftbed"));
    check.arg("check").arg(history).args(["--model", model]);
    let output = run(check);
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn a_verifiable_producer_tells_what_became_of_each_record() {
    let quorum = Quorum::start("load-verifiable", 1);
    let mut command = tool("verifiable-producer");
    // As Kafka's README has it, with a scheme in front of the address.
    command.args(["--bootstrap-server", &format!("http://localhost:{}", quorum.port(1))]);
    command.args(["--max-messages", "5", "--value-prefix", "3", "--repeating-keys", "2"]);
    let history = Path::new(env!("CARGO_TARGET_TMPDIR")).join("load-verifiable.jsonl");
    command.arg("--history").arg(&history);
    let output = run(command);
    is_one_log(&history, "log");
    let lines: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    assert_eq!((output.status.code(), lines.len()), (Some(0), 8), "{lines:#?}");
    let events: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let names: Vec<&str> = events.iter().map(|event| event["name"].as_str().expect("a name")).collect();
    let acked = "producer_send_success";
    assert_eq!(names, ["startup_complete", acked, acked, acked, acked, acked, "shutdown_complete", "tool_data"]);
    let told: Vec<String> = events[1..6].iter().map(|event| format!("{}={}", event["key"], event["value"])).collect();
    assert_eq!(told.join(" ").replace('"', ""), "0=3.0 1=3.1 0=3.2 1=3.3 0=3.4");
    let offsets: Vec<i64> = events[1..6].iter().map(|event| event["offset"].as_i64().expect("an offset")).collect();
    assert!(offsets.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{offsets:?}");
    assert_eq!((&events[7]["sent"], &events[7]["acked"]), (&Value::from(5), &Value::from(5)));
}

#[test]
fn who_waits_is_told_what_for() {
    let quorum = Quorum::start("load-waits", 1);
    // A port that was free a moment ago.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    for (server, topic, expected) in [
        (quorum.bootstrap(), "nosuch", "topic nosuch: UnknownTopicOrPartitionException; trying again".to_owned()),
        (nobody.to_string(), "__cluster_metadata", format!("to {nobody}: Connection refused (os error 111); trying")),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kraftbed"));
        command.args(["verifiable-producer", "--bootstrap-server", &server, "--topic", topic, "--max-messages", "1"]);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary can be run");
        let first = BufReader::new(process.stderr.take().expect("a pipe")).lines().next().expect("a line");
        process.kill().and_then(|()| process.wait()).expect("the process is ours");
        let first = first.expect("text");
        assert!(first.contains(&expected), "{first}");
    }
}

#[test]
fn a_signal_ends_a_verifiable_producer_with_its_sum() {
    let quorum = Quorum::start("load-signal", 1);
    let mut command = tool("verifiable-producer");
    command.args(["--bootstrap-server", &quorum.bootstrap(), "--throughput", "200"]).stdout(Stdio::piped());
    let mut process = command.spawn().expect("the binary can be run");
    let mut lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
    let first_acked = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("producer_send_success")));
    assert!(first_acked.is_some(), "a record is acknowledged");
    let sent = Command::new("kill").arg(process.id().to_string()).status().expect("kill(1) exists");
    assert!(sent.success(), "the process is ours");
    let rest: Vec<String> = lines.map(|line| line.expect("text")).collect();
    assert_eq!(process.wait().expect("the process is ours").code(), Some(0), "{rest:#?}");
    assert!(rest[rest.len() - 2].contains("shutdown_complete"), "{rest:#?}");
    let sum: Value = serde_json::from_str(&rest[rest.len() - 1]).expect("JSON");
    assert_eq!((&sum["name"], &sum["target_throughput"]), (&Value::from("tool_data"), &Value::from(200)));
    assert_eq!(sum["sent"], sum["acked"], "what was sent was waited for");
}

#[test]
fn arguments_are_refused_as_kafka_refuses_them() {
    let refused = |arguments: &str, code: i32, reason: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kraftbed"));
        let output = run({
            command.arg("producer-perf-test").args(arguments.split_whitespace());
            command
        });
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(reason), "expected {reason:?} in {said}");
    };
    let all = "--topic t --num-records 10 --throughput -1 --record-size 10";
    refused("", 0, "This tool is used to verify the producer performance.");
    refused(all, 1, "At least one of --bootstrap-server, --command-property, --producer-props, --producer.config or");
    refused(&format!("{all} --payload-monotonic --bootstrap-server l:1"), 1, "cannot be used with");
    refused(&format!("{all} --warmup-records 10 --bootstrap-server l:1"), 1, "must be strictly fewer than");
    refused(
        &format!("{all} --producer-props bootstrap.servers=l:1 acks=7"),
        1,
        "Option --producer-props has been deprecated and will be removed in a future version. Use --command-property \
         instead.\nException in thread \"main\" org.apache.kafka.common.config.ConfigException: Invalid value 7 for \
         configuration acks: String must be one of: all, -1, 0, 1",
    );
}

#[test]
fn a_link_named_like_a_script_behaves_as_the_script() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("load-links");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("target/tmp can be written");
    for (name, expected) in [
        ("kafka-producer-perf-test.sh", "verify the producer performance"),
        ("kafka-verifiable-producer", "produces increasing integers"),
    ] {
        let link = folder.join(name);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_kraftbed"), &link).expect("a link can be made");
        let output = run(Command::new(link));
        assert_eq!(output.status.code(), Some(0), "no arguments show the help");
        assert!(text(&output.stdout).contains(expected), "{}", text(&output.stdout));
    }
}

#[test]
fn a_server_loads_itself_while_it_leads() {
    let arguments = ["--self-load", "--throughput", "2000", "--record-size", "100"].map(str::to_owned).into();
    let quorum = Quorum::start_as("load-self", 1, Start { arguments, ..Start::default() });
    let printed = |stream: &str| stream.lines().find(|line| line.starts_with("Throughput")).map(str::to_owned);
    let line = quorum.wait_for("the line of the raft test server", || printed(&quorum.said(1, "stdout")));
    let numbers: Vec<f64> = line.split([' ', ',']).filter_map(|word| word.parse().ok()).collect();
    assert!((150_000.0..250_000.0).contains(&numbers[0]), "{line}");
    assert_eq!(numbers.len(), 4, "{line}");
}
