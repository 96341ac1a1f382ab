//! Histories by construction: clients that are always busy, which is harsher than real ones.

use kraftbed::history::Model;
use kraftbed::history::engine::sweep::{Deed, LogEntry, LogHistory};
use kraftbed::history::objects::{Action, Clock, Entry, NIL, Name, OPEN, ObjectHistory};
use kraftbed::prng::Prng;

/// What registers to make.
#[derive(Clone, Copy)]
pub struct Registers {
    pub operations: u32,
    pub clients: u32,
    pub keys: u32,
    /// Different values; 0 for a new one with every write, and no compare-and-set.
    pub values: u32,
    /// Whether a read near the end returns what was there long before.
    pub is_stale: bool,
}

/// Shapes with their descriptions.
pub const REGISTERS: &[(&str, Registers)] = &[
    ("kv, 100 clients, 100 keys, 5 values, cas", shape(1_000_000, 100, 100, 5, false)),
    ("kv, 100 clients, 1000 keys, 5 values, cas, stale", shape(1_000_000, 100, 1000, 5, true)),
    ("kv, 100 clients, 100 keys, distinct values", shape(1_000_000, 100, 100, 0, false)),
    ("kv, 100 clients, 100 keys, distinct values, stale", shape(1_000_000, 100, 100, 0, true)),
    ("one register, 15 clients, 5 values, cas, stale", shape(2_000, 15, 1, 5, true)),
    ("one register, 30 clients, 5 values, cas", shape(2_000, 30, 1, 5, false)),
    ("one register, 30 clients, distinct values, stale", shape(2_000, 30, 1, 0, true)),
];

const fn shape(operations: u32, clients: u32, keys: u32, values: u32, is_stale: bool) -> Registers {
    Registers { operations, clients, keys, values, is_stale }
}

/// Makes registers. Half of the operations are reads; each takes effect at its call or at its return.
pub fn registers(shape: Registers) -> ObjectHistory {
    let mut prng = Prng::new(1, 0);
    let mut history = ObjectHistory::new(Model::Kv, Clock::Nanoseconds);
    let values: Vec<Name> = (0..shape.values).map(|value| history.values.name(&value.to_string())).collect();
    let keys: Vec<Name> = (0..shape.keys).map(|key| history.keys.name(&key.to_string())).collect();
    let mut held = vec![NIL; keys.len() + 1];
    let mut old = held.clone();
    let mut running: Vec<Option<(Entry, bool)>> = vec![None; shape.clients as usize];
    let (mut called, mut position) = (0, 0);
    while history.entries.len() < shape.operations as usize {
        let client = prng.below(u64::from(shape.clients)) as usize;
        match running[client].take() {
            None if called == shape.operations => continue,
            None => {
                let mut value = |prng: &mut Prng| match values.len() {
                    0 => history.values.name(&called.to_string()),
                    _ => *prng.pick(&values),
                };
                let (action, a, b) = match prng.below(10) {
                    0..=4 => (Action::Read, NIL, NIL),
                    8.. if shape.values > 0 => (Action::Cas, value(&mut prng), value(&mut prng)),
                    _ => (Action::Write, value(&mut prng), NIL),
                };
                let key = *prng.pick(&keys);
                let mut entry = Entry { action, a, b, key, process: client as u32, call: position, ret: OPEN };
                let is_early = prng.chance(1, 2);
                if is_early {
                    take_effect(&mut entry, &mut held);
                }
                running[client] = Some((entry, is_early));
                called += 1;
            }
            Some((mut entry, is_early)) => {
                if !is_early {
                    take_effect(&mut entry, &mut held);
                }
                entry.ret = position;
                history.entries.push(entry);
                if history.entries.len() == shape.operations as usize / 20 {
                    old = held.clone();
                }
            }
        }
        history.stamps.push(u64::from(position));
        position += 1;
    }
    history.entries.sort_by_key(|entry| entry.call);
    if shape.is_stale {
        let late = &mut history.entries[shape.operations as usize * 9 / 10..];
        let stale = |entry: &&mut Entry| entry.action == Action::Read && entry.a != old[entry.key as usize];
        let read = late.iter_mut().find(stale).expect("some read near the end");
        read.a = old[read.key as usize];
    }
    history
}

fn take_effect(entry: &mut Entry, held: &mut [Name]) {
    let held = &mut held[entry.key as usize];
    match entry.action {
        Action::Read => entry.a = *held,
        Action::Write => *held = entry.a,
        Action::Cas if *held == entry.a => *held = entry.b,
        _ => (entry.action, entry.b) = (Action::Refused, NIL),
    }
}

/// Makes a log: half appends, half tails, each taking effect at its return.
pub fn log(operations: u32, clients: u32, is_stale: bool) -> LogHistory {
    let mut prng = Prng::new(1, 0);
    let mut history = LogHistory::default();
    let mut running: Vec<Option<usize>> = vec![None; clients as usize];
    let (mut position, mut returned, mut end) = (0, 0, 0);
    while returned < operations {
        let client = prng.below(u64::from(clients)) as usize;
        match running[client].take() {
            None if history.entries.len() == operations as usize => continue,
            None => {
                let deed = match prng.chance(1, 2) {
                    true => {
                        history.values += 1;
                        Deed::Append { first: history.values - 1, count: 1, base: None }
                    }
                    false => Deed::Tail { end: 0 },
                };
                running[client] = Some(history.entries.len());
                history.entries.push(LogEntry { deed, call: position, ret: OPEN, process: client as u32 });
            }
            Some(index) => {
                let entry = &mut history.entries[index];
                entry.ret = position;
                match &mut entry.deed {
                    Deed::Append { base, .. } => {
                        *base = Some(end);
                        end += 1;
                    }
                    Deed::Tail { end: told } => *told = end,
                    Deed::Failed { .. } | Deed::Read { .. } => {
                        unreachable!("the log is appended to and asked for its end")
                    }
                }
                returned += 1;
            }
        }
        position += 1;
    }
    if is_stale {
        let late = &mut history.entries[operations as usize * 9 / 10..];
        let told = late.iter_mut().find_map(|entry| match &mut entry.deed {
            Deed::Tail { end } => Some(end),
            _ => None,
        });
        *told.expect("some tail near the end") -= u64::from(operations / 10);
    }
    history
}
