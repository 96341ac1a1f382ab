//! The commands from outside: exit codes, the shape of their JSON, what they leave on disk, and how they are interrupted.
#![expect(clippy::disallowed_methods, reason = "tests read what the program wrote, and wait for it")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::program::{Answer, Desk, ROOT};

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
fn a_result_becomes_a_page() {
    let desk = Desk::new("page");
    assert_eq!(desk.call(&["run", "restarts_as_leader"]).code, 1);
    let folder = desk.folder.join("sim-results/restarts_as_leader/1");
    let written = std::fs::read(folder.join("report.html")).expect("a failure comes with its page");
    let answer = desk.call(&["report", "sim-results/restarts_as_leader/1", "-o", "page.html"]);
    assert_eq!((answer.code, answer.stdout.as_str()), (0, "page.html\n"), "{}", answer.stderr);
    let again = std::fs::read(desk.folder.join("page.html")).expect("it was written");
    assert!(written == again, "one result, one page");
    let page = String::from_utf8(written).expect("text");
    assert!(page.contains("leads epoch 1 again, after a restart"), "the verdict can be read without a script");
    assert!(page.contains("run restarts_as_leader") || page.contains("restarts_as_leader.json --seed 1"), "a replay");

    assert_eq!(desk.call(&["run", "light"]).code, 0);
    assert!(!desk.folder.join("sim-results/light/1/report.html").exists(), "nothing failed");
    let answer = desk.call(&["report", "sim-results/light/1"]);
    assert_eq!((answer.code, answer.stdout.as_str()), (0, "sim-results/light/1/report.html\n"), "{}", answer.stderr);
}

#[test]
fn a_history_becomes_a_page() {
    let desk = Desk::new("history page");
    let files = Path::new(ROOT).join("tests/histories");
    for (name, sentence) in [
        ("stale_read.edn", "Read of 1 by client 2 at 0.00000006s, after write of 2 was acknowledged to client 1"),
        ("log_lost.jsonl", "Lost write: append of c1-0 was acknowledged at offset 1 to client 1 at 0.00000004s"),
        ("registers.hist", "One order explains all 7 operations."),
    ] {
        std::fs::copy(files.join(name), desk.folder.join(name)).expect("copied");
        let answer = desk.call(&["report", name]);
        assert_eq!((answer.code, answer.stdout), (0, format!("{name}.html\n")), "{}", answer.stderr);
        let page = std::fs::read_to_string(desk.folder.join(format!("{name}.html"))).expect("it was written");
        let says_what_is_left_out = page.contains("1 operations more are not shown");
        assert_eq!(says_what_is_left_out, name == "registers.hist", "{name}");
        assert!(
            page.contains(sentence),
            "{name}: {}",
            page.lines().find(|line| line.contains("<h1")).unwrap_or_default()
        );
    }
}

#[test]
fn what_is_no_result_is_told() {
    let desk = Desk::new("no page");
    assert_eq!(desk.call(&["run", "light"]).code, 0);
    let folder = desk.folder.join("sim-results/light/1");
    let read = |name: &str| std::fs::read(folder.join(name)).expect("it was written");
    let (verdict, trace) = (read("verdict.json"), read("trace.kbed"));
    let beheaded = [b"KBED\x63", &trace[5..]].concat();
    for (name, bytes, expected) in [
        ("verdict.json", &b"{\xff"[..], "verdict.json: invalid utf-8"),
        ("verdict.json", b"[", "verdict.json: JSON: found EOF"),
        ("verdict.json", b"{}", "verdict.json: \"verdict\": found nothing, expected a word"),
        ("trace.kbed", b"", "trace.kbed: byte 0: magic: found 0 bytes left, 4 needed"),
        ("trace.kbed", &trace[..trace.len() / 2], "trace.kbed: byte "),
        ("trace.kbed", &beheaded, "trace.kbed: byte 4: version: found 99"),
    ] {
        std::fs::write(folder.join("verdict.json"), &verdict).expect("written");
        std::fs::write(folder.join("trace.kbed"), &trace).expect("written");
        std::fs::write(folder.join(name), bytes).expect("written");
        let answer = desk.call(&["report", "sim-results/light/1"]);
        assert_eq!(answer.code, 2, "{name}: {}", answer.stderr);
        assert!(answer.stderr.starts_with("kraftbed: sim-results/light/1/"), "{}", answer.stderr);
        assert!(answer.stderr.contains(expected) && answer.stderr.lines().count() == 1, "{}", answer.stderr);
    }
    for (path, expected) in [
        ("sim-results/light/2", "found nothing, expected a folder that `run` left, or a history"),
        ("sim-results/light/1/verdict.json", "verdict.json:1:"),
        ("scenarios", "scenarios: found no verdict.json, expected a folder that `run` left, or a history"),
    ] {
        let answer = desk.call(&["report", path]);
        assert_eq!(answer.code, 2, "{path}");
        assert!(answer.stderr.contains(expected), "{}", answer.stderr);
    }
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
fn machines_are_told_of_every_run() {
    let desk = Desk::new("machines");
    let words = ["sweep", "light", "restarts_as_leader", "--seeds", "4", "--junit", "out/junit.xml"];
    let told = desk.json(&words, 1);
    let index = std::fs::read_to_string(desk.folder.join("sim-results/sweep/sweep.json")).expect("it was written");
    let index: Value = serde_json::from_str(&index).expect("JSON");
    assert_eq!(index["version"], 1);
    for key in ["digest", "verdict", "events", "messages", "operations", "partial", "exercised", "never_exercised"] {
        assert_eq!(index[key], told[key], "{key}");
    }
    let runs: Vec<(&str, u64, &str)> = index["runs"].as_array().expect("a list").iter().map(run_of).collect();
    let planted = "scenarios/planted/restarts_as_leader.json";
    let expected = [
        ("scenarios/light.json", 1, "passed"),
        ("scenarios/light.json", 2, "passed"),
        (planted, 1, "violated"),
        (planted, 2, "violated"),
    ];
    assert_eq!(runs.len(), 4);
    assert_eq!(runs[..3], expected[..3], "{index:#}");
    let failure = &index["failures"][0];
    assert_eq!((&failure["property"], &failure["seed"]), (&"leaders_are_elected".into(), &1.into()));
    assert_eq!(failure["folder"], "../restarts_as_leader/1");
    assert!(failure["causes"].as_str().expect("text").contains("VIOLATED leaders_are_elected"), "{failure:#}");

    let junit = std::fs::read_to_string(desk.folder.join("out/junit.xml")).expect("it was written");
    assert_eq!(junit.matches("<testcase ").count(), 4, "{junit}");
    assert_eq!(junit.matches("<testsuite ").count(), 2, "{junit}");
    let failed = runs.iter().filter(|(_, _, verdict)| *verdict == "violated").count();
    assert_eq!(junit.matches("<failure type=\"leaders_are_elected\" message=\"").count(), failed, "{junit}");
    assert!(junit.contains(failure["replay"].as_str().expect("text")), "{junit}");
    assert!(junit.contains(&format!("<property name=\"digest\" value={}/>", index["runs"][2]["digest"])), "{junit}");

    // A run by itself says of that seed what the sweep said.
    assert_eq!(desk.call(&["run", "restarts_as_leader", "--junit", "one.xml"]).code, 1);
    let one = std::fs::read_to_string(desk.folder.join("one.xml")).expect("it was written");
    let of = |document: &str| {
        document.split("<failure").nth(1).map(|rest| rest.split("</failure>").next().map(str::to_owned))
    };
    assert_eq!(of(&one), of(&junit));
}

fn run_of(run: &Value) -> (&str, u64, &str) {
    let text = |key: &str| run[key].as_str().expect("text");
    (text("scenario"), run["seed"].as_u64().expect("a number"), text("verdict"))
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
    std::fs::write(desk.folder.join("noise.json"), b"{\xff\xfe").expect("written");
    for (words, expected) in [
        (&["run", "standart"][..], "did you mean \"standard\"?"),
        (&["run", "bad.json"], "bad.json:1:"),
        (&["run", "standard", "--seed", "many"], "is no seed"),
        (&["run", "standard", "--speed"], "--speed"),
        (&["run", "scenarios/kafka"], "`run` takes one"),
        (&["sweep", "standard", "--plant", "restart_as_leader"], "did you mean \"restarts_as_leader\"?"),
        (&["sweep", "standard", "--partition", "slice:3/2"], "is no partition"),
        (&["sweep", "standard", "--jobs", "0"], "at least one job"),
        (&["sweep", "standard", "--jobs", "99999999"], "expected 1 to 1024"),
        (&["sweep", "standard", "--seeds", "-1"], "is no number of seeds"),
        (&["sweep", "standard", "--time-limit", "-5s"], "is no time limit"),
        (&["sweep", "standard", "--check-determinism", "99999999999999999"], "is no ratio"),
        (&["run", "standard", "-1"], "is no seed"),
        (&["run", "standard", "0x10000000000000000"], "is no seed"),
        (&["run", "standard", "--until", "99999999999999999s"], "is no virtual time"),
        (&["run", "noise.json"], "noise.json: found byte 0xff at 1, expected JSON"),
        (&["hunt", "--jobs", "0"], "at least one job"),
        (&["hunt", "canari"], "did you mean \"canary\"?"),
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
    std::fs::create_dir(desk.folder.join("bare")).expect("written");
    let answer = desk.call(&["sweep", "bare"]);
    assert_eq!(answer.code, 4);
    assert!(answer.stderr.contains("no scenario is in bare"), "{}", answer.stderr);
}

#[test]
fn a_run_that_is_not_over_is_no_success() {
    let desk = Desk::new("undecided");
    let answer = desk.call(&["run", "light", "--events-max", "500"]);
    assert_eq!(answer.code, 3, "{}", answer.stdout);
    assert!(answer.stdout.contains("UNDECIDED after 500 events it is not over"), "{}", answer.stdout);

    let told = desk.json(&["sweep", "light", "--seeds", "3", "--events-max", "500"], 3);
    assert_eq!((&told["passed"], &told["undecided"]), (&0.into(), &3.into()));
    assert_eq!(told["first_undecided"]["seed"], 1);
    let answer = desk.call(&["sweep", "light", "--seeds", "3", "--events-max", "500"]);
    assert!(answer.stdout.starts_with("UNDECIDED scenarios/light.json seed 1: after 500 events"), "{}", answer.stdout);
    assert!(answer.stdout.ends_with("UNDECIDED\n"), "{}", answer.stdout);

    // What was found before is found.
    let words = ["run", "standard", "--seed", "1", "--plant", "commits_older_epoch"];
    let events = desk.json(&words, 1)["events"].as_u64().expect("a number").to_string();
    desk.json(&[&words[..], &["--events-max", &events]].concat(), 1);
}

#[test]
fn another_digest_than_expected_is_nondeterminism() {
    let desk = Desk::new("digest");
    let told = desk.json(&["run", "light", "--seed", "2"], 0);
    let digest = told["digest"].as_str().expect("a digest");
    assert_eq!(desk.call(&["run", "light", "--seed", "2", "--expect-digest", digest]).code, 0);
    let answer = desk.call(&["run", "light", "--seed", "3", "--expect-digest", digest]);
    assert_eq!(answer.code, 6, "{}", answer.stderr);
    assert!(answer.stderr.contains(&format!("where {digest} is expected")), "{}", answer.stderr);
    assert_eq!(desk.call(&["run", "light", "--expect-digest", "17"]).code, 2);
}

#[test]
fn what_nobody_reads_is_no_panic() {
    let desk = Desk::new("unread");
    for words in [&["list", "plants"][..], &["run", "light"], &["run", "light", "--output", "json"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a full disk");
        let answer = Answer::of(desk.command(words).stdout(full).output().expect("it starts"));
        assert_eq!(answer.code, 2, "{words:?}: {}", answer.stderr);
        assert!(answer.stderr.starts_with("kraftbed: cannot write to standard output: "), "{}", answer.stderr);

        // Nobody reads: the command comes to the end that it would have come to.
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let answer = Answer::of(desk.command(words).stdout(writer).output().expect("it starts"));
        assert_eq!((answer.code, answer.stderr.as_str()), (0, ""), "{words:?}");
    }
}

#[test]
fn a_failure_is_told_even_where_its_folder_cannot_be_written() {
    let desk = Desk::new("unwritable");
    std::fs::write(desk.folder.join("sim-results"), "in the way").expect("written");
    for (words, code) in [
        (&["sweep", "standard", "--seeds", "6", "--plant", "restarts_as_leader"][..], 1),
        (&["sweep", "light", "--seeds", "1", "--keep"], 2),
        (&["run", "light"], 2),
    ] {
        let answer = desk.call(words);
        assert_eq!(answer.code, code, "{words:?}: {}", answer.stderr);
        assert!(answer.stderr.starts_with("kraftbed: cannot write sim-results/"), "{}", answer.stderr);
        assert!(!answer.stdout.is_empty() && !answer.stdout.contains("files: "), "{}", answer.stdout);
    }
}

#[test]
fn the_replay_line_of_a_pinned_seed_can_be_pasted() {
    let desk = Desk::new("pinned seed's");
    let failed = desk.json(&["sweep", "restarts_as_leader", "--seeds", "8"], 1)["failures"][0]["seed"].clone();
    std::fs::create_dir(desk.folder.join("my files")).expect("written");
    let kept = desk.folder.join(format!("sim-results/restarts_as_leader/{failed}/scenario.json"));
    std::fs::copy(kept, desk.folder.join("my files/resolved.json")).expect("it was written");
    let told = desk.json(&["run", "my files/resolved.json"], 1);
    let replay = told["replay"].as_str().expect("text");
    assert!(replay.ends_with("run 'my files/resolved.json'"), "{replay}");
    let again = Command::new("sh").args(["-c", replay]).current_dir(&desk.folder).output().expect("a shell");
    assert_eq!(again.status.code(), Some(1), "{replay}");

    // Stopped before it goes wrong.
    let at = told["at_seconds"].as_f64().expect("a number");
    let words = ["run", "my files/resolved.json", "--until", &format!("{:.3}s", at - 0.01)];
    let stopped = desk.json(&words, 0);
    assert_eq!((&stopped["verdict"], &stopped["stopped_early"]), (&"passed".into(), &true.into()));
    // And the whole result is still there, beside this one.
    for (folder, verdict) in [(failed.to_string(), "violated"), (format!("{failed}-until"), "passed")] {
        let folder = format!("sim-results/resolved/{folder}");
        let text = std::fs::read_to_string(desk.folder.join(&folder).join("verdict.json")).expect("it was written");
        let told: serde_json::Value = serde_json::from_str(&text).expect("one object");
        assert_eq!(told["verdict"], verdict, "{folder}");
        assert_eq!(desk.call(&["report", &folder]).code, 0, "{folder}");
    }
}

#[test]
fn shares_of_a_sweep_add_up_whatever_the_jobs() {
    let desk = Desk::new("shares");
    let swept = |words: &[&str]| {
        let told = desk.json(&[&["sweep", "light", "single_voter", "--seeds", "10"], words].concat(), 0);
        let digest = told["digest"].as_str().and_then(|digest| digest.strip_prefix("0x")).expect("a digest").to_owned();
        (told["runs"].as_u64().expect("a number"), u64::from_str_radix(&digest, 16).expect("hexadecimal"))
    };
    let whole = swept(&["--jobs", "3"]);
    let shares = ["slice:1/3", "slice:2/3", "slice:3/3"].map(|share| swept(&["--partition", share, "--jobs", "1"]));
    let sum = shares.iter().fold((0, 0_u64), |sum, share| (sum.0 + share.0, sum.1.wrapping_add(share.1)));
    assert_eq!(sum, whole);
}

#[test]
fn a_sweep_that_misses_its_bug_says_where_it_is_caught() {
    let desk = Desk::new("missed");
    let told = desk.call(&["sweep", "light", "--seeds", "1", "--plant", "cas_judged_early"]);
    assert_eq!(told.code, 0, "{}", told.stdout);
    let hint = "nothing failed; scenarios/planted/cas_judged_early.json is made for cas_judged_early\n";
    assert!(told.stdout.contains(hint), "{}", told.stdout);
    let told = desk.call(&["sweep", "light", "--seeds", "1"]);
    assert!(!told.stdout.contains("nothing failed"), "{}", told.stdout);
}

#[test]
fn a_sweep_may_be_longer_than_anybody_waits() {
    let words = ["sweep", "light", "--seeds", "18446744073709551615", "--time-limit", "200ms"];
    let told = Desk::new("endless").json(&words, 0);
    assert_eq!(told["partial"], true);
}

#[test]
fn the_environment_sets_what_no_flag_does() {
    let desk = Desk::new("environment");
    let told = |words: &[&str]| {
        let mut command = desk.command(words);
        command.env("KRAFTBED_SEED", "0x7").env("MADSIM_TEST_NUM", "3").env("KRAFTBED_SEEDS", "2");
        Answer::of(command.output().expect("it starts"))
    };
    let run = |words: &[&str]| -> Value { serde_json::from_str(&told(words).stdout).expect("JSON") };
    assert_eq!(run(&["run", "light", "--output", "json"])["seed"], 7);
    assert_eq!(run(&["run", "light", "8", "--output", "json"])["seed"], 8);
    assert_eq!(run(&["sweep", "light", "--output", "json"])["runs"], 2);
    let wrong = Answer::of(desk.command(&["run", "light"]).env("KRAFTBED_SEED", "x").output().expect("it starts"));
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("KRAFTBED_SEED: \"x\" is no seed"), "{}", wrong.stderr);
}

#[test]
fn an_interrupted_hunt_keeps_what_it_found() {
    let desk = Desk::new("interrupted hunt");
    let words = ["hunt", "canary", "vote_answered_before_sync", "--standard-seeds", "1000000"];
    let mut hunt = desk.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut told = BufReader::new(hunt.stdout.take().expect("piped")).lines();
    assert!(told.next().expect("a line").expect("text").starts_with("plant "));
    let kill = Command::new("kill").args(["-TERM", &hunt.id().to_string()]).status().expect("kill is there");
    assert!(kill.success());
    let rest: Vec<String> = told.map_while(Result::ok).collect();
    assert_eq!(hunt.wait().expect("it ends").code(), Some(143), "{rest:?}");
    assert!(rest.last().expect("a summary").ends_with("; cut short"), "{rest:?}");
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
