//! What producers that number their records are promised beyond the log's own rules: each record once (that a value never stands
//! twice is one of these rules), and all of one client's in the order in which it sent them.
//!
//! A client that does not wait has several appends under way, and sent them in the order of the history, though their calls may
//! carry one time. Where an append stands its answer says, or a read. Of one that nobody acknowledged it is only asked whether
//! it stands below what the client had sent before: itself it may have been in the log at any time after it was sent.

use std::collections::BTreeMap;

use crate::history::engine::log::{Anomaly, Violation};
use crate::history::{Ask, ClientId, Operation, Outcome, Told, value};

/// Judges a finished history that the log monitor found legal.
pub fn check(history: &[Operation]) -> Result<(), Violation> {
    let seen = seen(history);
    let mut order: Vec<usize> = (0..history.len()).collect();
    order.sort_by_key(|&index| history[index].invoked);
    // The acknowledged append of each client that stands highest.
    let mut highest: BTreeMap<ClientId, Place> = BTreeMap::new();
    for append in order {
        let Operation { client, ask: Ask::Append { .. }, outcome, .. } = &history[append] else { continue };
        let place = match outcome {
            Outcome::Ok(Told::Appended { offset }) => Some(Place { append, base: *offset, by: append }),
            _ => seen.get(&append).copied(),
        };
        let Some(place) = place else { continue };
        match highest.get(client) {
            Some(above) if above.base > place.base => return Err(violation(history, *above, place)),
            _ if matches!(outcome, Outcome::Ok(_)) => _ = highest.insert(*client, place),
            _ => {}
        }
    }
    Ok(())
}

/// Where an append stands, as an operation was told.
#[derive(Clone, Copy)]
struct Place {
    append: usize,
    base: u64,
    by: usize,
}

/// Where reads have seen open appends, any of their values.
fn seen(history: &[Operation]) -> BTreeMap<usize, Place> {
    let mut origins: BTreeMap<u64, (usize, u64)> = BTreeMap::new();
    for (index, operation) in history.iter().enumerate() {
        let (Ask::Append { values }, Outcome::Open) = (&operation.ask, &operation.outcome) else { continue };
        origins.extend(values.iter().zip(0..).map(|(&value, place)| (value, (index, place))));
    }
    let mut seen = BTreeMap::new();
    let reads = history.iter().enumerate().filter(|_| !origins.is_empty());
    for (by, operation) in reads {
        let Outcome::Ok(Told::Read { values, .. }) = &operation.outcome else { continue };
        for (offset, value) in values {
            // One that stands too low for the values before it is torn, which the log's rules tell.
            if let Some(&(append, place)) = origins.get(value)
                && let Some(base) = offset.checked_sub(place)
            {
                seen.entry(append).or_insert(Place { append, base, by });
            }
        }
    }
    seen
}

fn violation(history: &[Operation], earlier: Place, later: Place) -> Violation {
    let name = |place: Place| match &history[place.append].ask {
        Ask::Append { values } => values.iter().map(|&value| value::name(value)).collect::<Vec<_>>().join(" "),
        _ => unreachable!("only appends stand in a log"),
    };
    let told = |place: Place| match (&history[place.by], place.by == place.append) {
        (Operation { returned: Some(at), .. }, true) => format!("was acknowledged at offset {} at {at}", place.base),
        (Operation { client, returned, .. }, _) => {
            let at = returned.map_or("some time".to_owned(), |at| at.to_string());
            format!("was read at offset {} by client {client} at {at}", place.base)
        }
    };
    let anomaly = Anomaly::OutOfSequence;
    let message = format!(
        "{}: client {} sent {} at {} and then {} at {}, but the first {}, and the second {}",
        anomaly.name(),
        history[later.append].client,
        name(earlier),
        history[earlier.append].invoked,
        name(later),
        history[later.append].invoked,
        told(earlier),
        told(later),
    );
    let mut operations = vec![earlier.append, later.append, earlier.by, later.by];
    operations.sort();
    operations.dedup();
    operations.sort_by_key(|&index| history[index].returned);
    Violation { anomaly, message, operations }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::engine::log;
    use crate::time::Instant;

    /// Sent by client 0 at these moments, answered at the tenth.
    fn operation(invoked: u64, ask: Ask, outcome: Outcome) -> Operation {
        let returned = (outcome != Outcome::Open).then_some(Instant(10));
        Operation { client: ClientId(0), ask, invoked: Instant(invoked), returned, outcome }
    }

    fn open(invoked: u64) -> Operation {
        operation(invoked, Ask::Append { values: vec![1, 2] }, Outcome::Open)
    }

    fn acked(invoked: u64) -> Operation {
        operation(invoked, Ask::Append { values: vec![3] }, Outcome::Ok(Told::Appended { offset: 7 }))
    }

    fn read(from: u64, values: &[(u64, u64)]) -> Operation {
        operation(10, Ask::Read { from }, Outcome::Ok(Told::Read { values: values.to_vec(), next: 9 }))
    }

    /// Whoever asks before the log's rules are asked must not be answered with a panic.
    #[test]
    fn a_batch_that_would_begin_before_the_log_does_is_left_to_the_rules_of_the_log() {
        let history = [acked(0), open(1), read(0, &[(0, 2), (7, 3)])];
        assert_eq!(check(&history), Ok(()));
        assert_eq!(log::check(&history).map_err(|violation| violation.anomaly), Err(Anomaly::TornBatch));
    }

    #[test]
    fn a_batch_of_which_one_value_was_seen_stands_from_its_first() {
        let violation = check(&[acked(0), open(1), read(4, &[(4, 2), (7, 3)])]).unwrap_err();
        assert_eq!(violation.operations, [1, 0, 2]);
        assert!(violation.message.contains("c0-1 c0-2 at "), "{violation:?}");
        assert!(violation.message.contains("the second was read at offset 3 by client 0"), "{violation:?}");
        assert_eq!(check(&[acked(1), open(0), read(4, &[(4, 2), (7, 3)])]), Ok(()));
    }
}
