//! Histories of objects: every decider against the definition.

#[path = "history/breadth.rs"]
pub mod breadth;
#[path = "history/brute.rs"]
mod brute;
#[path = "history/budgets.rs"]
mod budgets;
#[path = "history/dead_ends.rs"]
mod dead_ends;
#[path = "history/random.rs"]
pub mod random;
#[path = "history/relations.rs"]
mod relations;
#[path = "history/small.rs"]
mod small;
#[path = "history/witnesses.rs"]
mod witnesses;

use kraftbed::history::Model;
use kraftbed::history::engine::decide::{Engine, Verdict, by_search, core_of, decide, parts};
use kraftbed::history::engine::queue::{self, Queues};
use kraftbed::history::engine::zones::{self, Zones};
use kraftbed::history::engine::{Budget, Exhausted, words};
use kraftbed::history::model::Start;
use kraftbed::history::objects::{Action, Clock, Entry, NIL, OPEN, ObjectHistory};
use kraftbed::prng::Prng;

use random::Shape;

/// Decides all parts as users would have it.
fn is_linearizable(history: &ObjectHistory) -> bool {
    parts(history).iter().all(|part| match decide(history, part, &Budget::BOUNDLESS).verdict {
        Verdict::Linearizable => true,
        Verdict::NotLinearizable(_) => false,
        Verdict::Undecided(why) => panic!("{why:?} without a bound"),
    })
}

fn shapes() -> Vec<Shape> {
    let shape = |model, values, is_unique, open| Shape {
        model,
        operations: 9,
        processes: 4,
        values,
        is_unique,
        open,
        bent: 12,
    };
    let mut shapes = Vec::new();
    for open in [0, 15, 50] {
        shapes.push(shape(Model::Register, 2, false, open));
        shapes.push(shape(Model::Register, 30, true, open));
        shapes.push(shape(Model::CasRegister, 3, false, open));
        shapes.push(shape(Model::CasRegister, 30, true, open));
        shapes.push(shape(Model::Kv, 3, false, open));
        shapes.push(shape(Model::Kv, 30, true, open));
        shapes.push(shape(Model::Queue, 30, true, open));
        shapes.push(shape(Model::Queue, 2, false, open));
        shapes.push(shape(Model::Set, 3, false, open));
        shapes.push(shape(Model::Set, 5, false, open));
        shapes.push(shape(Model::Lock, 2, false, open));
    }
    shapes
}

#[test]
fn every_decider_agrees_with_all_orders() {
    let (mut counts, mut monitors) = (std::collections::BTreeMap::new(), 0);
    for (number, shape) in (0..).zip(shapes()) {
        let mut prng = Prng::new(7, number);
        for round in 0..HISTORIES {
            let history = random::draw(&mut prng, shape);
            let expected = brute::is_linearizable(&history);
            assert_eq!(is_linearizable(&history), expected, "round {round} of {shape:?}: {:#?}", history.entries);
            *counts.entry((shape.model, expected)).or_insert(0) += 1;
            if let Some(found) = monitored(&history).filter(|_| shape.open == 0) {
                assert_eq!(found, expected, "round {round} of {shape:?}, by a monitor alone: {:#?}", history.entries);
                monitors += 1;
            }
            for part in parts(&history) {
                let decided = decide(&history, &part, &Budget::BOUNDLESS);
                if decided.engine != Engine::Search {
                    let start = Start::Holds(history.initial);
                    let searched = by_search(&history, &part.entries, start, &Budget::BOUNDLESS).verdict;
                    let (fast, slow) = (decided.verdict == Verdict::Linearizable, searched == Verdict::Linearizable);
                    assert_eq!(fast, slow, "round {round} of {shape:?}: {:#?}", part.entries);
                }
            }
        }
    }
    assert!(counts.values().all(|&count| count > HISTORIES / 10), "both verdicts are to be common: {counts:?}");
    assert_eq!(counts.len(), 12);
    assert!(monitors > HISTORIES * 3, "monitors decided {monitors} histories");
}

/// What a monitor says that nobody checks. (Of what never returned it may say too much, and then a search has the last word.)
fn monitored(history: &ObjectHistory) -> Option<bool> {
    match history.model {
        Model::Queue => queue::decide(&history.entries).map(|found| found == Queues::Legal),
        Model::Set => None,
        _ => zones::decide(&history.entries, history.initial).map(|found| matches!(found, Zones::Order(_))),
    }
}

#[test]
fn long_histories_of_a_few_clients_agree_with_a_search_in_breadth() {
    let mut counts = std::collections::BTreeMap::new();
    for (number, shape) in (0..).zip(shapes().into_iter().filter(|shape| shape.open < 50)) {
        let mut prng = Prng::new(9, number);
        for round in 0..HISTORIES / 40 {
            let bent = if round % 2 == 0 { 0 } else { 4 };
            let open = if shape.open > 0 { 4 } else { 0 };
            let shape = Shape { operations: 45, processes: 3, bent, open, ..shape };
            let history = random::draw(&mut prng, shape);
            for part in parts(&history) {
                let decided = decide(&history, &part, &Budget::BOUNDLESS).verdict;
                // A set falls apart into elements, whose steps are the set's as well.
                let expected = breadth::decide(&history, &part.entries);
                let is_legal = decided == Verdict::Linearizable;
                assert_eq!(is_legal, expected.is_ok(), "round {round} of {shape:?}: {:#?}", part.entries);
                *counts.entry((shape.model, is_legal)).or_insert(0) += 1;
                if let (Verdict::NotLinearizable(found), Err(first)) = (&decided, expected)
                    && let Some(blocked) = found.blocked
                {
                    assert!(blocked.ret >= first.ret, "{blocked:?} returns before {first:?}, which is the first");
                }
            }
        }
    }
    assert_eq!(counts.len(), 12, "both verdicts are to occur: {counts:?}");
}

/// Every history of three operations on a register of two values, with every shape of intervals and every outcome.
#[test]
fn every_small_history_of_a_register_agrees_with_all_orders() {
    let answers = [Action::Read, Action::Write, Action::Cas, Action::Refused];
    let mut checked = 0;
    for shape in interval_shapes() {
        for choice in 0..(answers.len() * 4).pow(3) {
            let mut history = ObjectHistory::new(Model::CasRegister, Clock::Lines);
            let names = [history.values.name("1"), history.values.name("2")];
            let mut rest = choice;
            let mut draw = |bound: usize| {
                let drawn = rest % bound;
                rest /= bound;
                drawn
            };
            for (process, &(call, ret)) in (0..).zip(&shape) {
                let (action, a, b) = (answers[draw(4)], names[draw(2)], names[draw(2)]);
                let entry = Entry { action, a, b, key: NIL, process, call, ret };
                let is_silent = ret == OPEN && matches!(action, Action::Read | Action::Refused);
                history.entries.extend((!is_silent).then_some(entry));
            }
            let expected = brute::is_linearizable(&history);
            assert_eq!(is_linearizable(&history), expected, "{:#?}", history.entries);
            checked += 1;
        }
    }
    assert_eq!(checked, 4096 * interval_shapes().len());
}

/// All ways in which three operations can overlap, with none or any of them open; calls in order.
fn interval_shapes() -> Vec<Vec<(u32, u32)>> {
    let mut shapes = Vec::new();
    for moments in 0..6u32.pow(6) {
        let all: Vec<u32> = (0..6).map(|place| moments / 6u32.pow(place) % 6).collect();
        let (calls, returns) = all.split_at(3);
        let mut sorted = all.clone();
        sorted.sort();
        sorted.dedup();
        let is_shape =
            sorted.len() == 6 && calls.is_sorted() && calls.iter().zip(returns).all(|(call, ret)| call < ret);
        if is_shape {
            for open in 0..8 {
                let ret = |place: usize| if open >> place & 1 == 1 { OPEN } else { returns[place] };
                shapes.push((0..3).map(|place| (calls[place], ret(place))).collect());
            }
        }
    }
    shapes
}

#[test]
fn a_search_that_runs_out_says_so_and_is_never_wrong() {
    let budgets = [
        (Budget { steps_max: 4, ..Budget::BOUNDLESS }, Exhausted::Steps),
        (Budget { bytes_max: 100, ..Budget::BOUNDLESS }, Exhausted::Memory),
        (Budget { is_over: &|| true, ..Budget::BOUNDLESS }, Exhausted::Time),
    ];
    for (budget, reason) in budgets {
        let (mut undecided, mut prng) = (0, Prng::new(10, 0));
        for shape in shapes().into_iter().filter(|shape| !shape.is_unique).cycle().take(4000) {
            let history = random::draw(&mut prng, shape);
            for part in parts(&history) {
                let whole = decide(&history, &part, &Budget::BOUNDLESS).verdict;
                match decide(&history, &part, &budget).verdict {
                    Verdict::Undecided(why) => {
                        assert_eq!(why, reason);
                        undecided += 1;
                    }
                    verdict => assert_eq!(verdict == Verdict::Linearizable, whole == Verdict::Linearizable),
                }
            }
        }
        assert!(undecided > 10, "{undecided} undecided for want of {}", reason.name());
    }
}

/// A monitor that is wrong about what never returned would accuse the innocent.
#[test]
fn what_never_returned_accuses_nobody() {
    let histories: [(&[_], bool); 3] = [
        // A compare-and-set that changes nothing need not have happened, whenever it was asked.
        (
            &[
                (Action::Write, 1, 0, 0, 1),
                (Action::Read, 1, 0, 2, 3),
                (Action::Write, 2, 0, 4, 5),
                (Action::Read, 2, 0, 6, 7),
                (Action::Cas, 1, 1, 8, OPEN),
            ],
            true,
        ),
        // What it saw was never written: it did not happen, so what it would have written cannot be read.
        (&[(Action::Cas, 1, 2, 0, OPEN), (Action::Read, 2, 0, 1, 2)], false),
        // One of two can have happened, not both.
        (
            &[
                (Action::Write, 1, 0, 0, 1),
                (Action::Cas, 1, 2, 2, OPEN),
                (Action::Cas, 1, 3, 3, OPEN),
                (Action::Read, 2, 0, 4, 5),
                (Action::Read, 3, 0, 6, 7),
            ],
            false,
        ),
    ];
    for (operations, is_legal) in histories {
        let mut history = ObjectHistory::new(Model::CasRegister, Clock::Lines);
        for name in ["1", "2", "3"] {
            history.values.name(name);
        }
        let entry = |&(action, a, b, call, ret): &(Action, u32, u32, u32, u32)| Entry {
            action,
            a,
            b,
            key: NIL,
            process: call,
            call,
            ret,
        };
        history.entries = operations.iter().map(entry).collect();
        assert_eq!(
            (brute::is_linearizable(&history), is_linearizable(&history)),
            (is_legal, is_legal),
            "{operations:?}"
        );
        for part in parts(&history) {
            if let Verdict::NotLinearizable(refutation) = decide(&history, &part, &Budget::BOUNDLESS).verdict {
                let core = core_of(&history, &refutation, &Budget::BOUNDLESS);
                assert!(core.required().count() > 0, "{core:?}");
            }
        }
    }
}

#[test]
fn a_value_that_nothing_wrote_needs_no_search() {
    let mut history = ObjectHistory::new(Model::Register, Clock::Lines);
    let [zero, one, other] = ["0", "1", "other"].map(|name| history.values.name(name));
    let entry = |action, a, process| Entry { action, a, b: NIL, key: NIL, process, call: process, ret: process + 5000 };
    // More under way at once than a search can hold, and each value written more than once.
    history
        .entries
        .extend((0..4999).map(|process| entry(Action::Write, if process % 2 == 0 { zero } else { one }, process)));
    history.entries.push(entry(Action::Read, other, 4999));
    let part = &parts(&history)[0];
    let verdict = decide(&history, part, &Budget::BOUNDLESS).verdict;
    let Verdict::NotLinearizable(refutation) = verdict else { panic!("{verdict:?}") };
    let core = core_of(&history, &refutation, &Budget::BOUNDLESS);
    assert_eq!(core.required().collect::<Vec<_>>(), [&history.entries[4999]]);
}

#[test]
fn a_core_cannot_be_explained_and_without_any_of_its_operations_can() {
    let (mut found, mut largest) = (0, 0);
    for (number, shape) in (0..).zip(shapes()) {
        let mut prng = Prng::new(8, number);
        for _ in 0..HISTORIES / 4 {
            let history = random::draw(&mut prng, Shape { operations: 30, ..shape });
            for part in parts(&history) {
                let budget = Budget { steps_max: 20_000, ..Budget::BOUNDLESS };
                let Verdict::NotLinearizable(refutation) = decide(&history, &part, &budget).verdict else { continue };
                let core = core_of(&history, &refutation, &budget);
                if !core.is_minimal {
                    continue;
                }
                found += 1;
                largest = largest.max(core.required().count());
                // Shrinking knows more than the search: what the search cannot decide is not held against it.
                let searched = |entries: &[_]| by_search(&history, entries, core.start, &budget).verdict;
                let is_legal = |entries: &[_]| !matches!(searched(entries), Verdict::NotLinearizable(_));
                let is_explained = |entries: &[_]| searched(entries) == Verdict::Linearizable;
                assert!(!is_explained(&core.entries), "{core:?} is the core of {:#?}", part.entries);
                for entry in core.required() {
                    let weaker = core
                        .entries
                        .iter()
                        .filter_map(|other| if other == entry { other.relaxed() } else { Some(*other) });
                    assert!(is_legal(&weaker.collect::<Vec<_>>()), "{entry:?} is not needed in {core:?}");
                }
                assert!(!words::sentence(&history, &part.entries, &core).is_empty());
            }
        }
    }
    assert!(found > 1000 && largest > 3, "{found} cores, the largest of {largest}");
}

/// Histories of each shape.
const HISTORIES: u64 = 2000;
