//! Events become operations: each invocation and its answer are one, and what they say depends on the dialect.

use hashbrown::HashTable;

use crate::history::format::edn::Syntax;
use crate::history::format::import::value;
use crate::history::format::jepsen::is_reason;
use crate::history::format::logs::LogEvent;
use crate::history::format::names::{Form, NOTHING, Values};
use crate::history::format::wrong::{Bad, Wrong, line_of, newlines};
use crate::history::format::{Dialect, FailedCas, Hints, NilRead};
use crate::history::objects::{Action, Clock, Entry, NIL, Name, Names, OPEN, ObjectHistory};
use crate::history::{Model, Operation};

/// What an event is of its operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The call.
    Invoke,
    /// It happened.
    Ok,
    /// It failed.
    Fail,
    /// Nobody knows.
    Info,
}

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// What does it hold?
    Read,
    /// It holds the value from here on.
    Write,
    /// Compare and set.
    Cas,
    /// What does the key hold?
    Get,
    /// The key holds the value from here on.
    Put,
    /// The key's text grows.
    Append,
    /// Into a queue.
    Enqueue,
    /// Out of a queue.
    Dequeue,
    /// Into a set.
    Add,
    /// Out of a set.
    Remove,
    /// Is it in the set?
    Contains,
    /// Takes a lock.
    Acquire,
    /// Lets a lock go.
    Release,
}

/// One event.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// Where it stands in the file.
    pub at: u32,
    /// Whose.
    pub process: u32,
    /// What it is of its operation.
    pub kind: Kind,
    /// What was asked.
    pub deed: Deed,
    /// Of which object, where a file says so beside the value.
    pub key: Name,
    /// The value.
    pub value: Form,
    /// When, in nanoseconds, or [`UNTIMED`].
    pub time: u64,
}

/// The events of a file.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// In their order.
    pub events: Vec<Event>,
    /// Their values.
    pub values: Values,
    /// What compare-and-sets that failed found, by the place of the event.
    pub found: Vec<(u32, Form)>,
    /// Events of a log; appends without a key are among the others as well, until it is known what they are.
    pub logs: Vec<LogEvent>,
    /// Whether anything can only be done to a log.
    pub has_log: bool,
    /// Whether the file says that it was exported from a run.
    pub is_ours: bool,
}

impl Recording {
    /// What they take, with the operations that they become.
    pub fn kept_bytes(&self) -> usize {
        let event = size_of::<Event>() + size_of::<Entry>() + size_of::<u64>();
        let log_event = size_of::<LogEvent>() + size_of::<Operation>();
        self.events.len() * event + self.logs.len() * log_event + self.values.kept_bytes()
    }
}

/// What an operation says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It did this.
    Did(Action, Form, Form),
    /// It may have done this.
    MayDo(Action, Form, Form),
    /// It did not happen.
    Failed,
    /// It says nothing.
    Nothing,
}

/// The history of a file's events, and how many operations were asked for.
pub fn pair(bytes: &[u8], recording: Recording, hints: &Hints, dialect: &Dialect) -> Result<(ObjectHistory, u64), Bad> {
    let Recording { events, mut values, found, .. } = recording;
    let is_keyed = is_keyed(&events, &values);
    let model = match hints.model {
        Some(model) => model,
        None => model_of_events(&events, &values, is_keyed)?,
    };
    let mut pairing = Pairing {
        bytes,
        history: ObjectHistory::new(model, clock_of(&events)),
        is_keyed,
        dialect,
        found: &found,
        open: Vec::new(),
        many: HashTable::new(),
        keys: Keys::default(),
        operations: 0,
    };
    let mut line = Lines { bytes, at: 0, line: 1 };
    for (index, event) in (0u32..).zip(&events) {
        let stamp = match pairing.history.clock {
            Clock::Nanoseconds => event.time,
            _ => line.of(event.at as usize),
        };
        pairing.history.stamps.push(stamp);
        pairing.on_event(index, event, &events, &mut values).map_err(|wrong| Bad { at: event.at as usize, wrong })?;
    }
    pairing.close(&events, &mut values)?;
    let (mut history, operations) = (pairing.history, pairing.operations);
    history.initial = initial_of(model, dialect, Syntax::Edn, &mut values)?;
    // Keys beside values are Porcupine's, whose values are texts: a key that is missing reads as the empty one.
    let has_keys = events.iter().any(|event| event.key != NIL);
    if history.entries.iter().any(|entry| entry.action == Action::Append) || model == Model::Kv && has_keys {
        bare(&mut history, &mut values)?;
    }
    history.values = values.names;
    Ok((history, operations))
}

struct Pairing<'d> {
    bytes: &'d [u8],
    history: ObjectHistory,
    is_keyed: bool,
    dialect: &'d Dialect,
    found: &'d [(u32, Form)],
    /// The event and the entry under way, by process; of those with small numbers.
    open: Vec<Option<(u32, u32)>>,
    /// Of the others: process, event, entry.
    many: HashTable<(u32, u32, u32)>,
    keys: Keys,
    operations: u64,
}

impl Pairing<'_> {
    fn on_event(&mut self, index: u32, event: &Event, events: &[Event], values: &mut Values) -> Result<(), Wrong> {
        if event.kind == Kind::Invoke {
            self.operations += 1;
            let entry = self.history.entries.len() as u32;
            self.history.entries.push(PLACEHOLDER);
            return match self.begin(event.process, index, entry) {
                None => Ok(()),
                Some(before) => {
                    let line = line_of(self.bytes, events[before as usize].at as usize);
                    Err(Wrong::AsksTwice { process: event.process, line })
                }
            };
        }
        let Some((asked, entry)) = self.end(event.process) else {
            return Err(Wrong::NeverAsked { process: event.process });
        };
        let call = &events[asked as usize];
        if call.deed != event.deed {
            let name = |deed: Deed| deed.name().to_owned();
            return Err(Wrong::OtherAnswer { asked: name(call.deed), answered: name(event.deed) });
        }
        self.fill(entry, asked, call, Some((index, event)), values)
    }

    /// What nobody answered.
    fn close(&mut self, events: &[Event], values: &mut Values) -> Result<(), Bad> {
        let mut rest: Vec<(u32, u32)> = self.open.drain(..).flatten().collect();
        rest.extend(self.many.drain().map(|(_, event, entry)| (event, entry)));
        rest.sort();
        for (event, entry) in rest {
            let call = &events[event as usize];
            self.fill(entry, event, call, None, values).map_err(|wrong| Bad { at: call.at as usize, wrong })?;
        }
        self.history.entries.retain(|entry| *entry != PLACEHOLDER);
        Ok(())
    }

    fn fill(
        &mut self,
        place: u32,
        asked: u32,
        call: &Event,
        answer: Option<(u32, &Event)>,
        values: &mut Values,
    ) -> Result<(), Wrong> {
        let (key, given) = self.unkeyed(call, values);
        let answered = match answer {
            None => None,
            Some((_, event)) => {
                let (told_key, told) = self.unkeyed(event, values);
                self.compare(call, (key, given), event.kind, (told_key, told), values)?;
                Some((event.kind, told))
            }
        };
        let found = answer.and_then(|(_, event)| self.found.binary_search_by_key(&event.at, |&(at, _)| at).ok());
        let said = match found.filter(|_| Deed::Cas.models().contains(&self.history.model)) {
            // It was told what was there: that is a read.
            Some(place) => Said::Did(Action::Read, self.found[place].1, NOTHING),
            None => say(call.deed, given, answered, self.history.model, self.dialect, values)?,
        };
        let (action, a, b, ret) = match said {
            Said::Failed => {
                self.history.dropped.failed += 1;
                return Ok(());
            }
            Said::Nothing => {
                self.history.dropped.silent += 1;
                return Ok(());
            }
            Said::Did(action, a, b) => (action, a, b, answer.map_or(OPEN, |(index, _)| index)),
            Said::MayDo(action, a, b) => (action, a, b, OPEN),
        };
        let a = if action == Action::Elements { list(&mut self.history, a, values) } else { values.name_of(a) };
        let key = self.keys.key(key, values, &mut self.history.keys);
        let (b, process) = (values.name_of(b), call.process);
        self.history.entries[place as usize] = Entry { action, a, b, key, process, call: asked, ret };
        Ok(())
    }

    /// An answer of another key, or an acknowledgement of another value, is none to what was asked.
    fn compare(
        &self,
        call: &Event,
        (key, given): (Name, Form),
        kind: Kind,
        (told_key, told): (Name, Form),
        values: &mut Values,
    ) -> Result<(), Wrong> {
        let is_other_key = told_key != NIL && told_key != key;
        let is_other_value = kind == Kind::Ok && call.deed.is_echoed() && told != NOTHING && told != given;
        let is_equal = !is_other_value || values.name_of(told) == values.name_of(given);
        if is_equal && !is_other_key {
            return Ok(());
        }
        let (line, name) = (line_of(self.bytes, call.at as usize), call.deed.name());
        let spelled = |key: Name, form: Form| match key {
            NIL => format!("{name} {}", values.spelled_within(form)),
            _ => format!("{name} [{} {}]", values.spelled_within(Form::One(key)), values.spelled_within(form)),
        };
        Err(Wrong::OtherValue { asked: spelled(key, given), answered: spelled(told_key, told), line })
    }

    /// The key of an event, by the name of its value, and what is left of the value.
    fn unkeyed(&self, event: &Event, values: &mut Values) -> (Name, Form) {
        match values.pair(event.value).filter(|_| self.is_keyed) {
            Some((key, value)) => (values.name_of(key), value),
            None => (event.key, event.value),
        }
    }

    /// Remembers what a process asks; the answer is the event of what it has asked before, if that is under way.
    fn begin(&mut self, process: u32, event: u32, entry: u32) -> Option<u32> {
        if process < DENSE_MAX {
            let place = process as usize;
            if self.open.len() <= place {
                self.open.resize(place + 1, None);
            }
            return self.open[place].replace((event, entry)).map(|(before, _)| before);
        }
        let before = self.end(process).map(|(before, _)| before);
        self.many.insert_unique(u64::from(process), (process, event, entry), |&(process, _, _)| u64::from(process));
        before
    }

    fn end(&mut self, process: u32) -> Option<(u32, u32)> {
        if process < DENSE_MAX {
            return self.open.get_mut(process as usize).and_then(Option::take);
        }
        let found = self.many.find_entry(u64::from(process), |&(other, _, _)| other == process).ok()?;
        let ((_, event, entry), _) = found.remove();
        Some((event, entry))
    }
}

/// The elements of a set, sorted, as a list of the history.
pub fn list(history: &mut ObjectHistory, elements: Form, values: &mut Values) -> u32 {
    let forms = values.forms(elements).to_vec();
    let mut names: Vec<Name> = forms.into_iter().map(|form| values.name_of(form)).collect();
    names.sort();
    names.dedup();
    history.lists.push(names);
    history.lists.len() as u32 - 1
}

/// What an operation says: what was asked for, and how it was answered, if it was.
pub fn say(
    deed: Deed,
    given: Form,
    answered: Option<(Kind, Form)>,
    model: Model,
    dialect: &Dialect,
    values: &Values,
) -> Result<Said, Wrong> {
    let (kind, told) = answered.unwrap_or((Kind::Info, NOTHING));
    let did = |action, a, b| match kind {
        Kind::Ok => Said::Did(action, a, b),
        Kind::Fail => Said::Failed,
        Kind::Info | Kind::Invoke => Said::MayDo(action, a, b),
    };
    let pair = || {
        let wrong = || Wrong::Expected { expected: "[expected new]", found: values.spelled(given) };
        values.pair(given).ok_or_else(wrong)
    };
    let said = match deed {
        Deed::Read | Deed::Get => match kind {
            Kind::Ok if told == NOTHING && dialect.nil_read == NilRead::Silent => Said::Nothing,
            Kind::Ok if model == Model::Set => match told {
                Form::One(_) if told != NOTHING => {
                    return Err(Wrong::Expected { expected: "the elements of a set", found: values.spelled(told) });
                }
                _ => Said::Did(Action::Elements, told, NOTHING),
            },
            Kind::Ok => Said::Did(Action::Read, told, NOTHING),
            Kind::Fail if !is_reason(values, told) => Said::Failed,
            Kind::Fail | Kind::Info | Kind::Invoke => Said::Nothing,
        },
        Deed::Write | Deed::Put => did(Action::Write, given, NOTHING),
        Deed::Append => did(Action::Append, given, NOTHING),
        Deed::Cas => {
            let (from, to) = pair()?;
            // What timed out was not refused.
            let is_refusal = dialect.failed_cas == FailedCas::Refused && !is_reason(values, told);
            match kind {
                Kind::Fail if is_refusal => Said::Did(Action::Refused, from, NOTHING),
                _ => did(Action::Cas, from, to),
            }
        }
        Deed::Enqueue => did(Action::Insert, given, NOTHING),
        Deed::Add => did(Action::Insert, given, NOTHING),
        Deed::Remove => did(Action::Discard, given, NOTHING),
        Deed::Dequeue => match kind {
            Kind::Ok if told == NOTHING => Said::Did(Action::Empty, NOTHING, NOTHING),
            Kind::Ok => Said::Did(Action::Remove, told, NOTHING),
            Kind::Fail => Said::Failed,
            Kind::Info | Kind::Invoke => Said::MayDo(Action::Take, NOTHING, NOTHING),
        },
        Deed::Contains => contains(given, kind, told, values)?,
        Deed::Acquire => did(Action::Acquire, NOTHING, NOTHING),
        Deed::Release => did(Action::Release, NOTHING, NOTHING),
    };
    let is_of_model = deed.models().contains(&model);
    if is_of_model { Ok(said) } else { Err(Wrong::NotOfModel { name: deed.name().to_owned(), model }) }
}

/// Answered with `true`, `false`, or the element and one of these.
fn contains(given: Form, kind: Kind, told: Form, values: &Values) -> Result<Said, Wrong> {
    if kind != Kind::Ok {
        return Ok(if kind == Kind::Fail { Said::Failed } else { Said::Nothing });
    }
    let truth = values.pair(told).map_or(told, |(_, truth)| truth);
    match values.spelled(truth).as_str() {
        "true" => Ok(Said::Did(Action::Contains, given, NOTHING)),
        "false" => Ok(Said::Did(Action::Lacks, given, NOTHING)),
        other => Err(Wrong::Expected { expected: "true or false", found: other.to_owned() }),
    }
}

/// Whether values are `[key value]`: every value that was asked for is a pair, and one at least could not be one otherwise.
/// (`jepsen.independent`.)
fn is_keyed(events: &[Event], values: &Values) -> bool {
    let mut calls = events.iter().filter(|event| event.kind == Kind::Invoke);
    let is_proof = |event: &Event| match values.pair(event.value) {
        Some((_, value)) => event.deed != Deed::Cas || values.pair(value).is_some(),
        None => false,
    };
    events.iter().any(|event| event.kind == Kind::Invoke && is_proof(event))
        && calls.all(|event| values.pair(event.value).is_some())
}

/// What the operations of a file's events are of.
fn model_of_events(events: &[Event], values: &Values, is_keyed: bool) -> Result<Model, Bad> {
    let is_row = |event: &Event| {
        let value = values.pair(event.value).filter(|_| is_keyed).map_or(event.value, |(_, value)| value);
        event.kind == Kind::Ok && !matches!(value, Form::One(_))
    };
    // An answer says no more of the model than its call, but for what was read.
    let is_telling = |event: &&Event| event.kind == Kind::Invoke || event.kind == Kind::Ok && event.deed == Deed::Read;
    let deeds = events.iter().filter(is_telling).map(|event| (event.at as usize, event.deed, is_row(event)));
    model_of(&deeds.collect::<Vec<_>>())
}

/// What operations are of: each with its place in the file, and whether it was answered with several things.
pub fn model_of(deeds: &[(usize, Deed, bool)]) -> Result<Model, Bad> {
    let mut model: Option<(Model, Deed)> = None;
    let has_set = deeds.iter().any(|(_, deed, _)| matches!(deed, Deed::Add | Deed::Remove | Deed::Contains));
    for &(at, deed, _) in deeds {
        let this = if deed == Deed::Read && has_set { Model::Set } else { deed.models()[0] };
        model = match model {
            None => Some((this, deed)),
            Some((Model::Register, _)) if this == Model::CasRegister => Some((this, deed)),
            Some((Model::CasRegister, first)) if this == Model::Register => Some((Model::CasRegister, first)),
            // Compare-and-set belongs to both.
            Some((Model::CasRegister, Deed::Cas)) if this == Model::Kv => Some((this, deed)),
            Some((Model::Kv, first)) if deed == Deed::Cas => Some((Model::Kv, first)),
            Some((other, first)) if other == this => Some((other, first)),
            Some((_, first)) => {
                let (name, other) = (deed.name().to_owned(), first.name().to_owned());
                return Err(Bad { at, wrong: Wrong::Mixed { name, other } });
            }
        };
    }
    // Only read: of a set, if there was ever more than one thing in it.
    let is_set = |&(_, deed, is_row): &(usize, Deed, bool)| deed == Deed::Read && is_row;
    match model {
        Some((Model::Register, Deed::Read)) if deeds.iter().any(is_set) => Ok(Model::Set),
        Some((model, _)) => Ok(model),
        None => Ok(Model::Register),
    }
}

fn clock_of(events: &[Event]) -> Clock {
    let has_times = !events.is_empty() && events.iter().all(|event| event.time != UNTIMED);
    if has_times { Clock::Nanoseconds } else { Clock::Lines }
}

/// Texts that grow have no quotes: what is appended to what must be their characters.
pub fn bare(history: &mut ObjectHistory, values: &mut Values) -> Result<(), Bad> {
    let bare = values.unquoted();
    let name = |name: Name| bare[name as usize].ok_or(Bad { at: 0, wrong: Wrong::TextNil });
    for entry in &mut history.entries {
        (entry.a, entry.b) = (name(entry.a)?, name(entry.b)?);
    }
    history.initial = name(history.initial)?;
    Ok(())
}

/// The names of keys, by their names as values.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    known: Vec<Name>,
}

impl Keys {
    /// The name of a key.
    pub fn key(&mut self, value: Name, values: &Values, keys: &mut Names) -> Name {
        if value == NIL {
            return NIL;
        }
        if self.known.len() <= value as usize {
            self.known.resize(values.names.len(), OPEN);
        }
        let place = &mut self.known[value as usize];
        if *place == OPEN {
            *place = keys.name(values.names.text(value));
        }
        *place
    }
}

/// What the dialect's registers hold at first.
pub fn initial_of(model: Model, dialect: &Dialect, syntax: Syntax, values: &mut Values) -> Result<Name, Bad> {
    if matches!(model, Model::Queue | Model::Set | Model::Lock) {
        return Ok(NIL);
    }
    let text = &dialect.initial;
    let wrong = || Bad { at: 0, wrong: Wrong::Initial { text: format!("`{text}`") } };
    let form = value(text, syntax, values).ok_or_else(wrong)?;
    Ok(values.name_of(form))
}

/// Counts lines as it goes.
struct Lines<'b> {
    bytes: &'b [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    fn of(&mut self, at: usize) -> u64 {
        self.line += newlines(&self.bytes[self.at..at]) as u64;
        self.at = at;
        self.line
    }
}

impl Kind {
    /// The kind of that keyword.
    pub fn parse(keyword: &[u8]) -> Option<Kind> {
        match keyword {
            b":invoke" => Some(Kind::Invoke),
            b":ok" => Some(Kind::Ok),
            b":fail" => Some(Kind::Fail),
            b":info" => Some(Kind::Info),
            _ => None,
        }
    }
}

impl Deed {
    /// Whether an answer repeats what was asked, or says nothing.
    fn is_echoed(self) -> bool {
        match self {
            Deed::Write | Deed::Cas | Deed::Put | Deed::Append | Deed::Enqueue | Deed::Add | Deed::Remove => true,
            Deed::Read | Deed::Get | Deed::Dequeue | Deed::Contains | Deed::Acquire | Deed::Release => false,
        }
    }

    /// The deed of that name, with or without the colon of a keyword.
    pub fn parse(name: &[u8]) -> Option<Deed> {
        Some(match name.strip_prefix(b":").unwrap_or(name) {
            b"read" => Deed::Read,
            b"write" => Deed::Write,
            b"cas" => Deed::Cas,
            b"get" => Deed::Get,
            b"put" => Deed::Put,
            b"append" => Deed::Append,
            b"enqueue" => Deed::Enqueue,
            b"dequeue" => Deed::Dequeue,
            b"add" => Deed::Add,
            b"remove" => Deed::Remove,
            b"contains" => Deed::Contains,
            b"acquire" => Deed::Acquire,
            b"release" => Deed::Release,
            _ => return None,
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Deed::Read => "read",
            Deed::Write => "write",
            Deed::Cas => "cas",
            Deed::Get => "get",
            Deed::Put => "put",
            Deed::Append => "append",
            Deed::Enqueue => "enqueue",
            Deed::Dequeue => "dequeue",
            Deed::Add => "add",
            Deed::Remove => "remove",
            Deed::Contains => "contains",
            Deed::Acquire => "acquire",
            Deed::Release => "release",
        }
    }

    /// What it can be done to; what it is usually done to first.
    fn models(self) -> &'static [Model] {
        match self {
            Deed::Read => &[Model::Register, Model::CasRegister, Model::Kv, Model::Set],
            Deed::Write => &[Model::Register, Model::CasRegister, Model::Kv],
            Deed::Cas => &[Model::CasRegister, Model::Kv],
            Deed::Get | Deed::Put => &[Model::Kv, Model::Register, Model::CasRegister],
            Deed::Append => &[Model::Kv],
            Deed::Enqueue | Deed::Dequeue => &[Model::Queue],
            Deed::Add | Deed::Remove | Deed::Contains => &[Model::Set],
            Deed::Acquire | Deed::Release => &[Model::Lock],
        }
    }
}

/// The time of an event that has none.
pub const UNTIMED: u64 = u64::MAX;

/// An operation that has not ended, or says nothing.
const PLACEHOLDER: Entry = Entry { action: Action::Read, a: NIL, b: NIL, key: NIL, process: 0, call: OPEN, ret: 0 };

/// Processes below have a place in a table.
const DENSE_MAX: u32 = 1 << 16;
