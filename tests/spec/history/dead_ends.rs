//! Why no order explains a core, against all orders: what is told gets as far as any order does, and stops where they stop.

use std::collections::{BTreeMap, BTreeSet};

use kraftbed::history::Model;
use kraftbed::history::engine::Budget;
use kraftbed::history::engine::core::Core;
use kraftbed::history::engine::decide::{Verdict, core_of, decide, parts};
use kraftbed::history::engine::orders::{self, DeadEnd, dead_ends};
use kraftbed::history::model::Start;
use kraftbed::history::model::register::PRESENT;
use kraftbed::history::objects::{Action, Entry, Name, OPEN, ObjectHistory};
use kraftbed::prng::Prng;

use super::brute::{self, Held};
use super::random::{self, Shape};
use super::shapes;

#[test]
fn dead_ends_are_where_all_orders_end() {
    let mut explained: BTreeMap<Model, u32> = BTreeMap::new();
    for (number, shape) in (0..).zip(shapes()) {
        let mut prng = Prng::new(19, number);
        for _ in 0..HISTORIES {
            let history = random::draw(&mut prng, Shape { operations: 12, ..shape });
            for core in cores(&history) {
                let ends = dead_ends(&history, &core);
                if core.entries.iter().any(|entry| entry.action == Action::Elements) {
                    assert_eq!(ends, [], "{core:#?}");
                } else if let Some(all) = Orders::new(&history, &core) {
                    all.assert_told(&ends);
                    *explained.entry(shape.model).or_default() += 1;
                }
            }
        }
    }
    assert!(explained.len() == 6 && explained.values().all(|&count| count > 100), "{explained:?}");
}

fn cores(history: &ObjectHistory) -> Vec<Core> {
    let decided = parts(history).into_iter().map(|part| decide(history, &part, &Budget::BOUNDLESS).verdict);
    let core = |verdict| match verdict {
        Verdict::NotLinearizable(refutation) => Some(core_of(history, &refutation, &Budget::BOUNDLESS)),
        _ => None,
    };
    decided.filter_map(core).collect()
}

/// All orders of a core, as far as each gets.
struct Orders<'h> {
    history: &'h ObjectHistory,
    starts: Vec<Held>,
    required: Vec<Entry>,
    optional: Vec<Entry>,
    /// Required operations that have a place, by bits, and all that may then be held.
    reached: BTreeMap<u32, BTreeSet<Held>>,
}

impl<'h> Orders<'h> {
    /// `None` where there are too many.
    fn new(history: &'h ObjectHistory, core: &Core) -> Option<Orders<'h>> {
        let (required, optional): (Vec<Entry>, Vec<Entry>) = core.entries.iter().partition(|entry| entry.ret != OPEN);
        let starts = starts(history, core.start);
        let mut all = Orders { history, starts, required, optional, reached: BTreeMap::new() };
        let is_small = all.required.len() <= REQUIRED_MAX && all.optional.len() <= OPTIONAL_MAX;
        is_small.then(|| {
            all.try_all();
            all
        })
    }

    fn try_all(&mut self) {
        let mut fresh: Vec<(u32, u32, Held)> = self.starts.iter().map(|start| (0, 0, start.clone())).collect();
        let mut tried = BTreeSet::new();
        while let Some((placed, used, held)) = fresh.pop() {
            if !tried.insert((placed, used, held.clone())) {
                continue;
            }
            for (index, entry) in self.next(placed) {
                let then = brute::apply(self.history, &held, entry);
                fresh.extend(then.map(|then| (placed | 1 << index, used, then)));
            }
            let unused = self.optional.iter().enumerate().filter(|(index, _)| used >> index & 1 == 0);
            for (index, entry) in unused.filter(|(_, entry)| self.may_come(placed, entry)) {
                let then = brute::apply(self.history, &held, entry);
                fresh.extend(then.map(|then| (placed, used | 1 << index, then)));
            }
            self.reached.entry(placed).or_default().insert(held);
        }
    }

    /// Required operations that have no place yet, and that may come next.
    fn next(&self, placed: u32) -> impl Iterator<Item = (usize, &Entry)> {
        let missing = self.required.iter().enumerate().filter(move |(index, _)| placed >> index & 1 == 0);
        missing.filter(move |(_, entry)| self.may_come(placed, entry))
    }

    fn may_come(&self, placed: u32, entry: &Entry) -> bool {
        let mut missing = self.required.iter().enumerate().filter(|(index, _)| placed >> index & 1 == 0);
        missing.all(|(_, missing)| missing.ret > entry.call)
    }

    fn assert_told(&self, ends: &[DeadEnd]) {
        let required = &self.required;
        let is_furthest = |mask: &u32| self.reached.keys().all(|other| other == mask || other & mask != *mask);
        let furthest: BTreeSet<u32> = self.reached.keys().copied().filter(is_furthest).collect();
        let all = (1 << required.len()) - 1;
        assert!(!furthest.contains(&all), "a core that is explained: {required:#?}");
        let told: Vec<u32> = ends.iter().map(|end| self.placed(&end.order)).collect();
        assert_eq!(told.iter().copied().collect::<BTreeSet<u32>>(), furthest, "{ends:#?} of {required:#?}");
        assert_eq!(told.len(), furthest.len(), "each once: {ends:#?}");
        assert!(told.is_sorted_by_key(|mask| std::cmp::Reverse(mask.count_ones())), "{ends:#?}");
        for (end, placed) in ends.iter().zip(told) {
            self.assert_replays(&end.order);
            let next: Vec<Entry> = end.next.iter().map(|&(entry, _)| entry).collect();
            let expected: Vec<Entry> = self.next(placed).map(|(_, entry)| *entry).collect();
            assert_eq!(next, expected, "after {:#?}", end.order);
            let held: BTreeSet<Held> = end.held.iter().filter_map(|held| self.plain(held)).collect();
            assert!(held.is_subset(&self.reached[&placed]), "{end:#?} of {required:#?}");
            assert!(!end.held.is_empty(), "{end:#?}");
        }
    }

    fn placed(&self, order: &[Entry]) -> u32 {
        let places = self.required.iter().enumerate().filter(|(_, entry)| order.contains(entry));
        places.fold(0, |placed, (index, _)| placed | 1 << index)
    }

    /// The order keeps real time, and is possible.
    fn assert_replays(&self, order: &[Entry]) {
        for (place, entry) in order.iter().enumerate() {
            assert!(order[..place].iter().all(|before| before.call < entry.ret), "{order:#?}");
        }
        let step = |held: Option<Held>, entry: &Entry| brute::apply(self.history, &held?, entry);
        let replays = |start: &Held| order.iter().fold(Some(start.clone()), step).is_some();
        assert!(self.starts.iter().any(replays), "{order:#?}");
    }

    /// What is held, in the terms of all orders, if it is told as one value.
    fn plain(&self, held: &orders::Held) -> Option<Held> {
        let element = self.required[0].a;
        match (held, self.history.model) {
            (orders::Held::AnythingBut(_) | orders::Held::Unobserved, _) => None,
            (orders::Held::Value(value), Model::Set) if *value == PRESENT => Some(Held::Elements(vec![element])),
            (orders::Held::Value(_), Model::Set) => Some(Held::Elements(Vec::new())),
            (orders::Held::Value(value), Model::Kv) => Some(Held::Text(brute::text(self.history, *value))),
            (orders::Held::Value(value), _) => Some(Held::Value(*value)),
            (orders::Held::Text(text), _) => Some(Held::Text(text.clone())),
            (orders::Held::Elements(elements), _) => Some(Held::Elements(elements.clone())),
        }
    }
}

/// What may be held at first. Of what is anything, one more value than there are names does for all others.
fn starts(history: &ObjectHistory, start: Start) -> Vec<Held> {
    let names = 0..history.values.len() as Name;
    match (start, history.model) {
        (Start::Holds(_), _) | (_, Model::Queue | Model::Set) => vec![brute::start(history)],
        (Start::Unknown, Model::Kv) => {
            let texts = names.map(|name| brute::text(history, name));
            texts.chain(["another".to_owned()]).map(Held::Text).collect()
        }
        (Start::Unknown, _) => names.chain([history.values.len() as Name]).map(Held::Value).collect(),
    }
}

/// Histories of each shape.
const HISTORIES: u64 = 1000;

/// Cores of more operations have too many orders.
const REQUIRED_MAX: usize = 7;

/// The same of operations that never returned.
const OPTIONAL_MAX: usize = 7;
