//! What a budget may and may not do to a verdict: a monitor's is made sure of however small it is, and a core that could not be
//! shrunk says so.

use kraftbed::history::engine::Budget;
use kraftbed::history::engine::decide::{Engine, Verdict, by_search, core_of, decide, parts};
use kraftbed::prng::Prng;

use super::random::{self, Shape};
use super::shapes;

#[test]
fn what_a_monitor_found_costs_no_budget() {
    let (mut legal, mut refuted) = (0, 0);
    for (number, shape) in (0..).zip(shapes().into_iter().filter(|shape| shape.open == 0)) {
        let mut prng = Prng::new(20, number);
        for _ in 0..400 {
            let history = random::draw(&mut prng, shape);
            for part in parts(&history) {
                let whole = decide(&history, &part, &Budget::BOUNDLESS);
                if whole.engine == Engine::Search {
                    continue;
                }
                let bounded = decide(&history, &part, &TINY);
                assert_eq!((bounded.engine, &bounded.verdict), (whole.engine, &whole.verdict), "{:#?}", part.entries);
                match whole.verdict {
                    Verdict::Linearizable => legal += 1,
                    _ => refuted += 1,
                }
            }
        }
    }
    assert!(legal > 200 && refuted > 200, "{legal} legal, {refuted} refuted");
}

#[test]
fn a_core_says_whether_everything_smaller_was_tried() {
    let (mut minimal, mut other) = (0, 0);
    for (number, shape) in (0..).zip(shapes()) {
        let mut prng = Prng::new(21, number);
        for _ in 0..200 {
            let history = random::draw(&mut prng, Shape { operations: 12, ..shape });
            for part in parts(&history) {
                let whole = decide(&history, &part, &Budget::BOUNDLESS).verdict;
                let Verdict::NotLinearizable(refutation) = whole else { continue };
                let core = core_of(&history, &refutation, &TINY);
                let searched = |entries: &[_]| by_search(&history, entries, core.start, &Budget::BOUNDLESS).verdict;
                let is_needed = |entry: &_| {
                    let weaker =
                        core.entries.iter().map(|other| if other == entry { other.relaxed() } else { Some(*other) });
                    searched(&weaker.flatten().collect::<Vec<_>>()) == Verdict::Linearizable
                };
                assert_ne!(searched(&core.entries), Verdict::Linearizable, "{core:#?}");
                assert!(!core.is_minimal || core.required().all(is_needed), "{core:#?}");
                *if core.is_minimal { &mut minimal } else { &mut other } += 1;
            }
        }
    }
    assert!(minimal > 20 && other > 200, "{minimal} minimal, {other} perhaps not");
}

/// Hardly enough for a search to begin.
const TINY: Budget<'static> = Budget { steps_max: 2, ..Budget::BOUNDLESS };
