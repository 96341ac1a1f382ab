//! Every scenario that ships without a planted bug passes its first seeds.

use std::sync::atomic::AtomicBool;

use kraftbed::campaign::{Library, SweepOptions, sweep};
use kraftbed::quirk::Quirks;

use crate::program::ROOT;

/// A sweep of these scenarios, `each` seeds of every one.
pub fn options(wanted: &[&str], each: u64) -> SweepOptions {
    let library = Library::new(format!("{ROOT}/scenarios"));
    let scenarios: Vec<_> =
        wanted.iter().flat_map(|name| library.find(name).unwrap_or_else(|error| panic!("{error}"))).collect();
    SweepOptions {
        seeds: each * scenarios.len() as u64,
        scenarios,
        seed_base: 1,
        jobs: 2,
        partition: (1, 1),
        time_limit: None,
        events_max: None,
        quirks: Quirks::NONE,
        check_determinism: (0, 1),
        keep_all_below: None,
    }
}

#[test]
fn what_ships_passes() {
    let result = sweep(&options(&[&format!("{ROOT}/scenarios")], 2), &AtomicBool::new(false), &|_| {});

    let told: Vec<String> = result
        .failures
        .iter()
        .map(|failure| format!("{} seed {}: {}", failure.named.path, failure.seed, failure.signature))
        .collect();
    assert!(result.runs > 60, "only {} runs: are the scenarios found?", result.runs);
    assert!(told.is_empty(), "{told:#?}");
    assert_eq!(result.passed, result.runs, "undecided: {}", result.undecided);
}
