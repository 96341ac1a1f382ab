//! Real nodes on loopback: processes of the built binary, and the session of the simulator on real sockets.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "real processes, files, ports and clocks")]

#[path = "support/quorum.rs"]
mod quorum;

#[path = "server/load.rs"]
mod load;

use std::process::Command;

use bytes::Bytes;
use kraftbed::client::{Ask, Config, Delivery, Told};
use kraftbed::ids::{Endpoint, Offset};
use kraftbed::prng::Prng;
use kraftbed::server::client::Client;

use quorum::Quorum;

/// An idempotent client of all nodes.
fn client(quorum: &Quorum, count: usize) -> Client {
    let bootstrap = (1..=count).map(|id| Endpoint::new("localhost", quorum.port(id))).collect();
    let mut config = Config::new(bootstrap, "tests-server", "__cluster_metadata");
    config.delivery = Delivery::ExactlyOnce;
    config.operation_timeout = std::time::Duration::from_secs(30);
    Client::new(config, Prng::new(1, 0)).expect("a poll can be made")
}

fn produce(client: &mut Client, values: &[String]) -> Offset {
    let values = values.iter().map(|value| Bytes::copy_from_slice(value.as_bytes())).collect();
    match client.ask(Ask::Produce { values }).expect("polling works") {
        Told::Produced { base } => base,
        other => panic!("expected an acknowledgement, was told {other:?}"),
    }
}

fn tail(client: &mut Client) -> Offset {
    match client.ask(Ask::Tail).expect("polling works") {
        Told::Tail { end } => end,
        other => panic!("expected the end of the log, was told {other:?}"),
    }
}

/// Every value in the log, in order.
fn read_all(client: &mut Client) -> Vec<String> {
    let end = tail(client);
    let (mut at, mut values) = (Offset::ZERO, Vec::new());
    while at < end {
        let told = client.ask(Ask::Fetch { from: at }).expect("polling works");
        let Told::Fetched { batches, .. } = told else { panic!("expected records from {at}, was told {told:?}") };
        assert!(!batches.is_empty(), "what lies below the end can be read");
        for batch in &batches {
            at = batch.end();
            if batch.is_control() {
                continue;
            }
            let records = batch.records().map(|record| record.expect("a record that parses"));
            values.extend(records.map(|record| {
                String::from_utf8(record.value.expect("values are not null").to_vec()).expect("values are text")
            }));
        }
    }
    values
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn a_single_node_serves_stops_and_serves_again() {
    let mut quorum = Quorum::start("single", 1);
    let mut speaker = client(&quorum, 1);
    produce(&mut speaker, &numbers(0..3));
    assert_eq!(read_all(&mut speaker), numbers(0..3));
    assert_eq!(quorum.terminate(1).code(), Some(0), "SIGTERM is a way to stop:\n{}", quorum.said(1, "stderr"));
    quorum.launch(1);
    produce(&mut speaker, &numbers(3..5));
    assert_eq!(read_all(&mut client(&quorum, 1)), numbers(0..5), "what was synced is there after a restart");
}

#[test]
fn a_second_process_is_kept_out_of_a_directory_in_use() {
    let quorum = Quorum::start("locked", 1);
    let port = Quorum::start("locked-port", 1).port(1);
    let overrides =
        [format!("listeners=PLAINTEXT://localhost:{port}"), format!("quorum.bootstrap.servers=localhost:{port}")];
    let mut command = Command::new(env!("CARGO_BIN_EXE_kraftbed"));
    command.arg("serve").arg(quorum.properties(1));
    for pair in &overrides {
        command.args(["--override", pair]);
    }
    let output = command.output().expect("the binary can be run");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    let last = log.lines().last().unwrap_or_default();
    assert!(last.contains("ERROR") && last.contains("another process is using this log directory"), "{log}");
}

#[test]
fn a_killed_leader_takes_nothing_acknowledged_along() {
    let mut quorum = Quorum::start("killed", 3);
    let mut speaker = client(&quorum, 3);
    let (leader, epoch) = quorum.await_leader(0);
    for number in 0..20 {
        produce(&mut speaker, &numbers(number..number + 1));
    }
    quorum.kill(leader);
    produce(&mut speaker, &numbers(20..30));
    let (successor, _) = quorum.await_leader(epoch);
    assert_ne!(successor, leader);
    quorum.launch(leader);
    produce(&mut speaker, &numbers(30..40));
    assert_eq!(read_all(&mut client(&quorum, 3)), numbers(0..40));
    let expected: Vec<String> = numbers(0..40);
    let printed = |id: usize| -> Vec<String> {
        let said = quorum.said(id, "stdout");
        said.lines().filter_map(|line| line.split(": ").nth(1)).map(str::to_string).collect()
    };
    for id in (1..=3).filter(|&id| id != leader) {
        quorum.wait_for("every committed record on stdout, once", || (printed(id) == expected).then_some(()));
    }
    quorum.wait_for("the old leader to catch up", || printed(leader).ends_with(&numbers(0..40)).then_some(()));
}

#[test]
fn a_leader_that_is_asked_to_stop_hands_over() {
    let mut quorum = Quorum::start("handover", 3);
    let mut speaker = client(&quorum, 3);
    produce(&mut speaker, &numbers(0..1));
    let (leader, epoch) = quorum.await_leader(0);
    assert_eq!(quorum.terminate(leader).code(), Some(0), "{}", quorum.said(leader, "stderr"));
    produce(&mut speaker, &numbers(1..2));
    assert!(quorum.await_leader(epoch).0 != leader);
    assert_eq!(read_all(&mut client(&quorum, 3)), numbers(0..2));
}

#[test]
fn a_disk_that_fails_stops_the_node_with_a_clear_last_line() {
    let mut quorum = Quorum::start("failing", 1);
    produce(&mut client(&quorum, 1), &numbers(0..3));
    std::fs::remove_dir_all(quorum.log_directory(1).join("__cluster_metadata-0")).expect("the directory is ours");
    // Stopping syncs files by their names, which no longer stand for anything.
    assert_eq!(quorum.terminate(1).code(), Some(1), "{}", quorum.said(1, "stderr"));
    let log = quorum.said(1, "stderr");
    let last = log.lines().last().unwrap_or_default();
    assert!(
        last.contains("ERROR") && last.contains("__cluster_metadata-0") && last.contains("the node stops"),
        "{log}"
    );
}
