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
    for key in ["shards", "joined"] {
        index.as_object_mut().expect("an object").remove(key);
    }
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
    assert!(answer.stdout.contains("missing: slice:2/3: 1 of 3 shares"), "{}", answer.stdout);
    assert_eq!(json(&desk, "two/sweep.json")["partial"], true);
    // What was joined can be joined on.
    assert_eq!(desk.call(&["merge", "two", "shard2", "-o", "again"]).code, 1);
    assert_eq!(json(&desk, "again/sweep.json"), json(&desk, "joined/sweep.json"));
}

/// Whoever joins shards says something of all of them; a share that nobody brought has not passed.
#[test]
fn a_share_that_is_missing_is_named_and_has_not_passed() {
    let desk = Desk::new("missing");
    put(&desk, "calm.json", CALM);
    let share = |share: &str, folder: &str| {
        let words = ["sweep", "calm.json", "--seeds", "12", "--partition", share, "--index", folder];
        assert_eq!(desk.call(&words).code, 0);
    };
    share("slice:2/12", "second");
    share("slice:5/12", "fifth");
    let alone = desk.call(&["merge", "second", "-o", "alone"]);
    assert_eq!(alone.code, 7, "{}", alone.stdout);
    let named = "slice:1/12, slice:3/12, slice:4/12, slice:5/12, slice:6/12, slice:7/12, slice:8/12, slice:9/12";
    assert!(alone.stdout.contains(&format!("missing: {named} and 3 more: 11 of 12 shares\n")), "{}", alone.stdout);
    assert!(alone.stdout.contains("1 runs of 1 of 12 shares: 1 passed"), "{}", alone.stdout);
    let index = json(&desk, "alone/sweep.json");
    assert_eq!((&index["verdict"], &index["joined"]), (&"missed".into(), &true.into()));
    let missing = index["missing_shares"].as_array().expect("a list");
    assert_eq!((missing.len(), &missing[10]), (11, &"slice:12/12".into()));
    let two = desk.call(&["merge", "alone", "fifth", "-o", "two"]);
    assert!(two.code == 7 && two.stdout.contains("and 2 more: 10 of 12 shares"), "{}", two.stdout);
    // The share itself is all that was asked of that sweep.
    assert_eq!(json(&desk, "second/sweep.json")["verdict"], "passed");
}

const CALM: &str = "{ \"about\": \"Nothing happens.\", \"version\": 1, \"voters\": 3, \"duration\": \"1s\" }";

/// What can be counted from the runs must be what the file says, whatever of it was changed by hand.
#[test]
fn an_index_that_contradicts_itself_is_refused() {
    let desk = Desk::new("changed");
    sweep(&desk, &["--index", "true"]);
    let one = text(&desk, "true/sweep.json");
    assert_eq!(desk.call(&["merge", "true", "-o", "out"]).code, 1);
    let first = json(&desk, "true/sweep.json");
    let failed = first["runs"].as_array().expect("a list").iter().find(|run| run["verdict"] != "passed").expect("one");
    let signature = failed["signature"].as_str().expect("a text");
    let changes = [
        (
            "\"verdict\": \"violated\"",
            "\"verdict\": \"passed\"",
            "says \"verdict\" is \"passed\", and its runs come to \"violated\"",
        ),
        ("\"runs_made\": 8", "\"runs_made\": 80", "says \"runs_made\" is 80, and its runs come to 8"),
        ("\"undecided\": 0", "\"undecided\": 1", "says \"undecided\" is 1"),
        ("\"partial\": false", "\"partial\": true", "says \"partial\" is true"),
        ("\"never_exercised\": []", "\"never_exercised\": [\"left:leader\"]", "in \"never_exercised[0]\""),
        ("\"partition\":\"slice:1/1\"", "\"partition\":\"slice:1/65537\"", "expected slice:m/n, n at most 65536"),
        (",\"verdict\":\"violated\"", ",\"verdict\":\"undecided\"", "expected \"violated\" beside that property"),
        (
            ",\"verdict\":\"violated\"",
            ",\"verdict\":\"passed\"",
            "says \"verdict\" is \"violated\", and its runs come to \"passed\"",
        ),
        (signature, "another", "expected what its property and message come to"),
    ];
    for (from, to, expected) in changes {
        assert!(one.contains(from), "{from} in {one}");
        put(&desk, "changed/sweep.json", &one.replace(from, to));
        let answer = desk.call(&["merge", "changed", "-o", "never"]);
        assert_eq!(answer.code, 2, "{to}: {}", answer.stdout);
        assert!(answer.stderr.contains(expected), "{to}: {}", answer.stderr);
        assert!(!desk.folder.join("never").exists());
    }
}

#[test]
fn nothing_is_written_over_what_was_read_or_just_written() {
    let desk = Desk::new("written over");
    put(&desk, "calm.json", CALM);
    let sweep = ["sweep", "calm.json", "--seeds", "1", "--index", "one"];
    assert_eq!(desk.call(&sweep).code, 0);
    std::os::unix::fs::symlink("one", desk.folder.join("link")).expect("a link");
    let refusals: [(&[&str], &str); 5] = [
        (&["merge", "one", "-o", "one"], "cannot write one/sweep.json: it is one/sweep.json, which is read"),
        (&["merge", "one", "-o", "link"], "cannot write link/sweep.json: it is one/sweep.json"),
        (&["merge", "one", "-o", "two", "--junit", "two/../two/sweep.json"], "it is two/sweep.json"),
        (&["merge", "one", "-o", "two", "--junit", "one/sweep.json"], "it is one/sweep.json"),
        (
            &["sweep", "calm.json", "--seeds", "1", "--index", "two", "--junit", "two/index.html"],
            "it is two/index.html",
        ),
    ];
    let before = text(&desk, "one/sweep.json");
    for (words, expected) in refusals {
        let answer = desk.call(words);
        assert_eq!(answer.code, 2, "{words:?}: {}", answer.stdout);
        assert!(answer.stderr.contains(expected), "{words:?}: {}", answer.stderr);
        assert!(!desk.folder.join("two").exists(), "{words:?}");
    }
    assert_eq!(text(&desk, "one/sweep.json"), before);
    assert_eq!(desk.call(&["merge", "one", "-o", "two", "--junit", "a/new/folder/junit.xml"]).code, 0);
}

#[test]
fn what_is_no_shard_of_one_sweep_is_refused() {
    let desk = Desk::new("refusals");
    sweep(&desk, &["--index", "one"]);
    sweep(&desk, &["--index", "planted", "--seed-base", "100", "--plant", "restarts_as_leader"]);
    sweep(&desk, &["--index", "later", "--seed-base", "100"]);
    sweep(&desk, &["--index", "third", "--partition", "slice:3/3"]);
    sweep(&desk, &["--index", "half", "--partition", "slice:1/2"]);
    desk.call(&[&MIXED[..], &["--index", "none1", "--partition", "slice:30/30"]].concat());
    let turned =
        ["sweep", "restarts_as_leader", "light", "--seeds", "8", "--index", "turned", "--partition", "slice:3/3"];
    desk.call(&turned);
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
        (["one", "later"], "--seed-base is 1 there and 100 here"),
        (["third", "half"], "the number of shares is 3 there and 2 here"),
        (["third", "turned"], "scenarios/light.json is not at the same place of both lists of scenarios"),
        (["none1", "none1"], "none1 and none1 are the same share, slice:30/30"),
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
                _ if process == ":nemesis" => assert_eq!(kind, ":info", "{line}"),
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

/// Of registers, of compare-and-sets, of a log, of its producers; of what can be, and of what cannot.
#[test]
fn an_exported_history_is_judged_as_the_run_was() {
    let desk = Desk::new("round trip");
    let runs: [(&str, &[&str], i32); 6] = [
        (KEYS, &[], 0),
        ("standard", &[], 0),
        ("failed_cas_sets", &[], 1),
        ("standard", &["--model", "producer"], 0),
        ("duplicate_acked_at_end", &[], 1),
        ("duplicate_acked_at_end", &["--model", "producer"], 1),
    ];
    for (scenario, model, code) in runs {
        desk.call(&["run", scenario]);
        let run = format!("sim-results/{scenario}/1");
        exported(&desk, &run, "jepsen");
        let facts = |file: &str, code: i32| {
            let told = desk.json(&[&["check", file], model].concat(), code);
            let history = told["histories"][0].clone();
            let core: Vec<Value> =
                history["core"].as_array().expect("a list").iter().map(|told| told["value"].clone()).collect();
            (history["operations"].clone(), history["verdict"].clone(), core.len())
        };
        assert_eq!(facts("out", code), facts(&format!("{run}/history.jsonl"), code), "{scenario}");
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
