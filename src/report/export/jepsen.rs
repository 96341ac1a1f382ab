//! A history in EDN, a map a line, as Jepsen's stores have it: `:index :time :type :process :f :value`.
//!
//! Times are nanoseconds. What nobody knows the end of is `:info`, and its process never acts again. Faults are the
//! `:nemesis`'s. Keys are registers: `:read`, `:write` and `:cas` with `[key value]`, as `jepsen.independent` has them; a
//! compare-and-set that found something else is `:fail`. The log has `:append` (its values, and `:offset` once it is there),
//! `:tail` (the end) and `:poll` (`:from` an offset: pairs of offset and value, and `:next`).
//!
//! Left out: everything that is no client's and no fault.

use std::fmt::Write;

use crate::history::{Ask, Outcome, Told, value};
use crate::report::export::processes::{Moment, Processes, Step};
use crate::trace::{Event, EventKind};

/// The history of a trace.
pub fn export(events: &[Event]) -> String {
    let mut out = String::new();
    let mut processes = Processes::new(events);
    let mut index = 0;
    for event in events {
        let told = match (&event.kind, processes.step(event)) {
            (_, Some(step)) => of_client(&step),
            (EventKind::Fault { kind, what }, None) => {
                let f = kind.map_or("script".to_owned(), |kind| kind.name().replace('_', "-"));
                format!(":type :info, :process :nemesis, :f :{f}, :value {}", text(what))
            }
            _ => continue,
        };
        writeln!(out, "{{:index {index}, :time {}, {told}}}", event.at.0).expect(WRITES);
        index += 1;
    }
    out
}

fn of_client(step: &Step<'_>) -> String {
    let Step { moment, process, operation, .. } = step;
    let (f, asked) = asked(&operation.ask);
    let (kind, value, more) = match (moment, &operation.outcome) {
        (Moment::Asked, _) => ("invoke", asked, String::new()),
        (Moment::Over, Outcome::Open) => ("info", asked, String::new()),
        (Moment::Over, Outcome::Failed) => ("fail", asked, String::new()),
        (Moment::Over, Outcome::Ok(told)) => answered(&operation.ask, told, asked),
    };
    format!(":type :{kind}, :process {process}, :f :{f}, :value {value}{more}")
}

/// The name of what was asked, and its value.
fn asked(ask: &Ask) -> (&'static str, String) {
    match ask {
        Ask::Append { values } => ("append", list(values.iter().map(|value| name(*value)))),
        Ask::Tail => ("tail", "nil".to_owned()),
        Ask::Read { from } => ("poll", format!("{{:from {from}}}")),
        Ask::Get { key } => ("read", format!("[{key} nil]")),
        Ask::Put { key, value } => ("write", format!("[{key} {}]", held(Some(*value)))),
        Ask::Cas { key, from, to } => ("cas", format!("[{key} [{} {}]]", held(*from), held(Some(*to)))),
    }
}

/// How a map says that it was answered: its type, its value, and what follows.
fn answered(ask: &Ask, told: &Told, asked: String) -> (&'static str, String, String) {
    match (told, ask) {
        (Told::Appended { offset }, _) | (Told::Put { offset }, _) => ("ok", asked, format!(", :offset {offset}")),
        (Told::Tail { end }, _) => ("ok", end.to_string(), String::new()),
        (Told::Read { values, next }, _) => {
            let pairs = values.iter().map(|(offset, value)| format!("[{offset} {}]", name(*value)));
            ("ok", list(pairs), format!(", :next {next}"))
        }
        (Told::Got { value }, Ask::Get { key }) => ("ok", format!("[{key} {}]", held(*value)), String::new()),
        (Told::Compared { offset, found }, Ask::Cas { from, .. }) if found == from => {
            ("ok", asked, format!(", :offset {offset}"))
        }
        (Told::Compared { found, .. }, _) => ("fail", asked, format!(", :error [:found {}]", held(*found))),
        // Nothing could have answered this, and no checker may pass it: it was answered, and not with what was asked for.
        (Told::Got { .. } | Told::Unreadable { .. }, _) => {
            let value = ask.key().map_or(":unreadable".to_owned(), |key| format!("[{key} :unreadable]"));
            let reason = if let Told::Unreadable { reason } = told { reason.as_str() } else { "another answer" };
            ("ok", value, format!(", :error {}", text(reason)))
        }
    }
}

fn name(number: u64) -> String {
    format!("\"{}\"", value::name(number))
}

/// What a key holds: small numbers as such, others by their names, as our own lines have them.
fn held(value: Option<u64>) -> String {
    match value {
        None => "nil".to_owned(),
        Some(small) if small >> 32 == 0 => small.to_string(),
        Some(number) => name(number),
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(" "))
}

/// A string of EDN.
fn text(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

const WRITES: &str = "invariant: writing to a string succeeds";
