//! What runs leave for machines: the index of a sweep, shards joined into one.
#![expect(clippy::disallowed_methods, reason = "tests read what the program wrote")]

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
