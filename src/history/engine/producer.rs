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
            if let Some(&(append, place)) = origins.get(value) {
                seen.entry(append).or_insert(Place { append, base: offset - place, by });
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
