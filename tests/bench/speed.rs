//! What the machine can do, and what of it is left when everything is on. `cargo bench` prints a table.
//!
//! Figures of one machine say little, so each is shown beside a bare event loop of the same minute: pop the earliest
//! event, call a boxed node, draw, push a new one. That loop is the ceiling; the ratio is the result.

mod ceiling;
mod codec;
mod leader;
mod profile;

use std::hint::black_box;

use kraftbed::check;
use kraftbed::history::{Ask, Operation};
use kraftbed::protocol::Frame;
use kraftbed::record::{BatchBuilder, RecordBatch};
use kraftbed::scenario::Scenario;
use kraftbed::scenario::plan::Plan;
use kraftbed::sim::recorder::Trace;
use kraftbed::sim::{RunOptions, World, run};
use kraftbed::time::Timestamp;

fn main() {
    // First, before other figures leave freed memory behind.
    long_run();
    let ceiling = rate(2_000_000, ceiling::events);
    let show = |name: &str, per_second: f64| {
        let nanos = 1e9 / per_second;
        println!("{name:<44} {per_second:>12.0}/s {nanos:>12.0} ns {:>10.1} x bare event", ceiling / per_second);
    };
    show("bare event loop, 100 pending", ceiling);
    show("record batch of 100 B: parse and verify", rate(500_000, parse));
    show("record batch of 100 B: build", rate(500_000, build));
    show("Fetch of a replica: encode, decode", rate(200_000, codec::requests));
    show("its answer, one batch: encode, decode", rate(200_000, codec::answers));
    show("Replica.step: propose, disk done", rate(200_000, leader::replica_steps));
    show("Node.step: produce frame, disk done, answer", rate(100_000, leader::node_steps));

    let standard = scenario("standard");
    let started = cpu_seconds();
    let mut events = 0;
    for seed in 0..SEEDS {
        events += run(&standard.draw(seed, "standard"), RunOptions::default()).outcome.events;
    }
    let seconds = cpu_seconds() - started;
    show("standard: events, everything on", events as f64 / seconds);
    show("standard: seeds", SEEDS as f64 / seconds);
    let plan = standard.draw(1, "standard");
    show("standard: start of a world", rate(2_000, |count| begin(&plan, count)));
    profile::show(&standard, SEEDS);
}

/// How many times in a second of a processor `work` gets done; it is told how often, and done once before, to warm up.
fn rate(count: u64, mut work: impl FnMut(u64)) -> f64 {
    work(count / 10);
    let started = cpu_seconds();
    work(count);
    count as f64 / (cpu_seconds() - started)
}

/// What this thread has had of a processor so far, so that neighbours do not count.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("a Linux kernel that counts");
    let nanos: u64 = text.split_whitespace().next().and_then(|digits| digits.parse().ok()).expect("nanoseconds");
    nanos as f64 / 1e9
}

fn batch() -> RecordBatch {
    let mut builder = BatchBuilder::new(Timestamp(0));
    builder.push(None, Some(&[7; 100]));
    builder.build()
}

fn build(count: u64) {
    for _ in 0..count {
        black_box(batch());
    }
}

fn parse(count: u64) {
    let mut parts = Vec::new();
    batch().gather(&mut parts);
    let bytes = Frame { parts: [vec![vec![0; 4].into()], parts].concat() }.payload();
    for _ in 0..count {
        black_box(RecordBatch::parse(&bytes).expect("a batch"));
    }
}

fn begin(plan: &Plan, count: u64) {
    for _ in 0..count {
        let mut world = World::new(plan, Trace::Digest);
        world.begin();
        black_box(&world);
    }
}

/// Memory over virtual time, with a short tail of the log in memory: what grows must be the log on the disks, the history,
/// and a mark a batch, so each third grows like the one before, and little more than the first two.
fn long_run() {
    let text = r#"{
        "about": "One quiet hour.", "version": 1, "voters": 3, "duration": "1h",
        "settings": { "log_tail_bytes": 65536 },
        "workload": [{ "clients": 1, "kind": "append", "rate": "10/s", "reads": "none" }]
    }"#;
    let plan = parsed("hour.json", text).draw(1, "hour");
    let mut world = World::new(&plan, Trace::Digest);
    world.begin();
    println!("one hour of ten writes a second:");
    let started = resident();
    let mut before = started;
    for third in 1..=3u64 {
        let until = kraftbed::time::Instant(third * 1_200_000_000_000);
        while world.step(Some(until)) {}
        let now = resident();
        println!("  {:>3} min: {:>8} KiB resident, {:+} KiB", third * 20, now, now - before);
        before = now;
    }
    println!("  {:?}", world.holdings());
    let finished = world.finish();
    let log: usize = finished.disks.iter().flatten().map(|(_, bytes)| bytes.len()).sum();
    let history: usize = finished.history.iter().map(bytes_of).sum();
    println!("  log {} KiB on three disks, history {} KiB", log / 1024, history / 1024);
    let books = (before - started) * 1024 - (log + history) as i64;
    let (by_batch, by_byte) = (books / finished.history.len() as i64, books as f64 / log as f64);
    println!("  above both: {} KiB an hour, {by_batch} B a batch, {by_byte:.2} B a byte of the log", books / 1024);
}

/// What an operation of a history takes.
fn bytes_of(operation: &Operation) -> usize {
    let values = match &operation.ask {
        Ask::Append { values } => size_of_val(values.as_slice()),
        _ => 0,
    };
    size_of::<Operation>() + values
}

/// Resident memory of this process, KiB.
fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn scenario(name: &str) -> Scenario {
    let file = format!("{}/scenarios/{name}.json", env!("CARGO_MANIFEST_DIR"));
    parsed(name, &std::fs::read_to_string(file).expect("a scenario of the library"))
}

fn parsed(file: &str, text: &str) -> Scenario {
    let properties: Vec<&str> = check::all().into_iter().map(|(name, _)| name).collect();
    Scenario::parse(file, text, &properties).expect("a scenario")
}

const SEEDS: u64 = 60;
