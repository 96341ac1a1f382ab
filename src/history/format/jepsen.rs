//! Jepsen's, Knossos' and Porcupine's histories in EDN: a map for each event, in a vector, a list, or one after another.
//!
//! Only the events of clients count: a process that is no number (`:nemesis`) is no client.

use crate::history::format::Format;
use crate::history::format::edn::{Cursor, integer};
use crate::history::format::names::{Form, NOTHING, Values};
use crate::history::format::pair::{Deed, Event, Kind, Recording};
use crate::history::format::wrong::{Bad, Wrong};
use crate::history::objects::NIL;

/// Reads the events of a file.
pub fn read(bytes: &[u8]) -> Result<(Format, Recording), Bad> {
    let mut cursor = Cursor::new(bytes, 0);
    let mut recording = Recording::default();
    let mut has_keys = false;
    let mut closes: Vec<u8> = Vec::new();
    loop {
        match cursor.peek()? {
            None if closes.is_empty() => break,
            Some(b'[') if closes.len() < 2 => {
                cursor.pass();
                closes.push(b']');
            }
            Some(b'(') if closes.len() < 2 => {
                cursor.pass();
                closes.push(b')');
            }
            Some(close) if closes.last() == Some(&close) => {
                cursor.pass();
                closes.pop();
            }
            Some(b'#') => cursor.pass_tag(),
            Some(b'{') => {
                if let Some(event) = event(&mut cursor, &mut recording.values, &mut has_keys)? {
                    recording.events.push(event);
                }
            }
            None => return Err(cursor.wrong("the end of the vector of operations")),
            Some(_) => {
                return Err(cursor.wrong("an operation such as {:process 0, :type :invoke, :f :read, :value nil}"));
            }
        }
    }
    Ok((if has_keys { Format::PorcupineKv } else { Format::Edn }, recording))
}

/// Reads one map; none if it is no client's.
fn event(cursor: &mut Cursor<'_>, values: &mut Values, has_keys: &mut bool) -> Result<Option<Event>, Bad> {
    let start = cursor.at();
    let (mut process, mut kind, mut deed, mut time) = (None, None, None, None);
    let (mut key, mut value) = (NIL, NOTHING);
    let mut is_client = true;
    cursor.pass();
    while cursor.peek()? != Some(b'}') {
        let name = if cursor.peek()? == Some(b':') { cursor.token() } else { b"" };
        let peeked = cursor.peek()?;
        let at = cursor.at();
        match name {
            b":value" => value = cursor.form(values)?,
            b":process" => match integer(cursor.token()) {
                Some(number) => process = Some(u32::try_from(number).map_err(|_| outside(at, number))?),
                None if peeked == Some(b':') => is_client = false,
                None => {
                    return Err(Cursor::new_at(cursor, at).wrong("the number of a process, or a keyword"));
                }
            },
            b":type" => {
                let wrong = || Cursor::new_at(cursor, at).wrong(KINDS);
                kind = Some(Kind::parse(cursor.clone().token()).ok_or_else(wrong)?);
                cursor.token();
            }
            b":f" => deed = Some((at, cursor.token())),
            b":key" => {
                *has_keys = true;
                let form = cursor.form(values)?;
                key = values.name_of(form);
            }
            b":time" => {
                time = integer(cursor.token()).and_then(|time| u64::try_from(time).ok());
            }
            b"" => {
                cursor.skip()?;
                cursor.peek()?;
                cursor.skip()?;
            }
            _ => cursor.skip()?,
        }
    }
    cursor.pass();
    if !is_client {
        return Ok(None);
    }
    let missing = |what| Bad { at: start, wrong: Wrong::Missing { what } };
    let (at, name) = deed.ok_or_else(|| missing(":f"))?;
    let unknown = || Wrong::UnknownOperation { name: String::from_utf8_lossy(name).into_owned() };
    Ok(Some(Event {
        at: start,
        process: process.ok_or_else(|| missing(":process"))?,
        kind: kind.ok_or_else(|| missing(":type"))?,
        deed: Deed::parse(name).ok_or_else(|| Bad { at, wrong: unknown() })?,
        key,
        value,
        time,
    }))
}

fn outside(at: usize, number: i64) -> Bad {
    Bad::expected(at, "the number of a process, below 4294967296", number.to_string())
}

/// The kinds of events, for an error.
pub const KINDS: &str = ":invoke, :ok, :fail or :info";

/// A value that is no form, such as `:timed-out`, says nothing.
pub fn is_reason(values: &Values, form: Form) -> bool {
    matches!(form, Form::One(name) if values.names.text(name).starts_with(':'))
}
