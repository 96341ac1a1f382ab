//! A world holds no more after a long run than after a short one, but for the logs, the history and a mark a batch.

use kraftbed::check;
use kraftbed::scenario::Scenario;
use kraftbed::sim::recorder::Trace;
use kraftbed::sim::{Holdings, World};
use kraftbed::time::Instant;

/// Kinds of things that a world holds, with the most of each that it held in each part of its run.
fn most_by_part<const PARTS: usize>(text: &str, minutes_each: u64) -> [Vec<(&'static str, usize)>; PARTS] {
    let properties: Vec<&str> = check::all().into_iter().map(|(name, _)| name).collect();
    let plan = Scenario::parse("long.json", text, &properties).expect("a scenario").draw(1, "long");
    let mut world = World::new(&plan, Trace::Digest);
    world.begin();
    let mut second = 0;
    std::array::from_fn(|part| {
        let mut most = counts(&Holdings::default());
        while second < (part as u64 + 1) * minutes_each * 60 {
            second += 1;
            while world.step(Some(Instant(second * 1_000_000_000))) {}
            for (most, (_, now)) in most.iter_mut().zip(counts(&world.holdings())) {
                most.1 = most.1.max(now);
            }
        }
        most
    })
}

fn counts(holdings: &Holdings) -> Vec<(&'static str, usize)> {
    let Holdings { happenings, connections, requests, loads, nameless_files, faults, marks, entries } = *holdings;
    vec![
        ("happenings", happenings),
        ("connections", connections),
        ("requests", requests),
        ("loads", loads),
        ("nameless files", nameless_files),
        ("faults", faults),
        ("marks", marks),
        ("entries", entries),
    ]
}

/// The most of one kind in the last part, which is taken out.
fn last_of(kind: &str, parts: &mut [Vec<(&'static str, usize)>]) -> usize {
    let index = parts[0].iter().position(|(name, _)| *name == kind).expect("a kind that is counted");
    parts.iter_mut().map(|part| part.remove(index).1).last().unwrap_or_default()
}

/// The last part may have had worse luck than the first, but it held nothing that gathers.
fn is_flat(parts: &[Vec<(&'static str, usize)>]) {
    for (index, &(kind, first)) in parts[0].iter().enumerate() {
        let course: Vec<usize> = parts.iter().map(|part| part[index].1).collect();
        assert!(course[course.len() - 1] <= first * 3 / 2 + SLACK, "{kind} grow with the run: {course:?}");
    }
}

#[test]
fn a_long_quiet_run_holds_what_a_short_one_holds() {
    let text = r#"{
        "about": "Writers, and nothing else.", "version": 1, "voters": 3, "duration": "20m",
        "settings": { "log_tail_bytes": 65536, "recovery_point_bytes": 4096, "segment_bytes": 65536 },
        "workload": [{ "clients": 2, "kind": "append", "rate": "20/s", "reads": "none" }]
    }"#;
    is_flat(&most_by_part::<4>(text, 4));
}

#[test]
fn a_long_run_with_faults_holds_what_a_short_one_holds() {
    let text = r#"{
        "about": "Nodes crash, stand still and lose each other.", "version": 1, "voters": 3, "duration": "20m",
        "settings": { "log_tail_bytes": 65536, "recovery_point_bytes": 1024, "segment_bytes": 16384 },
        "workload": [{ "clients": 2, "kind": "append", "rate": "10/s" }],
        "faults": { "kill": "strong", "power": "weak", "cut": "strong", "reset": "strong", "pause": "strong" }
    }"#;
    let mut parts = most_by_part::<4>(text, 4);
    // What was written and lost to another leader, and what a client was refused, may come back for as long as the run
    // lasts. It is the price of a fall, and not of a write: of 19,200 these are few.
    let entries = last_of("entries", &mut parts);
    assert!(entries < 240, "{entries} entries");
    is_flat(&parts);
}

/// So many more may be held by chance.
const SLACK: usize = 16;
