//! The second algorithm: breadth first, from return to return, with every state that any order can have led to.
//!
//! It has none of the search's rules, and its steps are those of the brute force. It can decide what that cannot: long histories
//! of a few clients.

use std::collections::BTreeSet;

use kraftbed::history::objects::{Entry, OPEN, ObjectHistory};

use super::brute::{self, Held};

/// What was done of the operations under way, and what the object holds.
type State = (BTreeSet<usize>, Held);

/// Whether the history of one object is linearizable, and if not, the return that no order gets past.
pub fn decide(history: &ObjectHistory, entries: &[Entry]) -> Result<(), Entry> {
    let mut returns: Vec<usize> = (0..entries.len()).filter(|&index| entries[index].ret != OPEN).collect();
    returns.sort_by_key(|&index| entries[index].ret);
    let mut states = BTreeSet::from([(BTreeSet::new(), brute::start(history))]);
    for (passed, &returned) in returns.iter().enumerate() {
        let over = &returns[..passed];
        let moment = entries[returned].ret;
        let is_under_way = |index: &usize| entries[*index].call < moment && !over.contains(index);
        let under_way: Vec<usize> = (0..entries.len()).filter(is_under_way).collect();
        states = reachable(history, entries, &under_way, states);
        states.retain(|(done, _)| done.contains(&returned));
        states = states.into_iter().map(|(done, held)| (&done - &BTreeSet::from([returned]), held)).collect();
        if states.is_empty() {
            return Err(entries[returned]);
        }
    }
    Ok(())
}

fn reachable(
    history: &ObjectHistory,
    entries: &[Entry],
    under_way: &[usize],
    states: BTreeSet<State>,
) -> BTreeSet<State> {
    let mut fresh: Vec<State> = states.iter().cloned().collect();
    let mut all = states;
    while let Some((done, held)) = fresh.pop() {
        for &index in under_way.iter().filter(|index| !done.contains(index)) {
            let Some(held) = brute::apply(history, &held, &entries[index]) else { continue };
            let next = (&done | &BTreeSet::from([index]), held);
            if all.insert(next.clone()) {
                fresh.push(next);
            }
        }
    }
    all
}
