//! A resolved scenario lists what a run drew: it replays to the same digest, and what is taken out of it becomes harmless.

use std::path::Path;

use kraftbed::campaign::Library;
use kraftbed::check;
use kraftbed::outcome::Verdict;
use kraftbed::scenario::plan::{Decisions, Otherwise, Plan};
use kraftbed::scenario::{FaultKind, Scenario};
use kraftbed::sim::recorder::Trace;
use kraftbed::sim::{Finished, RunOptions, run};

use crate::plants::CAUGHT;
use crate::program::{Desk, ROOT};

/// Scenario and seed: every family of faults, datagrams, one voter, ties, steps with draws of their own.
const SAMPLE: [(&str, u64); 10] = [
    ("standard", 1),
    ("standard", 2),
    ("disk_faults", 5),
    ("datagrams", 2),
    ("single_voter", 9),
    ("clock_faults", 4),
    ("rotten_disks", 3),
    ("lost_disks", 2),
    ("restarts_of_all", 1),
    ("canElectNewLeaderAfterOldLeaderFailure", 7),
];

fn plan(name: &str, seed: u64) -> Plan {
    let named = Library::new(format!("{ROOT}/scenarios")).find(name).expect("it ships").remove(0);
    named.scenario.draw(seed, name)
}

fn run_recorded(plan: &Plan) -> Finished {
    run(plan, RunOptions { trace: Trace::Recorded, ..RunOptions::default() })
}

/// The plan of a scenario's text.
fn reread(text: &str, name: &str) -> Plan {
    let properties: Vec<&str> = check::all().iter().map(|(name, _)| *name).collect();
    let scenario = Scenario::parse("scenario.json", text, &properties).unwrap_or_else(|error| panic!("{error}"));
    scenario.draw(scenario.seed().expect("a resolved scenario pins its seed"), name)
}

fn assert_replays(name: &str, seed: u64) {
    let plan = plan(name, seed);
    let first = run_recorded(&plan);
    assert!(first.decisions.values().map(|draws| draws.len()).sum::<usize>() > 100, "{name} seed {seed} draws nothing");
    let resolved = reread(&plan.decided(first.decisions.clone()).to_scenario_text(), name);
    assert_eq!((resolved.otherwise, &resolved.decisions), (Otherwise::Neutral, &first.decisions), "{name} seed {seed}");
    for otherwise in [Otherwise::Neutral, Otherwise::Seed] {
        let again = run(&Plan { otherwise, ..resolved.clone() }, RunOptions::default()).outcome;
        assert_eq!(again.digest, first.outcome.digest, "{name} seed {seed}, otherwise {otherwise:?}");
        assert_eq!(again.verdict, first.outcome.verdict, "{name} seed {seed}, otherwise {otherwise:?}");
        assert_eq!(again.doses, first.outcome.doses, "{name} seed {seed}, otherwise {otherwise:?}");
    }
}

#[test]
fn a_resolved_run_replays_to_the_same_digest_with_nothing_left_to_draw() {
    SAMPLE.iter().for_each(|&(name, seed)| assert_replays(name, seed));
}

#[test]
fn a_resolved_failure_fails_again() {
    CAUGHT.iter().for_each(|&(name, seed)| assert_replays(name, seed));
}

#[test]
fn without_decisions_a_neutral_run_meets_no_fault() {
    for name in
        ["standard", "network_faults", "disk_faults", "process_faults", "clock_faults", "datagrams", "lost_disks"]
    {
        for seed in 1..=3 {
            let neutral = Plan { otherwise: Otherwise::Neutral, ..plan(name, seed) };
            let outcome = run(&neutral, RunOptions::default()).outcome;
            assert_eq!(outcome.verdict, Verdict::Passed, "{name} seed {seed}");
            assert_eq!(outcome.doses.len(), 0, "{name} seed {seed}: {:?}", outcome.doses);
            assert_eq!(outcome.leader_changes, 0, "{name} seed {seed}");
        }
    }
}

/// No parcel and no sync takes longer than the least: all links and disks draw the same thing all the time.
#[test]
fn without_decisions_a_neutral_run_knows_no_jitter() {
    let neutral = Plan { otherwise: Otherwise::Neutral, ..plan("standard", 1) };
    let latency = neutral.settings.latency.0.as_nanos() as u64;
    let decisions = run_recorded(&neutral).decisions;
    let links: Vec<_> = decisions.iter().filter(|(stream, _)| stream.starts_with("link ")).collect();
    assert!(links.len() >= 6, "{} links were used", links.len());
    for (stream, draws) in links {
        assert!(draws.values().all(|&choice| choice == latency || choice == 0), "{stream}: {draws:?}");
    }
}

#[test]
fn what_is_taken_out_of_a_resolved_scenario_becomes_harmless() {
    let plan = plan("standard", 2);
    let first = run_recorded(&plan);
    let dealt = |kind: &FaultKind| {
        use FaultKind as F;
        !matches!(kind, F::Jitter | F::Stall | F::Reset | F::SlowSync | F::FailedSync | F::Drift | F::Offset)
    };
    assert!(first.outcome.doses.keys().any(dealt), "{:?}", first.outcome.doses);

    // Without its turns the nemesis deals nothing; links and disks do what they did.
    let without = |is_out: &dyn Fn(&str) -> bool| -> Decisions {
        first
            .decisions
            .iter()
            .filter(|(stream, _)| !is_out(stream))
            .map(|(name, draws)| (name.clone(), draws.clone()))
            .collect()
    };
    let calm = run(&plan.decided(without(&|stream| stream == "nemesis")), RunOptions::default()).outcome;
    assert!(!calm.doses.keys().any(dealt), "{:?}", calm.doses);

    // Without a single turn all others stay: it is one fault less, give or take what follows from others.
    let turn = (1..first.decisions["nemesis"].len() as u64).step_by(2).find(|n| first.decisions["nemesis"][n] > 0);
    let turn = turn.expect("the nemesis dealt something");
    let mut decisions = first.decisions.clone();
    decisions.get_mut("nemesis").expect("it is there").remove(&turn);
    let again = run_recorded(&plan.decided(decisions));
    assert_eq!(again.decisions["nemesis"][&turn], 0);
    let later = |decisions: &Decisions| {
        decisions["nemesis"].range(turn + 1..).map(|(_, &choice)| choice).take(6).collect::<Vec<_>>()
    };
    assert_eq!(later(&again.decisions), later(&first.decisions));
}

#[test]
fn the_scenario_of_a_kept_result_replays() {
    let desk = Desk::new("resolved");
    let first = desk.json(&["run", "light", "--seed", "5"], 0);
    let kept = desk.folder.join("sim-results/light/5/scenario.json");
    let copy = desk.folder.join("again.json");
    std::fs::copy(&kept, &copy).expect("the result holds its scenario");
    let again = desk.json(&["run", "again.json"], 0);
    assert_eq!(again["digest"], first["digest"]);
    let text = std::fs::read_to_string(&copy).expect("is a text");
    let mut decided = text.lines().filter(|line| line.contains("\"stream\""));
    assert!(decided.all(|line| line.chars().count() <= 120), "a line of decisions is too long to read");
    assert!(Path::new(&kept).is_file());
}
