//! The operations of a log's core in words: what was asked, and of the answer what the others speak of.
//!
//! A read may bring a thousand values, of which one conflicts. Which that is the core itself says: the values that it appends,
//! and the offsets at which they stand, or were said to.

use std::collections::BTreeSet;

use crate::history::{Ask, Operation, Outcome, Told, value};

/// What each operation of a core was asked and told, but for the name of what it did.
pub fn of_log(core: &[&Operation]) -> Vec<String> {
    let offsets = offsets(core);
    core.iter().map(|operation| words(operation, &offsets)).collect()
}

/// The offsets that a core is about.
fn offsets(core: &[&Operation]) -> BTreeSet<u64> {
    let (mut offsets, mut values): (BTreeSet<u64>, BTreeSet<u64>) = Default::default();
    for operation in core {
        if let Ask::Append { values: appended } = &operation.ask {
            values.extend(appended);
            if let Outcome::Ok(Told::Appended { offset }) = operation.outcome {
                // An answer may tell of an offset that no log reaches.
                offsets.extend((0..appended.len() as u64).map_while(|place| offset.checked_add(place)));
            }
        }
    }
    for operation in core {
        if let Outcome::Ok(Told::Read { values: read, .. }) = &operation.outcome {
            offsets.extend(read.iter().filter(|(_, value)| values.contains(value)).map(|(offset, _)| offset));
        }
    }
    offsets
}

fn words(operation: &Operation, offsets: &BTreeSet<u64>) -> String {
    let asked = match &operation.ask {
        Ask::Append { values } => names(values),
        Ask::Tail => String::new(),
        Ask::Read { from } => format!("from {from}"),
        Ask::Get { key } => format!("key {key}"),
        Ask::Put { key, value } => format!("{} under key {key}", value::word(*value)),
        Ask::Cas { key, from, to } => format!("key {key} from {} to {}", held(*from), value::word(*to)),
    };
    let told = match &operation.outcome {
        Outcome::Open => "never answered".to_owned(),
        Outcome::Failed => "refused".to_owned(),
        Outcome::Ok(Told::Appended { offset } | Told::Put { offset }) => format!("offset {offset}"),
        Outcome::Ok(Told::Tail { end }) => format!("ends at {end}"),
        Outcome::Ok(Told::Read { values, next }) => {
            let from = if let Ask::Read { from } = operation.ask { from } else { 0 };
            let mut cells = cells(from, values, *next, offsets);
            cells.push(format!("next {next}"));
            cells.join(", ")
        }
        Outcome::Ok(Told::Got { value }) => held(*value),
        Outcome::Ok(Told::Compared { offset, found }) => format!("offset {offset}, found {}", held(*found)),
        Outcome::Ok(Told::Unreadable { reason }) => reason.clone(),
    };
    format!("{asked} ⇒ {told}").trim_start().to_owned()
}

/// What a read found at these offsets, as far as it came there.
fn cells(from: u64, values: &[(u64, u64)], next: u64, offsets: &BTreeSet<u64>) -> Vec<String> {
    let found = |offset: u64| values.iter().find(|(at, _)| *at == offset).map(|(_, value)| value::name(*value));
    let cell = |&offset: &u64| match found(offset) {
        Some(value) => Some(format!("{value} at {offset}")),
        None => (from <= offset && offset < next).then(|| format!("nothing at {offset}")),
    };
    let mut cells: Vec<String> = offsets.iter().filter_map(cell).collect();
    if cells.len() > CELLS_MAX {
        let more = cells.split_off(CELLS_MAX).len();
        cells.push(format!("{more} more"));
    }
    cells
}

fn names(values: &[u64]) -> String {
    values.iter().map(|&value| value::name(value)).collect::<Vec<_>>().join(" ")
}

fn held(value: Option<u64>) -> String {
    value.map_or("nil".to_owned(), value::word)
}

/// So many values of one read are told.
const CELLS_MAX: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::ClientId;
    use crate::time::Instant;

    fn operation(ask: Ask, outcome: Outcome) -> Operation {
        Operation { client: ClientId(0), ask, invoked: Instant(0), returned: Some(Instant(1)), outcome }
    }

    #[test]
    fn of_a_long_read_what_the_others_speak_of_is_told() {
        let acked = operation(Ask::Append { values: vec![7] }, Outcome::Ok(Told::Appended { offset: 3 }));
        let open = operation(Ask::Append { values: vec![8] }, Outcome::Open);
        let told = Told::Read { values: vec![(1, 5), (2, 6), (4, 8)], next: 9 };
        let read = operation(Ask::Read { from: 0 }, Outcome::Ok(told));
        let tail = operation(Ask::Tail, Outcome::Ok(Told::Tail { end: 2 }));
        let told = of_log(&[&acked, &open, &read, &tail]);
        assert_eq!(
            told,
            ["c0-7 ⇒ offset 3", "c0-8 ⇒ never answered", "from 0 ⇒ nothing at 3, c0-8 at 4, next 9", "⇒ ends at 2"]
        );
    }

    #[test]
    fn of_what_a_read_did_not_look_at_nothing_is_told() {
        let acked = operation(Ask::Append { values: vec![7, 8] }, Outcome::Ok(Told::Appended { offset: 3 }));
        let read = operation(Ask::Read { from: 4 }, Outcome::Ok(Told::Read { values: vec![], next: 5 }));
        assert_eq!(of_log(&[&acked, &read]), ["c0-7 c0-8 ⇒ offset 3", "from 4 ⇒ nothing at 4, next 5"]);
    }
}
