//! `kraftbed check` from outside: exit codes, its one JSON object, standard input, and that it reads what other commands write.
#![expect(clippy::disallowed_methods, reason = "tests write what the program reads")]

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::program::{Answer, Desk, ROOT};

fn fixture(name: &str) -> String {
    format!("{ROOT}/tests/histories/{name}")
}

/// A history that a search with one step cannot decide.
fn hard() -> String {
    let write = |process: u32| format!("{{:process {process}, :type :invoke, :f :write, :value {}}}\n", process % 3);
    let calls: String = (0..30).map(write).collect();
    calls + "{:process 99, :type :invoke, :f :read}\n{:process 99, :type :ok, :f :read, :value 0}\n"
}

#[test]
fn the_worst_of_many_histories_is_the_exit_code() {
    let desk = Desk::new("check");
    std::fs::write(desk.folder.join("hard.edn"), hard()).expect("a folder of its own");
    std::fs::write(desk.folder.join("broken.edn"), "[{:process 0,\n  :type :maybe}]").expect("a folder of its own");
    // A log needs no search.
    let (legal, illegal) = (fixture("log.jsonl"), fixture("keyed.edn"));
    let code = |files: &[&str]| desk.call(&[&["check", "--steps", "1"], files].concat());
    assert_eq!(code(&[&legal]).code, 0);
    assert_eq!(code(&[&legal, "hard.edn"]).code, 3);
    let unreadable = code(&["hard.edn", "broken.edn", "none.edn", &legal]);
    assert_eq!(unreadable.code, 2);
    assert!(
        unreadable.stderr.contains("broken.edn:2:9: expected :invoke, :ok, :fail or :info"),
        "{}",
        unreadable.stderr
    );
    assert!(unreadable.stderr.contains("none.edn: "), "{}", unreadable.stderr);
    assert!(unreadable.stdout.contains("2 histories: 1 linearizable, 0 not linearizable, 1 undecided, 2 unreadable"));
    assert_eq!(code(&["hard.edn", "broken.edn", &illegal]).code, 1);
    assert_eq!(code(&["--memory", "12 parsecs", &legal]).code, 2);
}

#[test]
fn one_object_says_what_each_history_came_to() {
    let desk = Desk::new("check-json");
    let told = desk.json(&["check", &fixture("keyed.edn"), &fixture("packed.log.gz")], 1);
    let keys = ["file", "model", "operations", "verdict", "seconds", "cpu_seconds", "peak_rss_bytes", "core"];
    for history in told["histories"].as_array().expect("a list") {
        assert!(keys.iter().all(|key| history.get(key).is_some_and(|value| !value.is_null())), "{history:#}");
        assert!(history["peak_rss_bytes"].as_u64() > Some(1 << 20), "{history:#}");
    }
    assert_eq!(told["histories"][0]["verdict"], "not_linearizable");
    assert_eq!(told["histories"][0]["core"][1]["value"], serde_json::json!(["b", 1]));
    assert_eq!(told["histories"][1]["verdict"], "linearizable");
    assert_eq!(told["histories"][1]["core"], Value::Array(Vec::new()));
    assert_eq!((&told["total"]["linearizable"], &told["total"]["not_linearizable"]), (&1.into(), &1.into()));
}

#[test]
fn a_history_may_come_from_standard_input() {
    let desk = Desk::new("check-stdin");
    let mut command = desk.command(&["check", "-", "--model", "kv"]);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the built program starts");
    let bytes = std::fs::read(fixture("kv.txt")).expect("a fixture");
    child.stdin.take().expect("it is piped").write_all(&bytes).expect("it is read");
    let answer = Answer::of(child.wait_with_output().expect("it ends"));
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(answer.stdout.starts_with("-: linearizable (kv, 5 operations"), "{}", answer.stdout);
}

#[test]
fn what_a_run_was_told_is_a_history() {
    let desk = Desk::new("check-run");
    assert_eq!(desk.call(&["run", "standard", "--seed", "3"]).code, 0);
    let told = desk.json(&["check", "sim-results/standard/3/history.jsonl"], 0);
    assert_eq!(told["histories"][0]["format"], "jsonl");
    assert!(told["histories"][0]["operations"].as_u64() > Some(100), "{told:#}");
}
