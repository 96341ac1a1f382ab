//! Every event as numbers in columns, every text once: the page's data, as JSON.
//!
//! ```text
//!  places  ["world","c0",…,"n0",…]      texts  ["Fetch@4 98@4",…]
//!  at      [4962, 1348, …]              nanoseconds since the row before
//!  place   [4, 5, …]   kind [4, …]   text [0, …]     indexes
//!  cause   [0, 12, …]                   this many rows before; 0 is none
//!  peer    [0, 3, …]                    index of the other end's place and 1; 0 is none
//! ```
//!
//! Columns of small numbers take a third of the room that an object for each event would, and a browser reads a million
//! rows of them in a second.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Write};

use serde_json::{Value, json};

use crate::history::objects::Clock;
use crate::report::tracks::{Field, ROLES, tracks};
use crate::report::{Operation, Report};
use crate::time::Instant;
use crate::trace::timeline;
use crate::trace::words;
use crate::trace::{Event, EventKind, Place};

/// The whole of the data, as the text of a JSON object.
pub fn json(report: &Report<'_>) -> String {
    let spans = vec![(None, None); report.operations.len()];
    let mut table = Table { spans, ..Table::default() };
    table.name_places(report);
    match report.events {
        [] => table.enter_operations(&report.operations),
        events => table.enter(events),
    }
    table.write(report)
}

#[derive(Default)]
struct Table {
    places: Vec<String>,
    texts: Texts,
    rows: Vec<Row>,
    /// For each operation: the rows of its invoke and its return.
    spans: Vec<(Option<usize>, Option<usize>)>,
}

struct Row {
    at: Instant,
    place: usize,
    kind: usize,
    text: usize,
    /// The row of its cause.
    cause: Option<usize>,
    peer: Option<usize>,
}

#[derive(Default)]
struct Texts {
    numbers: BTreeMap<String, usize>,
}

impl Texts {
    fn number(&mut self, text: &str) -> usize {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.numbers.len();
        self.numbers.insert(text.to_owned(), number);
        number
    }

    fn in_order(&self) -> Vec<&str> {
        let mut texts = vec![""; self.numbers.len()];
        for (text, &number) in &self.numbers {
            texts[number] = text;
        }
        texts
    }
}

impl Table {
    /// The world, clients, nodes.
    fn name_places(&mut self, report: &Report<'_>) {
        let mut places: Vec<Place> = report.events.iter().map(|event| event.place).chain([Place::World]).collect();
        places.extend(report.events.iter().filter_map(|event| peer(&event.kind)));
        let rank = |place: &Place| match place {
            Place::World => (0, 0),
            Place::Client(client) => (1, *client),
            Place::Node(node) => (2, *node),
        };
        places.sort_by_key(rank);
        places.dedup();
        self.places = places.into_iter().map(words::place).collect();
        let known: BTreeSet<&String> = self.places.iter().collect();
        let clients = report.operations.iter().map(|operation| &operation.client);
        let others: BTreeSet<&String> = clients.filter(|client| !known.contains(client)).collect();
        let mut others: Vec<String> = others.into_iter().cloned().collect();
        others.sort_by_key(|client| client.trim_start_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().ok());
        self.places.extend(others);
    }

    fn place(&self, name: &str) -> usize {
        self.places.iter().position(|known| known == name).expect("invariant: all places were named")
    }

    fn enter(&mut self, events: &[Event]) {
        let places: BTreeMap<Place, usize> = (events.iter().map(|event| event.place))
            .chain(events.iter().filter_map(|event| peer(&event.kind)))
            .map(|place| (place, self.place(&words::place(place))))
            .collect();
        let row_of = |id| events.binary_search_by_key(&id, |event: &Event| event.id).ok();
        for (row, event) in events.iter().enumerate() {
            let text = match &event.kind {
                EventKind::Sent { what, .. } | EventKind::Received { what, .. } => self.texts.number(what),
                EventKind::Lost { what, why, .. } => self.texts.number(&format!("{what}: {why}")),
                _ => self.texts.number(&words::event(event)),
            };
            if let EventKind::Operation { index, operation } = &event.kind {
                self.span(*index, row, operation.returned.is_some());
            }
            self.rows.push(Row {
                at: event.at,
                place: places[&event.place],
                kind: kind_number(timeline::kind(&event.kind)),
                text,
                cause: event.cause.and_then(row_of).filter(|&cause| cause < row),
                peer: peer(&event.kind).map(|peer| places[&peer]),
            });
        }
    }

    /// The first row of an operation is its invoke, the last its return.
    fn span(&mut self, index: usize, row: usize, has_returned: bool) {
        let Some((invoke, end)) = self.spans.get_mut(index) else { return };
        match invoke {
            None if !has_returned => *invoke = Some(row),
            _ => *end = Some(row),
        }
    }

    /// A history alone: each operation is two rows, in the order of time; who asks at the instant of an answer asks first,
    /// because events of one instant count as concurrent.
    fn enter_operations(&mut self, operations: &[Operation]) {
        let mut moments: Vec<(Instant, bool, usize)> = Vec::with_capacity(operations.len() * 2);
        for (index, operation) in operations.iter().enumerate() {
            moments.push((operation.invoked, false, index));
            moments.extend(operation.returned.map(|at| (at, true, index)));
        }
        moments.sort();
        for (row, (at, is_return, index)) in moments.into_iter().enumerate() {
            let operation = &operations[index];
            let cause = self.spans[index].0.filter(|_| is_return);
            let (place, text) = (self.place(&operation.client), self.texts.number(&operation.what));
            match is_return {
                false => self.spans[index].0 = Some(row),
                true => self.spans[index].1 = Some(row),
            }
            self.rows.push(Row { at, place, kind: kind_number("operation"), text, cause, peer: None });
        }
    }

    fn write(mut self, report: &Report<'_>) -> String {
        let operations = self.operations(report);
        let mut out = String::from("{");
        put(&mut out, "title", &json!(report.title));
        put(&mut out, "clock", &json!(if report.clock == Clock::Lines { "lines" } else { "nanoseconds" }));
        put(&mut out, "facts", &json!(report.facts));
        put(&mut out, "finding", &finding(report));
        put(&mut out, "places", &json!(self.places));
        put(&mut out, "kinds", &json!(KINDS));
        put(&mut out, "roles", &json!(ROLES));
        put(&mut out, "operations", &operations);
        out.push_str("\"tracks\":");
        self.write_tracks(&mut out, report.events);
        put(&mut out, "texts", &json!(self.texts.in_order()));
        let mut before = 0;
        let since = self.rows.iter().map(|row| row.at.0 - std::mem::replace(&mut before, row.at.0));
        column(&mut out, "at", since);
        column(&mut out, "place", self.rows.iter().map(|row| row.place));
        column(&mut out, "kind", self.rows.iter().map(|row| row.kind));
        column(&mut out, "text", self.rows.iter().map(|row| row.text));
        let back = |(row, of): (usize, &Row)| of.cause.map_or(0, |cause| row - cause);
        column(&mut out, "cause", self.rows.iter().enumerate().map(back));
        column(&mut out, "peer", self.rows.iter().map(|row| row.peer.map_or(0, |peer| peer + 1)));
        out.pop();
        out.push('}');
        out
    }

    /// Client, text, ending, row of the invoke, row of the return; -1 is none.
    fn operations(&mut self, report: &Report<'_>) -> Value {
        let row = |row: Option<usize>| row.map_or(-1, |row| row as i64);
        let tuple = |(index, operation): (usize, &Operation)| {
            let (invoke, end) = self.spans.get(index).copied().unwrap_or_default();
            let text = self.texts.number(&operation.what);
            json!([self.place(&operation.client), text, operation.ending as u8, row(invoke), row(end)])
        };
        report.operations.iter().enumerate().map(tuple).collect()
    }

    fn write_tracks(&self, out: &mut String, events: &[Event]) {
        out.push('{');
        for (node, fields) in tracks(events) {
            let place = self.place(&words::place(Place::Node(node)));
            write!(out, "\"{place}\":{{").expect("invariant: writing to a string succeeds");
            for field in Field::ALL {
                let track = fields.get(&field).map_or(&[][..], |track| &track[..]);
                column(out, &format!("{}At", field.name()), track.iter().map(|(row, _)| row));
                column(out, field.name(), track.iter().map(|(_, value)| value));
            }
            out.pop();
            out.push_str("},");
        }
        if out.ends_with(',') {
            out.pop();
        }
        out.push_str("},");
    }
}

fn finding(report: &Report<'_>) -> Value {
    let finding = &report.finding;
    json!({
        "verdict": finding.verdict,
        "sentence": finding.sentence,
        "rule": finding.rule,
        "at": finding.at.map(|at| at.0),
        "conflict": finding.conflict,
        "orders": finding.orders,
        "prefix": finding.prefix.as_ref().map(|prefix| json!({ "sentence": prefix.sentence, "order": prefix.order })),
        "causes": finding.causes,
        "times": finding.times,
        "notes": finding.notes,
        "replay": finding.replay,
    })
}

fn peer(kind: &EventKind) -> Option<Place> {
    match kind {
        EventKind::Sent { to, .. } | EventKind::Lost { to, .. } => Some(*to),
        EventKind::Received { from, .. } => Some(*from),
        _ => None,
    }
}

fn kind_number(name: &str) -> usize {
    KINDS.iter().position(|known| *known == name).expect("invariant: every kind has a number")
}

fn put(out: &mut String, name: &str, value: &Value) {
    write!(out, "\"{name}\":{value},").expect("invariant: writing to a string succeeds");
}

fn column(out: &mut String, name: &str, numbers: impl Iterator<Item = impl Display>) {
    write!(out, "\"{name}\":[").expect("invariant: writing to a string succeeds");
    for number in numbers {
        write!(out, "{number},").expect("invariant: writing to a string succeeds");
    }
    if out.ends_with(',') {
        out.pop();
    }
    out.push_str("],");
}

/// What kinds of event there are, as `events.jsonl` calls them.
const KINDS: [&str; 12] =
    ["sent", "received", "lost", "disk", "note", "tick", "fault", "started", "down", "operation", "state", "violated"];
