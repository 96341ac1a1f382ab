//! One pinned seed for each planted bug: the property that its scenario names catches it there.
//!
//! `kraftbed hunt` finds the seeds: the column `seeds` is the smallest that is caught.

use kraftbed::campaign::Library;
use kraftbed::outcome::Verdict;
use kraftbed::quirk::Quirk;
use kraftbed::sim::{RunOptions, run};

use crate::program::ROOT;

/// A planted scenario and a seed that its property catches.
pub const CAUGHT: [(&str, u64); 28] = [
    ("acks_when_flushed", 1),
    ("any_fetch_confirms", 6),
    ("begin_quorum_erases_vote", 1),
    ("canary", 53),
    ("cas_judged_early", 1),
    ("commits_older_epoch", 1),
    ("completion_vouches_for_all", 1),
    ("confirms_before_own_commit", 1),
    ("confirms_unasked", 11),
    ("diverging_raises_high_watermark", 4),
    ("duplicate_acked_at_end", 1),
    ("failed_cas_sets", 1),
    ("gets_skip_tail", 16),
    ("leader_speaks_before_durable", 1),
    ("producers_forgotten_at_failover", 1),
    ("reads_keep_batch_heads", 1),
    ("reads_uncommitted", 1),
    ("recovered_counts_unsynced", 1),
    ("recovering_votes", 1),
    ("restarts_as_leader", 1),
    ("retries_as_somebody_else", 2),
    ("retry_fetches_unflushed", 7),
    ("sequence_gaps_accepted", 8),
    ("single_voter_counts_appended", 1),
    ("superseded_answer_obeyed", 1),
    ("tells_end_as_high_watermark", 1),
    ("unknown_said_refused", 1),
    ("vote_answered_before_sync", 1),
];

/// Harmless plants are never accused; so many seeds of each are tried.
const SEEDS_OF_HARMLESS: u64 = 4;

#[test]
fn every_plant_is_caught_at_its_pinned_seed_by_the_property_that_its_scenario_names() {
    let library = Library::new(format!("{ROOT}/scenarios"));
    for (name, seed) in CAUGHT {
        let named = library.find(name).unwrap_or_else(|error| panic!("{error}")).remove(0);
        let expected = named.scenario.expect().violates.clone().expect("a planted scenario names a property");
        match run(&named.scenario.draw(seed, name), RunOptions::default()).outcome.verdict {
            Verdict::Violated(violation) => assert_eq!(violation.property, expected, "{name}: {violation}"),
            verdict => panic!("{name} seed {seed} is {verdict:?}; `kraftbed hunt {name}` finds another seed"),
        }
    }
}

#[test]
fn harmless_plants_are_never_accused() {
    let library = Library::new(format!("{ROOT}/scenarios"));
    for plant in Quirk::ALL.iter().filter(|plant| plant.is_harmless()) {
        let named = library.find(plant.name()).unwrap_or_else(|error| panic!("{error}")).remove(0);
        for seed in 1..=SEEDS_OF_HARMLESS {
            let outcome = run(&named.scenario.draw(seed, plant.name()), RunOptions::default()).outcome;
            assert_eq!(outcome.verdict, Verdict::Passed, "{plant} seed {seed}");
        }
    }
}

#[test]
fn every_plant_that_does_harm_has_a_pinned_seed() {
    let pinned = |plant: &&Quirk| CAUGHT.iter().any(|(name, _)| *name == plant.name());
    let missing: Vec<&str> =
        Quirk::ALL.iter().filter(|plant| !plant.is_harmless() && !pinned(plant)).map(|plant| plant.name()).collect();
    assert!(missing.is_empty(), "no pinned seed for {missing:?}");
}
