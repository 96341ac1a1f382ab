//! Specification of `scenario`: every shipped file parses, draws within its ranges, and survives being resolved; and what
//! is wrong with a scenario is said in exactly these words.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kraftbed::scenario::{Plan, Scenario};

/// The properties that shipped scenarios name. That `check` knows them all is tested where both meet.
const PROPERTIES: &[&str] = &[
    "acked_writes_survive",
    "canary",
    "committed_is_durable_on_majority",
    "committed_stays",
    "consumers_see_committed",
    "epochs_and_votes_move_forward",
    "flushed_is_durable",
    "high_watermark_moves_forward",
    "leader_commits_own_epoch",
    "leader_emerges",
    "leaders_are_elected",
    "leadership_announced_once",
    "log_is_contiguous",
    "machines_agree",
    "never_panics",
    "no_busy_loop",
    "nodes_catch_up",
    "offset_and_epoch_identify_content",
    "one_leader_per_epoch",
    "operations_finish",
    "recovery_keeps_durable",
    "roles_are_valid",
    "said_only_durable",
    "tail_reads_linearizable",
    "vote_uniqueness",
];

#[test]
fn every_shipped_scenario_draws_with_every_seed() {
    for (name, scenario) in shipped() {
        for seed in 0..100 {
            let plan = scenario.draw(seed, &name);
            assert_eq!((plan.name.as_str(), plan.seed), (name.as_str(), seed));
            assert!((1..=9).contains(&plan.voters), "{name}");
            assert!(plan.faults.values().all(|strength| (1..=3).contains(strength)), "{name}");
            assert_eq!(plan, scenario.draw(seed, &name), "{name} draws otherwise a second time");
        }
    }
}

#[test]
fn a_resolved_scenario_is_a_scenario_and_draws_the_same_plan() {
    for (name, scenario) in shipped() {
        for seed in 0..50 {
            let plan = scenario.draw(seed, &name);
            let text = plan.to_scenario_text();
            let resolved =
                Scenario::parse("scenario.json", &text, PROPERTIES).unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!(resolved.seed(), Some(seed));
            for other_seed in [seed, seed + 1] {
                let again = Plan { hash: plan.hash, seed, ..resolved.draw(other_seed, &name) };
                assert_eq!(again, plan, "{name} is resolved to\n{text}");
            }
        }
    }
}

/// All scenario files by their path below `scenarios/` without `.json`.
fn shipped() -> BTreeMap<String, Scenario> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut scenarios = BTreeMap::new();
    for path in json_files(&root) {
        let below = path.strip_prefix(&root).expect("lies below").with_extension("").display().to_string();
        let text = std::fs::read_to_string(&path).expect("is a text");
        if below == "schema" {
            continue;
        }
        let file = format!("scenarios/{below}.json");
        let scenario = Scenario::parse(&file, &text, PROPERTIES).unwrap_or_else(|error| panic!("{error}"));
        scenarios.insert(below, scenario);
    }
    scenarios
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("is a folder").map(|entry| entry.expect("is readable").path());
    let mut paths: Vec<PathBuf> = entries.collect();
    paths.sort();
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = paths.into_iter().partition(|path| path.is_dir());
    let json = files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    json.chain(folders.iter().flat_map(|folder| json_files(folder))).collect()
}
