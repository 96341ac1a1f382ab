//! A trace as text: the last causes of a violation in one column per place, an event a line, an event as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::{Value, json};

use crate::trace::words;
use crate::trace::{Event, EventId, EventKind, Place};

/// Columns of a terminal that a timeline fills at most.
const WIDTH: usize = 120;
/// Columns of the time, its gap included.
const TIME_WIDTH: usize = 14;
/// Lines that one event may take.
const LINES_MAX: usize = 4;

/// The last `count` events that led to the last violation (to the last event, where none is recorded), the violation
/// included, in one column per node or client: the chain of causes first, and where that is shorter, the latest of what
/// else happened before on the places it touches.
pub fn last_causes(events: &[Event], count: usize) -> String {
    let is_violation = |event: &&Event| matches!(event.kind, EventKind::Violated { .. });
    let Some(last) = events.iter().rev().find(is_violation).or(events.last()) else { return String::new() };
    table(&causes(events, last, count))
}

/// One event, one line: `12.345s  n1  note: high watermark 7`.
pub fn line(event: &Event) -> String {
    format!("{:<12}  {:<5}  {}", event.at.to_string(), words::place(event.place), words::event(event))
}

/// One event as one line of JSON.
pub fn json_line(event: &Event) -> String {
    let mut object = json!({
        "id": event.id.0,
        "at_ns": event.at.0,
        "place": words::place(event.place),
        "kind": kind(&event.kind),
        "what": words::event(event),
    });
    let fields = object.as_object_mut().expect("invariant: an object was just made");
    if let Some(cause) = event.cause {
        fields.insert("cause".into(), cause.0.into());
    }
    let mut put = |name: &str, value: Value| fields.insert(name.into(), value);
    match &event.kind {
        EventKind::Sent { to, .. } | EventKind::Lost { to, .. } => put("to", words::place(*to).into()),
        EventKind::Received { from, .. } => put("from", words::place(*from).into()),
        EventKind::Note(note) => put("note", note.name().into()),
        EventKind::Fault { kind: Some(kind), .. } => put("fault", kind.name().into()),
        EventKind::Started { incarnation, .. } => put("incarnation", (*incarnation).into()),
        EventKind::Operation { index, .. } => put("operation", (*index).into()),
        EventKind::Violated { property, .. } => put("property", (*property).into()),
        _ => None,
    };
    object.to_string()
}

/// The name of a kind of event.
pub fn kind(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::Sent { .. } => "sent",
        EventKind::Received { .. } => "received",
        EventKind::Lost { .. } => "lost",
        EventKind::Disk { .. } => "disk",
        EventKind::Note(_) => "note",
        EventKind::Tick => "tick",
        EventKind::Fault { .. } => "fault",
        EventKind::Started { .. } => "started",
        EventKind::Down { .. } => "down",
        EventKind::Operation { .. } => "operation",
        EventKind::State { .. } => "state",
        EventKind::Violated { .. } => "violated",
    }
}

fn causes<'a>(events: &'a [Event], last: &'a Event, count: usize) -> Vec<&'a Event> {
    let mut chosen = BTreeMap::from([(last.id, last)]);
    let mut next = last.cause;
    while let (true, Some(cause)) = (chosen.len() < count, next.and_then(|id| find(events, id))) {
        // A trace that was tampered with may go in circles.
        if chosen.insert(cause.id, cause).is_some() {
            break;
        }
        next = cause.cause;
    }
    let places: BTreeSet<Place> = chosen.values().map(|event| event.place).collect();
    let before = events.iter().rev().filter(|event| event.id < last.id && places.contains(&event.place));
    for event in before {
        if chosen.len() >= count {
            break;
        }
        chosen.insert(event.id, event);
    }
    chosen.into_values().collect()
}

fn find(events: &[Event], id: EventId) -> Option<&Event> {
    events.binary_search_by_key(&id, |event| event.id).ok().map(|index| &events[index])
}

/// These events, in one column per node or client.
pub fn table(events: &[&Event]) -> String {
    // A violation is no column of its own: it is what the others lead to.
    let is_violation = |event: &&&Event| matches!(event.kind, EventKind::Violated { .. });
    let places: BTreeSet<Place> = events.iter().filter(|event| !is_violation(event)).map(|event| event.place).collect();
    let places: Vec<Place> = places.into_iter().collect();
    let width = (WIDTH - TIME_WIDTH) / places.len().max(1);
    let mut text = format!("{:<TIME_WIDTH$}", "time");
    for place in &places {
        write!(text, "{:<width$}", words::place(*place)).expect("invariant: writing to a string succeeds");
    }
    end_line(&mut text);
    for event in events {
        let (before, room) = match places.iter().position(|place| *place == event.place) {
            Some(column) if !is_violation(&event) => (column * width, width.saturating_sub(2).max(1)),
            _ => (0, WIDTH - TIME_WIDTH),
        };
        for (index, part) in wrapped(&words::event(event), room).iter().enumerate() {
            let time = if index == 0 { event.at.to_string() } else { String::new() };
            write!(text, "{time:<TIME_WIDTH$}{:before$}{part}", "").expect("invariant: writing to a string succeeds");
            end_line(&mut text);
        }
    }
    text
}

fn end_line(text: &mut String) {
    text.truncate(text.trim_end_matches(' ').len());
    text.push('\n');
}

/// The text in lines of at most `width` characters, broken at blanks where there are any.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("invariant: there is always a line");
        let used = line.chars().count();
        if used > 0 && used + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
            continue;
        }
        let mut rest: Vec<char> = word.chars().collect();
        if used > 0 {
            lines.push(String::new());
        }
        while rest.len() > width {
            let tail = rest.split_off(width);
            lines.last_mut().expect("invariant: there is always a line").extend(rest);
            lines.push(String::new());
            rest = tail;
        }
        lines.last_mut().expect("invariant: there is always a line").extend(rest);
    }
    if lines.len() > LINES_MAX {
        lines.truncate(LINES_MAX);
        let line = lines.last_mut().expect("invariant: there is always a line");
        while line.chars().count() >= width {
            line.pop();
        }
        line.push('…');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kept_whole_where_they_fit() {
        assert_eq!(wrapped("high watermark 7", 9), ["high", "watermark", "7"]);
        assert_eq!(wrapped("0123456789ab cd", 8), ["01234567", "89ab cd"]);
        assert_eq!(wrapped("a b c d e f", 1), ["a", "b", "c", "…"]);
    }
}
