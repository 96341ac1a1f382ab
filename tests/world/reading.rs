//! How `check` and `report` read: within bounds of memory and time, until a signal comes, and without obeying what files say.
#![expect(clippy::disallowed_methods, reason = "tests write what the program reads")]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::program::{Answer, Desk, ROOT};

fn fixture(name: &str) -> String {
    format!("{ROOT}/tests/histories/{name}")
}

fn put(desk: &Desk, name: &str, text: impl AsRef<[u8]>) {
    std::fs::write(desk.folder.join(name), text).expect("a folder of its own");
}

fn text(desk: &Desk, name: &str) -> String {
    std::fs::read_to_string(desk.folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn pipe(desk: &Desk, name: &str) {
    let made = Command::new("mkfifo").arg(desk.folder.join(name)).status().expect("coreutils");
    assert!(made.success());
}

const INVOKE: &str = "{:process 0, :type :invoke, :f :write, :value 1}\n";

#[test]
fn what_has_nothing_to_check_has_not_passed() {
    let desk = Desk::new("nothing to check");
    put(&desk, "open.edn", INVOKE);
    put(&desk, "header.jsonl", "{\"kraftbed_history\":1,\"clock\":\"nanoseconds\"}\n");
    let told = desk.call(&["check", "open.edn", "header.jsonl"]);
    assert_eq!(told.code, 4, "{}", told.stdout);
    assert!(told.stdout.starts_with("open.edn: nothing to check (register, 1 operation, "), "{}", told.stdout);
    assert!(
        told.stdout.contains(
            "2 histories: 0 linearizable, 0 not linearizable, 0 undecided, 2 with nothing to check; 1 operation in "
        ),
        "{}",
        told.stdout
    );
    assert!(told.stderr.contains("nothing was checked"), "{}", told.stderr);
    let told = desk.json(&["check", "open.edn", &fixture("log.jsonl")], 0);
    assert_eq!(
        (&told["histories"][0]["verdict"], &told["histories"][0]["answers"]),
        (&"linearizable".into(), &0.into())
    );
    assert_eq!(told["total"]["nothing_to_check"], 1);
    // What cannot be read weighs more.
    assert_eq!(desk.call(&["check", "open.edn", "none"]).code, 2);
}

#[test]
fn a_log_that_can_be_read_is_not_decided_without_room_for_it() {
    let desk = Desk::new("room");
    let line = |at: u64| {
        format!(
            r#"{{"client":0,"invoked":{},"returned":{},"f":"append","values":["c0-{at}"],"outcome":"ok","offset":{at}}}"#,
            at * 10,
            at * 10 + 5
        )
    };
    put(&desk, "log.jsonl", (0..20_000).map(|at| line(at) + "\n").collect::<String>());
    let told = desk.json(&["check", "log.jsonl", "--memory", "6MB"], 3);
    assert_eq!(told["histories"][0]["message"], "memory exhausted on 20000 operations");
    assert_eq!(desk.call(&["check", "log.jsonl", "--memory", "64MB"]).code, 0);
}

#[test]
fn a_small_file_that_unpacks_to_a_large_one_costs_no_more_than_it_may() {
    let desk = Desk::new("bomb");
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(b"[").expect("memory");
    (0..512).for_each(|_| packed.write_all(&[b' '; 1 << 20]).expect("memory"));
    let packed = packed.finish().expect("memory");
    assert!(packed.len() < 1 << 20);
    put(&desk, "bomb.gz", &packed);
    let told = desk.json(&["check", "bomb.gz", "--memory", "16MiB"], 3);
    let history = &told["histories"][0];
    assert_eq!((&history["verdict"], &history["format"]), (&"undecided".into(), &"edn".into()));
    let message = history["message"].as_str().expect("a sentence");
    assert!(message.starts_with("memory exhausted in reading, after 16"), "{message}");
    assert!(history["peak_rss_bytes"].as_u64() < Some(128 << 20), "{history:#}");
    put(&desk, "short.gz", &packed[..packed.len() / 2]);
    put(&desk, "long.gz", [&packed[..], b"more than a header"].concat());
    for (file, expected) in [("short.gz", "incomplete deflate stream"), ("long.gz", "invalid gzip header")] {
        let told = desk.call(&["check", file]);
        assert_eq!(told.code, 2, "{file}");
        assert!(told.stderr.contains("begins as gzip does, and cannot be unpacked beyond "), "{}", told.stderr);
        assert!(told.stderr.contains(expected), "{file}: {}", told.stderr);
    }
}

#[test]
fn a_pipe_is_waited_for_until_time_is_up() {
    let desk = Desk::new("pipe");
    pipe(&desk, "pipe");
    let told = desk.call(&["check", "pipe", &fixture("log.jsonl"), "--timeout", "100ms"]);
    assert_eq!(told.code, 3, "{}", told.stderr);
    assert!(told.stdout.starts_with("pipe: UNDECIDED: time exhausted in reading, after 0 bytes"), "{}", told.stdout);
    assert!(told.stdout.contains("2 histories: 1 linearizable"), "{}", told.stdout);
}

#[test]
fn what_was_decided_is_told_when_a_signal_comes() {
    let desk = Desk::new("signal");
    pipe(&desk, "pipe");
    let legal = fixture("log.jsonl");
    let mut command = desk.command(&["check", &legal, "pipe", &legal]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the built program starts");
    let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut told = String::new();
    out.read_line(&mut told).expect("a line");
    // It can be opened for writing once somebody reads.
    let pipe = std::fs::OpenOptions::new().write(true).open(desk.folder.join("pipe")).expect("a pipe");
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("a shell's tool");
    assert!(kill.success());
    out.read_to_string(&mut told).expect("text");
    drop(pipe);
    let answer = Answer::of(child.wait_with_output().expect("it ends"));
    assert_eq!(answer.code, 130, "{}", answer.stderr);
    assert!(told.contains("pipe: UNDECIDED: interrupted"), "{told}");
    assert!(told.ends_with("; interrupted, 1 not read\n"), "{told}");
}

#[test]
fn a_terminal_is_not_told_what_a_file_says_it_should_do() {
    let desk = Desk::new("escapes");
    let name = "a\u{1b}]0;owned\u{7}\n.edn";
    put(&desk, name, format!("{INVOKE}{{:process 0, :type :\u{1b}[31m}}"));
    put(
        &desk,
        "value.edn",
        "{:process 0, :type :invoke, :f :read}\n{:process 0, :type :ok, :f :read, :value \"\u{9b}2J\"}\n",
    );
    let told = desk.call(&["check", name, "value.edn", "--initial", "1"]);
    assert_eq!(told.code, 1);
    assert!(told.stderr.contains("a\\u001b]0;owned\\u0007\\n.edn:2:20: expected :invoke"), "{}", told.stderr);
    assert!(told.stderr.contains("found `:\\u001b`"), "{}", told.stderr);
    let told = told.stderr + &told.stdout;
    assert!(told.chars().all(|letter| letter == '\n' || !letter.is_control()), "{told:?}");
    let told = desk.json(&["check", "value.edn", "--initial", "1"], 1);
    assert_eq!(told["histories"][0]["core"][0]["value"], "\u{9b}2J");
}

#[test]
fn a_page_is_made_as_check_is_told_to() {
    let desk = Desk::new("hints");
    let producer = fixture("producer.jsonl");
    assert_eq!(desk.call(&["report", &producer, "-o", "a/new/log.html"]).code, 0);
    assert!(!text(&desk, "a/new/log.html").contains("\"verdict\":\"violated\""));
    let told = desk.call(&["report", &producer, "--model", "producer", "-o", "producer.html"]);
    assert_eq!((told.code, told.stdout.as_str()), (0, "producer.html\n"), "{}", told.stderr);
    let page = text(&desk, "producer.html");
    assert!(page.contains("\"verdict\":\"violated\"") && page.contains("producer.jsonl --model producer"));
    put(&desk, "bomb.edn", format!("[{}", " ".repeat(100_000)));
    assert_eq!(desk.call(&["report", "bomb.edn", "--memory", "10kB"]).code, 0);
    assert!(text(&desk, "bomb.edn.html").contains("memory exhausted in reading"));
}

#[test]
fn what_is_no_one_page_is_refused_and_nothing_read_is_written_over() {
    let desk = Desk::new("report refusals");
    put(&desk, "own.edn", INVOKE);
    std::os::unix::fs::symlink("own.edn", desk.folder.join("link.html")).expect("a link");
    std::fs::hard_link(desk.folder.join("own.edn"), desk.folder.join("hard.html")).expect("a link");
    let calm = "{ \"about\": \"Nothing happens.\", \"version\": 1, \"voters\": 3, \"duration\": \"1s\" }";
    put(&desk, "calm.json", calm);
    assert_eq!(desk.call(&["run", "calm.json"]).code, 0);
    assert_eq!(desk.call(&["sweep", "calm.json", "--seeds", "1"]).code, 0);
    let refusals: [(&[&str], &str); 9] = [
        (&["own.edn", "own.edn"], "unexpected argument 'own.edn' found"),
        (&["own.edn", "-o", "own.edn"], "cannot write own.edn: it is own.edn, which is read"),
        (&["own.edn", "-o", "./link.html"], "cannot write ./link.html: it is own.edn"),
        (&["own.edn", "-o", "hard.html"], "cannot write hard.html: it is own.edn"),
        (&["sim-results/calm/1", "-o", "sim-results/calm/1/trace.kbed"], "trace.kbed, which is read"),
        (
            &["sim-results/calm"],
            "sim-results/calm: holds results, and a page shows one: name it, such as sim-results/calm/1",
        ),
        (&["sim-results/sweep"], "sim-results/sweep: is the index of a sweep: its page is its index.html"),
        (&["scenarios"], "scenarios: found no verdict.json, expected a folder that `run` left"),
        (&["none"], "none: found nothing, expected a folder that `run` left, or a history"),
    ];
    for (words, expected) in refusals {
        let told = desk.call(&[&["report"], words].concat());
        assert_eq!((told.code, told.stdout.as_str()), (2, ""), "{words:?}");
        assert!(told.stderr.contains(expected), "{words:?}: {}", told.stderr);
    }
    assert_eq!(text(&desk, "own.edn"), INVOKE);
    assert!(Path::new(&desk.folder).join("sim-results/calm/1/trace.kbed").is_file());
}
