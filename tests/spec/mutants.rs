//! Histories of runs, bent in many ways: what the deciders say of each is what a second decider says, which shares nothing with
//! them. Some of what is bent is still true; most is not, and is caught.

#[path = "mutants/bend.rs"]
mod bend;
#[path = "mutants/collection.rs"]
mod collection;
#[path = "mutants/naive.rs"]
mod naive;

use std::collections::BTreeMap;

use kraftbed::campaign::Library;
use kraftbed::campaign::check::{self, Options, Verdict};
use kraftbed::history::engine::decide::parts;
use kraftbed::history::format::{Format, Hints, Subject, import, lines};
use kraftbed::history::objects::OPEN;
use kraftbed::history::{Model, Operation, Outcome};
use kraftbed::prng::Prng;
use kraftbed::sim::{RunOptions, run};
use kraftbed::time::Instant;

use crate::history::breadth;
use bend::{Bend, bend};

/// Scenario, what its log is, and operations of it that are looked at.
const RUNS: [(&str, Model, usize); 5] = [
    ("standard", Model::Log, 120),
    ("tail_reads", Model::Log, 120),
    ("idempotent_producers", Model::Producer, 120),
    ("key_values", Model::Log, 60),
    ("compare_and_set", Model::Log, 60),
];

#[test]
fn bent_histories_of_runs_are_caught_or_true() {
    let mut counts: BTreeMap<(&str, Bend), [u32; 2]> = BTreeMap::new();
    let mut skipped = 0;
    for (number, (name, model, length)) in (0..).zip(RUNS) {
        let mut prng = Prng::new(14, number);
        for seed in 1..=2 {
            let recorded = begun(&history_of(name, seed), length);
            assert_eq!(judged(&recorded, model), Some((true, true)), "{name} seed {seed}");
            for round in 0..ROUNDS {
                let kind = *prng.pick(&Bend::ALL);
                let Some(bent) = bend(&mut prng, &recorded, kind) else { continue };
                let Some((found, expected)) = judged(&bent, model) else {
                    skipped += 1;
                    continue;
                };
                assert_eq!(found, expected, "{name} seed {seed}, round {round}, {kind:?}:\n{}", text_of(&bent));
                counts.entry((name, kind)).or_default()[usize::from(found)] += 1;
            }
        }
    }
    println!("{skipped} skipped, caught and true: {counts:?}");
    for (name, ..) in RUNS {
        let of_run = counts.iter().filter(|((of, _), _)| *of == name);
        let [caught, right] = of_run.fold([0, 0], |sum, (_, count)| [sum[0] + count[0], sum[1] + count[1]]);
        assert!(caught > ROUNDS / 4 && right > ROUNDS / 4, "{name}: {caught} caught, {right} true");
    }
    for kind in Bend::ALL {
        let count: u32 = counts.iter().filter(|((_, of), _)| *of == kind).map(|(_, count)| count[0]).sum();
        assert!(count > 0 || matches!(kind, Bend::OkToOpen), "{kind:?} was never caught: {counts:?}");
    }
}

/// What clients of a run were told.
fn history_of(name: &str, seed: u64) -> Vec<Operation> {
    let library = Library::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios"));
    let named = library.find(name).unwrap_or_else(|error| panic!("{error}")).remove(0);
    run(&named.scenario.draw(seed, name), RunOptions::default()).history
}

/// A history as it was when so many operations had been asked for.
fn begun(history: &[Operation], count: usize) -> Vec<Operation> {
    let end = history.get(count).map_or(Instant(u64::MAX), |operation| operation.invoked);
    let asked = history.iter().filter(|operation| operation.invoked < end).cloned();
    asked
        .map(|operation| match operation.returned {
            Some(returned) if returned >= end => Operation { returned: None, outcome: Outcome::Open, ..operation },
            _ => operation,
        })
        .collect()
}

/// What the deciders say, and what the second ones do; `None` where those would take too long.
fn judged(history: &[Operation], model: Model) -> Option<(bool, bool)> {
    let text = text_of(history);
    let model_hint = (model == Model::Producer).then_some(model);
    let hints = Hints { format: Some(Format::Lines), model: model_hint, ..Hints::default() };
    let Subject { objects, log, .. } =
        import(text.as_bytes(), &hints).unwrap_or_else(|error| panic!("{error}\n{text}")).subject;
    let mut expected = naive::is_legal(&log, model);
    for part in objects.iter().flat_map(|objects| parts(objects)) {
        if part.entries.iter().filter(|entry| entry.ret == OPEN).count() > OPEN_MAX {
            return None;
        }
        let objects = objects.as_ref().expect("it has parts");
        expected = expected && breadth::decide(objects, &part.entries).is_ok();
    }
    let options = Options { hints, time_max: None, bytes_max: 1 << 30, steps_max: u64::MAX, jobs: 1 };
    match check::check(text.as_bytes(), &options, &|_, _| ()).expect("it was read before").verdict {
        Verdict::Linearizable => Some((true, expected)),
        Verdict::NotLinearizable { message, core, .. } => {
            assert!(!message.is_empty() && !core.is_empty(), "{text}");
            Some((false, expected))
        }
        Verdict::Undecided { why } => panic!("{why}:\n{text}"),
    }
}

fn text_of(history: &[Operation]) -> String {
    let mut text = lines::HEADER.to_owned();
    history.iter().enumerate().for_each(|(index, operation)| lines::write(index, operation, &mut text));
    text
}

/// Times that each history is bent.
const ROUNDS: u32 = 300;

/// Operations on a key that never returned: each doubles what a search in breadth must keep.
const OPEN_MAX: usize = 4;
