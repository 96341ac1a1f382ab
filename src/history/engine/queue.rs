//! Queues whose elements are distinct: what was taken out says what was put in.
//!
//! There is an order if and only if none of these happened (Henzinger, Sezgin and Vafeiadis, "Aspect-oriented linearizability
//! proofs"; Bouajjani, Emmi, Enea and Hamza, "On reducing linearizability to state reachability"):
//!
//! 1. An element was taken out that nobody put in, or before it was put in.
//! 2. An element was taken out twice.
//! 3. `a` was put in before `b`, and `b` was taken out before `a`, or `a` never.
//! 4. A queue was found empty while at every moment some element was certainly in it: its insertion had returned, and its
//!    removal was not called.
//!
//! A removal that never returned may have taken an element that rule 3 misses, if it was called in time; elements and removals
//! are matched, the most urgent first. Together with rule 4 that is not decided here,
//! nor is a removal of a known element that may not have happened.

use crate::history::objects::{Action, Entry, Name, OPEN};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Queues {
    /// There is an order.
    Legal,
    /// These entries alone cannot be explained.
    Conflict(Vec<u32>),
}

/// An element's way through the queue.
struct Way {
    inserted: u32,
    removed: Option<u32>,
}

/// Decides, if the elements allow it.
pub fn decide(entries: &[Entry]) -> Option<Queues> {
    let of = |action| (0u32..).zip(entries).filter(move |(_, entry)| entry.action == action);
    let mut inserts: Vec<(Name, u32)> = of(Action::Insert).map(|(index, entry)| (entry.a, index)).collect();
    inserts.sort();
    // Rule 1 holds whatever else is there.
    let is_inserted = |entry: &Entry| inserts.binary_search_by_key(&entry.a, |&(element, _)| element).is_ok();
    if let Some((index, _)) = of(Action::Remove).find(|(_, entry)| entry.ret != OPEN && !is_inserted(entry)) {
        return Some(Queues::Conflict(vec![index]));
    }
    let is_doubtful = of(Action::Remove).any(|(_, entry)| entry.ret == OPEN);
    if is_doubtful || inserts.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return None;
    }
    let takes: Vec<u32> = of(Action::Take).map(|(_, entry)| entry.call).collect();
    let empties: Vec<u32> = of(Action::Empty).filter(|(_, entry)| entry.ret != OPEN).map(|(index, _)| index).collect();
    if !takes.is_empty() && !empties.is_empty() {
        return None;
    }
    let mut ways: Vec<Way> = inserts.iter().map(|&(_, inserted)| Way { inserted, removed: None }).collect();
    for (index, entry) in of(Action::Remove) {
        let Ok(place) = inserts.binary_search_by_key(&entry.a, |&(element, _)| element) else {
            return Some(Queues::Conflict(vec![index]));
        };
        if let Some(other) = ways[place].removed.replace(index) {
            return Some(Queues::Conflict(vec![inserts[place].1, other, index]));
        }
        if entry.ret < entries[inserts[place].1 as usize].call {
            return Some(Queues::Conflict(vec![inserts[place].1, index]));
        }
    }
    // An insertion that never returned and that nobody saw need not have happened.
    ways.retain(|way| way.removed.is_some() || entries[way.inserted as usize].ret != OPEN);
    let conflict = overtaken(entries, &ways, takes).or_else(|| never_empty(entries, &ways, &empties));
    Some(conflict.map_or(Queues::Legal, Queues::Conflict))
}

/// Rule 3.
fn overtaken(entries: &[Entry], ways: &[Way], mut takes: Vec<u32>) -> Option<Vec<u32>> {
    let entry = |index: u32| &entries[index as usize];
    let mut by_return: Vec<&Way> = ways.iter().collect();
    by_return.sort_by_key(|way| entry(way.inserted).ret);
    // Of the elements up to each place that were taken out, the one whose removal was called last.
    let mut latest: Vec<Option<&Way>> = Vec::with_capacity(ways.len());
    // Elements that were not taken out, and the first removal of what was put in after them.
    let removal_call = |way: &Way| way.removed.map(|removed| entry(removed).call);
    for (place, way) in by_return.iter().enumerate() {
        let before = place.checked_sub(1).and_then(|before| latest[before]);
        let is_later = removal_call(way) > before.and_then(removal_call);
        latest.push(if is_later { Some(way) } else { before });
    }
    let mut needy: Vec<(u32, u32, &Way)> = Vec::new();
    let mut removed: Vec<(&Way, u32)> = ways.iter().filter_map(|way| Some((way, entry(way.removed?).ret))).collect();
    for &(way, ret) in &removed {
        let before = by_return.partition_point(|other| entry(other.inserted).ret < entry(way.inserted).call);
        let rival = before.checked_sub(1).and_then(|last| latest[last]);
        if let Some(rival) = rival.filter(|rival| removal_call(rival) > Some(ret)) {
            let removals = [rival.removed, way.removed].into_iter().flatten();
            return Some([rival.inserted, way.inserted].into_iter().chain(removals).collect());
        }
    }
    // The removal that returns first of those whose element was put in at or after each place.
    removed.sort_by_key(|(way, _)| entry(way.inserted).call);
    let mut first: Vec<(&Way, u32)> = removed.clone();
    for place in (0..first.len().saturating_sub(1)).rev() {
        if first[place + 1].1 < first[place].1 {
            first[place] = first[place + 1];
        }
    }
    for way in ways.iter().filter(|way| way.removed.is_none()) {
        let after = removed.partition_point(|(other, _)| entry(other.inserted).call < entry(way.inserted).ret);
        if let Some(&(witness, deadline)) = first.get(after) {
            needy.push((deadline, way.inserted, witness));
        }
    }
    needy.sort_by_key(|&(deadline, inserted, _)| (deadline, inserted));
    takes.sort();
    let missed =
        needy.iter().enumerate().find(|(place, (deadline, ..))| takes.get(*place).is_none_or(|call| call > deadline));
    missed.map(|(place, &(deadline, ..))| {
        // Nothing that was called in time is left for it: all that must share it conflict.
        let sharing = needy[..=place].iter().filter(|(other, ..)| *other <= deadline);
        let mut all: Vec<u32> = sharing
            .flat_map(|&(_, inserted, witness)| [Some(inserted), Some(witness.inserted), witness.removed])
            .flatten()
            .collect();
        let in_time = (0u32..).zip(entries).filter(|(_, entry)| entry.action == Action::Take && entry.call < deadline);
        all.extend(in_time.map(|(index, _)| index));
        all.sort();
        all.dedup();
        all
    })
}

/// Rule 4.
fn never_empty(entries: &[Entry], ways: &[Way], empties: &[u32]) -> Option<Vec<u32>> {
    let entry = |index: u32| &entries[index as usize];
    // When each element was certainly in it.
    let mut spans: Vec<(u32, u32, &Way)> = Vec::new();
    for way in ways {
        let (from, to) = (entry(way.inserted).ret, way.removed.map_or(OPEN, |removed| entry(removed).call));
        if from < to {
            spans.push((from, to, way));
        }
    }
    spans.sort_by_key(|&(from, to, _)| (from, to));
    // Each span of time in which it was never empty, with its first span by place.
    let mut covered: Vec<(u32, u32, usize)> = Vec::new();
    for (place, &(from, to, _)) in spans.iter().enumerate() {
        match covered.last_mut().filter(|(_, end, _)| from < *end) {
            Some((_, end, _)) => *end = (*end).max(to),
            None => covered.push((from, to, place)),
        }
    }
    for &index in empties {
        let empty = entry(index);
        let at = covered.partition_point(|&(from, ..)| from < empty.call).checked_sub(1);
        if let Some(&(_, end, first)) = at.map(|at| &covered[at]).filter(|(_, end, _)| *end > empty.ret) {
            let of_it = spans[first..].iter().take_while(|(from, ..)| *from < end);
            let near = of_it.filter(|(from, to, _)| *from < empty.ret && *to > empty.call);
            let mut all = vec![index];
            all.extend(near.flat_map(|(_, _, way)| [Some(way.inserted), way.removed]).flatten());
            return Some(all);
        }
    }
    None
}
