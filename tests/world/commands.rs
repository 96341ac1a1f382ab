//! The commands from outside: exit codes, the shape of their JSON, what they leave on disk, and how they are interrupted.
#![expect(clippy::disallowed_methods, reason = "tests read what the program wrote, and wait for it")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::program::Desk;

fn keys_of(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

fn assert_has(value: &Value, keys: &[&str]) {
    for key in keys {
        assert!(value.get(key).is_some(), "no \"{key}\" among {:?}", keys_of(value));
    }
}

#[test]
fn a_run_tells_its_verdict_and_leaves_a_scenario_that_replays() {
    let desk = Desk::new("run");
    let told = desk.json(&["run", "standard", "--seed", "11"], 0);
    assert_has(
        &told,
        &["verdict", "property", "digest", "events", "operations", "virtual_seconds", "faults", "replay", "seed"],
    );
    assert_eq!(told["verdict"], "passed");
    assert!(told["replay"].as_str().expect("text").ends_with("run scenarios/standard.json --seed 11"), "{told}");

    let folder = desk.folder.join("sim-results/standard/11");
    for name in ["verdict.json", "scenario.json", "events.jsonl", "history.jsonl", "trace.kbed", "summary.txt"] {
        assert!(folder.join(name).is_file(), "{name} is missing");
    }
    for node in 0..3 {
        assert!(folder.join(format!("nodes/{node}/meta.properties")).is_file(), "node {node}");
        assert!(folder.join(format!("nodes/{node}/__cluster_metadata-0/quorum-state")).is_file(), "node {node}");
    }
    let verdict = std::fs::read_to_string(folder.join("verdict.json")).expect("it was written");
    let verdict: Value = serde_json::from_str(&verdict).expect("JSON");
    assert_eq!(verdict["digest"], told["digest"]);

    // The file pins its seed: every draw is explicit.
    std::fs::copy(folder.join("scenario.json"), desk.folder.join("resolved.json")).expect("it was written");
    assert_eq!(desk.json(&["run", "resolved.json"], 0)["digest"], told["digest"]);
}

#[test]
fn a_violation_is_told_in_words_with_the_line_that_replays_it() {
    let desk = Desk::new("violation");
    let words = ["sweep", "standard", "--seeds", "6", "--plant", "restarts_as_leader"];
    let answer = desk.call(&words);
    assert_eq!(answer.code, 1, "{}", answer.stdout);
    let lines: Vec<&str> = answer.stdout.lines().collect();
    assert!(lines[0].starts_with("FAILED leaders_are_elected: "), "{}", lines[0]);
    assert!(lines[1].starts_with("the rule: "), "{}", lines[1]);
    assert_eq!(lines.last(), Some(&"VIOLATED"));

    let replay = lines.iter().find_map(|line| line.strip_prefix("replay: ")).expect("a line that replays");
    let again = Command::new("sh").args(["-c", replay]).current_dir(&desk.folder).output().expect("a shell");
    assert_eq!(again.status.code(), Some(1), "{replay}");
    assert!(String::from_utf8_lossy(&again.stdout).contains(lines[0]), "the replay fails as the sweep did");

    let told = desk.json(&words, 1);
    let failure = &told["failures"][0];
    assert_has(failure, &["scenario", "seed", "property", "signature", "count", "replay"]);
    assert_eq!(failure["property"], "leaders_are_elected");
    assert!(desk.folder.join(format!("sim-results/standard/{}/verdict.json", failure["seed"])).is_file());
}

#[test]
fn a_sweep_tells_what_it_did() {
    let desk = Desk::new("sweep");
    let told = desk.json(&["sweep", "light", "--seeds", "3"], 0);
    let required = [
        "runs",
        "passed",
        "failed",
        "undecided",
        "partial",
        "events",
        "messages",
        "operations",
        "virtual_seconds",
        "cpu_seconds",
        "wall_seconds",
        "peak_rss_bytes",
        "digest",
        "exercised",
        "failures",
    ];
    assert_has(&told, &required);
    assert_eq!((&told["runs"], &told["passed"], &told["partial"]), (&3.into(), &3.into(), &false.into()));
    assert!(told["exercised"]["property:committed_stays"].as_u64() > Some(0));

    desk.json(&["sweep", "light", "--seeds", "3", "--partition", "slice:2/3", "--keep", "all"], 0);
    let kept = |seed: u64| desk.folder.join(format!("sim-results/light/{seed}/scenario.json")).is_file();
    assert_eq!([kept(1), kept(2), kept(3)], [false, true, false], "what is kept is what the share ran");
}

#[test]
fn a_hunt_tells_which_plant_was_caught_by_what() {
    let told = Desk::new("hunt").json(&["hunt", "restarts_as_leader", "--standard-seeds", "2"], 0);
    let row = &told["plants"][0];
    assert_has(row, &["plant", "caught", "property", "scenario", "seeds_to_catch", "rate_in_standard"]);
    assert_eq!((&row["caught"], &row["property"]), (&true.into(), &"leaders_are_elected".into()));
}

#[test]
fn what_exists_is_listed_a_line_each() {
    let desk = Desk::new("list");
    for (what, sample) in [
        ("scenarios", "scenarios/standard.json"),
        ("faults", "lost_sectors"),
        ("properties", "committed_stays"),
        ("plants", "restarts_as_leader"),
    ] {
        let answer = desk.call(&["list", what]);
        assert_eq!(answer.code, 0);
        let line = answer.stdout.lines().find(|line| line.split(' ').next() == Some(sample));
        assert!(line.is_some_and(|line| line.len() > sample.len() + 10), "{what}: no line about {sample}");
    }
}

#[test]
fn mistakes_are_usage_errors_that_say_what_instead() {
    let desk = Desk::new("usage");
    std::fs::write(desk.folder.join("bad.json"), r#"{ "about": "x", "version": 1, "voter": 3 }"#).expect("written");
    for (words, expected) in [
        (&["run", "standart"][..], "did you mean \"standard\"?"),
        (&["run", "bad.json"], "bad.json:1:"),
        (&["run", "standard", "--seed", "many"], "is no seed"),
        (&["run", "standard", "--speed"], "--speed"),
        (&["run", "scenarios/kafka"], "`run` takes one"),
        (&["sweep", "standard", "--plant", "restart_as_leader"], "did you mean \"restarts_as_leader\"?"),
        (&["sweep", "standard", "--partition", "slice:3/2"], "is no partition"),
        (&["sweep", "standard", "--jobs", "0"], "at least one job"),
    ] {
        let answer = desk.call(words);
        assert_eq!(answer.code, 2, "{words:?}: {}{}", answer.stdout, answer.stderr);
        assert!(answer.stderr.contains(expected), "{words:?}: {}", answer.stderr);
    }
}

#[test]
fn nothing_to_run_is_no_success() {
    let desk = Desk::new("nothing");
    assert_eq!(desk.call(&["sweep", "standard", "--seeds", "0"]).code, 4);
    assert_eq!(desk.call(&["sweep", "standard", "--seeds", "1", "--partition", "slice:2/2"]).code, 4);
    assert_eq!(desk.call(&["hunt", "no_such_plant"]).code, 4);
}

/// A sweep that is large enough to say so must have met what its scenarios promise: here, a disk that is replaced.
#[test]
fn what_was_never_reached_makes_a_sweep_miss() {
    let desk = Desk::new("coverage");
    let text = r#"{ "about": "Over before a disk can be replaced.", "version": 1, "voters": 3, "duration": "10ms",
        "faults": { "wipe": "weak" }, "covers_within": 2 }"#;
    std::fs::write(desk.folder.join("short.json"), text).expect("written");
    desk.json(&["sweep", "short.json", "--seeds", "1"], 0);
    let told = desk.json(&["sweep", "short.json", "--seeds", "2"], 7);
    let missing = told["never_exercised"].as_array().expect("a list");
    assert!(missing.contains(&"fault:wipe".into()), "{missing:?}");
    assert!(!missing.contains(&"property:one_leader_per_epoch".into()), "{missing:?}");
}

#[test]
fn a_time_limit_marks_a_sweep_as_partial() {
    let told = Desk::new("limit").json(&["sweep", "standard", "--seeds", "1000000", "--time-limit", "200ms"], 0);
    assert_eq!(told["partial"], true);
}

#[test]
fn an_interrupted_sweep_keeps_what_it_found() {
    let desk = Desk::new("interrupt");
    let words = ["sweep", "standard", "--seeds", "1000000", "--plant", "restarts_as_leader", "--output", "json"];
    let mut sweep =
        desk.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    // The first line of progress says that runs were made.
    let mut progress = BufReader::new(sweep.stderr.take().expect("piped")).lines();
    assert!(progress.next().expect("a line").expect("text").contains("/1000000 seeds"));
    let kill = Command::new("kill").args(["-INT", &sweep.id().to_string()]).status().expect("kill is there");
    assert!(kill.success());
    let rest: Vec<String> = progress.map_while(Result::ok).collect();
    let output = sweep.wait_with_output().expect("it ends");

    assert_eq!(output.status.code(), Some(130), "{rest:?}");
    assert!(rest.iter().any(|line| line.contains("interrupted")), "{rest:?}");
    let told: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!((&told["partial"], &told["verdict"]), (&true.into(), &"interrupted".into()));
    assert!(told["failed"].as_u64() > Some(0) && told["failures"][0]["replay"].is_string(), "{told}");
}
