//! A trace for Perfetto, as Chrome's trace events in JSON: the whole of it, but for timers that were due.
//!
//! A process is a node or a client, and the world itself is one. A node has tracks for its role, its disk and its network; a
//! message is an arrow between two network tracks, and a span while it is under way; an operation is a span of its client.
//! Faults are instants across everything; epoch, log end and high watermark are counters. `ts` is virtual time.
//!
//! What happens at a moment is a slice of one nanosecond: an arrow needs a slice to begin at. Spans that may overlap are
//! asynchronous ones with ids, because slices on a track may only nest.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use crate::raft::note::Note;
use crate::report::export::processes::{Moment, Processes};
use crate::time::Instant;
use crate::trace::{Event, EventId, EventKind, Place, timeline, words};

/// The trace events of a trace.
pub fn export(events: &[Event]) -> String {
    let mut tracks = Tracks { out: Vec::new(), roles: BTreeMap::new(), under_way: BTreeMap::new() };
    tracks.name_all(events);
    let mut processes = Processes::new(events);
    for event in events {
        tracks.add(event, &mut processes);
    }
    let end = events.last().map_or(Instant::ZERO, |event| event.at);
    tracks.finish(end);
    let mut text = String::from("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n");
    text.push_str(&tracks.out.join(",\n"));
    text.push_str("\n]}\n");
    text
}

struct Tracks {
    out: Vec<String>,
    /// Since when a node has been what.
    roles: BTreeMap<Place, (Instant, String)>,
    /// Spans that have begun: operations by number, messages by event.
    under_way: BTreeMap<(&'static str, u64), (Place, String)>,
}

impl Tracks {
    fn name_all(&mut self, events: &[Event]) {
        let mut places: Vec<Place> = events.iter().map(|event| event.place).collect();
        places.sort();
        places.dedup();
        for place in places {
            let name = words::place(place);
            self.raw(place, 0, "M", Instant::ZERO, "process_name", json!({ "args": { "name": name } }));
            let sort = json!({ "args": { "sort_index": pid(place) } });
            self.raw(place, 0, "M", Instant::ZERO, "process_sort_index", sort);
            for (track, name) in TRACKS.into_iter().filter(|_| matches!(place, Place::Node(_))) {
                self.raw(place, track, "M", Instant::ZERO, "thread_name", json!({ "args": { "name": name } }));
            }
        }
    }

    fn add(&mut self, event: &Event, processes: &mut Processes) {
        let what = words::event(event);
        match &event.kind {
            EventKind::Tick => {}
            EventKind::Sent { to, .. } => {
                self.moment(event, NETWORK, &what);
                let id = json!({ "cat": "message", "id": event.id.0 });
                self.raw(event.place, NETWORK, "s", event.at, "message", id);
                self.begin(event, ("message", event.id.0), &format!("→ {}", words::place(*to)));
            }
            EventKind::Received { .. } => {
                self.moment(event, NETWORK, &what);
                if let Some(EventId(sent)) = event.cause {
                    let id = json!({ "cat": "message", "id": sent, "bp": "e" });
                    self.raw(event.place, NETWORK, "f", event.at, "message", id);
                    self.end(event.at, ("message", sent), Value::Null);
                }
            }
            EventKind::Lost { .. } => self.moment(event, NETWORK, &what),
            EventKind::Disk { .. } => self.moment(event, DISK, &what),
            EventKind::Fault { .. } | EventKind::Violated { .. } => {
                let scope = json!({ "s": "g", "cat": timeline::kind(&event.kind) });
                self.raw(event.place, 0, "i", event.at, &what, scope);
            }
            EventKind::Note(note) => {
                self.moment(event, ROLE, &what);
                if let Note::Became { role, epoch, .. } = note {
                    self.role(event, format!("{} of epoch {epoch}", role.name()));
                }
            }
            EventKind::Started { .. } => self.role(event, "starting".to_owned()),
            EventKind::Down { .. } => self.role(event, what),
            EventKind::State { what } => self.counters(event, what),
            EventKind::Operation { index, .. } => {
                let moment = processes.step(event).map(|step| step.moment);
                let id = ("operation", *index as u64);
                match moment {
                    Some(Moment::Over) => self.end(event.at, id, json!({ "args": { "ended": what } })),
                    _ => self.begin(event, id, &what),
                }
            }
        }
    }

    /// What a node is from here on.
    fn role(&mut self, event: &Event, role: String) {
        let before = self.roles.insert(event.place, (event.at, role));
        self.role_was(event.place, before, event.at);
    }

    fn role_was(&mut self, place: Place, role: Option<(Instant, String)>, until: Instant) {
        if let Some((since, role)) = role.filter(|(since, _)| *since < until) {
            let span = Instant(until.0 - since.0);
            self.span(place, ROLE, since, span, &role);
        }
    }

    fn moment(&mut self, event: &Event, track: u32, what: &str) {
        // What a node notes stands beside its role, so that neither cuts the other.
        let track = if track == ROLE { NOTES } else { track };
        self.span(event.place, track, event.at, Instant(1), what);
    }

    fn span(&mut self, place: Place, track: u32, since: Instant, span: Instant, what: &str) {
        let mut line = self.head(place, track, "X", since, what);
        write!(line, ",\"dur\":{}}}", micros(span)).expect(WRITES);
        self.out.push(line);
    }

    fn begin(&mut self, event: &Event, id: (&'static str, u64), what: &str) {
        self.under_way.insert(id, (event.place, what.to_owned()));
        self.raw(event.place, NETWORK, "b", event.at, what, json!({ "cat": id.0, "id": id.1 }));
    }

    fn end(&mut self, at: Instant, id: (&'static str, u64), more: Value) {
        let Some((place, what)) = self.under_way.remove(&id) else { return };
        let mut rest = json!({ "cat": id.0, "id": id.1 });
        if let (Some(rest), Value::Object(more)) = (rest.as_object_mut(), more) {
            rest.extend(more);
        }
        self.raw(place, NETWORK, "e", at, &what, rest);
    }

    /// `leader@4 end=7 flushed=7 hw=6`.
    fn counters(&mut self, event: &Event, state: &str) {
        let mut words = state.split(' ');
        let epoch = words.next().and_then(|first| Some(("epoch", first.split_once('@')?.1)));
        let cursors = words.filter_map(|word| word.split_once('='));
        for (name, value) in epoch.into_iter().chain(cursors) {
            if let Ok(value) = value.parse::<u64>() {
                let args = json!({ "args": { "value": value } });
                self.raw(event.place, 0, "C", event.at, name, args);
            }
        }
    }

    /// Whatever is under way ends with the trace.
    fn finish(&mut self, end: Instant) {
        for id in self.under_way.keys().copied().collect::<Vec<_>>() {
            self.end(end, id, json!({ "args": { "ended": "not within the trace" } }));
        }
        for (place, role) in std::mem::take(&mut self.roles) {
            self.role_was(place, Some(role), end);
        }
    }

    fn raw(&mut self, place: Place, track: u32, phase: &str, at: Instant, name: &str, rest: Value) {
        let mut line = self.head(place, track, phase, at, name);
        for (key, value) in rest.as_object().into_iter().flatten() {
            write!(line, ",\"{key}\":{value}").expect(WRITES);
        }
        line.push('}');
        self.out.push(line);
    }

    fn head(&self, place: Place, track: u32, phase: &str, at: Instant, name: &str) -> String {
        let name = Value::from(name);
        format!("{{\"ph\":\"{phase}\",\"pid\":{},\"tid\":{track},\"ts\":{},\"name\":{name}", pid(place), micros(at))
    }
}

/// Nodes, then clients, after the world.
fn pid(place: Place) -> u32 {
    match place {
        Place::World => 1,
        Place::Node(node) => 10 + node,
        Place::Client(client) => 1000 + client,
    }
}

/// Microseconds to the nanosecond.
fn micros(at: Instant) -> String {
    format!("{}.{:03}", at.0 / 1000, at.0 % 1000)
}

const ROLE: u32 = 1;
const NOTES: u32 = 2;
const DISK: u32 = 3;
const NETWORK: u32 = 4;

/// The tracks of a node.
const TRACKS: [(u32, &str); 4] = [(ROLE, "role"), (NOTES, "notes"), (DISK, "disk"), (NETWORK, "network")];

const WRITES: &str = "invariant: writing to a string succeeds";
