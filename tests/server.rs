//! Real nodes on loopback: processes of the built binary, and the session of the simulator on real sockets.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "real processes, files, ports and clocks")]

#[path = "server/commands.rs"]
mod commands;
#[path = "support/quorum.rs"]
mod quorum;

#[path = "server/load.rs"]
mod load;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use kraftbed::client::{Ask, Config, Delivery, Told};
use kraftbed::ids::{Endpoint, Offset};
use kraftbed::prng::Prng;
use kraftbed::server::client::Client;

use quorum::{Quorum, Start, free_ports};

/// An idempotent client of all nodes.
fn client(quorum: &Quorum, count: usize) -> Client {
    let bootstrap = (1..=count).map(|id| Endpoint::new("localhost", quorum.port(id))).collect();
    let mut config = Config::new(bootstrap, "tests-server", "__cluster_metadata");
    config.delivery = Delivery::ExactlyOnce;
    config.operation_timeout = Duration::from_secs(30);
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

/// Nodes that are started with these arguments.
fn with_arguments(arguments: &[&str]) -> Start {
    Start { arguments: arguments.iter().map(|argument| argument.to_string()).collect(), shell: String::new() }
}

/// One with these limits of a shell.
fn under(shell: &str) -> Start {
    Start { arguments: Vec::new(), shell: shell.into() }
}

/// Status and body of a GET.
fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.into()))
}

/// The value of a metric, with its labels.
fn metric(port: u16, name: &str) -> Option<i64> {
    let (_, page) = get(port, "/metrics")?;
    let line = page.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Whether the other end closes within a while, whatever it says before.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    loop {
        match stream.read(&mut [0; 4096]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

#[test]
fn today_s_form_gives_the_directory_its_id() {
    let (id, other) = ("JEXY6aqzQY-32P5TStzaFg", "MvDxzVmcRsaTz33bUuRU6A");
    let quorum = Quorum::prepare("directory-id", 1, Start::default());
    let port = quorum.port(1);
    let serve = |id: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kraftbed"));
        command.args(["serve", "--config"]).arg(quorum.properties(1)).args(["--replica-directory-id", id]);
        command
    };
    let mut first = serve(id).stderr(Stdio::null()).spawn().expect("the binary can be run");
    quorum.wait_for("a node that listens", || TcpStream::connect(("127.0.0.1", port)).ok());
    let meta = quorum.log_directory(1).join("meta.properties");
    quorum.wait_for("its id on disk", || std::fs::read_to_string(&meta).ok().filter(|text| text.contains(id)));
    first.kill().and_then(|()| first.wait()).expect("the process is ours");
    let refused = serve(other).output().expect("the binary can be run");
    let log = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{log}");
    assert!(log.contains(&format!("the log directory has id {id}, but --replica-directory-id is {other}")), "{log}");
}

#[test]
fn localhost_is_served_on_both_families() {
    let quorum = Quorum::start("families", 1);
    assert!(TcpStream::connect(("127.0.0.1", quorum.port(1))).is_ok());
    // Where the machine has no ::1, nobody can ask for it.
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        assert!(TcpStream::connect(("::1", quorum.port(1))).is_ok());
    }
}

#[test]
fn the_log_has_levels() {
    let errors = Quorum::start_as("log-error", 1, with_arguments(&["--log-level", "error"]));
    produce(&mut client(&errors, 1), &numbers(0..1));
    assert_eq!(errors.said(1, "stderr"), "");
    let all = Quorum::start_as("log-debug", 1, with_arguments(&["--log-level", "debug"]));
    all.await_leader(0);
    let log = all.said(1, "stderr");
    assert!(log.contains("DEBUG [KafkaConfig]") && log.contains("zookeeper.connect means nothing here"), "{log}");
}

#[test]
fn a_node_tells_how_it_is() {
    let port = free_ports(1)[0];
    let quorum = Quorum::start_as("metrics", 1, with_arguments(&["--metrics", &format!("localhost:{port}")]));
    let mut speaker = client(&quorum, 1);
    produce(&mut speaker, &numbers(0..3));
    assert_eq!(get(port, "/healthz"), Some((200, "ready: node 1 leads\n".into())));
    let (status, page) = get(port, "/metrics").expect("a page");
    assert_eq!(status, 200);
    for (name, value) in [
        ("kraftbed_role{role=\"leader\"}", 1),
        ("kraftbed_role{role=\"follower\"}", 0),
        ("kraftbed_epoch", 1),
        ("kraftbed_leader_id", 1),
        ("kraftbed_commit_seconds_count", 1),
        ("kraftbed_requests_total{api=\"Produce\",error=\"0\"}", 1),
    ] {
        assert_eq!(metric(port, name), Some(value), "{name} in\n{page}");
    }
    let tail = i64::try_from(tail(&mut speaker).0).expect("a small offset");
    for name in ["kraftbed_high_watermark", "kraftbed_log_end_offset", "kraftbed_log_flushed_offset"] {
        assert_eq!(metric(port, name), Some(tail), "{name}");
    }
    assert!(metric(port, "kraftbed_fsync_seconds_count") > Some(1), "{page}");
    assert_eq!(get(port, "/").map(|(status, _)| status), Some(404));
    // Who asks nothing keeps others waiting for a second, and the node not at all.
    let _mute = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    produce(&mut speaker, &numbers(3..4));
    assert_eq!(get(port, "/healthz").map(|(status, _)| status), Some(200));
}

#[test]
fn a_leader_tells_how_far_its_followers_are_and_a_lonely_voter_is_not_ready() {
    let port = free_ports(1)[0];
    let mut quorum = Quorum::prepare("lag", 3, with_arguments(&["--metrics", &format!("localhost:{port}")]));
    quorum.launch(1);
    quorum.await_listening(1);
    let unready = quorum.wait_for("an answer", || get(port, "/healthz"));
    assert_eq!(unready, (503, "not ready: no leader is known\n".into()));
    for id in [2, 3] {
        quorum.launch_as(id, &Start::default());
    }
    produce(&mut client(&quorum, 3), &numbers(0..1));
    quorum.wait_for("a node that is ready", || get(port, "/healthz").filter(|(status, _)| *status == 200));
    let (leader, _) = quorum.await_leader(0);
    let lag = |id: usize| metric(port, &format!("kraftbed_follower_lag{{replica=\"{id}\"}}"));
    match leader {
        1 => quorum.wait_for("followers without lag", || ([lag(2), lag(3)] == [Some(0), Some(0)]).then_some(())),
        _ => assert_eq!([lag(2), lag(3)], [None, None], "only a leader knows"),
    }
}

#[test]
fn running_out_of_descriptors_ends_nothing() {
    let quorum = Quorum::start_as("descriptors", 1, under("ulimit -n 40"));
    let mut speaker = client(&quorum, 1);
    produce(&mut speaker, &numbers(0..1));
    let crowd: Vec<TcpStream> =
        (0..60).map(|_| TcpStream::connect(("127.0.0.1", quorum.port(1))).expect("the backlog has room")).collect();
    let log = || quorum.said(1, "stderr");
    quorum.wait_for("a warning", || log().contains("cannot accept a connection").then_some(()));
    produce(&mut speaker, &numbers(1..2));
    drop(crowd);
    assert_eq!(read_all(&mut client(&quorum, 1)), numbers(0..2), "who comes later is served");
    let warnings = log().lines().filter(|line| line.contains("cannot accept")).count();
    assert!(warnings < 10, "it is told now and then, not in a loop:\n{}", log());
}

#[test]
fn who_does_not_read_and_who_does_not_finish_keeps_nobody_waiting() {
    let port = free_ports(1)[0];
    let quorum = Quorum::start_as("slow-clients", 1, with_arguments(&["--metrics", &format!("localhost:{port}")]));
    let mut speaker = client(&quorum, 1);
    produce(&mut speaker, &numbers(0..1));
    let connect = || TcpStream::connect(("127.0.0.1", quorum.port(1))).expect("it listens");
    // Half a frame: the length of 100 MB, and a few bytes of them.
    let mut halves: Vec<TcpStream> = (0..20).map(|_| connect()).collect();
    for half in &mut halves {
        half.write_all(&[&100_000_000_u32.to_be_bytes()[..], &[0; 100]].concat()).expect("it is taken");
    }
    // ApiVersions v0, again and again, and nobody reads: the sockets fill, then the node stops reading.
    let question = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff].repeat(1000);
    let mut mutes: Vec<(TcpStream, usize)> = (0..4).map(|_| (connect(), 0)).collect();
    for (mute, _) in &mut mutes {
        mute.set_nonblocking(true).expect("a socket");
    }
    quorum.wait_for("a node that reads nothing more from them", || {
        for (mute, sent) in &mut mutes {
            while let Ok(count) = mute.write(&question[*sent % 14..]) {
                *sent += count;
            }
        }
        (metric(port, "kraftbed_limit_hits_total{limit=\"outgoing bytes choke\"}") >= Some(4)).then_some(())
    });
    produce(&mut speaker, &numbers(1..2));
    assert_eq!(read_all(&mut client(&quorum, 1)), numbers(0..2));
}

#[test]
fn a_connection_on_which_nothing_moves_is_closed() {
    let start = with_arguments(&["--override", "connections.max.idle.ms=1000"]);
    let quorum = Quorum::start_as("idle", 1, start);
    let mut silent = TcpStream::connect(("127.0.0.1", quorum.port(1))).expect("it listens");
    assert!(is_closed(&mut silent));
    let is_told = || quorum.said(1, "stderr").contains("[connections.max.idle.ms]").then_some(());
    quorum.wait_for("a warning that names the limit", is_told);
}

#[test]
fn a_disk_without_room_stops_the_node_with_a_clear_last_line() {
    // Preallocation reaches for 16 MiB; files may have one block.
    let mut quorum = Quorum::prepare("full", 1, under("trap '' XFSZ\nulimit -f 8"));
    quorum.launch(1);
    assert_eq!(quorum.await_end(1).code(), Some(1), "{}", quorum.said(1, "stderr"));
    let log = quorum.said(1, "stderr");
    let last = log.lines().last().unwrap_or_default();
    assert!(last.contains("ERROR") && last.contains("cannot preallocate") && last.contains("the node stops"), "{log}");
}

#[test]
fn a_contradiction_is_refused_with_both_places() {
    let quorum = Quorum::prepare("contradiction", 1, Start::default());
    let mut text = std::fs::read_to_string(quorum.properties(1)).expect("just written");
    text.push_str("node.id=7\n");
    std::fs::write(quorum.properties(1), text).expect("the file is ours");
    let mut command = Command::new(env!("CARGO_BIN_EXE_kraftbed"));
    let output = command.arg("serve").arg(quorum.properties(1)).output().expect("the binary can be run");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("line 8 and line 1: node.id is \"7\" and broker.id is \"1\""), "{log}");
}
