//! A log by its definition, statement by statement and pair by pair: slow, and without an idea in common with the deciders.

use std::collections::{BTreeMap, BTreeSet};

use kraftbed::history::{Ask, Model, Operation, Outcome, Told};

/// Whether one log, and where it is asked for its producers, can have given these answers.
pub fn is_legal(history: &[Operation], model: Model) -> bool {
    let unreadable = |operation: &Operation| matches!(operation.outcome, Outcome::Ok(Told::Unreadable { .. }));
    let Some(bases) = bases(history) else { return false };
    !history.iter().any(unreadable)
        && history.iter().all(is_in_order)
        && contents(history, &bases).is_some_and(|contents| history.iter().all(|read| reads_it(read, &contents)))
        && tails_are_between(history, &bases)
        && is_asked_before_it_is_read(history)
        && keeps_real_time(history, &bases)
        && (model == Model::Log || is_in_sequence(history, &bases))
}

/// Where each append stands, as its answer or a read says; `None` where two of them disagree, or one cannot be.
fn bases(history: &[Operation]) -> Option<BTreeMap<usize, u64>> {
    let mut origins: BTreeMap<u64, (usize, u64)> = BTreeMap::new();
    for (index, operation) in history.iter().enumerate() {
        if let Ask::Append { values } = &operation.ask {
            origins.extend(values.iter().zip(0..).map(|(&value, place)| (value, (index, place))));
        }
    }
    let mut said: BTreeMap<usize, BTreeSet<u64>> = BTreeMap::new();
    for (index, operation) in history.iter().enumerate() {
        match &operation.outcome {
            Outcome::Ok(Told::Appended { offset }) => _ = said.entry(index).or_default().insert(*offset),
            Outcome::Ok(Told::Read { values, .. }) => {
                for (offset, value) in values {
                    let &(append, place) = origins.get(value)?;
                    said.entry(append).or_default().insert(offset.checked_sub(place)?);
                }
            }
            _ => {}
        }
    }
    let is_failed = |index: &usize| history[*index].outcome == Outcome::Failed;
    if said.iter().any(|(append, bases)| bases.len() > 1 || is_failed(append)) {
        return None;
    }
    Some(said.into_iter().filter_map(|(append, bases)| Some((append, bases.into_iter().next()?))).collect())
}

/// What stands at each offset, if one value does.
fn contents(history: &[Operation], bases: &BTreeMap<usize, u64>) -> Option<BTreeMap<u64, u64>> {
    let mut contents = BTreeMap::new();
    for (&append, &base) in bases {
        let Ask::Append { values } = &history[append].ask else { unreachable!("only appends stand anywhere") };
        for (offset, &value) in (base..).zip(values) {
            if contents.insert(offset, value).is_some() {
                return None;
            }
        }
    }
    Some(contents)
}

fn is_in_order(operation: &Operation) -> bool {
    let (Ask::Read { from }, Outcome::Ok(Told::Read { values, next })) = (&operation.ask, &operation.outcome) else {
        return true;
    };
    let offsets: Vec<u64> = values.iter().map(|&(offset, _)| offset).collect();
    from <= next && offsets.is_sorted_by(|a, b| a < b) && offsets.iter().all(|offset| (from..next).contains(&offset))
}

fn reads_it(operation: &Operation, contents: &BTreeMap<u64, u64>) -> bool {
    let (Ask::Read { from }, Outcome::Ok(Told::Read { values, next })) = (&operation.ask, &operation.outcome) else {
        return true;
    };
    contents.range(from..next).map(|(&offset, &value)| (offset, value)).eq(values.iter().copied())
}

fn tails_are_between(history: &[Operation], bases: &BTreeMap<usize, u64>) -> bool {
    let ends = || {
        history.iter().filter_map(|operation| match operation.outcome {
            Outcome::Ok(Told::Tail { end }) => Some(end),
            _ => None,
        })
    };
    bases.iter().all(|(&append, &base)| {
        let Ask::Append { values } = &history[append].ask else { unreachable!("only appends stand anywhere") };
        !ends().any(|end| base < end && end < base + values.len() as u64)
    })
}

fn is_asked_before_it_is_read(history: &[Operation]) -> bool {
    let has = |append: &Operation, value: u64| matches!(&append.ask, Ask::Append { values } if values.contains(&value));
    history.iter().all(|read| match &read.outcome {
        Outcome::Ok(Told::Read { values, .. }) => values.iter().all(|&(_, value)| {
            history.iter().filter(|append| has(append, value)).all(|append| Some(append.invoked) <= read.returned)
        }),
        _ => true,
    })
}

/// Whoever asks after an answer finds no less than that answer proved.
fn keeps_real_time(history: &[Operation], bases: &BTreeMap<usize, u64>) -> bool {
    history.iter().enumerate().all(|(index, later)| {
        let found = match (&later.ask, &later.outcome) {
            (Ask::Append { .. }, _) => bases.get(&index).copied(),
            (_, Outcome::Ok(Told::Tail { end })) => Some(*end),
            _ => None,
        };
        let before = |earlier: &&Operation| earlier.returned.is_some_and(|returned| returned < later.invoked);
        found.is_none_or(|found| history.iter().filter(before).filter_map(proved).all(|proved| proved <= found))
    })
}

/// The length of the log that an answer proves.
fn proved(operation: &Operation) -> Option<u64> {
    match (&operation.ask, &operation.outcome) {
        (Ask::Append { values }, Outcome::Ok(Told::Appended { offset })) => Some(offset + values.len() as u64),
        (_, Outcome::Ok(Told::Tail { end })) => Some(*end),
        (Ask::Read { from }, Outcome::Ok(Told::Read { next, .. })) if next > from => Some(*next),
        _ => None,
    }
}

/// Appends of a client that are asked for at one time were sent in the order of the history.
fn is_in_sequence(history: &[Operation], bases: &BTreeMap<usize, u64>) -> bool {
    bases.iter().all(|(&left, base)| {
        bases.iter().all(|(&right, other)| {
            let sent = |index: usize| (history[index].invoked, index);
            history[left].client != history[right].client || sent(left) >= sent(right) || base <= other
        })
    })
}
