//! What must follow from a verdict, whatever it is: changes to a history that keep it, or can turn it one way only.

use kraftbed::history::Model;
use kraftbed::history::objects::{Action, Entry, NIL, Name, OPEN, ObjectHistory};
use kraftbed::prng::Prng;

use super::brute::{self, Held};
use super::random::{self, Shape};
use super::{is_linearizable, shapes};

/// Draws histories of all shapes, and gives those of either verdict to `relation`; so many each at least.
fn for_all(least: u64, relation: impl Fn(&mut Prng, &ObjectHistory, bool)) {
    let mut count = [0, 0];
    for (number, shape) in (0..).zip(shapes()) {
        let mut prng = Prng::new(15, number);
        for round in 0..200 {
            let history = random::draw(&mut prng, Shape { bent: 25 * (round % 2), ..shape });
            if history.entries.is_empty() {
                continue;
            }
            let is_legal = is_linearizable(&history);
            relation(&mut prng, &history, is_legal);
            count[usize::from(is_legal)] += 1;
        }
    }
    assert!(count[0] > least && count[1] > least, "{count:?}");
}

#[test]
fn who_asked_and_what_values_are_called_does_not_matter() {
    for_all(500, |prng, history, is_legal| {
        let mut renamed = history.clone();
        // Texts that are put behind each other are more than names, and what lists are sorted by is one.
        let is_free = !matches!(history.model, Model::Kv | Model::Lock) && history.lists.is_empty();
        let mut names: Vec<Name> = (1..history.values.len() as Name).collect();
        if is_free {
            prng.shuffle(&mut names);
        }
        let new = |name: Name| if name == NIL { NIL } else { names[name as usize - 1] };
        for entry in renamed.entries.iter_mut().filter(|entry| entry.action != Action::Elements) {
            (entry.a, entry.b) = (new(entry.a), new(entry.b));
            entry.process = 1000 - entry.process;
        }
        assert_eq!(is_linearizable(&renamed), is_legal, "{:#?}\n{:#?}", history.entries, renamed.entries);
    });
}

#[test]
fn only_the_order_of_events_matters() {
    for_all(500, |prng, history, is_legal| {
        let mut at = 0;
        let stretched: Vec<u32> = history
            .stamps
            .iter()
            .map(|_| {
                at += 1 + prng.below(5) as u32;
                at
            })
            .collect();
        let warped = with(history, |entry| Entry {
            call: stretched[entry.call as usize],
            ret: if entry.ret == OPEN { OPEN } else { stretched[entry.ret as usize] },
            ..*entry
        });
        assert_eq!(is_linearizable(&warped), is_legal, "{:#?}", history.entries);
    });
}

#[test]
fn longer_intervals_explain_no_less_and_shorter_ones_no_more() {
    for_all(500, |prng, history, is_legal| {
        let mut changed = spread(history);
        let index = prng.below(changed.entries.len() as u64) as usize;
        let last = 4 * history.stamps.len() as u32;
        let Entry { call, ret, .. } = changed.entries[index];
        let by = 4 * prng.below(6) as u32 + 1;
        if is_legal {
            changed.entries[index].call = call.saturating_sub(by);
            changed.entries[index].ret = if ret == OPEN { OPEN } else { (ret + by + 1).min(last + 3) };
        } else if ret != OPEN {
            // Not beyond each other.
            let room = (ret - call - 1) / 2;
            (changed.entries[index].call, changed.entries[index].ret) = (call + by.min(room), ret - by.min(room));
        }
        changed.entries.sort_by_key(|entry| entry.call);
        assert_eq!(is_linearizable(&changed), is_legal, "{:#?}\n{:#?}", history.entries, changed.entries);
    });
}

#[test]
fn what_is_not_read_needs_no_explanation() {
    for_all(500, |_, history, is_legal| {
        let observations = history.entries.iter().enumerate().filter(|(_, entry)| entry.is_observation());
        for (index, _) in observations.filter(|_| is_legal) {
            let mut less = history.clone();
            less.entries.remove(index);
            assert!(is_linearizable(&less), "{index} of {:#?}", history.entries);
        }
        // Nor does what may not have happened.
        for (index, entry) in history.entries.iter().enumerate().filter(|(_, entry)| is_legal && entry.ret != OPEN) {
            let mut less = history.clone();
            less.entries.splice(index..=index, entry.relaxed());
            assert!(is_linearizable(&less), "{index} of {:#?}", history.entries);
        }
    });
}

#[test]
fn what_is_read_where_it_was_is_explained() {
    let mut read = 0;
    let shapes = shapes().into_iter().filter(|shape| !matches!(shape.model, Model::Queue | Model::Set | Model::Lock));
    for (number, shape) in (0..).zip(shapes) {
        let mut prng = Prng::new(16, number);
        for _ in 0..200 {
            let history = random::draw(&mut prng, Shape { bent: 0, ..shape });
            let mut rest: Vec<Entry> = history.entries.clone();
            let (mut order, mut held) = (Vec::new(), vec![brute::start(&history)]);
            assert!(explain(&history, &mut rest, &mut order, &mut held), "{:#?}", history.entries);
            // After so many of the order, before the rest of it; reads at any moment that is both.
            let place = prng.below(order.len() as u64 + 1) as usize;
            let from = order[..place].iter().map(|entry: &Entry| 4 * entry.call + 4).max().unwrap_or(0);
            let mut more = spread(&history);
            let a = match &held[place] {
                Held::Value(value) => *value,
                Held::Text(text) if text.is_empty() => NIL,
                Held::Text(text) => more.values.name(text),
                Held::Elements(_) => unreachable!("of registers"),
            };
            let (call, ret) = (from + 1, from + 2);
            more.entries.push(Entry { action: Action::Read, a, b: NIL, key: NIL, process: 77, call, ret });
            more.entries.sort_by_key(|entry| entry.call);
            assert!(is_linearizable(&more), "{place}: {:#?}", more.entries);
            read += 1;
        }
    }
    assert!(read > 2000);
}

#[test]
fn two_keys_are_explained_if_each_is() {
    let mut count = [0, 0];
    for (number, shape) in (0..).zip(shapes().into_iter().filter(|shape| shape.model != Model::Kv)) {
        let mut prng = Prng::new(17, number);
        for _ in 0..100 {
            let shape = Shape { operations: 7, bent: 8, ..shape };
            let (left, right) = (random::draw(&mut prng, shape), random::draw(&mut prng, shape));
            let mut both = left.clone();
            both.keys.name("other");
            let lists = left.lists.len() as Name;
            both.lists.extend(right.lists.clone());
            both.entries = with(&left, |entry| doubled(entry, 0, NIL, 0)).entries;
            both.entries.extend(with(&right, |entry| doubled(entry, 1, 1, lists)).entries);
            both.entries.sort_by_key(|entry| entry.call);
            let expected = is_linearizable(&left) && is_linearizable(&right);
            assert_eq!(is_linearizable(&both), expected, "{:#?}", both.entries);
            count[usize::from(expected)] += 1;
        }
    }
    assert!(count[0] > 300 && count[1] > 300, "{count:?}");
}

/// The entry on one of two keys, whose events alternate; the lists of the other come first.
fn doubled(entry: &Entry, by: u32, key: Name, lists: Name) -> Entry {
    let at = |position: u32| if position == OPEN { OPEN } else { 2 * position + by };
    let a = if entry.action == Action::Elements { entry.a + lists } else { entry.a };
    Entry { a, key, call: at(entry.call), ret: at(entry.ret), ..*entry }
}

/// An order that explains what is left, and what is held after each of it.
fn explain(history: &ObjectHistory, rest: &mut Vec<Entry>, order: &mut Vec<Entry>, held: &mut Vec<Held>) -> bool {
    if rest.iter().all(|entry| entry.ret == OPEN) {
        return true;
    }
    let first_return = rest.iter().map(|entry| entry.ret).min().expect("it is not empty");
    for index in 0..rest.len() {
        let after = brute::apply(history, held.last().expect("a start"), &rest[index]);
        let Some(after) = after.filter(|_| rest[index].call < first_return) else { continue };
        let entry = rest.remove(index);
        order.push(entry);
        held.push(after);
        if explain(history, rest, order, held) {
            return true;
        }
        order.pop();
        held.pop();
        rest.insert(index, entry);
    }
    false
}

/// The same history with room between any two events, and before the first.
fn spread(history: &ObjectHistory) -> ObjectHistory {
    let at = |position: u32| if position == OPEN { OPEN } else { 4 * position + 4 };
    with(history, |entry| Entry { call: at(entry.call), ret: at(entry.ret), ..*entry })
}

fn with(history: &ObjectHistory, change: impl Fn(&Entry) -> Entry) -> ObjectHistory {
    ObjectHistory { entries: history.entries.iter().map(change).collect(), ..history.clone() }
}
