//! Events of a log in EDN: `:append` of values, `:tail`, `:poll`, as `kraftbed export --to jepsen` writes them.
//!
//! ```text
//! {:process 3, :type :invoke, :f :append, :value ["c3-0" "c3-1"]}
//! {:process 3, :type :ok, :f :append, :value ["c3-0" "c3-1"], :offset 7}
//! {:process 4, :type :ok, :f :tail, :value 9}
//! {:process 5, :type :invoke, :f :poll, :value {:from 7}}
//! {:process 5, :type :ok, :f :poll, :value [[7 "c3-0"] [8 "c3-1"]], :next 9}
//! {:process 5, :type :ok, :f :tail, :value :unreadable, :error "bytes that are no records"}
//! ```
//!
//! Texts grow by `:append`, too: values are appended to a log where the file says of itself that it is ours, where anything is
//! polled or asked for its tail, or where the caller says so. Several processes may be one client, which `:client` says.
//! Times decide as long as they go on; where one goes back, or is missing, the order of the file does.

use std::collections::BTreeMap;

use hashbrown::HashTable;

use crate::history::format::names::{Form, Values};
use crate::history::format::number::natural;
use crate::history::format::pair::{Kind, UNTIMED};
use crate::history::format::wrong::{Bad, Wrong, line_of};
use crate::history::objects::NIL;
use crate::history::{Ask, ClientId, Operation, Outcome, Told, value};
use crate::time::Instant;

/// What was asked of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To append.
    Append,
    /// Where it ends.
    Tail,
    /// What is in it.
    Poll,
}

/// One event.
#[derive(Clone, Copy, Debug)]
pub struct LogEvent {
    /// Where it stands in the file.
    pub at: u32,
    /// Whose.
    pub process: u32,
    /// Which client's that is.
    pub client: u32,
    /// What it is of its operation.
    pub kind: Kind,
    /// What was asked.
    pub asked: Asked,
    /// The value.
    pub value: Form,
    /// Where it stands; of a poll, where to go on.
    pub place: Option<u64>,
    /// What was wrong with an answer.
    pub error: Form,
    /// When, in nanoseconds, or [`UNTIMED`].
    pub time: u64,
}

impl Asked {
    /// What is asked by that name.
    pub fn parse(name: &[u8]) -> Option<Asked> {
        match name {
            b":append" => Some(Asked::Append),
            b":tail" => Some(Asked::Tail),
            b":poll" => Some(Asked::Poll),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Asked::Append => "append",
            Asked::Tail => "tail",
            Asked::Poll => "poll",
        }
    }
}

/// The operations of these events, in the order of their calls.
pub fn operations(bytes: &[u8], events: &[LogEvent], values: &Values) -> Result<Vec<Operation>, Bad> {
    let is_timed = events.iter().all(|event| event.time != UNTIMED) && events.is_sorted_by_key(|event| event.time);
    let moment = |place: usize| if is_timed { events[place].time } else { place as u64 };
    let mut operations: Vec<Operation> = Vec::new();
    let mut under_way: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
    let mut appended: HashTable<u64> = HashTable::new();
    for (place, event) in events.iter().enumerate() {
        let wrong = |wrong: Wrong| Bad { at: event.at as usize, wrong };
        let process = event.process;
        if event.kind == Kind::Invoke {
            let ask = ask(event, values).map_err(wrong)?;
            if let Ask::Append { values } = &ask {
                values.iter().try_for_each(|&value| append(&mut appended, value)).map_err(wrong)?;
            }
            let (client, invoked) = (ClientId(event.client), Instant(moment(place)));
            operations.push(Operation { client, ask, invoked, returned: None, outcome: Outcome::Open });
            if let Some((before, _)) = under_way.insert(process, (place, operations.len() - 1)) {
                let line = line_of(bytes, events[before].at as usize);
                return Err(wrong(Wrong::AsksTwice { process, line }));
            }
            continue;
        }
        let (asked, operation) = under_way.remove(&process).ok_or_else(|| wrong(Wrong::NeverAsked { process }))?;
        let call = &events[asked];
        if call.asked != event.asked {
            let (asked, answered) = (call.asked.name().to_owned(), event.asked.name().to_owned());
            return Err(wrong(Wrong::OtherAnswer { asked, answered }));
        }
        let operation = &mut operations[operation];
        operation.outcome = match event.kind {
            Kind::Ok => Outcome::Ok(told(bytes, call, event, values).map_err(wrong)?),
            Kind::Fail => Outcome::Failed,
            Kind::Info | Kind::Invoke => continue,
        };
        operation.returned = Some(Instant(moment(place)));
    }
    Ok(operations)
}

fn ask(event: &LogEvent, values: &Values) -> Result<Ask, Wrong> {
    match event.asked {
        Asked::Append => {
            let appended = values.forms(event.value).iter().map(|&form| number(form, values));
            Ok(Ask::Append { values: appended.collect::<Result<_, _>>()? })
        }
        Asked::Tail => Ok(Ask::Tail),
        Asked::Poll => {
            let spelled = values.spelled(event.value);
            let from = spelled.strip_prefix("{:from ").and_then(|rest| natural(rest.strip_suffix('}')?.as_bytes()));
            let wrong = || Wrong::Expected { expected: "{:from OFFSET}", found: spelled.clone() };
            Ok(Ask::Read { from: from.ok_or_else(wrong)? })
        }
    }
}

fn told(bytes: &[u8], call: &LogEvent, event: &LogEvent, values: &Values) -> Result<Told, Wrong> {
    let spelled = values.spelled(event.value);
    if spelled == UNREADABLE {
        let reason = values.spelled(event.error);
        return Ok(Told::Unreadable { reason: if event.error == Form::One(NIL) { String::new() } else { reason } });
    }
    match event.asked {
        Asked::Append => {
            let asked = values.spelled(call.value);
            if asked != spelled && event.value != Form::One(NIL) {
                let line = line_of(bytes, call.at as usize);
                let [asked, answered] = [asked, spelled].map(|values| format!("append {values}"));
                return Err(Wrong::OtherValue { asked, answered, line });
            }
            Ok(Told::Appended { offset: event.place.ok_or(Wrong::Missing { what: ":offset" })? })
        }
        Asked::Tail => {
            let wrong = || Wrong::Expected { expected: "an offset", found: spelled.clone() };
            Ok(Told::Tail { end: natural(spelled.as_bytes()).ok_or_else(wrong)? })
        }
        Asked::Poll => {
            let pair = |&form: &Form| {
                let wrong = || Wrong::Expected { expected: "[offset value]", found: values.spelled(form) };
                let (offset, value) = values.pair(form).ok_or_else(wrong)?;
                let offset = natural(values.spelled(offset).as_bytes()).ok_or_else(wrong)?;
                Ok((offset, number(value, values)?))
            };
            let read = values.forms(event.value).iter().map(pair).collect::<Result<_, _>>()?;
            Ok(Told::Read { values: read, next: event.place.ok_or(Wrong::Missing { what: ":next" })? })
        }
    }
}

fn number(form: Form, values: &Values) -> Result<u64, Wrong> {
    let text = values.spelled(form);
    let wrong = || Wrong::Expected { expected: "a number, or a value such as \"c3-17\"", found: text.clone() };
    natural(text.as_bytes()).or_else(|| value::parse(&text)).ok_or_else(wrong)
}

/// Remembers a value, which must not have been there before.
pub(in crate::history::format) fn append(appended: &mut HashTable<u64>, value: u64) -> Result<(), Wrong> {
    if appended.find(spread(value), |&other| other == value).is_some() {
        return Err(Wrong::AppendedTwice { value: value::name(value) });
    }
    appended.insert_unique(spread(value), value, |&value| spread(value));
    Ok(())
}

fn spread(value: u64) -> u64 {
    (value ^ value >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The value of an answer that nothing could have given.
pub const UNREADABLE: &str = ":unreadable";
