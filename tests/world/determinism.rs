//! The proof of determinism: one scenario and one seed have one digest, wherever and however they are run.

use std::process::Command;
use std::sync::atomic::AtomicBool;

use kraftbed::campaign::{Library, SweepOptions, sweep};
use kraftbed::quirk::{Quirk, Quirks};
use kraftbed::sim::recorder::Trace;
use kraftbed::sim::{RunOptions, run};

use crate::program::{Answer, Desk, ROOT};
use crate::scenarios::options;

/// Scenario and seed: every family of faults, datagrams, one voter, many clients.
const SAMPLE: [(&str, u64); 5] =
    [("standard", 3), ("disk_faults", 5), ("datagrams", 2), ("single_voter", 9), ("clock_faults", 4)];

fn digest_here(name: &str, seed: u64, trace: Trace) -> String {
    let named = Library::new(format!("{ROOT}/scenarios")).find(name).expect("it ships").remove(0);
    let finished = run(&named.scenario.draw(seed, name), RunOptions { trace, ..RunOptions::default() });
    format!("0x{:016x}", finished.outcome.digest)
}

#[test]
fn a_seed_has_one_digest_in_one_process_recorded_or_not() {
    for (name, seed) in SAMPLE {
        let first = digest_here(name, seed, Trace::Digest);
        assert_eq!(first, digest_here(name, seed, Trace::Digest), "{name} seed {seed}, run twice");
        assert_eq!(first, digest_here(name, seed, Trace::Recorded), "{name} seed {seed}, recorded");
    }
}

#[test]
fn a_seed_has_one_digest_in_two_processes() {
    let desk = Desk::new("two_processes");
    for (name, seed) in SAMPLE {
        let there = desk.json(&["run", name, "--seed", &seed.to_string()], 0);
        assert_eq!(there["digest"], digest_here(name, seed, Trace::Digest), "{name} seed {seed}");
    }
}

/// Overflow, assertions and optimization must not be what a run depends on. The release build is the README's.
#[test]
fn a_seed_has_one_digest_in_debug_and_in_release() {
    let desk = Desk::new("release");
    let manifest = format!("{ROOT}/Cargo.toml");
    for (name, seed) in SAMPLE {
        let cargo = Command::new(env!("CARGO"))
            .args(["run", "--release", "--quiet", "--manifest-path", &manifest, "--"])
            .args(["run", name, "--seed", &seed.to_string(), "--output", "json"])
            .current_dir(&desk.folder)
            .output();
        let answer = Answer::of(cargo.expect("cargo starts"));
        assert_eq!(answer.code, 0, "{name} seed {seed}: {}", answer.stderr);
        let there: serde_json::Value = serde_json::from_str(&answer.stdout).expect("one JSON object");
        assert_eq!(there["digest"], digest_here(name, seed, Trace::Digest), "{name} seed {seed}");
    }
}

#[test]
fn a_sweep_has_one_digest_whatever_the_jobs_and_the_shares() {
    let wanted = ["light", "network_faults", "canElectInitialLeader"];
    let digest = |change: &dyn Fn(&mut SweepOptions)| {
        let mut options = options(&wanted, 5);
        change(&mut options);
        let result = sweep(&options, &AtomicBool::new(false), &|_| {});
        (result.runs, result.digest)
    };
    let whole = digest(&|_| {});
    assert_eq!(whole, digest(&|options| options.jobs = 1));
    assert_eq!(whole, digest(&|options| options.jobs = 5));
    let shares = [1, 2, 3, 4].map(|share| digest(&|options| options.partition = (share, 4)));
    let sum = shares.iter().fold((0, 0u64), |sum, share| (sum.0 + share.0, sum.1.wrapping_add(share.1)));
    assert_eq!(whole, sum, "the shares of a sweep add up to the whole");
}

#[test]
fn a_seed_that_failed_in_a_sweep_fails_alone_in_the_same_way() {
    let mut options = options(&["standard"], 6);
    options.quirks = Quirks::NONE.with(Quirk::RestartsAsLeader);
    let result = sweep(&options, &AtomicBool::new(false), &|_| {});
    let failure = result.failures.first().expect("this plant does not survive six seeds");

    let desk = Desk::new("alone");
    let seed = failure.seed.to_string();
    let alone = desk.json(&["run", "standard", "--seed", &seed, "--plant", "restarts_as_leader"], 1);

    assert_eq!(alone["property"], failure.property.as_str());
    assert_eq!(alone["signature"], failure.signature.as_str());
    let recorded = failure.finished.as_ref().expect("the smallest seed is recorded");
    assert_eq!(alone["digest"], format!("0x{:016x}", recorded.outcome.digest));
    assert_eq!(result.nondeterminism, None);
}
