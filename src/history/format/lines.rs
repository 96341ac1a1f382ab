//! Our own format: JSON lines, one operation each, written by every run and read back without loss.
//!
//! ```text
//! {"kraftbed_history":1,"clock":"nanoseconds"}
//! {"index":0,"client":3,"invoked":1200,"returned":3400,"f":"append","values":["c3-0","c3-1"],"outcome":"ok","offset":7}
//! {"index":1,"client":4,"invoked":1300,"returned":null,"f":"append","values":["c4-0"],"outcome":"open"}
//! {"index":2,"client":4,"invoked":1400,"returned":1500,"f":"tail","outcome":"ok","end":9}
//! {"index":3,"client":5,"invoked":1600,"returned":1700,"f":"read","from":7,"outcome":"ok","values":[[7,"c3-0"],[8,"c3-1"]],"next":9}
//! {"index":4,"client":5,"invoked":1800,"returned":1900,"f":"tail","outcome":"unreadable","reason":"bytes that are no records"}
//! ```
//!
//! The first line may be missing. With `"producers":true` in it, the log is judged as model `producer` unless another is asked for.
//! `invoked` and `returned` are nanoseconds of one clock; `returned` is `null` for an operation that
//! was never answered. `outcome`:
//!
//! | | |
//! |---|---|
//! | `ok` | it happened between `invoked` and `returned` |
//! | `failed` | it did not happen and never will |
//! | `open` | it may happen at any time after `invoked`, or never |
//! | `refused` | of a `cas`: it found something other than what it expected |
//! | `unreadable` | it was answered with what nothing could have answered, for a `reason` |
//!
//! Values of a log are numbers below 2⁶⁴ or `c3-17`, value 17 of client 3; `foreign-…` is one that no client appended. An operation
//! on an object has a `key`, if there are several of them, and a `value`:
//!
//! ```text
//! {"client":1,"invoked":10,"returned":20,"f":"put","key":"a","value":5,"outcome":"ok"}
//! {"client":2,"invoked":15,"returned":30,"f":"get","key":"a","value":5,"outcome":"ok"}
//! {"client":1,"invoked":35,"returned":40,"f":"cas","key":"a","from":5,"to":6,"found":5,"outcome":"ok"}
//! ```
//!
//! `f` is one of read, write, cas; get, put, append; enqueue, dequeue; add, remove, contains (with `found`: true or false); acquire,
//! release. `value` is what was written, or what was found; of a `read` that found a whole set, an array. A `cas` that is `ok` and
//! `found` something other than `from` changed nothing. Keys that are not known are passed over.

use std::fmt::Write;

use hashbrown::HashTable;

use crate::history::format::allowance::Allowance;
use crate::history::format::edn::{Cursor, Syntax};
use crate::history::format::intervals::{BYTES_PER_INTERVAL, Interval, place};
use crate::history::format::keys;
use crate::history::format::line::{End, Line};
use crate::history::format::logs::append;
use crate::history::format::names::{Form, NOTHING, Values};
use crate::history::format::pair::{self, Deed, Keys, Kind, Said, bare, initial_of, say};
use crate::history::format::wrong::{Bad, Wrong};
use crate::history::format::{Dialect, Subject};
use crate::history::objects::{Action, Clock, ObjectHistory};
use crate::history::{Ask, ClientId, Model, Operation, Outcome, Told, value};
use crate::time::Instant;

/// The first line of a file.
pub const HEADER: &str = "{\"kraftbed_history\":1,\"clock\":\"nanoseconds\"}\n";

/// The first line of a file in which the appends of each client are owed in the order in which it sent them.
pub const HEADER_OF_PRODUCERS: &str = "{\"kraftbed_history\":1,\"clock\":\"nanoseconds\",\"producers\":true}\n";

/// Writes the line of an operation.
pub fn write(index: usize, operation: &Operation, line: &mut String) {
    // A string takes everything.
    let _ = write_line(index, operation, line);
}

fn write_line(index: usize, operation: &Operation, line: &mut String) -> std::fmt::Result {
    let Operation { client, ask, invoked, returned, outcome } = operation;
    write!(line, "{{\"index\":{index},\"client\":{client},\"invoked\":{},\"returned\":", invoked.0)?;
    match returned {
        Some(at) => write!(line, "{}", at.0)?,
        None => line.push_str("null"),
    }
    match ask {
        Ask::Append { values } => {
            line.push_str(",\"f\":\"append\",\"values\":[");
            for (place, &value) in values.iter().enumerate() {
                line.push_str(if place == 0 { "\"" } else { ",\"" });
                value::write_name(value, line)?;
                line.push('"');
            }
            line.push(']');
        }
        Ask::Tail => line.push_str(",\"f\":\"tail\""),
        Ask::Read { from } => write!(line, ",\"f\":\"read\",\"from\":{from}")?,
        Ask::Get { .. } | Ask::Put { .. } | Ask::Cas { .. } => keys::write_ask(ask, line)?,
    }
    match outcome {
        Outcome::Ok(told) => write_told(told, line)?,
        Outcome::Failed => line.push_str(",\"outcome\":\"failed\""),
        Outcome::Open => line.push_str(",\"outcome\":\"open\""),
    }
    line.push_str("}\n");
    Ok(())
}

fn write_told(told: &Told, line: &mut String) -> std::fmt::Result {
    match told {
        Told::Appended { offset } => write!(line, ",\"outcome\":\"ok\",\"offset\":{offset}"),
        Told::Tail { end } => write!(line, ",\"outcome\":\"ok\",\"end\":{end}"),
        Told::Read { values, next } => {
            line.push_str(",\"outcome\":\"ok\",\"values\":[");
            for (place, &(offset, value)) in values.iter().enumerate() {
                write!(line, "{}[{offset},\"", if place == 0 { "" } else { "," })?;
                value::write_name(value, line)?;
                line.push_str("\"]");
            }
            write!(line, "],\"next\":{next}")
        }
        Told::Got { .. } | Told::Put { .. } | Told::Compared { .. } => keys::write_told(told, line),
        Told::Unreadable { reason } => {
            line.push_str(",\"outcome\":\"unreadable\",\"reason\":");
            write_text(reason, line)
        }
    }
}

fn write_text(text: &str, line: &mut String) -> std::fmt::Result {
    line.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => {
                line.push('\\');
                line.push(letter);
            }
            control if control < ' ' => write!(line, "\\u{:04x}", u32::from(control))?,
            other => line.push(other),
        }
    }
    line.push('"');
    Ok(())
}

/// Reads a file; also how many operations were asked for.
pub fn read<'b>(
    bytes: &'b [u8],
    model: Option<Model>,
    dialect: &Dialect,
    allowance: &'b Allowance<'b>,
) -> Result<(Subject, u64), Bad> {
    let mut cursor = Cursor::new(bytes, 0, Syntax::Json, allowance);
    let mut lines = Lines::default();
    while let Some(next) = cursor.peek()? {
        if next != b'{' {
            return Err(
                cursor.wrong("an operation such as {\"client\":3,\"invoked\":10,\"returned\":20,\"f\":\"tail\",…}")
            );
        }
        let at = cursor.at();
        let line = Line::read(&mut cursor, &mut lines.values)?;
        lines.push(at, line)?;
        cursor.allow(lines.kept_bytes())?;
    }
    let count = lines.count;
    Ok((lines.subject(model, dialect)?, count))
}

/// What was read so far.
#[derive(Debug, Default)]
struct Lines {
    log: Log,
    /// Whether anything was done to a log.
    is_of_log: bool,
    /// Whether its appends are numbered by their producers.
    has_producers: bool,
    objects: Vec<Object>,
    values: Values,
    count: u64,
}

impl Lines {
    fn push(&mut self, at: usize, line: Line<'_>) -> Result<(), Bad> {
        match line.version {
            Some(1) => {
                self.has_producers = line.has_producers;
                return Ok(());
            }
            Some(version) => return Err(Bad { at, wrong: Wrong::UnknownVersion { version } }),
            None => self.count += 1,
        }
        if line.returned.is_some_and(|returned| line.invoked.is_some_and(|invoked| returned < invoked)) {
            return Err(Bad { at, wrong: Wrong::Backwards });
        }
        if line.is_of_log() {
            self.is_of_log = true;
            return self.log.push(line, at);
        }
        if let Some(operation) = keys::operation(&line, &self.values) {
            self.log.keep(operation);
        }
        let object = Object::of(at, &line, &mut self.values).map_err(|wrong| Bad { at, wrong })?;
        self.objects.push(object);
        Ok(())
    }

    fn kept_bytes(&self) -> usize {
        self.log.kept_bytes + self.objects.len() * BYTES_PER_OBJECT + self.values.kept_bytes()
    }

    /// All of it. Whoever says what it is about means that part alone.
    fn subject(self, model: Option<Model>, dialect: &Dialect) -> Result<Subject, Bad> {
        let Lines { log, is_of_log, has_producers, objects, values, .. } = self;
        let wants_log = model.is_none_or(|model| matches!(model, Model::Log | Model::Producer));
        let wants_objects = model.is_none_or(|model| !matches!(model, Model::Log | Model::Producer));
        let mismatch = |at, name: &str| {
            let (name, model) = (name.to_owned(), model.unwrap_or(Model::Log));
            Err(Bad { at, wrong: Wrong::NotOfModel { name, model } })
        };
        let mut subject = Subject::default();
        if wants_log && (is_of_log || objects.is_empty()) {
            subject.log_model = Some(model.unwrap_or(if has_producers { Model::Producer } else { Model::Log }));
        } else if let Some(first) = objects.first().filter(|_| !wants_objects) {
            return mismatch(first.at as usize, first.deed.name());
        } else if objects.is_empty() && is_of_log {
            return mismatch(0, "append");
        }
        subject.log = log.operations;
        if wants_objects && !objects.is_empty() {
            let model = match model {
                Some(model) => model,
                None => {
                    let deeds = objects.iter().map(|object| (object.at as usize, object.deed, object.is_whole));
                    pair::model_of(&deeds.collect::<Vec<_>>())?
                }
            };
            subject.objects = Some(Box::new(history(&objects, model, values, dialect)?));
        }
        Ok(subject)
    }
}

/// The operations of a log.
#[derive(Debug, Default)]
struct Log {
    operations: Vec<Operation>,
    /// Values that were appended.
    appended: HashTable<u64>,
    kept_bytes: usize,
}

impl Log {
    fn keep(&mut self, operation: Operation) {
        self.kept_bytes += bytes_of(&operation);
        self.operations.push(operation);
    }

    fn push(&mut self, line: Line<'_>, at: usize) -> Result<(), Bad> {
        let missing = |what| Bad { at, wrong: Wrong::Missing { what } };
        let end = line.end_of.ok_or_else(|| missing("\"outcome\""))?;
        let ask = match line.f.as_deref() {
            Some("append") => {
                let values = line.values.as_deref().ok_or_else(|| missing("\"values\""))?;
                let values: Vec<u64> = values.iter().map(|&(_, value)| value).collect();
                values
                    .iter()
                    .try_for_each(|&value| append(&mut self.appended, value))
                    .map_err(|wrong| Bad { at, wrong })?;
                Ask::Append { values }
            }
            Some("tail") => Ask::Tail,
            _ => Ask::Read { from: line.from_offset.ok_or_else(|| missing("an offset in \"from\""))? },
        };
        let outcome = match (end, &ask) {
            (End::Failed, _) => Outcome::Failed,
            (End::Open, _) => Outcome::Open,
            (End::Unreadable, _) => {
                Outcome::Ok(Told::Unreadable { reason: line.reason.unwrap_or_default().into_owned() })
            }
            (End::Refused, _) => {
                return Err(Bad::expected(at, "ok, failed, open or unreadable of a log", "refused"));
            }
            (End::Ok, Ask::Append { .. }) => {
                Outcome::Ok(Told::Appended { offset: line.offset.ok_or_else(|| missing("\"offset\""))? })
            }
            (End::Ok, Ask::Tail) => Outcome::Ok(Told::Tail { end: line.end.ok_or_else(|| missing("\"end\""))? }),
            (End::Ok, _) => {
                let values = line.values.ok_or_else(|| missing("\"values\""))?;
                Outcome::Ok(Told::Read { values, next: line.next.ok_or_else(|| missing("\"next\""))? })
            }
        };
        let invoked = Instant(line.invoked.ok_or_else(|| missing("\"invoked\""))?);
        let returned = line.returned.map(Instant);
        if matches!(outcome, Outcome::Ok(_)) && returned.is_none() {
            return Err(missing("\"returned\""));
        }
        let client = ClientId(line.client.ok_or_else(|| missing("\"client\""))?);
        self.keep(Operation { client, ask, invoked, returned, outcome });
        Ok(())
    }
}

/// What an operation of a log takes.
pub(in crate::history::format) fn bytes_of(operation: &Operation) -> usize {
    let asked = if let Ask::Append { values } = &operation.ask { values.len() * BYTES_PER_APPENDED } else { 0 };
    let told = match &operation.outcome {
        Outcome::Ok(Told::Read { values, .. }) => size_of_val(&values[..]),
        Outcome::Ok(Told::Unreadable { reason }) => reason.len(),
        _ => 0,
    };
    size_of::<Operation>() + asked + told
}

/// An operation on an object, as far as it can be understood without the model.
#[derive(Clone, Copy, Debug)]
struct Object {
    at: u32,
    deed: Deed,
    /// Whether a whole set was read, or written.
    is_whole: bool,
    process: u32,
    invoked: u64,
    returned: Option<u64>,
    key: Form,
    saying: Saying,
}

/// What it says: at once, or what the dialect makes of it.
#[derive(Clone, Copy, Debug)]
enum Saying {
    This(Action, Form),
    Asked { given: Form, kind: Kind, told: Form },
}

impl Object {
    fn of(at: usize, line: &Line<'_>, values: &mut Values) -> Result<Object, Wrong> {
        let missing = |what| Wrong::Missing { what };
        let name = line.f.as_deref().ok_or(missing("\"f\""))?;
        let deed = Deed::parse(name.as_bytes()).filter(|_| !name.starts_with(':'));
        let deed = deed.ok_or_else(|| Wrong::UnknownOperation { name: name.to_owned() })?;
        Ok(Object {
            at: at as u32,
            deed,
            is_whole: matches!(line.value, Some(Form::Row(..) | Form::Set(..))),
            process: line.client.ok_or(missing("\"client\""))?,
            invoked: line.invoked.ok_or(missing("\"invoked\""))?,
            returned: line.returned,
            key: line.key.unwrap_or(NOTHING),
            saying: saying(deed, line, values)?,
        })
    }
}

/// The history of operations on objects.
fn history(objects: &[Object], model: Model, mut values: Values, dialect: &Dialect) -> Result<ObjectHistory, Bad> {
    let mut history = ObjectHistory::new(model, Clock::Nanoseconds);
    let (mut keys, mut intervals) = (Keys::default(), Vec::with_capacity(objects.len()));
    for object in objects {
        let &Object { at, deed, process, invoked, returned, key, saying, .. } = object;
        let at = at as usize;
        let said = match saying {
            Saying::This(action, a) => Ok(Said::Did(action, a, NOTHING)),
            Saying::Asked { given, kind, told } => say(deed, given, Some((kind, told)), model, dialect, &values),
        };
        let (action, a, b, is_open) = match said.map_err(|wrong| Bad { at, wrong })? {
            Said::Did(action, a, b) => (action, a, b, false),
            Said::MayDo(action, a, b) => (action, a, b, true),
            Said::Failed => {
                history.dropped.failed += 1;
                continue;
            }
            Said::Nothing => {
                history.dropped.silent += 1;
                continue;
            }
        };
        let missing = Bad { at, wrong: Wrong::Missing { what: "\"returned\"" } };
        let returned = if is_open { None } else { Some(returned.ok_or(missing)?) };
        let a = if action == Action::Elements { pair::list(&mut history, a, &mut values) } else { values.name_of(a) };
        let key = keys.key(values.name_of(key), &values, &mut history.keys);
        intervals.push(Interval { action, a, b: values.name_of(b), key, process, invoked, returned });
    }
    history.initial = initial_of(model, dialect, Syntax::Json, &mut values)?;
    place(&mut history, &intervals);
    if history.entries.iter().any(|entry| entry.action == Action::Append) {
        bare(&mut history, &mut values)?;
    }
    history.values = values.names;
    Ok(history)
}

fn saying(deed: Deed, line: &Line<'_>, values: &mut Values) -> Result<Saying, Wrong> {
    let missing = |what| Wrong::Missing { what };
    let kind = match line.end_of.ok_or(missing("\"outcome\""))? {
        End::Ok => Kind::Ok,
        End::Refused if deed != Deed::Cas => {
            let found = format!("refused, of {}", deed.name());
            return Err(Wrong::Expected { expected: "ok, failed, open or unreadable", found });
        }
        End::Failed | End::Refused => Kind::Fail,
        End::Open => Kind::Info,
        // It was told what nothing can have been there.
        End::Unreadable => {
            let reason = line.reason.as_deref().unwrap_or("what nothing could have answered");
            return Ok(Saying::This(Action::Read, values.text(reason)));
        }
    };
    let (given, told) = match deed {
        Deed::Cas => {
            let from = line.from.ok_or(missing("\"from\""))?;
            let to = line.to.ok_or(missing("\"to\""))?;
            match (line.end_of, line.found) {
                // It was told what was there: that is a read.
                (Some(End::Ok | End::Refused), Some(found)) if values.name_of(found) != values.name_of(from) => {
                    return Ok(Saying::This(Action::Read, found));
                }
                (Some(End::Refused), _) => return Ok(Saying::This(Action::Refused, from)),
                _ => (values.row(&[from, to]), NOTHING),
            }
        }
        Deed::Contains => (line.value.ok_or(missing("\"value\""))?, line.found.unwrap_or(NOTHING)),
        Deed::Read | Deed::Get | Deed::Dequeue => {
            let told = line.value.unwrap_or(NOTHING);
            if kind == Kind::Ok && line.value.is_none() {
                return Err(missing("\"value\""));
            }
            (NOTHING, told)
        }
        Deed::Acquire | Deed::Release => (NOTHING, NOTHING),
        _ => (line.value.ok_or(missing("\"value\""))?, NOTHING),
    };
    Ok(Saying::Asked { given, kind, told })
}

/// What an object takes, with its place in the history.
const BYTES_PER_OBJECT: usize = size_of::<Object>() + BYTES_PER_INTERVAL;

/// What a value that was appended takes, with its place in a table.
const BYTES_PER_APPENDED: usize = 8 + 24;
