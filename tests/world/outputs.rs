//! What runs leave for machines and for other tools: the index of a sweep, shards joined into one, exports.
#![expect(clippy::disallowed_methods, reason = "tests read what the program wrote")]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::program::Desk;

fn json(desk: &Desk, path: &str) -> Value {
    serde_json::from_str(&text(desk, path)).expect("JSON")
}

fn text(desk: &Desk, path: &str) -> String {
    std::fs::read_to_string(desk.folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn put(desk: &Desk, path: &str, text: &str) {
    let path = desk.folder.join(path);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
    std::fs::write(path, text).expect("it can be written");
}

/// An index without what depends on who ran what, and how fast.
fn comparable(mut index: Value) -> Value {
    index.as_object_mut().expect("an object").remove("shards");
    for run in index["runs"].as_array_mut().expect("a list") {
        run.as_object_mut().expect("an object").remove("wall_ms");
    }
    index
}

const MIXED: [&str; 5] = ["sweep", "light", "restarts_as_leader", "--seeds", "8"];

fn sweep(desk: &Desk, more: &[&str]) {
    let answer = desk.call(&[&MIXED, more].concat());
    assert!([0, 1].contains(&answer.code), "{}", answer.stderr);
}

#[test]
fn shards_joined_are_the_whole_sweep() {
    let desk = Desk::new("merge");
    sweep(&desk, &["--index", "whole", "--jobs", "2"]);
    for share in ["1", "2", "3"] {
        sweep(&desk, &["--index", &format!("shard{share}/sweep"), "--partition", &format!("slice:{share}/3")]);
    }
    let answer = desk.call(&["merge", "shard3", "shard1", "shard2/sweep", "-o", "joined", "--junit", "junit.xml"]);
    assert_eq!(
        (answer.code, answer.stdout.lines().last()),
        (1, Some("VIOLATED")),
        "{}{}",
        answer.stdout,
        answer.stderr
    );
    let (whole, joined) = (json(&desk, "whole/sweep.json"), json(&desk, "joined/sweep.json"));
    assert!(whole["digest"].as_str().is_some_and(|digest| answer.stdout.contains(digest)), "{}", answer.stdout);
    assert_eq!(joined["shards"].as_array().map(Vec::len), Some(3));
    assert_eq!(comparable(joined), comparable(whole));
    assert_eq!(text(&desk, "junit.xml").matches("<testcase ").count(), 8);

    let answer = desk.call(&["merge", "shard1", "shard3", "-o", "two"]);
    assert!(answer.stdout.contains("missing: slice:2/3"), "{}", answer.stdout);
    assert_eq!(json(&desk, "two/sweep.json")["partial"], true);
}

#[test]
fn what_is_no_shard_of_one_sweep_is_refused() {
    let desk = Desk::new("refusals");
    sweep(&desk, &["--index", "one"]);
    sweep(&desk, &["--index", "planted", "--seed-base", "100", "--plant", "restarts_as_leader"]);
    for (seed, duration) in [("1", "2s"), ("2", "3s")] {
        let calm = format!(
            "{{ \"about\": \"Nothing happens.\", \"version\": 1, \"voters\": 3, \"duration\": \"{duration}\" }}"
        );
        put(&desk, "own.json", &calm);
        let words = ["sweep", "own.json", "--seeds", "1", "--seed-base", seed, "--index", &format!("own{seed}")];
        assert_eq!(desk.call(&words).code, 0);
    }
    let one = text(&desk, "one/sweep.json");
    let program = json(&desk, "one/sweep.json")["program"].as_str().expect("a digest").to_owned();
    put(&desk, "built/sweep.json", &one.replace(&program, "0x0123456789abcdef"));
    put(&desk, "older/sweep.json", &one.replacen("\"kraftbed\": \"", "\"kraftbed\": \"0.", 1));
    put(&desk, "changed/sweep.json", &one.replacen("\"seed\":1,\"verdict\"", "\"seed\":9,\"verdict\"", 1));
    put(&desk, "newer/sweep.json", &one.replacen("\"version\": 1", "\"version\": 2", 1));
    put(&desk, "short/sweep.json", &one[..one.len() / 2]);
    put(&desk, "bare/sweep.json", "{\"version\": 1}");
    let refusals = [
        (["one", "one"], "one and one overlap: both ran scenarios/light.json with seed 1"),
        (["one", "planted"], "the plants is none there and restarts_as_leader here"),
        (["one", "built"], "the program's digest is"),
        (["one", "older"], "the version of kraftbed is"),
        (["one", "changed"], "changed/sweep.json says digest"),
        (["one", "newer"], "newer/sweep.json has schema version 2; this program reads version 1"),
        (["one", "short"], "short/sweep.json is no JSON"),
        (["one", "bare"], "bare/sweep.json \"scenarios\": found nothing, expected a list"),
        (["one", "nowhere"], "nowhere: found no sweep.json, there or in sweep/"),
        (["own1", "own2"], "own.json has hash"),
    ];
    for (words, expected) in refusals {
        let answer = desk.call(&["merge", words[0], words[1], "-o", "out"]);
        assert_eq!(answer.code, 2, "{words:?}: {}", answer.stdout);
        assert!(answer.stderr.contains(expected), "{words:?}: {}", answer.stderr);
        assert_eq!(answer.stderr.lines().count(), 1, "{}", answer.stderr);
        assert!(!desk.folder.join("out").exists(), "{words:?}: nothing is written");
    }
}

#[test]
fn the_index_can_be_read_by_people() {
    let desk = Desk::new("index");
    sweep(&desk, &[]);
    let (page, index) = (text(&desk, "sim-results/sweep/index.html"), json(&desk, "sim-results/sweep/sweep.json"));
    let (_, policy) = page.split_once("Content-Security-Policy\" content=\"").expect("a policy");
    let policy = policy.split('"').next().expect("an end");
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    for loaded in ["src=", "http://", "https://", "url(", "@import", " style=", " onclick"] {
        assert!(!page.contains(loaded), "{loaded}");
    }
    let heat = page.split("<table id=\"heat\"").nth(1).and_then(|rest| rest.split("</table>").next()).expect("a map");
    assert_eq!(heat.matches("<td class=").count(), 8, "a cell a run");
    let failed = index["failed"].as_u64().expect("a number") as usize;
    assert!(failed > 0);
    assert_eq!(heat.matches(">✗</td>").count(), failed, "a sign, not a colour alone");
    assert!(page.contains("<article id=\"way0\""), "a way to fail");
    assert!(page.contains("<a href=\"./../restarts_as_leader/1/report.html\">"), "its smallest seed");
    assert!(page.contains("title=\"power was given: in "), "faults that were given");
    assert!(page.contains("<td>became</td>"), "marks of the protocol");
}

/// What a format makes of a run.
fn exported(desk: &Desk, run: &str, format: &str) -> String {
    let answer = desk.call(&["export", run, "--to", format, "-o", "out"]);
    assert_eq!((answer.code, answer.stdout.as_str()), (0, "out\n"), "{}", answer.stderr);
    text(desk, "out")
}

fn run(desk: &Desk, scenario: &str) -> String {
    let answer = desk.call(&["run", scenario]);
    assert!([0, 1].contains(&answer.code), "{}", answer.stderr);
    format!("sim-results/{scenario}/1")
}

#[test]
fn perfetto_gets_spans_that_end_and_slices_that_nest() {
    let desk = Desk::new("perfetto");
    let folder = run(&desk, "restarts_as_leader");
    let trace: Value = serde_json::from_str(&exported(&desk, &folder, "perfetto")).expect("JSON");
    let events = trace["traceEvents"].as_array().expect("a list");
    let number = |event: &Value, key: &str| event[key].as_f64().expect("a number");
    let mut open: BTreeSet<(String, u64)> = BTreeSet::new();
    let mut flows = BTreeMap::new();
    let mut slices: BTreeMap<(u64, u64), Vec<(u64, u64)>> = BTreeMap::new();
    let mut phases = BTreeSet::new();
    for event in events {
        let phase = event["ph"].as_str().expect("a phase");
        phases.insert(phase);
        let id = || (event["cat"].as_str().expect("a category").to_owned(), event["id"].as_u64().expect("an id"));
        match phase {
            "b" => assert!(open.insert(id()), "{event}: begins twice"),
            "e" => assert!(open.remove(&id()), "{event}: ends what has not begun"),
            "s" => assert!(flows.insert(id().1, number(event, "ts")).is_none(), "{event}"),
            "f" => assert!(flows[&id().1] <= number(event, "ts"), "{event}: arrives before it leaves"),
            "X" => {
                let track = (event["pid"].as_u64().expect("a process"), event["tid"].as_u64().expect("a track"));
                let nanoseconds = |key: &str| (number(event, key) * 1000.0).round() as u64;
                let (from, span) = (nanoseconds("ts"), nanoseconds("dur"));
                slices.entry(track).or_default().push((from, from + span));
            }
            _ => assert!(["M", "i", "C"].contains(&phase), "{event}"),
        }
    }
    assert!(open.is_empty(), "{open:?} never end");
    assert_eq!(phases, BTreeSet::from(["M", "X", "b", "e", "s", "f", "i", "C"]));
    for (track, mut slices) in slices {
        slices.sort_by_key(|&(from, to)| (from, std::cmp::Reverse(to)));
        let mut around: Vec<u64> = Vec::new();
        for (from, to) in slices {
            while around.last().is_some_and(|&end| end <= from) {
                around.pop();
            }
            assert!(around.last().is_none_or(|&end| to <= end), "track {track:?}: {from}..{to} crosses another");
            around.push(to);
        }
    }
}

#[test]
fn shivizs_default_parser_takes_the_log_and_clocks_only_grow() {
    let desk = Desk::new("shiviz");
    for scenario in ["restarts_as_leader", "standard"] {
        let folder = run(&desk, scenario);
        let log = exported(&desk, &folder, "shiviz");
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(lines.len() % 2, 0);
        let mut clocks: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for pair in lines.chunks(2) {
            // (?<event>.*)\n(?<host>\S*) (?<clock>{.*})
            let (host, clock) = pair[1].split_once(' ').expect("a host and a clock");
            let clock: BTreeMap<String, u64> = serde_json::from_str(clock).expect("a clock is JSON");
            let before = clocks.entry(host.to_owned()).or_default();
            assert_eq!(clock[host], before.get(host).copied().unwrap_or_default() + 1, "{pair:?}");
            assert!(before.iter().all(|(other, count)| clock[other] >= *count), "{pair:?}");
            let known: Vec<_> =
                clock.iter().filter(|(other, _)| *other != host).map(|(o, c)| (o.clone(), *c)).collect();
            *before = clock;
            for (other, count) in known {
                assert!(clocks[&other][&other] >= count, "{pair:?}: knows of what has not happened");
            }
        }
        let is_cut = lines.len() == 2 * 2_001;
        assert_eq!(lines[0].contains("earlier events are left out"), is_cut, "{} lines", lines.len());
        assert!(scenario != "standard" || is_cut, "{} lines", lines.len());
    }
}

/// A scenario with clients that put, get and compare values by key.
const KEYS: &str = "key_values";

#[test]
fn jepsens_processes_do_one_thing_at_a_time_and_die_of_not_knowing() {
    let desk = Desk::new("jepsen");
    for scenario in ["restarts_as_leader", "standard", KEYS] {
        let folder = run(&desk, scenario);
        let history = exported(&desk, &folder, "jepsen");
        let mut busy: BTreeMap<String, String> = BTreeMap::new();
        let mut gone: BTreeSet<String> = BTreeSet::new();
        let mut before = 0;
        for (index, line) in history.lines().enumerate() {
            let field = |key: &str| {
                let rest = line.split_once(&format!("{key} ")).unwrap_or_else(|| panic!("no {key} in {line}")).1;
                rest.split([',', '}']).next().unwrap_or_default().to_owned()
            };
            assert!(line.starts_with(&format!("{{:index {index}, :time ")) && line.ends_with('}'), "{line}");
            assert!(line.contains(":value "), "{line}");
            let time: u64 = field(":time").parse().expect("nanoseconds");
            assert!(time >= before, "{line}");
            before = time;
            let (process, kind, f) = (field(":process"), field(":type"), field(":f"));
            match kind.as_str() {
                _ if process == ":nemesis" => assert_eq!(kind, ":info"),
                ":invoke" => {
                    assert!(!gone.contains(&process), "{line}: acts again");
                    assert!(busy.insert(process, f).is_none(), "{line}: asks twice");
                }
                ":ok" | ":fail" | ":info" => {
                    assert_eq!(busy.remove(&process), Some(f), "{line}: answers what was not asked");
                    if kind == ":info" {
                        gone.insert(process);
                    }
                }
                _ => panic!("{line}"),
            }
        }
        assert!(history.contains(":type :ok"), "{scenario}");
    }
}

#[test]
fn an_exported_history_of_keys_is_judged_as_the_run_was() {
    let desk = Desk::new("round trip");
    for (scenario, code) in [(KEYS, 0), ("failed_cas_sets", 1)] {
        assert_eq!(desk.call(&["run", scenario]).code, code);
        exported(&desk, &format!("sim-results/{scenario}/1"), "jepsen");
        let answer = desk.call(&["check", "out", "--format", "edn", "--nil-read", "observes"]);
        assert_eq!(answer.code, code, "{}{}", answer.stdout, answer.stderr);
    }
}

#[test]
fn porcupines_calls_return_once() {
    let desk = Desk::new("porcupine");
    for scenario in ["restarts_as_leader", "standard", KEYS] {
        let folder = run(&desk, scenario);
        let history: Value = serde_json::from_str(&exported(&desk, &folder, "porcupine")).expect("JSON");
        let mut called: BTreeMap<u64, u64> = BTreeMap::new();
        let mut busy = BTreeSet::new();
        let (mut returned, mut before) = (BTreeSet::new(), 0);
        for event in history["events"].as_array().expect("a list") {
            let number = |key: &str| event[key].as_u64().unwrap_or_else(|| panic!("{key} of {event}"));
            let (id, client, time) = (number("id"), number("client"), number("time"));
            assert!(time >= before, "{event}");
            before = time;
            match event["kind"].as_str() {
                Some("call") => {
                    assert!(called.insert(id, client).is_none() && busy.insert(client), "{event}");
                    assert!(event["value"]["f"].is_string(), "{event}");
                }
                Some("return") => {
                    assert!(called.get(&id) == Some(&client) && returned.insert(id), "{event}");
                    busy.remove(&client);
                    assert!(event["value"]["ok"].is_object() || event["value"]["open"] == true, "{event}");
                }
                _ => panic!("{event}"),
            }
        }
        assert_eq!(called.len(), returned.len());
        assert!(!called.is_empty());
        let notes = history["annotations"].as_array().expect("a list");
        assert!(
            notes.iter().any(|note| note["description"].as_str().is_some_and(|what| what.starts_with("leader of")))
        );
        assert!(notes.iter().all(|note| note["start"].as_u64() <= note["end"].as_u64()));
    }
}

#[test]
fn what_is_no_result_is_not_exported() {
    let desk = Desk::new("no export");
    for (words, expected) in [
        (["export", "scenarios", "--to", "jepsen"], "scenarios/trace.kbed: No such file"),
        (["export", "scenarios", "--to", "jaeger"], "\"jaeger\" is no format: expected one of perfetto, shiviz,"),
    ] {
        let answer = desk.call(&words);
        assert_eq!(answer.code, 2, "{words:?}");
        assert!(answer.stderr.contains(expected), "{}", answer.stderr);
    }
}
