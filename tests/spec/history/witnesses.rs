//! Orders that somebody claims to have seen: what they explain is explained, and what they cannot, no placing of reads can.

use kraftbed::history::Model;
use kraftbed::history::engine::decide::{Engine, by_witness, parts};
use kraftbed::history::objects::{Action, Entry, OPEN, ObjectHistory};
use kraftbed::prng::Prng;

use super::brute::{self, Held};
use super::random::{self, Shape};

#[test]
fn a_witness_whose_order_explains_everything_is_believed_and_no_other() {
    let (mut believed, mut refused, mut lying) = (0, 0, 0);
    for (number, model) in (0..).zip([Model::Register, Model::CasRegister, Model::Kv, Model::Lock]) {
        let mut prng = Prng::new(13, number);
        for round in 0..6_000 {
            let values = if round % 2 == 0 { 3 } else { 30 };
            let is_unique = values == 30 && model != Model::Lock;
            let shape =
                Shape { model, operations: 8, processes: 3, values, is_unique, open: 20, bent: 8 * (round % 3) };
            let history = random::draw(&mut prng, shape);
            if history.entries.iter().any(|entry| entry.action == Action::Append) {
                continue;
            }
            for part in parts(&history) {
                let entries = &part.entries[..];
                let changes = claimed(&mut prng, entries);
                let expected = explains(&history, entries, &changes);
                match by_witness(&history, entries, &changes) {
                    Ok(decision) => {
                        // What never returned and left what nobody saw may be passed over, so this can be more than was claimed.
                        assert!(brute::is_linearizable(&history), "{changes:?} of {entries:#?}");
                        assert_eq!(decision.engine, Engine::Witness);
                        believed += 1;
                    }
                    Err(entry) => {
                        assert!(!expected, "{changes:?} of {entries:#?}");
                        assert!(entries.contains(&entry));
                        refused += 1;
                        lying += u32::from(brute::is_linearizable(&history));
                    }
                }
            }
        }
    }
    assert!(
        believed > 2_000 && refused > 2_000 && lying > 1_000,
        "{believed} believed, {refused} refused, {lying} of them lied"
    );
}

/// Changes in an order that somebody may claim to have seen: nearly that of their calls, and not all that never returned.
fn claimed(prng: &mut Prng, entries: &[Entry]) -> Vec<u32> {
    let mut is_change = |entry: &Entry| !entry.is_observation() && (entry.ret != OPEN || prng.chance(1, 2));
    let mut changes: Vec<u32> =
        (0..).zip(entries).filter(|(_, entry)| is_change(entry)).map(|(index, _)| index).collect();
    for place in 1..changes.len() {
        if prng.chance(1, 4) {
            changes.swap(place - 1, place);
        }
    }
    if prng.chance(1, 30) {
        changes.pop();
    }
    changes
}

/// Tries every place of every observation between the changes.
fn explains(history: &ObjectHistory, entries: &[Entry], changes: &[u32]) -> bool {
    let is_given = |index: usize| changes.contains(&(index as u32));
    let is_missing = |(index, entry): (usize, &Entry)| !entry.is_observation() && entry.ret != OPEN && !is_given(index);
    if entries.iter().enumerate().any(is_missing) {
        return false;
    }
    let observations: Vec<usize> =
        (0..entries.len()).filter(|&index| entries[index].is_observation() && entries[index].ret != OPEN).collect();
    goes_on(history, entries, changes, observations, &brute::start(history))
}

fn goes_on(history: &ObjectHistory, entries: &[Entry], changes: &[u32], left: Vec<usize>, held: &Held) -> bool {
    let next = changes.first().map(|&change| change as usize);
    let rest = || left.iter().copied().chain(changes.iter().map(|&change| change as usize));
    let may_be_first = |index: usize| rest().all(|other| entries[other].ret > entries[index].call);
    for place in 0..left.len() {
        let index = left[place];
        if may_be_first(index) && brute::apply(history, held, &entries[index]).is_some() {
            let mut others = left.clone();
            others.remove(place);
            if goes_on(history, entries, changes, others, held) {
                return true;
            }
        }
    }
    let Some(next) = next else { return left.is_empty() };
    match brute::apply(history, held, &entries[next]) {
        Some(held) => may_be_first(next) && goes_on(history, entries, &changes[1..], left, &held),
        // What never returned need not have happened.
        None => entries[next].ret == OPEN && goes_on(history, entries, &changes[1..], left, held),
    }
}
