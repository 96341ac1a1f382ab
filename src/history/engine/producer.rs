//! What producers that number their records are promised beyond the log's own rules: each record once (that a value never stands
//! twice is one of these rules), and all of one client's in the order in which it sent them.
//!
//! A client that does not wait has several appends under way, and sent them in the order of the history, though their calls may
//! carry one time. Where an append stands its answer says, or a read.

use std::collections::BTreeMap;

use crate::history::engine::log::{Anomaly, Violation};
use crate::history::{Ask, ClientId, Operation, Outcome, Told, value};

/// Judges a finished history that the log monitor found legal.
pub fn check(history: &[Operation]) -> Result<(), Violation> {
    let seen = seen(history);
    let mut order: Vec<usize> = (0..history.len()).collect();
    order.sort_by_key(|&index| history[index].invoked);
    // The append of each client that stands highest.
    let mut highest: BTreeMap<ClientId, (u64, usize)> = BTreeMap::new();
    for index in order {
        let Operation { client, ask: Ask::Append { values }, outcome, .. } = &history[index] else { continue };
        let place = match outcome {
            Outcome::Ok(Told::Appended { offset }) => Some(*offset),
            _ => values.first().and_then(|first| seen.get(first)).copied(),
        };
        let Some(base) = place else { continue };
        match highest.get(client) {
            Some(&(above, earlier)) if above > base => return Err(violation(history, (earlier, above), (index, base))),
            _ => {
                highest.insert(*client, (base, index));
            }
        }
    }
    Ok(())
}

/// Where reads have seen the values of open appends.
fn seen(history: &[Operation]) -> BTreeMap<u64, u64> {
    let open = |operation: &&Operation| operation.outcome == Outcome::Open;
    let first = |operation: &Operation| match &operation.ask {
        Ask::Append { values } => values.first().copied(),
        _ => None,
    };
    let mut seen: BTreeMap<u64, Option<u64>> =
        history.iter().filter(open).filter_map(first).map(|value| (value, None)).collect();
    if !seen.is_empty() {
        for operation in history {
            let Outcome::Ok(Told::Read { values, .. }) = &operation.outcome else { continue };
            for (offset, value) in values {
                if let Some(place) = seen.get_mut(value) {
                    *place = Some(*offset);
                }
            }
        }
    }
    seen.into_iter().filter_map(|(value, offset)| Some((value, offset?))).collect()
}

fn violation(history: &[Operation], (earlier, above): (usize, u64), (later, below): (usize, u64)) -> Violation {
    let name = |index: usize| match &history[index].ask {
        Ask::Append { values } => values.iter().map(|&value| value::name(value)).collect::<Vec<_>>().join(" "),
        _ => unreachable!("only appends stand in a log"),
    };
    let (client, first, second) = (history[later].client, name(earlier), name(later));
    let message = format!(
        "client {client} sent {first} before {second}, but {first} stands at offset {above} and {second} at {below}"
    );
    Violation { anomaly: Anomaly::OutOfSequence, message, operations: vec![earlier, later] }
}
