//! A history in EDN, a map a line, as Jepsen's stores have it: `:index :time :type :process :f :value`.
//!
//! Times are nanoseconds. What nobody knows the end of is `:info`, and its process never acts again. Faults are the
//! `:nemesis`'s. Keys are registers: `:read`, `:write` and `:cas` with `[key value]`, as `jepsen.independent` has them; a
//! compare-and-set that found something else is `:fail`, with `:error [:found value]`. The log has `:append` (its values, and
//! `:offset` once it is there), `:tail` (the end) and `:poll` (`:from` an offset: pairs of offset and value, and `:next`).
//!
//! An answer that nothing could have given is `:ok` with `:unreadable` instead of what was read. A write has no such answer: nobody
//! knows what became of it (`:info`), and a read beside it is answered `[key :unreadable]`, which nobody ever wrote. So every
//! checker of registers refuses it.
//!
//! `kraftbed check` reads it back and comes to the verdict that it has on `history.jsonl`. The first line says whose it is: that
//! reads of nil are observations, and that values are appended to one log. `:client` says which processes are one client.
//!
//! Left out: everything that is no client's and no fault.

use std::fmt::Write;

use crate::history::{Ask, Outcome, Told, value};
use crate::report::export::processes::{Moment, Processes, Step};
use crate::trace::{Event, EventKind};

/// The history of a trace.
pub fn export(events: &[Event]) -> String {
    let mut lines = Lines::default();
    lines.add(0, ":type :info, :process :nemesis, :f :kraftbed-history, :value 1");
    let mut processes = Processes::new(events);
    for event in events {
        match (&event.kind, processes.step(event)) {
            (_, Some(step)) => {
                lines.add(event.at.0, &of_client(&step));
                if let Some(refuted) = refuted(&step, &mut processes) {
                    refuted.iter().for_each(|told| lines.add(event.at.0, told));
                }
            }
            (EventKind::Fault { kind, what }, None) => {
                let f = kind.map_or("script".to_owned(), |kind| kind.name().replace('_', "-"));
                lines.add(event.at.0, &format!(":type :info, :process :nemesis, :f :{f}, :value {}", text(what)));
            }
            _ => {}
        }
    }
    lines.out
}

#[derive(Default)]
struct Lines {
    out: String,
    index: usize,
}

impl Lines {
    fn add(&mut self, time: u64, told: &str) {
        writeln!(self.out, "{{:index {}, :time {time}, {told}}}", self.index).expect(WRITES);
        self.index += 1;
    }
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
    let client = operation.client;
    format!(":type :{kind}, :process {process}, :client {client}, :f :{f}, :value {value}{more}")
}

/// A read of what nobody ever wrote, by another process, after a write whose answer nothing could have given.
fn refuted(step: &Step<'_>, processes: &mut Processes) -> Option<[String; 2]> {
    let Step { moment: Moment::Over, operation, .. } = step else { return None };
    let key = operation.ask.key().filter(|_| is_impossible(&operation.ask, &operation.outcome))?;
    let is_read = matches!(operation.ask, Ask::Get { .. });
    let process = (!is_read).then(|| processes.another())?;
    let client = operation.client;
    let read =
        |kind, value| format!(":type :{kind}, :process {process}, :client {client}, :f :read, :value [{key} {value}]");
    Some([read("invoke", "nil"), read("ok", ":unreadable")])
}

/// Whether nothing could have answered that.
fn is_impossible(ask: &Ask, outcome: &Outcome) -> bool {
    match (outcome, ask) {
        (Outcome::Ok(Told::Unreadable { .. }), _) => true,
        (Outcome::Ok(Told::Appended { .. }), Ask::Append { .. })
        | (Outcome::Ok(Told::Tail { .. }), Ask::Tail)
        | (Outcome::Ok(Told::Read { .. }), Ask::Read { .. })
        | (Outcome::Ok(Told::Got { .. }), Ask::Get { .. })
        | (Outcome::Ok(Told::Put { .. }), Ask::Put { .. })
        | (Outcome::Ok(Told::Compared { .. }), Ask::Cas { .. })
        | (Outcome::Failed | Outcome::Open, _) => false,
        (Outcome::Ok(_), _) => true,
    }
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
        (Told::Appended { offset }, Ask::Append { .. }) | (Told::Put { offset }, Ask::Put { .. }) => {
            ("ok", asked, format!(", :offset {offset}"))
        }
        (Told::Tail { end }, Ask::Tail) => ("ok", end.to_string(), String::new()),
        (Told::Read { values, next }, Ask::Read { .. }) => {
            let pairs = values.iter().map(|(offset, value)| format!("[{offset} {}]", name(*value)));
            ("ok", list(pairs), format!(", :next {next}"))
        }
        (Told::Got { value }, Ask::Get { key }) => ("ok", format!("[{key} {}]", held(*value)), String::new()),
        (Told::Compared { offset, found }, Ask::Cas { from, .. }) if found == from => {
            ("ok", asked, format!(", :offset {offset}"))
        }
        (Told::Compared { found, .. }, Ask::Cas { .. }) => {
            ("fail", asked, format!(", :error [:found {}]", held(*found)))
        }
        // Nothing could have answered this.
        (told, ask) => {
            let reason = if let Told::Unreadable { reason } = told { reason.as_str() } else { "another answer" };
            let error = format!(", :error {}", text(reason));
            match ask {
                Ask::Put { .. } | Ask::Cas { .. } => ("info", asked, error),
                Ask::Get { key } => ("ok", format!("[{key} :unreadable]"), error),
                Ask::Append { .. } | Ask::Tail | Ask::Read { .. } => ("ok", ":unreadable".to_owned(), error),
            }
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
