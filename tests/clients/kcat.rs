//! kcat, which is librdkafka at the command line: lists, writes, reads; through relays as every client, and straight to the
//! nodes, where a node that is down refuses connections.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use libtest_mimic::Failed;

use crate::client::Client;
use crate::judge::Promise;
use crate::load::{End, Speech, Stream, Told};
use crate::quorum::Quorum;
use crate::stage::Silence;
use crate::tools::Tool;

/// A test and its name.
pub type Test = (&'static str, fn() -> Result<(), Failed>);

/// kcat as every client: it reports a delivery without its value, but in the order in which it read them.
pub fn client() -> Client {
    Client {
        name: "kcat",
        tool: Tool::Kcat,
        produce: |tool, place, rate| {
            let mut command = tool.program("kcat");
            command.args(["-b", &place.bootstrap, "-P", "-t", &place.topic, "-p", "0", "-vvv", "-E"]).args(IDEMPOTENT);
            for setting in ["socket.timeout.ms=1500", "request.timeout.ms=1500", "reconnect.backoff.max.ms=500"] {
                command.args(["-X", setting]);
            }
            let mut value = 0;
            let understand = move |line: &str| {
                let told = match line.split_once("delivered to partition 0 (offset ") {
                    Some((_, rest)) => Told::Acked { value, offset: rest.split(')').next()?.parse().ok()? },
                    None if line.contains("Delivery failed") => Told::Failed { value, why: line.to_owned() },
                    None => return None,
                };
                value += 1;
                Some(told)
            };
            let understand = Box::new(understand);
            (command, Speech { understand, stream: Stream::Stderr, end: End::OfFeed { rate } })
        },
        consume: |tool, place, count| {
            let mut command = tool.program("kcat");
            command.args(["-b", &place.bootstrap, "-C", "-t", &place.topic, "-p", "0", "-o", "beginning"]);
            command.args(["-c", &count.to_string(), "-q", "-f", "%o %s\\n"]);
            command
        },
        promise: Promise::ExactlyOnce,
        silence: Silence::Leaves,
    }
}

/// What kcat does straight to the nodes of a quorum of ours.
pub fn tests() -> Vec<Test> {
    vec![
        ("kcat_lists_the_topic_and_its_leader", lists),
        ("kcat_reads_what_kcat_wrote", writes_and_reads),
        ("kcat_writes_idempotently", writes_idempotently),
        ("kcat_writes_through_a_rolling_restart", survives_a_rolling_restart),
        ("kcat_loses_nothing_acknowledged_when_the_leader_is_killed", survives_a_killed_leader),
    ]
}

fn lists() -> Result<(), Failed> {
    let quorum = Quorum::start("kcat-lists", 3);
    let (leader, _) = quorum.await_leader(0);
    for id in 1..=3 {
        let listing = quorum.wait_for("metadata that names the leader", || {
            let listing = kcat(&[&["-b", &format!("localhost:{}", quorum.port(id)), "-L"]], "").ok()?;
            listing.contains(&format!("partition 0, leader {leader}, replicas: 1,2,3")).then_some(listing)
        });
        expect(listing.contains("3 brokers"), "three brokers", &listing)?;
        expect(listing.contains("topic \"__cluster_metadata\" with 1 partitions"), "the one topic", &listing)?;
    }
    Ok(())
}

fn writes_and_reads() -> Result<(), Failed> {
    let quorum = Quorum::start("kcat-writes", 3);
    quorum.await_leader(0);
    let written = lines(0..500);
    kcat(&[&["-b", &quorum.bootstrap(), "-P"], TOPIC], &written)?;
    equal(&read_back(&quorum)?, &written)
}

fn writes_idempotently() -> Result<(), Failed> {
    let quorum = Quorum::start("kcat-idempotent", 3);
    quorum.await_leader(0);
    let written = lines(0..500);
    kcat(&[&["-b", &quorum.bootstrap(), "-P"], TOPIC, IDEMPOTENT], &written)?;
    equal(&read_back(&quorum)?, &written)
}

/// kcat is fed in two halves, and between them the leader dies. kcat ends with 0 only when all it read was acknowledged.
fn survives_a_killed_leader() -> Result<(), Failed> {
    let mut quorum = Quorum::start("kcat-killed", 3);
    let (leader, epoch) = quorum.await_leader(0);
    let mut writer = Command::new("kcat")
        .args(["-b", &quorum.bootstrap(), "-P"])
        .args(TOPIC)
        .args(IDEMPOTENT)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut input = writer.stdin.take().expect("invariant: it was piped");
    let (first, second) = (lines(0..2000), lines(2000..4000));
    let feeder = thread::Builder::new().spawn(move || -> std::io::Result<()> {
        for half in [first, second] {
            for piece in half.as_bytes().chunks(1000) {
                input.write_all(piece)?;
                thread::sleep(std::time::Duration::from_millis(20));
            }
        }
        Ok(())
    })?;
    quorum.wait_for("some records on the leader's stdout", || {
        (quorum.said(leader, "stdout").lines().count() > 100).then_some(())
    });
    quorum.kill(leader);
    feeder.join().expect("the feeder does not panic")?;
    let status = quorum.wait_for("an end of kcat", || writer.try_wait().ok().flatten());
    expect(status.success(), "every record acknowledged", &format!("{status}"))?;
    let (successor, _) = quorum.await_leader(epoch);
    expect(successor != leader, "another leader", &format!("node {successor} again"))?;
    equal(&read_back(&quorum)?, &lines(0..4000))?;
    quorum.launch(leader);
    quorum.await_listening(leader);
    equal(&read_back(&quorum)?, &lines(0..4000))
}

fn survives_a_rolling_restart() -> Result<(), Failed> {
    let mut quorum = Quorum::start("kcat-rolling", 3);
    quorum.await_leader(0);
    for id in 1..=3 {
        let number = u32::try_from(id).expect("invariant: ids are small");
        let status = quorum.terminate(id);
        expect(status.code() == Some(0), "exit 0 on SIGTERM", &format!("{status}"))?;
        let written = lines(number * 100 - 100..number * 100);
        kcat(&[&["-b", &quorum.bootstrap(), "-P"], TOPIC, IDEMPOTENT], &written)?;
        quorum.launch(id);
        quorum.await_listening(id);
    }
    equal(&read_back(&quorum)?, &lines(0..300))
}

/// Everything from the beginning to the end of the log.
fn read_back(quorum: &Quorum) -> Result<String, Failed> {
    kcat(&[&["-b", &quorum.bootstrap(), "-C", "-o", "beginning", "-e", "-q"], TOPIC], "")
}

/// Runs kcat to its end with `input`, and gives its stdout.
fn kcat(arguments: &[&[&str]], input: &str) -> Result<String, Failed> {
    // timeout(1) ends a kcat that waits for ever, which is its default.
    let mut process = Command::new("timeout")
        .args(["60", "kcat"])
        .args(arguments.concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    process.stdin.take().expect("invariant: it was piped").write_all(input.as_bytes())?;
    let output = process.wait_with_output()?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("kcat: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into()),
    }
}

fn lines(range: std::ops::Range<u32>) -> String {
    range.map(|number| format!("record {number}\n")).collect()
}

fn expect(holds: bool, expected: &str, found: &str) -> Result<(), Failed> {
    match holds {
        true => Ok(()),
        false => Err(format!("expected {expected}, found {found}").into()),
    }
}

/// Compares line by line, so that a failure names the first difference and not four thousand lines.
fn equal(found: &str, expected: &str) -> Result<(), Failed> {
    let (count, expected_count) = (found.lines().count(), expected.lines().count());
    let difference = found.lines().zip(expected.lines()).enumerate().find(|(_, (found, expected))| found != expected);
    match difference {
        Some((index, (found, expected))) => Err(format!("line {index}: expected {expected:?}, found {found:?}").into()),
        None if count != expected_count => Err(format!("expected {expected_count} records, found {count}").into()),
        None => Ok(()),
    }
}

const TOPIC: &[&str] = &["-t", "__cluster_metadata"];

const IDEMPOTENT: &[&str] = &["-X", "enable.idempotence=true"];
