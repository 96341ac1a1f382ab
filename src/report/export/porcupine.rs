//! A history for Porcupine: calls and returns in their order, and what else happened as annotations.
//!
//! ```text
//! {"version":1,"unit":"ns",
//!  "events":[{"kind":"call","id":0,"client":3,"time":1200,"value":{"f":"append","values":["c3-0"]}},
//!            {"kind":"return","id":0,"client":3,"time":3400,"value":{"ok":{"offset":7}}}, …],
//!  "annotations":[{"tag":"n1","start":900,"end":5000,"description":"leader of epoch 2"}, …]}
//! ```
//!
//! Porcupine knows no operation without an end. One whose end nobody knows returns after everything else, `{"open":true}`:
//! its step allows both that it happened and that it did not. One that failed is left out, for it did not happen. Clients
//! are processes, one for each operation that a client has under way at a time.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::history::{Ask, Outcome, Told, value};
use crate::raft::note::Note;
use crate::raft::view::RoleKind;
use crate::report::export::processes::{Moment, Processes};
use crate::time::Instant;
use crate::trace::{Event, EventKind, Place, words};

/// The history of a trace.
pub fn export(events: &[Event]) -> String {
    let end = events.last().map_or(Instant::ZERO, |event| event.at);
    let lines = |items: Vec<Value>| {
        let lines: Vec<String> = items.iter().map(Value::to_string).collect();
        if lines.is_empty() { String::new() } else { format!("\n{}\n", lines.join(",\n")) }
    };
    format!(
        "{{\"version\":1,\"unit\":\"ns\",\"events\":[{}],\"annotations\":[{}]}}\n",
        lines(calls_and_returns(events, end)),
        lines(annotations(events, end))
    )
}

fn calls_and_returns(events: &[Event], end: Instant) -> Vec<Value> {
    let failed: BTreeSet<usize> = events.iter().filter_map(failed).collect();
    let mut processes = Processes::new(events);
    let mut out = Vec::new();
    let mut open: BTreeMap<usize, usize> = BTreeMap::new();
    for event in events {
        let Some(step) = processes.step(event) else { continue };
        if failed.contains(&step.index) {
            continue;
        }
        let value = match (step.moment, &step.operation.outcome) {
            (Moment::Asked, _) => asked(&step.operation.ask),
            (Moment::Over, Outcome::Ok(told)) => json!({ "ok": answered(told) }),
            (Moment::Over, _) => {
                open.insert(step.index, step.process);
                continue;
            }
        };
        out.push(line(step.moment, step.index, step.process, event.at, &value));
    }
    open.extend(processes.under_way().filter(|(index, _)| !failed.contains(index)));
    let returns =
        open.into_iter().map(|(index, process)| line(Moment::Over, index, process, end, &json!({ "open": true })));
    out.extend(returns);
    out
}

/// The number of an operation that did not happen, where an event says so.
fn failed(event: &Event) -> Option<usize> {
    match &event.kind {
        EventKind::Operation { index, operation } if operation.outcome == Outcome::Failed => Some(*index),
        _ => None,
    }
}

fn line(moment: Moment, id: usize, client: usize, at: Instant, value: &Value) -> Value {
    let kind = if moment == Moment::Asked { "call" } else { "return" };
    json!({ "kind": kind, "id": id, "client": client, "time": at.0, "value": value })
}

fn asked(ask: &Ask) -> Value {
    match ask {
        Ask::Append { values } => json!({ "f": "append", "values": names(values) }),
        Ask::Tail => json!({ "f": "tail" }),
        Ask::Read { from } => json!({ "f": "read", "from": from }),
        Ask::Get { key } => json!({ "f": "get", "key": key }),
        Ask::Put { key, value } => json!({ "f": "put", "key": key, "value": value::word(*value) }),
        Ask::Cas { key, from, to } => {
            json!({ "f": "cas", "key": key, "from": from.map(value::word), "to": value::word(*to) })
        }
    }
}

fn answered(told: &Told) -> Value {
    match told {
        Told::Appended { offset } | Told::Put { offset } => json!({ "offset": offset }),
        Told::Tail { end } => json!({ "end": end }),
        Told::Read { values, next } => {
            let pairs: Vec<_> = values.iter().map(|(offset, value)| json!([offset, value::name(*value)])).collect();
            json!({ "values": pairs, "next": next })
        }
        Told::Got { value } => json!({ "value": value.map(value::word) }),
        Told::Compared { offset, found } => json!({ "offset": offset, "found": found.map(value::word) }),
        Told::Unreadable { reason } => json!({ "unreadable": reason }),
    }
}

fn names(values: &[u64]) -> Vec<String> {
    values.iter().map(|value| value::name(*value)).collect()
}

/// Faults as moments; leaderships, and times at which a node was down, as spans.
fn annotations(events: &[Event], end: Instant) -> Vec<Value> {
    let mut out = Vec::new();
    let mut spans: BTreeMap<Place, (Instant, String)> = BTreeMap::new();
    for event in events {
        let begun = match &event.kind {
            EventKind::Fault { .. } => {
                out.push(annotation("faults", event.at, event.at, &words::event(event)));
                continue;
            }
            EventKind::Note(Note::Became { role, epoch, .. }) => {
                (*role == RoleKind::Leader).then(|| format!("leader of epoch {epoch}"))
            }
            EventKind::Down { what } => Some(format!("down: {what}")),
            EventKind::Started { .. } => None,
            _ => continue,
        };
        if let Some((since, what)) = spans.remove(&event.place) {
            out.push(annotation(&words::place(event.place), since, event.at, &what));
        }
        if let Some(what) = begun {
            spans.insert(event.place, (event.at, what));
        }
    }
    out.extend(spans.iter().map(|(place, (since, what))| annotation(&words::place(*place), *since, end, what)));
    out
}

fn annotation(tag: &str, start: Instant, end: Instant, what: &str) -> Value {
    json!({ "tag": tag, "start": start.0, "end": end.0, "description": what })
}
