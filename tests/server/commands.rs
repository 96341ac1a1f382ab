//! Commands that work with real nodes: `storage`, `quorum`.

use std::process::Command;

use crate::quorum::Quorum;

/// Runs the program, and what it printed with how it ended.
fn run(arguments: &[&str]) -> (String, String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_kraftbed")).args(arguments).output().expect("the binary can be run");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is text");
    (text(output.stdout), text(output.stderr), output.status.code())
}

#[test]
fn storage_formats_a_directory_that_a_node_then_starts_on() {
    let mut quorum = Quorum::start("storage", 1);
    quorum.await_leader(0);
    assert!(quorum.terminate(1).success());
    std::fs::remove_dir_all(quorum.log_directory(1)).expect("the data of this test");
    let (file, data) = (quorum.properties(1), quorum.log_directory(1));
    let (file, data) = (file.to_str().expect("text"), data.to_str().expect("text"));
    let cluster = "4L6g3nShT-eMCtK--X86sw";
    let format = ["storage", "format", "-t", cluster, "-c", file];

    let (out, _, code) = run(&["storage", "info", "-c", file]);
    assert_eq!((out, code), (format!("Found problem:\n  {data} does not exist\n\n"), Some(1)));
    let (out, _, code) = run(&format);
    assert_eq!((out, code), (format!("Formatting metadata directory {data} with kraft.version 0.\n"), Some(0)));
    let (out, _, code) = run(&["storage", "info", "-c", file]);
    assert!(out.starts_with(&format!("Found log directory:\n  {data}\n\nFound metadata: {{cluster.id={cluster}, ")));
    assert!(out.ends_with(", node.id=1, version=1}\n\n"), "{out}");
    assert_eq!(code, Some(0));
    let (_, error, code) = run(&format);
    assert!(error.contains("is already formatted. Use --ignore-formatted"), "{error}");
    assert_eq!(code, Some(1));
    let (out, _, code) = run(&[&format[..], &["--ignore-formatted"]].concat());
    assert_eq!((&*out, code), ("All of the log directories are already formatted.\n", Some(0)));
    let (_, error, code) = run(&["storage", "format", "-g", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", file]);
    assert!(error.contains("Expected AAAAAAAAAAAAAAAAAAAAAQ, but read 4L6g3nShT-eMCtK--X86sw"), "{error}");
    assert_eq!(code, Some(1));

    // No cluster.id in the properties: the directory says it.
    quorum.launch(1);
    let bootstrap = quorum.bootstrap();
    let (out, error, code) = run(&["quorum", "--bootstrap-server", &bootstrap, "describe", "--status"]);
    assert_eq!((error.as_str(), code), ("", Some(0)));
    assert!(out.starts_with(&format!("ClusterId:              {cluster}\nLeaderId:               1\n")), "{out}");
}

#[test]
fn one_command_starts_a_quorum_and_stops_it() {
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("quorum-start");
    let _ = std::fs::remove_dir_all(&directory);
    // A span of ports below those that the system gives out by itself; taken ones make nodes die, and the next is tried.
    let mut told = String::new();
    for base in (21_000..31_000).step_by(1_117) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kraftbed"));
        command.args(["quorum", "start", "--base-port", &base.to_string(), "--dir"]).arg(&directory);
        let mut process = command.stdout(std::process::Stdio::piped()).spawn().expect("the binary can be run");
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(process.stdout.take().expect("piped")));
        let last = lines.by_ref().map(|line| line.expect("text")).find(|line| {
            told += &format!("{line}\n");
            line.starts_with("bootstrap.servers=") || line.contains(" died, ")
        });
        let is_up = last.is_some_and(|line| line.starts_with("bootstrap.servers="));
        Command::new("kill").arg(process.id().to_string()).status().expect("kill(1) exists");
        let stopped = lines.map(|line| line.expect("text")).filter(|line| line.ends_with(" stopped, exit status: 0"));
        let (stopped, status) = (stopped.count(), process.wait().expect("the process is ours"));
        if is_up {
            assert_eq!((stopped, status.code()), (3, Some(0)), "{told}");
            return;
        }
    }
    panic!("no quorum came up:\n{told}");
}

#[test]
fn torture_hurts_a_quorum_and_finds_it_whole() {
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("torture");
    let mut told = String::new();
    for base in (31_000..32_000).step_by(97) {
        let _ = std::fs::remove_dir_all(&directory);
        let (base, place) = (base.to_string(), directory.to_str().expect("text"));
        let mut arguments = vec!["torture", "--rounds", "4", "--base-port", &base, "--dir", place, "--output", "json"];
        for fault in ["kill_leader", "wipe_follower", "cut_connections", "strangers"] {
            arguments.extend(["--fault", fault]);
        }
        for tuned in
            ["quorum.fetch.timeout.ms=400", "quorum.election.timeout.ms=200", "quorum.election.backoff.max.ms=100"]
        {
            arguments.extend(["--override", tuned]);
        }
        let (out, error, code) = run(&arguments);
        told += &format!("{out}\n{error}\n");
        // Somebody else has these ports: the next ones are tried.
        if out.contains("cannot listen") {
            continue;
        }
        let result: serde_json::Value = serde_json::from_str(&out).expect("one JSON object");
        assert_eq!((&result["verdict"], code), (&"passed".into(), Some(0)), "{told}");
        assert_eq!((&result["rounds"], &result["passed"], &result["failed"]), (&4.into(), &4.into(), &0.into()));
        assert!(result["records_acked"].as_u64().is_some_and(|acked| acked > 0), "{told}");
        assert!(
            directory.join("torture.json").exists() && !directory.join("node-1").exists(),
            "data of clean runs goes"
        );
        return;
    }
    panic!("no quorum came up:\n{told}");
}

#[test]
fn bench_measures_a_quorum_beside_its_floor() {
    let mut told = String::new();
    for base in (32_100..32_700).step_by(97) {
        let base = base.to_string();
        let load = ["--nodes", "3", "--record-bytes", "100", "--in-flight", "1,64/2", "--time", "300ms", "--check"];
        let bounds = ["--threshold", "p50<1us", "--threshold", "records_per_second>1"];
        let (out, error, code) =
            run(&[&["bench", "--base-port", &base, "--output", "json"][..], &load, &bounds].concat());
        told += &format!("{out}\n{error}\n");
        if error.contains("cannot listen") || error.contains("cannot serve metrics") {
            continue;
        }
        let result: serde_json::Value = serde_json::from_str(&out).expect("one JSON object");
        for part in ["rows", "floor"] {
            let rows = result[part].as_array().expect("rows");
            assert_eq!(rows.len(), 2, "{told}");
            assert!(rows.iter().all(|row| row["records_per_second"].as_f64() > Some(0.0)), "{told}");
            assert!(rows.iter().all(|row| row["p50_us"].as_u64() <= row["p99_us"].as_u64()), "{told}");
        }
        let rows = result["rows"].as_array().expect("rows");
        assert!(rows.iter().all(|row| row["check"]["verdict"] == "linearizable"), "{told}");
        let is_whole = |row: &serde_json::Value| row["check"]["operations"].as_u64() > row["records"].as_u64();
        assert!(rows.iter().all(is_whole), "tail and reads besides: {told}");
        assert!(result["rows"][0]["syncs"].as_u64() > Some(0), "every commit is synced: {told}");
        assert!(result["limits"]["fdatasync_p50_us"].as_u64() > Some(0), "{told}");
        // No quorum commits within a microsecond: that bound is missed, the other is kept.
        assert!(error.contains("✗ p50<1us") && error.contains("✓ records_per_second>1"), "{told}");
        assert_eq!(code, Some(7), "{told}");
        return;
    }
    panic!("no quorum came up:\n{told}");
}
